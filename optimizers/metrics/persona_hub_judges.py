"""How good are the judges of Persona Hub? Labelled sets of ours, and what an LM's verdicts on them are worth.

`optimizers/data/persona_hub_specificity.jsonl` has 8 ladders of three personas on one subject, each more particular
than the one before. `persona_hub_items.jsonl` has 16 items with four personas each, one of which it was written for;
the right letters are spread evenly. On a run's own rows, `adherence` asks the same: can a judge tell from an item
which of four personas of the hub it was made for? Neither is used as a metric for tuning.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError, ParseError
from synthwright.optimizers.metrics.blocks import balanced_accuracy
from synthwright.programs.base import Frozen, read_jsonl
from synthwright.programs.persona_hub import PersonaHub
from synthwright.signatures.persona_hub import PersonaRow, PickPersona

__all__ = [
    "adherence",
    "choices_of",
    "labelled_items",
    "order_agreement",
    "picked",
    "rate_ladders",
    "specificity_ladders",
]

LETTERS = "ABCD"

_DATA = Path(__file__).parents[1] / "data"


def specificity_ladders() -> dict[str, list[str]]:
    """The ladders by subject, the least particular persona first."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for record in sorted(read_jsonl(_DATA / "persona_hub_specificity.jsonl"), key=lambda record: record["step"]):
        found[record["ladder"]].append(record["persona"])
    return dict(found)


def labelled_items() -> list[dict[str, Any]]:
    """The labelled items: `item`, four `personas`, and the letter of the `right` one."""
    return list(read_jsonl(_DATA / "persona_hub_items.jsonl"))


def order_agreement(rated: Mapping[str, Sequence[int | None]]) -> float:
    """Share of pairs of one ladder whose more particular persona is rated higher; ties and missing ratings count half.

    Returns:
        In [0, 1]; 0.5 for ratings that are all equal.
    """
    credits = [
        0.5 if low is None or high is None or low == high else float(high > low)
        for ratings in rated.values()
        for low, high in combinations(ratings, 2)
    ]
    return sum(credits) / len(credits) if credits else 0.0


async def rate_ladders(hub: PersonaHub) -> dict[str, list[int | None]]:
    """Have the judge of a hub rate the ladders, with the LM of the surrounding `dspy.context`.

    Raises:
        ConfigError: The hub has no judge.
    """
    if hub.min_specificity is None:
        raise ConfigError("The hub has no judge: make it with `min_specificity=1`.")

    async def rate(persona: str) -> int | None:
        try:
            return (await hub.rate.acall(persona=persona)).particular
        except ParseError:
            return None

    return {name: list(await asyncio.gather(*map(rate, rungs))) for name, rungs in specificity_ladders().items()}


async def picked(cases: Sequence[Mapping[str, Any]], judge: Frozen | None = None) -> float:
    """Balanced accuracy of picking the right persona, with the LM of the surrounding `dspy.context`.

    Args:
        cases: As `labelled_items` gives them.
        judge: A predictor of `PickPersona`, if not a bare one.

    Returns:
        In [0, 1]; a judge that always says the same letter has 0.25.
    """
    asked = judge or Frozen(PickPersona, temperature=0.0)

    async def pick(case: Mapping[str, Any]) -> str | None:
        listed = "\n".join(f"{letter}) {persona}" for letter, persona in zip(LETTERS, case["personas"], strict=True))
        try:
            return (await asked.acall(item=case["item"], personas=listed)).answer
        except ParseError:
            return None

    return balanced_accuracy([case["right"] for case in cases], await asyncio.gather(*map(pick, cases)))


def choices_of(rows: Sequence[PersonaRow], seed: int = 0) -> list[dict[str, Any]]:
    """Each row's item with its persona among three others of the same rows, at a letter drawn by the seed.

    Raises:
        ConfigError: The rows have fewer than four personas.
    """
    known = list(dict.fromkeys(row.persona for row in rows))
    if len(known) < len(LETTERS):
        raise ConfigError(f"Adherence needs rows of {len(LETTERS)} personas or more, got {len(known)}.")
    cases = []
    for number, row in enumerate(rows):
        rng = random.Random(f"{seed}:{number}:{row.id}")
        others = rng.sample([persona for persona in known if persona != row.persona], 3)
        place = rng.randrange(len(LETTERS))
        text = " ".join(part for part in (row.title, row.text, row.interaction) if part)
        cases.append(
            {"item": text, "personas": [*others[:place], row.persona, *others[place:]], "right": LETTERS[place]}
        )
    return cases


async def adherence(rows: Sequence[PersonaRow], judge: Frozen | None = None, seed: int = 0) -> float:
    """How well a judge tells from the items of a run which persona each was made for, in [0, 1]; chance is 0.25."""
    return await picked(choices_of(rows, seed), judge)
