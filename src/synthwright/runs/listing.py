"""Finding run directories and reading what they are, without opening them for work: also those that are in use."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from synthwright.errors import ConfigError
from synthwright.runs.lock import in_use
from synthwright.runs.store import DB

__all__ = ["RunInfo", "find_runs", "read_info"]


@dataclass(frozen=True)
class RunInfo:
    """What one run directory holds.

    Attributes:
        path: The directory.
        method: Name of the method; empty if nothing was run there.
        rows: Rows kept.
        target: Rows asked for by the last session, or None.
        failed: Seeds that failed.
        state: `complete`, `stopped`, `running` (a process works on it), or `unreadable`.
        calls: LM calls of all sessions.
        tokens: Tokens of all sessions, in and out.
        usd: US dollars of all sessions.
        size: Bytes of all files in the directory.
        changed: When the store was written last, in seconds since the epoch.
    """

    path: Path
    method: str = ""
    rows: int = 0
    target: int | None = None
    failed: int = 0
    state: str = "unreadable"
    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    size: int = 0
    changed: float = 0.0

    @property
    def age(self) -> float:
        """Seconds since the store was written last."""
        return max(0.0, time.time() - self.changed)


def find_runs(root: Path, depth: int = 3) -> Iterator[Path]:
    """The run directories in `root`, itself included, in order of their paths; links are not followed.

    Args:
        root: Where to look; a directory that cannot be read holds none.
        depth: Levels of directories that are looked into.
    """
    if (root / DB).is_file():
        yield root
        return
    if depth <= 0:
        return
    try:
        below = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return
    for path in below:
        if not path.name.startswith("."):
            yield from find_runs(path, depth - 1)


def read_info(path: Path) -> RunInfo:
    """What a run directory holds. A store that cannot be read gives the state `unreadable`.

    Raises:
        ConfigError: The directory holds no run.
    """
    database = path / DB
    if not database.is_file():
        raise ConfigError(f"{str(path)!r} is no run directory: it has no {DB!r}. `generate` makes one.")
    files = [file for file in path.iterdir() if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    # whoever reads the store makes its other files anew, so that their times say nothing
    log = path / f"{DB}-wal"
    changed = max(
        file.stat().st_mtime for file in (database, log) if file.is_file() and (file == database or file.stat().st_size)
    )
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=1)) as db:
            meta = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM meta")}
            (rows,) = db.execute("SELECT coalesce(max(row), 0) FROM rows").fetchone()
            (failed,) = db.execute("SELECT count(*) FROM seeds WHERE status = 'failed'").fetchone()
            last = db.execute("SELECT target, done FROM rounds ORDER BY round DESC LIMIT 1").fetchone()
            calls, tokens, usd = db.execute(
                "SELECT coalesce(sum(calls), 0), coalesce(sum(input_tokens + output_tokens), 0), "
                "coalesce(sum(usd), 0) FROM usage"
            ).fetchone()
    except (sqlite3.Error, ValueError):
        return RunInfo(path, size=size, changed=changed)
    planned, ended = last or (None, False)
    target = (meta.get("settings") or {}).get("n", planned)
    complete = not failed and (bool(ended) or (target is not None and rows >= target))
    state = "running" if in_use(path) else "complete" if complete else "stopped"
    kept = min(rows, target) if target is not None else rows
    method = (meta.get("config") or {}).get("method", "")
    return RunInfo(path, method, kept, target, failed, state, calls, tokens, usd, size, changed)
