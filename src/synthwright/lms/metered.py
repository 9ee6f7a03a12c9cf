"""One layer around every LM of a run: independent draws, the journal, retries, exact usage, budgets, truncation."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast
from weakref import WeakKeyDictionary

import dspy
from dspy import lm15
from dspy.clients._deprecation import adapter_message_call
from dspy.clients.errors import wrap_error
from dspy.lm15 import Config, Message, Request, Response, request_from_openai_chat
from dspy.utils.exceptions import LMRateLimitError, LMServerError, LMTimeoutError, LMTransportError

from synthwright.errors import ConfigError, TruncatedResponseError
from synthwright.lms.budgets import Meter, Retry, Usage
from synthwright.lms.calls import EngineLM, UnreachableError, raw_prompt
from synthwright.lms.concurrency import AdaptiveLimit
from synthwright.lms.journal import Journal, call_key
from synthwright.lms.scopes import Scope, config_text, current_scope, digest_part, request_digest, twin_of, with_seed

__all__ = ["CallLimit", "MeteredLM", "metered"]

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
_TICKETS: ContextVar[Iterator[int] | None] = ContextVar("synthwright_tickets", default=None)
_DIRECT = {"temperature", "max_tokens", "top_p", "stop", "presence_penalty", "frequency_penalty", "response_format"}
"""Arguments of a call that needs nothing else of DSPy than its answer."""


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

    def _prepare(self, request: Request, digest: str = "", caller: int | None = None) -> "_Call":
        """Draw the call's sampling seed, and find its key in the journal."""
        scope, tickets = current_scope(), _TICKETS.get()
        if scope is None and self.journal is None:
            return _Call(request, "", b"", None, (self.role, ""))
        digest = digest or request_digest(request)
        if scope is not None and request.config.seed is None:
            request = with_seed(request, scope.sampling_seed(digest, next(tickets or scope.tickets(digest))))
        key = call_key(request, digest, self.lm.model, self.endpoint) if self.journal is not None else b""
        return _Call(request, digest, key, scope, scope.caller(self.role, caller) if scope else (self.role, ""))

    def _recall(self, call: "_Call") -> Response | None:
        """The answer of an earlier, equal call."""
        if self.journal is None or (response := self.journal.get(call.key)) is None:
            return None
        used = self.meter.usage(self.lm.model, response)
        self.meter.recall(used, call.caller)
        if call.scope is not None:
            call.scope.book(call.caller, used)
        return self._whole(call, response)

    def _failed(self, call: "_Call", error: BaseException, attempt: int, started: float) -> float | None:
        """Book a failed attempt; returns seconds to wait before the next one, or None if there is none."""
        _log.debug("Attempt %d of a call of %s to %s failed: %r", attempt + 1, call.caller, self.lm.model, error)
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

    def _answered(self, call: "_Call", response: Response) -> Response:
        self._book(call, self.meter.usage(self.lm.model, response))
        if self.journal is not None and len(response.message.parts) == 1:
            self.journal.put(call.key, call.caller, call.request, call.digest, response)
        return self._whole(call, response)

    def _book(self, call: "_Call", used: Usage) -> None:
        self.meter.release(used, call.caller)
        if call.scope is not None:
            call.scope.book(call.caller, used)

    def _whole(self, call: "_Call", response: Response) -> Response:
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


@dataclass(frozen=True, slots=True)
class _Call:
    """A request on its way, and who makes it."""

    request: Request
    digest: str
    key: bytes
    scope: Scope | None
    caller: tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Form:
    """A request without its last turn: the digest up to there, and what sampling adds to it."""

    head: list[dict[str, Any]]
    format: Any
    request: Request
    digest: Any
    sampling: bytes


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


