"""Rows and rejects as a page holds them: an index in memory, bodies in packed chunks that are read when needed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from synthwright.report.fields import label, values_of
from synthwright.report.page import packed_block

__all__ = ["Table"]

CHUNK_RECORDS = 500
CHUNK_CHARACTERS = 400_000
"""A chunk ends when it holds so many records, or so much text."""


class Table:
    """The records of one list of the page. Call `blocks` first: it fills the index while it packs the bodies.

    Args:
        name: `rows` or `rejects`; its blocks are called `rows-0`, `rows-1` and so on.
        facets: Values of the fields by which records are picked, by field.
        numbers: Names of the fields by which records are sorted and picked by a range.
    """

    def __init__(self, name: str, facets: Mapping[str, Iterable[str]], numbers: Iterable[str]) -> None:
        self.name = name
        self._facets: dict[str, dict[str, int]] = {
            field: {value: code for code, value in enumerate(values)} for field, values in facets.items()
        }
        self._codes: dict[str, list[Any]] = {name: [] for name in self._facets}
        self._numbers: dict[str, list[float | None]] = {field: [] for field in numbers}
        self._starts: list[int] = []
        self._seeds: list[int | None] = []
        self._ids: list[str] = []
        self._parents: dict[int, list[str]] = {}
        self._count = 0

    def blocks(self, records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
        """The data blocks of the records, in order."""
        chunk: list[dict[str, Any]] = []
        size = 0
        for record in records:
            body = self._enter(record)
            chunk.append(body)
            size += sum(len(value) if isinstance(value, str) else 20 for value in _flat(body))
            if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_CHARACTERS:
                yield self._chunk(chunk)
                chunk, size = [], 0
        if chunk:
            yield self._chunk(chunk)

    def index(self) -> dict[str, Any]:
        """What the page keeps in memory of every record, column by column."""
        places = {identity: place for place, identity in enumerate(self._ids)}
        parents = {
            place: [places.get(parent, parent) for parent in found] for place, found in self._parents.items() if found
        }
        return {
            "count": self._count,
            "starts": self._starts,
            "ids": self._ids,
            "seeds": self._seeds,
            "parents": parents,
            "facets": [
                {"name": name, "values": list(values), "codes": self._codes[name]}
                for name, values in self._facets.items()
            ],
            "numbers": [{"name": name, "values": values} for name, values in self._numbers.items()],
        }

    def unknown_parents(self) -> set[str]:
        """Ids of parents that are not among the records."""
        return {parent for found in self._parents.values() for parent in found}.difference(self._ids)

    def _enter(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Put a record into the index and return what its chunk holds."""
        place, values = self._count, dict(values_of(record))
        self._count += 1
        if "id" in record:
            self._ids.append(str(record["id"]))
        made = record.get("content") if self.name == "rejects" else record
        parents = made.get("parent_ids") if isinstance(made, Mapping) else None
        if isinstance(parents, list) and parents:
            self._parents[place] = [str(parent) for parent in parents]
        provenance = record.get("provenance") or {}
        self._seeds.append(record["seed"] if self.name == "rejects" else provenance.get("seed"))
        for name, codes in self._facets.items():
            value = values.get(name)
            if isinstance(value, list):
                self._codes[name].append([codes[text] for text in dict.fromkeys(map(label, value)) if text in codes])
            else:
                self._codes[name].append(None if value is None else codes.get(label(value)))
        for name, numbers in self._numbers.items():
            value = values.get(name)
            numbers.append(value if isinstance(value, int | float) and not isinstance(value, bool) else None)
        return {name: value for name, value in record.items() if name not in _IN_INDEX}

    def _chunk(self, records: list[dict[str, Any]]) -> tuple[str, str, str]:
        self._starts.append(self._count - len(records))
        return packed_block(f"{self.name}-{len(self._starts) - 1}", records)


_IN_INDEX = ("id", "parent_ids", "provenance")


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _flat(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner)
    else:
        yield value
