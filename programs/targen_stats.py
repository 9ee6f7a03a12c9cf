"""Figures of a dataset of TarGEN that need no training: balance of labels and slots, contexts, and agreement."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

from synthwright.filters.diversity import label_entropy
from synthwright.signatures.targen import LabelledRow

__all__ = ["LabelStatistics", "measure"]


@dataclass(frozen=True)
class LabelStatistics:
    """Figures of some rows of one task.

    Attributes:
        rows: Rows.
        labels: Rows by final label; empty for a structured task.
        balance: Entropy of the final labels divided by that of an even distribution over the task's labels, in [0, 1].
            For a label that is a position it is the balance of positions.
        slots: Rows by label asked for and constraint, such as `("C1", 0)`.
        slot_balance: Entropy of these divided by that of as many equally frequent ones, in [0, 1].
        contexts: Distinct contexts.
        rows_per_context: Mean rows of one context.
        corrected: Share of rows whose label self-correction changed.
        unchecked: Share of rows whose self-correction gave nothing usable.
        agreement_before: Share of solved rows whose solver gives the label that was asked for; None without a solver.
        agreement_after: Share of them whose solver gives the final label; None without a solver.
    """

    rows: int
    labels: dict[str, int]
    balance: float
    slots: dict[tuple[str, int], int]
    slot_balance: float
    contexts: int
    rows_per_context: float
    corrected: float
    unchecked: float
    agreement_before: float | None
    agreement_after: float | None


def measure(rows: Iterable[LabelledRow]) -> LabelStatistics:
    """The figures of some rows, such as those of a run; all zero for none."""
    found = list(rows)
    solved = [row for row in found if row.solver_label is not None]
    contexts = {row.context for row in found}
    slots = Counter((row.asked, row.variant) for row in found)
    labels = Counter(row.label for row in found if not row.answers)
    before = sum(row.solver_label == row.initial_label for row in solved)
    after = sum(row.solver_label == row.label for row in solved)
    return LabelStatistics(
        rows=len(found),
        labels=dict(sorted(labels.items())),
        balance=label_entropy(labels.elements()) / log2(len(found[0].options)) if labels else 0.0,
        slots=dict(sorted(slots.items())),
        slot_balance=label_entropy(slots.elements(), normalized=True) if slots else 0.0,
        contexts=len(contexts),
        rows_per_context=len(found) / len(contexts) if contexts else 0.0,
        corrected=sum(row.was_corrected for row in found) / len(found) if found else 0.0,
        unchecked=sum(row.flag is not None for row in found) / len(found) if found else 0.0,
        agreement_before=before / len(solved) if solved else None,
        agreement_after=after / len(solved) if solved else None,
    )
