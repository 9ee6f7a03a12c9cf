"""Scoring a generator on seeds: k draws a seed, one metric over the list of what they gave."""

import asyncio
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy

from synthwright.errors import ConfigError, ParseError
from synthwright.lms.scopes import Scope, draw_scope, names_of
from synthwright.portal import run_coroutine
from synthwright.programs.base import Generator, unparsable
from synthwright.signatures.rows import Rejected, Row

__all__ = [
    "Draw",
    "Metric",
    "Scored",
    "asked",
    "draw_once",
    "example_of",
    "judge",
    "metric_name",
    "score_seeds",
    "seed_key",
    "verdict_of",
]

Metric = Callable[..., Any]
"""DSPy's five arguments `(example, pred, trace, pred_name, pred_trace)`; returns a number in [0, 1], or a
`dspy.Prediction(score=..., feedback=...)`. `pred.rows`, `pred.rejected` and `pred.artifacts` hold what all draws of the
seed gave."""


@dataclass
class Draw:
    """One draw of one seed: its rows, rejects, artifacts, and calls of its predictors as (name, inputs, outputs)."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    steps: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    artifacts: list[Row] = field(default_factory=list)


@dataclass
class Scored:
    """The draws of one seed with their common score in [0, 1] and its feedback."""

    example: dspy.Example
    draws: list[Draw]
    score: float
    feedback: str


def example_of(record: dspy.Example | dict[str, Any]) -> dspy.Example:
    """A seed for optimizing as a DSPy example: from `{"inputs": {...}, ...}`, from plain inputs, or as it is.

    Fields beside `inputs`, such as the expected values of a tagger, reach the metric and never the program.
    """
    if isinstance(record, dspy.Example):
        return record
    inputs = record.get("inputs")
    if not isinstance(inputs, dict):
        return dspy.Example(**record).with_inputs(*record)
    rest = {name: value for name, value in record.items() if name not in ("inputs", "split")}
    return dspy.Example(**inputs, **rest).with_inputs(*inputs)


def score_seeds(
    program: Generator[Any],
    examples: Sequence[dspy.Example],
    metric: Metric,
    *,
    draws: int,
    seed: int,
    limit: int,
    drawn: Callable[[Draw], None] = lambda draw: None,
) -> list[Scored]:
    """Draw each seed `draws` times and score the lists, `limit` draws at a time.

    The sampling seeds depend on `seed`, the example and the number of the draw, so that two candidates are compared
    on the same draws. Each draw is handed to `drawn` as it arrives.

    Raises:
        BudgetExhaustedError: The budget was used up before all draws were made.
        ConfigError: The metric returned something that is not a score.
    """

    async def all_draws() -> list[list[Draw]]:
        slots = asyncio.Semaphore(limit)
        names = names_of(program)

        async def draw(example: dspy.Example, number: int) -> Draw:
            async with slots:
                made, _ = await draw_once(program, dict(example.inputs()), f"{seed_key(example)}:{number}", seed, names)
                drawn(made)
                return made

        tasks = [[asyncio.create_task(draw(example, number)) for number in range(draws)] for example in examples]
        try:
            return [[await task for task in per_seed] for per_seed in tasks]
        finally:
            for task in (task for per_seed in tasks for task in per_seed):
                task.cancel()

    scored = []
    for example, made in zip(examples, run_coroutine(all_draws), strict=True):
        score, feedback = judge(metric, example, made)
        scored.append(Scored(example, made, score, feedback))
    return scored


def judge(metric: Metric, example: dspy.Example, draws: Sequence[Draw]) -> tuple[float, str]:
    """Score and feedback of a metric over a list of draws.

    Raises:
        ConfigError: The metric raised, or returned None, NaN, a bool, or a number outside [0, 1].
    """
    rows = [row for draw in draws for row in draw.rows]
    rejected = [reject for draw in draws for reject in draw.rejected]
    artifacts = [artifact for draw in draws for artifact in draw.artifacts]
    pred = dspy.Prediction(rows=rows, rejected=rejected, artifacts=artifacts)
    return asked(metric, example, pred)


def asked(metric: Metric, example: dspy.Example, pred: dspy.Prediction, *rest: Any) -> tuple[float, str]:
    """Score and feedback that a metric gives.

    Args:
        metric: The metric.
        example: The seed.
        pred: What all its draws gave.
        *rest: `trace`, `pred_name` and `pred_trace`.

    Raises:
        ConfigError: The metric raised, or returned something that is not a score.
    """
    try:
        given = metric(example, pred, *(rest or (None, None, None)))
    except dspy.LMError:
        raise
    except Exception as error:
        raise ConfigError(
            f"The metric {metric_name(metric)} raised {error!r} for the seed {_brief(example)}. LM calls made so far "
            "are on record where `out` is given: mend it, and run the same again."
        ) from error
    return verdict_of(metric, given)


def verdict_of(metric: Metric, given: Any) -> tuple[float, str]:
    """Score and feedback out of what a metric returned.

    Raises:
        ConfigError: It is not a score: None, NaN, a bool, or a number outside [0, 1].
    """
    value = given.get("score") if isinstance(given, dspy.Prediction) else given
    feedback = str(given.get("feedback", "")) if isinstance(given, dspy.Prediction) else ""
    name = metric_name(metric)
    if isinstance(value, bool):
        raise ConfigError(
            f"The metric {name} returned {value!r}, which says nothing about a list of draws; it must return a number "
            "in [0, 1], such as the share of the rows that are good."
        )
    if not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:  # NaN compares as false
        raise ConfigError(f"The metric {name} returned {given!r}; it must return a number in [0, 1].")
    return float(value), feedback


async def draw_once(
    program: Generator[Any], inputs: Mapping[str, Any], key: str, seed: int, names: dict[int, str]
) -> tuple[Draw, list[Any]]:
    """One draw of one seed, and DSPy's trace of it.

    Args:
        program: The generator, its LMs assigned.
        inputs: The seed.
        key: Identity of the draw: draws with different keys are independent.
        seed: Random seed of the draws.
        names: Names of the program's predictors by their `id`.

    Raises:
        BudgetExhaustedError: The budget was used up.
    """
    trace: list[Any] = []
    try:
        with dspy.context(trace=trace, max_trace_size=1000), draw_scope(Scope(seed, key, names)):
            prediction = await program.acall(**inputs)
    except ParseError as error:  # a draw like any other, whose reply was no use
        return Draw(rejected=[unparsable(type(program).stem(), error)]), trace
    steps = [(names[id(p)], dict(given), dict(made)) for p, given, made in trace if id(p) in names]
    artifacts = list(prediction.get("artifacts") or [])
    return Draw(list(prediction.rows), list(prediction.get("rejected") or []), steps, artifacts), trace


def metric_name(metric: Metric) -> str:
    """What reports call a metric: its name, or that of its class."""
    return getattr(metric, "__name__", type(metric).__name__)


def seed_key(example: dspy.Example) -> str:
    """Identity of a seed: its inputs, whatever their order."""
    return repr(sorted((name, repr(value)) for name, value in example.inputs().items()))


def _brief(example: dspy.Example) -> str:
    text = " ".join(repr(dict(example.inputs())).split())
    return text if len(text) <= 160 else text[:157] + "..."
