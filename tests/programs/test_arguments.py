"""What generators check of their arguments."""

from types import SimpleNamespace

import pytest

from synthwright.errors import ConfigError
from synthwright.programs.blocks.arguments import check_choices, check_names, check_ranges, check_whole, given
from synthwright.programs.evol_instruct import EvolInstruct


def test_numbers_must_be_in_their_range_and_none_is_none():
    check_ranges(
        SimpleNamespace(rounds=1, share=0.5, top_p=None), {"rounds": (1, None), "share": (0, 1), "top_p": (0, 1)}
    )
    with pytest.raises(ConfigError, match=r"`rounds` must be at least 1, got 0\."):
        check_ranges(SimpleNamespace(rounds=0), {"rounds": (1, None)})
    with pytest.raises(ConfigError, match=r"`share` must be at least 0 and at most 1, got 1\.5\."):
        check_ranges(SimpleNamespace(share=1.5), {"share": (0, 1)})


@pytest.mark.parametrize("value", ["2", float("nan"), (2,)])
def test_what_is_no_number_is_told_by_name(value):
    with pytest.raises(ConfigError, match="`rounds` must be at least 1, got "):
        EvolInstruct(rounds=value)


@pytest.mark.parametrize("value", [True, 1.5, 0, "2"])
def test_whole_numbers_are_no_fractions_and_no_truths(value):
    check_whole(SimpleNamespace(votes=1, samples=None), {"votes": 1, "samples": 1})
    with pytest.raises(ConfigError, match=f"`votes` must be a whole number of at least 1, got {value!r}"):
        check_whole(SimpleNamespace(votes=value), {"votes": 1})


def test_choices_and_names_are_known():
    check_choices(SimpleNamespace(ties="none"), {"ties": ("none", "first")})
    with pytest.raises(ConfigError, match=r"`ties` must be one of none, first, got 'last'\."):
        check_choices(SimpleNamespace(ties="last"), {"ties": ("none", "first")})
    check_names("GLAN", "check", (), {})
    with pytest.raises(ConfigError, match=r"GLAN has no check 'to_short'.*too_short"):
        check_names("GLAN", "check", ["to_short"], {"too_short": None})


def test_settings_that_are_none_are_left_to_the_lm():
    assert given(temperature=0.0, top_p=None, max_tokens=5) == {"temperature": 0.0, "max_tokens": 5}
