"""A generator as DSPy's optimizers see it: one call draws a seed k times and returns the list, watched and limited.

The metric sees the list, so that diversity and duplicates count. What optimizers do not do themselves is done here:
a dead LM does not go unnoticed, the budget ends the search, and every candidate that was tried is on record.
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import dspy

from synthwright.errors import BudgetExhaustedError, ConfigError
from synthwright.lms.scopes import names_of
from synthwright.optimizers.candidates import Candidate, PromptState
from synthwright.optimizers.scoring import Draw, Metric, asked, draw_once, seed_key
from synthwright.portal import run_coroutine
from synthwright.programs.base import Generator

__all__ = ["Record", "SearchOver", "SetValued"]


BEST = 0.99
"""The highest score that an optimizer hears of."""


class SearchOver(BaseException):
    """Ends an optimizer from within. Not an `Exception`: those are scores of 0 to DSPy's optimizers, which go on."""


@dataclass
class Record:
    """What an optimizer tried, shared by all copies that it makes of its program.

    Attributes:
        spent: LM calls so far.
        budget: Value of `spent` at which the search is over.
        on_call: Called before each call of the program; may raise.
        drawn: Called with each draw.
        tried: Candidates by their prompts, in the order in which they were first called.
        fault: The error of the LM, the program or the metric that ended the search.
    """

    spent: Callable[[], int]
    budget: int
    on_call: Callable[["Record"], None] = lambda record: None
    drawn: Callable[[Draw], None] = lambda draw: None
    tried: dict[str, Candidate] = field(default_factory=dict)
    fault: Exception | None = None
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=threading.Lock)

    def start(self, prompts: Mapping[str, PromptState], key: str) -> tuple[Candidate, int]:
        """The candidate that is called, and how often it was called on this seed before.

        Raises:
            SearchOver: The budget is used up.
        """
        if self.spent() >= self.budget:
            raise SearchOver
        self.on_call(self)
        name = json.dumps({n: [s.instructions, [dict(d) for d in s.demos]] for n, s in prompts.items()}, default=repr)
        with self._lock:
            candidate = self.tried.setdefault(name, Candidate(dict(prompts), "tried"))
            self._asked[f"{name}\n{key}"] += 1
            return candidate, self._asked[f"{name}\n{key}"] - 1

    def scored(self, candidate: Candidate, score: float) -> None:
        """Take down one score of a candidate."""
        with self._lock:
            candidate.scores.append(score)
            candidate.calls = self.spent()

    def metric(self, metric: Metric, *, feedback: bool) -> Metric:
        """A metric for an optimizer: it checks and records what the given one returns.

        Args:
            metric: The metric.
            feedback: Return a `dspy.Prediction` with score and feedback; plain numbers otherwise, because a
                Prediction with a score of 0 is true.
        """

        def recorded(example: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
            try:
                score, said = asked(metric, example, pred, trace, pred_name, pred_trace)
            except BudgetExhaustedError as error:
                raise SearchOver from error
            except (ConfigError, dspy.LMError) as error:  # to DSPy's optimizers it would be a score of 0
                self.fault = error
                raise SearchOver from error
            candidate = getattr(pred, "_candidate", None)
            if candidate is not None and pred_name is None:  # GEPA asks again for the feedback of each predictor
                self.scored(candidate, score)
            # GEPA skips minibatches that are perfect, and would never look at what its validation seeds still lack
            return dspy.Prediction(score=min(score, BEST), feedback=said) if feedback else score

        return recorded

    def __deepcopy__(self, memo: dict[int, Any]) -> "Record":
        return self


class SetValued(dspy.Module):
    """Draws a generator k times on one seed and returns `rows`, `rejected` and `artifacts` of all draws.

    Optimizers see only the predictors that are targets. The same prompts called on the same seed again give other
    draws; the first draws of all prompts share their sampling seeds.

    Args:
        generator: The generator, its LMs assigned.
        targets: Names of the predictors to show.
        draws: Draws a call, 1 or more.
        seed: Random seed of the draws.
        record: Where calls are recorded.
    """

    def __init__(
        self, generator: Generator[Any], targets: Sequence[str], draws: int, seed: int, record: Record
    ) -> None:
        super().__init__()
        self.generator, self.record = generator, record
        self.targets, self.draws, self.seed = tuple(targets), draws, seed

    def named_parameters(self) -> list[tuple[str, Any]]:
        predictors = self.generator.all_predictors()
        return [(name, predictors[name]) for name in self.targets]

    def named_predictors(self) -> list[tuple[str, dspy.Predict]]:
        return self.named_parameters()

    def prompts(self) -> dict[str, PromptState]:
        """The present state of the targets."""
        return {name: PromptState.of(predictor) for name, predictor in self.named_predictors()}

    def forward(self, **inputs: Any) -> dspy.Prediction:
        example = dspy.Example(**inputs).with_inputs(*inputs)
        candidate, times = self.record.start(self.prompts(), seed_key(example))
        names = names_of(self.generator)
        keys = [f"{seed_key(example)}:{times}:{draw}" for draw in range(self.draws)]

        async def all_draws() -> list[tuple[Draw, list[Any]]]:
            return await asyncio.gather(*(draw_once(self.generator, inputs, key, self.seed, names) for key in keys))

        try:
            made = run_coroutine(all_draws)
        except BudgetExhaustedError as error:
            raise SearchOver from error
        except Exception as error:
            self.record.fault = error
            raise SearchOver from error
        for draw, _ in made:
            self.record.drawn(draw)
        if (trace := dspy.settings.trace) is not None:
            for _, steps in made:
                trace.extend(steps)
        prediction = dspy.Prediction(
            rows=[row for draw, _ in made for row in draw.rows],
            rejected=[reject for draw, _ in made for reject in draw.rejected],
            artifacts=[artifact for draw, _ in made for artifact in draw.artifacts],
        )
        prediction._candidate = candidate
        return prediction

    def get_lm(self) -> Any:
        return self.named_predictors()[0][1].lm

    def set_lm(self, lm: Any) -> None:
        """Take over how an LM samples, and leave each predictor the LM of its role."""
        sampling = {name: lm.kwargs[name] for name in ("rollout_id", "temperature") if name in lm.kwargs}
        for _, predictor in self.named_predictors():
            predictor.lm = cast(dspy.LM, predictor.lm).copy(**sampling)
