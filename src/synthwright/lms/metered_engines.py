"""The engines around an LM of a run: independent draws, the journal, retries, exact usage, budgets, truncation."""

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, cast
from weakref import WeakKeyDictionary

import dspy
from dspy import lm15
from dspy.lm15 import Request, Response
from dspy.utils.exceptions import LMRateLimitError, LMServerError, LMTimeoutError, LMTransportError

from synthwright.errors import ConfigError, TruncatedResponseError
from synthwright.lms.budgets import Meter, Retry, Usage
from synthwright.lms.calls import EngineLM, UnreachableError, raw_prompt
from synthwright.lms.concurrency import AdaptiveLimit
from synthwright.lms.journal import Journal, call_key
from synthwright.lms.scopes import Scope, current_scope, request_digest, with_seed

__all__ = ["TICKETS", "AsyncMeteredEngine", "CallLimit", "MeteredEngine"]

_log = logging.getLogger("synthwright.lms")

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
_REFUSED = (lm15.RateLimitError, LMRateLimitError)
_UNAVAILABLE = (*_REFUSED, UnreachableError)

TICKETS: ContextVar[Iterator[int] | None] = ContextVar("synthwright_tickets", default=None)
"""Numbers of the call that is being made among equal ones, drawn before DSPy prepares it."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A request on its way, and who makes it."""

    request: Request
    digest: str
    key: bytes
    scope: Scope | None
    caller: tuple[str, str]


