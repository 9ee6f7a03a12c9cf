"""The LM that the predictors of a run see: its engines are metered, and plain calls skip DSPy's preparation."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.clients.errors import wrap_error
from dspy.lm15 import Config, Message, Request, request_from_openai_chat

from synthwright.errors import ConfigError
from synthwright.lms.budgets import Meter, Retry
from synthwright.lms.calls import EngineLM
from synthwright.lms.journal import Journal
from synthwright.lms.metered_engines import TICKETS, AsyncMeteredEngine, CallLimit, MeteredEngine
from synthwright.lms.scopes import config_text, current_scope, digest_part, request_digest, twin_of

__all__ = ["MeteredLM", "metered"]

_DIRECT = {"temperature", "max_tokens", "top_p", "stop", "presence_penalty", "frequency_penalty", "response_format"}
"""Arguments of a call that needs nothing else of DSPy than its answer."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A request without its last turn: the digest up to there, and what sampling adds to it."""

    head: list[dict[str, Any]]
    format: Any
    request: Request
    digest: Any
    sampling: bytes


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

    def _form(self, head: list[dict[str, Any]], options: dict[str, Any]) -> _Form | None:
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
        token = TICKETS.set(tickets)
        try:
            yield
        finally:
            TICKETS.reset(token)


@lru_cache(maxsize=512)
def _message(role: str, text: str) -> Message:
    """A turn that recurs in every call of a predictor: one of a demonstration."""
    return Message(role=cast(Any, role), parts=Message.user(text).parts)


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
