import pytest

from synthwright.errors import ConfigError
from synthwright.export.formats import FORMATS, Unfit, get_format
from synthwright.signatures.evol_instruct import EvolvedRow
from synthwright.signatures.magpie import MagpieRow
from synthwright.signatures.rows import InstructionRow, Message, Row
from synthwright.signatures.targen import LabelledRow

ASK = {"role": "user", "content": "Name a colour."}
TELL = {"role": "assistant", "content": "Red."}
colour = InstructionRow(instruction="Name a colour.", response="Red.")
evolved = EvolvedRow(
    instruction="Name a rare colour.",
    response="Celadon.",
    operator="deepen",
    round=1,
    root_id="r",
    parent="Name a colour.",
    judged=True,
)


class Rich(InstructionRow):
    """A row whose instruction has an input of its own."""

    input: str

    def to_messages(self):
        return [
            Message(role="user", content=f"{self.instruction}\n{self.input}"),
            Message(role="assistant", content="Red."),
        ]


class System(InstructionRow):
    def to_messages(self):
        return [Message(role="system", content="Be brief."), *(super().to_messages() or [])]


def made(name, row, standard=False):
    return get_format(name).convert(row, standard)


def test_one_exchange_has_every_form_of_supervised_training():
    assert made("messages", colour) == [{"messages": [ASK, TELL]}]
    assert made("sft", colour) == [{"prompt": [ASK], "completion": [TELL]}]
    assert made("prompt-only", colour) == [{"prompt": [ASK]}]
    assert made("text", colour) == [{"text": "Name a colour.\n\nRed."}]
    assert made("alpaca", colour) == [{"instruction": "Name a colour.", "input": "", "output": "Red."}]
    turns = [{"from": "human", "value": "Name a colour."}, {"from": "gpt", "value": "Red."}]
    assert made("sharegpt", colour) == [{"conversations": turns}]
    assert made("raw", colour) == [colour.record()]


def test_plain_prompts_end_where_the_answer_begins():
    assert made("sft", colour, standard=True) == [{"prompt": "Name a colour.\n\n", "completion": "Red."}]
    assert made("prompt-only", colour, standard=True) == [{"prompt": "Name a colour.\n\n"}]


def test_a_system_message_comes_first_and_does_not_fit_into_alpaca():
    row = System(instruction="Name a colour.", response="Red.")
    assert made("sft", row)[0]["prompt"] == [{"role": "system", "content": "Be brief."}, ASK]
    assert made("text", row) == [{"text": "Be brief.\n\nName a colour.\n\nRed."}]
    assert made("sharegpt", row)[0]["conversations"][0] == {"from": "system", "value": "Be brief."}
    with pytest.raises(Unfit, match="not one question with one answer"):
        made("alpaca", row)


def test_an_input_of_its_own_stays_apart_in_alpaca():
    row = Rich(instruction="Translate.", input="Haus", response="house")
    assert made("alpaca", row) == [{"instruction": "Translate.", "input": "Haus", "output": "Red."}]
    blank = Rich(instruction="Name a colour.", input=" ", response="x")
    assert made("alpaca", blank) == [{"instruction": "Name a colour.\n ", "input": "", "output": "Red."}]


def test_a_row_without_an_answer_is_a_prompt_and_nothing_else():
    row = evolved.model_copy(update={"response": ""})
    assert made("prompt-only", row)[0]["prompt"][0]["content"] == "Name a rare colour."
    for name in ("messages", "sft", "text", "alpaca", "sharegpt"):
        with pytest.raises(Unfit, match="no answer"):
            made(name, row)


def test_a_row_of_no_known_form_is_exported_as_it_is():
    class Point(Row):
        x: int

    assert made("raw", Point(x=1))[0]["x"] == 1
    for name in FORMATS.keys() - {"raw"}:
        with pytest.raises(Unfit):
            made(name, Point(x=1))


def test_a_conversation_keeps_its_turns(chat):
    row = chat("Hi", "Hello!", "A joke?", "Knock, knock.")
    assert [m["content"] for m in made("messages", row)[0]["messages"]] == ["Hi", "Hello!", "A joke?", "Knock, knock."]
    (record,) = made("sft", row)
    assert [m["content"] for m in record["prompt"]] == ["Hi", "Hello!", "A joke?"]
    assert [m["content"] for m in record["completion"]] == ["Knock, knock."]
    assert made("prompt-only", row)[0]["prompt"] == record["prompt"]
    for name, standard in (("text", False), ("sft", True), ("prompt-only", True)):
        with pytest.raises(Unfit, match="several exchanges"):
            made(name, row, standard)


def test_the_best_and_the_worst_answer_are_a_preference(chat):
    pair = {"chosen": "Red.", "rejected": "No.", "chosen_reward": 2.5, "rejected_reward": -1.0}
    row = chat("Name a colour.", "Blue.", **pair)
    bad = {"role": "assistant", "content": "No."}
    assert made("preference", row) == [{"prompt": [ASK], "chosen": [TELL], "rejected": [bad], "margin": 3.5}]
    assert made("unpaired", row) == [
        {"prompt": [ASK], "completion": [TELL], "label": True},
        {"prompt": [ASK], "completion": [bad], "label": False},
    ]
    (plain,) = made("preference", row, standard=True)
    assert plain == {"prompt": "Name a colour.\n\n", "chosen": "Red.", "rejected": "No.", "margin": 3.5}
    assert made("messages", row)[0]["messages"][1]["content"] == "Blue."


def test_no_pair_and_an_equal_pair_are_no_preference(chat):
    with pytest.raises(Unfit, match="no better and worse answer"):
        made("preference", chat("Hi", "Hello!"))
    with pytest.raises(Unfit, match="the better answer is the worse one"):
        made("unpaired", chat("Hi", "Hello!", chosen="a", rejected="a"))


def test_a_labelled_row_asks_for_one_of_its_labels():
    row = LabelledRow(
        task="rte",
        fields={"premise": "It rains.", "hypothesis": "It is wet."},
        label="yes",
        initial_label="no",
        definition="Does the hypothesis follow?",
        options={"yes": "it follows", "no": "it does not"},
    )
    ask, tell = made("messages", row)[0]["messages"]
    assert ask["content"] == (
        "Does the hypothesis follow?\n\npremise: It rains.\nhypothesis: It is wet.\n\n"
        "Answer with one of these labels:\n- yes: it follows\n- no: it does not"
    )
    assert tell["content"] == "yes"


def test_a_magpie_row_without_messages_is_its_first_exchange():
    row = MagpieRow(instruction="Name a colour.", response="Red.", messages=())
    assert made("sft", row) == made("sft", colour)


def test_an_unknown_format_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'preference'"):
        get_format("preferences")
