"""TarGEN on tasks whose answers are no closed set, and the schema of its task files."""

import json
from collections import Counter

import dspy
import pytest
import yaml

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.lms.adapters import default_adapter
from synthwright.programs.base import data_path
from synthwright.programs.targen import TarGEN
from synthwright.programs.targen_checks import CHECKS, problem
from synthwright.programs.targen_files import list_tasks, load_task
from synthwright.programs.targen_schema import SCHEMA, task_schema, task_schema_text
from synthwright.programs.targen_tasks import Task
from synthwright.testing import ScriptedLM

PASSAGE = "Yesterday Ana Ruiz won the long race in Oslo. Her friend Bo Lind came second."
ROW = {"step": "row", "context": "a race", "seed": PASSAGE, "label": "person"}
WRITTEN = {"query": "The race was won by @placeholder.", "entity": "Ana Ruiz", "explanation": "She won."}
KEPT = {"corrected_explanation": "It says so.", "corrected_entity": "Ana Ruiz"}


def one_row(generator, lm, **seed):
    with dspy.context(lm=lm, adapter=default_adapter()):
        return generator(**seed)


def made(correct=KEPT, write=WRITTEN, task="record", seed=ROW, **arguments):
    lm = ScriptedLM({"write": write, "correct": correct, "solve": {"solved_entity": "ana ruiz"}})
    return one_row(TarGEN(task, **arguments), lm, **seed), lm


# A single answer


def test_the_answer_of_a_structured_task_is_one_of_its_fields():
    found, lm = made()
    (row,) = found.rows
    assert row.fields == {"passage": PASSAGE, "query": WRITTEN["query"], "entity": "Ana Ruiz"}
    assert (row.label, row.initial_label, row.kind, row.asked) == ("Ana Ruiz", "Ana Ruiz", "person", "person")
    assert row.answers == ("entity",) and row.options == {}
    assert "label" not in lm.calls[0].inputs and "name of a person" in lm.calls[0]["requirement"]


def test_it_is_trained_on_as_a_question_without_its_answer():
    (row,) = made()[0].rows
    question, answer = row.to_messages()
    assert answer.content == "Ana Ruiz" and "entity" not in question.content
    assert "@placeholder" in question.content and "Answer with one of these labels" not in question.content


def test_self_correction_sees_the_answer_apart_and_corrects_nothing_else():
    wrong = {**WRITTEN, "entity": "Bo Lind"}
    found, lm = made(write=wrong)
    (row,) = found.rows
    call = lm.calls[1]
    assert call["current_entity"] == "Bo Lind" and "entity" not in call.inputs
    assert (row.initial_label, row.label, row.was_corrected) == ("Bo Lind", "Ana Ruiz", True)
    assert row.fields == {"passage": PASSAGE, "query": WRITTEN["query"], "entity": "Ana Ruiz"}


@pytest.mark.parametrize("answer", ["Cleo Park", "", "She"])
def test_a_correction_that_breaks_a_check_is_not_taken_and_flagged(answer):
    (row,) = made(correct={**KEPT, "corrected_entity": answer})[0].rows
    assert (row.label, row.was_corrected, row.flag) == ("Ana Ruiz", False, "label_not_checked")


def test_a_correction_that_cannot_be_read_keeps_the_answer_and_is_flagged():
    (row,) = made(correct="no json")[0].rows
    assert (row.label, row.flag) == ("Ana Ruiz", "label_not_checked")


def test_another_case_of_the_answer_is_no_correction():
    (row,) = made(correct={**KEPT, "corrected_entity": "ana ruiz"})[0].rows
    assert row.label == "Ana Ruiz" and not row.was_corrected


def test_corrected_answers_can_be_dropped():
    found, _ = made(write={**WRITTEN, "entity": "Bo Lind"}, drop_corrected=True)
    assert found.rows == [] and found.rejected[0].reason == "label_corrected"


def test_a_solver_gives_an_answer_of_its_own():
    found, lm = made(solver=True, require_agreement=True)
    assert found.rows[0].solver_label == "ana ruiz"
    assert "entity" not in lm.calls[-1].inputs
    other = ScriptedLM({"write": WRITTEN, "correct": KEPT, "solve": {"solved_entity": "Bo Lind"}})
    lost = one_row(TarGEN("record", solver=True, require_agreement=True), other, **ROW)
    assert lost.rejected[0].reason == "solver_disagrees"


@pytest.mark.parametrize(("entity", "reason"), [("Cleo Park", "absent"), ("race", "given_away"), ("the", "given_away")])
def test_an_answer_that_is_absent_or_given_away_is_dropped(entity, reason):
    found, _ = made(write={**WRITTEN, "entity": entity})
    assert found.rejected[0].reason == reason


def test_an_answer_that_the_passage_holds_twice_is_dropped():
    found, _ = made(seed={**ROW, "seed": f"{PASSAGE} Then Ana Ruiz went home."})
    assert found.rejected[0].reason == "occurs_2_times"