class MeteredLM(dspy.LM):
    """The LM that the predictors of a run see: its engines are metered, and equal calls are numbered as they are made.

    DSPy prepares a call on a worker thread, so that calls gathered at once reach the engine in any order. Numbered
    here, before that, the first of them is always the first draw. Plain calls that nobody observes skip DSPy's
    preparation, which costs two thread hops and several copies of the request; the request is the same.
    """

    def __init__(self, model: str, engine: MeteredEngine, async_engine: AsyncMeteredEngine, **sampling: Any) -> None:
        super().__init__(model, engine=engine, async_engine=async_engine, cache=False, num_retries=0, **sampling)
        self._metered, self._async_metered = engine, async_engine
        self._configs: dict[Any, tuple[Any, Config, str]] = {}
        self._forms: dict[Any, _Form] = {}
        self._context_free = bool(getattr(getattr(engine.lm, "async_engine", None), "context_free", False))

    @property
    def supports_response_schema(self) -> bool:
        return self._metered.supports_response_schema

    @property
    def supported_params(self) -> Any:
        return self._metered.supported_params

    @property
    def weak(self) -> bool:
        """Whether the model needs demonstrations to follow a signature."""
        return bool(getattr(self._metered.lm, "weak", False))

    def takes(self, options: Mapping[str, Any]) -> bool:
        """Whether a predictor with these options may call directly: the engine need not know who it is."""
        if not self._context_free or not options.keys() <= _DIRECT:
            return False
        return all(name in _DIRECT or value is None for name, value in self.kwargs.items())

    def unobserved(self) -> bool:
        """Whether nobody listens to single calls: no callbacks, history, usage tracking or streams of DSPy."""
        settings = dspy.settings
        observed = self.callbacks or settings.callbacks or settings.usage_tracker or settings.send_stream
        return not observed and bool(settings.disable_history)

    def __call__(self, prompt: Any = None, *, messages: Any = None, **options: Any) -> Any:
        with self._numbered(prompt, messages, options):
            return super().__call__(prompt, messages=messages, **options)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **options: Any) -> Any:
        if prompt is None and self.unobserved():
            return await self.answer(messages, options)
        return await self._by_dspy(prompt, messages, options)

    async def _by_dspy(self, prompt: Any, messages: Any, options: dict[str, Any]) -> Any:
        with self._numbered(prompt, messages, options), adapter_message_call(self, messages):
            return await super().acall(prompt, messages=messages, **options)

    async def answer(self, messages: Any, options: dict[str, Any], caller: int | None = None) -> Any:
        """What `acall` gives for messages, for callers who know that nobody observes the call."""
        prepared = self._direct(messages, options)
        if prepared is None:
            return await self._by_dspy(None, messages, options)
        request, sampling = prepared
        return await self._complete(request, request_digest(request, sampling), caller)

    async def answer_turn(
        self, head: list[dict[str, Any]], text: str, options: dict[str, Any], caller: int | None = None
    ) -> Any:
        """What `answer` gives for `head` and a user's turn; what depends on the head alone is made once.

        Args:
            head: The messages before the turn. It is known again by its identity, so it must not change.
            text: The turn.
            options: Sampling arguments of the call.
            caller: The `id` of the predictor, for calls that DSPy does not know of.
        """
        form = self._form(head, options)
        try:
            turn = Message.user(text) if form else None
            text.encode()
        except (TypeError, ValueError):
            turn = None  # DSPy has the message for it
        if form is None or turn is None:
            return await self.answer([*head, {"role": "user", "content": text}], options, caller)
        digest = form.digest.copy()
        digest.update(digest_part("user", text) + form.sampling)
        request = twin_of(form.request, messages=(*form.request.messages[:-1], turn))
        return await self._complete(request, digest.hexdigest(), caller)

    def _form(self, head: list[dict[str, Any]], options: dict[str, Any]) -> "_Form | None":
        """What calls with the same head and sampling have in common, or None if they must take DSPy's way."""
        format_ = options.get("response_format")
        key = (id(head), id(format_), *sorted((k, v) for k, v in options.items() if k != "response_format"))
        try:
            known = self._forms.get(key)
        except TypeError:  # an option that is a list
            return None
        if known is None or known.head is not head or known.format is not format_:
            prepared = self._direct([*head, {"role": "user", "content": "-"}], options)
            if prepared is None:
                return None
            request, sampling = prepared
            digest = hashlib.sha256(digest_part("system", request.system))
            for message in request.messages[:-1]:
                digest.update(digest_part(message.role, message.text))
            if len(self._forms) > 256:
                self._forms.clear()
            known = self._forms[key] = _Form(head, format_, request, digest, digest_part("config", sampling))
        return known

    async def _complete(self, request: Request, digest: str, caller: int | None) -> list[str]:
        try:
            response = await self._async_metered.complete(request, digest, caller)
        except Exception as error:
            wrapped = wrap_error(error, model=self.model)
            if wrapped is error:
                raise
            raise wrapped from error
        return [response.message.text or ""]

    def _direct(self, messages: Any, options: dict[str, Any]) -> tuple[Request, str] | None:
        """The request that DSPy would make of a plain call, with its sampling as text; None for any other call."""
        given = {name: value for name, value in {**self.kwargs, **options}.items() if value is not None}
        if not messages or not given.keys() <= _DIRECT or not all(isinstance(m.get("content"), str) for m in messages):
            return None
        system = messages[0]["content"] if messages[0]["role"] == "system" else None
        turns = messages[1:] if system is not None else messages
        if not turns or not system or any(turn["role"] not in ("user", "assistant") for turn in turns):
            return None
        try:
            turns[-1]["content"].encode()
            config, sampling = self._config(given)
            said = [_message(turn["role"], turn["content"]) for turn in turns[:-1]]
        except (TypeError, ValueError):
            return None  # DSPy has the message for it
        last = Message(role=turns[-1]["role"], parts=Message.user(turns[-1]["content"]).parts)
        return Request(self.model, messages=(*said, last), system=system, config=config), sampling

    def _config(self, given: dict[str, Any]) -> tuple[Config, str]:
        """DSPy's form of sampling arguments, built once for equal ones; schemas are compared by identity."""
        format_ = given.pop("response_format", None)
        key = (id(format_), *sorted(given.items()))
        known = self._configs.get(key)
        if known is None or known[0] is not format_:
            body = {"model": self.model, "messages": [{"role": "user", "content": "-"}], **given}
            if format_ is not None:
                body["response_format"] = format_
            config = request_from_openai_chat(body).config
            if len(self._configs) > 256:
                self._configs.clear()
            known = self._configs[key] = (format_, config, config_text(config))
        return known[1], known[2]

    @contextmanager
    def _numbered(self, prompt: Any, messages: Any, options: dict[str, Any]) -> Iterator[None]:
        scope, tickets = current_scope(), None
        if scope is not None:
            merged = {**self.kwargs, **options}
            merged.pop("rollout_id", None)  # of two rollouts the request is one: numbered apart, both were the first
            count = merged.get("n")
            tickets = scope.tickets(hash(repr((prompt, messages, merged))), count if isinstance(count, int) else 1)
        token = _TICKETS.set(tickets)
        try:
            yield
        finally:
            _TICKETS.reset(token)


