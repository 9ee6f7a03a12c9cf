import json
from pathlib import Path

import dspy
import pytest

from synthwright.lms.adapters import default_adapter
from synthwright.optimizers.metrics.targen import (
    HELD_OUT,
    METRIC,
    context_spread,
    flip_repair,
    shows_label,
    varied_contexts,
    well_written,
)
from synthwright.programs.targen import TarGEN
from synthwright.signatures.rows import Rejected
from synthwright.signatures.targen import Contexts, LabelledRow
from synthwright.testing import ScriptedLM

PREMISE = "The ferry to the island was cancelled on Monday because ice blocked the harbour."
DATA = Path(__file__).parents[2] / "optimizers" / "data"


def row(hypothesis, label="entailment", **values):
    fields = {"premise": PREMISE, "hypothesis": hypothesis}
    usual = {"label": label, "initial_label": label, "explanation": "The premise names the ferry, ice and harbour."}
    return LabelledRow(task="rte", fields=fields, instance_seed=PREMISE, **{**usual, **values})


def graded(metric, *rows, rejected=()):
    return metric(dspy.Example(), dspy.Prediction(rows=list(rows), rejected=list(rejected)))


ENTAILED = row("Ice blocked the harbour on Monday.")
ENTAILED_TOO = row("A ferry was cancelled because of ice.")
NEW = row("The ferry to the island carries two hundred cars.", "not_entailment")
DENIED = row("The ferry to the island was not cancelled on Monday.", "not_entailment")


def test_the_optimized_metric_and_the_check_are_different():
    assert METRIC is shows_label and HELD_OUT is well_written


@pytest.mark.parametrize("metric", [shows_label, well_written])
def test_good_rows_score_near_one_and_never_one(metric):
    for rows in ([ENTAILED, ENTAILED_TOO], [NEW, DENIED]):
        assert 0.85 < graded(metric, *rows).score < 1


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(PREMISE), "restates"),
        (row("The label entailment fits the ferry."), "label_leaks"),
        (row("Pigs can fly in Spain."), "off_topic"),
        (row("The ferry will carry tourists from Spain to Greece in summer."), "Does not show 'entailment'"),
        (row("Ice blocked the harbour in 1990."), "Does not show 'entailment'"),
        (row("Ice did not block the harbour."), "Does not show 'entailment'"),
        (row("Ice blocked the harbour.", "not_entailment"), "Does not show 'not_entailment'"),
        (
            row("Ice blocked the harbour.", label="not_entailment", initial_label="entailment", was_corrected=True),
            "re-che",
        ),
        (row("Ice blocked the harbour.", explanation="Because I say so."), "Explains something else"),
    ],
)
def test_a_planted_fault_costs_and_is_quoted(bad, words):
    judged = graded(shows_label, bad)
    assert judged.score < graded(shows_label, ENTAILED).score - 0.15
    assert words in judged.feedback


def test_a_wrong_row_that_is_repaired_scores_between_a_wrong_and_a_right_one():
    text = "The ferry will carry tourists from Spain to Greece in summer."
    wrong = row(text)
    repaired = row(text, label="not_entailment", initial_label="entailment", was_corrected=True)
    scores = [graded(shows_label, r).score for r in (wrong, repaired, ENTAILED)]
    assert scores == sorted(scores) and len(set(scores)) == 3


def test_a_lost_draw_counts_as_nothing_and_is_quoted():
    lost = Rejected(stage="write", reason="unparsable", detail="no JSON")
    judged = graded(shows_label, ENTAILED, rejected=[lost])
    assert judged.score == pytest.approx(graded(shows_label, ENTAILED).score / 2, abs=0.02)
    assert "write, unparsable" in judged.feedback
    for metric in (shows_label, well_written, flip_repair):
        example = dspy.Example(label="entailment", gold="entailment")
        assert metric(example, dspy.Prediction(rows=[], rejected=[])).score == 0


def test_equal_draws_cost():
    judged = graded(shows_label, ENTAILED, ENTAILED)
    assert judged.score < graded(shows_label, ENTAILED, ENTAILED_TOO).score
    assert "repeat each other" in judged.feedback


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The ferry to the island was cancelled", "a stretch of the seed"),
        ("The premise says that ice blocked the harbour.", "talks about the example"),
        ("Ice.", "too short"),
        ("The ferry of the ferry of the ferry of the ferry of the ferry.", "repeats itself"),
        ("Birds sang in the quiet valley.", "not what the explanation is about"),
    ],
)
def test_badly_written_texts_score_less_and_are_quoted(text, words):
    judged = graded(well_written, row(text))
    assert judged.score < graded(well_written, ENTAILED).score
    assert words in judged.feedback


