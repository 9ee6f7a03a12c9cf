"""MLflow's autolog for DSPy traces the calls of a run. Needs mlflow: `make test-mlflow`."""

import dspy
import pytest
from riddles import Riddles

import synthwright as sw
from synthwright.testing import ScriptedLM

mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: make test-mlflow")

pytestmark = pytest.mark.filterwarnings("default")  # those of mlflow and what it brings


@pytest.fixture
def store(tmp_path):
    """A local store with autolog switched on, and off again."""
    before = list(dspy.settings.callbacks)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.set_experiment("riddles")
    mlflow.dspy.autolog()
    yield experiment.experiment_id
    mlflow.dspy.autolog(disable=True)
    dspy.configure(callbacks=before)


def test_every_seed_is_a_trace_with_its_calls_and_their_prompts(store, tmp_path):
    words = [{"word": word} for word in ("snow", "tide")]
    answer = {"write": {"riddle": "I fall, yet never break."}}
    plain = sw.generate(Riddles(), seeds=words, lms=ScriptedLM(answer), out=tmp_path / "plain")
    assert len(plain) == 2
    mlflow.flush_trace_async_logging()
    traces = mlflow.search_traces(locations=[store], return_type="list")
    assert len(traces) == 2
    for trace in traces:
        spans = {span.span_type: span for span in trace.data.spans}
        assert {"LLM", "CHAIN"} <= set(spans) or {"CHAT_MODEL", "CHAIN"} <= set(spans)
        call = spans.get("CHAT_MODEL") or spans["LLM"]
        asked = str(call.inputs)
        assert "Write a riddle about the word." in asked and ("snow" in asked or "tide" in asked)
        assert "I fall, yet never break." in str(call.outputs)


def test_the_dataset_is_the_same_with_and_without(store, tmp_path):
    words = [{"word": word} for word in ("snow", "tide", "loaf")]
    answer = {"write": lambda call: {"riddle": f"{call['word']} {call.seed}"}}
    traced = sw.generate(Riddles(), seeds=words, lms=ScriptedLM(answer), out=tmp_path / "traced")
    mlflow.dspy.autolog(disable=True)
    dspy.configure(callbacks=[])
    plain = sw.generate(Riddles(), seeds=words, lms=ScriptedLM(answer), out=tmp_path / "plain")
    assert [row.riddle for row in traced] == [row.riddle for row in plain]
