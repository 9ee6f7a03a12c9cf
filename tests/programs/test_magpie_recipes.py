"""Neighbours and filter recipes over the rows of finished runs."""

import numpy as np
import pytest

from synthwright.errors import ConfigError, ModelFileError
from synthwright.lms.embeddings import Embedder, pull_embedder
from synthwright.programs.magpie_recipes import RECIPES, Recipe, longest, neighbourhoods, select
from synthwright.signatures.magpie import MagpieRow
from synthwright.signatures.rows import Message

GOOD = {"quality": "good", "difficulty": "medium", "category": "math", "reward": 2.0, "base_reward": 1.0}


def row(query, response="An answer.", **fields):
    talk = (Message(role="user", content=query), Message(role="assistant", content=response))
    return MagpieRow(instruction=query, response=response, messages=talk, **fields)


def good(query, response="An answer.", **changes):
    return row(query, response, **{**GOOD, **changes})


def angles(*degrees):
    """An embedder that gives the n-th of all texts the unit vector at the n-th angle."""
    given = iter(degrees)

    def embed(texts):
        radians = np.radians([next(given) for _ in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1)

    return embed


def reasons(selection):
    return [(reject.stage, reject.reason) for reject in selection.rejected]


# Neighbours


def test_a_neighbourhood_has_the_nearest_other_row_its_distance_the_repeats_and_the_first():
    rows = [row(f"Question {i}?") for i in range(4)]
    first, second, third, far = neighbourhoods(rows, angles(0, 10, 20, 90))
    assert first.nearest_id == rows[1].id and first.distance == pytest.approx(2 - 2 * np.cos(np.radians(10)), abs=1e-6)
    assert (first.repeats, second.repeats, third.repeats, far.repeats) == (1, 2, 1, 0)
    assert (second.first_id, third.first_id, far.first_id) == (rows[0].id, rows[1].id, rows[3].id)
    assert far.distance == pytest.approx(2 - 2 * np.cos(np.radians(70)), abs=1e-6)


def test_the_threshold_is_a_cosine_of_0_975():
    rows = [row("Is it?"), row("Was it?")]
    inside, outside = np.degrees(np.arccos(0.9755)), np.degrees(np.arccos(0.9745))
    assert [place.repeats for place in neighbourhoods(rows, angles(0, inside))] == [1, 1]
    assert [place.repeats for place in neighbourhoods(rows, angles(0, outside))] == [0, 0]


def test_exact_copies_are_each_others_neighbours_and_no_row_is_its_own():
    rows = [good("Where is Oslo?"), good("Where is Oslo?", "Elsewhere."), good("Who wrote Emma?")]
    places = neighbourhoods(rows, angles(0, 0, 80))
    assert [place.nearest_id for place in places[:2]] == [rows[1].id, rows[0].id]
    assert places[0].distance == pytest.approx(0, abs=1e-6) and places[0].repeats == 1


def test_a_single_row_has_no_neighbour_and_no_rows_give_none():
    (alone,) = neighbourhoods([row("Where is Oslo?")], angles(0))
    assert (alone.nearest_id, alone.distance, alone.repeats) == (None, None, 0)
    assert neighbourhoods([], angles()) == []


def test_neighbours_are_found_across_blocks():
    rows = [row(f"Question {i}?") for i in range(600)]
    spread = [i / 4 for i in range(599)] + [0.0]
    assert neighbourhoods(rows, angles(*spread))[599].first_id == rows[0].id


# Recipes


def test_the_notebook_keeps_good_rewarded_queries_without_colon_that_are_first_of_their_neighbourhood():
    rows = [
        good("Where is Oslo?"),
        good("What is rye?", quality="average"),
        good("Who wrote Emma?", reward=-10.0),
        good("Translate this:"),
        good("Where exactly is Oslo?"),
        good("Add 2 and 2.", quality="excellent", difficulty="very easy"),
    ]
    selection = select(rows, embed=angles(0, 40, 80, 120, 1, 160))
    assert {r.instruction for r in selection.rows} == {"Where is Oslo?", "Add 2 and 2."}
    assert reasons(selection) == [
        ("min_quality", "average"),
        ("min_reward", "low_reward"),
        ("ends_with", "ends_with"),
        ("neighbours", "not_first"),
    ]
    assert selection.not_checked == ()


def test_the_first_of_a_neighbourhood_counts_even_if_another_rule_drops_it():
    rows = [good("Where is Oslo?", quality="poor"), good("Where exactly is Oslo?"), good("What is rye?")]
    selection = select(rows, embed=angles(0, 1, 90))
    assert [r.instruction for r in selection.rows] == ["What is rye?"]


def test_the_cards_recipe_keeps_average_quality_and_a_reward_of_minus_ten_itself():
    rows = [good("What is rye?", quality="average", reward=-10.0), good("Who wrote Emma?", quality="poor")]
    assert [r.instruction for r in select(rows, "pro-300k").rows] == ["What is rye?"]


def test_the_papers_air_recipe_wants_difficulty_a_gain_over_the_base_model_and_no_copy():
    rows = [
        good("Where is Oslo?", difficulty="easy"),
        good("What is rye?", base_reward=2.0),
        good("Who wrote Emma?"),
        good("Who wrote it, Emma?"),
        good("Prove it."),
    ]
    selection = select(rows, "air-300k", embed=angles(0, 40, 80, 80, 120))
    assert [r.instruction for r in selection.rows] == ["Prove it."]
    assert reasons(selection) == [
        ("min_difficulty", "easy"),
        ("min_gain", "low_gain"),
        ("neighbours", "too_near"),
        ("neighbours", "too_near"),
    ]


def test_the_preference_recipe_caps_seeking_and_wants_a_reward_of_minus_five():
    rows = [good(f"Add {i} and 2.") for i in range(7)] + [good("Who?", category="information seeking")] * 4
    rows += [good("Low?", reward=-5.01), good("Edge?", reward=-5.0)]
    selection = select(rows, "preferences")
    assert sum(r.category == "information seeking" for r in selection.rows) == 3
    assert reasons(selection) == [("seeking_share", "too_many"), ("min_reward", "low_reward")]


def test_the_longest_responses_of_what_is_left_are_taken_and_the_rest_is_accounted_for():
    rows = [good(f"Question {i}?", "word " * i) for i in range(1, 7)]
    selection = select(rows, Recipe("good", count=2, by_length=True))
    assert {len(r.response.split()) for r in selection.rows} == {5, 6}
    assert reasons(selection) == [("count", "over_the_count")] * 4
    assert [r.instruction for r in select(rows, Recipe(count=2)).rows] == ["Question 1?", "Question 2?"]


def test_the_longest_responses_are_kept_and_shuffled_the_same_way_each_time():
    rows = [row(f"Question {i}?", "word " * i) for i in range(1, 9)]
    kept = longest(rows, 4)
    assert sorted(len(r.response.split()) for r in kept) == [5, 6, 7, 8]
    assert kept == longest(rows, 4) and kept != sorted(kept, key=lambda r: len(r.response))


# What a recipe cannot look at


@pytest.mark.parametrize(
    ("recipe", "changes", "missing"),
    [
        ("notebook", {"reward": None}, "needs reward, neighbours, which the rows do not have"),
        ("pro-300k", {"reward": None}, r"needs reward, .*without=\('reward',\)"),
        ("pro-300k", {"quality": None}, "needs quality,"),
        ("air-300k", {"base_reward": None}, "needs gain, neighbours"),
        ("preferences", {"category": None}, "needs category"),
    ],
)
def test_a_missing_signal_is_an_error_and_never_passes_silently(recipe, changes, missing):
    with pytest.raises(ConfigError, match=missing):
        select([good("Where is Oslo?", **changes)], recipe)


def test_a_signal_left_out_by_name_is_reported():
    selection = select([good("Where is Oslo?", reward=None)], without=("reward", "neighbours"))
    assert len(selection.rows) == 1 and selection.not_checked == ("reward", "neighbours")


def test_a_row_that_lacks_what_the_others_have_is_dropped_by_name():
    selection = select([good("Where is Oslo?"), good("What is rye?", reward=None)], "pro-300k")
    assert reasons(selection) == [("min_reward", "no_reward")]


def test_wrong_names_are_corrected():
    with pytest.raises(ConfigError, match="Did you mean 'notebook'"):
        select([], "notebok")
    with pytest.raises(ConfigError, match="Did you mean 'reward'"):
        select([], without=("rewards",))


def test_the_published_numbers():
    assert {name: recipe.min_reward for name, recipe in RECIPES.items()} == {
        "notebook": -10,
        "pro-300k": -10,
        "air-300k": None,
        "preferences": -5,
    }
    assert {name: recipe.count for name, recipe in RECIPES.items()} == {
        "notebook": 300_000,
        "pro-300k": 300_000,
        "air-300k": 300_000,
        "preferences": 100_000,
    }


# With a real embedder


def test_the_embedded_embedder_finds_a_near_copy_that_shares_its_meaning():
    try:
        pull_embedder()
    except ModelFileError as error:
        pytest.skip(f"the embedder's files are not here and cannot be fetched: {error}")
    rows = [
        good("How do I keep basil alive in winter?"),
        good("How do I keep my basil alive in winter?"),
        good("How do I keep a server alive in winter?"),
    ]
    first, copy, other = neighbourhoods(rows, Embedder())
    assert (first.repeats, copy.first_id, other.repeats) == (1, rows[0].id, 0)
    selection = select(rows, embed=Embedder(), without=("reward",))
    assert {row.instruction for row in selection.rows} == {rows[0].instruction, rows[2].instruction}
