"""What GLAN asks next: a taxonomy and the votes on it, then each discipline's next step."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from synthwright.pool import Pool, Seed
from synthwright.programs.glan_combinations import Combination
from synthwright.programs.glan_curriculum import Branch, Course, Curriculum, turns
from synthwright.programs.glan_tree import Tree, merged, tree_of_places
from synthwright.programs.glan_votes import folded_path, removed
from synthwright.signatures.glan import HomeworkRow, Proposal, Review, Turn
from synthwright.signatures.rows import Row

if TYPE_CHECKING:
    from synthwright.programs.glan import GLAN

__all__ = ["Grow", "Until", "curriculum", "planned", "taxonomy"]

Grow = Literal["needed", "all"]
"""Whether the tree grows as rows are wanted, or whole before the first question is asked."""

Until = Literal["taxonomy", "subjects", "syllabi", "questions"]
"""Where a run ends: the first three leave a tree that can be edited, saved and started from."""

ATTEMPTS = 3
"""Rounds in which a taxonomy is asked for while no reply can be read. Ours."""

Blocks = list[tuple[Course, int | None]]
"""Courses to ask about, and how many combinations of each; None for all."""


def planned(program: "GLAN", pool: Pool[HomeworkRow]) -> Iterator[Seed]:
    """The seeds of the next round of a run; returns why there are none.

    Raises:
        ConfigError: A seed is no discipline, or a quota names no node.
    """
    artifacts = pool.artifacts(Row)
    tree, asked = taxonomy(program, pool, artifacts)
    if tree is None:
        yield from asked
        return None if asked else "no reply to the requests for a taxonomy could be read"
    if asked:
        yield from asked
        return None
    if not tree.disciplines:
        return "the votes removed every discipline"
    if program.until == "taxonomy":
        return f"the taxonomy has {len(tree):,} disciplines"
    grown = curriculum(program, tree, artifacts)
    full = grown.full(pool)
    branches = [branch for branch in grown.branches if branch.key not in full]
    if program.grow == "all" or pool.target is None or program.until != "questions":
        growth, ready = _whole(program, branches, full)
    else:
        growth, ready = _needed(program, branches, full, grown, pool)
    yield from growth
    if program.until != "questions":
        return None if growth else f"the tree has grown to its {program.until}: {grown.counts()}"
    one_pass_done = pool.target is None and any(isinstance(made, Turn) for made in artifacts)
    ends, questions = grown.schedule([] if one_pass_done else ready, pool, _question)
    yield from turns(ends, pool.round)
    yield from questions
    return None if growth or ends else grown.spent()


def taxonomy(program: "GLAN", pool: Pool[Any], artifacts: Sequence[Row]) -> tuple[Tree | None, list[Seed]]:
    """The tree to grow, None while there is none; and what is to be asked before it can grow."""
    if pool.seeds is not None:
        tree = tree_of_places(pool.seeds)
    elif isinstance(program.taxonomy, Tree):
        tree = program.taxonomy
    else:
        proposals = [made for made in artifacts if isinstance(made, Proposal)]
        if not proposals:
            asked = range(program.wordings if pool.round < ATTEMPTS else 0)
            return None, [{"step": "propose", "wording": number, "round": pool.round} for number in asked]
        tree = merged(made.fields for made in sorted(proposals, key=lambda made: made.wording))
    if program.votes is not None:
        return tree.without(removed(tree, program.votes)), []
    if not program.votes_by_panel():
        return tree, []
    return _reviewed(tree, [made for made in artifacts if isinstance(made, Review)])


def _reviewed(tree: Tree, reviews: Sequence[Review]) -> tuple[Tree, list[Seed]]:
    """The tree without what the panel removed, and the nodes that it has to vote on next."""
    known = {folded_path(review.path) for review in reviews}
    tree = tree.without(removed(tree, reviews))
    nodes = list(tree.nodes())
    # from the top down: what belongs to a removed node needs no vote
    open_ = [path for path in nodes if folded_path(path) not in known and folded_path(path[:-1]) in {*known, ()}]
    children: dict[tuple[str, ...], list[str]] = {}
    for path in nodes:
        children.setdefault(path[:-1], []).append(path[-1])
    return tree, [
        {"step": "review", "path": list(path), "beside": [n for n in children[path[:-1]] if n != path[-1]]}
        for path in open_
    ]


def curriculum(program: "GLAN", tree: Tree, artifacts: Iterable[Row]) -> Curriculum:
    """What a run of the generator has grown from a tree."""
    return Curriculum(tree, artifacts, double_share=program.double_share, seed=program.seed, quotas=program.quotas)


def _whole(program: "GLAN", branches: Sequence[Branch], full: set[str]) -> tuple[Sequence[Seed], Blocks]:
    """Level by level: all subjects, then all syllabi, then all courses that can be asked about."""
    queries = [
        _query(branch, number)
        for branch in branches
        if branch.queries is not None
        for number in range(branch.queries, program.subject_queries)
    ]
    if queries or program.until == "subjects":
        return queries, []
    courses = [course for branch in branches for course in branch.courses.values() if course.key not in full]
    syllabi = [_syllabus(course) for course in courses if course.syllabus is None]
    if syllabi or program.until == "syllabi":
        return syllabi, []
    return [], [(course, program.questions_per_subject) for course in courses if course.sessions]


def _needed(
    program: "GLAN", branches: Sequence[Branch], full: set[str], grown: Curriculum, pool: Pool[HomeworkRow]
) -> tuple[Sequence[Seed], Blocks]:
    """The next step of as many disciplines as rows are wanted, wide before deep.

    A discipline asks about syllabi that were not asked about, else has its next subjects get syllabi, else makes
    its next query for subjects, else goes on with the combinations that are left.
    """
    growth: list[Seed] = []
    ready: Blocks = []
    wide = min(len(branches), pool.target or len(branches)) or 1
    share = -(-(pool.missing or 0) // wide)
    block = program.questions_per_subject
    count = -(-share // (block or share or 1)) or 1  # syllabi that a discipline gets at a time
    working = 0
    for branch in branches:
        if working == wide:
            break
        courses = [course for course in branch.courses.values() if course.key not in full]
        left = [course for course in courses if grown.left(course)]
        fresh = [course for course in left if not course.asked]
        bare = [course for course in courses if course.syllabus is None]
        working += 1
        more = branch.queries is not None and branch.queries < program.subject_queries
        if fresh or (left and not bare and not more):
            chosen = fresh or left
            # as many questions from each discipline, however many subjects it has
            each = None if block is None else -(-count * block // len(chosen))
            ready += [(course, each) for course in chosen]
        elif bare:
            growth += [_syllabus(course) for course in bare[:count]]
        elif more:
            growth.append(_query(branch, branch.queries or 0))
        else:
            working -= 1  # nothing more can come of it: another takes its turn
    return growth, ready


def _query(branch: Branch, number: int) -> dict[str, Any]:
    return {"step": "subjects", **branch.place, "query": number}


def _syllabus(course: Course) -> dict[str, Any]:
    node = course.node
    about = {"subject": node.name, "level": str(node.level), "subtopics": list(node.subtopics)}
    return {"step": "syllabus", **course.branch.place, **about}


def _question(course: Course, drawn: Combination) -> dict[str, Any]:
    names = course.names
    return {
        **course.about,
        "sessions": [names[number] for number in drawn.sessions],
        "key_concepts": drawn.concepts,
        "strategy": drawn.strategy,
    }
