"""One file out of a 7z archive as a stream, without unpacking it to disk or to memory."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from synthwright.errors import MissingExtraError, RetrievalError

__all__ = ["Unpacked", "unpacked"]


class Unpacked:
    """What comes out of the archive: `read` gives bytes, and none at the end. It raises what went wrong on the way."""

    def __init__(self, path: Path, pipe: BinaryIO, thread: threading.Thread, failures: list[Exception]) -> None:
        self._path, self._pipe, self._thread, self._failures = path, pipe, thread, failures

    def read(self, size: int = -1, /) -> bytes:
        data = self._pipe.read(size)
        if not data:
            self._thread.join()
            if self._failures:
                raise _unreadable(self._path, self._failures[0])
        return data


@contextmanager
def unpacked(path: Path, name: str) -> Iterator[Unpacked]:
    """Open the first file of a name in an archive, in whatever folder of it.

    py7zr pushes what it unpacks; a thread does that into a pipe, whose small size holds it back.

    Raises:
        RetrievalError: The archive is damaged, needs a password, or has no such file.
        MissingExtraError: The extra `stackexchange` is not installed.
    """
    try:
        import py7zr
        from py7zr.io import Py7zIO, WriterFactory
    except ImportError:
        raise MissingExtraError("py7zr", "stackexchange", "Reading 7z archives") from None

    class Pipe(Py7zIO):
        def __init__(self) -> None:
            self.written = 0

        def write(self, s: bytes | bytearray) -> int:
            self.written += len(s)
            return writer.write(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return self.written

        def flush(self) -> None:
            writer.flush()

        def size(self) -> int:
            return self.written

    class Pipes(WriterFactory):
        def create(self, filename: str) -> Py7zIO:
            return Pipe()

    try:  # py7zr raises errors of many kinds for damaged archives
        with py7zr.SevenZipFile(path) as archive:
            names = archive.getnames()
    except Exception as error:
        raise _unreadable(path, error) from error
    member = next((entry for entry in names if entry and PurePosixPath(entry).name == name), None)
    if member is None:
        raise RetrievalError(f"{path} holds no {name}, only: {', '.join(map(str, names[:9])) or 'nothing'}.")

    failures: list[Exception] = []
    reading, writing = os.pipe()
    reader, writer = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")

    def unpack() -> None:
        try:
            with writer, py7zr.SevenZipFile(path) as archive:
                archive.extract(targets=[member], factory=Pipes())
        except BrokenPipeError:
            pass  # nobody reads any more
        except Exception as error:  # it belongs to the reader, who raises it
            failures.append(error)

    thread = threading.Thread(target=unpack, daemon=True)
    thread.start()
    try:
        yield Unpacked(path, reader, thread, failures)
    finally:
        reader.close()
        thread.join()


def _unreadable(path: Path, error: Exception) -> RetrievalError:
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return RetrievalError(f"Cannot read the archive {path}: {said}")
