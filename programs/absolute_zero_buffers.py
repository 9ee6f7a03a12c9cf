"""Absolute Zero's buffers and batches, as functions of what a run has made: nothing is remembered between rounds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from synthwright.sandbox import normalise_program
from synthwright.signatures.absolute_zero import Measured, Pair, Task, TaskType, reference_text

__all__ = ["ZERO", "Buffers", "draw_references", "reference_of", "unique"]

ZERO = {"program": "def f(x):\n    return x", "input": "'hello, world'", "output": "'hello, world'"}
"""The zero triplet (Figure 5): what proposers are shown while there is nothing else."""

_REDRAWS = 20


def unique(tasks: Sequence[Task]) -> list[Task]:
    """The first of all tasks with one program up to comments and formatting; of induction, with one program and calls.

    The paper does this for seeds alone, and of 256 released seeds of one model 107 programs are left.
    """
    found: dict[tuple[Any, ...], Task] = {}
    for task in tasks:
        calls = tuple(pair.input for pair in (*task.given_pairs, *task.hidden_pairs))
        found.setdefault((task.task_type, normalise_program(task.program), calls), task)
    return list(found.values())


@dataclass(frozen=True)
class Buffers:
    """The buffers of a run, one for each type of task, oldest first.

    Attributes:
        tasks: All valid tasks made so far, in order, whether they earned a reward or not.
        measured: The tasks that the solve phase has had.
        capacity: Tasks that a buffer holds. The oldest go first; the released code keeps them and drops the new ones.
        deduplicate: Count programs that are the same once. Seeds always are.
    """

    tasks: Sequence[Task]
    measured: Sequence[Measured]
    capacity: int
    deduplicate: bool
    _made: dict[TaskType, list[Task]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, task_type: TaskType) -> Sequence[Task]:
        """The buffer of one type, made once: each proposal of a round draws from it."""
        if task_type not in self._made:
            self._made[task_type] = self._buffer(task_type)
        return self._made[task_type]

    def _buffer(self, task_type: TaskType) -> list[Task]:
        mine = [task for task in self.tasks if task.task_type == task_type]
        if self.deduplicate:
            mine = unique(mine)
        else:
            kept = {task.id for task in self.seeds(task_type)}
            mine = [task for task in mine if task.origin != "seed" or task.id in kept]
        return mine[-self.capacity :]

    def seeds(self, task_type: TaskType) -> list[Task]:
        """The seed tasks of one type, without copies, evicted ones included."""
        return unique([task for task in self.tasks if task.task_type == task_type and task.origin == "seed"])

    def programs(self) -> list[Task]:
        """What induction proposers draw from: both buffers of triplets."""
        return [*self.of("deduction"), *self.of("abduction")]

    def batch(
        self, task_type: TaskType, size: int, number: int, rng: random.Random, *, fresh: bool, in_order: bool
    ) -> list[Task]:
        """The tasks of a solve phase: those of the round before first, then some of the rest.

        Args:
            task_type: Of the tasks.
            size: Most tasks.
            number: The round that is planned.
            rng: Source of the draw.
            fresh: Only tasks that nobody has tried.
            in_order: Fill with the oldest of the rest, instead of a uniform draw.
        """
        buffer = self.of(task_type)
        if fresh:
            done = {each.task_id for each in self.measured}
            buffer = [task for task in buffer if not task.n_samples and task.id not in done]
        new = [task for task in buffer if task.origin == "proposed" and task.round == number - 1][:size]
        taken = {task.id for task in new}
        rest = [task for task in buffer if task.id not in taken]
        room = min(size - len(new), len(rest))
        return new + (rest[:room] if in_order else rng.sample(rest, room))


def reference_of(task: Task) -> dict[str, str]:
    """A task as a proposer is shown it."""
    return {"id": task.id, "program": task.program, "input": task.input, "output": task.output}


def draw_references(
    buffer: Sequence[Task], count: int, rng: random.Random, max_tokens: int | None
) -> list[dict[str, str]]:
    """Up to `count` tasks of a buffer, uniformly; the zero triplet if it is empty and references are wanted.

    Drawn again if they are too long together, as the released code does; after that the longest are left out.

    Args:
        buffer: Tasks to draw from.
        count: References wanted, 0 or more; a smaller buffer gives all that it has.
        rng: Source of the draw.
        max_tokens: Most tokens, a quarter of the characters; None for any.
    """
    if not count:
        return []
    if not buffer:
        return [dict(ZERO)]
    drawn: list[dict[str, str]] = []
    for _ in range(_REDRAWS):
        drawn = [reference_of(task) for task in rng.sample(buffer, min(count, len(buffer)))]
        if max_tokens is None or _tokens(drawn) <= max_tokens:
            return drawn
    while drawn and _tokens(drawn) > (max_tokens or 0):
        drawn.remove(max(drawn, key=lambda each: len(each["program"])))
    return drawn or [dict(ZERO)]


def _tokens(references: Sequence[dict[str, str]]) -> int:
    texts = (reference_text(r["program"], Pair(input=r["input"], output=r["output"])) for r in references)
    return sum(-(-len(text) // 4) for text in texts)
