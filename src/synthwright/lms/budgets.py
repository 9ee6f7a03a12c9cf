"""What LM calls cost and may cost: usage, prices, hard budgets."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dspy.lm15 import Response

from synthwright.errors import BudgetExhaustedError, ConfigError

__all__ = ["Budget", "Ledger", "Meter", "Price", "Retry", "SharedLedger", "Usage"]


@dataclass(frozen=True)
class Budget:
    """Hard limits of a run, all optional. The run stops at the first that is reached and can go on with a larger one.

    Attributes:
        calls: LM calls.
        tokens: Input plus output tokens, as reported by the LM.
        usd: Money in US dollars; needs a price for every LM of the run.
        seconds: Wall time of this process, in seconds.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "usd", "seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"`{name}` of a Budget must be positive, got {value!r}.")


@dataclass(frozen=True)
class Price:
    """What an LM costs, in US dollars for a million tokens."""

    input: float
    output: float


@dataclass(frozen=True)
class Retry:
    """How often and how patiently a failed call is repeated.

    Attributes:
        attempts: Tries in all, 1 or more. Bad requests and authentication errors are never repeated.
        base: First pause in seconds; it doubles each time, with full jitter, unless the server says how long to wait.
        cap: Longest pause in seconds.
        patience: Seconds for which a call is repeated, however often, while the server refuses calls (429) or cannot
            be reached, so that a restart of the server does not fail the seeds in flight.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    patience: float = 120.0


@dataclass
class Usage:
    """What LM calls used: counts of calls and tokens, and US dollars where prices are known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Input plus output tokens."""
        return self.input_tokens + self.output_tokens

    def add(self, other: "Usage") -> None:
        """Add another usage to this one, in place."""
        self.calls += other.calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.usd += other.usd


class Ledger:
    """What a run has used and has in flight, in one place for all who may make calls. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Any = [0.0, 0.0, 0.0, 0.0]  # calls, tokens, US dollars, calls in flight

    @contextmanager
    def _held(self) -> Iterator[Any]:
        with self._lock:
            yield self._numbers

    def reserve(self, budget: Budget) -> None:
        """Count one more call in flight.

        Raises:
            BudgetExhaustedError: A limit of the budget is reached.
        """
        with self._held() as numbers:
            calls, tokens, usd, in_flight = numbers
            spent = (
                ("calls", calls + in_flight, budget.calls),
                ("tokens", tokens, budget.tokens),
                ("usd", usd, budget.usd),
            )
            for name, value, most in spent:
                if most is not None and value >= most:
                    raise BudgetExhaustedError(f"the budget of {most:g} {name} is used up")
            numbers[3] = in_flight + 1

    def add(self, used: Usage, *, in_flight: int) -> None:
        """Add what calls used, and to the number of calls in flight."""
        with self._held() as numbers:
            numbers[0] += used.calls
            numbers[1] += used.tokens
            numbers[2] += used.usd
            numbers[3] += in_flight


class SharedLedger(Ledger):
    """A ledger for several processes on one machine, in a file that each of them maps into its memory.

    Args:
        path: The file; it is made if it does not exist.
    """

    def __init__(self, path: str | Path) -> None:
        import fcntl
        import mmap

        super().__init__()
        self._file = open(path, "a+b")
        self._file.truncate(32)
        self._numbers = memoryview(mmap.mmap(self._file.fileno(), 32)).cast("d")
        self._locker = fcntl

    @contextmanager
    def _held(self) -> Iterator[Any]:
        with self._lock:
            self._locker.lockf(self._file, self._locker.LOCK_EX)
            try:
                yield self._numbers
            finally:
                self._locker.lockf(self._file, self._locker.LOCK_UN)


class Meter:
    """Counts the calls of a run and refuses the one that would exceed its budget. Thread-safe.

    Args:
        budget: The limits; None for no limit.
        used: What earlier sessions of the same run used; it counts towards the budget.
        prices: US dollars by model name, for LMs that do not report a cost.
        changed: Called after each booked call, possibly from another thread.
        ledger: Where limits are kept; None for one of its own.
        count_recalled: Whether calls answered from the journal count like others, so that what is decided by the
            budget is decided in the same way when it is done again.

    Attributes:
        used: What was used so far.
        recalled: Calls answered from the journal in this session; they cost nothing.
        last_error: Why the last call of this process failed; None if it was answered.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        used: Usage | None = None,
        prices: Mapping[str, Price] | None = None,
        changed: Callable[[], None] | None = None,
        ledger: "Ledger | None" = None,
        count_recalled: bool = False,
    ) -> None:
        self.budget = budget or Budget()
        self.used = Usage()
        self.prices, self.changed = dict(prices or {}), changed
        self.ledger, self.count_recalled = ledger or Ledger(), count_recalled
        self.started = time.monotonic()
        self.recalled = 0
        self.last_error: BaseException | None = None
        self._lock = threading.Lock()
        self._not_taken: dict[tuple[str, str], Usage] = {}
        if used:
            self.used.add(used)
            self.ledger.add(used, in_flight=0)

    def reserve(self) -> None:
        """Take leave for one call.

        Raises:
            BudgetExhaustedError: A limit is reached.
        """
        seconds = self.budget.seconds
        if seconds is not None and time.monotonic() - self.started >= seconds:
            raise BudgetExhaustedError(f"the budget of {seconds:g} seconds is used up")
        self.ledger.reserve(self.budget)

    def release(self, used: Usage, caller: tuple[str, str] = ("", "")) -> None:
        """Give back the leave and book what the call used; a failed call is a call without tokens.

        Args:
            used: Usage of the call.
            caller: (role, predictor) to book it under.
        """
        self.ledger.add(used, in_flight=-1)
        self.book({caller: used})

    def book(self, usage: Mapping[tuple[str, str], Usage]) -> None:
        """Count what was used by (role, predictor), for calls whose leave was given back elsewhere."""
        with self._lock:
            for caller, used in usage.items():
                self.used.add(used)
                self._not_taken.setdefault(caller, Usage()).add(used)
        if self.changed is not None:
            self.changed()

    def recall(self, used: Usage, caller: tuple[str, str]) -> None:
        """Count a call that was answered from the journal.

        Args:
            used: What it cost when it was made.
            caller: (role, predictor) that makes it again.

        Raises:
            BudgetExhaustedError: Recalled calls count, and a limit is reached.
        """
        with self._lock:
            self.recalled += 1
        if self.count_recalled:
            self.reserve()
            self.release(used, caller)

    def take(self) -> dict[tuple[str, str], Usage]:
        """What was used since the last `take`, by (role, predictor): each call is taken once."""
        with self._lock:
            taken, self._not_taken = self._not_taken, {}
            return taken

    def usage(self, model: str, response: Response) -> Usage:
        """The usage of one response, priced if a price is known."""
        reported = response.usage
        used = Usage(1, reported.input_tokens or 0, reported.output_tokens or 0)
        if price := self.prices.get(model):
            used.usd = (used.input_tokens * price.input + used.output_tokens * price.output) / 1e6
        return used
