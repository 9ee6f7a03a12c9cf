"""One layer around every LM of a run: independent draws, retries, exact usage, hard budgets, truncation."""

import asyncio
import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, cast
from weakref import WeakKeyDictionary

import dspy
from dspy import lm15
from dspy.lm15 import Request, Response
from dspy.utils.exceptions import LMRateLimitError, LMServerError, LMTimeoutError, LMTransportError

from synthwright.errors import BudgetExhaustedError, ConfigError, TruncatedResponseError
from synthwright.lms.calls import EngineLM, raw_prompt

__all__ = ["Budget", "Meter", "Price", "Retry", "Scope", "Usage", "draw_scope", "metered", "names_of"]

_RETRYABLE = (
    lm15.RateLimitError,
    lm15.ServerError,
    lm15.TimeoutError,
    lm15.TransportError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
)


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


@dataclass
class Scope:
    """One draw of one seed: what makes its samples its own, and what its calls used.

    Attributes:
        seed: Random seed of the run.
        key: Identity of the draw within the run, such as the index of the seed.
        predictors: Names of the program's predictors by the `id` of the object.
        used: Usage by (role, predictor name).
    """

    seed: int
    key: str
    predictors: Mapping[int, str] = field(default_factory=dict)
    used: dict[tuple[str, str], Usage] = field(default_factory=dict)
    _asked: Counter[Any] = field(default_factory=Counter)

    def draw(self, request: Request) -> Request:
        """The request with a sampling seed of its own.

        The seed is a hash of the run's seed, this scope's key, the request, and how often the same request was made
        in this scope before: k equal calls are k independent samples, and the same call in the same place of a run
        is always the same sample.
        """
        if request.config.seed is not None:
            return request
        content = repr((request.system, request.messages, request.config)).encode("utf-8", "backslashreplace")
        asked = hashlib.sha256(content).hexdigest()
        occurrence = next(_TICKETS.get() or self.tickets(asked))
        digest = hashlib.sha256(f"{self.seed}:{self.key}:{asked}:{occurrence}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") >> 1
        return replace(request, config=replace(request.config, seed=seed))

    def tickets(self, call: Hashable, count: int = 1) -> Iterator[int]:
        """Numbers for the next `count` samples of a call: how many equal ones were asked for before, and so on."""
        with _SCOPE_LOCK:
            first = self._asked[call]
            self._asked[call] += count
        return iter(range(first, first + count))

    def book(self, role: str, used: Usage) -> tuple[str, str]:
        """Add usage to that of the predictor that is calling; returns (role, predictor)."""
        callers = dspy.settings.caller_modules or []
        name = next((self.predictors[id(m)] for m in reversed(callers) if id(m) in self.predictors), "")
        with _SCOPE_LOCK:
            self.used.setdefault((role, name), Usage()).add(used)
        return role, name


_SCOPE_LOCK = threading.Lock()
_SCOPE: ContextVar[Scope | None] = ContextVar("synthwright_scope", default=None)
_TICKETS: ContextVar[Iterator[int] | None] = ContextVar("synthwright_tickets", default=None)


@contextmanager
def draw_scope(scope: Scope) -> Iterator[Scope]:
    """Make a scope current for the LM calls of this context (threads and tasks started in it included)."""
    token = _SCOPE.set(scope)
    try:
        yield scope
    finally:
        _SCOPE.reset(token)


class Meter:
    """Counts the calls of a run and refuses the one that would exceed its budget. Thread-safe.

    Args:
        budget: The limits; None for no limit.
        used: What earlier sessions of the same run used; it counts towards the budget.
        prices: US dollars by model name, for LMs that do not report a cost.
    """

    def __init__(
        self, budget: Budget | None = None, used: Usage | None = None, prices: Mapping[str, Price] | None = None
    ) -> None:
        self.budget = budget or Budget()
        self.used = Usage()
        if used:
            self.used.add(used)
        self.prices = dict(prices or {})
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._not_taken: dict[tuple[str, str], Usage] = {}

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


