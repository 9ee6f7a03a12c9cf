"""export(): write the rows of a run to a file, a directory with a dataset card, or the Hugging Face hub."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError, StoreError, did_you_mean
from synthwright.export.card import dataset_card, is_ours
from synthwright.export.formats import get_format
from synthwright.export.hub import push
from synthwright.export.records import SPLITS, Records
from synthwright.export.tables import KINDS, WRITERS
from synthwright.runs.run import Run

__all__ = ["Exported", "dataset", "export"]

HUB = "hub:"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        to: The target, as it was given; for the hub the address of the dataset.
        format: Name of the format.
        counts: Records by split.
        files: Files by split; none for the hub.
        skipped: Rows that have no such form, by reason.
        notes: What a person should know about the data, in sentences.
    """

    to: str
    format: str
    counts: dict[str, int]
    files: dict[str, Path] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        files = {split: str(path) for split, path in self.files.items()}
        return {**asdict(self), "files": files, "notes": list(self.notes)}

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        lines = [f"{self.format}: {counts} -> {', '.join(map(str, self.files.values())) or self.to}"]
        lines += [f"left out, {reason}: {count:,} rows" for reason, count in self.skipped.items()]
        return "\n".join([*lines, *self.notes])


def export(
    run: Run[Any],
    format: str,
    to: str | Path,
    *,
    test: float | None = None,
    standard: bool = False,
    columns: Sequence[str] = (),
    kind: str | None = None,
    license: str | None = None,
    public: bool = False,
    seed: int = 0,
) -> Exported:
    """Write the rows of a run in a form that trainers read, streaming them; a test set takes some 120 bytes a row.

    Nothing is written before every row was looked at. Rows that have no such form are left out and counted.

    Args:
        run: A run; `load_run` opens one from its directory.
        format: Name of a format, see `FORMATS`.
        to: A file (.jsonl, .parquet, .csv); a directory, which gets `data/train.parquet` and a card, `README.md`; or
            `hub:OWNER/NAME`, a dataset on the Hugging Face hub, for which you must be logged in there.
        test: Share of the rows for a test set, in (0, 1); rows of one lineage are never on both sides. A file
            `x.jsonl` then becomes `x-train.jsonl` and `x-test.jsonl`.
        standard: Prompts and answers as plain text instead of lists of messages.
        columns: Fields of the rows to put beside the format's columns, such as `id`, or `label` for a reward function.
        kind: `jsonl`, `parquet` or `csv` for a directory; a file's suffix says it.
        license: Licence for the card, such as `cc-by-4.0`. It is yours to choose within what the licences of the LM
            and of the sources allow; None is shown as unknown.
        public: Make a new dataset on the hub public.
        seed: Of the choice of test rows.

    Raises:
        ConfigError: An argument is wrong, or no row has the form; the message names those that there are.
        StoreError: The target cannot be written, or the hub refuses.
    """
    target = str(to)
    path = Path(to)
    on_hub, is_file = target.startswith(HUB), path.suffix.lower() in KINDS
    if not on_hub and path.suffix and not is_file and not path.is_dir():
        raise ConfigError(
            f"Cannot tell what {target!r} should be: a file ends with {', '.join(KINDS)}, a directory has no suffix, "
            "and the hub is hub:OWNER/NAME."
        )
    kind = _kind(kind, path if is_file and not on_hub else None)
    records = Records(run, get_format(format), standard, tuple(columns), typed=on_hub or kind == "parquet")
    if not (on_hub or is_file):
        _check_directory(path)
    records.look(test, seed)
    done = Exported(target, format, records.counts, skipped=dict(records.skipped), notes=_notes(records, kind))
    if on_hub:
        name = target.removeprefix(HUB)
        card = dataset_card(run, records, title=name.rpartition("/")[2], license=license)
        url = push(records, name, card, public=public)
        return Exported(url, format, done.counts, {}, done.skipped, done.notes)
    if is_file:
        files = {split: path if test is None else _with_split(path, split) for split in records.counts}
    else:
        files = {split: path / "data" / f"{split}.{kind}" for split in records.counts}
    card = "" if is_file else dataset_card(run, records, title=path.resolve().name, license=license, kind=kind)
    try:
        if is_file:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            _prepare(path, card)
    except OSError as error:
        raise StoreError(f"Cannot write to {target!r}: {error.strerror or error}.") from error
    for split, file in files.items():
        WRITERS[kind](file, records.stream(split), records.schema)
    return Exported(target, format, done.counts, files, done.skipped, done.notes)


def dataset(
    run: Run[Any],
    format: str = "raw",
    *,
    test: float | None = None,
    standard: bool = False,
    columns: Sequence[str] = (),
    seed: int = 0,
) -> Any:
    """The rows of a run as a `datasets.Dataset`, mapped from a file in the run's directory, not read into memory.

    Returns:
        A `Dataset`, or with `test` a `DatasetDict` of `train` and `test`.

    Raises:
        ConfigError: As `export`.
    """
    import datasets

    records = Records(run, get_format(format), standard, tuple(columns))
    records.look(test, seed)
    made = {}
    for split in records.counts:
        path = run.out / f".dataset-{format}-{split}.arrow"
        WRITERS["arrow"](path, records.stream(split), records.schema)
        made[split] = datasets.Dataset.from_file(str(path))
    return made["train"] if test is None else datasets.DatasetDict(made)


def _kind(kind: str | None, file: Path | None) -> str:
    known = sorted({*KINDS.values()})
    if kind is not None and kind not in known:
        raise ConfigError(f"No kind of file {kind!r}. {did_you_mean(kind, known)}")
    if file is None:
        return kind or "parquet"
    if kind not in (None, KINDS[file.suffix.lower()]):
        raise ConfigError(f"`kind` says {kind} and the file is {file.name!r}; leave `kind` out.")
    return KINDS[file.suffix.lower()]


def _with_split(path: Path, split: str) -> Path:
    return path.with_name(f"{path.stem}-{split}{path.suffix}")


def _check_directory(path: Path) -> None:
    """A directory is written to if it is empty or holds an earlier export: nothing of the user's is overwritten."""
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{str(path)!r} is a file; name a directory, or a file that ends with {', '.join(KINDS)}.")
    readme = path / "README.md"
    ours = readme.is_file() and is_ours(readme.read_text(encoding="utf-8", errors="replace"))
    if path.is_dir() and any(path.iterdir()) and not ours:
        raise ConfigError(f"{str(path)!r} holds files that are no export; name a new or an empty directory.")


def _prepare(path: Path, card: str) -> None:
    """Write the card, which marks the directory as ours, and remove the data of an earlier export."""
    (path / "data").mkdir(parents=True, exist_ok=True)
    (path / "README.md").write_text(card, encoding="utf-8")
    for split in SPLITS:
        for kind in {*KINDS.values()}:
            (path / "data" / f"{split}.{kind}").unlink(missing_ok=True)


def _notes(records: Records, kind: str) -> tuple[str, ...]:
    notes = []
    if records.run.as_of is not None:
        notes.append(f"The run has not ended: these are the {len(records.run):,} rows it had ({records.run.stopped}).")
    if records.repaired:
        notes.append(
            f"Texts with halves of characters: {records.repaired:,}. No UTF-8 file can hold those, so U+FFFD stands in "
            "their place; the run's own rows.jsonl has them as they were."
        )
    if kind == "csv" and records.formulas:
        notes.append(
            f"Records with a cell that starts like a formula (= + - @): {records.formulas:,}. Nothing was changed; do "
            "not open the file in a spreadsheet, load it with code."
        )
    return tuple(notes)
