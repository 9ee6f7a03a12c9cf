"""From a task and the attempts at it to a measured task, and to a row of Absolute Zero."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from synthwright.programs.absolute_zero_rewards import learnability
from synthwright.programs.absolute_zero_solving import measure
from synthwright.sandbox import normalise_program
from synthwright.signatures.absolute_zero import Attempt, SelfPlayRow, Task

__all__ = ["measured_task", "self_play_row"]


def measured_task(task: Task, attempts: Sequence[Attempt], target: Literal["hardest", "half"]) -> Task:
    """The task with its attempts, solve rate and learnability.

    Args:
        task: A valid task.
        attempts: Independent samples of the solver.
        target: Solve rate at which a task is worth most.
    """
    rate = measure(task, attempts)
    return task.model_copy(
        update={
            "attempts": tuple(attempts),
            "solve_rate": rate.rate,
            "n_samples": rate.n,
            "distinct_answers": rate.distinct,
            "identical_samples": rate.identical,
            "learnability": None if rate.rate is None else learnability(rate.rate, target),
        }
    )


def self_play_row(task: Task, attempts: Sequence[Attempt], step: int, task_id: str = "") -> SelfPlayRow:
    """The row of a measured task, with its first right and its first wrong attempt.

    Args:
        task: The task.
        attempts: The attempts to choose from.
        step: Number of the step of the loop.
        task_id: Id of the task before it was measured; empty for that of the task given.
    """
    right = next((each.text for each in attempts if each.state == "right"), "")
    wrong = next((each.text for each in attempts if each.state in ("wrong", "unreadable") and each.answer), "")
    shared = ("task_type", "program", "input", "output", "given_pairs", "hidden_pairs", "message", "imports")
    measured = ("n_samples", "distinct_answers", "identical_samples", "cognitive", "halstead", "ast_distance", "origin")
    root = hashlib.sha256(normalise_program(task.program).encode("utf-8", "surrogatepass")).hexdigest()[:20]
    return SelfPlayRow(
        **{name: getattr(task, name) for name in (*shared, *measured)},
        response=right,
        rejected_response=wrong,
        solve_rate=task.solve_rate or 0.0,
        learnability=task.learnability or 0.0,
        task_id=task_id or task.id,
        root_id=root,
        step=step,
        parent_ids=task.parent_ids,
    )
