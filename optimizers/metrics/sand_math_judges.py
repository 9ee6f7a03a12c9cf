"""How good are the judges of SAND-Math? Labelled sets of ours, and what an LM's verdicts on them are worth.

`optimizers/data/sand_math_equality.jsonl` has 44 pairs of solutions whose answers are equal or not,
`sand_math_copies.jsonl` 24 pairs of a problem and a test item, half of them the same problem, `sand_math_levels.jsonl`
6 ladders of four solved problems, each harder than the one before, with the rating that we would give on the scale of
contests. Neither the paper nor its code tells how well its rater agrees with problems of known difficulty.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

from synthwright.errors import ParseError
from synthwright.optimizers.metrics.verdicts import Verdicts, score_verdicts
from synthwright.programs.base import read_jsonl
from synthwright.programs.sand_math import SandMath
from synthwright.programs.sand_math_panel import Panel

__all__ = [
    "Calibration",
    "Dependence",
    "calibration",
    "copies",
    "equality_pairs",
    "judge_copies",
    "judge_equality",
    "levels",
    "rate_levels",
    "theorem_dependence",
]

_DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Calibration:
    """How a rater did on problems whose difficulty is known.

    Attributes:
        order: Share of pairs of one ladder whose harder problem is rated higher, in [0, 1]; ties and missing ratings
            count half, so that a constant rater has 0.5.
        error: Mean absolute difference to our ratings, in points of the scale; None if nothing was rated.
        rated: Share of the problems with a rating that could be read.
    """

    order: float
    error: float | None
    rated: float


@dataclass(frozen=True)
class Dependence:
    """Whether solvers need the theorem that a harder problem was to hang on.

    Attributes:
        alone: Share of right answers without a hint, in [0, 1].
        hinted: Share of right answers with the theorem's statement.
        n: Problems asked, each both ways.
    """

    alone: float
    hinted: float
    n: int


def equality_pairs() -> list[dict[str, Any]]:
    """Labelled pairs: `first_solution`, `second_solution`, `equal`, `kind`, and the bare answers."""
    return list(read_jsonl(_DATA / "sand_math_equality.jsonl"))


def copies() -> list[dict[str, Any]]:
    """Labelled pairs: `question`, `test_item`, `same_problem`, `kind`."""
    return list(read_jsonl(_DATA / "sand_math_copies.jsonl"))


def levels() -> list[dict[str, Any]]:
    """Solved problems of known difficulty: `ladder`, `step`, `question`, `solution`, `rating`."""
    return list(read_jsonl(_DATA / "sand_math_levels.jsonl"))


async def judge_equality(generator: SandMath, labelled: Sequence[Mapping[str, Any]] | None = None) -> Verdicts:
    """Ask the judge of answers about labelled pairs, with the LM of the surrounding `dspy.context`."""
    labelled = equality_pairs() if labelled is None else labelled

    async def ask(pair: Mapping[str, Any]) -> bool | None:
        texts = {name: pair[name] for name in ("first_solution", "second_solution")}
        try:
            return (await generator.compare.acall(**texts)).equal
        except ParseError:
            return None

    return score_verdicts(labelled, "equal", await asyncio.gather(*map(ask, labelled)))


async def judge_copies(generator: SandMath, labelled: Sequence[Mapping[str, Any]] | None = None) -> Verdicts:
    """Ask the judge of copies about labelled pairs, with the LM of the surrounding `dspy.context`."""
    labelled = copies() if labelled is None else labelled

    async def ask(pair: Mapping[str, Any]) -> bool | None:
        try:
            reply = await generator.judge_copy.acall(question=pair["question"], test_item=pair["test_item"])
        except ParseError:
            return None
        return reply.same_problem

    return score_verdicts(labelled, "same_problem", await asyncio.gather(*map(ask, labelled)))


def calibration(problems: Sequence[Mapping[str, Any]], ratings: Sequence[float | None]) -> Calibration:
    """Score the ratings of problems of known difficulty."""
    ladders: defaultdict[str, list[tuple[int, float | None]]] = defaultdict(list)
    for problem, rating in zip(problems, ratings, strict=True):
        ladders[problem["ladder"]].append((problem["step"], rating))
    credits = [
        0.5 if low is None or high is None or low == high else float(high > low)
        for rungs in ladders.values()
        for (_, low), (_, high) in combinations(sorted(rungs, key=lambda rung: rung[0]), 2)
    ]
    known = [(problem["rating"], rating) for problem, rating in zip(problems, ratings, strict=True)]
    errors = [abs(right - rating) for right, rating in known if rating is not None]
    return Calibration(
        order=mean(credits) if credits else 0.5,
        error=mean(errors) if errors else None,
        rated=len(errors) / len(problems) if problems else 0.0,
    )


async def rate_levels(generator: SandMath, problems: Sequence[Mapping[str, Any]] | None = None) -> Calibration:
    """Have the rater rate problems of known difficulty, with the LM of the surrounding `dspy.context`."""
    problems = levels() if problems is None else problems
    panel = Panel(generator)
    rated = await asyncio.gather(*(panel.rating(problem["question"], problem["solution"]) for problem in problems))
    return calibration(problems, [each["difficulty_rating"] for each in rated])


async def theorem_dependence(
    generator: SandMath, problems: Sequence[tuple[str, str, str]], draws: int = 4
) -> Dependence:
    """Ask the weaker solver harder problems without and with the statement of their theorem.

    A hint that does not help means that the theorem is not needed, or is plain to see. Ours.

    Args:
        generator: Its `attempt` answers, with the LM of the surrounding `dspy.context`.
        problems: (question, answer, statement of the theorem) of each.
        draws: Draws of each problem, both ways, 1 or more.
    """
    panel = Panel(generator)
    alone = await asyncio.gather(*(panel.pass_rate(question, answer, draws) for question, answer, _ in problems))
    hinted = await asyncio.gather(
        *(panel.pass_rate(f"{question}\n\nHint: {hint}", answer, draws) for question, answer, hint in problems)
    )
    rates = [[each["solver_pass_rate"] for each in both] for both in (alone, hinted)]
    return Dependence(*(mean(each) if each else 0.0 for each in rates), n=len(problems))
