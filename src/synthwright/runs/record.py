"""What a run records of the arguments that made it, so that equal ones look equal in every process."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel

from synthwright.errors import ConfigError
from synthwright.pool import Seed
from synthwright.programs.base import Generator

__all__ = ["checked_seeds", "digest", "jsonable", "package_version", "without_addresses"]


def checked_seeds(generator: Generator[Any], seeds: Iterable[Seed] | None) -> list[Seed] | None:
    """The user's seeds as a list.

    Raises:
        ConfigError: They are not dictionaries, or there are none.
    """
    if seeds is None:
        return None
    if not isinstance(seeds, Iterable):
        raise ConfigError(f"`seeds` must be a list of dictionaries, got {seeds!r}.")
    checked = list(seeds)
    if not checked:
        raise ConfigError("`seeds` is empty: there is nothing to ask. Leave it out to use the generator's own seeds.")
    for index, seed in enumerate(checked):
        if not isinstance(seed, Mapping) or not all(isinstance(name, str) for name in seed):
            fields = ", ".join(generator.seed_fields()) or "the arguments of its forward"
            raise ConfigError(f"Seed {index} is {seed!r}; a seed is a dictionary with {fields}.")
    return checked


def digest(seeds: list[Seed] | None) -> str | None:
    """The user's seeds in short: how many, and a hash of their content."""
    if seeds is None:
        return None
    text = json.dumps([dict(seed) for seed in seeds], sort_keys=True, default=str)
    return f"{len(seeds)} seeds, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def jsonable(value: Any) -> Any:
    """An argument as JSON-ready data."""
    if isinstance(value, set | frozenset):
        return sorted((jsonable(v) for v in value), key=repr)
    if isinstance(value, Mapping):
        return {str(key): jsonable(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return without_addresses(repr(value))


def without_addresses(text: str) -> str:
    """A `repr` without memory addresses."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def package_version() -> str:
    """Version of synthwright."""
    try:
        return version("synthwright")
    except PackageNotFoundError:
        return "unknown"