class _Metered:
    """What the sync and the asyncio engine share."""

    def __init__(self, lm: dspy.BaseLM, role: str, meter: Meter, retry: Retry) -> None:
        self.lm, self.role, self.meter, self.retry = lm, role, meter, retry
        self.supports_response_schema = bool(lm.supports_response_schema)
        self.supports_function_calling = bool(lm.supports_function_calling)
        self.supports_reasoning = bool(lm.supports_reasoning)
        self.supported_params = frozenset(lm.supported_params)
        self.supports_raw = isinstance(lm, EngineLM) and bool(getattr(lm.engine, "supports_raw", False))
        self._jitter = random.Random()

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt text that the LM's own chat template makes of messages."""
        return cast(Any, self.lm).engine.template(messages)

    def _pause(self, error: Exception, attempt: int) -> float | None:
        """Seconds to wait before the next attempt, or None if there is none."""
        if attempt + 1 >= self.retry.attempts or not isinstance(error, _RETRYABLE):
            return None
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            return min(max(float(asked), 0.0), self.retry.cap)
        return self._jitter.uniform(0, min(self.retry.cap, self.retry.base * 2**attempt))

    def _request(self, request: Request) -> tuple[Request, Scope | None]:
        scope = _SCOPE.get()
        return (scope.draw(request) if scope else request), scope

    def _book(self, scope: Scope | None, used: Usage) -> None:
        self.meter.release(used, scope.book(self.role, used) if scope is not None else (self.role, ""))

    def _finish(self, request: Request, response: Response, scope: Scope | None) -> Response:
        self._book(scope, self.meter.usage(self.lm.model, response))
        if response.finish_reason == "length" and raw_prompt(request) is None:
            raise TruncatedResponseError(
                response.message.text or "", max_tokens=request.config.max_tokens, model=self.lm.model
            )
        return response

    def _foreign(self, request: Request) -> tuple[Request, dict[str, Any]]:
        """How a draw reaches an LM that is not ours: by DSPy's `rollout_id`, which keeps its cache from joining draws.

        The seed itself is sent only to a custom engine that says it takes one: hosted APIs differ in that.
        """
        seed = request.config.seed
        takes_seed = "seed" in self.supported_params and not isinstance(getattr(self.lm, "engine", "auto"), str)
        bare = request if takes_seed else replace(request, config=replace(request.config, seed=None))
        return bare, {"rollout_id": seed}

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Metered":
        return self


class MeteredEngine(_Metered):
    """The sync engine: for optimizers and plain `forward` calls."""

    def complete(self, request: Request) -> Response:
        request, scope = self._request(request)
        attempt = 0
        while True:
            self.meter.reserve()
            try:
                if isinstance(self.lm, EngineLM):
                    response = cast(Any, self.lm.engine).complete(request)
                else:
                    bare, options = self._foreign(request)
                    response = _checked(self.lm(bare, **options), self.lm)
            except BaseException as error:
                self._book(scope, Usage(calls=1))
                pause = self._pause(error, attempt) if isinstance(error, Exception) else None
                if pause is None:
                    raise
                time.sleep(pause)
                attempt += 1
                continue
            return self._finish(request, response, scope)


class AsyncMeteredEngine(_Metered):
    """The asyncio engine: for runs. At most `limit` calls are in flight at a time on an event loop."""

    def __init__(self, lm: dspy.BaseLM, role: str, meter: Meter, retry: Retry, limit: int) -> None:
        super().__init__(lm, role, meter, retry)
        self.limit = limit
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def complete(self, request: Request) -> Response:
        request, scope = self._request(request)
        slots = self._slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.limit))
        attempt = 0
        while True:
            async with slots:
                self.meter.reserve()
                try:
                    if isinstance(self.lm, EngineLM):
                        response = await self.lm.async_engine.complete(request)
                    else:
                        bare, options = self._foreign(request)
                        response = _checked(await self.lm.acall(bare, **options), self.lm)
                except BaseException as error:
                    self._book(scope, Usage(calls=1))
                    pause = self._pause(error, attempt) if isinstance(error, Exception) else None
                    if pause is None:
                        raise
                else:
                    return self._finish(request, response, scope)
            await asyncio.sleep(pause)
            attempt += 1


