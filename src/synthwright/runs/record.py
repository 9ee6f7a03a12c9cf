"""What a run records of the arguments that made it, so that equal ones look equal in every process."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel

from synthwright.pool import Seed

__all__ = ["differences", "digest", "jsonable", "package_version", "without_addresses"]


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


def differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, old, new) of whatever is not equal in two records, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield name, _short(old), _short(new)


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
