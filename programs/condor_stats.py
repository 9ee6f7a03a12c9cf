"""What a run of Condor gave, in numbers: the length-ratio log, win rates, and coverage of tags and tasks."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from statistics import mean, median

from pydantic import BaseModel, ConfigDict

from synthwright.programs.condor_tree import Tree, folded
from synthwright.signatures.condor import CondorRow

__all__ = ["LengthLog", "length_log", "summary"]

ALIKE = (0.8, 1.25)
"""Length ratios between which two answers count as equally long. Ours."""


class LengthLog(BaseModel):
    """How much longer refined answers are than their drafts, in one group of rows.

    Attributes:
        group: `all`, a difficulty or a task.
        refined: Rows with a refined answer, whether it was kept or not.
        mean: Mean of the ratios of words, refined over draft.
        median: Their median.
        tenth: The ratio below which a tenth of them lie.
        ninetieth: The ratio below which nine tenths lie.
        longer: Share of the ratios above 1.
        doubled: Share of the ratios of 2 or more.
    """

    model_config = ConfigDict(frozen=True)

    group: str
    refined: int
    mean: float
    median: float
    tenth: float
    ninetieth: float
    longer: float
    doubled: float


def length_log(rows: Iterable[CondorRow]) -> list[LengthLog]:
    """The length-ratio log of a run: all rows, then each difficulty and task that has refined answers.

    Refined answers tend to be longer, and judges tend to like that: look at this before believing a win rate. A row
    whose refined answer lost against its draft counts too.
    """
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row.length_ratio is None:
            continue
        for group in ("all", row.difficulty, row.task):
            if group:
                groups.setdefault(group, []).append(row.length_ratio)
    return [_log(group, sorted(ratios)) for group, ratios in groups.items()]


def summary(rows: Sequence[CondorRow], tree: Tree | None = None) -> dict[str, float]:
    """Rates of a run; one that cannot be taken is left out.

    Args:
        rows: Rows of Condor.
        tree: The tree that they were asked from, for `leaf_coverage`.

    Returns:
        `refined`, the share of rows with a refined answer that is kept; `win_rate`, `tie_rate` and `worse_rate` of what
        was judged; `win_rate_alike`, wins over wins and losses where both answers are about equally long (ratio 0.8 to
        1.25); `flag_NAME`, shares of the rows by why their draft was kept; `task_balance` and `root_balance`, entropy
        over the tasks and root tags that occur, 1 for all alike; `paths`, different tag paths; `leaf_coverage`, share
        of the leaves of the tree that have a row.
    """
    figures: dict[str, float] = {}
    if not rows:
        return figures
    figures["refined"] = sum(row.kept == "refined" for row in rows) / len(rows)
    judged = [row for row in rows if row.judged is not None]
    for name, verdict in (("win_rate", "refined"), ("tie_rate", "tie"), ("worse_rate", "draft")):
        if judged:
            figures[name] = sum(row.judged == verdict for row in judged) / len(judged)
    alike = [row for row in judged if row.length_ratio and ALIKE[0] <= row.length_ratio <= ALIKE[1]]
    if decided := [row.judged for row in alike if row.judged != "tie"]:
        figures["win_rate_alike"] = decided.count("refined") / len(decided)
    for flag, count in Counter(row.flag for row in rows if row.flag).items():
        figures[f"flag_{flag}"] = count / len(rows)
    if tasks := [row.task for row in rows if row.task]:
        figures["task_balance"] = _balance(tasks)
        figures["root_balance"] = _balance([row.tag_path[0] for row in rows if row.tag_path])
        paths = {tuple(folded(name) for name in row.tag_path) for row in rows if row.tag_path}
        figures["paths"] = len(paths)
        if tree is not None:
            leaves = {tuple(folded(name) for name in tree.path(leaf)) for leaf in tree.leaves(1)}
            figures["leaf_coverage"] = len(paths & leaves) / len(leaves)
    return figures


def _log(group: str, ratios: Sequence[float]) -> LengthLog:
    return LengthLog(
        group=group,
        refined=len(ratios),
        mean=mean(ratios),
        median=median(ratios),
        tenth=ratios[math.ceil(0.1 * len(ratios)) - 1],
        ninetieth=ratios[math.ceil(0.9 * len(ratios)) - 1],
        longer=sum(ratio > 1 for ratio in ratios) / len(ratios),
        doubled=sum(ratio >= 2 for ratio in ratios) / len(ratios),
    )


def _balance(values: Sequence[Hashable]) -> float:
    counts = Counter(values)
    if len(counts) < 2:
        return 1.0
    shares = [count / len(values) for count in counts.values()]
    return -sum(share * math.log(share) for share in shares) / math.log(len(counts))
