"""Rows of another run as seeds: what a chain of methods hands on."""

from collections.abc import Iterable, Mapping
from typing import Any

from synthwright.errors import ConfigError
from synthwright.pool import Seed

__all__ = ["first_given", "is_row", "parents_of", "seed_of_row"]


def is_row(seed: Seed) -> bool:
    """Whether a seed is the record of a row, as `row.record()` gives it and `rows.jsonl` holds it."""
    return "id" in seed and "provenance" in seed


def seed_of_row(record: Mapping[str, Any], index: int = 0) -> dict[str, Any]:
    """What a method that starts from instructions takes from a row of any method.

    Args:
        record: A row with an `instruction`; it may have an `input`, which is put below it, and a `response` or an
            `output`.
        index: Its number among the seeds, for the error.

    Returns:
        `instruction`, `response` if there is one, and `parent_ids`: the root of its lineage, if it names one, so that
        a lineage stays in one split, and the row itself.

    Raises:
        ConfigError: The row has no instruction.
    """
    instruction, data = record.get("instruction"), record.get("input") or ""
    if not isinstance(instruction, str) or not isinstance(data, str):
        raise ConfigError(f"Seed {index} is a row without an `instruction`; it has {', '.join(record)}.")
    seed: dict[str, Any] = {
        "instruction": "\n".join(part for part in (instruction.strip(), data.strip()) if part),
        "parent_ids": [record[name] for name in ("root_id", "id") if record.get(name)],
    }
    response = record.get("response") or record.get("output")
    return {**seed, "response": response} if isinstance(response, str) and response.strip() else seed


def first_given(seed: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The value of the first of some fields that is there and not empty, or None; 0 and False are values."""
    return next((seed[name] for name in names if seed.get(name) not in (None, "")), None)


def parents_of(seed: Mapping[str, Any]) -> list[str]:
    """Ids of the rows that a seed comes from: its own id if it is a row, else its `parent_ids`."""
    return [seed["id"]] if seed.get("id") else list(seed.get("parent_ids") or ())
