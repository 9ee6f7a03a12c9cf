import dspy
import pytest

from synthwright.optimizers import optimize
from synthwright.optimizers.metrics.codeclm import HELD_OUT, METRIC, skills_f1, summary
from synthwright.programs.codeclm import CodecLM
from synthwright.signatures.codeclm import TailoredRow, Trial
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

META = {"use_case": "planning a garden", "skills": ("seasonal timing", "plant selection")}
GOOD = "Which plants suit a shady garden of ten square metres, and in which season should each be set?"
ALSO_GOOD = "My grandmother tends a garden of raised beds from her chair. What should she plant there in March?"
HARDER = (
    "Which plants suit a shady garden of ten square metres, and in which season should each be set, if hares visit "
    "every night?"
)


def row(instruction=GOOD, **fields):
    return TailoredRow(
        **{"instruction": instruction, "response": "", "response_by": "strong", "iteration": 1, **META, **fields}
    )


def improved(instruction=HARDER, action="Bring an animal into it.", parent=GOOD):
    return row(instruction, parent=parent, action=action, iteration=2)


def reject(instruction, reason="asks_nothing", stage="decode", **content):
    return Rejected(stage=stage, reason=reason, detail="why", content={**META, "instruction": instruction, **content})


def judged(metric, *made, pred_name=None, **example):
    rows = [m for m in made if isinstance(m, TailoredRow)]
    rejected = [m for m in made if isinstance(m, Rejected)]
    return metric(dspy.Example(**META, **example), dspy.Prediction(rows=rows, rejected=rejected), None, pred_name, None)


BAD = {
    "asks for nothing": "A garden with plants of every season is a pleasure for the eyes of all the neighbours.",
    "needs what is not there": "Describe which plants of the following list suit a garden in the season of rain.",
    "6 to 60 wanted": "Plan a garden.",
    "can be found in it": "Explain how a lighthouse keeper cleans the lamp at night and why he does it.",
    "recites its metadata": "Write about planning a garden with seasonal timing and plant selection in it.",
    "copies a demonstration": "Describe what happens inside a lock when the right key turns in a garden of plants.",
    "repeats itself": "Which plant is a plant in a plant in a plant in a plant in a plant of the season?",
}


def test_good_instructions_score_high_and_below_one():
    result = judged(METRIC, row(), row(ALSO_GOOD))
    assert 0.85 < result.score < 1 and result.feedback.startswith("Every instruction is a request")


@pytest.mark.parametrize("failure", BAD)
def test_each_planted_fault_lowers_the_score_and_is_quoted(failure):
    result = judged(METRIC, row(BAD[failure]))
    assert result.score < 0.85 * judged(METRIC, row()).score
    assert failure in result.feedback and BAD[failure][:60] in result.feedback


IMPROVED_BADLY = {
    "words added": (GOOD[:-1] + " now?", "Bring an animal into it."),
    "words that say what it is about": ("Explain how hares find their food in a hard winter.", "Bring an animal."),
    "quotes the action": (GOOD + " Let an animal visit the garden each night.", "Let an animal visit the place."),
}


def test_a_good_improvement_scores_high():
    assert judged(METRIC, improved()).score > 0.9


@pytest.mark.parametrize("failure", IMPROVED_BADLY)
def test_each_planted_fault_of_an_improvement_lowers_the_score_and_is_quoted(failure):
    result = judged(METRIC, improved(*IMPROVED_BADLY[failure]))
    assert result.score < 0.9 * judged(METRIC, improved()).score and failure in result.feedback


def test_a_dropped_instruction_scores_nothing_and_its_reason_is_given():
    result = judged(METRIC, row(), reject(ALSO_GOOD))
    assert result.score == pytest.approx(judged(METRIC, row(), row(ALSO_GOOD)).score / 2, abs=0.02)
    assert "dropped (asks_nothing: why)" in result.feedback


def test_answers_that_do_not_differ_cost_half_and_a_larger_gap_less():
    none, small, large = (
        judged(METRIC, reject(GOOD, "gap_too_small", "contrast", gap=gap)).score for gap in (0, -2, 3)
    )
    assert none < small < large == judged(METRIC, row()).score
    assert none == pytest.approx(large / 2, abs=0.01)


def test_an_unreadable_reply_counts_as_a_failure():
    unread = Rejected(stage="decode", reason="truncated", content={"use_case": "planning a garden", "reply": "{"})
    assert judged(METRIC, unread).score == judged(HELD_OUT, unread).score == 0
    assert "decode: truncated" in judged(METRIC, unread).feedback
    assert judged(METRIC, row(), unread).score < 0.6


def test_nothing_made_scores_nothing():
    assert judged(METRIC).score == judged(HELD_OUT).score == 0


def test_draws_that_are_the_same_lose_the_share_of_diversity():
    same, varied = judged(METRIC, row(), row()), judged(METRIC, row(), row(ALSO_GOOD))
    assert same.score < 0.7 * varied.score and "nearly the same" in same.feedback


