"""One process at a time works on a run directory. Readers need no leave: they see what was there at one moment."""

import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from synthwright.errors import StoreError

__all__ = ["in_use", "take_directory"]

LOCK = ".lock"

_GLANCE = 0.2
"""Seconds to wait for the lock: who looks whether it is taken holds it for a moment."""


def take_directory(out: Path) -> FileLock:
    """The lock of a run directory, taken; the directory is made if it does not exist.

    Raises:
        StoreError: It cannot be made or written, or is in use.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        lock = FileLock(out / LOCK)
        lock.acquire(timeout=_GLANCE)
    except Timeout as error:
        raise StoreError(
            f"{str(out)!r} is in use by another run, of this or of another process, that is still going on."
        ) from error
    except OSError as error:
        raise StoreError(f"Cannot write to {str(out)!r}: {error.strerror or error}.") from error
    return lock


def in_use(out: Path) -> bool:
    """Whether a process works on a run. False where that cannot be seen, as on a read-only mount."""
    if not (out / LOCK).is_file():
        return False
    try:
        with FileLock(out / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
