"""Opening SQLite files to read them, wherever they are: on a read-only mount, too."""

import shutil
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote

__all__ = ["open_to_read"]


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also while another process writes.

    A database with a write-ahead log wants to write beside itself even to be read. Where it may not, it is opened as
    one that nobody changes; if its log still holds something, because its last writer was killed, a copy of both is
    read, in the directory for temporary files. Where it may, closing it takes over the log that a killed writer left.

    Args:
        path: The file.

    Raises:
        sqlite3.Error: It cannot be read.
        OSError: It cannot be copied.
    """
    try:
        return _opened(path, "mode=rw")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise  # somebody writes: a copy would be of two moments
        log = path.with_name(path.name + "-wal")
        if not log.exists() or not log.stat().st_size:
            return _opened(path, "immutable=1")
    with tempfile.TemporaryDirectory(prefix="synthwright-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(log, copy.with_name(log.name))
        whole = sqlite3.connect(copy)  # it takes the log over into the database
        whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole.execute("PRAGMA journal_mode=DELETE")
        whole.close()
        return _opened(copy, "mode=rw")  # the open file lives on when its directory is gone


def _opened(path: Path, how: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?{how}"
    database = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA query_only=ON")
        database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except BaseException:
        database.close()
        raise
    return database
