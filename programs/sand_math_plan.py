"""What SAND-Math asks next: rounds of writing, and rounds in which their drafts go through the rest of the funnel."""

import random
from collections.abc import Generator as Iteration
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from synthwright.pool import Pool, Seed
from synthwright.programs.sand_math_seeds import given_seed
from synthwright.signatures.sand_math import Asked, Draft, Examined, SandMathRow

if TYPE_CHECKING:
    from synthwright.programs.sand_math import SandMath

__all__ = ["examinations", "planned"]

ONE_PASS = 8
"""Problems of a run without a target."""


def planned(program: "SandMath", pool: Pool[SandMathRow]) -> Iteration[Seed, None, str | None]:
    """The seeds of the next round of a run; returns why there are none.

    Raises:
        ConfigError: A seed of the user has neither problem nor branch.
    """
    if pool.missing == 0:
        return None
    notes = pool.artifacts(Asked)
    if waiting := [note.draft for note in notes if note.draft and note.round == pool.round - 1]:
        yield from examinations(program, pool, waiting)
        return None
    rounds = max(len({note.round for note in notes}), pool.round // 2)
    if rounds >= (program.cycles if pool.target is not None else 1):
        if pool.target is None:
            return None
        return f"{rounds} rounds of writing gave {len(pool)} rows; more `cycles` or an easier `level` may give more"
    given = None if pool.seeds is None else [given_seed(seed, i) for i, seed in enumerate(pool.seeds)]
    if given is not None and not given:
        return "there are no seeds"
    if given is not None and len(notes) >= len(given):
        return f"all {len(given)} seeds were asked"
    count = program.per_round or pool.missing or (len(given) if given is not None else ONE_PASS)
    for draw in range(len(notes), len(notes) + count):
        if given is None:
            yield {"step": "write", **_subject(program, draw), "draw": draw, "round": pool.round}
        elif draw < len(given):
            yield {"step": "write", **given[draw], "draw": draw, "round": pool.round}
    return None


def examinations(program: "SandMath", pool: Pool[SandMathRow], waiting: Sequence[str]) -> Iterable[Seed]:
    """Step 3: each draft with the earlier one that it repeats, if it does.

    Args:
        program: The generator.
        pool: The run at the start of the round.
        waiting: Ids of the drafts.
    """
    drafts = {draft.id: draft for draft in pool.artifacts(Draft)}
    index = program.near_duplicates()
    for note in pool.artifacts(Examined):
        if note.unique:
            index.add(drafts[note.draft])
    for name in waiting:
        like = index.check(drafts[name])
        if like is None:
            index.add(drafts[name])
        yield {"step": "examine", "draft": drafts[name].record(), "like": like or ""}


def _subject(program: "SandMath", draw: int) -> dict[str, str]:
    """Branches of a problem: shuffled ones take turns as the main one, another is drawn; and a concept.

    Nothing is mixed in at the level `easy`: two steps of arithmetic have no room for a second branch.
    """
    turn, place = divmod(draw, len(program.branches))
    order = list(program.branches)
    random.Random(f"{program.seed}:{turn}:branches").shuffle(order)
    branch = order[place]
    rng = random.Random(f"{program.seed}:{draw}")
    others = [other for other in program.branches if other != branch] or [branch]
    mixed = rng.choice(others)  # drawn for every level, so that levels differ in nothing else
    concepts = program.concepts[branch].concepts(program.level) if program.topics else []
    return {
        "branch": branch,
        "other_branch": "" if program.level == "easy" else mixed,
        "concept": rng.choice(concepts) if concepts else "",
    }
