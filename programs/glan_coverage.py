"""How much of a curriculum the rows of GLAN cover."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from synthwright.programs.glan_checks import folded
from synthwright.programs.glan_tree import SEPARATOR, NodePath, Tree
from synthwright.signatures.glan import HomeworkRow

__all__ = ["Coverage", "coverage"]

LEVELS = ("fields", "disciplines", "subjects", "sessions", "concepts")


@dataclass(frozen=True)
class Coverage:
    """What rows there are for a curriculum. Printed, it is a report in Markdown.

    Attributes:
        rows: Rows counted.
        hit: Fields, disciplines, subjects, sessions and concepts with at least one row, by level.
        total: How many of each the curriculum has; what rows name and the tree does not hold is counted too.
        by_discipline: Rows by discipline (path as a text), the most first; those without rows at the end.
        evenness: Entropy of the rows over all disciplines, divided by that of equal shares, in [0, 1].
        double_share: Share of rows about two sessions, in [0, 1].
        combinations: Different combinations of concepts among the rows.
    """

    rows: int
    hit: Mapping[str, int]
    total: Mapping[str, int]
    by_discipline: Mapping[str, int]
    evenness: float
    double_share: float
    combinations: int

    def share(self, level: str) -> float:
        """Share of a level with at least one row, in [0, 1]; 0 if the curriculum has none."""
        return self.hit[level] / self.total[level] if self.total[level] else 0.0

    def __str__(self) -> str:
        lines = ["| level | with rows | of | share |\n| --- | ---: | ---: | ---: |"]
        lines += [f"| {x} | {self.hit[x]:,} | {self.total[x]:,} | {self.share(x):.1%} |" for x in LEVELS]
        counts = list(self.by_discipline.values())
        spread = f"{min(counts):,} to {max(counts):,} rows a discipline" if counts else "no discipline"
        lines.append(
            f"\n{self.rows:,} rows, {self.combinations:,} combinations of concepts, {self.double_share:.0%} about two "
            f"sessions; {spread}, evenness {self.evenness:.2f}."
        )
        return "\n".join(lines)


def coverage(rows: Iterable[HomeworkRow], tree: Tree) -> Coverage:
    """Count rows by the nodes of a curriculum.

    Args:
        rows: Rows of GLAN, streamed.
        tree: The curriculum, such as `generator.tree(run.artifacts(Row))`.
    """
    known: dict[str, set[NodePath]] = {level: set() for level in LEVELS}
    hit: dict[str, set[NodePath]] = {level: set() for level in LEVELS}
    names: dict[NodePath, str] = {}
    for discipline in tree.disciplines:
        names[_key(discipline.path)] = SEPARATOR.join(discipline.path)
        known["fields"] |= {_key([discipline.field])} if discipline.field else set()
        known["disciplines"].add(_key(discipline.path))
        for subject in discipline.node.subjects:
            path = _key([*discipline.path, subject.name])
            known["subjects"].add(path)
            for session in subject.syllabus.sessions if subject.syllabus else ():
                known["sessions"].add((*path, folded(session.name)))
                known["concepts"] |= {(*path, folded(concept)) for concept in session.key_concepts}
    count = doubles = 0
    per_discipline: Counter[NodePath] = Counter()
    combinations: set[NodePath] = set()
    for row in rows:
        count, doubles = count + 1, doubles + (row.strategy == "double")
        place = [name for name in row.place if name]
        names.setdefault(_key(place), SEPARATOR.join(place))
        per_discipline[_key(place)] += 1
        subject = _key([*place, row.subject])
        hit["fields"] |= {_key([row.field])} if row.field else set()
        hit["disciplines"].add(_key(place))
        hit["subjects"].add(subject)
        hit["sessions"] |= {(*subject, folded(name)) for name in row.session_names}
        hit["concepts"] |= {(*subject, folded(concept)) for concept in row.key_concepts}
        combinations.add((*subject, *sorted(map(folded, row.key_concepts))))
    total = {level: len(known[level] | hit[level]) for level in LEVELS}
    counts = per_discipline | Counter()
    by_discipline = {name: counts[key] for key, name in sorted(names.items(), key=lambda item: -counts[item[0]])}
    return Coverage(
        rows=count,
        hit={level: len(hit[level]) for level in LEVELS},
        total=total,
        by_discipline=by_discipline,
        evenness=_evenness(list(by_discipline.values())),
        double_share=doubles / count if count else 0.0,
        combinations=len(combinations),
    )


def _key(path: Iterable[str]) -> NodePath:
    return tuple(map(folded, path))


def _evenness(counts: list[int]) -> float:
    total = sum(counts)
    if not total or len(counts) < 2:
        return float(total > 0)
    entropy = -sum(count / total * math.log(count / total) for count in counts if count)
    return entropy / math.log(len(counts))