def test_an_encoding_is_scored_against_gold_skills_if_there_are_any():
    right = judged(METRIC, row(), gold_skills=["season timing", "plants selecting"]).score
    wrong = judged(METRIC, row(), gold_skills=["tax law"])
    assert right == judged(METRIC, row()).score and wrong.score == 0 and "encoded as" in wrong.feedback


def test_feedback_for_one_predictor_speaks_of_it_alone_and_the_score_is_the_same():
    made = (row(BAD["asks for nothing"]), improved(*IMPROVED_BADLY["words added"]))
    result = judged(METRIC, *made, pred_name="improve")
    assert "improve for" in result.feedback and "decode for" not in result.feedback
    assert result.score == judged(METRIC, *made).score


def test_feedback_is_short():
    assert len(judged(METRIC, *[reject(f"It is a garden {i}.") for i in range(20)]).feedback.splitlines()) == 6


# The held-out check


def test_the_held_out_check_wants_requests_with_content_of_their_own():
    result = judged(HELD_OUT, row(), row(ALSO_GOOD))
    assert 0.9 < result.score < 1 and result.feedback == "Every request is its own."


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("The plants of a shady garden suffer from hares and frost.", "does not open like a request"),
        ("Write about planning a garden: seasonal timing, plant selection.", "words of its own"),
        ("Describe what happens inside a lock when the right key turns.", "words of its own"),
    ],
)
def test_the_held_out_check_finds_what_games_the_metric(text, failure):
    result = judged(HELD_OUT, row(text))
    assert result.score < 0.6 and failure in result.feedback


def test_the_held_out_check_does_not_trust_the_checks_that_the_metric_uses():
    assert judged(HELD_OUT, reject(GOOD)).score == judged(HELD_OUT, row()).score


def test_the_same_words_in_another_draw_are_not_its_own():
    assert judged(HELD_OUT, row(), row()).score < 0.2


# Figures of a run


def test_skills_match_by_their_words_up_to_endings():
    assert skills_f1(["plant selection"], ["selecting plants"]) == 1
    assert skills_f1(["plant selection", "tax law"], ["selecting plants"]) == pytest.approx(2 / 3)
    assert skills_f1(["tax law"], ["wit"]) == skills_f1([], ["wit"]) == 0


def test_the_summary_has_the_figures_of_the_paper():
    answers = {"strong_response": "a", "target_response": "b"}
    trial = Trial(instruction=GOOD, iteration=1, **answers, strong_score=5, target_score=5, orders_agree=True)
    scored = {"strong_score": 9.0, "target_score": 4.0, "gap": 5.0, "orders_agree": True, "accepted": True}
    first = row(ALSO_GOOD, **scored)
    second = row(HARDER, iteration=2, trace=(trial,), **{**scored, "gap": -4.0, "response_by": "target"})
    end = reject(
        GOOD,
        "gap_too_small",
        "contrast",
        gap=1.0,
        strong_score=5,
        iteration=2,
        orders_agree=False,
        trace=[trial.model_dump()],
    )
    figures = summary([first, second], [end, reject("x")])
    assert figures == summary([first, second], [end.model_dump(mode="json")])
    assert figures["accepted_1"] == pytest.approx(1 / 3) and figures["accepted_2"] == 0.5
    assert (figures["mean_gap"], figures["first_share"], figures["target_kept"]) == (0.5, 0.5, 0.5)
    assert figures["orders_agree"] == pytest.approx(4 / 5) and figures["ties"] == pytest.approx(2 / 5)
    assert figures["near_duplicates"] == 0


def test_near_duplicates_are_counted_within_one_metadata():
    assert summary([row(), row(GOOD + " Now")])["near_duplicates"] == 1
    assert summary([row(), row(GOOD + " Now", use_case="other")])["near_duplicates"] == 0


# Tuning


def decoding(call):
    """An LM that writes requests once it has seen a demonstration, and else now and then."""
    if len(call.messages) == 2 and call.seed % 3:
        return {"new_instructions": ["The skill is a thing of great value in all of the towns."]}
    about = f"{call['use_case']} in town {call.seed % 97}"
    return {
        "new_instructions": [
            f"Explain how {about} helps a tired baker who opens at four in the morning.",
            f"Which three mistakes does a sailor make who tries {about} for the first time?",
        ]
    }


def test_a_search_lifts_the_metric_and_the_held_out_check_sees_that_the_lm_fills_in_a_template():
    lm = ScriptedLM({"decode": decoding})
    program = CodecLM(contrast="never", answer=False, check_metadata=False, iterations=1, instructions_per_metadata=2)
    tuned = optimize(program, targets=["decode"], lms=lm, budget=400)
    assert tuned.metric.low > 0.1 and tuned.held_out is not None and tuned.held_out.high < 0
    assert tuned.generator.all_predictors()["decode"].demos and not tuned.generator.all_predictors()["improve"].demos
