"""Measures of TarGEN's datasets: artifacts, planted flips, balance."""

import random
from collections import Counter

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.programs.blocks.naive_bayes import NaiveBayes, cross_validate
from synthwright.programs.targen import TarGEN
from synthwright.programs.targen_artifacts import artifact_check, blind_accuracy, unseeded
from synthwright.programs.targen_files import load_task
from synthwright.programs.targen_flips import certain, flip_report, plant_flips
from synthwright.programs.targen_stats import measure
from synthwright.signatures.targen import LabelledRow
from synthwright.testing import ScriptedLM

RTE, COPA = load_task("rte"), load_task("copa")
NOUNS = "boat mill letter garden bridge clock window road market horse lamp river".split()
VERBS = "sold painted moved found closed opened counted repaired".split()


def row(number, label="entailment", hypothesis=None, **values):
    premise = f"In the year {1800 + number} the town {VERBS[number % 8]} its {NOUNS[number % 12]}."
    hypothesis = hypothesis or f"The {NOUNS[number % 12]} was {VERBS[number % 8]}."
    usual = {
        "task": "rte",
        "initial_label": label,
        "options": RTE.meanings,
        "definition": RTE.definition,
        "context": "a town",
    }
    fields = {"premise": premise, "hypothesis": hypothesis}
    return LabelledRow(fields=fields, label=label, instance_seed=premise, **{**usual, **values})


def rows_of(count, written):
    """Rows under the two labels in turn, with what `written(rng, label)` says as hypothesis."""
    rng = random.Random(7)
    labels = ("entailment", "not_entailment")
    return [row(number, labels[number % 2], written(rng, labels[number % 2])) for number in range(count)]


def at_random(rng, label):
    return f"The {rng.choice(NOUNS)} was {rng.choice(VERBS)} by the {rng.choice(NOUNS)}."


def with_an_artifact(rng, label):
    negation = "never" if label == "not_entailment" else "once"
    return f"The {rng.choice(NOUNS)} was {negation} {rng.choice(VERBS)}."


# Artifacts


def test_a_solver_without_the_instance_seed_is_at_chance_on_clean_rows():
    report = artifact_check(rows_of(200, at_random))
    assert report.chance == 0.5 and report.rows == 200
    assert abs(report.accuracy - 0.5) < 0.1 and not report.leaks


def test_a_word_that_goes_with_a_label_is_found_and_named():
    report = artifact_check(rows_of(200, with_an_artifact))
    assert report.leaks and report.accuracy > 0.95
    assert ("hypothesis:never", "not_entailment") in report.telling
    assert ("hypothesis:once", "entailment") in report.telling


def test_an_artifact_in_a_fifth_of_the_rows_is_found_in_a_thousand():
    def sometimes(rng, label):
        return (with_an_artifact if rng.random() < 0.2 else at_random)(rng, label)

    assert artifact_check(rows_of(1000, sometimes)).leaks


def test_words_of_the_instance_seed_do_not_count():
    rows = [row(n, label, at_random(random.Random(n), label)) for n, label in enumerate(["entailment"] * 60)]
    rows += [
        row(n, "not_entailment", at_random(random.Random(n + 60), "")).model_copy(
            update={"fields": {"premise": "A telltale seed.", "hypothesis": at_random(random.Random(n), "")},
                    "instance_seed": "A telltale seed."}
        )
        for n in range(60)
    ]  # fmt: skip
    assert not any("telltale" in token for each in rows for token in unseeded(each))
    assert not artifact_check(rows).leaks


def test_a_position_is_told_apart_by_the_field_of_a_word():
    def alternatives(number, label):
        good, bad = "It rained all day.", "A violin was sold."
        first, second = (good, bad) if label == "C1" else (bad, good)
        fields = {"premise": f"Street {number} was wet.", "question": "cause", "choice1": first, "choice2": second}
        return LabelledRow(
            task="copa", fields=fields, label=label, initial_label=label, instance_seed=fields["premise"],
            options=COPA.meanings,
        )  # fmt: skip

    report = artifact_check([alternatives(n, ("C1", "C2")[n % 2]) for n in range(40)])
    assert report.accuracy == 1 and report.leaks  # the same alternative wins everywhere


def test_an_uneven_distribution_of_labels_is_no_artifact():
    rng = random.Random(3)
    rows = [row(n, "entailment" if n % 5 else "not_entailment", at_random(rng, "")) for n in range(200)]
    report = artifact_check(rows)
    assert not report.leaks and report.accuracy < 0.65


def test_an_lm_that_sees_no_instance_seed_is_compared_with_chance():
    rows = [row(n, ("entailment", "not_entailment")[n % 2], blind_label="entailment") for n in range(80)]
    report = blind_accuracy(rows)
    assert report.accuracy == 0.5 and not report.leaks
    knowing = [each.model_copy(update={"blind_label": each.label}) for each in rows]
    assert blind_accuracy(knowing).leaks
    with pytest.raises(ConfigError, match="hide_seed=True"):
        blind_accuracy([row(1)])


