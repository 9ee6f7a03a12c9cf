"""What every metric must hold to, those of methods to come included. Planted errors are in `test_METHOD_metrics.py`."""

import inspect
from pathlib import Path

import dspy
import pytest

from synthwright.optimizers import optimize
from synthwright.optimizers.seeds import no_overlap, shipped_metrics, shipped_seeds
from synthwright.programs.base import list_generators
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

HERE = Path(__file__).parent
METHODS = [pytest.param(cls, id=cls.stem()) for cls in list_generators()]
KINDS = pytest.mark.parametrize("kind", [0, 1], ids=["optimized", "held_out"])


def metric_and_seed(cls, kind):
    generator = cls()
    return shipped_metrics(generator)[kind], shipped_seeds(generator)["test"][0]


@pytest.mark.parametrize("cls", METHODS)
def test_the_held_out_check_is_another_one_than_the_metric(cls):
    metric, held_out = shipped_metrics(cls())
    assert metric is not None and held_out is not None and metric is not held_out
    assert metric.__name__ != held_out.__name__


@KINDS
@pytest.mark.parametrize("cls", METHODS)
def test_a_metric_takes_the_five_arguments_of_dspy(cls, kind):
    metric, _ = metric_and_seed(cls, kind)
    inspect.signature(metric).bind(None, None, None, None, None)
    inspect.signature(metric).bind(None, None)


@KINDS
@pytest.mark.parametrize("cls", METHODS)
def test_nothing_made_scores_0_with_feedback(cls, kind):
    metric, seed = metric_and_seed(cls, kind)
    result = metric(seed, dspy.Prediction(rows=[], rejected=[], artifacts=[]), None, None, None)
    assert result.score == 0 and result.feedback


@KINDS
@pytest.mark.parametrize("cls", METHODS)
def test_a_draw_that_was_lost_scores_below_a_tenth_and_does_not_break_it(cls, kind):
    metric, seed = metric_and_seed(cls, kind)
    lost = [
        Rejected(stage=name, reason="unparsable", detail="no JSON", content={"reply": "hm"}) for name in _stages(cls)
    ]
    result = metric(seed, dspy.Prediction(rows=[], rejected=lost, artifacts=[]), None, None, None)
    assert 0 <= result.score < 0.1


@pytest.mark.parametrize("cls", METHODS)
def test_seeds_are_enough_and_disjoint(cls):
    split = shipped_seeds(cls())
    assert len(split["train"]) >= 12 and len(split["val"]) >= 12 and len(split["test"]) >= 20
    no_overlap(split)


@pytest.mark.parametrize("cls", METHODS)
def test_seeds_fit_the_method(cls):
    generator = cls()
    for example in (example for examples in shipped_seeds(generator).values() for example in examples):
        generator.seed_signature().bind(**example.inputs())


@pytest.mark.parametrize("cls", METHODS)
def test_a_method_is_tuned_with_nothing_given_but_an_lm(cls):
    tuned = optimize(cls(), lms=ScriptedLM({"*": "I would rather not."}))
    assert tuned.metric.seeds >= 6 and tuned.calls <= cls.tuning_budget and tuned.held_out is not None
    assert "no measurable gain" in tuned.report() and tuned.warnings


@pytest.mark.parametrize("cls", METHODS)
def test_planted_errors_of_both_metrics_are_tested(cls):
    text = (HERE / f"test_{cls.stem()}_metrics.py").read_text(encoding="utf-8")
    metric, held_out = shipped_metrics(cls())
    assert metric is not None and held_out is not None
    assert text.count("parametrize") >= 1, "bad rows are planted case by case"
    for each, constant in ((metric, "METRIC"), (held_out, "HELD_OUT")):
        assert each.__name__ in text or constant in text, f"{each.__name__} is not tested"


def _stages(cls):
    return list(cls().target_predictors())[:1]
