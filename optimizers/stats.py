"""Means with their intervals, and paired comparison of two lists of scores on the same seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Difference", "Mean", "mean_interval", "paired_difference"]

RESAMPLES = 10_000


@dataclass(frozen=True)
class Mean:
    """Mean score with its 95 % interval.

    Attributes:
        value: The mean.
        low: Lower end of the interval.
        high: Upper end.
        seeds: Number of scores.
    """

    value: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        return f"{self.value:.3f}  (95 % interval {self.low:.3f} to {self.high:.3f}, {self.seeds} seeds)"


@dataclass(frozen=True)
class Difference:
    """Mean difference of paired scores with its 95 % interval.

    Attributes:
        before: Mean of the first scores.
        after: Mean of the second scores.
        low: Lower end of the interval of the difference.
        high: Upper end.
        seeds: Number of pairs.
    """

    before: float
    after: float
    low: float
    high: float
    seeds: int

    @property
    def gain(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def measurable(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return self.describe()

    def describe(self, what: str = "gain") -> str:
        """Both means, the difference with its interval, and, if that includes zero, "no measurable gain".

        Args:
            what: Word for the difference.
        """
        verdict = "" if self.measurable else f"  no measurable {what}"
        return (
            f"{self.before:.3f} -> {self.after:.3f}  ({self.gain:+.3f}, 95 % interval {self.low:+.3f} to "
            f"{self.high:+.3f}, {self.seeds} seeds){verdict}"
        )


def mean_interval(scores: Sequence[float], *, seed: int = 0) -> Mean:
    """The mean with the percentile bootstrap over seeds (Efron and Tibshirani, 1993, chapter 13).

    Args:
        scores: One score a seed, 1 or more.
        seed: Random seed of the resampling.
    """
    low, high = _interval(scores, seed)
    return Mean(sum(scores) / len(scores), low, high, len(scores))


def paired_difference(before: Sequence[float], after: Sequence[float], *, seed: int = 0) -> Difference:
    """Percentile bootstrap over seeds (Efron and Tibshirani, 1993, chapter 13), 10,000 resamples.

    Args:
        before: One score a seed, n of them, n at least 1.
        after: Scores of the same seeds in the same order.
        seed: Random seed of the resampling.
    """
    low, high = _interval([b - a for a, b in zip(before, after, strict=True)], seed)
    return Difference(sum(before) / len(before), sum(after) / len(after), low, high, len(before))


def _interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    import numpy as np  # here, because it would be a sixth of the time of `import synthwright`

    numbers = np.asarray(values, dtype=float)
    picks = np.random.default_rng(seed).integers(0, len(numbers), size=(RESAMPLES, len(numbers)))
    low, high = np.percentile(numbers[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
