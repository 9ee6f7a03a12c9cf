"""How good is the judge of GLAN that prefers one answer to another? Labelled pairs of ours.

`optimizers/data/glan_compare.jsonl` has 24 pairs of answers: in eight the first is better, in eight the second, and
eight are equal in worth. What was planted: wrong results, facts and reasoning, missing parts, other subjects, padding.
Of the 16 better answers 12 are the shorter ones: a judge that likes length fails. The labelled sets of the two other
judges are in `synthwright.optimizers.metrics.glan`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError, ParseError
from synthwright.optimizers.metrics.blocks import balanced_accuracy
from synthwright.programs.base import read_jsonl
from synthwright.programs.glan import GLAN

__all__ = ["Verdicts", "judge_answers", "labelled_answers", "verdicts_on"]

MIRRORED = {"first": "second", "second": "first", "equal": "equal"}


@dataclass(frozen=True)
class Verdicts:
    """How a judge did on labelled pairs.

    Attributes:
        balanced_accuracy: Mean of the shares judged right of each label, in [0, 1]; constant verdicts have a third.
        by_kind: Share judged right of each kind of pair.
        wrong: The pairs judged wrong, with `verdict` (None if a reply was none).
    """

    balanced_accuracy: float
    by_kind: Mapping[str, float]
    wrong: Sequence[Mapping[str, Any]]


def labelled_answers() -> list[dict[str, Any]]:
    """The labelled pairs: `question`, `first_answer`, `second_answer`, `better` (first, second or equal), `kind`."""
    return list(read_jsonl(Path(__file__).parents[1] / "data" / "glan_compare.jsonl"))


def verdicts_on(labelled: Sequence[Mapping[str, Any]], verdicts: Sequence[str | None]) -> Verdicts:
    """Score verdicts on pairs; a verdict of None, a reply that was none, is wrong."""
    kinds: defaultdict[str, list[bool]] = defaultdict(list)
    for pair, said in zip(labelled, verdicts, strict=True):
        kinds[pair["kind"]].append(said == pair["better"])
    return Verdicts(
        balanced_accuracy([pair["better"] for pair in labelled], verdicts),
        {kind: sum(right) / len(right) for kind, right in kinds.items()},
        [{**pair, "verdict": said} for pair, said in zip(labelled, verdicts, strict=True) if said != pair["better"]],
    )


async def judge_answers(generator: GLAN, labelled: Sequence[Mapping[str, Any]] | None = None) -> Verdicts:
    """Ask the judge of a generator about labelled pairs in both orders, with the LM of the surrounding `dspy.context`.

    An answer is preferred if it is in both orders, as in a run; else the two are equal.

    Args:
        generator: Made with `answers=2`.
        labelled: Pairs; None for all of ours.

    Raises:
        ConfigError: The generator compares no answers.
    """
    if generator.answers < 2:
        raise ConfigError("The generator compares no answers: make it with `answers=2`.")
    labelled = labelled_answers() if labelled is None else labelled

    async def ask(pair: Mapping[str, Any]) -> str | None:
        question, first, second = pair["question"], pair["first_answer"], pair["second_answer"]
        try:
            one = await generator.compare.acall(question=question, first_answer=first, second_answer=second)
            two = await generator.compare.acall(question=question, first_answer=second, second_answer=first)
        except ParseError:
            return None
        return one.better if one.better == MIRRORED[two.better] else "equal"

    return verdicts_on(labelled, await asyncio.gather(*map(ask, labelled)))
