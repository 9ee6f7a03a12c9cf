"""Python: values given as literals, and programs judged by hidden tests."""

import ast
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from synthwright.verify.base import Unread, Verdict, Verifier
from synthwright.verify.places import fences
from synthwright.verify.text import unwrapped
from synthwright.verify.values import ValueProblem, parse_value, same, shown

__all__ = ["Held", "HiddenTests", "Value"]

MAX_PROGRAM = 20_000


@dataclass(frozen=True)
class Held:
    """A parsed value in a box of its own, so that None and False are values like others."""

    value: Any


@dataclass(frozen=True)
class Value(Verifier[Held]):
    """A Python value written as a literal. `True` is not 1, `(1, 2)` is not `[1, 2]`, and nothing is evaluated.

    The last fenced block is a place too, if it comes after all others.

    Args:
        tolerance: Largest difference of two floats, relative above 1 and absolute below; 0 for exact equality.
        nan_equal: Whether `nan` equals `nan`.
    """

    tolerance: float = 0.0
    nan_equal: bool = True

    nouns = ("answer", "result", "output", "value")

    def read(self, text: str) -> Held | Unread:
        blocks = fences(text + "\n")
        text = blocks[-1][1] if blocks else unwrapped(text)
        try:
            return Held(parse_value(text))
        except ValueProblem as problem:
            return Unread(str(problem))

    def read_phrase(self, text: str) -> Held | Unread:
        value = self.read(text)
        return value if not isinstance(value, Unread) else self.read(text.rstrip(" ."))

    def read_whole(self, text: str) -> Held | Unread:
        return self.read(text)

    def equal(self, value: Held, answer: Held) -> bool | str:
        return same(value.value, answer.value, self.tolerance, self.nan_equal)

    def show(self, value: Held) -> str | None:
        return shown(value.value)


@dataclass(frozen=True)
class HiddenTests:
    """A program, judged by running it on tests that its author did not see.

    The known answer is JSON: a list of pairs `[inputs, output]` of Python literals as text, inputs as a tuple of
    arguments, such as `[["(2, 3)", "5"]]`. The program is the last fenced block of the reply (one marked `python`
    before others), or the whole reply.

    Args:
        run: Runs a program on inputs: `run(program, inputs)` returns an object with the result as `value`, or with the
            `kind` of the failure and no `value`. It must contain whatever the program does; a sandbox's `run` does.
        tolerance: Of floats, as in `Value`.
    """

    run: Callable[[str, tuple[Any, ...]], Any]
    tolerance: float = 0.0

    def extract(self, reply: str) -> str | None:
        """The program of a reply, or None if nothing in it parses as Python."""
        if not isinstance(reply, str):
            return None
        blocks = fences(reply + "\n")
        marked = [program for language, program in blocks if language in ("python", "py", "python3")]
        candidates = marked or [program for _, program in blocks] or [reply]
        program = candidates[-1].strip()
        return program if program and len(program) <= MAX_PROGRAM and _parsed(program) is not None else None

    def canonical(self, text: str) -> str | None:
        """The program with one layout and without comments, or None."""
        program = self.extract(text)
        tree = _parsed(program) if program else None
        return ast.unparse(tree) if tree is not None else None

    def __call__(self, reply: str, answer: str) -> Verdict:
        """Does the program of the reply pass every test? The first test that fails is the reason."""
        try:
            tests = [(parse_value(inputs), parse_value(output)) for inputs, output in json.loads(answer)]
        except (ValueError, TypeError, RecursionError):
            return Verdict(False, "unreadable_answer")
        if not tests or not all(isinstance(inputs, tuple) for inputs, _ in tests):
            return Verdict(False, "unreadable_answer")
        program = self.extract(reply)
        if program is None:
            return Verdict(False, "no_answer")
        for number, (inputs, output) in enumerate(tests, 1):
            result = self.run(program, inputs)
            if not hasattr(result, "value"):
                return Verdict(False, f"test_{getattr(result, 'kind', 'failed')}: test {number}", program)
            if not same(result.value, output, self.tolerance):
                return Verdict(False, f"different: test {number} of {len(tests)}", program)
        return Verdict(True, "equal", program)


def _parsed(program: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in `values`
            return ast.parse(program)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
