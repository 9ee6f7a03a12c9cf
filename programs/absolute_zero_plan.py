"""What Absolute Zero asks next: the seed buffers are filled, then the steps of the loop propose and solve."""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from synthwright.pool import Pool, Seed
from synthwright.programs.absolute_zero_buffers import ZERO, Buffers, draw_references, reference_of
from synthwright.programs.absolute_zero_seeds import admitted_seed
from synthwright.programs.base import data_path, read_jsonl
from synthwright.signatures.absolute_zero import Measured, SelfPlayRow, Task, TaskType

if TYPE_CHECKING:
    from synthwright.programs.absolute_zero import AbsoluteZero

__all__ = ["planned"]


def planned(program: "AbsoluteZero", pool: Pool[SelfPlayRow]) -> Iterator[Seed]:
    """The seeds of the next round of a run; returns why there are none.

    Raises:
        ConfigError: A seed of the user is of no known form.
    """
    buffers = Buffers(pool.artifacts(Task), pool.artifacts(Measured), program.capacity, program.deduplicate)
    number = pool.round
    if program.seeding == "authored" or pool.seeds is not None:
        if number == 0:
            given = read_jsonl(data_path("absolute_zero.jsonl")) if pool.seeds is None else pool.seeds
            yield from (admitted_seed(seed, index) for index, seed in enumerate(given))
            return None
        first = 1
    else:
        if (missing := _missing_seeds(program, buffers)) is not None:
            yield from _seeding(program, buffers, number, *missing)
            return None
        made = [task.round for task in pool.artifacts(Task) if task.origin == "seed"]
        first = max(made) + 1
    if pool.seeds is not None and not buffers.tasks:
        return "none of the seeds is a valid task"
    phases = 2 if program.solve_order == "after" else 1
    step, phase = (number - first) // phases + 1, (number - first) % phases
    last = program.steps or (1 if pool.target is None else None)
    if last is not None and step > last:
        return f"the {last} steps of the loop are done" if program.steps else None
    solve = list(_solving(program, buffers, number, step)) if phases == 1 or phase == 1 else []
    propose = list(_proposing(program, buffers, number, step)) if phase == 0 else []
    # in turn, so that a run that is stopped early has had something of both
    for index in range(max(len(solve), len(propose))):
        yield from solve[index : index + 1]
        yield from propose[index : index + 1]
    return None


def _missing_seeds(program: "AbsoluteZero", buffers: Buffers) -> tuple[TaskType, int] | None:
    """The type of task that the seed buffers lack, and how many; None once they are full."""
    wanted = program.batch_size * program.seed_factor
    for task_type in ("deduction", "induction") if "induction" in program.task_types else ("deduction",):
        if (missing := wanted - len(buffers.seeds(task_type))) > 0:
            return task_type, missing
    return None


def _seeding(
    program: "AbsoluteZero", buffers: Buffers, number: int, task_type: TaskType, missing: int
) -> Iterator[Seed]:
    for index in range(min(missing, program.batch_size)):
        rng = random.Random(f"{program.seed}:{number}:{index}:seed")
        shown = _shown(program, buffers, task_type, rng)
        yield {"stage": "seed", "task_type": task_type, "references": shown, "round": number, "draw": index}


def _proposing(program: "AbsoluteZero", buffers: Buffers, number: int, step: int) -> Iterator[Seed]:
    for index in range(program.batch_size):
        for task_type in program.task_types:
            rng = random.Random(f"{program.seed}:{number}:{index}:{task_type}")
            shown = _shown(program, buffers, task_type, rng)
            asked: dict[str, Any] = {"stage": "propose", "task_type": task_type, "references": shown}
            yield {**asked, "round": number, "step": step, "draw": index}


def _shown(program: "AbsoluteZero", buffers: Buffers, task_type: TaskType, rng: random.Random) -> list[dict[str, str]]:
    """K references for a triplet; one program for induction, the zero program if there is none."""
    if task_type == "induction":
        programs = buffers.programs()
        return [reference_of(rng.choice(programs)) if programs else dict(ZERO)]
    return draw_references(buffers.of(task_type), program.references, rng, program.reference_tokens)


def _solving(program: "AbsoluteZero", buffers: Buffers, number: int, step: int) -> Iterator[Seed]:
    batches = []
    for task_type in program.task_types:
        rng = random.Random(f"{program.seed}:{number}:{task_type}:solve")
        how = {"fresh": not program.rollouts, "in_order": program.fill == "in_order"}
        batches.append(buffers.batch(task_type, program.batch_size, number, rng, **how))
    for index in range(program.batch_size):
        for batch in batches:
            for task in batch[index : index + 1]:
                record = task.model_dump(mode="json", exclude={"id", "provenance"})
                yield {"stage": "solve", "task_type": task.task_type, "task": record, "round": number, "step": step}
