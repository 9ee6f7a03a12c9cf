"""Filters of Magpie over its tags and rewards."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from synthwright.errors import ConfigError
from synthwright.filters import Filter
from synthwright.signatures.magpie import Difficulty, MagpieRow, Quality

__all__ = ["LevelAtLeast", "RewardAbove", "RewardGain", "Safe", "SeekingShare"]

_LEVELS = {"difficulty": get_args(Difficulty), "quality": get_args(Quality)}


@dataclass(frozen=True)
class LevelAtLeast(Filter):
    """Drops rows whose tag lies below a level.

    Args:
        tag: `quality` or `difficulty`.
        least: The lowest level kept.
    """

    tag: Literal["quality", "difficulty"]
    least: str

    def __post_init__(self) -> None:
        if self.least not in _LEVELS[self.tag]:
            levels = ", ".join(map(repr, _LEVELS[self.tag]))
            raise ConfigError(f"`min_{self.tag}` must be one of {levels} or None, got {self.least!r}.")

    @property
    def name(self) -> str:
        return f"min_{self.tag}"

    def check(self, row: MagpieRow) -> str | None:
        levels, level = _LEVELS[self.tag], getattr(row, self.tag)
        if level is None:
            return "untagged"
        return level.replace(" ", "_") if levels.index(level) < levels.index(self.least) else None


@dataclass(frozen=True)
class Safe(Filter):
    """Drops rows that the `safety` callable called anything but `safe`."""

    def check(self, row: MagpieRow) -> str | None:
        return None if row.safety == "safe" else f"unsafe: {row.safety}"


@dataclass(frozen=True)
class RewardAbove(Filter):
    """Drops rows whose reward is not above a threshold, in the units of the reward model.

    Args:
        threshold: The lowest reward, itself excluded.
        inclusive: Whether the threshold itself is kept.
    """

    threshold: float = -10.0
    inclusive: bool = False

    @property
    def name(self) -> str:
        return "min_reward"

    def check(self, row: MagpieRow) -> str | None:
        if row.reward is None:
            return "no_reward"
        kept = row.reward > self.threshold or (self.inclusive and row.reward == self.threshold)
        return None if kept else f"low_reward: {row.reward:.2f}"


@dataclass(frozen=True)
class RewardGain(Filter):
    """Drops rows whose response is not better, by more than a threshold, than that of the base model."""

    threshold: float = 0.0

    @property
    def name(self) -> str:
        return "min_gain"

    def check(self, row: MagpieRow) -> str | None:
        if row.reward is None or row.base_reward is None:
            return "no_base_reward"
        gain = row.reward - row.base_reward
        return None if gain > self.threshold else f"low_gain: {gain:.2f}"


@dataclass
class SeekingShare(Filter):
    """Drops rows that seek information or advice where they would exceed their share of the dataset.

    Raw Magpie data holds too many of them; the authors cap them in their preference set.

    Args:
        most: Largest share, in (0, 1].
    """

    most: float
    _rows: int = field(default=0, init=False, repr=False)
    _seeking: int = field(default=0, init=False, repr=False)

    def _seeks(self, row: MagpieRow) -> bool:
        return row.category in ("information seeking", "advice seeking")

    def check(self, row: MagpieRow) -> str | None:
        allowed = max(1.0, self.most * (self._rows + 1))
        return f"too_many: {row.category}" if self._seeks(row) and self._seeking + 1 > allowed else None

    def add(self, row: Any) -> None:
        self._rows += 1
        self._seeking += self._seeks(row)
