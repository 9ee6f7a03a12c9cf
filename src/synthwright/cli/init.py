"""The verb that writes a config file to start from."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, out, print_json
from synthwright.cli.arguments import brief, dashed
from synthwright.cli.config import config_model
from synthwright.cli.generate import generate
from synthwright.cli.optimize import compare, evaluate, optimize
from synthwright.cli.options import AsJson, Method, Preset, Quiet
from synthwright.errors import ConfigError, StoreError, did_you_mean
from synthwright.programs.base import Generator, data_path
from synthwright.runs.record import jsonable

__all__ = ["config_file", "init"]

WIDTH = 110

_VERBS = {verb.__name__: verb for verb in (generate, optimize, evaluate, compare)}

_WRITTEN = ("method", "n", "budget", "prompts", "out", "preset", "task", "set", "seed", "max_calls")
"""Options that the file begins with, if they have a value; the others follow as comments."""

_EXAMPLES = {
    "lm": "openai/gpt-4o-mini",
    "api_base": "http://127.0.0.1:8000/v1",
    "role": {"judge": "openai/gpt-4o"},
    "concurrency": 64,
    "seeds": "seeds.jsonl",
    "max_calls": 2000,
    "max_tokens": 5_000_000,
    "max_usd": 10.0,
    "max_seconds": 3600,
    "price": {"openai/gpt-4o-mini": [0.15, 0.6]},
    "prompts": "runs/tuned/prompts.json",
    "reflection_lm": "openai/gpt-4o",
    "metric": "mine.py:hides_word",
    "reuse": "runs/earlier",
}


@app.command(epilog=EXIT_CODES)
def init(
    method: Method,
    for_: Annotated[
        str, typer.Option("--for", metavar="VERB", help="Who will read it: generate, optimize, evaluate or compare.")
    ] = "generate",
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Config file to write (METHOD.yaml, or METHOD.VERB.yaml).")
    ] = None,
    preset: Preset = "practical",
    force: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented config file that runs as it is, and a task file for a method that takes one.

    Example: synthwright init targen, then synthwright generate --config targen.yaml
    """
    cls = sw.get_generator(method)
    if for_ not in _VERBS:
        raise ConfigError(f"No verb {for_!r} takes a config file. {did_you_mean(for_, _VERBS)}")
    generator = cls.preset(preset)
    path = to or Path(f"{dashed(cls)}.yaml" if for_ == "generate" else f"{dashed(cls)}.{for_}.yaml")
    texts = {path: ""}
    task = _task_text(cls, generator)
    task_path = path.with_name(f"{path.stem}.task.yaml") if task is not None else None
    texts[path] = config_file(for_, generator, preset, task_path)
    if task is not None and task_path is not None:
        texts[task_path] = task
    there = [str(file) for file in texts if file.exists()]
    if there and not force:
        raise ConfigError(f"{' and '.join(there)} exists. --force replaces it, --to FILE writes another one.")
    for file, text in texts.items():
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"Cannot write {str(file)!r}: {error.strerror or error}.") from error
    if not quiet:
        out.print(f"Wrote {' and '.join(map(str, texts))}. Next: synthwright {for_} --config {path}", soft_wrap=True)
    print_json({"config": str(path), "task": str(task_path) if task_path else None}, as_json)


def config_file(verb: str, generator: Generator[Any], preset: str, task: Path | None) -> str:
    """The text of a config file of a verb: what the method needs, the rest as comments."""
    cls = type(generator)
    tuned = f"runs/{dashed(cls)}-tuned"
    head = [
        f"# {cls.__name__}: {(cls.__doc__ or '').strip().splitlines()[0]}",
        f"# Flags say the same as this file and win over it: synthwright {verb} --config FILE --seed 1",
        "",
    ]
    values: dict[str, Any] = {
        "method": dashed(cls),
        "preset": preset,
        "task": str(task) if task else None,
        "seed": 0,
        **{
            "generate": {"n": 10, "out": f"runs/{dashed(cls)}", "max_calls": 2000},
            "optimize": {"budget": 400, "out": tuned},
            "evaluate": {"out": f"runs/{dashed(cls)}-scores"},
            "compare": {"prompts": [f"{tuned}/prompts.json"], "out": f"runs/{dashed(cls)}-compared"},
        }[verb],
    }
    examples = {**_EXAMPLES, "target": list(generator.target_predictors())[:1]}
    fields = config_model(_VERBS[verb]).model_fields
    lines: list[str] = []
    for name in _WRITTEN:
        if name == "set":
            lines += _set_block(cls, generator, preset)
        elif values.get(name) is not None:
            lines += [*_comment(fields[name].description or ""), f"{name}: {_plain(values[name])}", ""]
    lines += ["# Further options, each with its default or an example.", ""]
    for name, field in fields.items():
        if name not in (*values, "set", "dry_run"):
            value = examples.get(name) if field.default is None else field.default
            lines += [*_comment(field.description or ""), f"# {name}: {_plain(value)}", ""]
    return "\n".join([*head, *lines]).rstrip() + "\n"


def _set_block(cls: type[Generator[Any]], generator: Generator[Any], preset: str) -> list[str]:
    """The arguments of the generator, each with what it means and its value in the preset, as comments."""
    meanings = _argument_docs(cls)
    other = "faithful" if preset == "practical" else "practical"
    others = cls.preset(other).params() if other in cls.presets else {}
    lines = [f"# Arguments of the method: to change one from the preset ({preset}), remove the # before it.", "set:"]
    for name, value in generator.params().items():
        if name == "task":
            continue
        lines += _comment(meanings.get(name, ""), "  ## ")
        plain, differs = jsonable(value), name in others and jsonable(others[name]) != jsonable(value)
        note = f"   # {other}: {brief(jsonable(others[name]), 40)}" if differs else ""
        lines.append(f"  # {name}: {_plain(plain)}{note}")
    return [*lines, ""]


def _argument_docs(cls: type[Generator[Any]]) -> dict[str, str]:
    """What the `Args:` of a class docstring say of each argument."""
    text = inspect.cleandoc(cls.__doc__ or "")
    section = re.search(r"^Args:\n((?:    .*\n|\n)+)", text + "\n", re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in section.group(1).splitlines() if section else []:
        if match := re.match(r"    (\w+): (.*)", line):
            name = match.group(1)
            found[name] = match.group(2)
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def _task_text(cls: type[Generator[Any]], generator: Generator[Any]) -> str | None:
    """The shipped task file of the generator's task, or None if the method takes none."""
    task = generator.params().get("task")
    if task is None:
        return None
    shipped = data_path(f"{cls.stem()}/{getattr(task, 'name', task)}.yaml")
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    return yaml.safe_dump(jsonable(task), sort_keys=False, allow_unicode=True, width=WIDTH)


def _comment(text: str, start: str = "# ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=start) if text else []


def _plain(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).strip()
    return text.removesuffix("...").strip()
