"""The tasks of Condor with their examples, and lists of trending topics: what is read from files."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.base import data_path
from synthwright.programs.blocks.yaml_files import Part
from synthwright.programs.condor_tree import path_of

__all__ = ["TASKS", "Task", "Topic", "load_tasks", "load_topics"]

TASKS = ("role_play", "daily_chat", "domain_qa", "given_material", "format_control", "view", "creation")
"""The seven tasks of the paper (appendix, p. 20)."""

LONGEST_TOPIC = 100
"""Characters of a topic; feeds hold whole headlines, and what comes from the web is kept short in prompts."""


class Task(Part):
    """A kind of request.

    Attributes:
        name: Its name, such as `creation`.
        description: What it is, as prompts say it.
        examples: Questions of this kind that show its manner, three to five.
    """

    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    description: str = Field(min_length=1)
    examples: tuple[str, ...] = Field(min_length=1)


class Topic(Part):
    """A trending topic.

    Attributes:
        topic: Its name.
        path: Where it belongs in the tree; empty to ask the LM.
        source: Where it was seen, for people.
        date: When, for people.
    """

    topic: str = Field(min_length=1, max_length=LONGEST_TOPIC)
    path: tuple[str, ...] = ()
    source: str = ""
    date: str = ""


def load_tasks(tasks: Sequence[str | Task] | str | Path) -> tuple[Task, ...]:
    """Tasks by name, as objects, or all of a YAML file.

    Raises:
        ConfigError: No such task, two of one name, none at all, or the file is wrong.
    """
    if isinstance(tasks, Path) or (isinstance(tasks, str) and tasks.endswith((".yaml", ".yml"))):
        return _read(Path(tasks))
    known = {task.name: task for task in _shipped()}
    found = []
    for task in [tasks] if isinstance(tasks, str) else tasks:
        if isinstance(task, str) and task not in known:
            raise ConfigError(f"Condor has no task {task!r}. {did_you_mean(task, known)} Or give a YAML file's path.")
        found.append(known[task] if isinstance(task, str) else task)
    return _distinct(found, "`tasks`")


def load_topics(path: str | Path) -> tuple[Topic, ...]:
    """The topics of a file, first come first: a YAML list of names or of `{topic, path, source, date}`, or text lines.

    White space is squeezed, control characters are taken off, and a topic that comes twice counts once.

    Raises:
        ConfigError: The file cannot be read, or an entry is wrong; the message names it.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
        structured = file.suffix in (".yaml", ".yml", ".json")
        entries = yaml.load(text, yaml.BaseLoader) if structured else text.splitlines()  # all values are text
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"Cannot read the topics {str(path)!r}: {error}.") from error
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: topics are a list of names or of objects with a `topic`, got {entries!r}.")
    found: dict[str, Topic] = {}
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, str) and not entry.strip():
            continue
        data: dict[str, Any] = dict(entry) if isinstance(entry, dict) else {"topic": entry}
        if isinstance(data.get("topic"), str):
            data["topic"] = " ".join("".join(c if c.isprintable() else " " for c in data["topic"]).split())
        if data.get("path"):
            data["path"] = path_of(data["path"], f"{path}, topic {number}")
        try:
            topic = Topic.model_validate(data)
        except ValidationError as error:
            what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"{path}, topic {number} ({entry!r}): {what}.") from None
        found.setdefault(topic.topic.casefold(), topic)
    return tuple(found.values())


@cache
def _shipped() -> tuple[Task, ...]:
    return _read(data_path("condor/tasks.yaml"))


def _read(path: Path) -> tuple[Task, ...]:
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise ConfigError(f"{path}: tasks are a list of objects with name, description and examples.")
        return _distinct([Task.model_validate(entry) for entry in entries], str(path))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"Cannot read the tasks {str(path)!r}: {error}") from error


def _distinct(tasks: Sequence[Task], place: str) -> tuple[Task, ...]:
    names = [task.name for task in tasks]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"{place}: one task or more is needed, each once, got {names!r}.")
    return tuple(tasks)
