import asyncio
from pathlib import Path

import dspy
import pytest

from synthwright.errors import ConfigError
from synthwright.optimizers import optimize
from synthwright.optimizers.metrics.condor import HELD_OUT, METRIC, TASK_FORMS, demand, unmet
from synthwright.optimizers.metrics.condor_judges import judge_pairs, labelled_pairs, verdicts_on
from synthwright.programs.base import read_jsonl
from synthwright.programs.condor import Condor
from synthwright.programs.condor_tasks import TASKS, load_tasks
from synthwright.signatures.condor import CondorRow, Critique, TreeStep
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

PATH = ["Seaside", "Harbours", "Ferries"]
ASKED = {"path": PATH, "task": "domain_qa", "until": "questions"}
EASY = "Why do some ferries have bows at both ends and no proper stern?"
MEDIUM = "How does a ferry captain judge the tide before she enters a narrow harbour, and what goes wrong without it?"
HARD = (
    "A ferry crosses a strait of 12 miles in exactly one hour, but only 50 minutes at slack water. Explain why, "
    "estimate the current, and compare two ways to keep the timetable without burning more fuel."
)
LEVELS = ("easy", "medium", "hard")


def asked(*texts, levels=LEVELS, task="domain_qa"):
    return [
        CondorRow(instruction=text, response="", difficulty=level, task=task, tag_path=tuple(PATH))
        for text, level in zip(texts, levels, strict=False)
    ]


def judged(metric, rows=(), rejected=(), artifacts=(), pred_name=None, **example):
    made = dspy.Prediction(rows=list(rows), rejected=list(rejected), artifacts=list(artifacts))
    return metric(dspy.Example(**example), made, None, pred_name, None)


def dropped(text, level="easy", reason="asks_nothing"):
    content = {"instruction": text, "difficulty": level, "task": "domain_qa", "tag_path": PATH}
    return Rejected(stage="ask", reason=reason, detail="why", content=content)


# Questions


def test_three_sound_questions_that_rise_score_high_and_below_one():
    result = judged(METRIC, asked(EASY, MEDIUM, HARD), **ASKED)
    assert 0.85 < result.score < 1 and result.feedback == "Every step is sound."


FAULTS = {
    "6 to 80 wanted": (EASY, "Ferries, why?", HARD),
    "nothing of": (EASY, MEDIUM, "Explain to a child of six, in exactly two sentences, why the moon shines, and how."),
    "copies": (EASY, "How do locks on a canal lift a boat without any pumps, and is a ferry lifted too?", HARD),
    "do not ask for more": (HARD, MEDIUM, EASY),
    "nearly the same": (EASY, EASY[:-1] + " today?", EASY[:-1] + " now and today?"),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAULTS)
def test_each_planted_fault_of_questions_lowers_the_score_and_is_named(failure):
    good, bad = (judged(METRIC, asked(*texts), **ASKED) for texts in ((EASY, MEDIUM, HARD), FAULTS[failure]))
    assert bad.score < 0.93 * good.score and failure in bad.feedback


def test_a_dropped_question_and_an_unreadable_reply_score_nothing():
    good = judged(METRIC, asked(EASY, MEDIUM, HARD), **ASKED).score
    part = judged(METRIC, asked(MEDIUM, HARD, levels=LEVELS[1:]), [dropped("Ferries are nice.")], **ASKED)
    assert part.score < 0.75 * good and "dropped (asks_nothing: why)" in part.feedback
    lost = Rejected(stage="ask", reason="unparsable", content={"reply": "Easy: why?"})
    half = judged(METRIC, asked(EASY, MEDIUM, HARD), [lost], **ASKED)
    assert half.score == pytest.approx(good / 2) and "Easy: why?" in half.feedback
    assert judged(METRIC, **ASKED).score == judged(HELD_OUT, **ASKED).score == 0


def test_demand_rises_with_words_and_with_what_adds_a_demand():
    assert demand(EASY) < demand(MEDIUM) < demand(HARD)


# Critiques and refined answers

PAIR = {
    "instruction": "Name three wild animals, one on each line.",
    "response": "Deer and foxes.",
    "checks": {"lines": 3},
}
GOOD_CRITIQUE = Critique(
    strengths=("Both are wild animals.",),
    weaknesses=("Only two are named.",),
    suggestions=("Add a third animal, such as the badger.",),
)


def refined(text="Deer\nFoxes\nThe badger", judged="refined", critique: Critique | None = GOOD_CRITIQUE, flag=""):
    draft = PAIR["response"]
    kept = "draft" if judged == "draft" or not text else "refined"
    return CondorRow(
        instruction=PAIR["instruction"],
        draft=draft,
        refined=text,
        kept=kept,
        response=text if kept == "refined" else draft,
        judged=judged if text else None,  # pyright: ignore[reportArgumentType]  pydantic checks it
        critique=critique,
        flag=flag,
        length_ratio=len(text.split()) / len(draft.split()) if text else None,
    )


