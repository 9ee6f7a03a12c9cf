"""OpenTelemetry: a span for the run, below it one for each seed, below that one for each LM call.

Off unless the program has set up an OpenTelemetry SDK, that is a tracer provider of its own; then nothing else is
needed. Names follow the semantic conventions for generative AI clients, version 1.37; what is ours begins with
`synthwright.`. Texts are recorded only if `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is `true`, as in other
instrumentations.
"""

import json
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from dspy.lm15 import Request, Response

from synthwright.lms.calls import raw_prompt
from synthwright.lms.metered import MeteredLM

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["CONTENT_ENV", "observe", "run_span", "seed_span", "tracer"]

CONTENT_ENV = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

T = TypeVar("T")


def tracer() -> "Tracer | None":
    """Our tracer, or None if OpenTelemetry is not installed or no SDK is set up."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return provider.get_tracer("synthwright")


@contextmanager
def run_span(method: str, facts: Mapping[str, Any], result: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """The span of a run.

    Args:
        method: Name of the method.
        facts: Attributes that are known when it begins.
        result: Gives those that are known when it ends.
    """
    ours = tracer()
    if ours is None:
        yield
        return
    with ours.start_as_current_span(f"synthwright.run {method}", attributes=_attributes(facts)) as span:
        try:
            yield
        finally:
            span.set_attributes(_attributes(result()))


async def _in_seed_span(ours: "Tracer", index: int, work: Coroutine[Any, Any, Any]) -> Any:
    with ours.start_as_current_span("synthwright.seed", attributes={"synthwright.seed.index": index}) as span:
        outcome = await work
        span.set_attributes(
            {
                "synthwright.seed.rows": len(outcome.rows),
                "synthwright.seed.rejected": len(outcome.rejected),
            }
        )
        if outcome.error is not None:
            span.set_attribute("error.type", type(outcome.exception).__name__)
            _mark_failed(span, outcome.error)
        return outcome


def seed_span(index: int, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """The work of a seed within a span of its own, or as it is if nobody traces."""
    ours = tracer()
    return work if ours is None else _in_seed_span(ours, index, work)


def observe(lms: Mapping[str, MeteredLM]) -> None:
    """Put a span around every call of these LMs, if anybody traces."""
    ours = tracer()
    if ours is None:
        return
    for role, lm in lms.items():
        for engine in (lm._metered, lm._async_metered):
            _note_steps(engine)
        _trace_sync(ours, role, lm)
        _trace_async(ours, role, lm)


def _trace_sync(ours: "Tracer", role: str, lm: MeteredLM) -> None:
    engine: Any = lm._metered
    complete = engine.complete

    def traced(request: Request, *args: Any) -> Response:
        with _call_span(ours, role, lm, request) as span:
            return _answered(span, complete(request, *args))

    engine.complete = traced


def _trace_async(ours: "Tracer", role: str, lm: MeteredLM) -> None:
    engine: Any = lm._async_metered
    complete = engine.complete

    async def traced(request: Request, *args: Any) -> Response:
        with _call_span(ours, role, lm, request) as span:
            return _answered(span, await complete(request, *args))

    engine.complete = traced


def _note_steps(engine: Any) -> None:
    """Have the engine tell the current span who calls, whether the answer was recorded before, and what is repeated."""
    from opentelemetry import trace

    prepare, recall, failed = engine._prepare, engine._recall, engine._failed

    def noted_prepare(*args: Any) -> Any:
        call = prepare(*args)
        noted = {"synthwright.predictor": call.caller[1], "gen_ai.request.seed": call.request.config.seed}
        trace.get_current_span().set_attributes(_attributes(noted))
        return call

    def noted_recall(call: Any) -> Any:
        response = recall(call)
        if response is not None:
            trace.get_current_span().set_attribute("synthwright.recalled", True)
        return response

    def noted_failed(call: Any, error: BaseException, attempt: int, started: float) -> float | None:
        pause = failed(call, error, attempt, started)
        facts = {"error.type": type(error).__name__, "synthwright.attempt": attempt + 1, "synthwright.pause": pause}
        trace.get_current_span().add_event("synthwright.attempt_failed", _attributes(facts))
        return pause

    engine._prepare, engine._recall, engine._failed = noted_prepare, noted_recall, noted_failed


@contextmanager
def _call_span(ours: "Tracer", role: str, lm: MeteredLM, request: Request) -> Iterator["Span"]:
    from opentelemetry.trace import SpanKind

    raw = raw_prompt(request)
    operation = "chat" if raw is None else "text_completion"
    provider, _, model = lm.model.rpartition("/")
    config = request.config
    facts = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider.partition("/")[0] or "_OTHER",
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": config.temperature,
        "gen_ai.request.top_p": config.top_p,
        "gen_ai.request.max_tokens": config.max_tokens,
        "synthwright.role": role,
    }
    if _captures_content():
        facts["gen_ai.input.messages"] = _said(request, raw)
    with ours.start_as_current_span(
        f"{operation} {model}", kind=SpanKind.CLIENT, attributes=_attributes(facts), set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            _mark_failed(span, str(error) if _captures_content() else type(error).__name__)
            raise


def _answered(span: "Span", response: Response) -> Response:
    usage = response.usage
    facts = {
        "gen_ai.response.model": response.model,
        "gen_ai.response.id": response.id,
        "gen_ai.response.finish_reasons": [response.finish_reason] if response.finish_reason else None,
        "gen_ai.usage.input_tokens": getattr(usage, "input_tokens", None),
        "gen_ai.usage.output_tokens": getattr(usage, "output_tokens", None),
    }
    if _captures_content():
        said = {"role": "assistant", "parts": [{"type": "text", "content": response.message.text or ""}]}
        facts["gen_ai.output.messages"] = json.dumps([said], ensure_ascii=False)
    span.set_attributes(_attributes(facts))
    return response


def _said(request: Request, raw: str | None) -> str:
    """The messages of a request as the conventions write them."""
    if raw is not None:
        turns = [("user", raw)]
    else:
        turns = [("system", str(request.system))] if request.system else []
        turns += [(message.role, message.text or "") for message in request.messages]
    messages = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in turns]
    return json.dumps(messages, ensure_ascii=False)


def _mark_failed(span: "Span", text: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, text))


def _captures_content() -> bool:
    return os.environ.get(CONTENT_ENV, "").strip().lower() == "true"


def _attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without those that have no value."""
    return {name: value for name, value in facts.items() if value is not None and value != ""}
