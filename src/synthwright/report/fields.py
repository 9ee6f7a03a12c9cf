"""What the fields of a dataset hold: texts and their lengths, labels and their counts, numbers and their spread."""

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from synthwright.filters.words import words

__all__ = ["Field", "Fields", "histogram", "values_of"]

MOST_VALUES = 1_000
"""Different values of a field that are counted; a field with more holds no labels."""

MOST_LABELS = 40
"""Different values up to which a field can be picked from a list."""

MOST_NUMBERS = 12
"""Different numbers up to which each has a bar of its own."""

LONGEST_LABEL = 60
"""Characters of the longest label."""

_NOT_CONTENT = ("id", "parent_ids", "provenance")


@dataclass
class Field:
    """One field, looked at row by row.

    Attributes:
        name: Name of the field; `outer.inner` for a field of a nested record.
        present: Rows that have a value.
        counts: How often each value occurs, as text; empty once there are too many.
        several: Whether a row may have several values (a list of short texts).
    """

    name: str
    present: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    several: bool = False
    _many: bool = False
    _longest: int = 0
    _kinds: set[str] = field(default_factory=set)
    _numbers: "array[float]" = field(default_factory=lambda: array("d"))
    _words: "array[int]" = field(default_factory=lambda: array("L"))

    def look(self, value: Any) -> None:
        """Take notice of the value of one row."""
        self.present += 1
        if isinstance(value, list):
            self.several = True
            self._kinds.add("list")
            for entry in dict.fromkeys(value):  # rows are counted, not values
                self._count(entry)
            return
        kind = "bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "text"
        self._kinds.add(kind)
        if kind == "number" and math.isfinite(value):
            self._numbers.append(float(value))
        elif isinstance(value, str):
            self._words.append(len(words(value)))
        self._count(value)

    def _count(self, value: Any) -> None:
        text = label(value)
        self._longest = max(self._longest, len(text))
        if not self._many:
            self.counts[text] += 1
            if len(self.counts) > MOST_VALUES:
                self._many = True
                self.counts.clear()

    @property
    def kind(self) -> str:
        """`constant`, `label`, `number`, `text` or `other`."""
        if not self._many and len(self.counts) <= 1 and not self.several:
            return "constant" if "text" not in self._kinds or self._longest <= LONGEST_LABEL else "text"
        if self._kinds == {"number"}:
            return "number"
        # values that come back are labels, such as a tag; those that do not are texts, however short
        repeated = not self._many and self.counts.total() >= 2 * len(self.counts)
        if repeated and self._longest <= LONGEST_LABEL:
            return "label"
        return "text" if self._kinds == {"text"} else "other"

    @property
    def facet(self) -> bool:
        """Whether rows can be picked by its value."""
        few = 1 < len(self.counts) <= MOST_LABELS and not self._many
        return few and (self.kind == "label" or (self.kind == "number" and len(self.counts) <= MOST_NUMBERS))

    def bars(self) -> list[tuple[str, int]]:
        """(label, rows) of a distribution: of labels the most frequent first, of numbers in their order."""
        if self.kind == "number":
            if not self._many and len(self.counts) <= MOST_NUMBERS:
                return sorted(self.counts.items(), key=lambda item: float(item[0]))
            return histogram(self._numbers)
        if self.kind == "label":
            return self.counts.most_common()
        return []

    def lengths(self) -> list[tuple[str, int]]:
        """(range of words, rows) of a text field."""
        return histogram(self._words) if self.kind == "text" else []

    @property
    def mean_words(self) -> float:
        """Mean number of words of a text field."""
        return sum(self._words) / len(self._words) if self._words else 0.0

    def summary(self) -> dict[str, float]:
        """Least, median, mean and largest number, or number of words."""
        values = sorted(self._numbers if self.kind == "number" else self._words)
        if not values:
            return {}
        return {
            "least": values[0],
            "median": values[len(values) // 2],
            "mean": sum(values) / len(values),
            "largest": values[-1],
        }


class Fields:
    """All fields of a dataset, in the order of the row class.

    Attributes:
        rows: Rows looked at.
        copies: Rows whose main text equals that of an earlier row, case and white space aside.
    """

    def __init__(self) -> None:
        self.rows = self.copies = 0
        self._all: dict[str, Field] = {}
        self._seen: set[bytes] = set()

    def look(self, record: Mapping[str, Any]) -> None:
        """Take notice of one row."""
        self.rows += 1
        for name, value in values_of(record):
            if name not in self._all:
                self._all[name] = Field(name)
            self._all[name].look(value)
        text = " ".join(main_text(record).casefold().split())
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self.copies += digest in self._seen
        self._seen.add(digest)

    def of_kind(self, *kinds: str) -> list[Field]:
        """The fields of these kinds."""
        return [found for found in self._all.values() if found.kind in kinds]

    def facets(self) -> list[Field]:
        """The fields by which rows can be picked."""
        return [found for found in self._all.values() if found.facet]


def values_of(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of what can be counted: simple values, lists of short texts, and those of nested records.

    Keys that join rows (names that end in `id` or `ids`) are left out, as are empty texts and lists.
    """
    for name, value in record.items():
        if name in _NOT_CONTENT or name.endswith(("_id", "_ids")):
            continue
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", v) for inner, v in values_of(value) if "." not in inner)
        elif isinstance(value, bool | int | float) or (isinstance(value, str) and value):
            yield name, value
        elif isinstance(value, list) and value and all(isinstance(entry, str) for entry in value):
            yield name, value


def main_text(record: Mapping[str, Any]) -> str:
    """The text that a row is about: its first field with a text of three words or more, else all its texts."""
    texts = [value for _, value in values_of(record) if isinstance(value, str)]
    return next((text for text in texts if len(text.split()) > 2), "\n".join(texts))


def label(value: Any) -> str:
    """A value as a label."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def histogram(values: "array[Any]", bins: int = 24) -> list[tuple[str, int]]:
    """(range, count) in bins of equal width; what lies beyond the 99th percentile is in the last one."""
    if not values:
        return []
    ordered = sorted(values)
    low, high = ordered[0], ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.99))]
    whole = all(value == int(value) for value in ordered)
    width = _round_width((high - low + whole) / bins or 1.0, whole)
    if not whole or width > 1:
        low = math.floor(low / width) * width
    count = math.floor((high - low) / width) + 1
    totals = [0] * count
    for value in ordered:
        totals[min(count - 1, int((value - low) / width))] += 1
    beyond = ordered[-1] > high

    def name(index: int) -> str:
        start = round(low + index * width, 12)
        if index == count - 1 and beyond:
            return f"{start:g} and more"
        if whole:
            return f"{start:g}" if width == 1 else f"{start:g}–{start + width - 1:g}"
        return f"{start:g}–{round(start + width, 12):g}"

    return [(name(index), total) for index, total in enumerate(totals)]


def _round_width(least: float, whole: bool) -> float:
    """The next of 1, 2, 5, 10, 20 ... (and 0.5, 0.2 ... unless numbers are whole) from `least` upwards."""
    power = 10.0 ** math.floor(math.log10(least))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))
    return max(1.0, width) if whole else width
