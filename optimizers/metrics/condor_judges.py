"""How good is the judge of Condor? Labelled pairs of ours, and what an LM's verdicts on them are worth.

`optimizers/data/condor_preferences.jsonl` has 24 pairs of a draft and a refined answer: in nine the refined one is
better, in nine the draft, and six say the same in other words. What was planted: wrong facts, a missed form, missing
parts, a wrong tone, padding. Of the 18 better answers 12 are the shorter ones: a judge that likes length fails.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError
from synthwright.optimizers.metrics.verdicts import Verdicts, score_verdicts
from synthwright.programs.base import read_jsonl
from synthwright.programs.condor import Condor
from synthwright.programs.condor_refining import verdict

__all__ = ["Preferences", "judge_pairs", "labelled_pairs", "verdicts_on"]


@dataclass(frozen=True)
class Preferences(Verdicts):
    """How a judge that prefers one answer to another did on labelled pairs.

    Attributes:
        longer_preferred: Share of the verdicts for one answer that are for the longer one; 0.5 where none differs.
    """

    longer_preferred: float


def labelled_pairs() -> list[dict[str, Any]]:
    """The labelled pairs: `question`, `draft`, `refined`, `better` (draft, refined or tie), `kind`."""
    return list(read_jsonl(Path(__file__).parents[1] / "data" / "condor_preferences.jsonl"))


def verdicts_on(labelled: Sequence[Mapping[str, Any]], verdicts: Sequence[str | None]) -> Preferences:
    """Score verdicts on pairs; a verdict of None, a reply that was none, is wrong."""
    scored = score_verdicts(labelled, "better", verdicts)
    longer = []
    for pair, said in zip(labelled, verdicts, strict=True):
        lengths = {name: len(pair[name]) for name in ("draft", "refined")}
        if said in lengths and lengths["draft"] != lengths["refined"]:
            longer.append(lengths[said] == max(lengths.values()))
    return Preferences(**vars(scored), longer_preferred=sum(longer) / len(longer) if longer else 0.5)


async def judge_pairs(generator: Condor, labelled: Sequence[Mapping[str, Any]] | None = None) -> Preferences:
    """Ask the judge of a generator about labelled pairs in both orders, with the LM of the surrounding `dspy.context`.

    Args:
        generator: Made with `judge=True`.
        labelled: Pairs; None for all of ours.

    Raises:
        ConfigError: The generator has no judge.
    """
    if not generator.judge:
        raise ConfigError("The generator has no judge: make it with `judge=True`.")
    labelled = labelled_pairs() if labelled is None else labelled
    asked = (verdict(generator, pair["question"], pair["draft"], pair["refined"]) for pair in labelled)
    return verdicts_on(labelled, await asyncio.gather(*asked))
