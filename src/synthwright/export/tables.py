"""Writing records as JSONL, Parquet, CSV or Arrow: in batches, and each file whole or not at all."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthwright.errors import ConfigError, StoreError
from synthwright.runs.files import write_lines

__all__ = ["KINDS", "WRITERS", "Types", "clean", "starts_a_formula"]

BATCH = 1000
"""Records in memory at a time, and in one row group of a Parquet file."""

_TALK = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_TURNS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
_ARROW = {
    "talk": _TALK,
    "turns": _TURNS,
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "bool": pa.bool_(),
    "number": pa.float64(),
}

Record = Mapping[str, Any]


class Types:
    """The columns of records and their Arrow types: given for some columns, found in the data for all others.

    Args:
        given: Types by column, by the names that formats use.
        typed: Whether types are wanted; text files need the columns only, and take values of mixed types.
    """

    def __init__(self, given: Mapping[str, str], typed: bool = True) -> None:
        self.names: dict[str, None] = {}
        self._given = {name: _ARROW[kind] for name, kind in given.items()}
        self._typed = typed
        self._found = pa.schema([])
        self._waiting: list[dict[str, Any]] = []

    def see(self, record: Record) -> None:
        """Learn from one record."""
        self.names.update(dict.fromkeys(record))
        rest = {name: value for name, value in record.items() if name not in self._given}
        if rest and self._typed:
            self._waiting.append(rest)
            if len(self._waiting) == BATCH:
                self._learn()

    def schema(self) -> pa.Schema | None:
        """The schema that holds every record seen; None if types are not wanted."""
        if not self._typed:
            return None
        self._learn()
        known = {**{field.name: field.type for field in self._found}, **self._given}
        return pa.schema([(name, known[name]) for name in self.names])

    def _learn(self) -> None:
        if not self._waiting:
            return
        try:
            seen = pa.schema([*_arrow_types(self._waiting).items()])
            self._found = pa.unify_schemas([self._found, seen], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise ConfigError(
                f"A column holds values of different types, which Parquet and datasets cannot: {error}. "
                "Export to a .jsonl file, which can."
            ) from error
        self._waiting.clear()


def _arrow_types(records: list[dict[str, Any]]) -> dict[str, pa.DataType]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: pa.array([record.get(name) for record in records]).type for name in names}


def clean(value: Any) -> tuple[Any, int]:
    """A JSON value whose texts are all valid Unicode, and how many texts had to be repaired.

    An LM can write half a character as a JSON escape. No UTF-8 file can hold it, and one such row makes a whole JSONL
    file unreadable for `datasets`. Two halves that belong together are joined; a lone one becomes U+FFFD.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), 1
        return value, 0
    if isinstance(value, Mapping):
        parts = {name: clean(part) for name, part in value.items()}
        return {clean(name)[0]: part for name, (part, _) in parts.items()}, sum(n for _, n in parts.values())
    if isinstance(value, list | tuple):
        found = [clean(part) for part in value]
        return [part for part, _ in found], sum(n for _, n in found)
    return value, 0


def starts_a_formula(record: Record) -> bool:
    """Whether a spreadsheet would take a cell of the record for a formula (OWASP, "CSV Injection")."""
    return any(isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") for value in record.values())


def _jsonl(path: Path, records: Iterable[Record], schema: pa.Schema | None) -> None:
    write_lines(path, records)


def _csv(path: Path, records: Iterable[Record], schema: pa.Schema | None) -> None:
    """Lists and dictionaries become JSON in their cell, None an empty cell; texts are not changed."""

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            for number, record in enumerate(records):
                if number == 0:
                    writer.writerow(record)
                writer.writerow([_cell(value) for value in record.values()])

    _whole(path, write)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parquet(path: Path, records: Iterable[Record], schema: pa.Schema | None) -> None:
    def write(partial: Path) -> None:
        with pq.ParquetWriter(partial, schema) as writer:
            for table in _batches(records, schema):
                writer.write_table(table)

    _whole(path, write)


def _arrow(path: Path, records: Iterable[Record], schema: pa.Schema | None) -> None:
    """Arrow's stream format: what `datasets.Dataset.from_file` maps into memory."""

    def write(partial: Path) -> None:
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for table in _batches(records, schema):
                writer.write_table(table)

    _whole(path, write)


def _batches(records: Iterable[Record], schema: pa.Schema | None) -> Iterator[pa.Table]:
    rest = iter(records)
    while batch := list(islice(rest, BATCH)):
        yield pa.Table.from_pylist(batch, schema=schema)


def _whole(path: Path, write: Callable[[Path], None]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"Cannot write {str(path)!r}: {error.strerror or error}. The run itself is whole.") from error
    except pa.ArrowException as error:
        raise ConfigError(f"{path.name!r} cannot hold this data: {error}. Export to a .jsonl file.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".csv": "csv"}
"""Kinds of files by suffix."""

WRITERS: dict[str, Callable[[Path, Iterable[Record], Any], None]] = {
    "jsonl": _jsonl,
    "parquet": _parquet,
    "csv": _csv,
    "arrow": _arrow,
}
"""Writers by kind: path, records, schema (which text formats do not need)."""