def test_a_concrete_critique_that_is_followed_and_wins_scores_high():
    result = judged(METRIC, [refined()], **PAIR)
    assert 0.95 < result.score < 1 and result.feedback == "Every step is sound."


VAGUE = Critique(strengths=(), weaknesses=("It is weak.",), suggestions=("Improve the answer and add more detail.",))
WORSE = {
    "the judge says draft": refined(judged="draft"),
    "the judge says tie": refined(judged="tie"),
    "nobody can carry out": refined(critique=VAGUE),
    "cannot be found in the new answer": refined("Deer\nFoxes\nWolves"),
    "times as long": refined("Deer\nFoxes\nThe badger " + "and so on " * 4),
    "could not be used (preamble)": refined("", flag="preamble"),
    "no critique could be read": refined("", critique=None, flag="no_critique"),
}


@pytest.mark.parametrize("failure", WORSE)
def test_each_planted_fault_of_a_refinement_lowers_the_score_and_is_named(failure):
    result = judged(METRIC, [WORSE[failure]], **PAIR)
    assert result.score < 0.95 * judged(METRIC, [refined()], **PAIR).score and failure in result.feedback


def test_the_held_out_check_counts_requirements_that_the_kept_answer_meets():
    assert judged(HELD_OUT, [refined()], **PAIR).score == 0.99
    kept_draft = judged(HELD_OUT, [refined(judged="draft")], **PAIR)
    assert kept_draft.score == 0 and "1 lines, 3 wanted" in kept_draft.feedback
    assert judged(HELD_OUT, [refined("Deer, foxes and badgers.")], **PAIR).score == 0


def test_requirements_are_checked_by_code():
    checks = {"includes": ["Blue", "red"], "excludes": ["hot"], "max_words": 3, "min_words": 2, "lines": 1}
    assert unmet("blue red", checks) == []
    assert len(unmet("it is hot\nin here", checks)) == 5
    assert unmet("x", {"min_words": 2}) == ["1 words, 2 at least"]
    with pytest.raises(ValueError, match="no requirement 'sentences'"):
        unmet("x", {"sentences": 2})


def test_the_shipped_drafts_meet_none_of_their_requirements():
    records = read_jsonl(Path(__file__).parents[2] / "optimizers" / "data" / "condor.jsonl")
    drafts = [record for record in records if "response" in record["inputs"]]
    assert len(drafts) == 16
    for record in drafts:
        wanted = sum(len(v) if isinstance(v, list) else 1 for v in record["checks"].values())
        assert len(unmet(record["inputs"]["response"], record["checks"])) == wanted, record


# Sub-tags

GROW = {"path": ["Toys"], "grow": "expand", "how_many": 3}


def grown(*tags):
    return TreeStep(kind="expand", path=("Toys",), tags=tags)


def test_distinct_short_sub_tags_score_high_and_faults_lower():
    good = judged(METRIC, artifacts=[grown("Kites", "Dolls", "Spinning tops")], **GROW)
    assert good.score == 0.99
    for bad in (
        grown("Kites", "Dolls"),
        grown("Kites", "Kite tails", "Dolls"),
        grown("Toy kites", "Dolls", "Tops"),
        grown("Kites", "Dolls", "Things that children take to the garden"),
    ):
        assert judged(METRIC, artifacts=[bad], **GROW).score < 0.7
    lost = Rejected(stage="expand", reason="over_generic", content={"tag": "Other"})
    noted = judged(METRIC, artifacts=[grown("Kites", "Dolls", "Tops")], rejected=[lost], **GROW)
    assert noted.score == pytest.approx(0.75) and "over_generic: 'Other'" in noted.feedback
    assert judged(METRIC, **GROW).score == 0


def test_the_held_out_check_wants_new_tags_in_every_draw():
    assert judged(HELD_OUT, artifacts=[grown("Kites", "Dolls", "Tops")], **GROW).score == 0.99
    same = [grown("Kites", "Dolls", "Tops")] * 2
    assert judged(HELD_OUT, artifacts=same, **GROW).score == 0.5
    assert judged(HELD_OUT, artifacts=[grown("Toys", "Kites", "Dolls")], **GROW).score < 0.7


# The held-out check of questions


def test_the_held_out_check_knows_the_form_of_each_task():
    for task in load_tasks(TASKS):
        assert all(TASK_FORMS[task.name].search(example) for example in task.examples), task.name
    assert not TASK_FORMS["format_control"].search("Why is the sea salty?")
    assert not TASK_FORMS["given_material"].search("Shorten my notice about the lift, please.")


def test_the_held_out_check_finds_what_games_the_metric():
    good = judged(HELD_OUT, asked(EASY, MEDIUM, HARD), **ASKED)
    assert good.score > 0.8
    empty = "Seaside harbours and ferries are a part of the seaside with harbours."
    bad = judged(HELD_OUT, asked(empty), **ASKED)
    assert bad.score < 0.3 and "words of its own" in bad.feedback
    copied = judged(HELD_OUT, asked("What is a sea anemone, and why does it close when I touch it?"), **ASKED)
    assert copied.score < 0.7


