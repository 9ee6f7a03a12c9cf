"""Absolute Zero's validation: is a proposal a task? In the order of the paper (section 3.3.3), each step by name.

Format, integrity, safety, determinism; then, by argument, what the released data shows to be bad tasks. Everything
here is written by a model: it runs in the sandbox, arguments are parsed as literals, nothing is evaluated.
"""

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from synthwright.sandbox import (
    Failure,
    Limits,
    Sandbox,
    canonical,
    check_deterministic,
    check_program,
    equal,
    normalise_program,
    parse_arguments,
)
from synthwright.sandbox.programs import ALLOWED_IMPORTS, BANNED_IMPORTS, literals_of
from synthwright.signatures.absolute_zero import Pair

__all__ = [
    "CHECKS",
    "Problem",
    "Rules",
    "bare_program",
    "check_format",
    "check_induction",
    "check_triplet",
    "stripped_seed",
]

_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
SHARED_SPAN = 16
"""Characters of code in a row, white space left out, that a message must not repeat."""

LEAST_OUTPUTS = 3


@dataclass(frozen=True)
class Problem:
    """Why a proposal is no task.

    Attributes:
        step: `format`, `integrity`, `safety`, `determinism`, or the name of a further check.
        reason: Code that funnels count.
        detail: What a person or an optimizer wants to read.
    """

    step: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Rules:
    """How strict validation is.

    Attributes:
        sandbox: Runs the programs.
        limits: Of one run. With the check `slow`, a run may use half of the time.
        checks: Names of further checks, see `CHECKS`.
        allow_list: Only imports of a list, instead of all that are not banned.
    """

    sandbox: Sandbox
    limits: Limits
    checks: tuple[str, ...]
    allow_list: bool = True

    def safety(self, program: str) -> Problem | None:
        """The static rules, see `synthwright.sandbox.check_program`."""
        found = check_program(
            program,
            allowed_imports=ALLOWED_IMPORTS if self.allow_list else None,
            banned_imports=BANNED_IMPORTS,
        )
        return Problem("safety", "forbidden", found.detail) if found else None


def bare_program(text: str) -> str | Problem:
    """The program in a reply: without its fence, if it has one, and with plain line ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    blocks = _FENCE.findall(text)
    if len(blocks) > 1:
        return Problem("format", "several_programs", f"{len(blocks)} fenced blocks, one is wanted")
    if not blocks and "```" in text:
        return Problem("format", "unclosed_fence", text[:200])
    source = (blocks[0] if blocks else text).strip("\n").rstrip()
    return source if source.strip() else Problem("format", "no_program")


def check_format(program: str, calls: Sequence[str]) -> Problem | None:
    """Whether the program parses and defines `f` with a parameter, and every call is a list of literals."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Problem("format", "not_python", str(error)[:200])
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "f"]
    if not found:
        return Problem("format", "no_function", "no top-level `def f`")
    if not (found[-1].args.posonlyargs or found[-1].args.args or found[-1].args.vararg):
        return Problem("format", "no_parameter", "`f` takes no argument")
    for call in calls:
        if not call.strip():
            return Problem("format", "no_input", "the arguments are empty")
        parsed = parse_arguments(call)
        if isinstance(parsed, Failure):
            return Problem("format", "bad_input", f"{call[:200]!r}: {parsed}")
    return None


def check_triplet(program: str, call: str, references: Sequence[str], rules: Rules) -> Pair | Problem:
    """Validate a program with one call, as deduction and abduction propose it.

    Args:
        program: Bare source.
        call: Arguments as source text.
        references: Programs that the proposer was shown.
        rules: How strict.

    Returns:
        The call with its result, both as canonical literals; or the first problem.
    """
    if problem := check_format(program, [call]):
        return problem
    pair = _executed(program, call, rules)
    arguments = parse_arguments(call)
    if isinstance(pair, Problem) or isinstance(arguments, Failure):
        return pair
    for name in rules.checks:
        if name in TRIPLET_CHECKS and (detail := TRIPLET_CHECKS[name](program, arguments.value, pair, references)):
            return Problem(name, name, detail)
    return pair


def check_induction(program: str, calls: Sequence[str], message: str, count: int, rules: Rules) -> list[Pair] | Problem:
    """Validate calls and message for a program that is valid already: each call in turn, without the banned list.

    Args:
        program: Source of a valid task.
        calls: Arguments of each call.
        message: The hint.
        count: Calls wanted, exactly.
        rules: How strict.
    """
    if len(calls) != count:
        return Problem("format", "wrong_count", f"{len(calls)} calls, {count} are wanted")
    if not message.strip():
        return Problem("format", "no_message")
    if problem := check_format(program, calls):
        return problem
    pairs = []
    for call in calls:
        made = _executed(program, call, rules, banned=False)
        if isinstance(made, Problem):
            return replace(made, detail=f"f({call[:100]}): {made.detail}")
        pairs.append(made)
    for name in rules.checks:
        if name in INDUCTION_CHECKS and (detail := INDUCTION_CHECKS[name](program, pairs, message)):
            return Problem(name, name, detail)
    return pairs