class MeteredLM(dspy.LM):
    """The LM that the predictors of a run see: its engines are metered, and equal calls are numbered as they are made.

    DSPy prepares a call on a worker thread, so that calls gathered at once reach the engine in any order. Numbered
    here, before that, the first of them is always the first draw.
    """

    def __call__(self, prompt: Any = None, *, messages: Any = None, **options: Any) -> Any:
        with self._numbered(prompt, messages, options):
            return super().__call__(prompt, messages=messages, **options)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **options: Any) -> Any:
        with self._numbered(prompt, messages, options):
            return await super().acall(prompt, messages=messages, **options)

    @contextmanager
    def _numbered(self, prompt: Any, messages: Any, options: dict[str, Any]) -> Iterator[None]:
        scope, tickets = _SCOPE.get(), None
        if scope is not None:
            merged = {**self.kwargs, **options}
            count = merged.get("n")
            tickets = scope.tickets(hash(repr((prompt, messages, merged))), count if isinstance(count, int) else 1)
        token = _TICKETS.set(tickets)
        try:
            yield
        finally:
            _TICKETS.reset(token)


def _checked(response: Any, lm: dspy.BaseLM) -> Response:
    if not isinstance(response, Response):
        raise ConfigError(
            f"The LM {lm.model!r} ({type(lm).__name__}) answered a request with {type(response).__name__}, not with a "
            "dspy.lm15.Response. Use a dspy.LM, or give its backend as `dspy.LM(model, engine=..., async_engine=...)`."
        )
    return response


def metered(lm: dspy.BaseLM, *, role: str, meter: Meter, retry: Retry | None = None, limit: int = 64) -> dspy.LM:
    """An LM with the same sampling whose calls are drawn, retried, counted and limited.

    Args:
        lm: Any LM of DSPy.
        role: Role under which usage is booked.
        meter: The counter of the run.
        retry: How failed calls are repeated.
        limit: Calls in flight at a time through the asyncio engine.

    Raises:
        ConfigError: A budget in US dollars is set and nothing is known of this LM's price.
    """
    retry = retry or Retry()
    free = isinstance(lm, EngineLM) and lm.model.startswith("embedded/")
    if meter.budget.usd is not None and not free and lm.model not in meter.prices:
        raise ConfigError(
            f"A budget of {meter.budget.usd:g} US dollars cannot be kept: the price of {lm.model!r} is not known. "
            "Give it as `prices={model: Price(input=..., output=...)}` (dollars for a million tokens)."
        )
    sampling = {name: value for name, value in lm.kwargs.items() if name not in _CONNECTION}
    if "max_tokens" not in sampling:  # DSPy renames it for reasoning models, and would do so again
        sampling["max_tokens"] = sampling.pop("max_completion_tokens", None)
    return MeteredLM(
        lm.model,
        engine=MeteredEngine(lm, role, meter, retry),
        async_engine=AsyncMeteredEngine(lm, role, meter, retry, limit),
        cache=False,
        num_retries=0,
        **sampling,
    )


_CONNECTION = {"api_key", "api_base", "base_url", "timeout", "headers", "extra_headers", "api_version", "rollout_id"}


def names_of(program: dspy.Module) -> dict[int, str]:
    """Names of the sub-modules of a program by the `id` of the object, for `Scope.predictors`.

    Predictors go by their name without the `.predict` that `ChainOfThought` adds.
    """
    named = ((name, module) for name, module in program.named_sub_modules() if module is not program)
    return {id(module): name.removeprefix("self.").removesuffix(".predict") for name, module in named}