def test_kinds_of_instance_share_the_rows(tmp_path):
    numbers = iter(range(1000))

    def passages(inputs):
        return {"texts": [PASSAGE.replace("Ana Ruiz", f"Ana No{next(numbers)}") for _ in range(2)]}

    def write(inputs):
        place = "name of a person" not in inputs["requirement"]
        name = "Oslo" if place else "Bo Lind"
        return {"query": "It was about @placeholder.", "entity": name, "explanation": "So."}

    def keep(inputs):
        return {"corrected_explanation": "So.", "corrected_entity": inputs["current_entity"]}

    places = [f"place {number}" for number in range(8)]
    lm = ScriptedLM({"contexts": {"contexts": places}, "instances": passages, "write": write, "correct": keep})
    run = sw.generate(TarGEN("record"), n=8, out=tmp_path, lms=lm)
    assert Counter(row.kind for row in run) == {"person": 4, "place_or_group": 4}
    assert Counter(row.label for row in run) == {"Bo Lind": 4, "Oslo": 4}
    assert Counter(row.variant for row in run if row.kind == "place_or_group") == {0: 2, 1: 2}


def test_an_answer_from_anywhere_can_be_rechecked():
    fields = {"passage": PASSAGE, "query": WRITTEN["query"], "entity": "Bo Lind"}
    found, _ = made(seed={"step": "correct", "fields": fields})
    assert found.rows[0].label == "Ana Ruiz" and found.rows[0].kind == "person"


def test_wrong_answers_of_illustrations_show_a_correction():
    demos = TarGEN("record").all_predictors()["correct"].demos
    assert {demo["current_entity"] == demo["corrected_entity"] for demo in demos} == {True, False}
    for name in ("record", "announcement"):
        task = load_task(name)
        for label in task.labels:
            for illustration in label.illustrations:
                fields = {**illustration.fields, **illustration.wrong}
                assert problem(task.checks, fields, label.name) is None  # wrong, and not for its form


# An answer of several fields


SEED = "The chess club meets for its spring party on Friday in the old mill."
FIELDS = {"event": "spring party", "day": "Friday", "place": "the old mill"}


def test_an_answer_may_have_several_fields():
    lm = ScriptedLM(
        {
            "write": {**FIELDS, "day": "spring", "explanation": "So."},
            "correct": {"corrected_explanation": "No.", **{f"corrected_{name}": text for name, text in FIELDS.items()}},
        }
    )
    found = one_row(TarGEN("announcement"), lm, step="row", context="a club", seed=SEED, label="complete")
    (row,) = found.rows
    assert json.loads(row.label) == FIELDS and json.loads(row.initial_label)["day"] == "spring"
    assert row.was_corrected and row.fields == {"announcement": SEED, **FIELDS}
    assert row.text == f"announcement: {SEED}"
    assert json.loads(row.to_messages()[-1].content) == FIELDS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": "entty"}, "no field 'entty'. Did you mean 'entity'"),
        ({"answer": "passage"}, "the field 'passage' is given"),
        ({"answer": ["entity", "entity"]}, "a field is there twice"),
        ({"slots": {"right": {"person": "entity", "place_or_group": "query"}}}, "slots are for labels"),
        ({"answer": []}, "wrong answers are those of a structured task"),
    ],
)
def test_a_wrong_answer_field_is_refused(tmp_path, changes, message):
    data = yaml.safe_load(data_path("targen/record.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**data, **changes}), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_task(path)


def test_a_name_that_the_prompts_make_of_the_answer_is_taken(tmp_path):
    data = yaml.safe_load(data_path("targen/announcement.yaml").read_text(encoding="utf-8"))
    data["fields"]["corrected_day"] = "another"
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"fields\.corrected_day: the prompts use the name 'corrected_day'"):
        load_task(path)


# The schema


def test_the_schema_in_the_repository_is_that_of_the_code():
    assert SCHEMA.read_text(encoding="utf-8") == task_schema_text(), "SCHEMA.write_text(task_schema_text())"


def test_the_schema_describes_every_key_and_every_check():
    schema = task_schema()
    assert set(schema["properties"]) == set(Task.model_fields)
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False and part["description"]
        for name, value in part["properties"].items():
            assert value.get("description"), name
    assert set(schema["properties"]["checks"]["properties"]) == set(CHECKS)


@pytest.mark.parametrize("name", list_tasks())
def test_shipped_tasks_fit_the_schema_and_name_it(name):
    jsonschema = pytest.importorskip("jsonschema")
    text = data_path(f"targen/{name}.yaml").read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), task_schema())
    assert text.startswith("# yaml-language-server: $schema=task.schema.json\n")


@pytest.mark.parametrize(
    "changes", [{"definitoin": "x"}, {"labels": []}, {"seed_words": [1]}, {"checks": {"nonsense": ["query"]}}]
)
def test_the_schema_finds_mistakes(changes):
    jsonschema = pytest.importorskip("jsonschema")
    data = yaml.safe_load(data_path("targen/record.yaml").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, **changes}, task_schema())
