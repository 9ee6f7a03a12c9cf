"""Spans of worker processes: with the run's SDK, and with one of their own."""

import json
import subprocess
import sys

import dspy
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import synthwright as sw
from synthwright.lms.tracing import CONTENT_ENV

# Names that the generator uses, which goes to workers by value, are imported where they are used.


class Note(sw.Row):
    topic: str
    text: str


class Notes(sw.Generator[Note]):
    """A note on each topic, within a span of its own and with an event; one topic is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict("topic -> text")

    async def aforward(self, topic: str) -> dspy.Prediction:
        from opentelemetry.trace import get_tracer

        if topic == "nothing":
            raise ValueError("there is nothing to say")
        with get_tracer("notes", "1.2").start_as_current_span("think") as span:
            span.add_event("thought", {"topic": topic})
            text = (await self.write.acall(topic=topic)).text
        return dspy.Prediction(rows=[Note(topic=topic, text=text)])


TOPICS = [{"topic": topic} for topic in ("snow", "tide", "nothing", "loaf")]


@pytest.fixture
def traced(monkeypatch):
    """A function that sets up OpenTelemetry for this test alone and gives the list that finished spans go to."""

    def set_up(**options):
        exporter = InMemorySpanExporter()
        provider = TracerProvider(**options)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
        return exporter.get_finished_spans

    return set_up


def run(out, stub, **options):
    lm = sw.openai_lm("stub", stub.base, concurrency=4)
    return sw.generate(Notes(), seeds=TOPICS, lms=lm, out=out, **options)


def tree(spans):
    """Each span without what differs from run to run, by its name and those above it."""
    by_id = {span.context.span_id: span for span in spans}

    def path(span):
        above = by_id.get(span.parent.span_id) if span.parent else None
        return (*(path(above) if above else ()), span.name)

    def described(span):
        own = ("synthwright.out", "gen_ai.response.id")
        facts = {key: value for key, value in span.attributes.items() if key not in own}
        events = [(event.name, dict(event.attributes)) for event in span.events if event.name != "exception"]
        library = span.instrumentation_scope
        return path(span), span.kind, facts, events, span.status.status_code, library.name, library.version

    return sorted(map(described, spans), key=str)


def test_spans_of_workers_are_those_of_one_process(traced, tmp_path, stub_server, monkeypatch):
    monkeypatch.setenv(CONTENT_ENV, "true")
    finished = traced()
    run(tmp_path / "two", stub_server, workers=2)
    two = finished()
    finished = traced()
    monkeypatch.setattr(trace, "get_tracer", lambda *library: trace.get_tracer_provider().get_tracer(*library))
    run(tmp_path / "one", stub_server)
    assert tree(two) == tree(finished())
    calls = [span for span in two if span.kind is SpanKind.CLIENT]
    (whole,) = (span for span in two if span.name.startswith("synthwright.run"))
    seeds = {span.context.span_id: span for span in two if span.name == "synthwright.seed"}
    thoughts = {span.context.span_id: span for span in two if span.name == "think"}
    assert len(calls) == len(thoughts) == 3 and len(seeds) == 4
    assert {span.context.trace_id for span in two} == {whole.context.trace_id}
    for call in calls:
        thought = thoughts[call.parent.span_id]
        seed = seeds[thought.parent.span_id]
        assert seed.start_time <= thought.start_time <= call.start_time < call.end_time <= thought.end_time
        assert thought.end_time <= seed.end_time and "gen_ai.output.messages" in call.attributes


def test_a_repeated_call_of_a_worker_has_its_event(traced, tmp_path, stub_server):
    finished = traced()
    stub_server.set(first=["503"])
    assert len(run(tmp_path, stub_server, workers=2, retry=sw.Retry(attempts=2, base=0.001))) == 3
    calls = [span for span in finished() if span.kind is SpanKind.CLIENT]
    (event,) = (event for call in calls for event in call.events)
    assert len(calls) == 3 and event.name == "synthwright.attempt_failed"
    assert event.attributes["error.type"] == "ServerError"


def test_a_call_that_fails_in_a_worker_is_marked(traced, tmp_path, stub_server):
    finished = traced()
    stub_server.set(shares={"500": 1.0})
    with pytest.raises(sw.SynthwrightError):
        run(tmp_path, stub_server, workers=2, retry=sw.Retry(attempts=1))
    calls = [span for span in finished() if span.kind is SpanKind.CLIENT]
    assert calls and {call.status.status_code for call in calls} == {StatusCode.ERROR}


def test_a_run_that_is_not_sampled_has_no_spans_of_workers(traced, tmp_path, stub_server):
    finished = traced(sampler=ALWAYS_OFF)
    assert len(run(tmp_path, stub_server, workers=2)) == 3
    assert not finished()


MODULE = """
import os
from pathlib import Path
import dspy
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
import synthwright as sw

file = open(Path(os.environ["SPANS"]) / f"{os.getpid()}.jsonl", "w")
exporter = ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(indent=None) + "\\n")
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)

class Note(sw.Row):
    text: str

class Notes(sw.Generator[Note]):
    '''A note on each topic.'''
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("topic -> text")

    async def aforward(self, topic):
        return dspy.Prediction(rows=[Note(text=(await self.write.acall(topic=topic)).text)])
"""

SCRIPT = """
import sys
import synthwright as sw
from telemetry_notes import Notes

lm = sw.openai_lm("stub", sys.argv[1], concurrency=4)
print(len(sw.generate(Notes(), seeds=[{"topic": f"t {i}"} for i in range(6)], lms=lm, out=sys.argv[2], workers=2)))
"""


def test_a_module_that_sets_up_an_sdk_does_so_in_workers_too(tmp_path, stub_server, monkeypatch):
    (tmp_path / "telemetry_notes.py").write_text(MODULE)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "spans").mkdir()
    monkeypatch.setenv("SPANS", str(tmp_path / "spans"))
    command = [sys.executable, str(tmp_path / "script.py"), stub_server.base, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "6", done.stderr
    files = [file.read_text().splitlines() for file in (tmp_path / "spans").iterdir()]
    assert len(files) == 3 and all(files)
    spans = [json.loads(line) for lines in files for line in lines]
    assert len({span["context"]["trace_id"] for span in spans}) == 1
    seeds = {span["context"]["span_id"] for span in spans if span["name"] == "synthwright.seed"}
    calls = [span for span in spans if span["name"] == "chat stub"]
    assert len(calls) == len(seeds) == 6 and {call["parent_id"] for call in calls} == seeds
