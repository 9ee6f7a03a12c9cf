"""Lineages, difficulty by round and the order of a curriculum."""

import json

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.programs.evol_instruct_lineage import (
    Evolution,
    curriculum,
    difficulty_by_round,
    harder_share,
    lineage,
    read_lineage,
    root_id_of,
    write_lineage,
)
from synthwright.signatures.evol_instruct import EvolvedRow
from synthwright.testing import ScriptedLM

ROOT = "Describe a walk through a forest."
FIRST = "Describe a walk through a forest at night, with two sounds."
SECOND = "Describe a walk through a forest at night, with two sounds and one smell of wet wood."


def row(text, number=1, *, root=ROOT, parent=ROOT, **fields):
    return EvolvedRow(
        instruction=text,
        response="Dark.",
        operator="deepen",
        round=number,
        root_id=root_id_of(root),
        parent=parent,
        judged=True,
        **fields,
    )


@pytest.fixture
def run(tmp_path):
    """Three rounds of one root: kept, eliminated by a rule, kept; and an empty seed."""
    texts = iter([FIRST, FIRST, SECOND])
    lm = ScriptedLM(
        {
            "deepen": lambda _: {"evolved_instruction": next(texts)},
            "equal": {"equal": False},
            "respond": {"response": "Dark and quiet."},
            "rate": {"difficulty": 4},
        }
    )
    generator = EvolInstruct(operators=("deepen",), rounds=3, rate_difficulty=True)
    seeds = [{"instruction": ROOT}, {"instruction": "  "}]
    return sw.generate(generator, seeds=seeds, out=tmp_path / "run", lms=lm)


def test_a_lineage_has_every_try_in_order_with_its_parent_and_why_it_was_dropped(run):
    first, failed, second = read_lineage(run.out)
    assert (first.id, first.parent_id, first.round, first.parent) == (run.rows[0].id, "", 1, ROOT)
    assert failed == Evolution(
        root_id=root_id_of(ROOT),
        parent_id=first.id,
        round=2,
        operator="deepen",
        parent=FIRST,
        instruction=FIRST,
        eliminated=True,
        reason="deepen: unchanged",
    )
    assert (second.parent_id, second.round, second.eliminated) == (first.id, 3, False)
    assert (second.response, second.difficulty) == ("Dark and quiet.", 4)


def test_what_a_filter_dropped_is_in_the_lineage_too(tmp_path):
    lm = ScriptedLM(
        {"deepen": {"evolved_instruction": FIRST}, "equal": {"equal": False}, "respond": {"response": "Dark."}}
    )
    seeds = [{"instruction": ROOT}, {"instruction": "Describe a walk in a forest."}]
    sw.generate(EvolInstruct(operators=("deepen",), rounds=1), seeds=seeds, out=tmp_path, lms=lm)
    kept, dropped = read_lineage(tmp_path)
    assert not kept.eliminated and dropped.reason == "exact_duplicate: duplicate" and dropped.response == "Dark."


def test_lineages_are_written_one_try_a_line(run, tmp_path):
    assert write_lineage(run.out, tmp_path / "lineage.jsonl") == 3
    records = [json.loads(line) for line in (tmp_path / "lineage.jsonl").read_text().splitlines()]
    assert [Evolution(**record) for record in records] == read_lineage(run.out)


def test_a_directory_without_a_run_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="holds no finished run of EvolInstruct"):
        read_lineage(tmp_path)


def test_lineages_stay_together_in_the_order_of_their_first_row():
    other = row("Why?", 1, root="Why is it?", parent="Why is it?")
    tries = lineage([row(SECOND, 2, parent=FIRST), other, row(FIRST)])
    assert [one.instruction for one in tries] == [FIRST, SECOND, "Why?"]


# Difficulty


def test_difficulty_is_averaged_by_round_with_each_root_counted_once():
    rows = [
        row(FIRST, 1, difficulty=4, parent_difficulty=2),
        row("Describe a swim.", 1, difficulty=6, parent_difficulty=2),
        row("Why?", 1, root="Who?", parent="Who?", difficulty=5, parent_difficulty=3),
        row(SECOND, 2, parent=FIRST, difficulty=9, parent_difficulty=4),
        row("Where?", 3),
    ]
    assert difficulty_by_round(rows) == {0: 2.5, 1: 5.0, 2: 9.0}
    assert harder_share(rows) == 1.0 and harder_share(rows[-1:]) is None


def test_a_child_that_is_no_harder_does_not_count_as_harder():
    rows = [row(FIRST, difficulty=4, parent_difficulty=4), row(SECOND, difficulty=5, parent_difficulty=4)]
    assert harder_share(rows) == 0.5


# Curriculum


def test_a_curriculum_goes_from_early_to_late_rounds_and_is_mixed_within_one():
    rows = [row(f"Task {i} of {number}", number) for i in range(20) for number in (3, 1, 2)]
    ordered = curriculum(rows)
    assert [r.round for r in ordered] == [1] * 20 + [2] * 20 + [3] * 20
    first = [r.instruction for r in ordered[:20]]
    assert first != sorted(first) and ordered == curriculum(rows) and ordered != curriculum(rows, seed=1)


def test_a_curriculum_by_difficulty_puts_unrated_rows_at_the_mean_of_their_round():
    rows = [row("a", 1, difficulty=2), row("b", 1, difficulty=8), row("c", 1), row("d", 2, difficulty=6), row("e", 4)]
    assert [r.instruction for r in curriculum(rows, "difficulty")] == ["a", "c", "e", "d", "b"]


def test_merged_rounds_hold_no_instruction_twice():
    assert len(curriculum([row(FIRST), row(FIRST.upper(), 2), row(SECOND, 2)])) == 2


def test_a_curriculum_by_difficulty_needs_ratings():
    with pytest.raises(ConfigError, match="rate_difficulty=True"):
        curriculum([row(FIRST)], "difficulty")
    with pytest.raises(ConfigError, match="'round' or 'difficulty', got 'length'"):
        curriculum([row(FIRST)], "length")  # pyright: ignore[reportArgumentType]  # the point of the test
