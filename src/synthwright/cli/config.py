"""Config files: the options of a verb as YAML. A file says what flags say, and flags win.

The model of a file is made from the verb's own signature, so that the two cannot differ. Its JSON schema is shipped
as `schemas/VERB.json` for editors that complete YAML.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from typer.models import ArgumentInfo, OptionInfo

from synthwright.errors import ConfigError, did_you_mean

__all__ = ["Config", "config_model", "config_text", "load_config", "schema_text", "shipped_schema"]

_NOT_IN_FILES = ("config", "json", "quiet")
_MODELS: dict[str, type[BaseModel]] = {}


class _Options(BaseModel):
    """Options of one verb."""

    model_config = ConfigDict(extra="forbid", strict=False)


def config_model(verb: Callable[..., Any]) -> type[BaseModel]:
    """The model of the config files of a verb: a field for each of its arguments and options, by the flag's name.

    Options that are given as NAME=VALUE may be a mapping in the file.
    """
    name = verb.__name__
    if name not in _MODELS:
        fields: dict[str, Any] = {}
        for parameter, (kind, info, default) in _parameters(verb).items():
            flag = _flag(parameter, info)
            if flag in _NOT_IN_FILES:
                continue
            several = isinstance(info, OptionInfo) and "=" in (info.metavar or "")
            kind = dict[str, Any] | list[str] | None if several else kind
            fields[flag] = (kind, Field(None if isinstance(info, ArgumentInfo) else default, description=info.help))
        _MODELS[name] = create_model(f"{name.capitalize()}Config", __base__=_Options, **fields)
    return _MODELS[name]


def load_config(context: typer.Context, value: Path | None) -> Path | None:
    """Callback of `--config`: what the file says becomes the default of each option.

    Raises:
        ConfigError: The file cannot be read or is wrong; the message names file, line and option.
    """
    if value is None or context.resilient_parsing:
        return value
    verb = inspect.unwrap(context.command.callback)  # pyright: ignore[reportArgumentType]  a verb has one
    model = config_model(verb)
    given = _read(value, model)
    parameters = {_flag(name, info): name for name, (_, info, _) in _parameters(verb).items()}
    context.default_map = {
        **(context.default_map or {}),
        **{parameters[flag]: _as_typed(flag, found) for flag, found in given.items() if found is not None},
    }
    return value


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        is_eager=True,
        callback=load_config,
        help="YAML file with these options, as `synthwright init` writes it. Flags win over it.",
    ),
]


def config_text(verb: Callable[..., Any], values: Mapping[str, Any]) -> str:
    """The config file that gives a verb these values of its parameters; what is None or unset is left out."""
    config: dict[str, Any] = {}
    for parameter, (_, info, _) in _parameters(verb).items():
        flag, value = _flag(parameter, info), values.get(parameter)
        if flag in _NOT_IN_FILES or value is None or value in ([], ()):
            continue
        if isinstance(info, OptionInfo) and "=" in (info.metavar or ""):
            pairs = (entry.rpartition("=") if flag == "price" else entry.partition("=") for entry in value)
            value = {name.strip(): _read_value(text) if flag == "set" else text for name, _, text in pairs}
        config[flag] = _as_typed(flag, value) if isinstance(value, list | Path) else value
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=110)


def schema_text(verb: Callable[..., Any]) -> str:
    """The JSON schema of the config files of a verb."""
    schema = config_model(verb).model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2) + "\n"


def shipped_schema(verb: Callable[..., Any]) -> str:
    """The JSON schema as it is shipped."""
    return (files("synthwright.cli") / "schemas" / f"{verb.__name__}.json").read_text(encoding="utf-8")


def _parameters(verb: Callable[..., Any]) -> dict[str, tuple[Any, OptionInfo | ArgumentInfo, Any]]:
    """Type, option and default of each parameter that is one of the command line."""
    hints = get_type_hints(verb, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(verb).parameters.items():
        if get_origin(hint := hints[name]) is Annotated:
            kind, *notes = get_args(hint)
            info = next(note for note in notes if isinstance(note, OptionInfo | ArgumentInfo))
            found[name] = (kind, info, parameter.default)
    return found


def _flag(parameter: str, info: OptionInfo | ArgumentInfo) -> str:
    """The name of an option in a file: its long flag, with underscores."""
    names = (info.default, *(info.param_decls or ()))  # beside Annotated, typer keeps the first flag as the default
    flags = [flag for flag in names if isinstance(flag, str) and flag.startswith("--")]
    return (flags[0].removeprefix("--") if flags else parameter.rstrip("_")).replace("-", "_")


def _read(path: Path, model: type[BaseModel]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the config file {str(path)!r}: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not YAML: {error.problem or error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}.") from error
    if not isinstance(data, dict) or not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}: a config file is a mapping that starts like `method: evol-instruct`, got {data!r}.")
    lines: dict[str, int] = {}
    for key, _ in root.value:
        name = str(key.value).replace("-", "_")
        if name in lines:
            raise ConfigError(f"{path}, line {key.start_mark.line + 1}: the option {name!r} is there twice.")
        lines[name] = key.start_mark.line + 1
    try:
        checked = model.model_validate({str(name).replace("-", "_"): value for name, value in data.items()})
    except ValidationError as error:
        wrong = {str(found["loc"][0]): found for found in reversed(error.errors())}
        texts = [f"{path}, line {lines[name]}: {_message(name, found, model)}" for name, found in wrong.items()]
        raise ConfigError("\n".join(texts)) from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}


def _message(name: str, found: Any, model: type[BaseModel]) -> str:
    if found["type"] == "extra_forbidden":
        return f"unknown option {name!r}. {did_you_mean(name, model.model_fields)}"
    return f"{name}: {found['msg']}, got {found['input']!r}."


def _as_typed(flag: str, value: Any) -> Any:
    """A value as the command line gives it."""
    if isinstance(value, dict):
        written = _written if flag == "set" else _plain
        return [f"{name}={written(inner)}" for name, inner in value.items()]
    if isinstance(value, list):
        return [str(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _plain(value: Any) -> str:
    """A model, or prices as `IN,OUT` or [IN, OUT]."""
    return ",".join(str(entry) for entry in value) if isinstance(value, list) else str(value)


def _written(value: Any) -> str:
    """Any value as YAML in one line, which JSON is."""
    return value if isinstance(value, str) and _read_value(value) == value else json.dumps(value, ensure_ascii=False)


def _read_value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
