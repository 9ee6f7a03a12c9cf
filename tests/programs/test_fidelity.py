"""Fidelity cards name code and tests that exist, and every difference between the presets."""

import re
from pathlib import Path

import pytest

from synthwright.errors import ConfigError
from synthwright.programs.base import Generator, data_path, list_generators
from synthwright.programs.fidelity import fidelity_card, preset_differences, resolve

TESTS = Path(__file__).parents[1]
NAMES = {
    name
    for path in TESTS.rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}
WITH_CARD = [cls for cls in list_generators() if data_path(f"fidelity/{cls.stem()}.yaml").exists()]


@pytest.mark.parametrize("cls", WITH_CARD, ids=lambda cls: cls.stem())
def test_every_step_is_in_the_code_and_in_a_test(cls):
    card = fidelity_card(cls)
    assert card.steps
    for step in card.steps:
        assert step.code and step.tests, f"step {step.step} names no code or no test"
        for reference in step.code:
            resolve(reference)
        assert set(step.tests) <= NAMES, f"step {step.step}: no test {set(step.tests) - NAMES}"


@pytest.mark.parametrize("cls", WITH_CARD, ids=lambda cls: cls.stem())
def test_every_difference_between_the_presets_has_its_reason(cls):
    explained = {deviation.argument for deviation in fidelity_card(cls).deviations}
    assert set(preset_differences(cls)) <= explained
    assert explained - {None} <= set(cls().params())


def test_every_method_has_a_card():
    assert {cls.stem() for cls in list_generators()} == {cls.stem() for cls in WITH_CARD}


def test_a_name_that_is_gone_is_an_error():
    with pytest.raises(ConfigError, match="has no 'walk'"):
        resolve("programs.base.Generator.walk")
    with pytest.raises(ConfigError, match=r"no module `synthwright.nowhere`"):
        resolve("nowhere.at_all")


def test_a_generator_without_a_card_says_so():
    class Plain(Generator):
        """No card."""

    with pytest.raises(ConfigError, match="Plain has no fidelity card"):
        fidelity_card(Plain)