def test_a_solver_can_be_asked_without_the_instance_seed(tmp_path):
    def solve(inputs):
        return {"label": "not_entailment" if inputs["premise"] == "(not shown)" else "entailment"}

    lm = ScriptedLM(
        {
            "write": {"hypothesis": "A ship sank.", "explanation": "So."},
            "correct": {"corrected_explanation": "So.", "corrected_label": "entailment"},
            "solve": solve,
        }
    )
    seeds = [{"context": "a harbour", "seed": "The ferry sank near the harbour on Monday morning."}]
    run = sw.generate(TarGEN(solver=True, hide_seed=True), seeds=seeds, n=1, lms=lm, out=tmp_path)
    assert (run.rows[0].solver_label, run.rows[0].blind_label) == ("entailment", "not_entailment")
    with pytest.raises(ConfigError, match="need a solver"):
        TarGEN(hide_seed=True)


@pytest.mark.parametrize("rows", [[], [row(1)], [row(1), row(2)], [row(1), row(2), row(3, "not_entailment")]])
def test_too_few_rows_are_an_error(rows):
    with pytest.raises(ConfigError, match="2 texts or more of 2 labels"):
        artifact_check(rows)


def test_a_structured_task_has_no_artifacts_of_labels():
    with pytest.raises(ConfigError, match="structured"):
        artifact_check([row(1, answers=("hypothesis",))])


def test_naive_bayes_separates_what_is_separable_and_is_deterministic():
    texts = [["red", "apple"], ["red", "cherry"], ["blue", "sky"], ["blue", "sea"]] * 5
    labels = ["r", "r", "b", "b"] * 5
    found = cross_validate(texts, labels, folds=5)
    assert list(found.predictions) == labels and found.folds == 5
    assert found == cross_validate(texts, labels, folds=5)
    assert NaiveBayes(texts, labels).predict(["unknown"]) == "b"  # nothing known: the first by alphabet
    assert {token for token, _, _ in NaiveBayes(texts, labels).telling(2)} == {"red", "blue"}
    with pytest.raises(ConfigError, match="folds=1"):
        cross_validate(texts, labels, folds=1)


def test_folds_are_no_more_than_the_rarest_label_has_texts():
    assert cross_validate([["a"], ["a"], ["b"], ["b"], ["b"]], list("aabbb"), folds=5).folds == 2


# Planted flips


def planted(share=0.5, count=40):
    rows = [row(n, ("entailment", "not_entailment")[n % 2], f"Statement {n} on the town.") for n in range(count)]
    return plant_flips(rows, RTE, share=share)


def rechecked(tmp_path, found, verdict):
    lm = ScriptedLM({"correct": verdict})
    return sw.generate(TarGEN(), seeds=[each.seed for each in found], lms=lm, out=tmp_path).rows


def test_half_of_the_labels_are_flipped_evenly_over_the_labels():
    found = planted()
    assert Counter((each.gold, each.flipped) for each in found) == dict.fromkeys(
        [(label, flipped) for label in RTE.label_names for flipped in (True, False)], 10
    )
    assert [each.seed for each in found] == [each.seed for each in planted()]
    assert all(each.seed["step"] == "correct" for each in found)
    assert not any(each.flipped for each in planted(share=0))


def test_only_rows_beyond_doubt_are_planted():
    doubtful = [
        row(1, was_corrected=True, initial_label="not_entailment"),
        row(2, flag="label_not_checked"),
        row(3, solver_label="not_entailment"),
    ]
    assert not any(certain(each) for each in doubtful) and plant_flips(doubtful, RTE) == []
    assert certain(row(1, solver_label="entailment"))


def test_an_oracle_has_full_flip_precision_and_recall(tmp_path):
    found = planted()
    gold = {each.seed["fields"]["hypothesis"]: each.gold for each in found}

    def right(inputs):
        return {"corrected_explanation": "x", "corrected_label": gold[inputs["hypothesis"]]}

    rows = rechecked(tmp_path, found, right)
    report = flip_report(found, rows)
    assert (report.planted, report.clean, report.repaired, report.damaged) == (20, 20, 20, 0)
    assert (report.precision, report.recall, report.balanced_accuracy) == (1, 1, 1)


def test_a_checker_that_always_changes_repairs_as_often_as_it_damages(tmp_path):
    def change(inputs):
        other = {"entailment": "not_entailment", "not_entailment": "entailment"}[inputs["current_label"]]
        return {"corrected_explanation": "x", "corrected_label": other}

    report = flip_report(found := planted(), rechecked(tmp_path, found, change))
    assert (report.repaired, report.damaged) == (20, 20)
    assert report.precision == 0.5 and report.recall == 1 and report.balanced_accuracy == 0.5


