"""How far TarGEN's self-correction can be trusted: labels are flipped on purpose, repairs and damage counted."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError
from synthwright.programs.targen_tasks import Task
from synthwright.signatures.targen import LabelledRow

__all__ = ["FlipReport", "Planted", "certain", "flip_report", "plant_flips"]


@dataclass(frozen=True)
class Planted:
    """A row to be re-checked, perhaps under a wrong label.

    Attributes:
        seed: The seed for `generate`: step `correct`, the fields, the label as it is claimed.
        gold: The right label.
    """

    seed: Mapping[str, Any]
    gold: str

    @property
    def flipped(self) -> bool:
        """Whether the claimed label is wrong."""
        return self.seed["label"] != self.gold


@dataclass(frozen=True)
class FlipReport:
    """What self-correction did to planted labels.

    Attributes:
        planted: Rows with a wrong label.
        clean: Rows with the right one.
        repaired: Wrong labels that were put right.
        changed: Wrong labels that were changed to another wrong one.
        damaged: Right labels that were changed.
        unread: Rows without a readable verdict, flagged or lost; their label stands.
    """

    planted: int
    clean: int
    repaired: int
    changed: int
    damaged: int
    unread: int

    @property
    def precision(self) -> float | None:
        """Share of changes that repair; None if nothing was changed."""
        changes = self.repaired + self.changed + self.damaged
        return self.repaired / changes if changes else None

    @property
    def recall(self) -> float | None:
        """Share of wrong labels that were put right; None if there are none."""
        return self.repaired / self.planted if self.planted else None

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares of wrong labels repaired and of right labels left alone, in [0, 1]."""
        kept = (self.clean - self.damaged) / self.clean if self.clean else 0.0
        return ((self.recall or 0.0) + kept) / 2


def certain(row: LabelledRow) -> bool:
    """Whether a label is beyond doubt: writer, self-correction and, if it was asked, the solver give the same."""
    solved = row.solver_label is None or row.solver_label == row.label
    return row.label == row.initial_label and row.flag is None and solved


def plant_flips(rows: Iterable[LabelledRow], task: Task, *, share: float = 0.5, seed: int = 0) -> list[Planted]:
    """Rows whose labels are certain, a share of them under another label, to be re-checked.

    Args:
        rows: Rows of a run; those that are not `certain` are left out.
        task: Their task.
        share: Share of flipped labels, in [0, 1]; within one of it for each label.
        seed: Fixes which rows are flipped, and to which label.

    Raises:
        ConfigError: The task is structured, or `share` is out of its range.
    """
    if task.answers:
        raise ConfigError(f"{task.name!r} is a structured task: it has no labels to flip.")
    if not 0 <= share <= 1:
        raise ConfigError(f"`share` must be in [0, 1], got {share!r}.")
    found = [row for row in rows if certain(row)]
    made = []
    for label in task.label_names:
        those = [row for row in found if row.label == label]
        rng = random.Random(f"{seed}:{label}")
        flipped = set(rng.sample(range(len(those)), round(share * len(those))))
        for place, row in enumerate(those):
            others = [other for other in task.label_names if other != label]
            claimed = rng.choice(others) if place in flipped else label
            why = row.explanation if claimed == label else f"I think that {task.meanings[claimed]}."
            ask = {"step": "correct", "context": row.context, "fields": dict(row.fields)}
            made.append(Planted({**ask, "label": claimed, "explanation": why}, label))
    random.Random(seed).shuffle(made)
    return made


def flip_report(planted: Sequence[Planted], rows: Iterable[LabelledRow]) -> FlipReport:
    """What became of planted labels in a run over their seeds.

    Args:
        planted: What `plant_flips` made.
        rows: The rows of `generate(TarGEN(task), seeds=[each.seed for each in planted], ...)`.
    """
    verdicts = {(_key(row.fields), row.initial_label): row for row in rows}
    counts = dict.fromkeys(("repaired", "changed", "damaged", "unread"), 0)
    for each in planted:
        row = verdicts.get((_key(each.seed["fields"]), each.seed["label"]))
        if row is None or row.flag is not None:
            counts["unread"] += 1
        elif row.label != row.initial_label:
            counts["damaged" if not each.flipped else "repaired" if row.label == each.gold else "changed"] += 1
    wrong = sum(each.flipped for each in planted)
    return FlipReport(planted=wrong, clean=len(planted) - wrong, **counts)


def _key(fields: Mapping[str, str]) -> str:
    return json.dumps(dict(fields), sort_keys=True)
