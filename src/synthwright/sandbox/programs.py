"""Programs as text: which are refused before they run, which are the same, and how complex they are.

The rules and measures are those of Absolute Zero (arXiv:2505.03335, section 3.3 and appendix C.4), on the syntax tree:
the released code looks for words, so that it refuses a function named `parse_input` and lets `import os` pass.
"""

import ast
import difflib
import json
import math
import warnings
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from synthwright.sandbox.results import Failure

__all__ = [
    "ALLOWED_IMPORTS",
    "BANNED_IMPORTS",
    "BANNED_NAMES",
    "Complexity",
    "ast_distance",
    "check_program",
    "complexity",
    "halstead_composite",
    "imported_modules",
    "literals_of",
    "normalise_program",
]

ALLOWED_IMPORTS = frozenset(
    "bisect cmath collections collections.abc copy dataclasses decimal enum fractions functools heapq itertools json "
    "math numbers operator re statistics string textwrap typing unicodedata __future__ abc".split()
)
"""Modules that give the same answer every day and reach nothing outside."""

BANNED_IMPORTS = frozenset(
    "logging random multiprocessing pebble subprocess threading datetime time hashlib hmac bcrypt calendar "
    "os sys shutil".split()
)
"""The list in Absolute Zero's prompts (Fig. 8), whole modules where it names parts, and the shutil of its prose."""

BANNED_NAMES = frozenset(
    "__import__ breakpoint compile delattr dir eval exec exit getattr globals hash help id input locals memoryview "
    "object open print quit setattr vars".split()
)
"""Builtins that run text, reach around the rules, print, wait for a person, or differ between sessions."""

_DUNDERS = frozenset(
    "__abs__ __add__ __and__ __bool__ __call__ __contains__ __delitem__ __doc__ __enter__ __eq__ __exit__ __floordiv__ "
    "__ge__ __getitem__ __gt__ __hash__ __iadd__ __init__ __int__ __invert__ __iter__ __le__ __len__ __lt__ __mod__ "
    "__mul__ __name__ __ne__ __neg__ __next__ __or__ __pos__ __post_init__ __pow__ __radd__ __repr__ __reversed__ "
    "__rmul__ __rsub__ __setitem__ __slots__ __str__ __sub__ __truediv__ __xor__".split()
)
MAX_CHARS = 50_000


