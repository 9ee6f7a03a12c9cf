"""How good are the judges of Evol-Instruct? Labelled sets of ours, and what an LM's verdicts on them are worth.

`optimizers/data/evol_instruct_equality.jsonl` has 40 pairs of instructions. In half of them the second only says the
first in other words (paraphrase, order, manners, form, padding); in the others a demand was planted (constraint, depth,
concrete, reasoning, data, limit, breadth, audience). `evol_instruct_difficulty.jsonl` has 8 ladders of four
instructions on one subject, each harder than the one before.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError, ParseError
from synthwright.optimizers.metrics.verdicts import Verdicts, score_verdicts
from synthwright.programs.base import read_jsonl
from synthwright.programs.evol_instruct import EvolInstruct

__all__ = ["equality_verdicts", "judge_equality", "ladders", "order_agreement", "pairs", "rate_ladders"]

_DATA = Path(__file__).parents[1] / "data"


def pairs() -> list[dict[str, Any]]:
    """The labelled pairs: `first_instruction`, `second_instruction`, `equal`, `kind`; both labels by turns."""
    return list(read_jsonl(_DATA / "evol_instruct_equality.jsonl"))


def ladders() -> dict[str, list[str]]:
    """The ladders by subject, easiest instruction first."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for record in sorted(read_jsonl(_DATA / "evol_instruct_difficulty.jsonl"), key=lambda record: record["step"]):
        found[record["ladder"]].append(record["instruction"])
    return dict(found)


def equality_verdicts(labelled: Sequence[Mapping[str, Any]], verdicts: Sequence[bool | None]) -> Verdicts:
    """Score verdicts on pairs; a verdict of None, a reply that was none, is wrong."""
    return score_verdicts(labelled, "equal", verdicts)


async def judge_equality(generator: EvolInstruct, labelled: Sequence[Mapping[str, Any]] | None = None) -> Verdicts:
    """Ask the judge of a generator about labelled pairs, with the LM of the surrounding `dspy.context`.

    Args:
        generator: Made with `judge=True`; its prompts may have been loaded.
        labelled: Pairs; None for all of ours.

    Raises:
        ConfigError: The generator has no judge.
    """
    if not generator.judge:
        raise ConfigError("The generator has no judge: make it with `judge=True`.")
    labelled = pairs() if labelled is None else labelled

    async def ask(pair: Mapping[str, Any]) -> bool | None:
        texts = {name: pair[name] for name in ("first_instruction", "second_instruction")}
        try:
            return (await generator.equal.acall(**texts)).equal
        except ParseError:
            return None

    return equality_verdicts(labelled, await asyncio.gather(*map(ask, labelled)))


def order_agreement(rated: Mapping[str, Sequence[int | None]]) -> float:
    """Share of pairs of one ladder whose harder one has the higher rating; ties and missing ratings count half.

    Args:
        rated: Ratings of each ladder, easiest first.

    Returns:
        In [0, 1]; 0.5 for ratings that are all equal.
    """
    credits = [
        0.5 if low is None or high is None or low == high else float(high > low)
        for ratings in rated.values()
        for low, high in combinations(ratings, 2)
    ]
    return sum(credits) / len(credits) if credits else 0.0


async def rate_ladders(
    generator: EvolInstruct, rungs: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[int | None]]:
    """Have the judge of a generator rate the ladders, with the LM of the surrounding `dspy.context`.

    Args:
        generator: Made with `rate_difficulty=True`.
        rungs: Ladders; None for all of ours.

    Raises:
        ConfigError: The generator does not rate.
    """
    if not generator.rate_difficulty:
        raise ConfigError("The generator rates nothing: make it with `rate_difficulty=True`.")

    async def rate(instruction: str) -> int | None:
        try:
            return (await generator.rate.acall(instruction=instruction)).difficulty
        except ParseError:
            return None

    rungs = ladders() if rungs is None else rungs
    return {name: list(await asyncio.gather(*map(rate, ladder))) for name, ladder in rungs.items()}
