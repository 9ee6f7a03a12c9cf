"""GEPA on a generator: reflective evolution of instructions (Agrawal et al., 2025, arXiv:2507.19457), DSPy's own.

A generator is wrapped as a set-valued program: one call draws a seed k times and returns the list, so that the metric
sees diversity and duplicates.
"""

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import dspy

from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms.scopes import Scope, draw_scope, names_of
from synthwright.optimizers.candidates import Candidate, PromptState
from synthwright.optimizers.scoring import Metric
from synthwright.programs.base import Generator
from synthwright.programs.prompts import signature_of

__all__ = ["SetValued", "search"]


class SetValued(dspy.Module):
    """Draws a generator k times on one seed and returns `rows`, `rejected` and `artifacts` of all draws.

    Optimizers see only the predictors that are targets.

    Args:
        generator: The generator, its LMs assigned.
        targets: Names of the predictors to show.
        draws: Draws a call, 1 or more.
        seed: Random seed of the draws.
    """

    def __init__(self, generator: Generator[Any], targets: Sequence[str], draws: int, seed: int) -> None:
        super().__init__()
        self.generator = generator
        self.targets, self.draws, self.seed = tuple(targets), draws, seed

    def named_parameters(self) -> list[tuple[str, Any]]:
        predictors = self.generator.all_predictors()
        return [(name, predictors[name]) for name in self.targets]

    def named_predictors(self) -> list[tuple[str, dspy.Predict]]:
        return self.named_parameters()

    def forward(self, **inputs: Any) -> dspy.Prediction:
        rows, rejected, artifacts = [], [], []
        for draw in range(self.draws):
            with draw_scope(Scope(self.seed, f"{sorted(inputs.items())!r}:{draw}", names_of(self.generator))):
                prediction = self.generator(**inputs)
            rows += prediction.rows
            rejected += prediction.get("rejected") or []
            artifacts += prediction.get("artifacts") or []
        return dspy.Prediction(rows=rows, rejected=rejected, artifacts=artifacts)


def search(
    program: Generator[Any],
    targets: Mapping[str, dspy.Predict],
    metric: Metric,
    trainset: Sequence[dspy.Example],
    valset: Sequence[dspy.Example],
    *,
    reflection_lm: dspy.LM,
    rollouts: int,
    draws: int,
    seed: int,
    limit: int,
    adapter: dspy.Adapter,
    note: Callable[[Candidate], None],
) -> Candidate:
    """The best instructions that GEPA finds.

    Args:
        program: The generator, its LMs assigned. GEPA works on copies.
        targets: Predictors to tune, by name.
        metric: What is optimized.
        trainset: Seeds that GEPA reflects on.
        valset: Seeds that candidates are compared on.
        reflection_lm: The LM that rewrites instructions; a strong one.
        rollouts: Calls of the set-valued program, each `draws` draws of one seed.
        draws: Draws a seed.
        seed: Random seed.
        limit: Seeds in flight.
        adapter: Adapter of the program's calls.
        note: Called with the result.

    Raises:
        ConfigError: Two targets have equal signatures, which GEPA's traces cannot tell apart.
        UnusableLMError: Every rollout failed.
    """
    _distinct(targets)
    failures: list[Exception] = []
    successes: list[int] = []

    class Watched(SetValued):
        """Notes what fails: GEPA turns failures into scores, and a dead LM into the prompts as they were."""

        def forward(self, **inputs: Any) -> dspy.Prediction:
            try:
                prediction = super().forward(**inputs)
            except Exception as error:
                failures.append(error)
                raise
            successes.append(1)
            return prediction

    def with_feedback(example: Any, pred: Any, trace: Any = None, name: Any = None, pred_trace: Any = None) -> Any:
        given = metric(example, pred, trace, name, pred_trace)
        return given if isinstance(given, dspy.Prediction) else dspy.Prediction(score=float(given), feedback="")

    student = Watched(program, list(targets), draws, seed)
    optimizer = dspy.GEPA(
        metric=cast(Any, with_feedback),
        max_metric_calls=rollouts,
        reflection_lm=reflection_lm,
        num_threads=limit,
        seed=seed,
        warn_on_score_mismatch=False,
    )
    with _quiet(), dspy.context(adapter=adapter, disable_history=True):
        best = optimizer.compile(student, trainset=list(trainset), valset=list(valset))
    if failures and not successes:
        raise UnusableLMError(f"Every rollout of GEPA failed; the first with: {failures[0]}") from failures[0]
    found = cast(SetValued, best).generator.all_predictors()
    candidate = Candidate({name: PromptState.of(found[name]) for name in targets}, "GEPA")
    note(candidate)
    return candidate


def _distinct(targets: Mapping[str, dspy.Predict]) -> None:
    seen: dict[str, str] = {}
    for name, predictor in targets.items():
        signature = signature_of(predictor)
        key = repr((signature.instructions, list(signature.fields)))
        if key in seen:
            raise ConfigError(
                f"The predictors {seen[key]!r} and {name!r} have equal signatures, and GEPA "
                "cannot tell their traces apart: give them different instructions."
            )
        seen[key] = name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep DSPy's and GEPA's progress bars and INFO lines off the terminal."""
    logger = logging.getLogger("dspy")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