@lru_cache(maxsize=512)
def _tree(source: str) -> ast.Module | Failure:
    if len(source) > MAX_CHARS:
        return Failure("forbidden", f"{len(source)} characters, the limit is {MAX_CHARS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `"\d"` and `1 is 1` warn
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Failure("syntax", str(error)[:200], type(error).__name__)


def check_program(
    source: str,
    *,
    function: str = "f",
    allowed_imports: Collection[str] | None = ALLOWED_IMPORTS,
    banned_imports: Collection[str] = BANNED_IMPORTS,
    banned_names: Collection[str] = BANNED_NAMES,
) -> Failure | None:
    """Why a program must not become a task, or None.

    Rules for good tasks and a first fence, never the wall: that is the sandbox.

    Refused are: source that does not parse; a top level without a `def` of the function, or one with no parameter, or
    that is a coroutine; imports that are banned or not allowed, relative or starred; banned builtins, even as plain
    names or renamed (`e = eval`), unless the program defines the name itself; access to `__attributes__` beyond those
    that classes define; `global` and `nonlocal` are fine, attributes of the same name as a banned builtin (`x.id`,
    `re.compile`) too.

    Args:
        source: Python source.
        function: The function that is called; "" for none.
        allowed_imports: The only modules allowed; None to allow all that are not banned.
        banned_imports: Modules refused even where all are allowed; with their submodules.
        banned_names: Builtins refused.

    Returns:
        A Failure of kind "syntax" or "forbidden"; its detail names the rule and what broke it, for the LM to read.
    """
    tree = _tree(source)
    if isinstance(tree, Failure):
        return tree
    if function:
        found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
        if not found:
            return Failure("forbidden", f"no top-level `def {function}`")
        given = found[-1].args
        if not (given.posonlyargs or given.args or given.vararg):
            return Failure("forbidden", f"`{function}` takes no argument")
    own = {name for node in ast.walk(tree) for name in _bound(node)}
    for node in ast.walk(tree):
        detail = _refusal(node, own, allowed_imports, banned_imports, banned_names)
        if detail:
            return Failure("forbidden", detail)
    return None


def _bound(node: ast.AST) -> Iterable[str]:
    """The names that a node defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.arg(arg=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name


def _refusal(
    node: ast.AST,
    own: set[str],
    allowed: Collection[str] | None,
    banned: Collection[str],
    names: Collection[str],
) -> str | None:
    modules: list[str] = []
    match node:
        case ast.Import(names=aliases):
            modules = [alias.name for alias in aliases]
        case ast.ImportFrom(level=level, module=module, names=aliases):
            if level or module is None:
                return "relative import"
            if any(alias.name == "*" for alias in aliases):
                return f"`from {module} import *`"
            modules = [module]
        case ast.Name(id=name) if name in names and name not in own:
            return f"use of `{name}`"
        case ast.Name(id=name) if name.startswith("__") and name not in ("__name__", "__doc__"):
            return f"use of `{name}`"
        case ast.Attribute(attr=attr) if attr.startswith("__") and attr.endswith("__") and attr not in _DUNDERS:
            return f"access to `.{attr}`"
        case ast.Constant(value=str(text)) if ".__" in text and "{" in text:
            return "a format string that reaches for `__attributes__`"
    for module in modules:
        root = module.split(".")[0]
        if module in banned or root in banned or (allowed is not None and not {module, root} & set(allowed)):
            return f"import of `{module}`"
    return None


def imported_modules(source: str) -> set[str]:
    """The modules that a program imports by statement; empty if it does not parse."""
    tree = _tree(source)
    if isinstance(tree, Failure):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


class _Strip(ast.NodeTransformer):
    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Module():
                node.body = _acting(node.body)
            case ast.ClassDef():
                node.body = _acting(node.body) or [ast.Pass()]
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                node.body = _acting(node.body) or [ast.Pass()]
                node.returns = None
            case ast.arg():
                node.annotation = None
        return node


def _acting(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements without docstrings and other bare constants."""
    return [part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]


def normalise_program(source: str) -> str:
    """The text by which two programs are the same: no comments, docstrings, annotations of functions, or formatting.

    Names stay: a renamed program is another text for an LM. Source that does not parse is returned stripped.
    """
    tree = _tree(source)
    if isinstance(tree, Failure):
        return source.strip()
    # parsed anew: the cached tree must not be changed
    fresh = ast.parse(ast.unparse(tree))
    return ast.unparse(ast.fix_missing_locations(_Strip().visit(fresh)))


def literals_of(source: str) -> list[Any]:
    """Every constant in a program, for the check that an input does not stand in it word for word."""
    tree = _tree(source)
    if isinstance(tree, Failure):
        return []
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]


@dataclass(frozen=True, slots=True)
class Complexity:
    """Measures of a program, each 0 or more.

    Attributes:
        lines: Lines of the normalised text.
        cyclomatic: Largest number of independent paths through one function (McCabe).
        cognitive: Branches, each counted with its nesting (after Campbell, "Cognitive Complexity", 2018). Absolute Zero
            takes it from another tool and divides by 15; ours counts the same structures, yet can differ by a little.
        volume: Halstead's volume, length times the bits of its vocabulary.
        effort: Halstead's effort, volume times difficulty.
    """

    lines: int
    cyclomatic: int
    cognitive: int
    volume: float
    effort: float


_BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.match_case,
    ast.comprehension,
)
_NESTING = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.Match)
_DEFS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def complexity(source: str) -> Complexity | None:
    """The measures of a program; None if it does not parse."""
    text = normalise_program(source)
    tree = _tree(text)
    if isinstance(tree, Failure):
        return None
    paths = [_cyclomatic(tree)] + [_cyclomatic(node) for node in ast.walk(tree) if isinstance(node, _DEFS)]
    volume, effort = _halstead(tree)
    return Complexity(
        lines=len(text.splitlines()),
        cyclomatic=max(paths),
        cognitive=_cognitive(tree, 0),
        volume=volume,
        effort=effort,
    )


