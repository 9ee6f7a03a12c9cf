"""Decontamination: rows that share long runs of words with items of an evaluation set."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, no_single_name, text_of
from synthwright.filters.words import ngrams, words

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BenchmarkItem", "Decontamination", "Overlap", "read_items"]


class BenchmarkItem(NamedTuple):
    """One item of an evaluation set.

    Attributes:
        text: What rows are compared with.
        place: Where it stands, such as `gsm8k.jsonl line 17` (lines from 1, rows of Parquet files from 0).
    """

    text: str
    place: str


class Overlap(NamedTuple):
    """A row's text and an item that share words.

    Attributes:
        item: The item.
        field: The row's field.
        shared: The first words shared, in their normalised form.
    """

    item: BenchmarkItem
    field: str
    shared: str


@dataclass
class Decontamination(Filter):
    """Drops rows that share a run of n words with an item of the named evaluation sets.

    Words are compared without case and punctuation. An item of fewer than n words counts as hit if the row contains all
    of it, as a run; one of fewer than `shortest` words only if it is the row's whole text, since "what is it" stands
    everywhere. Paraphrases are not found: for those see `Neighbours`.

    Source: Brown et al., 2020 (GPT-3, appendix C): runs of 13 words. GLAN (Li et al., 2024, section 3.1) drops rows
    that contain items of test and training sets, without saying how.

    Args:
        fields: Text fields of the row, each compared on its own.
        against: Files of evaluation sets: JSON Lines, Parquet, or plain text with an item a line.
        item_field: Field or column that holds the item; not used for plain text.
        n: Words of a run, 1 or more.
        shortest: Fewest words of an item that is looked for inside longer texts.
    """

    fields: tuple[str, ...]
    against: Sequence[str | os.PathLike[str]]
    item_field: str = "question"
    n: int = 13
    shortest: int = 4
    items: "_Items" = field(init=False)
    _index: "dict[int, tuple[Any, Any]] | None" = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.n < 1 or self.shortest < 1:
            raise ConfigError(f"Decontamination needs `n` and `shortest` >= 1, got {self.n!r} and {self.shortest!r}.")
        no_single_name(self, "fields")
        no_single_name(self, "against")
        self.against = tuple(os.fspath(path) for path in self.against)
        self.items = _Items(read_items(self.against, self.item_field))

    def check(self, row: Any) -> str | None:
        hits = self.overlaps(row)
        if not hits:
            return None
        first, more = hits[0], f" and {len(hits) - 1} more" if len(hits) > 1 else ""
        return f"contaminated: {first.field} shares {first.shared!r} with {first.item.place}{more}"

    def overlaps(self, row: Any) -> list[Overlap]:
        """Every item that the row hits, once a field, in the order of the files."""
        if self._index is None:
            self._index = self._build()
        return [hit for name in self.fields for hit in self._hits(name, words(text_of(row, name)))]

    def _hits(self, name: str, tokens: list[str]) -> Iterator[Overlap]:
        import numpy as np

        found: dict[int, str] = {}
        for length, (hashes, numbers) in (self._index or {}).items():
            if length < self.shortest and length != len(tokens):
                continue
            wanted = _hashes(tokens, length)
            first, last = np.searchsorted(hashes, wanted), np.searchsorted(hashes, wanted, side="right")
            for start in np.flatnonzero(last > first).tolist():
                run = " ".join(tokens[start : start + length])
                for number in numbers[first[start] : last[start]].tolist():
                    if number not in found and f" {run} " in f" {' '.join(words(self.items[number].text))} ":
                        found[number] = run  # not by the hash alone: two runs may have the same
        return (Overlap(self.items[number], name, found[number]) for number in sorted(found))

    def _build(self) -> "dict[int, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]":
        """For each length of runs: their hashes, sorted, and the numbers of their items."""
        import numpy as np

        runs: dict[int, list[tuple[Any, Any]]] = {}
        for number, item in enumerate(self.items):
            tokens = words(item.text)
            length = min(self.n, len(tokens))
            if length:
                hashes = np.unique(_hashes(tokens, length))
                runs.setdefault(length, []).append((hashes, np.full(len(hashes), number, dtype=np.uint32)))
        index = {}
        for length, parts in sorted(runs.items()):
            hashes, numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.argsort(hashes, kind="stable")
            index[length] = (hashes[order], numbers[order])
        return index

    def __deepcopy__(self, memo: dict[int, Any]) -> "Decontamination":
        return self  # nothing changes after it is built


class _Items(tuple[BenchmarkItem, ...]):
    """Items with a short `repr` that tells one content from another."""

    def __repr__(self) -> str:
        digest = hashlib.sha256("\0".join(item.text for item in self).encode("utf-8", "surrogatepass")).hexdigest()
        return f"<{len(self)} items, sha256 {digest[:12]}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _Items, (tuple(self),)


def read_items(files: Iterable[str | os.PathLike[str]], item_field: str = "question") -> list[BenchmarkItem]:
    """The items of evaluation sets; empty ones are left out.

    Args:
        files: JSON Lines (`.jsonl`, `.ndjson`), Parquet (`.parquet`), or plain text with an item a line (`.txt`).
        item_field: Field or column that holds the item; what is no text is read as JSON.

    Raises:
        ConfigError: A file is missing, of another kind, damaged, without the field, or empty; or there is no file.
    """
    items: list[BenchmarkItem] = []
    for path in map(Path, files):
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise ConfigError(
                f"Cannot read {str(path)!r}: evaluation sets are .jsonl, .ndjson, .parquet or .txt files."
            )
        try:
            found = [BenchmarkItem(text, f"{path.name} {place}") for text, place in reader(path, item_field)]
        except OSError as error:
            raise ConfigError(f"Cannot read {str(path)!r}: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{str(path)!r} is not UTF-8 text.") from error
        found = [item for item in found if item.text.strip()]
        if not found:
            raise ConfigError(f"{str(path)!r} has no items.")
        items += found
    if not items:
        raise ConfigError("Name at least one file of evaluation items to compare with.")
    return items


def _lines(path: Path, item_field: str) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            yield line.strip(), f"line {number}"


def _json_lines(path: Path, item_field: str) -> Iterator[tuple[str, str]]:
    for line, place in _lines(path, item_field):
        if not line:
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{place} of {str(path)!r} is not JSON: {error}.") from error
        if not isinstance(record, dict) or item_field not in record:
            known = ", ".join(record) if isinstance(record, dict) else type(record).__name__
            raise ConfigError(f"{place} of {str(path)!r} has no field {item_field!r}; it has: {known}.")
        yield _text(record[item_field]), place


def _parquet(path: Path, item_field: str) -> Iterator[tuple[str, str]]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        if item_field not in file.schema_arrow.names:
            known = ", ".join(file.schema_arrow.names)
            raise ConfigError(f"{str(path)!r} has no column {item_field!r}; it has: {known}.")
        values: Sequence[Any] = file.read(columns=[item_field]).column(0).to_pylist()
    except pyarrow.ArrowException as error:
        raise ConfigError(f"{str(path)!r} is not a Parquet file: {error}.") from error
    return ((_text(value), f"row {number}") for number, value in enumerate(values))


_READERS = {".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet, ".txt": _lines}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _hashes(tokens: list[str], n: int) -> "np.ndarray[Any, Any]":
    """A 64-bit hash of every run of n tokens, in order; none if there are fewer."""
    import numpy as np

    runs = (" ".join(run).encode("utf-8", "surrogatepass") for run in ngrams(tokens, n))
    digests = b"".join(hashlib.blake2b(run, digest_size=8).digest() for run in runs)
    return np.frombuffer(digests, dtype=np.uint64)
