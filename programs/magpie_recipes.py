"""What to keep of a finished set: Magpie's neighbours and its filter recipes, as published.

A run filters row by row as it goes. The authors filter when all rows are there, since two of their signals look at the
whole set: the neighbours of a query, and the longest answers. Both are here for the rows of any run.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from synthwright.errors import ConfigError, did_you_mean
from synthwright.filters import EndsWith, Filter
from synthwright.filters.embedding import unit_vectors
from synthwright.programs.magpie_filters import LevelAtLeast, RewardAbove, RewardGain, SeekingShare
from synthwright.signatures.magpie import MagpieRow
from synthwright.signatures.rows import Rejected

__all__ = ["NEAR", "RECIPES", "Neighbourhood", "Recipe", "Selection", "longest", "neighbourhoods", "select"]

NEAR = 0.05
"""Squared L2 distance of unit vectors below which two queries are neighbours (the authors' `exp/gen_dis.py`)."""

_ROUNDING = 1e-6  # distance that copies may have in single precision
_BLOCK = 256  # rows whose distances to all others are held at a time


@dataclass(frozen=True)
class Neighbourhood:
    """Where a row stands among the others.

    Attributes:
        id: Id of the row.
        nearest_id: Id of the nearest other row, or None if there is none.
        distance: Squared L2 distance to it on unit vectors, in [0, 4]; None if there is none.
        repeats: Other rows nearer than the threshold.
        first_id: Id of the first row, in the order given, of this row and its neighbours.
    """

    id: str
    nearest_id: str | None
    distance: float | None
    repeats: int
    first_id: str


def neighbourhoods(
    rows: Sequence[Any], embed: Callable[[list[str]], Any], threshold: float = NEAR, field: str = "instruction"
) -> list[Neighbourhood]:
    """The neighbourhood of each row, compared with all others: time grows with the square of the rows.

    The authors look at the 500 nearest of each, by FAISS, and take the first of them for the row itself, which exact
    copies break; here a row is never its own neighbour.

    Args:
        rows: Rows of one or several runs.
        embed: Takes n texts, returns n vectors, such as `synthwright.lms.embeddings.Embedder()`.
        threshold: Distance below which rows are neighbours, in (0, 4].
        field: The text compared.
    """
    import numpy as np

    if not rows:
        return []
    texts = [getattr(row, field) for row in rows]
    vectors = np.concatenate([unit_vectors(embed, texts[i : i + _BLOCK]) for i in range(0, len(texts), _BLOCK)])
    found = []
    for start in range(0, len(rows), _BLOCK):
        distances = np.maximum(0.0, 2 - 2 * vectors[start : start + _BLOCK] @ vectors.T)
        for index, line in enumerate(distances, start):
            line[index] = np.inf
            near = np.flatnonzero(line < threshold)
            nearest = int(line.argmin())
            alone = len(rows) == 1
            found.append(
                Neighbourhood(
                    id=rows[index].id,
                    nearest_id=None if alone else rows[nearest].id,
                    distance=None if alone else float(line[nearest]),
                    repeats=len(near),
                    first_id=rows[min(index, *map(int, near)) if len(near) else index].id,
                )
            )
    return found


@dataclass(frozen=True)
class Recipe:
    """Which rows of a finished set are kept.

    Attributes:
        min_quality: Lowest quality kept, or None.
        min_difficulty: Lowest difficulty kept, or None.
        min_reward: Lowest reward, or None.
        reward_itself: Whether `min_reward` itself is kept.
        min_gain: The reward must be above that of the base model's answer by more than this, or None.
        no_colon: Whether queries that end with a colon are dropped.
        first: Whether only the first row of each neighbourhood is kept, rows that other rules drop included.
        min_distance: The nearest other row must be further than this, or None.
        max_seeking: Largest share of rows that seek information or advice.
        count: Most rows kept, or None.
        by_length: Whether those with the longest responses are taken, and shuffled, or the first ones.
    """

    min_quality: str | None = None
    min_difficulty: str | None = None
    min_reward: float | None = None
    reward_itself: bool = False
    min_gain: float | None = None
    no_colon: bool = False
    first: bool = False
    min_distance: float | None = None
    max_seeking: float | None = None
    count: int | None = None
    by_length: bool = False

    def signals(self) -> Iterator[str]:
        """What rows must have for this recipe: `quality`, `difficulty`, `reward`, `gain`, `category`, `neighbours`."""
        wanted = {
            "quality": self.min_quality is not None,
            "difficulty": self.min_difficulty is not None,
            "reward": self.min_reward is not None,
            "gain": self.min_gain is not None,
            "neighbours": self.first or self.min_distance is not None,
            "category": self.max_seeking is not None,
        }
        return (signal for signal, needed in wanted.items() if needed)

    def without(self, signals: Iterable[str]) -> "Recipe":
        """The recipe without some of its signals."""
        changes = {
            "quality": {"min_quality": None},
            "difficulty": {"min_difficulty": None},
            "reward": {"min_reward": None},
            "gain": {"min_gain": None},
            "neighbours": {"first": False, "min_distance": None},
            "category": {"max_seeking": None},
        }
        recipe = self
        for signal in signals:
            if signal not in changes:
                raise ConfigError(f"A recipe has no signal {signal!r}. {did_you_mean(signal, changes)}")
            recipe = replace(recipe, **changes[signal])
        return recipe

    def filters(self) -> Iterator[Filter]:
        """The rules that look at single rows, in the order of `data_filter.ipynb`."""
        if self.min_quality is not None:
            yield LevelAtLeast("quality", self.min_quality)
        if self.min_difficulty is not None:
            yield LevelAtLeast("difficulty", self.min_difficulty)
        if self.min_reward is not None:
            yield RewardAbove(self.min_reward, self.reward_itself)
        if self.min_gain is not None:
            yield RewardGain(self.min_gain)
        if self.no_colon:
            yield EndsWith("instruction")
        if self.max_seeking is not None:
            yield SeekingShare(self.max_seeking)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        # data_sft/data_filter.ipynb
        "notebook": Recipe("good", min_reward=-10, no_colon=True, first=True, count=300_000, by_length=True),
        # card of Magpie-Pro-300K-Filtered
        "pro-300k": Recipe("average", min_reward=-10, reward_itself=True, count=300_000, by_length=True),
        # the paper's filter of Magpie-Air-300K
        "air-300k": Recipe("good", "medium", min_gain=0, min_distance=0, count=300_000, by_length=True),
        # the instructions of the preference set of Llama 3.1; 30K of 100K may seek information or advice
        "preferences": Recipe("good", "medium", min_reward=-5, reward_itself=True, max_seeking=0.3, count=100_000),
    }
)
"""Magpie's published recipes. Their rewards are those of FsfairX-LLaMA3-RM-v0.1; another model has another scale."""


