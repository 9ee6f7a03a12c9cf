"""What Synthetic Data RL asks next: keywords and passages, then cycles of samples and of selected candidates."""

import random
from collections import Counter
from collections.abc import Generator as Iteration
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthwright.pool import Pool, Seed
from synthwright.programs.synthetic_data_rl_ground import SHOWN
from synthwright.programs.synthetic_data_rl_seeds import given_seed
from synthwright.programs.synthetic_data_rl_selection import least_used, select
from synthwright.signatures.synthetic_data_rl import Candidate, Ground, Offered, Sampled, SyntheticRow

if TYPE_CHECKING:
    from synthwright.programs.synthetic_data_rl import SyntheticDataRL

__all__ = ["planned"]

ONE_PASS = 8
"""Samples of a run without a target."""


def planned(program: "SyntheticDataRL", pool: Pool[SyntheticRow]) -> Iteration[Seed, None, str | None]:
    """The seeds of the next round of a run; returns why there are none.

    Raises:
        ConfigError: A seed of the user is neither passage nor question.
    """
    if pool.missing == 0:
        return None
    given = None if pool.seeds is None else [given_seed(seed, i) for i, seed in enumerate(pool.seeds)]
    searches = given is None and program.grounding != "none"
    grounds = pool.artifacts(Ground)
    if not grounds and (searches or program.task.examples):
        if pool.round:
            return "nothing is known about the task: the first round failed"
        for subject in program.task.subjects or ("",):
            yield {"step": "ground", "subject": subject, "retrieve": searches}
        return None
    offered = {note.candidate for note in pool.artifacts(Offered)}
    waiting = [row for row in pool.artifacts(Candidate) if row.id not in offered]
    if chosen := select(waiting, program.selection, f"{program.seed}:{pool.round}"):
        yield from _offers(program, pool, chosen)
        return None
    notes = pool.artifacts(Sampled)
    cycle = max((note.cycle for note in notes), default=-1) + 1
    if cycle >= (program.cycles if pool.target is not None else 1):
        return f"{cycle} cycles gave {len(pool)} rows; more cycles or samples, or a looser selection, may give more"
    return (yield from _asks(program, pool, grounds, given, cycle, len(notes)))


def _offers(program: "SyntheticDataRL", pool: Pool[SyntheticRow], chosen: Sequence[SyntheticRow]) -> Iterable[Seed]:
    used = Counter(row.answer for row in pool)
    for row in chosen:
        seed: dict[str, Any] = {"step": "select", "candidate": row.record()}
        if program.shuffle_options and row.options:
            seed["place"] = least_used(used, len(row.options), f"{program.seed}:{row.id}")
        yield seed


def _asks(
    program: "SyntheticDataRL",
    pool: Pool[SyntheticRow],
    grounds: Sequence[Ground],
    given: Sequence[Mapping[str, Any]] | None,
    cycle: int,
    first: int,
) -> Iteration[Seed, None, str | None]:
    """The samples of a cycle: passage i feeds sample i, subjects and the user's seeds take turns."""
    task = program.task
    count = program.samples or (len(given) if given else pool.missing) or ONE_PASS
    by_subject = {ground.subject: ground for ground in grounds}
    subjects = task.subjects or ("",)
    asked = 0
    for draw in range(first, first + count):
        subject = subjects[draw % len(subjects)]
        ground = by_subject.get(subject, Ground(subject=subject))
        ask: dict[str, Any] = {"step": "sample", "draw": draw, "cycle": cycle}
        if given is not None:
            if not given:
                return "there are no seeds"
            ask |= given[draw % len(given)]
        else:
            turn = draw // len(subjects)
            if ground.passages and (turn < len(ground.passages) or program.reuse_passages):
                source = ground.passages[turn % len(ground.passages)]
                ask |= source.model_dump(exclude={"id", "parent_ids", "provenance"})
            elif ground.passages or program.grounding == "required":
                continue
        ask |= {"subject": subject} if subject else {}
        rng = random.Random(f"{program.seed}:{draw}")
        if task.examples and rng.random() < program.examples_share:
            examples = range(len(task.examples))
            shown = sorted(rng.sample(examples, min(SHOWN, len(examples))))
            ask |= {"shown": shown, "pattern": ground.pattern}
        asked += 1
        yield ask
    return None if asked else "there are no passages left, or none was found for the keywords of the task"
