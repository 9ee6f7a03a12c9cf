"""The rows of a run as the records of a format: looked through once, then streamed as often as files are written."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from synthwright.errors import ConfigError, did_you_mean
from synthwright.export.formats import FORMATS, Format, Unfit
from synthwright.export.split import Lineages, choose, keys_of
from synthwright.export.tables import Types, clean, starts_a_formula
from synthwright.runs.run import Run, UntypedRow
from synthwright.signatures.rows import Row

__all__ = ["SPLITS", "Records", "offered"]

SPLITS = ("train", "test")

_SKIP, _TRAIN, _TEST = 0, 1, 2  # what becomes of a row


@dataclass
class Records:
    """The records of a run in one format, none of them in memory.

    Attributes:
        run: The run.
        format: The format.
        standard: Whether conversations are plain text.
        columns: Fields of the rows that are put beside the format's own columns.
        typed: Whether the records must have a schema; text files need none.
        schema: Arrow schema of the records, or None.
        names: The columns.
        counts: Records by split.
        skipped: Rows without such a form, by reason.
        repaired: Texts with half characters, which were replaced.
        formulas: Records with a text that a spreadsheet would take for a formula.
    """

    run: Run[Any]
    format: Format
    standard: bool = False
    columns: Sequence[str] = ()
    typed: bool = True
    schema: Any = None
    names: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    formulas: int = 0
    _marks: bytearray = field(default_factory=bytearray)  # what becomes of each row

    def look(self, test: float | None = None, seed: int = 0) -> None:
        """Read all rows once: which have the form, of what types they are, and into which split each goes.

        Args:
            test: Share of the rows for the test set, or None for no test set.
            seed: Of the choice of test rows.

        Raises:
            ConfigError: No row has the form, a column is not there, or the rows cannot be split.
        """
        self._check()
        given = self.format.types(self.standard) or {"id": "text", "parent_ids": "texts"}
        types, lineages = Types(given, self.typed), Lineages()
        fitting, margins = array("L"), True
        self.counts = {"train": 0} if test is None else {"train": 0, "test": 0}
        sizes = bytearray()
        for index, data in enumerate(self.run.records()):
            row = self.run.row(data) if self.format.columns or test is not None else None
            try:
                records = self._convert(data, row)
            except Unfit as unfit:
                self.skipped[str(unfit)] += 1
                self._marks.append(_SKIP)
                continue
            self._marks.append(_TRAIN)
            for record in records:
                fixed, repaired = clean(record)
                self.repaired += repaired
                self.formulas += starts_a_formula(fixed)
                margins = margins and fixed.get("margin") is not None
                types.see(fixed)
            if test is not None and row is not None:
                fitting.append(index)
                sizes.append(len(records))
                lineages.add(keys_of(row))
            else:
                self.counts["train"] += len(records)
        if not any(self._marks):
            if self._marks or self.format.columns:
                raise self._nothing()
            types.see(dict.fromkeys(self._fields()))
        if "margin" in self.format.columns and not margins:  # a trainer that reads it wants a number in every row
            del types.names["margin"]
        self.schema, self.names = types.schema(), list(types.names)
        if test is not None:
            groups = lineages.groups()
            chosen = choose(groups, test, seed)
            for index, group, size in zip(fitting, groups, sizes, strict=True):
                self._marks[index] = _TEST if group in chosen else _TRAIN
                self.counts["test" if group in chosen else "train"] += size

    def stream(self, split: str) -> Iterator[dict[str, Any]]:
        """The records of a split, each with all columns of the schema."""
        wanted = _TRAIN if split == "train" else _TEST
        for mark, data in zip(self._marks, self.run.records(), strict=True):
            if mark == wanted:
                row = self.run.row(data) if self.format.columns else None
                for record in self._convert(data, row):
                    record = clean(record)[0]
                    yield {name: record.get(name) for name in self.names}

    def _convert(self, data: dict[str, Any], row: Row | None) -> list[dict[str, Any]]:
        if row is None or not self.format.columns:
            return [data]  # the rows as they are need no class
        records = self.format.convert(row, self.standard)
        extra = {name: data.get(name) for name in self.columns}
        return [{**record, **extra} for record in records]

    def _fields(self) -> list[str]:
        """Columns of the rows as they are."""
        tail = ("parent_ids", "provenance")
        return ["id", *(name for name in self.run.row_type.model_fields if name not in tail), *tail]

    def _check(self) -> None:
        name = self.format.name
        if self.run.row_type is UntypedRow and self.format.columns:
            raise ConfigError(
                f"The class of the rows in {str(self.run.out)!r} is not known here, so only the format `raw` works. In "
                f"Python, import your module and pass the class: load_run(path, Riddle).export({name!r}, ...)."
            )
        if self.standard and not self.format.both:
            both = ", ".join(other.name for other in FORMATS.values() if other.both)
            raise ConfigError(f"The format {name!r} has one form only; `standard` is for {both}.")
        known = self._fields()
        for column in self.columns:
            if not self.format.columns:
                raise ConfigError("The format 'raw' has all columns already; leave `columns` out.")
            if column in self.format.columns:
                raise ConfigError(f"The format {name!r} has a column {column!r} of its own.")
            if column not in known:
                raise ConfigError(f"The rows have no field {column!r}. {did_you_mean(column, known)}")

    def _nothing(self) -> ConfigError:
        if not self._marks:
            return ConfigError(f"The run {str(self.run.out)!r} has no rows: there is nothing to export.")
        reasons = "; ".join(f"{reason} ({count} rows)" for reason, count in self.skipped.most_common())
        return ConfigError(
            f"No row of this {self.run.method} run has the form {self.format.name!r}: {reasons}. "
            f"It offers: {', '.join(offered(self.run))}."
        )


def offered(run: Run[Any], rows: int = 200) -> list[str]:
    """Names of the formats that some of the first rows of a run have."""
    found = {"raw"}
    for data in islice(run.records(), rows):
        row: Row = run.row(data)
        for name, form in FORMATS.items():
            try:
                form.convert(row)
            except Unfit:
                continue
            found.add(name)
    return [name for name in FORMATS if name in found]
