"""A candidate: prompts for some predictors of a generator, applied and compared without copying programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dspy

from synthwright.programs.prompts import signature_of

__all__ = ["Candidate", "PromptState"]


@dataclass(frozen=True)
class PromptState:
    """Instructions and demonstrations of one predictor."""

    instructions: str
    demos: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, predictor: dspy.Predict) -> "PromptState":
        """The present state of a predictor."""
        return cls(signature_of(predictor).instructions, tuple(_fields(demo) for demo in predictor.demos))

    def apply(self, predictor: dspy.Predict) -> None:
        """Give the predictor this state, in place."""
        signature = signature_of(predictor)
        if signature.instructions != self.instructions:
            predictor.signature = signature.with_instructions(self.instructions)
        predictor.demos = [dspy.Example(**demo) for demo in self.demos]


@dataclass
class Candidate:
    """Prompts by predictor, where they came from, and how they scored.

    Attributes:
        prompts: State by predictor name.
        origin: How the candidate was made, such as `as given` or `3 demonstrations, round 1`.
        scores: Scores, one a seed.
        validated: Whether they are those of the validation seeds, on the draws that all candidates share.
        calls: LM calls made until it was scored.
        cost: LM calls that one seed took when it was scored on the validation seeds; 0 if it was not.
    """

    prompts: dict[str, PromptState]
    origin: str
    scores: list[float] = field(default_factory=list)
    validated: bool = False
    calls: int = 0
    cost: float = 0.0

    @property
    def mean(self) -> float:
        """Mean score; 0 without any."""
        return sum(self.scores) / len(self.scores) if self.scores else 0.0

    def apply(self, predictors: Mapping[str, dspy.Predict]) -> None:
        """Give the predictors this candidate's prompts, in place."""
        for name, state in self.prompts.items():
            state.apply(predictors[name])

    def as_dict(self) -> dict[str, Any]:
        """The candidate as data for JSON."""
        return {
            "origin": self.origin,
            "validated": self.validated,
            "mean": self.mean,
            "scores": self.scores,
            "calls": self.calls,
            "prompts": {
                name: {"instructions": state.instructions, "demos": [dict(demo) for demo in state.demos]}
                for name, state in self.prompts.items()
            },
        }


def _fields(demo: Any) -> dict[str, Any]:
    """A demonstration without the marks that DSPy's optimizers leave on it."""
    return {name: value for name, value in dict(demo).items() if name != "augmented" and not name.startswith("dspy_")}
