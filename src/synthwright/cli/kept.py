"""The options that made a result, kept beside it as a config file of the verb."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from synthwright.cli.config import config_model, config_text
from synthwright.errors import RunMismatchError

__all__ = ["CONFIG", "Recording", "kept_options"]

CONFIG = "config.yaml"
"""The file in a run directory; other verbs write `VERB.yaml`. `synthwright VERB --config FILE` takes it as it is."""

_MAY_CHANGE = ("api_base", "budget", "concurrency", "max_calls", "out", "price")


class Recording:
    """Hands progress on, and writes the options beside the result once it is known that the work has begun."""

    def __init__(self, view: Callable[[Any], None], path: Path, text: str) -> None:
        self.view, self.path, self.text = view, path, text
        self._written = False

    def __call__(self, state: Any) -> None:
        if not self._written:
            self._written = True
            with suppress(OSError):  # the verb itself says what is wrong with its directory
                self.path.write_text(self.text, encoding="utf-8")
        self.view(state)


def kept_options(verb: Callable[..., Any], params: Mapping[str, Any], directory: Path, result: str) -> tuple[Path, str]:
    """Where the options of a verb are kept, and their text.

    Args:
        verb: The verb.
        params: What it was given.
        directory: Where it writes.
        result: File that is there when an earlier command has come to its end.

    Raises:
        RunMismatchError: The result there is that of other options: what was paid for would be replaced.
    """
    path, text = directory / f"{verb.__name__}.yaml", config_text(verb, params)
    if (directory / result).is_file() and path.is_file():
        differences = list(_differences(verb, _read(path), yaml.safe_load(text)))
        if differences:
            raise RunMismatchError(
                f"{str(directory)!r} holds a result of other options:\n"
                + "\n".join(f"  {name}: there {old!r}, now {new!r}" for name, old, new in differences)
                + "\nUse another --out, or the old options to go on with it."
            )
    return path, text


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        data = None
    if not isinstance(data, dict):
        raise RunMismatchError(f"{str(path)!r} does not say which options made the result there. Use another --out.")
    return data


def _differences(
    verb: Callable[..., Any], there: dict[str, Any], now: dict[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Name, old and new value of the options that give another result; one that is left out has its default."""
    for name, field in config_model(verb).model_fields.items():
        old, new = there.get(name, field.default), now.get(name, field.default)
        if name not in _MAY_CHANGE and old != new:
            yield name, old, new
