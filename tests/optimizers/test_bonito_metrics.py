import asyncio
from pathlib import Path

import dspy
import pytest

from synthwright.lms.adapters import default_adapter
from synthwright.optimizers.metrics.bonito import (
    HELD_OUT,
    METRIC,
    copied_run,
    finds_passage,
    judge_accuracy,
    right_verdict,
    sound_tasks,
)
from synthwright.optimizers.optimize import optimize
from synthwright.optimizers.seeds import no_overlap, shipped_seeds
from synthwright.programs.base import read_jsonl
from synthwright.programs.bonito import Bonito
from synthwright.programs.bonito_types import TASK_TYPES
from synthwright.signatures.bonito import BonitoRow
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

DATA = Path(__file__).parents[2] / "optimizers" / "data"
PLANTED = list(read_jsonl(DATA / "bonito_planted.jsonl"))
PASSAGE = next(read_jsonl(DATA / "bonito.jsonl"))["inputs"]["passage"]  # on reeds
EXAMPLE = dspy.Example(passage=PASSAGE, task_type="exqa").with_inputs("passage", "task_type")


def row(task_type="exqa", response="about forty years", **parts):
    parts = parts or {"question": "How long does a roof of reeds last?", "answer": response}
    values = {name: parts.pop(name) for name in ("label", "solver_response", "blind_response") if name in parts}
    template = "{{context}} " + " ".join(parts.values())
    return BonitoRow(
        instruction=template.replace("{{context}}", PASSAGE),
        instruction_template=template,
        response=response,
        task_type=task_type,
        passage=PASSAGE,
        passage_id="p",
        parts=parts,
        **values,
    )


def graded(metric, *rows, rejected=(), **example):
    return metric(dspy.Example(**EXAMPLE, **example), dspy.Prediction(rows=list(rows), rejected=list(rejected)))


GOOD = row()
SUMMARY = row("summarization", "Roofs of reeds are warm and lasting.", summary="Roofs of reeds are warm and lasting.")
FOLLOWS = row("te", "Yes", label="entailment", hypothesis="Reeds are dried before they become a roof.")
OPEN = row("nli", "Maybe", label="neutral", hypothesis="Ms Brandt's family owns eleven such roofs near Aarhus.")


def test_the_optimized_metric_and_the_check_are_different():
    assert METRIC is sound_tasks and HELD_OUT is finds_passage


@pytest.mark.parametrize("good", [GOOD, SUMMARY, FOLLOWS])
@pytest.mark.parametrize("metric", [sound_tasks, finds_passage])
def test_good_rows_score_near_one_and_never_one(metric, good):
    assert 0.9 < graded(metric, good).score < 1


OFF_TOPIC = row(question="What is the capital of France?", answer="about forty years")
COPIED = row("summarization", PASSAGE[:160], summary=PASSAGE[:160])
DISAGREED = row(question="How long does a roof of reeds last?", answer="x", solver_response="one day")
GUESSED = row(question="How long does a roof of reeds last?", answer="x", blind_response="about forty years")
LOOSE = row("te", "Yes", label="entailment", hypothesis="Copper was traded by kings in Egypt.")
TAKEN = row("te", "No", label="not_entailment", hypothesis="A roof of reeds keeps a house warm.")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (OFF_TOPIC, "0% of its words are about the passage"),
        (COPIED, "words in a row are copied"),
        (DISAGREED, "a solver answers 'one day'"),
        (GUESSED, "without the passage"),
        (LOOSE, "meant as entailment"),
        (TAKEN, "meant as not_entailment"),
    ],
)
def test_planted_faults_rank_below_good_rows_and_are_named(bad, words):
    verdict = graded(sound_tasks, bad)
    assert verdict.score < 0.75 < min(graded(sound_tasks, good).score for good in (GOOD, SUMMARY, FOLLOWS))
    assert words in verdict.feedback


def test_a_solver_that_agrees_costs_nothing():
    agreed = row(question="How long does a roof of reeds last?", answer="x", solver_response="forty years")
    assert graded(sound_tasks, agreed).score == graded(sound_tasks, GOOD).score


def test_lost_draws_score_nothing_and_are_quoted():
    lost = Rejected(stage="checks", reason="not_in_the_passage", detail="'ten'", content={"response": "ten"})
    for metric in (sound_tasks, finds_passage):
        verdict = graded(metric, GOOD, rejected=[lost])
        assert verdict.score == pytest.approx(0.5, abs=0.02)
        assert "checks, not_in_the_passage" in verdict.feedback
    assert graded(sound_tasks).score == 0


def test_not_applicable_is_right_where_the_seed_says_so():
    declined = Rejected(stage="sentiment", reason="not_applicable")
    assert graded(sound_tasks, rejected=[declined]).score == 0
    for metric in (sound_tasks, finds_passage):
        assert graded(metric, rejected=[declined], applicable=False).score > 0.9
        forced = graded(metric, GOOD, applicable=False)
        assert forced.score < 0.5
    assert "not_applicable was right" in graded(sound_tasks, GOOD, applicable=False).feedback


