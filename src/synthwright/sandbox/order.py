"""Make what a program must not depend on visible: iterate its sets in another order, give other hashes and identities.

Monty keeps sets in the order of insertion and hashes with one fixed seed, so two sessions always agree, even on
`list(set(words))`, whose order Python leaves open. The text that this module makes does the same work with every set
turned round; if its value differs, the value was never the program's to promise.
"""

import ast
import functools
import warnings

__all__ = ["HELPERS", "reorder_sets"]

# Builtins and methods that read an argument in its order.
_READERS = frozenset(
    "list tuple iter enumerate zip map filter sorted min max sum next dict deque Counter OrderedDict "
    "join extend fromkeys update chain islice accumulate permutations combinations product groupby reduce str "
    "repr".split()
)
# Put into the program's namespace, under names that no honest program uses, by `MontySandbox`.
HELPERS = """
def _order_of_(value):
    return list(value)[::-1] if type(value) is set or type(value) is frozenset else value
def _text_of_(value):
    return "{" + repr(list(value)[::-1])[1:-1] + "}" if type(value) is set and value else value
def _pop_of_(value):
    if type(value) is not set or not value:
        return value.pop()
    first = list(value)[0]  # Monty takes the last
    value.discard(first)
    return first
def _hash_of_(value):
    return hash(value) if type(value) is int else hash(value) ^ 0x5BD1E995
def _id_of_(value):
    return id(value) + 4096
helpers = {
    "_order_of_": _order_of_, "_text_of_": _text_of_, "_pop_of_": _pop_of_, "_hash_of_": _hash_of_, "_id_of_": _id_of_
}
"""


class _Reorder(ast.NodeTransformer):
    def _wrap(self, node: ast.expr, helper: str = "_order_of_") -> ast.expr:
        if isinstance(node, ast.Constant):
            return node
        return ast.Call(func=ast.Name(id=helper, ctx=ast.Load()), args=[node], keywords=[])

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.iter = self._wrap(node.iter)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.iter = self._wrap(node.iter)
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = self._wrap(node.value)
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        if node.format_spec is None:
            node.value = self._wrap(node.value, "_text_of_")
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            node.value = self._wrap(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        func = node.func
        name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
        if isinstance(func, ast.Attribute) and name == "pop" and not node.args and not node.keywords:
            return ast.Call(func=ast.Name(id="_pop_of_", ctx=ast.Load()), args=[func.value], keywords=[])
        if isinstance(func, ast.Name) and name in ("hash", "id") and len(node.args) == 1 and not node.keywords:
            return ast.Call(func=ast.Name(id=f"_{name}_of_", ctx=ast.Load()), args=node.args, keywords=[])
        if name in _READERS and not (isinstance(func, ast.Attribute) and name == "update" and _is_set(func.value)):
            helper = "_text_of_" if name in ("str", "repr") else "_order_of_"
            node.args = [part if isinstance(part, ast.Starred) else self._wrap(part, helper) for part in node.args]
        return node


def _is_set(node: ast.expr) -> bool:
    return isinstance(node, ast.Set | ast.SetComp)


def _has_sets(tree: ast.AST) -> bool:
    """Whether a program can make a set, or look at a hash or an identity."""
    views = operators = False
    for node in ast.walk(tree):
        match node:
            case ast.Set() | ast.SetComp() | ast.Name(id="set" | "frozenset" | "hash" | "id"):
                return True
            case ast.Attribute(attr="keys" | "items"):
                views = True
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr() | ast.BitXor() | ast.Sub()):
                operators = True
    return views and operators  # such as `a.keys() & b.keys()`


@functools.lru_cache(maxsize=2048)
def reorder_sets(program: str, *, always: bool = False) -> str:
    """The program with sets iterated backwards and other values of `hash` and `id`; itself if it has none of these.

    A set inside another value keeps its order in `str` and `repr`, and sets that only library functions read (beside
    the usual ones) keep theirs: this finds nearly all dependence on order, not all.

    Args:
        program: Python source; what cannot be parsed is returned as it is.
        always: Whether sets can come in as arguments, so that a program which makes none must be changed too.
    """
    if not always and not any(sign in program for sign in ("{", "set", "hash", "id", "keys", "items")):
        return program
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(program)
        if not always and not _has_sets(tree):
            return program
        return ast.unparse(ast.fix_missing_locations(_Reorder().visit(tree)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program  # the backend says what is wrong with it
