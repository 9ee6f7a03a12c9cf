"""Pairs by people for Instruction Backtranslation: its seed set, and the labelled set that its judge is held to."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synthwright.errors import ConfigError
from synthwright.programs.base import data_path, read_jsonl
from synthwright.retrieval import neutralise
from synthwright.signatures.backtranslation import Score

__all__ = ["LabelledPair", "SeedPair", "labelled_pairs", "read_pairs"]

LEAST_GOOD = 4
"""Score from which a pair may be imitated (the paper's A4)."""

UNRATED = "A person wrote this as the reply to exactly this request: on task, complete, nothing superfluous."
"""Reasoning that the judge is shown for a seed pair without one of its own."""


class SeedPair(BaseModel):
    """A pair of the seed set.

    Attributes:
        instruction: What is asked.
        response: The reply, written by a person.
        score: Rating from 1 to 5 for the judge to learn from, or None.
        reasoning: Why that rating.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    instruction: str = Field(min_length=1)
    response: str = Field(min_length=1)
    score: Score | None = None
    reasoning: str = ""

    @property
    def good(self) -> bool:
        """Whether it may be imitated: unrated, or rated 4 or 5."""
        return self.score is None or self.score >= LEAST_GOOD

    def reversed(self) -> dict[str, Any]:
        """A demonstration of writing: from the response to the instruction."""
        return {"text": neutralise(self.response), "instruction": self.instruction}

    def rated(self) -> dict[str, Any]:
        """A demonstration of rating; an unrated pair is a good one."""
        return {
            "instruction": self.instruction,
            "response": neutralise(self.response),
            "reasoning": self.reasoning or UNRATED,
            "score": self.score or 5,
        }


class LabelledPair(BaseModel):
    """A pair with the verdict that a judge should give.

    Attributes:
        instruction: What is asked.
        response: A good reply, or one with a planted error.
        good: Whether it deserves to be kept.
        violation: The planted error, such as `promotion`; empty for a good pair.
        level: Level of the rubric, 1 to 5.
        split: `dev` for tuning a judge, `test` for reporting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: str
    response: str
    good: bool
    violation: str
    level: Score
    split: str = "test"

    @property
    def seed(self) -> dict[str, str]:
        """The pair as a seed of `generate`: it is rated, not written."""
        return {"instruction": self.instruction, "response": self.response}


def read_pairs(pairs: Sequence[Mapping[str, Any]] | str | None) -> list[SeedPair]:
    """Seed pairs in order.

    Args:
        pairs: The pairs, the path of a JSONL file of them, or None for the shipped ones. Further fields are ignored.

    Raises:
        ConfigError: One has no `instruction` and `response`, or its score is not 1 to 5.
    """
    if pairs is None:
        pairs = str(data_path("backtranslation/pairs.jsonl"))
    records = read_jsonl(pairs) if isinstance(pairs, str) else pairs
    found = []
    for index, record in enumerate(records):
        try:
            found.append(SeedPair.model_validate(dict(record)))
        except (ValidationError, TypeError, ValueError) as error:
            raise ConfigError(
                f"Pair {index} of the seed set is {record!r}; it needs an `instruction` and a `response`, and may have "
                "a `score` from 1 to 5 and a `reasoning`."
            ) from error
    return found


@cache
def labelled_pairs() -> tuple[LabelledPair, ...]:
    """The shipped labelled set: eight good pairs and 32 with a planted error, which is the paper's share of 20 %."""
    return tuple(LabelledPair(**record) for record in read_jsonl(data_path("backtranslation/labelled.jsonl")))
