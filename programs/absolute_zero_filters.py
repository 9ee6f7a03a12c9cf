"""Which tasks of Absolute Zero teach something."""

from dataclasses import dataclass
from typing import Any

from synthwright.filters import Filter

__all__ = ["Solvable"]


@dataclass(frozen=True)
class Solvable(Filter):
    """Drops tasks of the solver role that nobody solves, that all solve, or whose samples were no samples.

    Args:
        above_zero_only: Keep what all samples solve.
    """

    above_zero_only: bool = False

    def check(self, row: Any) -> str | None:
        if row.role == "proposer":
            return None
        shown = f"{row.n_samples} samples, {row.distinct_answers} distinct answers"
        if row.identical_samples:
            return f"identical_samples: {shown}"
        if row.n_samples < 2:
            return f"too_few_samples: {shown}"
        if row.solve_rate == 0:
            return f"never_solved: {shown}"
        if row.solve_rate == 1 and not self.above_zero_only:
            return f"always_solved: {shown}"
        return None
