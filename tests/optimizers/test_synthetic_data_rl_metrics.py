import asyncio

import dspy
import pytest

from synthwright.lms.adapters import default_adapter
from synthwright.optimizers.metrics.synthetic_data_rl import HELD_OUT, METRIC, at_the_edge, well_posed
from synthwright.optimizers.seeds import no_overlap, shipped_seeds
from synthwright.programs.synthetic_data_rl import SyntheticDataRL
from synthwright.signatures.rows import Rejected
from synthwright.signatures.synthetic_data_rl import SyntheticRow
from synthwright.testing import ScriptedLM

PASSAGE = (
    "A set has no order and no duplicates. Its elements must be hashable, so a list cannot be an element of a set."
)
EXAMPLE = dspy.Example(passage=PASSAGE)


def row(question, score=0.5, votes=5, **values):
    usual = {"task": "t", "kind": "label", "answer": "no", "answer_format": "yes or no", "asked": question}
    usual |= {"response": "A list of a set is mutable.\n\n<answer>no</answer>", "votes_n": 5, "attempts_n": 4}
    return SyntheticRow(**{**usual, "question": question, "score": score, "votes": votes, **values})


def version(parent, question, score, origin="harder", **values):
    return row(question, score, origin=origin, parent_ids=(parent.id,), **values)


def graded(metric, *rows, rejected=()):
    return metric(EXAMPLE, dspy.Prediction(rows=list(rows), rejected=list(rejected)))


GOOD = row("Can a list be an element of a set?", 0.75)
HARDER = version(GOOD, "Can a tuple that holds a list be an element of a set?", 0.25)
FIRST = row("Must the elements of a set be hashable in order?", 0.25)
EASIER = version(FIRST, "Is a list hashable in a set?", 0.5, "easier")


def test_the_optimized_metric_and_the_check_are_different():
    assert METRIC is at_the_edge and HELD_OUT is well_posed


@pytest.mark.parametrize("metric", [at_the_edge, well_posed])
def test_good_rows_score_near_one_and_never_one(metric):
    assert 0.9 < graded(metric, GOOD, HARDER).score < 1
    assert 0.9 < graded(metric, FIRST, EASIER).score < 1


def lost_row(bad):
    """A row that was not selected stands among the rejects, whole."""
    return Rejected(stage="select", reason="always_solved", content=bad.record())


@pytest.mark.parametrize(
    ("rows", "rejected", "words"),
    [
        ([], [lost_row(row("Can a list be an element of a set?", 1.0))], "always solves"),
        ([], [lost_row(row("Can a list be an element of a set?", 0.0))], "never solves"),
        ([row("Can a list be an element of a set?", 0.5, votes=3)], [], "Only 3 of 5 replies agree"),
        ([row("Does the moon shine brighter than Venus tonight?", 0.5)], [], "Not about its passage"),
        ([GOOD, version(GOOD, "Is every list hashable here?", 0.9)], [], "The harder version has a pass rate of 0.9"),
        ([FIRST, version(FIRST, "Is one list hashable there?", 0.2, "easier")], [], "The easier version"),
        ([], [Rejected(stage="generate", reason="unparsable", detail="no JSON")], "No question (generate"),
        ([], [Rejected(stage="vote", reason="tie", detail="2 of 5")], "No question (vote, tie)"),
        ([GOOD], [Rejected(stage="harder", reason="not_rewritten")], "No version (harder"),
        ([GOOD], [Rejected(stage="vote", reason="tie")], "No version (vote"),
    ],
)
def test_a_planted_fault_costs_and_is_quoted(rows, rejected, words):
    judged = graded(at_the_edge, *rows, rejected=rejected)
    assert judged.score < graded(at_the_edge, GOOD, HARDER).score - 0.04
    assert words in judged.feedback


def test_a_harder_version_that_is_never_solved_earns_nothing_for_moving():
    impossible = version(GOOD, "Can a tuple that holds a list be an element of a set?", 0.0)
    judged = graded(at_the_edge, GOOD, rejected=[lost_row(impossible)])
    assert judged.score < graded(at_the_edge, GOOD, HARDER).score - 0.2


def test_draws_that_are_one_text_are_called_so():
    cached = row("Can a list be an element of a set?", 1.0, flags=("identical_attempts",))
    assert "all draws are one text" in graded(at_the_edge, rejected=[lost_row(cached)]).feedback


def test_a_lost_draw_halves_the_score_of_two():
    alone = graded(at_the_edge, GOOD, HARDER).score
    lost = Rejected(stage="generate", reason="too_long", detail="300 words")
    assert graded(at_the_edge, GOOD, HARDER, rejected=[lost]).score == pytest.approx(alone / 2, abs=0.02)
    for metric in (at_the_edge, well_posed):
        assert graded(metric).score == 0


def test_equal_draws_cost():
    twin = row(GOOD.question, 0.7)
    judged = graded(at_the_edge, GOOD, HARDER, twin)
    other = row("Are the elements of a set kept in order without duplicates?", 0.7)
    assert judged.score < graded(at_the_edge, GOOD, HARDER, other).score
    assert "repeat each other" in judged.feedback


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row("A list is an element of a set."), "asks nothing"),
        (row("Can a list of the passage be an element of a set?"), "leans on a text"),
        (row("A set list?"), "too short"),
        (row("Is a set a set is a set a set is a set a list?"), "repeats itself"),
        (row("Can a list be an element?", response="Because.\n\n<answer>no</answer>"), "not what the reply speaks of"),
    ],
)
def test_badly_posed_questions_score_less_and_are_quoted(bad, words):
    judged = graded(well_posed, bad)
    assert judged.score < graded(well_posed, GOOD).score
    assert words in judged.feedback


def test_the_check_does_not_look_at_votes_and_pass_rates():
    other = GOOD.model_copy(update={"score": 0.1, "votes": 1})
    assert graded(well_posed, GOOD).score == graded(well_posed, other).score


def test_shipped_seeds_are_disjoint_and_give_rows():
    split = shipped_seeds(SyntheticDataRL())
    assert {name: len(seeds) for name, seeds in split.items()} == {"train": 20, "val": 12, "test": 20}
    no_overlap(split)
    lm = ScriptedLM(
        {
            "generate": {"question": "Can a list be an element of a set?", "answer": "no"},
            "solve": {"reasoning": "A list is mutable.", "answer": "no"},
            "try_once": {"reasoning": "A list.", "answer": "yes"},
            "attempt": [{"reasoning": "A list.", "answer": a} for a in ("no", "yes", "no")],
            "easier": {"easier_question": "Is a list hashable at all?", "easier_answer": "no"},
        }
    )

    async def asked(example):
        with dspy.context(lm=lm, adapter=default_adapter()):
            return await SyntheticDataRL(attempts=3).acall(**example.inputs())

    for example in split["test"][:3]:
        pred = asyncio.run(asked(example))
        assert [row.origin for row in pred.rows] == ["initial", "easier"]
        assert 0 < at_the_edge(example, pred).score < 1
