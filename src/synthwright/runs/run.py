"""What a run hands out: its progress while it works, its rows and counts when it ends."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import ConfigDict, ValidationError

from synthwright.errors import ConfigError
from synthwright.lms.budgets import Usage
from synthwright.programs.base import Generator, get_generator
from synthwright.runs.funnel import Funnel
from synthwright.runs.store import DB, Store
from synthwright.signatures.rows import Rejected, Row

if TYPE_CHECKING:
    from synthwright.export import Exported

__all__ = ["Progress", "Run", "UntypedRow", "load_run"]

RowT = TypeVar("RowT", bound=Row)
ArtifactT = TypeVar("ArtifactT", bound=Row)


@dataclass
class Progress:
    """Where a run stands; handed to the `progress` callback after each admitted seed, and while calls arrive.

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
        return map(self.row, self.records())

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows in order as JSON-ready data, streamed from `rows.jsonl`."""
        with (self.out / "rows.jsonl").open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def row(self, record: dict[str, Any]) -> RowT:
        """The row of one of the `records`."""
        try:
            return self.row_type.model_validate(record)
        except ValidationError:
            return _fitting(self.row_type, record).model_validate(record)

    def __len__(self) -> int:
        return self.funnel.kept

    @property
    def rows(self) -> list[RowT]:
        """All rows in memory."""
        return list(self)

    def artifacts(self, kind: type[ArtifactT]) -> list[ArtifactT]:
        """The intermediate results of one type that the run made, in order, such as what a tree has grown."""
        with Store.to_read(self.out) as store:
            return [artifact for artifact in store.log("artifacts") if isinstance(artifact, kind)]

    @property
    def total_usage(self) -> Usage:
        """LM usage of the whole run."""
        total = Usage()
        for usage in self.usage.values():
            total.add(usage)
        return total

    def rejects(self) -> Iterator[Rejected]:
        """What was dropped, in order, streamed from `rejected.jsonl`."""
        with (self.out / "rejected.jsonl").open(encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                record.pop("seed")  # the index of the seed that gave it
                yield Rejected.model_validate(record)

    def config(self) -> dict[str, Any]:
        """What made the run: method, generator, arguments, prompts, lms, filters, seed, and `created`, a date.

        `settings` holds what may change from session to session, as the last one had it: n, concurrency, budget,
        prices, workers, journal, the predictors with shipped demonstrations, and the version of synthwright.
        """
        with Store.to_read(self.out) as store:
            config = store.meta("config") or {}
            return {**config, "created": store.meta("created"), "settings": store.meta("settings") or {}}

    def prompts(self) -> dict[str, Any]:
        """Instructions, field descriptions and demonstrations by predictor, as `Generator.save_prompts` writes them."""
        with Store.to_read(self.out) as store:
            return store.meta("prompts") or {}

    def report(self, to: str | Path | None = None, **options: Any) -> Path:
        """Write a page about the run, one HTML file that opens offline, and return its path.

        Args:
            to: The file; None for `report.html` in the directory of the run.
            **options: `embed` and `most` of `synthwright.report.write_report`.

        Raises:
            ConfigError: An option is wrong.
            StoreError: The run is in use, or the file cannot be written.
        """
        from synthwright.report import write_report

        return write_report(self, to, **options)

    def dataset(self, format: str = "raw", *, test: float | None = None, **options: Any) -> Any:
        """The rows as a `datasets.Dataset`, memory-mapped; a `DatasetDict` of train and test with `test`.

        Args:
            format: A format of `export`; `raw` for the rows as they are.
            test: Share of the rows for a test set that shares no lineage with the train set.
            **options: `standard`, `columns` and `seed` of `export`.

        Raises:
            ConfigError: As `export`.
        """
        from synthwright.export import dataset

        return dataset(self, format, test=test, **options)

    def export(self, format: str, to: str | Path, **options: Any) -> "Exported":
        """Write the rows in a form that trainers read.

        Args:
            format: messages, sft, preference, unpaired, prompt-only, text, alpaca, sharegpt or raw.
            to: A file (.jsonl, .parquet, .csv), a directory (Parquet with a dataset card), or `hub:OWNER/NAME`.
            **options: See `synthwright.export.export`.

        Raises:
            ConfigError: An argument is wrong, or no row has that form; the message says which forms there are.
            StoreError: The target cannot be written.
        """
        from synthwright.export import export

        return export(self, format, to, **options)


class UntypedRow(Row):
    """A row whose class is not known here: any fields."""

    model_config = ConfigDict(frozen=True, extra="allow")


def load_run(path: str | Path, row_type: type[RowT] | None = None) -> Run[RowT]:
    """Open a finished run from its directory, which need not be writable.

    Args:
        path: The directory.
        row_type: Class of its rows. Not needed for built-in methods, nor for generators whose module is imported;
            rows of others are read as `UntypedRow`, which knows no forms for trainers.

    Raises:
        ConfigError: The directory holds no run.
        StoreError: The run is in use, or cannot be read.
    """
    out = Path(path)
    for name in (DB, "rows.jsonl"):
        if not (out / name).is_file():
            raise ConfigError(f"{str(out)!r} is no run directory: it has no {name!r}. `generate` makes one.")
    with (out / "rows.jsonl").open("rb") as file:
        kept = sum(1 for _ in file)
    with Store.to_read(out) as store:
        config = store.meta("config") or {}
        failed, rounds = store.count("seeds", "status = 'failed'"), store.rounds()
        funnel = Funnel(asked=store.count("seeds", "admitted"), failed=failed, kept=kept, lost=tuple(store.losses()))
        usage = store.usage()
    *_, target, ended = rounds[-1] if rounds else (None, True)
    return Run(
        out=out,
        method=config.get("method", ""),
        funnel=funnel,
        usage=usage,
        seconds=0.0,
        stopped="read from its directory",
        complete=not failed and (ended or (target is not None and kept >= target)),
        row_type=cast(type[RowT], row_type or _row_type(config)),
    )


def _row_type(config: Mapping[str, Any]) -> type[Row]:
    """The row class of the generator of a run; nothing is imported but built-in methods."""
    module, _, name = str(config.get("generator", "")).partition(":")
    if module.startswith("synthwright.programs."):
        return get_generator(config["method"]).row_type()
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found.row_type() if isinstance(found, type) and issubclass(found, Generator) else UntypedRow


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
