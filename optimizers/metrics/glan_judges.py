"""How good is the judge of GLAN that prefers one answer to another? Labelled pairs of ours.

`optimizers/data/glan_compare.jsonl` has 24 pairs of answers: in eight the first is better, in eight the second, and
eight are equal in worth. What was planted: wrong results, facts and reasoning, missing parts, other subjects, padding.
Of the 16 better answers 12 are the shorter ones: a judge that likes length fails. The labelled sets of the two other
judges are in `synthwright.optimizers.metrics.glan`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError
from synthwright.optimizers.metrics.verdicts import Verdicts, score_verdicts
from synthwright.programs.base import read_jsonl
from synthwright.programs.glan import GLAN
from synthwright.programs.glan_homework import preferred
from synthwright.signatures.rows import Rejected

__all__ = ["judge_answers", "labelled_answers", "verdicts_on"]


def labelled_answers() -> list[dict[str, Any]]:
    """The labelled pairs: `question`, `first_answer`, `second_answer`, `better` (first, second or equal), `kind`."""
    return list(read_jsonl(Path(__file__).parents[1] / "data" / "glan_compare.jsonl"))


def verdicts_on(labelled: Sequence[Mapping[str, Any]], verdicts: Sequence[str | None]) -> Verdicts:
    """Score verdicts on pairs; a verdict of None, a reply that was none, is wrong."""
    return score_verdicts(labelled, "better", verdicts)


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
        choice = await preferred(generator, pair["question"], pair["first_answer"], pair["second_answer"])
        return None if isinstance(choice, Rejected) else "equal" if choice is None else ("first", "second")[choice]

    return verdicts_on(labelled, await asyncio.gather(*map(ask, labelled)))
