"""What a run is given and what it gives back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, runtime_checkable

from synthwright.errors import ConfigError

__all__ = ["Arguments", "Failure", "FailureKind", "Limits", "Sandbox", "Value"]

Arguments = str | tuple[Any, ...]
"""The arguments of a call: a tuple of literals, or their text such as `1, [2, 3]`, parsed and never executed."""

FailureKind = Literal[
    "syntax",  # the program cannot be parsed
    "forbidden",  # a rule of `check_program` refuses it; it did not run
    "error",  # it raised an exception
    "timeout",  # it used more than `Limits.seconds`
    "memory",  # it used more than `Limits.memory_mb`
    "recursion",  # it called itself more than `Limits.recursion` deep
    "output_too_large",  # its value has more than `Limits.output_chars` characters
    "not_a_value",  # its value, or an argument, has no literal: a function, an instance, a cycle
    "nondeterministic",  # two sessions gave two values
    "crashed",  # the worker died twice: trouble of the sandbox, never a wrong answer of the program
    "unsupported",  # the backend lacks something that CPython has
]


@dataclass(frozen=True, slots=True)
class Value:
    """A program ran and returned a literal.

    Attributes:
        value: None, bool, int, float, complex, str, bytes, or a list, tuple, set, frozenset or dict of these: exactly
            these types, never a subclass.
    """

    value: Any

    @property
    def ok(self) -> bool:
        """True: tells a Value from a Failure."""
        return True


@dataclass(frozen=True, slots=True)
class Failure:
    """A program gave no value.

    Attributes:
        kind: Why, see `FailureKind`.
        detail: The reason in words; the message of the exception for an error.
        exception: Class name of the exception that the program raised, or "".
    """

    kind: FailureKind
    detail: str = ""
    exception: str = ""

    @property
    def ok(self) -> bool:
        """False: tells a Failure from a Value."""
        return False

    def __str__(self) -> str:
        told = ": ".join(part for part in (self.exception, self.detail) if part)
        return f"{self.kind}: {told}" if told else self.kind


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use.

    Attributes:
        seconds: Time, above 0 up to 600. Absolute Zero (arXiv:2505.03335, Appendix B) allows 10.
        memory_mb: Memory in MiB, 4 to 4096. The subprocess backend adds what the interpreter itself takes.
        output_chars: Characters of the value as JSON (about those of its `repr`), 1 to 10 million. A larger value is
            refused, never cut.
        recursion: Depth of calls, 20 to 100,000.
    """

    seconds: float = 5.0
    memory_mb: int = 128
    output_chars: int = 10_000
    recursion: int = 1000

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seconds", 0.001, 600),
            ("memory_mb", 4, 4096),
            ("output_chars", 1, 10_000_000),
            ("recursion", 20, 100_000),
        ):
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
                raise ConfigError(f"`{name}` must be a number from {low} to {high}, got {given!r}.")


@runtime_checkable
class Sandbox(Protocol):
    """Runs programs that nobody has read. Every run is a fresh session: no run sees another.

    Use it in a `with` block or call `close`. It may be pickled and survives a fork: its workers stay behind, and the
    copy starts its own.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...

    def run(
        self, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None, seed: int = 0
    ) -> Value | Failure:
        """Define `program`, call its `function` with `inputs`, return the value.

        Args:
            program: Python source; executed with `__name__` set to "program", so a `__main__` block stays quiet.
            inputs: The arguments: literals, or their text.
            function: Which function of the program to call.
            limits: What the run may use; None for those of the sandbox.
            seed: Fixes the session's randomness. Sessions with different seeds differ in what a program must not
                depend on: random numbers, clock, hashes, order of sets.
        """
        ...

    async def arun(
        self, program: str, inputs: Arguments = (), *, function: str = "f", limits: Limits | None = None, seed: int = 0
    ) -> Value | Failure:
        """`run` for asyncio; the event loop is free meanwhile."""
        ...

    def run_many(
        self,
        calls: Iterable[tuple[str, Arguments]],
        *,
        function: str = "f",
        limits: Limits | None = None,
        seed: int = 0,
    ) -> Sequence[Value | Failure]:
        """`run` for many (program, inputs) at once; results in the order of the calls."""
        ...

    def close(self) -> None:
        """Stop the workers. A later run starts new ones."""
        ...