def test_draws_that_repeat_each_other_cost():
    other = row(question="What must never reach a roof of reeds?", answer="a spark")
    same, different = graded(sound_tasks, GOOD, GOOD), graded(sound_tasks, GOOD, other)
    assert same.score < different.score and "repeat each other" in same.feedback


def test_the_held_out_check_finds_the_passage_by_the_words_of_the_task():
    assert graded(finds_passage, OFF_TOPIC).score < 0.5
    assert graded(finds_passage, row("summarization", PASSAGE, summary=PASSAGE)).score == 0
    assert "found" in graded(finds_passage, OFF_TOPIC).feedback


def test_tasks_written_whole_are_scored_by_their_text():
    template = "{{context}} How long does a roof of reeds last?"
    whole = GOOD.model_copy(update={"parts": {}, "instruction_template": template})
    assert graded(sound_tasks, whole).score > 0.9 and graded(finds_passage, whole).score > 0.9


def test_the_longest_stretch_is_counted_in_words():
    assert copied_run("A roof of reeds keeps it", PASSAGE) == 5
    assert copied_run("", PASSAGE) == 0 and copied_run("xyz", PASSAGE) == 0


def test_the_shipped_seeds_are_disjoint_and_enough():
    split = shipped_seeds(Bonito())
    no_overlap(split)
    assert (len(split["train"]), len(split["val"]), len(split["test"])) == (12, 12, 24)
    passages = {name: {example.passage for example in examples} for name, examples in split.items()}
    assert not passages["train"] & passages["val"] and not (passages["train"] | passages["val"]) & passages["test"]
    for examples in split.values():
        assert all(example.task_type in TASK_TYPES for example in examples)
        assert sum(example.get("applicable", True) is False for example in examples) >= 1


# The judge


def judged(verdict_of):
    """What the generator returns for each planted task if the judge gives these verdicts."""
    found = []
    generator = Bonito(judge=True, tune_judge=True, checks=())
    for task in PLANTED:
        verdict = verdict_of(task)
        reply = {"what_it_shows": "So.", "verdict": verdict} if verdict else "no json"
        with dspy.context(lm=ScriptedLM({"judge_response": reply}), adapter=default_adapter()):
            found.append(asyncio.run(generator.acall(**task["inputs"])))
    return found


def test_planted_answers_are_of_three_kinds_in_both_splits():
    kinds = {(task["split"], task["gold"]) for task in PLANTED}
    assert len(PLANTED) == 24 and len(kinds) == 6
    assert all("{{context}}" in task["inputs"]["instruction_template"] for task in PLANTED)


def test_a_judge_is_scored_by_balanced_accuracy():
    gold = [task["gold"] for task in PLANTED]
    assert judge_accuracy(gold, judged(lambda task: task["gold"])) == 1
    assert judge_accuracy(gold, judged(lambda task: "right")) == pytest.approx(1 / 3)
    assert judge_accuracy(gold, judged(lambda task: None)) == 0


def test_a_verdict_is_compared_with_the_label_of_its_task():
    task = next(task for task in PLANTED if task["gold"] == "wrong")
    example = dspy.Example(**task["inputs"], gold="wrong")
    wrong = Rejected(stage="judge_response", reason="wrong")
    unread = Rejected(stage="judge_response", reason="unparsable")
    assert right_verdict(example, dspy.Prediction(rows=[], rejected=[wrong])).score > 0.9
    verdict = right_verdict(example, dspy.Prediction(rows=[], rejected=[unread]))
    assert verdict.score == 0 and "is 'wrong', the judge said None" in verdict.feedback
    assert right_verdict(example, dspy.Prediction(rows=[row(response="x")], rejected=[])).score == 0


# Tuning


def test_optimize_lifts_a_generator_that_learns_from_good_demonstrations(tmp_path):
    def writes(call):
        """Questions about the passage if a demonstration shows one, about France otherwise."""
        shown = any("applicable" in message["content"] for message in call.messages if message["role"] == "assistant")
        first = " ".join(call["passage"].split()[:3])
        asked = f"What is said of {first}?" if shown else "What is the capital of France?"
        return {"fit": "applicable", "question": asked, "answer": call["passage"].split()[-1].strip(".")}

    seeds = [
        {"inputs": {"passage": example.passage, "task_type": "exqa"}}
        for examples in shipped_seeds(Bonito()).values()
        for example in examples
        if example.get("applicable", True)
    ]
    unique = [dict(each["inputs"]) for each in {each["inputs"]["passage"]: each for each in seeds}.values()]
    gold = {"exqa": [{"passage": "Reeds grow.", "fit": "applicable", "question": "What grows?", "answer": "Reeds"}]}
    tuned = optimize(
        Bonito(task_types="exqa", checks=(), language=None),
        trainset=unique[:6],
        valset=unique[6:11],
        testset=unique[11:],
        lms=ScriptedLM({"exqa": writes}),
        gold=gold,
        targets=["exqa"],
        budget=300,
        out=tmp_path,
    )
    assert tuned.metric.after > tuned.metric.before + 0.2
    assert tuned.held_out is not None and tuned.held_out.after > tuned.held_out.before
