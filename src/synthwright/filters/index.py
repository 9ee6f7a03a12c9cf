"""Compact indexes behind the filters against the pool: texts, inverted lists, a set of digests.

A run may keep millions of rows, so nothing here holds an object per row. All of it can be copied and pickled.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["DigestSet", "Postings", "TextStore"]

_BUFFER = 32_768  # entries held in a dictionary before they become a sorted segment; a few MB


class TextStore:
    """Texts in one block of bytes, by their numbers from 0: 8 bytes a text beside the text itself."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        return self._bytes[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def append(self, text: str) -> None:
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))


class Postings:
    """Which rows have which keys: for each 32-bit key the numbers of its rows, about 4 bytes an entry.

    New entries go to a dictionary; full dictionaries become sorted segments, and a segment is merged with its
    predecessor as soon as it is half as large. So there are at most log2(n) segments, and each entry is moved
    at most log2(n) times (the logarithmic method of Bentley and Saxe, 1980).
    """

    def __init__(self) -> None:
        self._buffer: dict[int, array[int]] = {}
        self._buffered = 0
        self._segments: list[_Segment] = []

    def add(self, row: int, keys: Iterable[int]) -> None:
        """Take in a row. Rows come in ascending order; a key may occur twice."""
        for key in keys:
            rows = self._buffer.get(key)
            if rows is None:
                self._buffer[key] = array("I", (row,))
            else:
                rows.append(row)
            self._buffered += 1
        if self._buffered >= _BUFFER:
            self._flush()

    def lists(self, keys: Sequence[int]) -> list["PostingList"]:
        """The rows of each key, in the order of the keys. The lists are views and die with the next `add`."""
        found = [PostingList() for _ in keys]
        wanted = np.array(keys, dtype=np.uint32)
        for segment in self._segments:
            places = np.searchsorted(segment.keys, wanted)
            places[places == len(segment.keys)] = 0
            (hits,) = np.nonzero(segment.keys[places] == wanted)
            starts, ends = segment.starts[places[hits]], segment.starts[places[hits] + 1]
            for hit, start, end in zip(hits.tolist(), starts.tolist(), ends.tolist(), strict=True):
                found[hit].add(segment.rows[start:end])
        for key, entry in zip(keys, found, strict=True):
            if key in self._buffer:
                entry.add(self._buffer[key])
        return found

    def _flush(self) -> None:
        keys = np.fromiter(self._buffer, dtype=np.uint64, count=len(self._buffer))
        counts = np.fromiter(map(len, self._buffer.values()), dtype=np.int64, count=len(self._buffer))
        rows = np.frombuffer(b"".join(self._buffer.values()), dtype=np.uint32)
        packed = np.repeat(keys, counts) << np.uint64(32) | rows
        self._buffer, self._buffered = {}, 0
        packed.sort()
        while self._segments and 2 * len(packed) >= len(self._segments[-1].rows):
            packed = np.concatenate([self._segments.pop().packed(), packed])
            packed.sort(kind="stable")  # merges the two sorted halves
        self._segments.append(_Segment(packed))


class PostingList:
    """The rows of one key, in parts, each ascending."""

    __slots__ = ("parts", "size")

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.size = 0

    def add(self, part: Any) -> None:
        self.parts.append(part)
        self.size += len(part)

    def holds(self, rows: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """For each of some rows whether it is here; costs little even if the list is long."""
        found = np.zeros(len(rows), dtype=bool)
        for part in self.parts:
            part = np.asarray(part, dtype=np.uint32)
            places = np.searchsorted(part, rows)
            places[places == len(part)] = 0
            found |= part[places] == rows
        return found


class _Segment:
    """Entries sorted by key, then row: the distinct keys, where each begins, and the rows."""

    __slots__ = ("keys", "rows", "starts")

    def __init__(self, packed: "np.ndarray[Any, Any]") -> None:
        self.rows = packed.astype(np.uint32)  # keeps the lower half
        keys = (packed >> np.uint64(32)).astype(np.uint32)
        first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        self.keys = keys[first]
        self.starts = np.append(first, len(keys)).astype(np.uint32 if len(keys) < 2**32 else np.uint64)

    def packed(self) -> "np.ndarray[Any, Any]":
        keys = np.repeat(self.keys.astype(np.uint64), np.diff(self.starts.astype(np.int64)))
        return keys << np.uint64(32) | self.rows


def tally(lists: Iterable[PostingList], total: int) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
    """The distinct rows of some lists, ascending, and in how many entries each occurs.

    Args:
        lists: What `Postings.lists` returned, or some of it.
        total: Number of rows that there are.
    """
    parts = [part for entry in lists for part in entry.parts]
    if not parts:
        return np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.int64)
    rows = np.concatenate([np.asarray(part, dtype=np.uint32) for part in parts])
    if 8 * len(rows) > total:  # counting in place is then cheaper than sorting
        counts = np.bincount(rows, minlength=total)
        (distinct,) = np.nonzero(counts)
        return distinct.astype(np.uint32), counts[distinct]
    rows.sort()
    first = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
    return rows[first], np.diff(np.append(first, len(rows)))


class DigestSet:
    """A set of 64-bit digests by open addressing: 12 to 24 bytes an entry instead of the 70 or more of a `set`.

    Digests are spread evenly already, so their lower bits are the place to look first.
    """

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * 1024))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, digest: int) -> bool:
        return self._table[self._place(digest or 1)] != 0

    def add(self, digest: int) -> None:
        digest = digest or 1  # 0 marks an empty place
        place = self._place(digest)
        if self._table[place]:
            return
        self._table[place] = digest
        self._size += 1
        if 3 * self._size > 2 * len(self._table):
            self._grow()

    def _place(self, digest: int) -> int:
        table, mask = self._table, len(self._table) - 1
        place = digest & mask
        while (there := table[place]) and there != digest:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._table
        self._table = array("Q", bytes(2 * len(old) * old.itemsize))
        for digest in old:
            if digest:
                self._table[self._place(digest)] = digest


assert array("I").itemsize == 4 and array("Q").itemsize == 8, sys.platform
