"""OpenTelemetry spans of a run, and what is logged."""

import json
import logging

import dspy
import pytest
from dspy import lm15
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from riddles import Riddle, Riddles

import synthwright as sw
from synthwright.lms.tracing import CONTENT_ENV, tracer
from synthwright.testing import ScriptedLM


class SyncRiddles(Riddles):
    aforward = sw.Generator.aforward

    def forward(self, word: str) -> dspy.Prediction:
        return dspy.Prediction(rows=[Riddle(word=word, riddle=self.write(word=word).riddle)])


@pytest.fixture
def spans(monkeypatch):
    """A function that gives the finished spans by name; OpenTelemetry is set up for this test alone."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    def finished(beginning):
        return [span for span in exporter.get_finished_spans() if span.name.startswith(beginning)]

    return finished


WORDS = [{"word": word} for word in ("snow", "tide", "loaf")]
ANSWER = {"write": {"riddle": "I fall."}}


def run(tmp_path, answers=None, generator=None, **options):
    lm = ScriptedLM(answers or ANSWER)
    options.setdefault("seeds", WORDS)
    return sw.generate(generator or Riddles(), lms=lm, out=tmp_path / "run", **options)


def test_nothing_is_traced_unless_an_sdk_is_set_up(tmp_path):
    assert tracer() is None
    assert len(run(tmp_path)) == 3


@pytest.mark.parametrize("generator", [Riddles(), SyncRiddles()], ids=["async", "sync"])
def test_a_run_has_a_span_with_seeds_below_and_calls_below_those(spans, tmp_path, generator):
    run(tmp_path, generator=generator)
    (whole,) = spans("synthwright.run")
    assert whole.attributes["synthwright.rows"] == 3 and whole.attributes["synthwright.method"] == generator.stem()
    seeds, calls = spans("synthwright.seed"), spans("chat scripted")
    assert [span.attributes["synthwright.seed.index"] for span in seeds] == [0, 1, 2]
    assert all(span.parent.span_id == whole.context.span_id for span in seeds)
    assert {span.parent.span_id for span in calls} == {span.context.span_id for span in seeds}
    call = calls[0].attributes
    assert calls[0].kind is SpanKind.CLIENT and len(calls) == 3
    assert call["gen_ai.operation.name"] == "chat" and call["gen_ai.request.model"] == "scripted"
    assert call["gen_ai.usage.input_tokens"] == 10 and call["gen_ai.usage.output_tokens"] == 5
    assert call["gen_ai.response.finish_reasons"] == ("stop",) and call["synthwright.predictor"] == "write"
    assert call["synthwright.role"] == "generator" and len({c.attributes["gen_ai.request.seed"] for c in calls}) == 3
    assert not any("messages" in name for name in call)  # no text unless asked for


def test_the_run_is_part_of_the_callers_trace(spans, tmp_path):
    ours = trace.get_tracer_provider().get_tracer("test")
    with ours.start_as_current_span("experiment") as outer:
        run(tmp_path)
    assert spans("synthwright.run")[0].parent.span_id == outer.get_span_context().span_id


def test_texts_are_recorded_on_request(spans, tmp_path, monkeypatch):
    monkeypatch.setenv(CONTENT_ENV, "true")
    run(tmp_path)
    call = spans("chat")[0].attributes
    asked, said = json.loads(call["gen_ai.input.messages"]), json.loads(call["gen_ai.output.messages"])
    assert asked[0]["role"] == "system" and "snow" in asked[-1]["parts"][0]["content"]
    assert json.loads(said[0]["parts"][0]["content"]) == {"riddle": "I fall."}


def test_what_is_answered_from_the_journal_says_so(spans, tmp_path):
    run(tmp_path)
    sw.generate(Riddles(), seeds=WORDS, lms=ScriptedLM({}), out=tmp_path / "b", journal=tmp_path / "run")
    assert [span.attributes.get("synthwright.recalled") for span in spans("chat")] == [None] * 3 + [True] * 3


def test_repeated_and_failed_calls_are_marked(spans, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="synthwright")
    answers = {"write": [lm15.ServerError("busy"), {"riddle": "I fall."}, lm15.AuthError("no key")]}
    retry = sw.Retry(attempts=2, base=0.001)
    run(tmp_path, answers, seeds=WORDS[:2], concurrency=1, retry=retry)
    first, second = spans("chat")
    (event,) = first.events
    assert event.name == "synthwright.attempt_failed" and event.attributes["error.type"] == "ServerError"
    assert first.status.status_code is StatusCode.UNSET
    assert second.status.status_code is StatusCode.ERROR and second.attributes["error.type"] == "AuthError"
    assert "no key" not in str(second.status.description)  # an error may quote the text
    assert spans("synthwright.seed")[1].status.status_code is StatusCode.ERROR
    messages = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert any(n == "synthwright.lms" and level == "DEBUG" and "ServerError" in text for n, level, text in messages)


def test_what_is_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="synthwright")
    run(tmp_path, n=2)
    begun, ended = [r.getMessage() for r in caplog.records if r.name == "synthwright.runs"]
    assert begun.startswith("riddles begins in ") and "0 rows there, 2 wanted" in begun
    assert "2 rows, 2 calls, 30 tokens" in ended and "all rows asked for are there" in ended
    assert not logging.getLogger("synthwright").handlers and not logging.getLogger("synthwright.runs").handlers
