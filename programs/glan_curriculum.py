"""What a run of GLAN knows of its curriculum at the start of a round, and what its disciplines need next."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Any, TypeVar

from synthwright.errors import ConfigError, did_you_mean
from synthwright.pool import Seed
from synthwright.programs.glan_checks import folded
from synthwright.programs.glan_combinations import Combination, Combinations, total
from synthwright.programs.glan_tree import (
    SEPARATOR,
    Discipline,
    StoredSyllabus,
    SubjectNode,
    Tree,
    subject_of,
)
from synthwright.signatures.glan import HomeworkRow, Placed, Session, SubjectList, Syllabus, Turn
from synthwright.signatures.rows import Row

__all__ = ["Branch", "Course", "Curriculum", "turns"]

T = TypeVar("T")

AT_A_TIME = 32
"""Seeds of a course that are made together, for the sake of the processor's cache. Ours."""

PAGE = 1000
"""Syllabi whose positions one `Turn` holds. Ours."""


@dataclass
class Course:
    """A subject of a discipline, with its syllabus if there is one.

    Attributes:
        branch: Its discipline.
        node: What is known of the subject.
        key: Its path as a text.
        syllabus: The syllabus; one without sessions could not be read.
        asked: How many of its combinations were drawn so far.
        drawn: All its combinations, once `Curriculum.combinations` was asked for them.
    """

    branch: "Branch"
    node: SubjectNode
    key: str
    syllabus: Syllabus | None = None
    asked: int = 0
    drawn: Combinations | None = None

    @property
    def sessions(self) -> Sequence[Session]:
        """The class sessions that have key concepts."""
        return self.syllabus.sessions if self.syllabus is not None else ()

    @cached_property
    def names(self) -> list[str]:
        """The titles of its class sessions."""
        return [session.name for session in self.sessions]

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the seeds of all its questions have in common."""
        assert self.syllabus is not None
        return {
            "step": "question",
            **self.branch.place,
            "subject": self.node.name,
            "level": self.syllabus.level,
            "syllabus": self.syllabus.text,
            "sources": [self.syllabus.id],
        }

    @property
    def path(self) -> tuple[str, ...]:
        """The names from the field down to the subject."""
        return (*self.branch.discipline.path, self.node.name)


@dataclass
class Branch:
    """A discipline of a run.

    Attributes:
        discipline: The discipline.
        queries: Queries for subjects that were made; None if its subjects are complete.
        courses: Its subjects by folded name.
    """

    discipline: Discipline
    queries: int | None = 0
    courses: dict[str, Course] = field(default_factory=dict)

    @property
    def place(self) -> dict[str, str]:
        """Its place in the fields of a seed."""
        return dict(zip(("field", "sub_field", "discipline"), self.discipline.place, strict=True))

    @property
    def key(self) -> str:
        """Its path as a text."""
        return SEPARATOR.join(self.discipline.path)

    def add(self, node: SubjectNode) -> Course:
        """The course of a subject, new or known."""
        return self.courses.setdefault(folded(node.name), Course(self, node, f"{self.key}{SEPARATOR}{node.name}"))


class Curriculum:
    """The tree of a run with all that it has grown, and where its questions have got to.

    Args:
        tree: The tree that the run started with, or that its proposals made.
        artifacts: What the run has grown.
        double_share: Share of questions about two sessions.
        seed: Fixes the order of disciplines and combinations.
        quotas: Most rows by node, beside those of the tree.

    Attributes:
        branches: The disciplines, in an order that spreads them over the fields.
    """

    def __init__(
        self, tree: Tree, artifacts: Iterable[Row], *, double_share: float, seed: int, quotas: Mapping[str, int]
    ) -> None:
        self.base, self.double_share, self.seed = tree, double_share, seed
        self.branches = [_branch(discipline) for discipline in _spread(tree.disciplines, seed)]
        places = {tuple(map(folded, branch.discipline.place)): branch for branch in self.branches}
        for made in artifacts:
            if isinstance(made, Turn):
                self._turn(made)
            elif isinstance(made, Placed):
                branch = places.get(tuple(map(folded, made.place)))
                if branch is not None:
                    _grow(branch, made)
        self._room: dict[tuple[str, ...], int] | None = None
        self.quotas = {tuple(map(folded, path)): quota for path, quota in tree.quotas.items()}
        for name, quota in quotas.items():
            self.quotas |= {tuple(map(folded, path)): quota for path in _named(tree, name)}

    @cached_property
    def _courses(self) -> dict[str, Course]:
        return {course.key: course for branch in self.branches for course in branch.courses.values()}

    def _turn(self, turn: Turn) -> None:
        self.__dict__.pop("_courses", None)  # subjects may have come since
        for key, asked in turn.asked.items():
            if (course := self._courses.get(key)) is not None:
                course.asked = max(course.asked, asked)

    def combinations(self, course: Course) -> Combinations:
        """All combinations of a course."""
        if course.drawn is None:
            course.drawn = Combinations(course.sessions, self.double_share, f"{self.seed}:{course.key}")
        return course.drawn

    def left(self, course: Course) -> int:
        """Combinations that were not drawn yet."""
        return max(0, self._total(course) - course.asked)

    def _total(self, course: Course) -> int:
        return total((len(session.key_concepts) for session in course.sessions), self.double_share)

    def schedule(
        self,
        blocks: Sequence[tuple[Course, int | None]],
        rows: Iterable[HomeworkRow],
        make: Callable[[Course, Combination], Seed],
    ) -> tuple[dict[str, int], Iterator[Seed]]:
        """What a round asks: disciplines take turns, and so do the subjects of each.

        Args:
            blocks: Courses with syllabi, and how many combinations to draw of each; None for all that are left.
            rows: The rows so far, which count against the quotas.
            make: Makes the seed of a combination.

        Returns:
            Where each course has got to after the round, by its key, and the seeds in order.
        """
        courses = [course for course, _ in blocks]
        left = [(course, block, self.left(course)) for course, block in blocks]
        counts = {course.key: most if block is None else min(block, most) for course, block, most in left}
        if self.quotas:
            allowed, wanted = dict(self._allowed(rows)), counts
            counts = dict.fromkeys(wanted, 0)
            for course in _by_turns(courses, lambda course: repeat(course, wanted[course.key])):
                limits = [limit for limit in _limits(course) if limit in allowed]
                if all(allowed[limit] > 0 for limit in limits):
                    counts[course.key] += 1
                    for limit in limits:
                        allowed[limit] -= 1
        ends = {course.key: course.asked + counts[course.key] for course in courses if counts[course.key]}
        return ends, _by_turns(courses, lambda course: self._seeds(course, counts[course.key], make))

    def _seeds(self, course: Course, count: int, make: Callable[[Course, Combination], Seed]) -> Iterator[Seed]:
        """The next seeds of a course, some made at a time: going to and fro between courses takes twice as long."""
        for start in range(course.asked, course.asked + count, AT_A_TIME):
            drawn = self.combinations(course)
            stop = min(start + AT_A_TIME, course.asked + count)
            yield from [make(course, drawn[number]) for number in range(start, stop)]

    def full(self, rows: Sequence[HomeworkRow]) -> set[str]:
        """Keys of the courses, and paths of the disciplines as texts, whose quota is reached."""
        if not self.quotas:
            return set()
        reached = {path for path, left in self._allowed(rows).items() if left <= 0}
        found = {course.key for course in self._courses.values() if reached.intersection(_limits(course))}
        for branch in self.branches:
            path = tuple(map(folded, branch.discipline.path))
            if any(path[:depth] in reached for depth in range(1, len(path) + 1)):
                found.add(branch.key)
        return found

    def _allowed(self, rows: Iterable[HomeworkRow]) -> dict[tuple[str, ...], int]:
        """Rows that each node with a quota may still get."""
        if self._room is not None:  # the rows do not change while a round is planned
            return self._room
        self._room = allowed = dict(self.quotas)
        for row in rows:
            names = tuple(folded(name) for name in (*row.place, row.subject) if name)
            for depth in range(1, len(names) + 1):
                if names[:depth] in allowed:
                    allowed[names[:depth]] -= 1
        return allowed

    def counts(self) -> str:
        """How many disciplines, subjects and syllabi there are, in words."""
        syllabi = sum(bool(course.sessions) for course in self._courses.values())
        return f"{len(self.branches):,} disciplines, {len(self._courses):,} subjects, {syllabi:,} syllabi"

    def spent(self) -> str:
        """How many combinations were asked of how many, in words."""
        courses = [course for course in self._courses.values() if course.sessions]
        asked, total = sum(c.asked for c in courses), sum(map(self._total, courses))
        return f"{asked:,} of the {total:,} combinations of {len(courses):,} syllabi were asked"

    def tree(self) -> Tree:
        """The curriculum as a tree that can be saved, edited and started from."""
        grown = {folded(branch.discipline.node.name): branch for branch in self.branches}
        disciplines = []
        for discipline in self.base.disciplines:
            branch = grown[folded(discipline.node.name)]
            subjects = tuple(_stored(course) for course in branch.courses.values())
            changes = {"subjects": subjects, "queries": branch.queries or None}
            node = discipline.node.model_copy(update=changes)
            disciplines.append(Discipline(discipline.field, discipline.sub_field, node))
        return Tree(tuple(disciplines), self.base.quotas)


def turns(ends: Mapping[str, int], round: int) -> Iterator[dict[str, Any]]:
    """The seeds that record where the courses have got to, some courses each."""
    keys = sorted(ends)
    for start in range(0, len(keys), PAGE):
        yield {"step": "turn", "asked": {key: ends[key] for key in keys[start : start + PAGE]}, "round": round}


def _named(tree: Tree, name: str) -> list[tuple[str, ...]]:
    """The nodes that a quota names; a subject that has not grown yet is named by its path.

    Raises:
        ConfigError: There is no such node.
    """
    if found := tree.find(name):
        return found
    *parents, last = name.split(SEPARATOR)
    above = tree.find(SEPARATOR.join(parents)) if parents else []
    if not above:
        known = [path[-1] for path in tree.nodes()]
        raise ConfigError(
            f"`quotas` names no node {name!r} of the taxonomy. {did_you_mean(name, known)} A subject is named with its "
            f"discipline: 'Botany{SEPARATOR}Plant anatomy'."
        )
    return [(*path, last) for path in above]


def _spread(disciplines: Sequence[Discipline], seed: int) -> list[Discipline]:
    """Disciplines in an order that takes one of each field in turn, drawn at random within a field."""
    fields: dict[str, list[Discipline]] = {}
    for discipline in disciplines:
        fields.setdefault(discipline.field, []).append(discipline)
    for name, members in fields.items():
        random.Random(f"{seed}:order:{name}").shuffle(members)
    names = list(fields)
    random.Random(f"{seed}:order").shuffle(names)
    longest = max(map(len, fields.values()), default=0)
    return [fields[name][lap] for lap in range(longest) for name in names if lap < len(fields[name])]


def _branch(discipline: Discipline) -> Branch:
    node = discipline.node
    complete = node.subjects and node.queries is None
    branch = Branch(discipline, None if complete else node.queries or 0)
    for subject in node.subjects:
        course, stored = branch.add(subject), subject.syllabus
        sessions = stored.sessions if stored is not None else ()  # merged when the tree was read
        if stored is not None and sessions:
            course.syllabus = Syllabus(
                field=discipline.field,
                sub_field=discipline.sub_field,
                discipline=node.name,
                subject=subject.name,
                level=str(subject.level),
                text=stored.whole(),
                sessions=sessions,
            )
            course.asked = stored.asked
    return branch


def _grow(branch: Branch, made: Placed) -> None:
    if isinstance(made, SubjectList):
        branch.queries = max(branch.queries or 0, made.query + 1)
        for subject in made.subjects:
            branch.add(subject_of(subject))
    elif isinstance(made, Syllabus):
        course = branch.add(SubjectNode(name=made.subject, level=made.level))
        if course.syllabus is None or not course.syllabus.sessions:
            course.syllabus = made


def _limits(course: Course) -> Iterator[tuple[str, ...]]:
    path = tuple(map(folded, course.path))
    return (path[:depth] for depth in range(1, len(path) + 1))


def _by_turns(courses: Sequence[Course], of: Callable[[Course], Iterator[T]]) -> Iterator[T]:
    """What `of` gives for courses: one thing of each discipline in turn, its subjects in turn too."""
    branches: dict[int, list[Course]] = {}
    for course in courses:
        branches.setdefault(id(course.branch), []).append(course)
    return _in_turn([_in_turn([of(course) for course in members]) for members in branches.values()])


def _in_turn(lines: Sequence[Iterator[T]]) -> Iterator[T]:
    """One thing of each line in turn, until all have come to their end."""
    while lines:
        alive = []
        for line in lines:
            for item in line:
                alive.append(line)
                yield item
                break
        lines = alive


def _stored(course: Course) -> SubjectNode:
    syllabus = None
    if course.syllabus is not None and course.syllabus.sessions:
        syllabus = StoredSyllabus(text=course.syllabus.text, sessions=course.syllabus.sessions, asked=course.asked)
    return course.node.model_copy(update={"syllabus": syllabus})
