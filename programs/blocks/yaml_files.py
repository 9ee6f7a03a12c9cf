"""Reading YAML files that users write into pydantic models, with errors that name file, line and key."""

import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.base import data_path

__all__ = ["Part", "Place", "misfit", "read_task", "read_yaml", "shipped_tasks"]

ModelT = TypeVar("ModelT", bound=BaseModel)

Place = tuple[str | int, ...]
"""Where something stands in a file: keys and positions from the top."""


class Part(BaseModel):
    """A part of a file that a user writes: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def misfit(message: str, place: Place = ()) -> PydanticCustomError:
    """An error for a validator to raise about what a schema cannot say.

    Args:
        message: What is wrong and what to do, as it will be shown.
        place: Where, from the part that is validated.
    """
    return PydanticCustomError("misfit", "{message}", {"message": message, "place": place})


def shipped_tasks(folder: str) -> list[str]:
    """Names of the task files in a folder of `programs/data`."""
    return sorted(path.stem for path in data_path(folder).glob("*.yaml"))


def read_task(task: str | Path, model: type[ModelT], folder: str) -> ModelT:
    """A shipped task by its name, or the task of a YAML file.

    Args:
        task: Name or path.
        model: What a task of the method is.
        folder: Folder of `programs/data` that holds the shipped ones.

    Raises:
        ConfigError: No such task, the file cannot be read, or it is wrong; the message names file, line and key.
    """
    known = shipped_tasks(folder)
    if str(task) in known:
        return read_yaml(data_path(f"{folder}/{task}.yaml"), model)
    path = Path(task)
    if not path.is_file() and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"No task {str(task)!r}. {did_you_mean(str(task), known)} Or give a YAML file's path.")
    return read_yaml(path, model)


def read_yaml(path: Path, model: type[ModelT], *, kind: str = "task file", start: str = "name: my_task") -> ModelT:
    """What a YAML file says, validated. Of two equal keys the last is not silently kept.

    Args:
        path: The file.
        model: What it must be.
        kind: What the file is called in messages.
        start: How such a file may start, for messages.

    Raises:
        ConfigError: The file cannot be read, or it is wrong; the message names file, line and key of each fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeated_keys(root, path)
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the {kind} {str(path)!r}: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not YAML: {error.problem or error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a {kind} is a mapping that starts like `{start}`, got {data!r}.")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = []
        for found in error.errors():
            place: Place = (*found["loc"], *found.get("ctx", {}).get("place", ()))
            lines.append(f"{path}, line {_line(root, place)}: {_message(found, place, model)}")
        raise ConfigError("\n".join(lines)) from None


def _message(found: Any, place: Place, model: type[BaseModel]) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    if found["type"] == "extra_forbidden":
        owner = _model_at(model, place[:-1]) or model
        return f"unknown key {str(place[-1])!r}. {did_you_mean(str(place[-1]), owner.model_fields)}"
    if found["type"] == "missing":
        return f"{where}: this key is missing."
    if found["type"] == "string_type" and isinstance(found["input"], bool | int | float):
        return f"{where}: YAML reads this as {found['input']!r}, not as text: put it in quotes."
    text = found["msg"].removeprefix("Value error, ")
    if found["type"] != "misfit":
        text = f"{text[:1].lower()}{text[1:].removesuffix('.')}."
    return f"{where}: {text}" if where else text


def _model_at(annotation: Any, place: Place) -> type[BaseModel] | None:
    """The model that stands at a place of the model of a file, or None if something else stands there."""
    for part in place:
        annotation = _plain(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            annotation = field.annotation if field else None
        else:
            arguments = [argument for argument in get_args(annotation) if argument is not ...]
            annotation = arguments[-1] if arguments else None
    annotation = _plain(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _plain(annotation: Any) -> Any:
    """An optional type without its None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(argument for argument in get_args(annotation) if argument is not type(None))
    return annotation


def _line(node: Any, place: Sequence[str | int]) -> int:
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
                if isinstance(key, yaml.ScalarNode):
                    if key.value in names:
                        line = key.start_mark.line + 1
                        raise ConfigError(f"{path}, line {line}: the key {key.value!r} is there twice.")
                    names.add(key.value)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
