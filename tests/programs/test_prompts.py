"""The state of prompts: saved, loaded, compared; never a pickle, never a secret."""

import json
from typing import Any, Literal, cast

import dspy
import pytest
from pydantic import BaseModel

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.programs.base import Frozen, Generator
from synthwright.testing import ScriptedLM


class Step(BaseModel):
    text: str
    minutes: int


class Riddle(sw.Row):
    riddle: str


class PlanSteps(dspy.Signature):
    """Plan the steps."""

    goal: str = dspy.InputField(desc="what to reach")
    known: list[Step] = dspy.InputField()
    steps: list[Step] = dspy.OutputField()
    level: Literal["easy", "hard"] = dspy.OutputField(desc="how hard it is")


class JudgeSteps(dspy.Signature):
    """Judge the steps."""

    steps: list[Step] = dspy.InputField()
    good: bool = dspy.OutputField()


class Plans(Generator[Riddle]):
    signature = PlanSteps

    def __init__(self):
        super().__init__()
        self.plan_steps = dspy.ChainOfThought(self.signature)
        self.judge = Frozen(JudgeSteps)
        self.variants = [dspy.Predict(JudgeSteps)]

    def forward(self, goal):
        return dspy.Prediction(rows=[])


def change(predict, *, instructions=None, **descriptions):
    signature = cast(Any, predict.signature)
    if instructions:
        signature = signature.with_instructions(instructions)
    for field, description in descriptions.items():
        signature = signature.with_updated_fields(field, desc=description)
    predict.signature = signature


def tuned():
    plans = Plans()
    predict = plans.plan_steps.predict
    change(predict, instructions='Plan "well".\n\nKeep {braces}:\n  and é.', goal="the goal, in words")
    predict.demos = [
        dspy.Example(
            goal="tea",
            known=[Step(text="boil", minutes=3)],
            reasoning="First\nthis.",
            steps=[Step(text="pour", minutes=1), Step(text="wait", minutes=4)],
            level="easy",
            augmented=True,
        )
    ]
    plans.judge.predict.demos = [dspy.Example(steps=[], good=False)]
    return plans


def messages(plans):
    predict = plans.plan_steps.predict
    inputs = {"goal": "cake", "known": [Step(text="mix", minutes=2)]}
    return dspy.JSONAdapter().format(predict.signature, predict.demos, inputs)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "prompts.json"
    tuned().save_prompts(path)
    return path


def test_what_was_saved_is_loaded_to_the_byte_of_the_prompt(saved):
    plans = Plans()
    assert messages(plans) != messages(tuned())
    plans.load_prompts(saved)
    assert messages(plans) == messages(tuned()) and plans.prompts_hash() == tuned().prompts_hash()
    assert plans.judge.predict.demos[0].good is False
    again = saved.with_name("again.json")
    plans.save_prompts(again)
    assert again.read_text() == saved.read_text()


def test_the_hash_changes_with_instructions_descriptions_and_demonstrations():
    plans, hashes = Plans(), set()
    predict = plans.variants[0]
    hashes.add(plans.prompts_hash())
    change(predict, instructions="Other.")
    hashes.add(plans.prompts_hash())
    change(predict, steps="the steps")
    hashes.add(plans.prompts_hash())
    predict.demos = [dspy.Example(steps=[], good=True)]
    hashes.add(plans.prompts_hash())
    plans.judge.predict.demos = [dspy.Example(steps=[], good=True)]
    hashes.add(plans.prompts_hash())
    assert len(hashes) == 5 and all(len(h) == 12 for h in hashes) and Plans().prompts_hash() in hashes


def test_a_file_for_some_predictors_leaves_the_others_alone(saved):
    state = json.loads(saved.read_text())
    del state["predictors"]["judge"]
    saved.write_text(json.dumps(state))
    plans = Plans()
    plans.judge.predict.demos = [dspy.Example(steps=[], good=True)]
    plans.load_prompts(saved)
    assert plans.judge.predict.demos[0].good is True and len(plans.plan_steps.predict.demos) == 1


def test_every_misfit_is_listed_and_nothing_is_changed(saved):
    class Other(Plans):
        signature = (
            PlanSteps.delete("level")
            .append("tools", dspy.InputField(), type_=str)
            .with_updated_fields("steps", type_=list[str])
        )

        def __init__(self):
            super().__init__()
            del self.variants

    other = Other()
    before, hash_before = messages(other), other.prompts_hash()
    with pytest.raises(ConfigError) as error:
        other.load_prompts(saved)
    assert str(error.value) == (
        f"{saved} does not fit: it is for 'plans', not 'other'; "
        "plan_steps: the signature has no field 'level' (output Literal['easy', 'hard']) any more; "
        "plan_steps: field 'steps' was output list[Step] and is output list[str]; "
        "plan_steps: the file has no field 'tools' (input str); "
        "predictor 'variants[0]' does not exist (there are: plan_steps, judge)."
    )
    assert messages(other) == before and other.prompts_hash() == hash_before


