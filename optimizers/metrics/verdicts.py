"""What the verdicts of a judge on a labelled set are worth."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthwright.optimizers.metrics.blocks import balanced_accuracy

__all__ = ["Verdicts", "score_verdicts"]


@dataclass(frozen=True)
class Verdicts:
    """How a judge did on labelled cases.

    Attributes:
        balanced_accuracy: Mean of the shares judged right of each label, in [0, 1]; a judge that always says the same
            has one over the number of labels.
        by_kind: Share judged right of each kind of case.
        wrong: The cases judged wrong, with `verdict` (None if the reply was none).
    """

    balanced_accuracy: float
    by_kind: Mapping[str, float]
    wrong: Sequence[Mapping[str, Any]]


def score_verdicts(labelled: Sequence[Mapping[str, Any]], label: str, said: Sequence[Hashable]) -> Verdicts:
    """Score verdicts on cases; a verdict of None, a reply that was none, is wrong.

    Args:
        labelled: The cases, each with its `kind`.
        label: Name of the field that holds what is right.
        said: What the judge said of each.

    Raises:
        ValueError: There are not as many verdicts as cases.
    """
    kinds: defaultdict[str, list[bool]] = defaultdict(list)
    for case, verdict in zip(labelled, said, strict=True):
        kinds[case["kind"]].append(verdict == case[label])
    return Verdicts(
        balanced_accuracy([case[label] for case in labelled], said),
        {kind: sum(right) / len(right) for kind, right in kinds.items()},
        [{**case, "verdict": v} for case, v in zip(labelled, said, strict=True) if v != case[label]],
    )
