"""What a dataset of Bonito looks like, measured without training and without an LM. All of it is ours."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log2

from synthwright.programs.bonito_checks import same_answer
from synthwright.programs.bonito_types import type_named
from synthwright.signatures.bonito import BonitoRow

__all__ = ["TaskStatistics", "measure"]


@dataclass(frozen=True)
class TaskStatistics:
    """Figures of one dataset.

    Attributes:
        rows: Rows by short name of the type.
        label_entropy: Bits of the distribution of labels by type, divided by those of an even one: in [0, 1].
        position_entropy: The same for the place of the right option among those shown, over all rows with options
            that are in an order of their own; 1 if every place is right equally often.
        templates: Different instructions, passages removed, divided by rows: in [0, 1].
        solver_agreement: Share of solved rows whose solver gives the response, or None if none was solved.
        blind_agreement: Share of them whose solver gives it without the passage: guessing, or a leak.
        licences: Rows by licence of their passage.
    """

    rows: dict[str, int] = field(default_factory=dict)
    label_entropy: dict[str, float] = field(default_factory=dict)
    position_entropy: float | None = None
    templates: float = 0.0
    solver_agreement: float | None = None
    blind_agreement: float | None = None
    licences: dict[str, int] = field(default_factory=dict)


def measure(rows: Iterable[BonitoRow]) -> TaskStatistics:
    """The figures of some rows, such as those of a run."""
    counts, licences = Counter[str](), Counter[str]()
    labels: dict[str, Counter[str]] = {}
    places: Counter[int] = Counter()
    most, solved, right, guessed, total = 0, 0, 0, 0, 0
    tasks: set[str] = set()
    for row in rows:
        total += 1
        kind = type_named(row.task_type)
        counts[row.task_type] += 1
        licences[row.licence or "unknown"] += 1
        tasks.add(row.task)
        if row.label:
            labels.setdefault(row.task_type, Counter())[row.label] += 1
        if kind.wrong and row.response in row.options:
            places[row.options.index(row.response)] += 1
            most = max(most, len(row.options))
        if row.solver_response is not None:
            solved += 1
            right += same_answer(row.solver_response, row.response, row.options)
            guessed += same_answer(row.blind_response or "", row.response, row.options)
    return TaskStatistics(
        rows=dict(sorted(counts.items())),
        label_entropy={name: _evenness(found, len(type_named(name).labels)) for name, found in sorted(labels.items())},
        position_entropy=_evenness(places, most) if places else None,
        templates=len(tasks) / total if total else 0.0,
        solver_agreement=right / solved if solved else None,
        blind_agreement=guessed / solved if solved else None,
        licences=dict(sorted(licences.items())),
    )


def _evenness(counts: Counter[str] | Counter[int], size: int) -> float:
    total = counts.total()
    bits = -sum(count / total * log2(count / total) for count in counts.values())
    return bits / log2(size) if size > 1 else 1.0