def _executed(program: str, call: str, rules: Rules, banned: bool = True) -> Pair | Problem:
    """Integrity, safety, determinism."""
    parsed = parse_arguments(call)
    if isinstance(parsed, Failure):
        return _failed("format", parsed)
    # the order of a dict is part of what a program is given, so it runs on the very text that solvers are shown
    call = ", ".join(map(canonical, parsed.value))
    limits = rules.limits
    if "slow" in rules.checks:
        limits = replace(limits, seconds=limits.seconds / 2)
    ran = rules.sandbox.run(program, call, limits=limits)
    unsafe = rules.safety(program) if banned else None
    if isinstance(ran, Failure):
        # what the sandbox does not have, a forbidden module above all, is told by the name of the rule
        refused = ran.kind in ("unsupported", "forbidden") or ran.exception == "PermissionError"
        return unsafe if unsafe and refused else _failed("integrity", ran)
    if ran.value is None:
        return Problem("integrity", "returned_nothing")
    if unsafe:
        return unsafe
    again = check_deterministic(rules.sandbox, program, call, limits=limits)
    if isinstance(again, Failure):
        return _failed("determinism", again)
    if not equal(again.value, ran.value):  # pragma: no cover  (two sessions agree, a third does not)
        return Problem("determinism", "nondeterministic")
    return Pair(input=call, output=canonical(again.value))


def _failed(step: str, failure: Failure) -> Problem:
    return Problem("sandbox" if failure.kind == "crashed" else step, failure.kind, str(failure)[:300])


def _empty_output(program: str, arguments: tuple[Any, ...], pair: Pair, references: Sequence[str]) -> str | None:
    return pair.output if pair.output in ("''", "b''", "[]", "()", "{}", "set()", "frozenset()") else None


def _identity(program: str, arguments: tuple[Any, ...], pair: Pair, references: Sequence[str]) -> str | None:
    same = len(arguments) == 1 and canonical(arguments[0]) == pair.output
    return f"f({pair.input}) returns its argument" if same else None


def _constant(program: str, arguments: tuple[Any, ...], pair: Pair, references: Sequence[str]) -> str | None:
    """Whether `f` never reads one of its parameters."""
    tree = ast.parse(program)
    f = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "f"][-1]
    given = [*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs, *filter(None, (f.args.vararg, f.args.kwarg))]
    read = {node.id for node in ast.walk(f) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    augmented = (node.target for node in ast.walk(f) if isinstance(node, ast.AugAssign))
    read |= {target.id for target in augmented if isinstance(target, ast.Name)}
    return None if read & {arg.arg for arg in given} else "f reads none of its parameters"


def _input_in_program(program: str, arguments: tuple[Any, ...], pair: Pair, references: Sequence[str]) -> str | None:
    """Whether an argument of some length stands in the program: the answer of abduction could be copied.

    Text and numbers of one or two characters, and truth values, occur everywhere and tell nothing.
    """
    known = {canonical(value) for value in literals_of(program) if value is not ...}
    shown = next((text for text in map(canonical, arguments) if len(text.strip("'\"-")) > 2 and text in known), None)
    return f"{shown} stands in the program" if shown and shown not in ("True", "False", "None") else None


def _copied(program: str, arguments: tuple[Any, ...], pair: Pair, references: Sequence[str]) -> str | None:
    same = normalise_program(program) in {normalise_program(reference) for reference in references}
    return "the program is one of the references" if same else None


def _repeated_inputs(program: str, pairs: Sequence[Pair], message: str) -> str | None:
    distinct = len({pair.input for pair in pairs})
    return f"{distinct} distinct inputs of {len(pairs)}" if distinct < len(pairs) else None


def _few_outputs(program: str, pairs: Sequence[Pair], message: str) -> str | None:
    distinct, wanted = len({pair.output for pair in pairs}), min(LEAST_OUTPUTS, len(pairs))
    return f"{distinct} distinct outputs, {wanted} are wanted" if distinct < wanted else None


def _code_in_message(program: str, pairs: Sequence[Pair], message: str) -> str | None:
    """Whether the message holds a long piece of the program, whatever its white space, or any function."""
    squeezed, code = "".join(message.split()), "".join(program.split())
    for start in range(len(code) - SHARED_SPAN + 1):
        if (span := code[start : start + SHARED_SPAN]) in squeezed:
            return f"it repeats {span!r}"
    return "it holds a function" if re.search(r"\bdef\s+\w+\s*\(|\blambda\b[^:\n]*:", message) else None


TripletCheck = Callable[[str, tuple[Any, ...], Pair, Sequence[str]], str | None]
TRIPLET_CHECKS: dict[str, TripletCheck] = {
    "empty_output": _empty_output,
    "identity": _identity,
    "constant": _constant,
    "input_in_program": _input_in_program,
    "copied": _copied,
}
INDUCTION_CHECKS: dict[str, Callable[[str, Sequence[Pair], str], str | None]] = {
    "repeated_inputs": _repeated_inputs,
    "few_outputs": _few_outputs,
    "code_in_message": _code_in_message,
}
CHECKS: tuple[str, ...] = (*TRIPLET_CHECKS, *INDUCTION_CHECKS, "slow")
"""Names of the further checks. They are ours; each answers a failure counted in the released data."""


def stripped_seed(program: str) -> str:
    """A program without comments, docstrings, globals and what follows a return, as the paper treats seeds alone.

    What does not parse is returned as it is.
    """
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program
    defining = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    tree.body = [node for node in tree.body if isinstance(node, defining)]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(body, list):
            for field in ("body", "orelse", "finalbody"):
                block = getattr(node, field, None)
                if isinstance(block, list):
                    ends = [i for i, part in enumerate(block) if isinstance(part, ast.Return)]
                    setattr(node, field, block[: ends[0] + 1] if ends else block)
    return ast.unparse(tree)