def halstead_composite(measures: Complexity) -> float:
    """Absolute Zero's composite (appendix C.4 and its code), 0 to 1.

    0.5 min(effort / 10,000, 1) + 0.3 min(cyclomatic / 10, 1) + 0.2 min(volume / 500, 1).
    """
    return (
        0.5 * min(measures.effort / 10_000, 1.0)
        + 0.3 * min(measures.cyclomatic / 10, 1.0)
        + 0.2 * min(measures.volume / 500, 1.0)
    )


def _cyclomatic(root: ast.AST) -> int:
    total = 1
    pending = list(ast.iter_child_nodes(root))
    while pending:
        node = pending.pop()
        if isinstance(node, _DEFS):
            continue  # counted on its own
        total += isinstance(node, _BRANCHES)
        total += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        total += len(node.ifs) if isinstance(node, ast.comprehension) else 0
        pending += ast.iter_child_nodes(node)
    return total


def _cognitive(node: ast.AST, nesting: int) -> int:
    total = 0
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            elif_ = (
                isinstance(node, ast.If) and field == "orelse" and isinstance(child, ast.If) and len(node.orelse) == 1
            )
            if isinstance(child, _NESTING):
                total += 1 + (0 if elif_ else nesting)
                total += isinstance(child, ast.If) and bool(child.orelse) and not isinstance(child.orelse[0], ast.If)
            total += isinstance(child, ast.BoolOp)
            inner = isinstance(child, _DEFS) and isinstance(node, _DEFS)
            deeper = (isinstance(child, _NESTING) and not elif_) or inner
            total += _cognitive(child, nesting + deeper)
    return total


def _halstead(tree: ast.AST) -> tuple[float, float]:
    operators: Counter[str] = Counter()
    operands: Counter[str] = Counter()
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(op=op, left=left, right=right) | ast.AugAssign(op=op, target=left, value=right):
                operators[type(op).__name__] += 1
                operands.update(map(ast.dump, (left, right)))
            case ast.UnaryOp(op=op, operand=operand):
                operators[type(op).__name__] += 1
                operands[ast.dump(operand)] += 1
            case ast.BoolOp(op=op, values=parts):
                operators[type(op).__name__] += len(parts) - 1
                operands.update(map(ast.dump, parts))
            case ast.Compare(ops=ops, left=left, comparators=rest):
                operators.update(type(op).__name__ for op in ops)
                operands.update(map(ast.dump, (left, *rest)))
    vocabulary = len(operators) + len(operands)
    length = operators.total() + operands.total()
    volume = length * math.log2(vocabulary) if vocabulary else 0.0
    difficulty = len(operators) / 2 * operands.total() / len(operands) if operands else 0.0
    return volume, volume * difficulty


def ast_distance(source: str, references: Iterable[str]) -> float:
    """Mean distance of a program to reference programs, 0 (the same) to 1 (nothing shared).

    1 - difflib's ratio of the two normalised trees, as Absolute Zero does on sorted JSON; 0 if there is no reference or
    something does not parse.
    """
    ours = _shape(source)
    others = [_shape(reference) for reference in references]
    if ours is None or not others or None in others:
        return 0.0
    # autojunk off: it drops frequent tokens of long sequences, which here are the structure itself
    ratios = [difflib.SequenceMatcher(None, ours, other or [], autojunk=False).ratio() for other in others]
    return 1.0 - sum(ratios) / len(ratios)


def _shape(source: str) -> list[str] | None:
    tree = _tree(normalise_program(source))
    if isinstance(tree, Failure):
        return None
    return [
        type(node).__name__
        + "".join(json.dumps(str(v)) for _, v in ast.iter_fields(node) if isinstance(v, str | int | float | bytes))
        for node in ast.walk(tree)
    ][:5000]
