"""What every search shares: seeds, budget, scoring of candidates on the validation seeds, and their history."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dspy

from synthwright.errors import BudgetExhaustedError
from synthwright.optimizers.candidates import Candidate, PromptState
from synthwright.optimizers.scoring import Metric
from synthwright.optimizers.session import Session

__all__ = ["MARGIN", "Search"]

MARGIN = 1.15
"""Calls kept for the proof, as a multiple of what the validation seeds took."""


@dataclass
class Search:
    """One search for better prompts, within a budget that leaves enough for the proof.

    Attributes:
        session: The generator and its calls; its prompts are those of the last candidate tried.
        targets: Predictors to tune, by name.
        metric: What is optimized.
        trainset: Seeds to learn from.
        valset: Seeds that candidates are compared on.
        cost: LM calls that one seed with all its draws takes with the prompts as given.
        checking: LM calls that the held-out check of one seed takes.
        total: LM calls of the whole run.
        tests: Number of seeds that are scored after the search.
        draws: Draws a seed when a candidate is scored.
        seed: Random seed.
        note: Called after each scored candidate.
        history: Candidates in the order in which they were scored, those tried on other seeds included.
        warnings: What the user should know.
        interrupted: Whether Ctrl-C ended it.
    """

    session: Session
    targets: Mapping[str, dspy.Predict]
    metric: Metric
    trainset: Sequence[dspy.Example]
    valset: Sequence[dspy.Example]
    cost: float
    checking: float
    total: int
    tests: int
    draws: int
    seed: int
    note: Callable[[], None] = lambda: None
    history: list[Candidate] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.given = Candidate({name: PromptState.of(p) for name, p in self.targets.items()}, "as given")

    @property
    def budget(self) -> int:
        """Value of `session.spent` at which the search is over: the proof is paid by what the dearest candidate takes.

        Prompts that work may well take more calls than prompts that fail at the first step.
        """
        dearest = max([self.cost, *(candidate.cost for candidate in self.history)])
        return self.total - round(MARGIN * self.tests * (dearest + self.checking))

    @property
    def left(self) -> int:
        """LM calls that may still be made."""
        return self.budget - self.session.spent

    def validate(self, candidate: Candidate) -> None:
        """Score a candidate on the validation seeds, always on the same draws, and take it into the history."""
        candidate.apply(self.targets)
        before = self.session.spent
        results = self.session.score(self.valset, self.metric, draws=self.draws, seed=self.seed)
        candidate.scores = [result.score for result in results]
        candidate.validated, candidate.calls = True, self.session.spent
        candidate.cost = (self.session.spent - before) / len(self.valset)
        self.history.append(candidate)
        self._keep_reserve()
        self.note()

    def start(self, gold: Mapping[str, Sequence[Mapping[str, Any]]], most: int) -> None:
        """Score the prompts as given, and with the user's demonstrations if there are any.

        Args:
            gold: Demonstrations by predictor.
            most: Most demonstrations of one predictor.
        """
        self.validate(self.given)
        if any(gold.get(name) for name in self.targets):
            prompts = {
                name: PromptState(state.instructions, tuple(gold.get(name) or state.demos)[: most + 1])
                for name, state in self.given.prompts.items()
            }
            self.validate(Candidate(prompts, "gold demonstrations"))

    @property
    def best(self) -> Candidate:
        """The validated candidate with the highest mean; the prompts as given without any, and in a tie."""
        validated = [candidate for candidate in self.history if candidate.validated]
        return max(validated, key=lambda candidate: candidate.mean) if validated else self.given

    def run(self, strategy: Callable[["Search"], None]) -> Candidate:
        """Search until the strategy ends, the budget is used, or Ctrl-C; what was found until then is kept."""
        meter = self.session.meter
        whole = meter.budget
        self._keep_reserve()
        try:
            strategy(self)
        except BudgetExhaustedError:
            pass
        except KeyboardInterrupt:
            self.interrupted = True
            self.warnings.append("The search was interrupted: this is the best until then.")
        finally:
            meter.budget = whole
        return self.best

    def _keep_reserve(self) -> None:
        """Keep what the proof needs from being spent, whoever makes the calls."""
        meter = self.session.meter
        meter.budget = replace(meter.budget, calls=max(1, self.budget))
