"""Reading the task files of TarGEN, with errors that name file, line and key."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.base import data_path
from synthwright.programs.targen_tasks import Constraint, Illustration, Label, Part, Place, Task

__all__ = ["list_tasks", "load_task"]


def list_tasks() -> list[str]:
    """Names of the tasks that are shipped."""
    return sorted(path.stem for path in data_path("targen").glob("*.yaml"))


def load_task(task: str | Path | Task) -> Task:
    """A shipped task by its name, or the task of a YAML file.

    Raises:
        ConfigError: No such task, the file cannot be read, or it is wrong; the message names file, line and field.
    """
    if isinstance(task, Task):
        return task
    if isinstance(task, str) and task in list_tasks():
        return _read(data_path(f"targen/{task}.yaml"))
    path = Path(task)
    if not path.is_file() and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"No task {str(task)!r}. {did_you_mean(str(task), list_tasks())} Or give a YAML file's path.")
    return _read(path)


def _read(path: Path) -> Task:
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeated_keys(root, path)
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the task file {str(path)!r}: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not YAML: {error.problem or error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a task file is a mapping that starts like `name: my_task`, got {data!r}.")
    try:
        return Task.model_validate(data)
    except ValidationError as error:
        lines = []
        for found in error.errors():
            place: Place = (*found["loc"], *found.get("ctx", {}).get("place", ()))
            lines.append(f"{path}, line {_line(root, place)}: {_message(found, place)}")
        raise ConfigError("\n".join(lines)) from None


def _message(found: Any, place: Place) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    parts: dict[Any, type[Part]] = {"labels": Label, "constraints": Constraint, "illustrations": Illustration}
    if found["type"] == "extra_forbidden":
        owner = parts.get(next((p for p in reversed(place[:-1]) if isinstance(p, str)), None), Task)
        return f"unknown key {str(place[-1])!r}. {did_you_mean(str(place[-1]), owner.model_fields)}"
    if found["type"] == "missing":
        return f"{where}: this key is missing."
    if found["type"] == "string_type" and isinstance(found["input"], bool | int | float):
        return f"{where}: YAML reads this as {found['input']!r}, not as text: put it in quotes."
    if found["type"] == "too_short" and place == ("labels",):
        return (
            f"labels: a task needs two labels or more, got {len(found['input'])}; with one there is nothing to learn."
        )
    text = found["msg"] if found["type"] == "task" else f"{found['msg'][0].lower()}{found['msg'][1:]}."
    return f"{where}: {text}"


def _line(node: Any, place: Place) -> int:
    """Line of the deepest part of a place that the file has, from 1."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if entry is None:
                return line
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _refuse_repeated_keys(root: yaml.Node | None, path: Path) -> None:
    """YAML keeps the last of two equal keys without a word."""
    waiting: list[Any] = [root]
    done: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in done:
            continue
        done.add(id(node))  # an alias may point back
        if isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, value in node.value:
                if key.value in names:
                    raise ConfigError(f"{path}, line {key.start_mark.line + 1}: the key {key.value!r} is there twice.")
                if isinstance(key, yaml.ScalarNode):
                    names.add(key.value)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
