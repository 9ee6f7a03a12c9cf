"""Answers of web services on disk: kept for some days, whole or not at all."""

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError
from synthwright.retrieval.base import cache_directory

__all__ = ["AnswerCache"]

CLOCK_SKEW = 60.0
"""Seconds that a file may lie in the future, on file servers whose clock is ahead, before it counts as expired."""


class AnswerCache:
    """JSON values by key, one file each. Any number of processes may share a directory.

    A file is written beside its place and moved there, so a reader never sees half of one. A damaged or expired file
    counts as absent and is removed. A directory that cannot be written only costs the cache, never the answer.

    Args:
        directory: Where the files lie; None for `answers` in the cache directory of synthwright
            (`SYNTHWRIGHT_CACHE`, else the user's cache directory of the platform).
        days: How long an answer is kept, above 0.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, *, days: float = 30) -> None:
        if not days > 0:
            raise ConfigError(f"`days` must be above 0, got {days!r}. To keep nothing, pass `cache=None`.")
        self.directory = Path(directory) if directory is not None else cache_directory() / "answers"
        self.days = days
        self._pruned: set[Path] = set()

    def get(self, key: str) -> Any:
        """The value kept for a key, or None."""
        path = self._path(key)
        try:
            if self._expired(path):
                raise ValueError("expired")
            digest, _, text = path.read_bytes().partition(b"\n")
            if digest.decode() != hashlib.sha256(text).hexdigest():
                raise ValueError("damaged")
            entry = json.loads(text)
            return entry["value"] if entry["key"] == key else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError):
            with suppress(OSError):
                path.unlink()
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep a JSON-ready value. Values that were kept for too long are removed from the same folder."""
        path = self._path(key)
        text = json.dumps({"key": key, "value": value}, ensure_ascii=True).encode()
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prune(path.parent)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
                temporary = file.name
                file.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
            os.replace(temporary, path)
        except OSError:
            if temporary is not None:
                with suppress(OSError):
                    os.unlink(temporary)

    def clear(self) -> None:
        """Remove everything that this cache keeps."""
        for path in self.directory.glob("??/*"):
            if path.suffix in (".json", ".part"):
                with suppress(OSError):
                    path.unlink()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self.directory / name[:2] / f"{name[2:]}.json"

    def _expired(self, path: Path) -> bool:
        return not -CLOCK_SKEW <= time.time() - path.stat().st_mtime < self.days * 86400

    def _prune(self, folder: Path) -> None:
        """Remove what is expired, once for each of the 256 folders in the life of this object."""
        if folder in self._pruned:
            return
        self._pruned.add(folder)
        for path in folder.iterdir():
            with suppress(OSError):
                if self._expired(path):
                    path.unlink()
