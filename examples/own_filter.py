"""Your own filters: a function that looks at one row, and a class that knows the rows kept so far.

A filter returns None to keep a row, or a short reason that the funnel counts. What it drops lies in `rejected.jsonl`.
"""

from collections import Counter
from dataclasses import dataclass, field

import synthwright as sw
from synthwright.filters import ExactDuplicate, Filter
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.signatures.evol_instruct import EvolvedRow

ROOTS = ["Explain how a bicycle stays upright.", "Write a toast for a wedding.", "Explain what yeast does in bread."]


def short(row: EvolvedRow) -> str | None:
    """Keeps instructions of at most 25 words."""
    words = len(row.instruction.split())
    return None if words <= 25 else f"too_many_words: {words}"


@dataclass
class AtMostOneOpening(Filter):
    """Drops a row whose first two words opened `limit` kept rows already: against the pool, in the order of seeds."""

    limit: int = 1
    _openings: Counter[str] = field(default_factory=Counter, init=False, repr=False)

    def check(self, row: EvolvedRow) -> str | None:
        opening = _opening(row)
        return f"opening_used: {opening}" if self._openings[opening] >= self.limit else None

    def add(self, row: EvolvedRow) -> None:
        self._openings[_opening(row)] += 1


def _opening(row: EvolvedRow) -> str:
    return " ".join(row.instruction.lower().split()[:2])


if __name__ == "__main__":
    generator = EvolInstruct(operators=("add_constraints",), rounds=1, judge=False, answer=False)
    run = sw.generate(
        generator,
        seeds=[{"instruction": root} for root in ROOTS],
        filters=[short, AtMostOneOpening(), ExactDuplicate(("instruction",))],
        out="runs/own-filter",
    )
    print(run.funnel)
    for reject in run.rejects():
        print(f"{reject.stage}: {reject.reason}  {reject.detail}")
