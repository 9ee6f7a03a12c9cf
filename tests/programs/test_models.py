from types import SimpleNamespace

import dspy
import pytest

from synthwright.programs.blocks.models import one_lm
from synthwright.testing import ScriptedLM


def module(lm):
    return SimpleNamespace(lm=lm)


def served(model, address=None, **kwargs):
    return SimpleNamespace(model=model, engine=SimpleNamespace(endpoint=address), kwargs=kwargs)


def test_one_model_at_one_address_is_one_lm_whatever_its_sampling():
    assert one_lm(module(ScriptedLM({}, model="m")), module(ScriptedLM({}, model="m", temperature=1.0))) == "m"
    assert one_lm(module(served("m", "http://a", top_p=0.5)), module(served("m", "http://a"))) == "m"


@pytest.mark.parametrize(
    "other",
    [served("n", "http://a"), served("m", "http://b"), SimpleNamespace(model="m", kwargs={"api_base": "http://b"})],
)
def test_another_model_or_address_is_another_lm(other):
    assert one_lm(module(served("m", "http://a")), module(other)) == ""


def test_modules_without_an_lm_take_that_of_the_context_or_count_as_two():
    assert one_lm(module(None), module(None)) == ""
    with dspy.context(lm=ScriptedLM({}, model="m")):
        assert one_lm(dspy.Predict("a -> b"), module(None)) == "m"
