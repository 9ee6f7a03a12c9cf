"""Spans of worker processes: a worker hands them over with what its seed gave, and the run makes them anew.

So they leave by the exporters that the program has set up, and nothing has to be set up in a worker. Unless importing
the generator's modules sets up an OpenTelemetry SDK there too: then that one exports the worker's spans, as children
of the seed's span of the run.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthwright.lms.tracing import tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanKind, Status

__all__ = ["EndedSpan", "collect_spans", "current_trace", "flush_spans", "in_trace", "remake"]

_ENDED = "synthwright.ended_spans"  # key of the list in OpenTelemetry's context


@dataclass(frozen=True)
class EndedSpan:
    """A span as it goes from process to process; times in nanoseconds since the epoch."""

    id: int
    parent: int | None
    library: tuple[str, str | None]
    name: str
    kind: "SpanKind"
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any], int]]
    status: "Status"
    begin: int
    end: int


def current_trace() -> dict[str, str] | None:
    """The current span as the propagators write it (`traceparent`), for a worker; None if nobody traces."""
    if tracer() is None:
        return None
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def collect_spans() -> None:
    """Have this process keep its spans for `in_trace`, unless it has an SDK of its own."""
    if tracer() is not None:
        return
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON
    except ImportError:
        return  # the run is traced by another implementation of the API

    class Collector(SpanProcessor):
        def on_end(self, span: "ReadableSpan") -> None:
            from opentelemetry import context

            ended: Any = context.get_value(_ENDED)
            if ended is not None:
                ended.append(_ended(span))

    provider = TracerProvider(sampler=DEFAULT_ON)  # the sampler of the run has decided
    provider.add_span_processor(Collector())
    trace.set_tracer_provider(provider)


@contextmanager
def in_trace(carrier: Mapping[str, str] | None) -> Iterator[list[EndedSpan]]:
    """Go on with a span of another process; gives the list of the spans that end meanwhile.

    Args:
        carrier: What `current_trace` gave there.
    """
    ended: list[EndedSpan] = []
    if carrier is None:
        yield ended
        return
    from opentelemetry import context, propagate

    token = context.attach(context.set_value(_ENDED, ended, propagate.extract(carrier)))
    try:
        yield ended
    finally:
        context.detach(token)


def remake(spans: list[EndedSpan]) -> None:
    """Make the spans of a worker in this process, below the current one."""
    if not spans:
        return
    from opentelemetry import trace

    provider, contexts = trace.get_tracer_provider(), {}
    for each in sorted(spans, key=lambda span: (span.begin, -span.end)):  # parents before their children
        span = provider.get_tracer(*each.library).start_span(
            each.name, contexts.get(each.parent), kind=each.kind, attributes=each.attributes, start_time=each.begin
        )
        contexts[each.id] = trace.set_span_in_context(span)
        for name, attributes, time in each.events:
            span.add_event(name, attributes, time)
        span.set_status(each.status)
        span.end(each.end)


def flush_spans() -> None:
    """Have an SDK of this process export what it holds: a worker ends without the usual farewell."""
    if tracer() is not None:
        from opentelemetry import trace

        flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if callable(flush):
            flush()


def _ended(span: "ReadableSpan") -> EndedSpan:
    scope = span.instrumentation_scope
    return EndedSpan(
        id=span.context.span_id if span.context is not None else 0,
        parent=span.parent.span_id if span.parent is not None else None,
        library=(scope.name, scope.version) if scope is not None else ("synthwright", None),
        name=span.name,
        kind=span.kind,
        attributes=dict(span.attributes or {}),
        events=[(event.name, dict(event.attributes or {}), event.timestamp) for event in span.events],
        status=span.status,
        begin=span.start_time or 0,
        end=span.end_time or 0,
    )
