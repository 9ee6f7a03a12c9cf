"""The run store: one SQLite file per run, one transaction per finished seed."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from synthwright.errors import RunMismatchError, StoreError
from synthwright.lms.budgets import Usage
from synthwright.lms.databases import open_to_read
from synthwright.lms.journal import TABLES, Journal
from synthwright.runs.lock import take_directory
from synthwright.runs.outcome import Outcome
from synthwright.runs.record import differences
from synthwright.runs.texts import body_of, class_path, json_text, load_row, plain_text, with_subclasses
from synthwright.signatures.rows import Rejected, Row

__all__ = ["DB", "RowLog", "Store", "dump"]

DB = "run.sqlite"
FORMAT = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rounds (
    round INTEGER PRIMARY KEY, first_seed INTEGER NOT NULL, rows INTEGER NOT NULL, artifacts INTEGER NOT NULL,
    target INTEGER, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS seeds (
    seed INTEGER PRIMARY KEY, round INTEGER NOT NULL, inputs TEXT NOT NULL, status TEXT NOT NULL,
    error TEXT, seconds REAL, admitted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS outputs (seed INTEGER NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (seed, kind, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (row INTEGER PRIMARY KEY, seed INTEGER NOT NULL, position INTEGER NOT NULL,
    id TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS artifacts (artifact INTEGER PRIMARY KEY, seed INTEGER NOT NULL, class TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rejected (seed INTEGER NOT NULL, stage TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS rejected_stage ON rejected (stage, reason);
CREATE TABLE IF NOT EXISTS usage (role TEXT NOT NULL, predictor TEXT NOT NULL, calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, usd REAL NOT NULL,
    PRIMARY KEY (role, predictor)) WITHOUT ROWID;
"""


