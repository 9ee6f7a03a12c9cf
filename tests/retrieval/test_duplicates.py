import random

import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval.duplicates import SeenTexts


def _words(seed, n):
    rng = random.Random(seed)
    return [f"word{rng.randrange(5000)}" for _ in range(n)]


def test_copies_are_found_whatever_their_case_and_space():
    seen = SeenTexts()
    assert seen.problem("Snow is cold.") == ""
    assert seen.problem("snow  IS\ncold.") == "duplicate"
    assert seen.problem("Snow is old.") == ""


@pytest.mark.parametrize("seed", range(20))
def test_near_copies_are_found_and_other_texts_are_not(seed):
    seen = SeenTexts(0.7)
    words = _words(seed, 300)
    assert seen.problem(" ".join(words)) == ""
    assert seen.problem(" ".join([*words[:299], "changed"])) == "near_duplicate"
    assert seen.problem(" ".join(_words(seed + 1000, 300))) == ""
    half = words[:150] + _words(seed + 2000, 150)
    assert seen.problem(" ".join(half)) == ""


def test_short_texts_are_near_copies_only_of_themselves():
    seen = SeenTexts(0.8)
    assert [seen.problem(t) for t in ("a b c", "a b d", "", "!", "a, b c")] == [
        "",
        "",
        "",
        "near_duplicate",
        "near_duplicate",
    ]


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ConfigError, match="must be in"):
        SeenTexts(1.5)
