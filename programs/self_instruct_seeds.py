"""Seed tasks of Self-Instruct: our 175, the published file's form, and rows of other methods."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from synthwright.errors import ConfigError
from synthwright.pool import Seed
from synthwright.programs.base import data_path, read_jsonl
from synthwright.signatures.self_instruct import TaskInstance, TaskRow

__all__ = ["SeedTask", "seed_rows", "seed_tasks"]


@dataclass(frozen=True)
class SeedTask:
    """A task that a person wrote.

    Attributes:
        instruction: The task.
        instances: Its worked examples; may be empty, as proposing instructions does not show them.
        is_classification: Whether it is a classification; None if the seed does not say.
        id: Id of the seed, or of the row of another run that it is; empty if it has none.
    """

    instruction: str
    instances: tuple[TaskInstance, ...] = ()
    is_classification: bool | None = None
    id: str = ""


def seed_tasks(seeds: Iterable[Seed] | None = None) -> list[SeedTask]:
    """Seed tasks from a user's seeds, or our own 175.

    A seed has an `instruction`; `id`, `is_classification` and its examples may be there: `instances`, a list of
    `{"input", "output"}` as in the published file, or `input` with `output` or `response` as in rows of other methods.
    Other fields are ignored. Of seeds with one instruction the first counts, with the examples of all.

    Args:
        seeds: Dictionaries; None for `programs/data/self_instruct/seed_tasks.jsonl`.

    Raises:
        ConfigError: A seed has no instruction, or examples that cannot be read.
    """
    tasks: dict[str, SeedTask] = {}
    source = read_jsonl(data_path("self_instruct/seed_tasks.jsonl")) if seeds is None else seeds
    for index, seed in enumerate(source):
        task = _read(seed, index)
        known = tasks.get(task.instruction)
        tasks[task.instruction] = replace(known, instances=known.instances + task.instances) if known else task
    return list(tasks.values())


def seed_rows(seeds: Iterable[Seed] | None = None) -> list[TaskRow]:
    """The instances of seed tasks as rows: the paper trains on them beside what was made.

    Args:
        seeds: As in `seed_tasks`.
    """
    return [
        TaskRow(
            instruction=task.instruction,
            input=instance.input,
            output=instance.output,
            is_classification=bool(task.is_classification),
            parent_ids=(task.id,) if task.id else (),
        )
        for task in seed_tasks(seeds)
        for instance in task.instances
    ]


def _read(seed: Seed, index: int) -> SeedTask:
    instruction = seed.get("instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of SelfInstruct has an `instruction`, and may have `instances` "
            'such as [{"input": "", "output": "..."}] and `is_classification`.'
        )
    verdict, name = seed.get("is_classification"), seed.get("id")
    if verdict is not None and not isinstance(verdict, bool):
        raise ConfigError(f"Seed {index}: `is_classification` must be true or false, got {verdict!r}.")
    return SeedTask(
        instruction=" ".join(instruction.split()),
        instances=tuple(_instance(given, index) for given in _examples(seed)),
        is_classification=verdict,
        id=name if isinstance(name, str) else "",
    )


def _examples(seed: Seed) -> list[Any]:
    given = seed.get("instances")
    if given is not None:
        return given if isinstance(given, list) else [given]
    output = seed.get("output", seed.get("response"))
    return [] if not output else [{"input": seed.get("input") or "", "output": output}]


def _instance(given: Any, index: int) -> TaskInstance:
    input, output = (given.get("input", ""), given.get("output")) if isinstance(given, dict) else ("", None)
    if not isinstance(input, str) or not isinstance(output, str):
        raise ConfigError(
            f'Seed {index}: an instance must be {{"input": "...", "output": "..."}} with texts, got {given!r}.'
        )
    return TaskInstance(input=input, output=output)