@pytest.mark.parametrize("damage", ["instructions", "fields", "demos", "signature"])
def test_an_entry_with_a_part_missing_changes_nothing(damage, saved):
    state = json.loads(saved.read_text())
    del state["predictors"]["variants[0]"][damage]
    saved.write_text(json.dumps(state))
    plans = Plans()
    with pytest.raises(ConfigError, match=rf"variants\[0\]: its entry is not one that synthwright wrote .*{damage}"):
        plans.load_prompts(saved)
    assert plans.prompts_hash() == Plans().prompts_hash()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nope", "is not a file of prompts written by synthwright"),
        ("[]", "is not a file of prompts written by synthwright"),
        ("{}", "is not a file of prompts written by synthwright .*format"),
        ('{"format": 3}', "prompts of format 3; this version reads the formats 1, 2"),
        ('{"format": 1}', "is not a file of prompts written by synthwright .*predictors"),
        ('{"format": 1, "method": "plans", "predictors": []}', "is not a file of prompts"),
        ('{"format": 1, "method": "plans", "predictors": {"judge": 3}}', "judge: its entry is not one"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        Plans().load_prompts(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot read the prompts '.*none.json': No such file"):
        Plans().load_prompts(tmp_path / "none.json")


def test_no_secret_of_the_lm_is_written(tmp_path):
    secret = "sk-planted-77"
    plans = tuned()
    lm = dspy.LM("openai/x", api_key=secret, headers={"X-Key": secret}, extra_body={"token": secret})
    plans.set_lm(lm)
    plans.judge.predict.lm = lm
    plans.save_prompts(tmp_path / "prompts.json")
    assert secret not in (tmp_path / "prompts.json").read_text() and secret not in plans.prompts_hash()


def test_the_file_is_json_that_a_person_can_read(saved):
    state = json.loads(saved.read_text())
    assert state["format"] == 2 and state["method"] == "plans"
    assert set(state["predictors"]) == {"judge", "variants[0]", "plan_steps"}
    entry = state["predictors"]["plan_steps"]
    assert entry["instructions"] == 'Plan "well".\n\nKeep {braces}:\n  and é.' and "é" in saved.read_text()
    assert entry["signature"]["steps"] == "output list[Step]" and entry["fields"]["goal"] == "the goal, in words"
    assert entry["demos"][0]["steps"] == [{"text": "pour", "minutes": 1}, {"text": "wait", "minutes": 4}]


def test_tuned_prompts_are_those_that_a_run_uses(saved, tmp_path):
    class Running(Plans):
        @classmethod
        def stem(cls):
            return "plans"

        async def aforward(self, goal):
            made = await self.plan_steps.acall(goal=goal, known=[])
            return dspy.Prediction(rows=[Riddle(riddle=made.steps[0].text)])

    plans = Running()
    plans.load_prompts(saved)
    lm = ScriptedLM({"plan_steps": {"reasoning": "", "steps": [{"text": "bake", "minutes": 9}], "level": "hard"}})
    run = sw.generate(plans, seeds=[{"goal": "cake"}], lms=lm, out=tmp_path / "run")
    assert [row.riddle for row in run] == ["bake"] and 'Plan "well".' in lm.calls[0].messages[0]["content"]
    assert run.rows[0].provenance and run.rows[0].provenance.prompts == tuned().prompts_hash()


def test_a_file_says_what_its_prompts_were_tuned_for(tmp_path):
    plans = tuned()
    plans.save_prompts(tmp_path / "p.json", {"metric": "clear_steps", "lms": {"generator": "scripted"}})
    state = json.loads((tmp_path / "p.json").read_text())
    assert state["format"] == 2 and state["tuned_for"]["metric"] == "clear_steps"
    assert set(state["versions"]) == {"synthwright", "dspy"} and state["versions"]["dspy"] != "unknown"
    hashes = [entry["signature_hash"] for entry in state["predictors"].values()]
    assert all(len(each) == 12 for each in hashes) and hashes[0] != hashes[1]


def test_files_of_the_first_format_still_load(tmp_path):
    plans = tuned()
    plans.save_prompts(tmp_path / "p.json")
    state = json.loads((tmp_path / "p.json").read_text())
    state["format"] = 1
    del state["versions"], state["tuned_for"]
    for entry in state["predictors"].values():
        del entry["signature_hash"]
    (tmp_path / "old.json").write_text(json.dumps(state))
    again = Plans()
    again.load_prompts(tmp_path / "old.json")
    assert again.prompts_hash() == plans.prompts_hash()


def test_a_file_of_a_later_format_or_with_edited_fields_is_refused(tmp_path):
    tuned().save_prompts(tmp_path / "p.json")
    state = json.loads((tmp_path / "p.json").read_text())
    (tmp_path / "later.json").write_text(json.dumps({**state, "format": 3}))
    with pytest.raises(ConfigError, match="format 3; this version reads the formats 1, 2"):
        Plans().load_prompts(tmp_path / "later.json")
    state["predictors"]["plan_steps"]["signature"]["goal"] = "input int"
    (tmp_path / "edited.json").write_text(json.dumps(state))
    with pytest.raises(ConfigError, match="plan_steps: its fields were edited by hand"):
        Plans().load_prompts(tmp_path / "edited.json")
