"""From what is typed to objects of the library."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import yaml

import synthwright as sw
from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.base import Generator, read_jsonl

__all__ = [
    "brief",
    "dashed",
    "make_generator",
    "make_lm",
    "make_lms",
    "read_metric",
    "read_prices",
    "read_seeds",
    "summary_of",
]


def make_generator(
    cls: type[Generator[Any]], preset: str, task: Path | None, settings: list[str] | None, prompts: Path | None
) -> Generator[Any]:
    """A generator of a preset, with the arguments of `--set`, its task file and its prompts."""
    arguments: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write NAME=VALUE, such as --set rounds=2.")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {setting!r}: the value is not valid YAML.") from error
        arguments[name.strip().replace("-", "_")] = tuple(parsed) if isinstance(parsed, list) else parsed
    if task is not None:
        if "task" not in cls.preset(preset).params():
            raise ConfigError(f"{cls.__name__} takes no task file; `--task` is for methods such as targen.")
        arguments["task"] = task
    generator = cls.preset(preset, **arguments)
    if prompts is not None:
        generator.load_prompts(prompts)
    return generator


def make_lm(model: str, api_base: str | None, option: str = "--lm") -> dspy.LM:
    """The LM of a name, which an option gives."""
    if model == "embedded":
        return sw.embedded_lm()
    if api_base:
        return sw.openai_lm(model, api_base)
    if "/" not in model:
        raise ConfigError(
            f"{option} {model!r}: write `embedded`, PROVIDER/MODEL such as openai/gpt-4o-mini, or add --api-base URL "
            "for your own server."
        )
    return dspy.LM(model, cache=False, temperature=1.0, max_tokens=2048)


def make_lms(model: str | None, api_base: str | None, roles: list[str] | None) -> dict[str, dspy.LM] | None:
    """LMs by role, or None for the embedded one in all roles."""
    if api_base and model is None and not roles:
        raise ConfigError("--api-base needs --lm MODEL: the name of the model that the server serves.")
    lms = {"generator": make_lm(model, api_base)} if model else {}
    for entry in roles or []:
        role, equals, name = entry.partition("=")
        if not equals:
            raise ConfigError(f"--role {entry!r}: write ROLE=MODEL, such as --role judge=openai/gpt-4o-mini.")
        lms[role] = make_lm(name, api_base, f"--role {role}")
    return lms or None


def read_prices(entries: list[str] | None) -> dict[str, sw.Price] | None:
    """Prices by model."""
    prices = {}
    for entry in entries or []:
        model, _, numbers = entry.rpartition("=")
        try:
            into, _, outof = numbers.partition(",")
            prices[model] = sw.Price(float(into), float(outof))
        except ValueError as error:
            raise ConfigError(f"--price {entry!r}: write MODEL=IN,OUT in US dollars per million tokens.") from error
    return prices or None


def read_metric(text: str) -> Callable[..., Any]:
    """A function of a Python file, given as FILE:NAME. The file is run, as `python FILE` runs it."""
    file, colon, name = text.rpartition(":")
    if not colon or not file or not name:
        raise ConfigError(f"--metric {text!r}: write FILE:NAME, such as --metric mine.py:hides_word.")
    if not Path(file).is_file():
        raise ConfigError(f"--metric {text!r}: there is no file {file!r}.")
    try:
        found = runpy.run_path(file)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"--metric {text!r}: {file} raised {error!r} when it was loaded.") from error
    if not callable(found.get(name)):
        functions = [each for each, value in found.items() if callable(value) and not each.startswith("_")]
        raise ConfigError(f"--metric {text!r}: {file} has no function {name!r}. {did_you_mean(name, functions)}")
    return found[name]


def read_seeds(path: Path, generator: Generator[Any]) -> list[dict[str, Any]]:
    """Seeds from JSONL, or a text file with one value of the generator's first field on each line."""
    if path.suffix in (".jsonl", ".json", ".ndjson"):
        return list(read_jsonl(path))
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the seeds {str(path)!r}: {error}") from error
    fields = generator.seed_fields()
    if not fields:
        raise ConfigError(f"{type(generator).__name__} takes no plain text seeds; use a .jsonl file.")
    return [{fields[0]: line} for line in lines]


def dashed(cls: type[Generator[Any]]) -> str:
    """Name of a method on the command line."""
    return cls.stem().replace("_", "-")


def summary_of(cls: type[Generator[Any]]) -> str:
    """What a method does, in one line."""
    return (cls.__doc__ or "").strip().splitlines()[0]


def brief(value: Any, width: int = 60) -> str:
    """A value in one line of at most `width` characters."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."
