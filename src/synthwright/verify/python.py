"""Python: values given as literals, and programs judged by hidden tests."""

import ast
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from synthwright.sandbox.results import Failure
from synthwright.sandbox.values import canonical, equal, parse_literal
from synthwright.verify.base import Unread, Verdict, Verifier
from synthwright.verify.places import fences
from synthwright.verify.text import unwrapped

__all__ = ["Held", "HiddenTests", "Value"]

MAX_PROGRAM = 20_000
MAX_VALUE = 20_000
TRIES = 2
"""Runs of a test whose sandbox crashes before the verdict is given up."""


@dataclass(frozen=True)
class Held:
    """A parsed value in a box of its own, so that None and False are values like others."""

    value: Any


@dataclass(frozen=True)
class Value(Verifier[Held]):
    """A Python value written as a literal. `True` is not 1, `(1, 2)` is not `[1, 2]`, and nothing is evaluated.

    The last fenced block is a place too, if it comes after all others.

    Args:
        tolerance: Largest difference of two floats, relative above 1 and absolute below; an int may then stand for a
            float. 0 for exact equality.
        nan_equal: Whether `nan` equals `nan`.
    """

    tolerance: float = 0.0
    nan_equal: bool = True

    nouns = ("answer", "result", "output", "value")

    def read(self, text: str) -> Held | Unread:
        blocks = fences(text + "\n")
        text = blocks[-1][1] if blocks else unwrapped(text)
        value = parse_literal(text, max_chars=MAX_VALUE)
        if isinstance(value, Failure):
            too_deep = "nested" in value.detail  # ours and the parser's own limit of brackets
            return Unread("too_long" if too_deep or value.kind == "output_too_large" else "unreadable")
        return Held(value.value)

    def read_phrase(self, text: str) -> Held | Unread:
        value = self.read(text)
        return value if not isinstance(value, Unread) else self.read(text.rstrip(" ."))

    def read_whole(self, text: str) -> Held | Unread:
        return self.read(text)

    def equal(self, value: Held, answer: Held) -> bool | str:
        return equal(value.value, answer.value, tolerance=self.tolerance or None, nan_is_nan=self.nan_equal)

    def show(self, value: Held) -> str | None:
        return canonical(value.value)


@dataclass(frozen=True)
class HiddenTests:
    """A program, judged by running it on tests that its author did not see.

    The known answer is JSON: a list of pairs `[inputs, output]` of Python literals as text, inputs as a tuple of
    arguments, such as `[["(2, 3)", "5"]]`. The program is the last fenced block of the reply (one marked `python`
    before others), or the whole reply.

    Args:
        run: Runs a program on inputs: `run(program, inputs)` returns an object with the result as `value`, or with the
            `kind` of the failure and no `value`. It must contain whatever the program does; a sandbox's `run` does.
            The kind `crashed` is trouble of the sandbox: the test is run once more, and then nothing is decided.
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
        """Does the program of the reply pass every test? The first test that fails is the reason.

        A program that fails a test is wrong, whatever happens to the sandbox in others; one that passes all but those
        in which the sandbox crashed is `undecided`.
        """
        tests = _tests(answer)
        if tests is None:
            return Verdict(False, "unreadable_answer")
        program = self.extract(reply)
        if program is None:
            return Verdict(False, "no_answer")
        crashed = 0
        for number, (inputs, output) in enumerate(tests, 1):
            result = self._result(program, inputs)
            kind = None if hasattr(result, "value") else getattr(result, "kind", "failed")
            if kind == "crashed":
                crashed = crashed or number
            elif kind is not None:
                return Verdict(False, f"test_{kind}: test {number}", program)
            elif not equal(result.value, output, tolerance=self.tolerance or None):
                return Verdict(False, f"different: test {number} of {len(tests)}", program)
        if crashed:
            return Verdict(False, f"crashed: test {crashed}", program, undecided=True)
        return Verdict(True, "equal", program)

    def _result(self, program: str, inputs: tuple[Any, ...]) -> Any:
        result = self.run(program, inputs)
        for _ in range(TRIES - 1):
            if getattr(result, "kind", None) == "crashed":
                result = self.run(program, inputs)
        return result


def _tests(answer: str) -> list[tuple[tuple[Any, ...], Any]] | None:
    """Pairs of inputs and output, or None if the text is no such list or has none."""
    tests = []
    try:
        for inputs, output in json.loads(answer):
            known, wanted = (parse_literal(text, max_chars=MAX_VALUE) for text in (inputs, output))
            if isinstance(known, Failure) or isinstance(wanted, Failure) or not isinstance(known.value, tuple):
                return None
            tests.append((known.value, wanted.value))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return tests or None


def _parsed(program: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in `values`
            return ast.parse(program)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
