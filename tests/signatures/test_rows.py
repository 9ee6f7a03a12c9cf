import doctest
import subprocess
import sys
from typing import Literal

import pytest
from pydantic import ValidationError

import synthwright as sw
from synthwright.signatures import rows
from synthwright.signatures.rows import InstructionRow, Message, Provenance, Rejected, Row


class Riddle(Row):
    word: str
    riddle: str


class Chat(Row):
    messages: list[Message]
    level: Literal["easy", "hard"] = "easy"
    scores: dict[str, float] = {}
    note: str | None = None


MADE = Provenance(method="riddles", version="1", prompts="abc", lms={"generator": "m"}, seed=3)
snow = Riddle(word="snow", riddle="I fall, yet never break.")


def test_the_id_in_the_documentation_is_right():
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(Row, "Row", globs={"Row": Row})
    assert doctest.DocTestRunner().run(test).failed == 0 and test.examples


def test_an_id_is_the_same_in_every_process():
    code = """
import synthwright as sw
class Riddle(sw.Row):
    word: str
    riddle: str
print(Riddle(word="snow", riddle="I fall, yet never break.", parent_ids=("x",)).id)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == snow.id == "017bb38998b15e276702"


def test_an_id_depends_on_the_content_and_on_nothing_else():
    assert snow.model_copy(update={"provenance": MADE, "parent_ids": ("p",)}).id == snow.id
    assert Riddle(word="snow", riddle="I fall.").id != snow.id
    assert snow.model_copy(update={"riddle": "I fall."}).id == Riddle(word="snow", riddle="I fall.").id
    assert Chat(messages=[], scores={"a": 1, "b": 2}).id == Chat(messages=[], scores={"b": 2, "a": 1}).id


def test_ids_exist_for_any_text():
    texts = ["", "\x00", "\ud83d", "é", "e\u0301", "\u2028", "山" * 1000]
    ids = {Riddle(word="w", riddle=text).id for text in texts}
    assert len(ids) == len(texts) and all(len(i) == 20 and int(i, 16) >= 0 for i in ids)


def test_rows_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        snow.word = "ice"  # pyright: ignore[reportAttributeAccessIssue]  the mistake under test
    with pytest.raises(ValidationError, match="frozen"):
        MADE.seed = 4  # pyright: ignore[reportAttributeAccessIssue]  the mistake under test


def test_fields_that_are_not_declared_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Riddle(word="a", riddle="b", wrod="c")  # pyright: ignore[reportCallIssue]  the mistake under test


@pytest.mark.parametrize(
    "row",
    [
        snow,
        snow.model_copy(update={"provenance": MADE, "parent_ids": ("a", "b")}),
        Chat(messages=[Message(role="user", content="Hi")], scores={"a": 0.5}),
        InstructionRow(instruction="Do", response="Done"),
    ],
)
def test_a_record_is_read_back_as_the_row(row):
    record = row.record()
    assert next(iter(record)) == "id" and list(record)[-2:] == ["parent_ids", "provenance"]
    again = type(row).model_validate(record)
    assert again == row and again.id == row.id == record["id"]
    assert type(row).model_validate_json(row.model_dump_json()) == row


def test_an_id_that_was_written_is_derived_anew():
    assert Riddle.model_validate({**snow.record(), "id": "wrong"}).id == snow.id


def test_rows_are_equal_by_content():
    same = Riddle(word="snow", riddle="I fall, yet never break.")
    assert same == snow and hash(same) == hash(snow) and same != Riddle(word="snow", riddle="I fall.")


def test_a_reject_needs_a_stage_and_a_reason():
    assert Rejected(stage="write", reason="empty") == Rejected(stage="write", reason="empty", detail="", content={})
    with pytest.raises(ValidationError):
        Rejected(stage="write")  # pyright: ignore[reportCallIssue]  the mistake under test


def test_public_names_are_those_of_the_module():
    assert sorted(rows.__all__) == rows.__all__ and {"Row", "Rejected", "Message"} <= set(sw.__all__)