@dataclass(frozen=True)
class Selection:
    """What a recipe kept, what it dropped and why, and what it could not look at.

    Attributes:
        rows: The rows kept.
        rejected: The rows dropped, in order.
        not_checked: Signals of the recipe that were left out.
    """

    rows: list[MagpieRow]
    rejected: list[Rejected] = field(default_factory=list)
    not_checked: tuple[str, ...] = ()


def select(
    rows: Iterable[MagpieRow],
    recipe: str | Recipe = "notebook",
    *,
    embed: Callable[[list[str]], Any] | None = None,
    without: Sequence[str] = (),
    seed: int = 42,
) -> Selection:
    """Filter the rows of finished runs by a recipe.

    A recipe never passes rows for want of a signal: what is missing is an error, unless it is left out by name.

    Args:
        rows: Rows of one or several runs.
        recipe: Name of one of `RECIPES`, or your own.
        embed: Embeds queries, for recipes that look at neighbours.
        without: Signals of the recipe to leave out, such as `("reward",)` when there is no reward model.
        seed: Of the shuffle after a choice by length; the authors': 42.

    Raises:
        ConfigError: No such recipe or signal, or no row has a signal that the recipe needs.
    """
    rows = list(rows)
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ConfigError(f"Magpie has no recipe {recipe!r}. {did_you_mean(recipe, RECIPES)}")
        recipe = RECIPES[recipe]
    left_out = tuple(signal for signal in recipe.signals() if signal in without)
    recipe = recipe.without(without)
    if missing := [signal for signal in recipe.signals() if not _has(rows, signal, embed)]:
        raise ConfigError(
            f"The recipe needs {', '.join(missing)}, which the rows do not have: make them with `tags=True`, `reward`, "
            f"`base_answers=True`, pass `embed`, or leave the rule out with `without={tuple(missing)!r}`."
        )
    places = neighbourhoods(rows, embed) if "neighbours" in recipe.signals() and embed is not None else []
    kept, rejected = [], []
    tests = list(recipe.filters())
    for index, row in enumerate(rows):
        verdict = _crowded(recipe, places[index]) if places else None
        verdicts = ((test.name, test.check(row)) for test in tests)
        stage, reason = next(((name, why) for name, why in verdicts if why), ("neighbours", verdict))
        if reason is None:
            kept.append(row)
            for test in tests:
                test.add(row)
        else:
            code, _, detail = reason.partition(":")
            rejected.append(Rejected(stage=stage, reason=code, detail=detail.strip(), content=row.record()))
    if recipe.count is None:
        return Selection(kept, rejected, left_out)
    chosen = longest(kept, recipe.count, seed) if recipe.by_length else kept[: recipe.count]
    there = {row.id for row in chosen}
    rejected += [
        Rejected(stage="count", reason="over_the_count", content=row.record()) for row in kept if row.id not in there
    ]
    return Selection(chosen, rejected, left_out)


def longest(rows: Iterable[MagpieRow], count: int, seed: int = 42) -> list[MagpieRow]:
    """The rows with the longest responses, shuffled: the last step of the authors' recipe (`data_filter.ipynb`).

    It rewards verbosity, so compare models trained on it by length-controlled measures.

    Args:
        rows: Rows of a run.
        count: Rows kept; the authors keep 300,000.
        seed: Of the shuffle.
    """
    chosen = sorted(rows, key=lambda row: len(row.response), reverse=True)[:count]
    random.Random(seed).shuffle(chosen)
    return chosen


def _has(rows: Sequence[MagpieRow], signal: str, embed: Any) -> bool:
    if signal == "neighbours":
        return embed is not None
    fields = ("reward", "base_reward") if signal == "gain" else (signal,)
    return not rows or any(all(getattr(row, name) is not None for name in fields) for row in rows)


def _crowded(recipe: Recipe, place: Neighbourhood) -> str | None:
    if recipe.first and place.first_id != place.id:
        return f"not_first: {place.repeats} rows within {NEAR}, the first is {place.first_id}"
    if (
        recipe.min_distance is not None
        and place.distance is not None
        and place.distance <= recipe.min_distance + _ROUNDING
    ):
        return f"too_near: squared distance {place.distance:.3f} to {place.nearest_id}"
    return None
