"""What a run hands out: its progress while it works, its rows and counts when it ends."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import ConfigDict, ValidationError

from synthwright.errors import ConfigError
from synthwright.lms.budgets import Usage
from synthwright.programs.base import Generator, get_generator
from synthwright.runs.funnel import Funnel
from synthwright.runs.lock import in_use
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
    """A finished or stopped run, or what was there of one that is going on.

    Attributes:
        out: Directory of the run: the store `run.sqlite`, and `rows.jsonl` and `rejected.jsonl`, written when it ends.
        method: Name of the method.
        funnel: What was asked, lost and kept.
        usage: LM usage by (role, predictor), all sessions of the run together.
        seconds: Wall time of this session.
        stopped: Why the run ended, in words.
        complete: True if nothing is left to do: n rows, or no more to ask.
        row_type: Class of the rows.
        interrupted: True if Ctrl-C stopped it.
        shipped: Names of the predictors that used the demonstrations shipped for weak LMs.
        running: True if a process was working on it when it was read.
        as_of: When it was read, in UTC, if it had not ended: it goes on, or its process was killed. Its rows, rejects
            and counts are those of that moment, from the store, and stay so. None for a run that has ended.
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
    running: bool = False
    as_of: datetime | None = None

    def __iter__(self) -> Iterator[RowT]:
        """The rows in order, streamed."""
        return map(self.row, self.records())

    def records(self) -> Iterator[dict[str, Any]]:
        """The rows in order as JSON-ready data, streamed from `rows.jsonl`, or from the store until that is written."""
        if self.as_of is not None:
            with Store.to_read(self.out) as store:
                yield from store.records("rows", len(self))
            return
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
        """What was dropped, in order, streamed as `records` are."""
        if self.as_of is not None:
            with Store.to_read(self.out) as store:
                yield from (reject for _, reject in store.rejects(self.funnel.dropped))
            return
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
            StoreError: The run cannot be read, or the file cannot be written.
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
    """Open a run from its directory, which need not be writable. It may be going on: then it is what is there now.

    Args:
        path: The directory.
        row_type: Class of its rows. Not needed for built-in methods, nor for generators whose module is imported;
            rows of others are read as `UntypedRow`, which knows no forms for trainers.

    Raises:
        ConfigError: The directory holds no run.
        StoreError: The run cannot be read.
    """
    out = Path(path)
    if not (out / DB).is_file():
        raise ConfigError(f"{str(out)!r} is no run directory: it has no {DB!r}. `generate` makes one.")
    running = in_use(out)  # before the store is read: a run that ends in between has ended
    with Store.to_read(out) as store, store.transaction():
        config, settings = store.meta("config"), store.meta("settings") or {}
        if config is None:
            raise ConfigError(f"{str(out)!r} holds no run yet, only a store. `generate` begins one.")
        rows, asked = store.count("rows"), store.count("seeds", "admitted")
        failed, rounds = store.count("seeds", "status = 'failed'"), store.rounds()
        lost, usage = tuple(store.losses()), store.usage()
        as_of = None if _has_ended(out, store) else datetime.now(UTC)
    if as_of is None:
        with (out / "rows.jsonl").open("rb") as file:
            kept = sum(1 for _ in file)
        stopped = "read from its directory"
    else:
        kept = min(rows, settings.get("n") or rows)
        stopped = f"{'still going on' if running else 'cut off before its end'}, as of {as_of:%Y-%m-%d %H:%M:%S} UTC"
    *_, target, done = rounds[-1] if rounds else (None, True)
    return Run(
        out=out,
        method=config.get("method", ""),
        funnel=Funnel(asked=asked, failed=failed, kept=kept, lost=lost),
        usage=usage,
        seconds=0.0,
        stopped=stopped,
        complete=as_of is None and not failed and (done or (target is not None and kept >= target)),
        row_type=cast(type[RowT], row_type or _row_type(config)),
        running=running and as_of is not None,
        as_of=as_of,
    )


def _has_ended(out: Path, store: Store) -> bool:
    """Whether the last session wrote the files of the dataset; stores of older versions do not say."""
    return store.meta("ended") is not False and (out / "rows.jsonl").is_file()


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