class _Metered:
    """What the sync and the asyncio engine share."""

    def __init__(self, lm: dspy.BaseLM, role: str, meter: Meter, retry: Retry, journal: Journal | None) -> None:
        self.lm, self.role, self.meter, self.retry, self.journal = lm, role, meter, retry, journal
        self.supports_response_schema = bool(lm.supports_response_schema)
        self.supports_function_calling = bool(lm.supports_function_calling)
        self.supports_reasoning = bool(lm.supports_reasoning)
        self.supported_params = frozenset(lm.supported_params)
        self.supports_raw = isinstance(lm, EngineLM) and bool(getattr(lm.engine, "supports_raw", False))
        self.endpoint = _endpoint(lm)
        self._jitter = random.Random()

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt text that the LM's own chat template makes of messages."""
        return cast(Any, self.lm).engine.template(messages)

    def _prepare(self, request: Request, digest: str = "", caller: int | None = None) -> _Call:
        """Draw the call's sampling seed, and find its key in the journal."""
        scope, tickets = current_scope(), TICKETS.get()
        if scope is None and self.journal is None:
            return _Call(request, "", b"", None, (self.role, ""))
        digest = digest or request_digest(request)
        if scope is not None and request.config.seed is None:
            request = with_seed(request, scope.sampling_seed(digest, next(tickets or scope.tickets(digest))))
        key = call_key(request, digest, self.lm.model, self.endpoint) if self.journal is not None else b""
        return _Call(request, digest, key, scope, scope.caller(self.role, caller) if scope else (self.role, ""))

    def _recall(self, call: _Call) -> Response | None:
        """The answer of an earlier, equal call."""
        if self.journal is None or (response := self.journal.get(call.key)) is None:
            return None
        used = self.meter.usage(self.lm.model, response)
        self.meter.recall(used, call.caller)
        if call.scope is not None:
            call.scope.book(call.caller, used)
        return self._whole(call, response)

    def _failed(self, call: _Call, error: BaseException, attempt: int, started: float) -> float | None:
        """Book a failed attempt; returns seconds to wait before the next one, or None if there is none."""
        _log.debug("Attempt %d of a call of %s to %s failed: %r", attempt + 1, call.caller, self.lm.model, error)
        if isinstance(error, Exception):  # not one that was cancelled
            self.meter.last_error = error
        self._book(call, Usage(calls=1))
        if self.retry.attempts == 1 or not isinstance(error, _RETRYABLE):
            return None
        if isinstance(error, _UNAVAILABLE):  # it says nothing about the call, which may be repeated for longer
            if time.monotonic() - started >= self.retry.patience:
                return None
        elif attempt + 1 >= self.retry.attempts:
            return None
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            return min(max(float(asked), 0.0), self.retry.cap)
        return self._jitter.uniform(0, min(self.retry.cap, self.retry.base * 2 ** min(attempt, 30)))

    def _answered(self, call: _Call, response: Response) -> Response:
        self.meter.last_error = None
        self._book(call, self.meter.usage(self.lm.model, response))
        if self.journal is not None and len(response.message.parts) == 1:
            self.journal.put(call.key, call.caller, call.request, call.digest, response)
        return self._whole(call, response)

    def _book(self, call: _Call, used: Usage) -> None:
        self.meter.release(used, call.caller)
        if call.scope is not None:
            call.scope.book(call.caller, used)

    def _whole(self, call: _Call, response: Response) -> Response:
        if response.finish_reason == "length" and raw_prompt(call.request) is None:
            raise TruncatedResponseError(
                response.message.text or "", max_tokens=call.request.config.max_tokens, model=self.lm.model
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
        call = self._prepare(request)
        if (response := self._recall(call)) is not None:
            return response
        attempt, started = 0, time.monotonic()
        while True:
            self.meter.reserve()
            try:
                if isinstance(self.lm, EngineLM):
                    response = cast(Any, self.lm.engine).complete(call.request)
                else:
                    bare, options = self._foreign(call.request)
                    response = _checked(self.lm(bare, **options), self.lm)
            except BaseException as error:
                pause = self._failed(call, error, attempt, started)
                if pause is None:
                    raise
                time.sleep(pause)
                attempt += 1
                continue
            return self._answered(call, response)


class CallLimit:
    """Calls in flight to one LM, on each event loop: a number that adapts to a server, and is fixed in this process.

    Args:
        lm: The LM.
        cap: Most calls in flight.
    """

    def __init__(self, lm: dspy.BaseLM, cap: int) -> None:
        self.cap = cap
        self.adaptive = not isinstance(lm, EngineLM) or bool(_endpoint(lm))
        self._limits: WeakKeyDictionary[asyncio.AbstractEventLoop, AdaptiveLimit] = WeakKeyDictionary()

    def here(self) -> AdaptiveLimit:
        """The limit of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._limits:
            self._limits[loop] = AdaptiveLimit(self.cap) if self.adaptive else AdaptiveLimit(self.cap, self.cap)
        return self._limits[loop]


class AsyncMeteredEngine(_Metered):
    """The asyncio engine: for runs."""

    def __init__(
        self, lm: dspy.BaseLM, role: str, meter: Meter, retry: Retry, journal: Journal | None, limit: CallLimit
    ) -> None:
        super().__init__(lm, role, meter, retry, journal)
        self.limit = limit
        self._under_way: dict[bytes, asyncio.Future[Response]] = {}

    async def complete(self, request: Request, digest: str = "", caller: int | None = None) -> Response:
        """Answer a request.

        Args:
            request: The request.
            digest: The request by `request_digest`, if it is at hand.
            caller: The `id` of the predictor, for calls that DSPy does not know of.
        """
        call = self._prepare(request, digest, caller)
        if (response := self._recall(call)) is not None:
            return response
        if not call.key:
            return await self._ask(call)
        while equal := self._under_way.get(call.key):  # a seed set by the user makes calls equal
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.wait([equal])
            if (response := self._recall(call)) is not None:
                return response
        mine = self._under_way[call.key] = asyncio.get_running_loop().create_future()
        try:
            return await self._ask(call)
        finally:
            del self._under_way[call.key]
            mine.cancel()

    async def _ask(self, call: _Call) -> Response:
        limit = self.limit.here()
        attempt, refused, started = 0, False, time.monotonic()
        while True:
            async with limit.slot(again=refused) as slot:
                self.meter.reserve()
                try:
                    if isinstance(self.lm, EngineLM):
                        response = await self.lm.async_engine.complete(call.request)
                    else:
                        bare, options = self._foreign(call.request)
                        response = _checked(await self.lm.acall(bare, **options), self.lm)
                except BaseException as error:
                    pause = self._failed(call, error, attempt, started)
                    if pause is None:
                        raise
                    if refused := isinstance(error, _REFUSED):
                        slot.refused(None if getattr(error, "retry_after", None) is None else pause)
                else:
                    if self.limit.adaptive:
                        slot.done()
                    return self._answered(call, response)
            if not refused:  # else the limit holds the next slot back until the server takes calls again
                await asyncio.sleep(pause)
            attempt += 1


def _endpoint(lm: dspy.BaseLM) -> str:
    """Where an LM is served, without what could be secret: an address is stored only as the hash of a key."""
    address = getattr(getattr(lm, "engine", None), "api_base", None) or lm.kwargs.get("api_base") or ""
    return str(address)


def _checked(response: Any, lm: dspy.BaseLM) -> Response:
    if not isinstance(response, Response):
        raise ConfigError(
            f"The LM {lm.model!r} ({type(lm).__name__}) answered a request with {type(response).__name__}, not with a "
            "dspy.lm15.Response. Use a dspy.LM, or give its backend as `dspy.LM(model, engine=..., async_engine=...)`."
        )
    return response
