"""Forecast: what n rows would cost, from a few seeds asked for real."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from synthwright.lms.budgets import Usage

__all__ = ["Expected", "Forecast", "SeedCost", "extrapolate"]

RESAMPLES = 2000


@dataclass(frozen=True)
class SeedCost:
    """What one seed of the dry run took and gave.

    Attributes:
        usage: Its LM calls, those answered from the journal included.
        seconds: Its wall time.
        made: Candidates that came back, kept or not.
        kept: Rows that every filter kept.
        failed: Whether an error stopped it.
    """

    usage: Usage
    seconds: float
    made: int
    kept: int
    failed: bool = False


@dataclass(frozen=True)
class Expected:
    """An estimate with its 90 % interval; the upper end is infinite where a resample kept no row."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What a run would cost.

    The interval is that of a bootstrap over the seeds that were asked (percentiles 5 and 95 of 2,000 resamples of the
    ratio of cost to rows), so that it holds the luck of acceptance as well as that of cost. It cannot know how later
    rounds differ from the first seeds, such as novelty filters that drop more as the pool grows.

    Attributes:
        n: Rows asked for; None for one pass over the material.
        asked: Seeds that were asked, one entry each.
        seeds: Seeds expected.
        calls: LM calls expected.
        tokens: Input plus output tokens expected.
        usd: US dollars expected, zero where no price is known.
        seconds: Wall time expected at the run's concurrency.
        rows: Rows expected: n, or what one pass gives.
    """

    n: int | None
    asked: tuple[SeedCost, ...]
    seeds: Expected
    calls: Expected
    tokens: Expected
    usd: Expected
    seconds: Expected
    rows: Expected

    @property
    def acceptance(self) -> float:
        """Share of the candidates that were kept, in [0, 1]."""
        made = sum(cost.made for cost in self.asked)
        return sum(cost.kept for cost in self.asked) / made if made else 0.0

    def __str__(self) -> str:
        kept, failed = sum(cost.kept for cost in self.asked), sum(cost.failed for cost in self.asked)
        lines = [
            f"{len(self.asked)} seeds asked: {sum(c.made for c in self.asked)} candidates, {kept} rows kept"
            f" ({100 * self.acceptance:.0f} %)" + (f", {failed} failed" if failed else "")
        ]
        if not kept:
            return lines[0] + ". No row was kept, so nothing can be said of a run; look at what was dropped, and why."
        lines.append(f"expected for {_short(self.rows.value)} rows (90 % interval):")
        for name in ("seeds", "calls", "tokens", "usd", "seconds"):
            expected: Expected = getattr(self, name)
            if name != "usd" or expected.value:
                span = f"{_short(expected.low)} to {_short(expected.high)}"
                lines.append(f"  {name:<8}{_short(expected.value):>10}   ({span})")
        return "\n".join(lines)


def extrapolate(asked: Sequence[SeedCost], n: int | None, *, passes: int | None, limit: int, seed: int = 0) -> Forecast:
    """Scale the cost of a few seeds up to a run.

    Args:
        asked: What each seed took and gave, 1 or more.
        n: Rows wanted; None for one pass.
        passes: Seeds of one pass, used where `n` is None.
        limit: Seeds worked on at a time.
        seed: Random seed of the bootstrap.
    """
    rng = random.Random(f"{seed}:forecast")
    samples = [list(asked), *([rng.choice(asked) for _ in asked] for _ in range(RESAMPLES))]
    columns: dict[str, list[float]] = {name: [] for name in ("seeds", "calls", "tokens", "usd", "seconds", "rows")}
    for sample in samples:
        kept = sum(cost.kept for cost in sample)
        seeds = float(passes or len(sample)) if n is None else (n * len(sample) / kept if kept else float("inf"))
        scale = seeds / len(sample)
        columns["seeds"].append(seeds)
        columns["rows"].append(n if n is not None else scale * kept)
        columns["calls"].append(scale * sum(cost.usage.calls for cost in sample))
        columns["tokens"].append(scale * sum(cost.usage.tokens for cost in sample))
        usd = sum(cost.usage.usd for cost in sample)
        columns["usd"].append(scale * usd if usd else 0.0)
        columns["seconds"].append(scale * sum(cost.seconds for cost in sample) / min(limit, max(seeds, 1)))
    return Forecast(n, tuple(asked), **{name: _expected(values) for name, values in columns.items()})


def _expected(values: list[float]) -> Expected:
    ordered = sorted(values[1:])
    return Expected(values[0], ordered[len(ordered) // 20], ordered[-len(ordered) // 20 - 1])


def _short(value: float) -> str:
    if value == float("inf"):
        return "no bound"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
