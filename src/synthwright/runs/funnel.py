"""The funnel of a run: what was asked, what came back, what was lost where and why, what was kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Funnel"]

_UNUSABLE = ("unparsable", "truncated")


@dataclass(frozen=True)
class Funnel:
    """Counts of one run.

    Attributes:
        asked: Seeds asked, those that failed included.
        failed: Seeds that failed with an error of the LM; a resumed run tries them again.
        made: Candidate rows that came out of the seeds, in whatever form.
        parsed: Those whose replies could be read.
        lost: (stage, reason, count) of what was dropped, in the order in which it was first seen.
        kept: Rows in the dataset.
    """

    asked: int
    failed: int
    kept: int
    lost: Sequence[tuple[str, str, int]] = field(default_factory=tuple)

    @property
    def dropped(self) -> int:
        """Candidate rows that were not kept, for whatever reason."""
        return sum(count for _, _, count in self.lost)

    @property
    def made(self) -> int:
        return self.kept + self.dropped

    @property
    def parsed(self) -> int:
        return self.made - sum(count for _, reason, count in self.lost if reason in _UNUSABLE)

    @property
    def acceptance(self) -> float:
        """Share of what was made that was kept, in [0, 1]; 0 if nothing was made."""
        return self.kept / self.made if self.made else 0.0

    def steps(self) -> list[tuple[str, int, str]]:
        """(label, count, note) from top to bottom, losses negative, for tables and text."""
        unread = [(stage, reason, n) for stage, reason, n in self.lost if reason in _UNUSABLE]
        dropped = [(stage, reason, n) for stage, reason, n in self.lost if reason not in _UNUSABLE]
        steps: list[tuple[str, int, str]] = [
            ("seeds asked", self.asked, f"{self.failed} failed" if self.failed else ""),
            ("rows made", self.made, ""),
        ]
        steps += [(f"  {stage}", -count, reason) for stage, reason, count in unread]
        steps.append(("parsed", self.parsed, ""))
        steps += [(f"  {stage}", -count, reason) for stage, reason, count in dropped]
        steps.append(("kept", self.kept, f"{self.acceptance:.0%} of what was made"))
        return steps

    def __str__(self) -> str:
        return "\n".join(f"{label:<28}{count:>7}  {note}".rstrip() for label, count, note in self.steps())

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON-ready data."""
        lost: dict[str, dict[str, int]] = {}
        for stage, reason, count in self.lost:
            lost.setdefault(stage, {})[reason] = count
        return {
            "asked": self.asked,
            "failed": self.failed,
            "made": self.made,
            "parsed": self.parsed,
            "lost": lost,
            "kept": self.kept,
        }
