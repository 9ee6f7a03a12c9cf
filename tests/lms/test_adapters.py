import gc
import logging
from enum import Enum
from typing import Any, Literal, cast

import dspy
import pytest
from pydantic import BaseModel

import synthwright as sw
from synthwright.lms.adapters import AutoAdapter, SchemaAdapter, default_adapter, response_schema
from synthwright.testing import ScriptedLM


class Level(Enum):
    EASY = "easy"
    HARD = "hard"


class Step(BaseModel):
    text: str
    minutes: int = 5


class Plan(BaseModel):
    steps: list[Step]


class WritePlan(dspy.Signature):
    """Write a plan. Keep "quotes" and {braces}."""

    goal: str = dspy.InputField(desc="what to reach")
    hints: list[str] = dspy.InputField()
    plan: Plan = dspy.OutputField()
    level: Level = dspy.OutputField()
    kind: Literal["home", "work"] = dspy.OutputField()
    tags: list[str] = dspy.OutputField(desc="at most three")
    sure: bool = dspy.OutputField()


class Riddle(sw.Row):
    riddle: str


class Riddles(sw.Generator[Riddle]):
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("word -> riddle")

    async def aforward(self, word):
        return dspy.Prediction(rows=[Riddle(riddle=(await self.write.acall(word=word)).riddle)])


def chat_lm(answers):
    lm = ScriptedLM(answers)
    cast(Any, lm.engine).supports_response_schema = False
    return lm


INPUTS = {"goal": "Move", "hints": ["boxes", "van"]}
DEMO = dspy.Example(
    goal="Cook", hints=[], plan=Plan(steps=[Step(text="boil")]), level=Level.EASY, kind="home", tags=["t"], sure=True
)


@pytest.mark.parametrize("demos", [[], [DEMO]])
@pytest.mark.parametrize(
    "signature", [WritePlan, WritePlan.with_instructions("Go"), WritePlan.delete("hints").delete("plan")]
)
def test_the_prompt_is_that_of_dspy_to_the_byte(signature, demos):
    inputs = {name: INPUTS.get(name, "x") for name in signature.input_fields}
    adapter = SchemaAdapter()
    for _ in range(2):
        theirs = dspy.JSONAdapter(use_native_function_calling=False).format(signature, demos, inputs)
        assert adapter.format(signature, demos, inputs) == theirs


def test_instructions_changed_in_place_change_the_prompt():
    signature, adapter = WritePlan.with_instructions("First."), SchemaAdapter()
    assert "First." in adapter.format(signature, [], INPUTS)[0]["content"]
    signature.instructions = "Second."
    assert "Second." in adapter.format(signature, [], INPUTS)[0]["content"]


def test_signatures_that_are_gone_are_forgotten():
    adapter = SchemaAdapter()
    for index in range(5):
        adapter.format(WritePlan.with_instructions(f"Number {index}."), [], INPUTS)
    gc.collect()
    assert len(adapter._plans) <= 1


def test_the_schema_requires_every_field_and_allows_no_other():
    schema = response_schema(WritePlan)
    assert schema["required"] == ["plan", "level", "kind", "tags", "sure"] and schema["additionalProperties"] is False
    assert schema["$defs"]["Step"]["required"] == ["text", "minutes"]
    assert schema["$defs"]["Step"]["additionalProperties"] is False
    assert schema["$defs"]["Level"]["enum"] == ["easy", "hard"]
    assert schema["properties"]["kind"]["enum"] == ["home", "work"]


def test_an_lm_that_constrains_gets_the_schema_and_one_that_does_not_the_chat_format():
    adapter = AutoAdapter()
    lm = ScriptedLM({"*": '{"answer": "yes"}'})
    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=lm, adapter=adapter):
        assert predict(question="q").answer == "yes"
    assert "JSON object" in lm.calls[0].messages[-1]["content"]
    chat = chat_lm({"*": "[[ ## answer ## ]]\nyes\n\n[[ ## completed ## ]]"})
    with dspy.context(lm=chat, adapter=adapter):
        assert predict(question="q").answer == "yes"
    assert "[[ ## completed ## ]]" in chat.calls[0].messages[-1]["content"]


def test_a_weak_lm_under_a_schema_gets_its_inputs_as_demonstrations_show_them(tmp_path):
    lm = ScriptedLM({"*": {"riddle": "I fall."}})
    lm.weak = True
    generator = Riddles()
    generator.write.demos = [dspy.Example(word="sun", riddle="I rise.")]
    sw.generate(generator, seeds=[{"word": "snow"}], lms=lm, out=tmp_path)
    users = [message["content"] for message in lm.calls[0].messages if message["role"] == "user"]
    assert [text.splitlines() for text in users] == [["[[ ## word ## ]]", "sun"], ["[[ ## word ## ]]", "snow"]]
    assert lm.calls[0].inputs == {"word": "snow"}


def test_one_attempt_is_one_call_in_the_chat_format_too():
    chat = chat_lm({"*": "no field at all"})
    with dspy.context(lm=chat, adapter=AutoAdapter()), pytest.raises(dspy.utils.exceptions.AdapterParseError):
        dspy.Predict("question -> answer: int")(question="q")
    assert len(chat.calls) == 1


def test_the_users_adapter_wins(tmp_path):
    lm = ScriptedLM({"*": "<riddle>\nfrom xml\n</riddle>"})
    with dspy.context(adapter=dspy.XMLAdapter()):
        assert isinstance(default_adapter(), dspy.XMLAdapter)
        run = sw.generate(Riddles(), seeds=[{"word": "w"}], lms=lm, out=tmp_path)
    assert [row.riddle for row in run] == ["from xml"]


def test_without_one_the_default_is_ours():
    assert isinstance(default_adapter(), AutoAdapter)


def test_half_a_character_makes_a_reply_unreadable():
    adapter = SchemaAdapter()
    signature = WritePlan.delete("plan").delete("level").delete("kind").delete("sure")
    with pytest.raises(dspy.utils.exceptions.AdapterParseError, match="not valid Unicode") as error:
        adapter.parse(signature, r'{"tags": ["fine", "\ud83d"]}')
    assert error.value.lm_response == r'{"tags": ["fine", "\ud83d"]}'
    assert adapter.parse(signature, r'{"tags": ["\ud83d\ude00", "\u00e9"]}') == {"tags": ["\U0001f600", "é"]}


def test_copies_of_a_program_may_copy_the_adapter():
    import copy

    assert isinstance(copy.deepcopy(SchemaAdapter()), SchemaAdapter)


def test_nothing_is_logged_for_a_call(caplog):
    with caplog.at_level(logging.WARNING), dspy.context(lm=ScriptedLM({"*": {"answer": "x"}}), adapter=AutoAdapter()):
        dspy.Predict("question -> answer")(question="q")
    assert caplog.records == []
