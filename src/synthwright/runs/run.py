"""What a run hands out: its progress while it works, its rows and counts when it ends."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from synthwright.lms.budgets import Usage
from synthwright.runs.funnel import Funnel
from synthwright.signatures.rows import Rejected, Row

__all__ = ["Progress", "Run"]

RowT = TypeVar("RowT", bound=Row)


@dataclass
class Progress:
    """Where a run stands; handed to the `progress` callback after each admitted seed.

    Attributes:
        method: Name of the method.
        target: Rows wanted, or None.
        rows: Rows kept.
        made: Candidates that came back so far, kept or not.
        seeds: Seeds finished.
        failed: Seeds that failed.
        usage: LM usage of the whole run.
        calls_per_second: Of this session.
        seconds: Wall time of this session.
        last_row: The row kept last, or None.
        last_reject: The candidate dropped last, or None.
        done: True in the last call.
    """

    method: str
    target: int | None
    rows: int = 0
    made: int = 0
    seeds: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)
    calls_per_second: float = 0.0
    seconds: float = 0.0
    last_row: Row | None = None
    last_reject: Rejected | None = None
    done: bool = False


@dataclass
class Run(Generic[RowT]):
    """A finished (or stopped) run.

    Attributes:
        out: Directory of the run: `rows.jsonl`, `rejected.jsonl` and the store `run.sqlite`.
        method: Name of the method.
        funnel: What was asked, lost and kept.
        usage: LM usage by (role, predictor), all sessions of the run together.
        seconds: Wall time of this session.
        stopped: Why the run ended, in words.
        complete: True if nothing is left to do: n rows, or no more to ask.
        row_type: Class of the rows.
        interrupted: True if Ctrl-C stopped it.
        shipped: Names of the predictors that used the demonstrations shipped for weak LMs.
    """

    out: Path
    method: str
    funnel: Funnel
    usage: dict[tuple[str, str], Usage]
    seconds: float
    stopped: str
    complete: bool
    row_type: type[RowT]
    interrupted: bool = False
    shipped: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[RowT]:
        """The rows in order, streamed from `rows.jsonl`."""
        with (self.out / "rows.jsonl").open(encoding="utf-8") as file:
            for line in file:
                data = json.loads(line)
                try:
                    yield self.row_type.model_validate(data)
                except ValidationError:
                    yield _fitting(self.row_type, data).model_validate(data)

    def __len__(self) -> int:
        return self.funnel.kept

    @property
    def rows(self) -> list[RowT]:
        """All rows in memory."""
        return list(self)

    @property
    def total_usage(self) -> Usage:
        """LM usage of the whole run."""
        total = Usage()
        for usage in self.usage.values():
            total.add(usage)
        return total

    def dataset(self) -> Any:
        """The rows as a `datasets.Dataset`, memory-mapped."""
        import datasets

        path = self.out / "rows.jsonl"
        if not path.stat().st_size:  # the JSON reader wants a first row
            content = [name for name in self.row_type.model_fields if name not in ("parent_ids", "provenance")]
            return datasets.Dataset.from_dict({name: [] for name in ("id", *content, "parent_ids", "provenance")})
        return datasets.Dataset.from_json(str(path))


def _fitting(base: type[RowT], data: dict[str, Any]) -> type[RowT]:
    """The class that a row of another class than the generator's own was made from; rows do not name theirs."""
    for cls in base.__subclasses__():
        try:
            cls.model_validate(data)
            return cls
        except ValidationError:
            if (found := _fitting(cls, data)) is not cls:
                return found
    return base