class Store:
    """The state of one run. Not shared between threads; a second process that works on the directory is refused.

    Args:
        out: Directory of the run; created if it does not exist.
        read_only: Whether to look at a run that is there: it needs neither leave nor the right to write, and a process
            may be working on the run. What is read inside one `transaction` is of one moment.

    Raises:
        StoreError: The directory cannot be created or written, is in use, or its database is damaged.
    """

    def __init__(self, out: str | Path, *, read_only: bool = False) -> None:
        self.out = Path(out)
        self._lock: FileLock | None = None
        if read_only:
            with _sql(self.out):
                self._db = open_to_read(self.out / DB)
            return
        self._lock = take_directory(self.out)
        try:
            with _sql(self.out):
                self._db = sqlite3.connect(self.out / DB, isolation_level=None, check_same_thread=False)
                try:
                    self._db.execute("PRAGMA journal_mode=WAL")
                    self._db.execute("PRAGMA synchronous=NORMAL")
                    self._db.executescript(_TABLES + TABLES)
                except BaseException:
                    self._db.close()
                    raise
            self._last_seed = self._one("SELECT coalesce(max(seed), -1) FROM seeds")[0]
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def to_read(cls, out: str | Path) -> "Store":
        """The store of a run to look at."""
        return cls(out, read_only=True)

    def close(self) -> None:
        """Close the database and let others use the directory."""
        try:
            self._db.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # What made the run

    def meta(self, key: str) -> Any:
        """A stored value, or None."""
        found = self._one("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(found[0]) if found else None

    def set_meta(self, key: str, value: Any) -> None:
        """Store a JSON value."""
        self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json_text(value))

    def claim(self, config: Mapping[str, Any]) -> None:
        """Record the configuration of a new run, or see that it equals that of the run which is here.

        Raises:
            RunMismatchError: It differs; the message shows each difference.
            StoreError: The run was written by another version of the store.
        """
        if (version := self.meta("format")) is None:
            self.set_meta("format", FORMAT)
            self.set_meta("config", config)
            self.set_meta("created", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            return
        if version != FORMAT:
            raise StoreError(f"{str(self.out)!r} holds a run of store format {version}; this version reads {FORMAT}.")
        there = self.meta("config")
        found = list(differences(there, json.loads(json.dumps(config))))
        if found:
            raise RunMismatchError(
                f"{str(self.out)!r} holds another run ({there.get('method')}, {self.count('rows')} rows):\n"
                + "\n".join(f"  {name}: there {old}, now {new}" for name, old, new in found)
                + "\nUse another output directory, or the old configuration to go on with that run."
            )

    # Rounds and seeds

    def rounds(self) -> list[tuple[int, int, int, int, int | None, bool]]:
        """(round, first seed, rows, artifacts and target when it was planned, whether all its seeds are admitted)."""
        found = self._all("SELECT round, first_seed, rows, artifacts, target, done FROM rounds ORDER BY round")
        return [(r, first, rows, artifacts, target, bool(done)) for r, first, rows, artifacts, target, done in found]

    def start_round(self, number: int, first_seed: int, rows: int, artifacts: int, target: int | None) -> None:
        """Record that a round begins, or begins anew because it had nothing to ask before."""
        self._run(
            "INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?, ?, 0)", number, first_seed, rows, artifacts, target
        )

    def finish_round(self, number: int) -> None:
        """Record that all seeds of a round are admitted."""
        self._run("UPDATE rounds SET done = 1 WHERE round = ?", number)

    def seed(self, index: int) -> tuple[str, str, bool] | None:
        """(inputs as JSON, status, whether it is admitted) of a stored seed, or None."""
        if index > self._last_seed:
            return None
        found = self._one("SELECT inputs, status, admitted FROM seeds WHERE seed = ?", index)
        return (found[0], found[1], bool(found[2])) if found else None

    def left_over(self) -> list[tuple[int, str]]:
        """(index, inputs as JSON) of the seeds that failed and were passed over.

        Those that succeeded when they were asked again, in a session that ended before it admitted them, are among
        them: their round is over, so nothing else would find them.
        """
        return self._all(
            "SELECT seed, inputs FROM seeds WHERE (status = 'failed' AND admitted) "
            "OR (NOT admitted AND round IN (SELECT round FROM rounds WHERE done)) ORDER BY seed"
        )

    def add_seed(self, index: int, round: int, inputs: str, outcome: Outcome, *, admitted: bool) -> None:
        """Store a finished seed; what it gave too, unless it is admitted in the same transaction."""
        status = "failed" if outcome.error is not None else "done"
        with self.transaction():
            self._run(
                "INSERT INTO seeds VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET status = excluded.status, "
                "error = excluded.error, seconds = excluded.seconds, admitted = excluded.admitted",
                *(index, round, inputs, status, plain_text(outcome.error), outcome.seconds, admitted),
            )
            if not admitted:
                self._many(
                    "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)",
                    [
                        (index, position, kind, body_of(item))
                        for kind, items in outcome.parts()
                        for position, item in enumerate(items)
                    ],
                )
        self._last_seed = max(self._last_seed, index)

    def add_usage(self, usage: Mapping[tuple[str, str], Usage]) -> None:
        """Add to the run's usage by role and predictor."""
        self._many(
            "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "calls = calls + excluded.calls, input_tokens = input_tokens + excluded.input_tokens, "
            "output_tokens = output_tokens + excluded.output_tokens, usd = usd + excluded.usd",
            [(*key, u.calls, u.input_tokens, u.output_tokens, u.usd) for key, u in usage.items()],
        )

    def outcome(self, index: int) -> Outcome:
        """Read back what `add_seed` stored of a seed that is not admitted."""
        error = self._one("SELECT error, seconds FROM seeds WHERE seed = ?", index)
        outcome = Outcome(error=error[0] if error else None, seconds=error[1] if error else 0.0)
        query = "SELECT kind, body FROM outputs WHERE seed = ? ORDER BY kind, position"
        for kind, body in self._all(query, index):
            if kind == "rejected":
                outcome.rejected.append(Rejected.model_validate(json.loads(body)))
            else:
                (outcome.rows if kind == "row" else outcome.artifacts).append(load_row(body))
        return outcome

    def admit(
        self,
        index: int,
        kept: Sequence[tuple[int, Row]],
        rejected: Sequence[Rejected],
        artifacts: Sequence[Row],
        *,
        stored: bool = True,
    ) -> None:
        """Record what became of a seed's output.

        Args:
            index: The seed.
            kept: Rows kept, by their position.
            rejected: What was dropped.
            artifacts: Intermediate rows.
            stored: Whether the output is in the store, where it is not needed any more.
        """
        with self.transaction():
            self._many(
                "INSERT INTO rows (seed, position, id, body) VALUES (?, ?, ?, ?)",
                [(index, position, row.id, body_of(row)) for position, row in kept],
            )
            self._many(
                "INSERT INTO artifacts (seed, class, body) VALUES (?, ?, ?)",
                [(index, class_path(type(artifact)), body_of(artifact)) for artifact in artifacts],
            )
            self._many(
                "INSERT INTO rejected VALUES (?, ?, ?, ?, ?)",
                [(index, r.stage, r.reason, plain_text(r.detail), json_text(r.content)) for r in rejected],
            )
            if stored:
                self._run("UPDATE seeds SET admitted = 1 WHERE seed = ?", index)
                self._run("DELETE FROM outputs WHERE seed = ?", index)

    def journal(self, *, earlier: tuple[Journal, ...] = ()) -> Journal:
        """The journal of the run's LM calls.

        Args:
            earlier: Journals of other runs to look into.
        """
        return Journal(self._db, earlier=earlier)

    # Reading

    def count(self, table: str, where: str = "1") -> int:
        """Number of records of a table."""
        return self._one(f"SELECT count(*) FROM {table} WHERE {where}")[0]

    def size(self, table: str, column: str) -> int:
        """Bytes of all texts in a column of a table."""
        return self._one(f"SELECT coalesce(sum(length(CAST({column} AS BLOB))), 0) FROM {table}")[0]

    def log(self, table: str, size: int | None = None) -> "RowLog":
        """The kept rows (`rows`) or the artifacts (`artifacts`), or the first `size` of them, read when asked for."""
        return RowLog(self, table, self.count(table) if size is None else size)

    def records(self, table: str, count: int) -> Iterator[dict[str, Any]]:
        """The first `count` records of `rows` or `artifacts` as data, streamed."""
        for first in range(0, count, RowLog.PAGE):
            for body in self.bodies(table, first, min(first + RowLog.PAGE, count)):
                data = json.loads(body)
                del data["class"]
                yield data

    def bodies(self, table: str, first: int, stop: int) -> list[str]:
        """JSON of the records `first` to `stop - 1` of `rows` or `artifacts`, in order of admission."""
        key = "row" if table == "rows" else "artifact"
        query = f"SELECT body FROM {table} WHERE {key} > ? AND {key} <= ? ORDER BY {key}"
        return [body for (body,) in self._all(query, first, stop)]

    def values(
        self, table: str, classes: Sequence[str], fields: Sequence[str], first: int, stop: int
    ) -> list[tuple[Any, ...]]:
        """Some fields of those artifacts `first` to `stop - 1` that are of one of the classes.

        Raises:
            UnicodeError: One of them is no text that SQLite can hold.
        """
        columns = ", ".join("json_extract(body, ?)" for _ in fields)
        query = (
            f"SELECT {columns} FROM {table} WHERE artifact > ? AND artifact <= ? "
            f"AND class IN ({', '.join('?' * len(classes))}) ORDER BY artifact"
        )
        paths = [f'$."{name}"' for name in fields]
        try:
            return self._db.execute(query, [*paths, first, stop, *classes]).fetchall()
        except sqlite3.OperationalError as error:
            if "decode" in str(error).lower():
                raise UnicodeError(str(error)) from error
            with _sql(self.out):
                raise

    def rejects(self, count: int | None = None) -> Iterator[tuple[int, Rejected]]:
        """(seed, reject) in the order of admission, the first `count` of them, streamed."""
        query = "SELECT seed, stage, reason, detail, content FROM rejected ORDER BY rowid LIMIT ?"
        with _sql(self.out):
            for seed, stage, reason, detail, content in self._db.execute(query, [-1 if count is None else count]):
                yield seed, Rejected(stage=stage, reason=reason, detail=detail, content=json.loads(content))

    def failures(self) -> Iterator[tuple[int, str]]:
        """(seed, error) of the seeds that failed, streamed."""
        with _sql(self.out):
            yield from self._db.execute("SELECT seed, error FROM seeds WHERE status = 'failed' ORDER BY seed")

    def losses(self) -> list[tuple[str, str, int]]:
        """(stage, reason, count) of the rejects, the first seen stage first."""
        return self._all("SELECT stage, reason, count(*) FROM rejected GROUP BY stage, reason ORDER BY min(rowid)")

    def usage(self) -> dict[tuple[str, str], Usage]:
        """Usage of the whole run by (role, predictor)."""
        found = self._all("SELECT role, predictor, calls, input_tokens, output_tokens, usd FROM usage")
        return {(role, predictor): Usage(*numbers) for role, predictor, *numbers in found}

    # SQLite

    def _run(self, query: str, *values: Any) -> None:
        with _sql(self.out):
            self._db.execute(query, values)

    def _one(self, query: str, *values: Any) -> Any:
        with _sql(self.out):
            return self._db.execute(query, values).fetchone()

    def _all(self, query: str, *values: Any) -> list[Any]:
        with _sql(self.out):
            return self._db.execute(query, values).fetchall()

    def _many(self, query: str, records: list[Any]) -> None:
        if records:
            with _sql(self.out):
                self._db.executemany(query, records)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside another is part of it."""
        if self._db.in_transaction:
            yield
            return
        with _sql(self.out):
            self._db.execute("BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


class RowLog(Sequence[Row]):
    """Rows that stay in the store and are read in pages when asked for."""

    PAGE = 256

    def __init__(self, store: Store, table: str, size: int) -> None:
        self._store, self._table, self._size = store, table, size
        self._page: tuple[int, list[Row]] = (-1, [])

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._size))]
        if not -self._size <= index < self._size:
            raise IndexError(index)
        index %= self._size
        page, offset = divmod(index, self.PAGE)
        if self._page[0] != page:
            bodies = self._store.bodies(self._table, page * self.PAGE, min((page + 1) * self.PAGE, self._size))
            self._page = (page, [load_row(body) for body in bodies])
        return self._page[1][offset]

    def values(self, kind: type[Row], fields: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Some fields of the artifacts of one type, read by the database: a tenth of the time that making them takes.

        Args:
            kind: The type; its subclasses count too.
            fields: Names of fields that hold text, numbers or None.
        """
        known = [class_path(each) for each in with_subclasses(kind)]
        for first in range(0, self._size, 16 * self.PAGE):
            stop = min(first + 16 * self.PAGE, self._size)
            try:
                yield from self._store.values(self._table, known, fields, first, stop)
            except UnicodeError:  # half a character, which JSON can hold and a text of SQLite cannot
                rows = (self[index] for index in range(first, stop))
                yield from (tuple(getattr(row, f) for f in fields) for row in rows if isinstance(row, kind))


_SORTED = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


def dump(value: Any) -> str:
    """JSON text with sorted keys that SQLite takes: half characters, which an LM can write as escapes, stay escapes.

    Raises:
        TypeError: The value is not JSON-ready.
    """
    text = _SORTED.encode(value)
    return text if plain_text(text) == text else json.dumps(value, sort_keys=True)


@contextmanager
def _sql(out: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        name = os.fspath(out / DB)
        text = str(error)
        if "full" in text:
            hint = "The disk is full: free some space and run the same command again; what was stored is kept."
        elif "locked" in text or "busy" in text:
            hint = "Another program holds the database open."
        elif "malformed" in text or "not a database" in text:
            hint = "The file is damaged; `sqlite3 run.sqlite .recover` can save what is readable."
        else:
            hint = "What was stored before is kept."
        raise StoreError(f"Cannot use the run store {name!r}: {text}. {hint}") from error
