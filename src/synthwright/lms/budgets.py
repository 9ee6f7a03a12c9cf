"""What LM calls cost and may cost: usage, prices, hard budgets."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dspy.lm15 import Response

from synthwright.errors import BudgetExhaustedError, ConfigError

__all__ = ["Budget", "Meter", "Price", "Retry", "Usage"]


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
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0


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


class Meter:
    """Counts the calls of a run and refuses the one that would exceed its budget. Thread-safe.

    Args:
        budget: The limits; None for no limit.
        used: What earlier sessions of the same run used; it counts towards the budget.
        prices: US dollars by model name, for LMs that do not report a cost.
        changed: Called after each booked call, possibly from another thread.

    Attributes:
        used: What was used so far.
        recalled: Calls answered from the journal in this session; they cost nothing and are not in `used`.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        used: Usage | None = None,
        prices: Mapping[str, Price] | None = None,
        changed: Callable[[], None] | None = None,
    ) -> None:
        self.budget = budget or Budget()
        self.used = Usage()
        if used:
            self.used.add(used)
        self.prices, self.changed = dict(prices or {}), changed
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._not_taken: dict[tuple[str, str], Usage] = {}
        self.recalled = 0

    def reserve(self) -> None:
        """Take leave for one call.

        Raises:
            BudgetExhaustedError: A limit is reached.
        """
        limit = self.budget
        with self._lock:
            spent = (
                ("calls", self.used.calls + self._in_flight, limit.calls),
                ("tokens", self.used.tokens, limit.tokens),
                ("usd", self.used.usd, limit.usd),
                ("seconds", time.monotonic() - self.started, limit.seconds),
            )
            for name, value, most in spent:
                if most is not None and value >= most:
                    raise BudgetExhaustedError(f"the budget of {most:g} {name} is used up")
            self._in_flight += 1

    def release(self, used: Usage, caller: tuple[str, str] = ("", "")) -> None:
        """Give back the leave and book what the call used; a failed call is a call without tokens.

        Args:
            used: Usage of the call.
            caller: (role, predictor) to book it under.
        """
        with self._lock:
            self._in_flight -= 1
            self.used.add(used)
            self._not_taken.setdefault(caller, Usage()).add(used)
        if self.changed is not None:
            self.changed()

    def recall(self) -> None:
        """Count a call that was answered from the journal and costs nothing."""
        with self._lock:
            self.recalled += 1

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