@lru_cache(maxsize=512)
def _message(role: str, text: str) -> Message:
    """A turn that recurs in every call of a predictor: one of a demonstration."""
    return Message(role=cast(Any, role), parts=Message.user(text).parts)


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


def metered(
    lm: dspy.BaseLM,
    *,
    role: str,
    meter: Meter,
    retry: Retry | None = None,
    limit: CallLimit | int = 64,
    journal: Journal | None = None,
) -> MeteredLM:
    """An LM with the same sampling whose calls are drawn, recorded, retried, counted and limited.

    Args:
        lm: Any LM of DSPy.
        role: Role under which usage is booked.
        meter: The counter of the run.
        retry: How failed calls are repeated.
        limit: Most calls in flight through the asyncio engine, or the limit that it shares with other roles.
        journal: Where answers are recorded and looked up; None to do neither.

    Raises:
        ConfigError: A budget in US dollars is set and nothing is known of this LM's price.
    """
    retry = retry or Retry()
    limit = CallLimit(lm, limit) if isinstance(limit, int) else limit
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
        MeteredEngine(lm, role, meter, retry, journal),
        AsyncMeteredEngine(lm, role, meter, retry, journal, limit),
        **sampling,
    )


_CONNECTION = {"api_key", "api_base", "base_url", "timeout", "headers", "extra_headers", "api_version", "rollout_id"}
