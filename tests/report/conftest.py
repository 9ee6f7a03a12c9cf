"""Runs to report on: a generator that evolves questions in a way that needs no model."""

import random
from typing import Literal

import dspy
import pytest

import synthwright as sw
from synthwright.testing import ScriptedLM

PLANTED = '<img src=x onerror="window.planted=1"><script>window.planted=1</script></script><b>bold</b>\u2028{{ 7 * 7 }}'
"""What a hostile model might write."""

PLACES = (
    "harbour",
    "orchard",
    "library",
    "glacier",
    "workshop",
    "observatory",
    "bakery",
    "railway",
    "museum",
    "desert",
)
ACTS = ("measure", "describe", "plan", "compare", "repair", "explain", "estimate", "draw", "sort", "translate")
THINGS = ("tide", "apple", "shelf", "crevasse", "lathe", "comet", "loaf", "timetable", "mask", "dune", "lens", "crate")


class Draft(sw.Row):
    """The plan of a question; an artifact."""

    plan: str


class Question(sw.InstructionRow):
    operator: Literal["seed", "deepen", "broaden"]
    difficulty: int
    votes: tuple[str, ...] = ()
    critique: str = ""
    score: float = 0.0


class Write(dspy.Signature):
    """Write a question that a <b>careful</b> reader can answer."""

    topic: str = dspy.InputField()
    question: str = dspy.OutputField(desc="One sentence.")


class Lineages(sw.Generator[Question]):
    """For each seed a line of three questions, each made from the one before; every third is dropped."""

    def __init__(self, planted: int = 3) -> None:
        super().__init__()
        self.planted = planted
        self.write = dspy.Predict(Write)

    def forward(self, number: int) -> dspy.Prediction:
        rng = random.Random(f"{number}")
        self.write(topic=str(number))
        rows: list[Question] = []
        draft = Draft(plan=f"Ask about place number {number} and then go deeper.")
        rejected = []
        for step, operator in enumerate(("seed", "deepen", "broaden")):
            text = f"How would you {rng.choice(ACTS)} the {rng.choice(THINGS)} in a {rng.choice(PLACES)}"
            text += f", given {rng.randint(2, 99)} {rng.choice(THINGS)}s and the {rng.choice(PLACES)}?" if step else "?"
            answer = " ".join(rng.choice(THINGS) for _ in range(rng.randint(5, 60)))
            if number == self.planted and step == 1:
                text, answer = f"planted {PLANTED}", PLANTED
            row = Question(
                instruction=text,
                response=answer,
                operator=operator,
                difficulty=rng.randint(1, 10),
                votes=("yes", rng.choice(("yes", "no"))),
                critique=f"Too {rng.choice(('short', 'plain', 'long'))}." if step else "",
                score=rng.random(),
                parent_ids=(rows[-1].id if rows else draft.id,),
            )
            if step == 2 and number % 3 == 0:
                content = {**row.record(), "note": PLANTED}
                rejected.append(
                    sw.Rejected(stage="judge", reason="demands_no_more", detail="no harder", content=content)
                )
            else:
                rows.append(row)
        if number % 7 == 0:
            rejected.append(sw.Rejected(stage="write", reason="unparsable", content={"reply": PLANTED}))
        return dspy.Prediction(rows=rows, rejected=rejected, artifacts=[draft])


@pytest.fixture(scope="session")
def lineages(tmp_path_factory):
    """A run of sixty seeds."""
    out = tmp_path_factory.mktemp("runs") / "lineages"
    seeds = [{"number": number} for number in range(60)]
    return sw.generate(Lineages(), seeds=seeds, out=out, lms=ScriptedLM({"write": {"question": "Why?"}}))