def test_the_held_out_check_does_not_trust_the_checks_that_the_metric_uses():
    kept, lost = judged(HELD_OUT, asked(EASY), **ASKED), judged(HELD_OUT, rejected=[dropped(EASY)], **ASKED)
    assert kept.score == lost.score > 0


def test_feedback_for_one_predictor_speaks_of_it_alone():
    rows = [*asked("Ferries, why?"), refined(judged="draft")]
    example = {**PAIR, **ASKED}
    assert "ask (" in judged(METRIC, rows, **example).feedback
    one = judged(METRIC, rows, pred_name="critique", **example)
    assert "ask (" not in one.feedback and "critique and refine" in one.feedback
    assert one.score == judged(METRIC, rows, **example).score


# The judge


def test_the_labelled_pairs_do_not_reward_length_or_a_place():
    pairs = labelled_pairs()
    labels = [pair["better"] for pair in pairs]
    assert {label: labels.count(label) for label in set(labels)} == {"refined": 9, "draft": 9, "tie": 6}
    longer = ["draft" if len(pair["draft"]) > len(pair["refined"]) else "refined" for pair in pairs]
    assert verdicts_on(pairs, longer).balanced_accuracy < 0.34 and verdicts_on(pairs, longer).longer_preferred == 1
    for constant in ("draft", "refined", "tie", None):
        assert verdicts_on(pairs, [constant] * 24).balanced_accuracy <= 1 / 3 + 1e-9
    assert verdicts_on(pairs, labels).balanced_accuracy == 1


def test_a_judge_is_asked_in_both_orders_and_one_with_a_favourite_place_only_finds_ties():
    def ask(answer):
        with dspy.context(lm=ScriptedLM({"*": answer, "prefer": answer})):
            return asyncio.run(judge_pairs(Condor()))

    assert ask({"better": "first"}).balanced_accuracy == pytest.approx(1 / 3)
    assert ask("Both are fine.").balanced_accuracy == 0
    right = {pair["question"]: pair for pair in labelled_pairs()}

    def oracle(call):
        pair = right[call["question"]]
        if pair["better"] == "tie":
            return {"better": "neither"}
        return {"better": "first" if call["first_answer"] == pair[pair["better"]] else "second"}

    verdicts = ask(oracle)
    assert verdicts.balanced_accuracy == 1 and not verdicts.wrong and set(verdicts.by_kind.values()) == {1.0}
    with pytest.raises(ConfigError, match="has no judge"):
        asyncio.run(judge_pairs(Condor(judge=False)))


# Tuning


def writing(call):
    """An LM that writes requests once it has seen a demonstration, and else now and then."""
    name = call["theme"].split(" > ")[-1]
    if len(call.messages) == 2 and call.seed % 3:
        return {
            "easy_question": f"{name} is a thing of the world.",
            "medium_question": "It is.",
            "hard_question": "It was.",
        }
    n = call.seed % 97
    return {
        "easy_question": f"What does a person of {n} know about {name}?",
        "medium_question": f"Why would a baker of {n} years explain {name} to a tired sailor, and how?",
        "hard_question": f"Compare {name} in {n} towns without naming one, then explain which you would visit and why.",
    }


def test_a_search_lifts_the_metric_of_the_question_call():
    seeds = [record for record in read_jsonl(Path(__file__).parents[2] / "optimizers" / "data" / "condor.jsonl")]
    asks = {
        split: [r for r in seeds if r["split"] == split and "until" in r["inputs"]]
        for split in ("train", "val", "test")
    }
    tuned = optimize(
        Condor(),
        trainset=asks["train"],
        valset=asks["val"],
        testset=asks["test"],
        targets=["ask"],
        lms=ScriptedLM({"ask": writing}),
        budget=300,
    )
    assert tuned.metric.low > 0.1
    assert tuned.generator.all_predictors()["ask"].demos and not tuned.generator.all_predictors()["refine"].demos


def test_the_shipped_seeds_tune_every_part_with_calls_of_that_part_alone():
    lm = ScriptedLM(
        {
            "ask": writing,
            "expand": {"sub_topics": ["Kites", "Dolls", "Tops", "Balls", "Swings", "Masks"]},
            "critique": {"strengths": ["Short."], "weaknesses": ["Wrong."], "suggestions": ["Name a badger instead."]},
            "refine": lambda call: {"improved_answer": f"{call['question']} A badger, number {call.seed % 9}."},
            "prefer": {"better": "neither"},
        }
    )
    tuned = optimize(Condor(), lms=lm, budget=200)
    assert {call.predictor for call in lm.calls} == {"ask", "expand", "critique", "refine", "prefer"}
    assert 0 < tuned.metric.before < 1 and tuned.held_out is not None
