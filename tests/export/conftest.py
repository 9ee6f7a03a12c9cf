"""Runs to export: real runs of a generator that returns the rows it is given."""

import dspy
import pytest

import synthwright as sw
from synthwright.signatures.magpie import MagpieRow
from synthwright.signatures.rows import Preference
from synthwright.testing import ScriptedLM


class Pair(sw.Row):
    question: str
    better: str
    worse: str
    level: int = 0

    def to_preference(self):
        turn = {name: (sw.Message(role="assistant", content=getattr(self, name)),) for name in ("better", "worse")}
        asked = (sw.Message(role="user", content=self.question),)
        return Preference(prompt=asked, chosen=turn["better"], rejected=turn["worse"])


CLASSES = {cls.__name__: cls for cls in (sw.InstructionRow, MagpieRow, Pair)}


class Given(sw.Generator[sw.Row]):
    """Returns the rows of its seed."""

    def forward(self, kind: str, rows: list[dict]) -> dspy.Prediction:
        return dspy.Prediction(rows=[CLASSES[kind].model_validate(row) for row in rows])


@pytest.fixture
def run_of(tmp_path):
    """A function that makes a finished run of rows; each list of rows given is the output of one seed."""

    def make(*groups, name="run"):
        seeds = []
        for group in groups:
            rows = group if isinstance(group, list) else [group]
            CLASSES[type(rows[0]).__name__] = type(rows[0])
            seeds.append({"kind": type(rows[0]).__name__, "rows": [row.record() for row in rows]})
        run = sw.generate(Given(), seeds=seeds, out=tmp_path / name, lms=ScriptedLM({}))
        run.row_type = type(groups[0][0] if isinstance(groups[0], list) else groups[0])
        assert len(run) == sum(len(group) if isinstance(group, list) else 1 for group in groups)
        return run

    return make


def chat(*contents, **fields):
    """A Magpie row of user and assistant turns."""
    roles = ("user", "assistant")
    talk = tuple(sw.Message(role=roles[i % 2], content=text) for i, text in enumerate(contents))
    return MagpieRow(instruction=contents[0], response=contents[1], messages=talk, **fields)


@pytest.fixture(name="chat")
def chat_fixture():
    return chat


@pytest.fixture(name="Pair")
def pair_fixture():
    return Pair