def test_a_checker_that_never_changes_has_no_precision(tmp_path):
    def keep(inputs):
        return {"corrected_explanation": "x", "corrected_label": inputs["current_label"]}

    report = flip_report(found := planted(), rechecked(tmp_path, found, keep))
    assert report.precision is None and report.recall == 0 and report.balanced_accuracy == 0.5


def test_verdicts_that_cannot_be_read_are_counted_apart(tmp_path):
    report = flip_report(found := planted(count=8), rechecked(tmp_path, found, {"corrected_label": "banana"}))
    assert report.unread == 8 and report.precision is None
    assert flip_report(found, []).unread == 8


def test_another_wrong_label_is_no_repair(tmp_path):
    cb = load_task("cb")
    rows = [row(n, "neutral", f"Statement {n}.", options=cb.meanings, task="cb") for n in range(6)]
    found = plant_flips(rows, cb, share=1)
    assert {each.seed["label"] for each in found} <= {"entailment", "contradiction"} and all(e.flipped for e in found)

    def other(inputs):
        wrong = {"entailment": "contradiction", "contradiction": "entailment"}[inputs["current_label"]]
        return {"corrected_explanation": "x", "corrected_label": wrong}

    lm = ScriptedLM({"correct": other})
    run = sw.generate(TarGEN("cb"), seeds=[each.seed for each in found], lms=lm, out=tmp_path)
    report = flip_report(found, run.rows)
    assert (report.changed, report.repaired, report.precision) == (6, 0, 0)


def test_flips_need_labels_and_a_share():
    with pytest.raises(ConfigError, match="structured"):
        plant_flips([], load_task("record"))
    with pytest.raises(ConfigError, match="`share` must be in"):
        plant_flips([], RTE, share=1.5)


# Balance


def test_labels_slots_and_positions_are_balanced(tmp_path):
    number = iter(range(1000))
    lm = ScriptedLM(
        {
            "contexts": {"contexts": [f"place {n}" for n in range(8)]},
            "instances": lambda i: {"texts": [f"Glass {next(number)} broke.", f"Rain fell on day {next(number)}."]},
            "write": lambda i: {"plausible": "A cat ran.", "implausible": "A king slept.", "explanation": "So."},
            "correct": lambda i: {"corrected_explanation": "So.", "corrected_label": i["current_label"]},
        }
    )  # fmt: skip
    run = sw.generate(TarGEN("copa"), n=16, out=tmp_path, lms=lm)
    found = measure(run.rows)
    assert found.labels == {"C1": 8, "C2": 8} and found.balance == 1
    assert set(found.slots.values()) == {4} and len(found.slots) == 4 and found.slot_balance == 1
    assert found.rows_per_context == 2 and found.contexts == 8
    assert Counter(each.fields["choice1"] for each in run.rows) == {"A cat ran.": 8, "A king slept.": 8}


def test_agreement_is_measured_before_and_after_self_correction():
    rows = [
        row(1, "entailment", initial_label="not_entailment", solver_label="entailment", was_corrected=True),
        row(2, "entailment", solver_label="entailment"),
        row(3, "entailment", flag="label_not_checked"),
    ]
    found = measure(rows)
    assert (found.agreement_before, found.agreement_after) == (0.5, 1.0)
    assert found.corrected == pytest.approx(1 / 3) and found.unchecked == pytest.approx(1 / 3)
    assert found.balance == 0 and found.labels == {"entailment": 3}
    assert measure([]).rows == 0 and measure([]).agreement_after is None


def test_a_run_that_was_stopped_goes_on_to_the_same_rows(tmp_path):
    def answers():
        return {
            "contexts": {"contexts": [f"place {n}" for n in range(8)]},
            "instances": lambda i: {"texts": [f"Owners of {i['context']} met.", f"A fire hit {i['context']}."]},
            "write": lambda i: {"hypothesis": f"{i['label'][:3]} of {i['context']}.", "explanation": "So."},
            "correct": lambda i: {"corrected_explanation": "So.", "corrected_label": i["current_label"]},
        }  # fmt: skip

    whole = sw.generate(TarGEN(checks=False), n=8, lms=ScriptedLM(answers()), out=tmp_path / "whole")
    sw.generate(TarGEN(checks=False), n=8, lms=ScriptedLM(answers()), out=tmp_path / "parts", budget=sw.Budget(calls=9))
    resumed = sw.generate(TarGEN(checks=False), n=8, lms=ScriptedLM(answers()), out=tmp_path / "parts")
    assert len(whole.rows) == 8
    assert [each.id for each in resumed.rows] == [each.id for each in whole.rows]
