"""What n rows of a method would cost, from the nearest figures there are, and which those are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import synthwright as sw
from synthwright.programs.base import Generator, data_path
from synthwright.runs.listing import find_runs, read_info

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True)
class Estimate:
    """An estimate and its source.

    Attributes:
        rows: Rows it is for.
        calls: LM calls, or None if nothing is known.
        tokens: Tokens in and out, or None if they are not known.
        usd: US dollars at the given price, or None.
        source: How it was made, in a sentence.
    """

    rows: int
    calls: float | None
    tokens: float | None
    usd: float | None
    source: str


def estimate(
    cls: type[Generator[Any]], rows: int, *, runs: Path = Path("runs"), prices: Mapping[str, sw.Price] | None = None
) -> Estimate:
    """Scale figures of the method up to `rows` rows.

    The run of the method with the most rows below `runs` is taken, as it knows the LM and the arguments; else the
    figures of a run on the embedded LM that the method's page documents (`programs/data/costs.yaml`).
    """
    found = [read_info(path) for path in find_runs(runs)]
    made = [info for info in found if info.method == cls.stem() and info.rows and info.calls]
    if made:
        info = max(made, key=lambda one: one.rows)
        scale = rows / info.rows
        source = f"Scaled from {info.path}: {info.rows:,} rows took {info.calls:,} calls and {info.tokens:,} tokens."
        tokens = scale * info.tokens
        usd = scale * info.usd if info.usd else _dollars(info.path, scale, prices)
        return Estimate(rows, scale * info.calls, tokens, usd, source)
    costs = yaml.safe_load(data_path("costs.yaml").read_text(encoding="utf-8"))
    if cls.stem() in costs:
        known = costs[cls.stem()]
        source = (
            f"Scaled from a documented run on the embedded LM with the practical preset: {known['rows']} rows took "
            f"{known['calls']} calls. A stronger LM loses fewer rows and needs fewer calls."
        )
        return Estimate(rows, rows * known["calls"] / known["rows"], None, None, source)
    return Estimate(rows, None, None, None, "No figures of this method are at hand.")


def _dollars(path: Path, scale: float, prices: Mapping[str, sw.Price] | None) -> float | None:
    """What the tokens of a run would cost at the price of its LM, if it has one LM and its price is given."""
    if not prices or len(prices) != 1:
        return None
    price = next(iter(prices.values()))
    usage = sw.load_run(path).total_usage
    return scale * (usage.input_tokens * price.input + usage.output_tokens * price.output) / 1e6
