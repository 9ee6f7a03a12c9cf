"""The task files of TarGEN: shipped ones by name, and those that users write."""

from pathlib import Path

from synthwright.programs.blocks.yaml_files import read_task, shipped_tasks
from synthwright.programs.targen_tasks import Task

__all__ = ["list_tasks", "load_task"]


def list_tasks() -> list[str]:
    """Names of the tasks that are shipped."""
    return shipped_tasks("targen")


def load_task(task: str | Path | Task) -> Task:
    """A shipped task by its name, or the task of a YAML file.

    Raises:
        ConfigError: No such task, the file cannot be read, or it is wrong; the message names file, line and field.
    """
    return task if isinstance(task, Task) else read_task(task, Task, "targen")