def test_other_tasks_score_for_usable_rows_that_keep_their_label():
    fields = {
        "premise": "The roof leaked.",
        "question": "effect",
        "choice1": "The roof dripped.",
        "choice2": "It sang.",
    }
    values = {"task": "copa", "fields": fields, "initial_label": "C1", "instance_seed": "The roof leaked."}
    kept = LabelledRow(label="C1", explanation="A roof drips.", **values)
    changed = LabelledRow(label="C2", explanation="A roof drips.", was_corrected=True, **values)
    assert graded(shows_label, kept).score > graded(shows_label, changed).score
    own = LabelledRow(label="C1", explanation="A roof drips.", **{**values, "task": "a task of the user"})
    assert graded(shows_label, own).score > 0.5


# Self-correction on planted labels


def recheck(seed, reply):
    lm = ScriptedLM({"correct": reply})
    with dspy.context(lm=lm, adapter=default_adapter()):
        return TarGEN()(**seed["inputs"])


def planted():
    return [json.loads(line) for line in (DATA / "targen_flips.jsonl").read_text(encoding="utf-8").splitlines()]


def test_an_oracle_repairs_every_planted_label_and_a_yes_sayer_half():
    seeds = [seed for seed in planted() if seed["split"] == "test"]
    scores = {"oracle": 0.0, "keeper": 0.0}
    for seed in seeds:
        example = dspy.Example(**seed["inputs"], gold=seed["gold"])
        replies = {"oracle": seed["gold"], "keeper": seed["inputs"]["label"]}
        for name, label in replies.items():
            pred = recheck(seed, {"corrected_explanation": "why", "corrected_label": label})
            scores[name] += flip_repair(example, pred).score / len(seeds)
    assert scores["oracle"] == pytest.approx(0.99) and scores["keeper"] == pytest.approx(0.495)


def test_damage_and_silence_are_told_apart():
    seed = next(seed for seed in planted() if seed["gold"] == seed["inputs"]["label"])
    other = {"entailment": "not_entailment", "not_entailment": "entailment"}[seed["gold"]]
    example = dspy.Example(**seed["inputs"], gold=seed["gold"])
    damaged = flip_repair(example, recheck(seed, {"corrected_explanation": "why", "corrected_label": other}))
    silent = flip_repair(example, recheck(seed, "hm"))
    assert damaged.score == silent.score == 0
    assert "damaged the right label" in damaged.feedback and "stands unchecked" in silent.feedback


# Seeds


@pytest.mark.parametrize("name", ["targen", "targen_flips"])
def test_seeds_are_balanced_and_disjoint(name):
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    seeds = [json.loads(line) for line in lines]
    texts = [seed["inputs"].get("seed") or seed["inputs"]["fields"]["premise"] for seed in seeds]
    assert len(set(texts)) == len(texts)
    predictors = TarGEN().all_predictors()
    shown = {demo["premise"] for demo in (*predictors["write"].demos, *predictors["correct"].demos)}
    assert shown.isdisjoint(texts)
    for split in ("train", "val", "test"):
        labels = [seed["inputs"]["label"] for seed in seeds if seed["split"] == split]
        assert labels.count("entailment") * 2 == len(labels) > 0


# Contexts


def contexts_of(*lists):
    made = [Contexts(contexts=tuple(texts), draw=number, round=0) for number, texts in enumerate(lists)]
    return dspy.Prediction(rows=[], rejected=[], artifacts=made)


VARIED = ["a fish market at dawn", "the last day of a bookshop", "an orbiting hospital", "a medieval tournament"]
ALIKE = ["a haunted mansion", "an old haunted mansion", "the haunted mansion by night", "a haunted mansion again"]


OTHERS = ["a chess club", "two rival bakeries", "a tram depot", "an orchestra on tour"]


def one_hot(texts):
    """Embeddings that are orthogonal for different texts."""
    known = VARIED + OTHERS
    return [[float(text == other) for other in known] for text in texts]


@pytest.mark.parametrize("metric", [varied_contexts, context_spread(one_hot)])
def test_different_contexts_score_high_and_their_repetition_low(metric):
    assert 0.8 < metric(None, contexts_of(VARIED)).score < 1
    assert metric(None, contexts_of(VARIED, VARIED)).score < 0.6 < metric(None, contexts_of(VARIED, OTHERS)).score
    assert metric(None, contexts_of()).score == 0


def test_contexts_that_are_alike_are_quoted():
    verdict = varied_contexts(None, contexts_of(ALIKE))
    assert verdict.score < 0.5 and "an old haunted mansion" in verdict.feedback


def test_contexts_are_tuned_apart_from_rows():
    assert set(TarGEN(tune_contexts=True).target_predictors()) == {"contexts"}
    assert set(TarGEN().target_predictors()) == {"write", "correct"}
