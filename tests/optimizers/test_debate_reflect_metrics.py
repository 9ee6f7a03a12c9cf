from typing import Literal

import dspy
import pytest

from synthwright.optimizers.metrics.debate_reflect import HELD_OUT, METRIC
from synthwright.signatures.debate_reflect import DebateRow
from synthwright.signatures.rows import Rejected

QUESTION = "A tram has 9 seats and 4 are taken. How many are free?"
RIGHT = "Taken seats are not free, so I take them away: 9 - 4 = 5.\n\nFinal answer: 5"
WRONG = "I put the seats together with the taken ones: 9 + 4 = 13.\n\nFinal answer: 13"
GOOD = "student=wr teacher=rr"


def row(kind: Literal["pair", "solution"] = "pair", course=GOOD, debate="d1", **fields):
    base = {
        "question": QUESTION,
        "answer_format": "one number, with digits",
        "gold": "5",
        "answer_kind": "number",
        "round": 0,
        "chosen": RIGHT,
        "rejected": WRONG if kind == "pair" else "",
        "chosen_agent": "teacher",
        "root_id": "r",
        "reflections": 1,
        "leaks": 0,
        "feedback": 2,
        "quoted": 2,
    }
    return DebateRow(kind=kind, course=course, debate_id=debate, **{**base, **fields})


def nothing(course, debate="d1", **fields):
    """The reject of a debate that gave no row."""
    content = {"question": QUESTION, "debate_id": debate, "course": course, "reflections": 2, "leaks": 0}
    content |= {"feedback": 2, "quoted": 2, **fields}
    return Rejected(stage="debate", reason="nobody_right", content=content)


def lost(stage, reason="unparsable", **content):
    return Rejected(stage=stage, reason=reason, content={"question": QUESTION, "reply": "No JSON.", **content})


def judged(metric, *made, pred_name=None):
    rows = [each for each in made if isinstance(each, DebateRow)]
    rejected = [each for each in made if isinstance(each, Rejected)]
    example = dspy.Example(question=QUESTION, answer="5")
    return metric(example, dspy.Prediction(rows=rows, rejected=rejected), None, pred_name, None)


def score(*made):
    return judged(METRIC, *made).score


def test_a_debate_that_corrects_everyone_scores_high_and_below_one():
    result = judged(METRIC, row())
    assert 0.95 < result.score < 1


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (row(course="student=ww teacher=rr"), "student stays wrong in round 1"),
        (row(course="student=wr teacher=rw"), "teacher was right and is wrong in round 1"),
        (nothing("student=ww teacher=ww"), "stays wrong in round 1"),
        (row(course="student=-r teacher=rr"), "All end right"),
        (row(leaks=1), "1 of 1 reflections state the correct answer"),
        (row(quoted=0), "only 0 of 2 quote words that stand in the answer"),
    ],
)
def test_each_planted_fault_lowers_the_score_and_is_named(worse, complaint):
    result = judged(METRIC, worse)
    assert result.score < score(row()) and complaint in result.feedback


@pytest.mark.parametrize("stage", ["solve", "answer_again", "reflect", "critique"])
def test_a_reply_that_cannot_be_read_lowers_the_score_and_is_quoted(stage):
    result = judged(METRIC, row(), lost(stage))
    assert result.score < score(row()) and f"{stage} of {QUESTION[:80]!r}: unparsable: 'No JSON.'" in result.feedback


def test_a_dropped_leak_counts_as_a_leak():
    dropped = lost("reflect", "states_answer", explanation="It is 5.")
    assert score(row(reflections=0), dropped) < score(row())


def test_debates_are_ranked_by_what_becomes_of_them():
    ranked = [
        row(course="student=wr teacher=rr"),
        row(course="student=ww teacher=rr"),
        row(course="student=ww teacher=rw"),
    ]
    scores = [score(each) for each in ranked]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 3
    assert score(nothing("student=ww teacher=ww")) < scores[0]


def test_a_debate_counts_once_however_many_rows_it_has():
    bad = nothing("student=ww teacher=ww", "d2")
    assert score(row(), row(kind="solution"), row(round=1), bad) == score(row(), bad)


def test_a_question_that_all_solve_at_once_is_as_good_as_can_be():
    assert score(row(kind="solution", course="student=r teacher=r", reflections=0, feedback=0, quoted=0)) == 0.99


@pytest.mark.parametrize("metric", [METRIC, HELD_OUT])
def test_nothing_made_scores_nothing(metric):
    assert judged(metric).score == 0
    assert judged(metric, lost("solve")).score == 0


def test_feedback_for_one_predictor_speaks_of_it_alone_and_scores_the_same():
    made = (row(course="student=ww teacher=rw", leaks=1), lost("critique"), lost("solve"))
    result = judged(METRIC, *made, pred_name="critique")
    assert result.score == score(*made)
    assert "critique of" in result.feedback and "solve of" not in result.feedback
    assert "reflections state" not in result.feedback and "was right and is wrong" not in result.feedback
    assert "reflections state" in judged(METRIC, *made, pred_name="reflect").feedback


def test_feedback_is_short():
    made = [nothing("student=ww teacher=ww", f"d{n}") for n in range(20)]
    assert len(judged(METRIC, *made).feedback.splitlines()) == 6


# The held-out check


def test_sound_rows_score_high_and_below_one():
    result = judged(HELD_OUT, row(), row(kind="solution"))
    assert 0.95 < result.score < 1 and result.feedback == "All rows are sound."


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (row(chosen=WRONG), "the chosen text does not give '5'"),
        (row(rejected=RIGHT), "the rejected text gives '5'"),
        (row(chosen=RIGHT + "\nWait.\nFinal answer: 6"), "the chosen text does not give '5'"),
        (row(chosen=f"As Answer 2 says. {RIGHT}"), "speaks of 'Answer 2'"),
        (row(rejected=f"The feedback helps. {WRONG}"), "speaks of 'The feedback'"),
        (row(rejected="Final answer: 13"), "times as long as the rejected one"),
        (row(kind="solution", chosen="It is five."), "the chosen text does not give"),
    ],
)
def test_the_held_out_check_finds_what_is_wrong_with_a_row(bad, complaint):
    result = judged(HELD_OUT, bad, row(debate="d2"))
    assert result.score == 0.5 and complaint in result.feedback


def test_debates_without_rows_lower_the_held_out_check():
    assert judged(HELD_OUT, row(), nothing("student=ww teacher=ww", "d2")).score == 0.5
    assert judged(HELD_OUT, nothing("student=ww teacher=ww")).score == 0


def test_the_held_out_check_does_not_trust_the_record_of_the_debate():
    assert judged(HELD_OUT, row(course="student=ww teacher=ww", leaks=1)).score == 0.99
