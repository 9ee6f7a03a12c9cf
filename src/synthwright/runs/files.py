"""Writing the text files of a run: whole or not at all."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from synthwright.errors import StoreError

__all__ = ["write_lines"]


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as JSONL beside the target and put the file in its place at the end.

    Line separators of Unicode are escaped, so that one record is one line for every reader.

    Raises:
        StoreError: The file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for record in records:
                line = json.dumps(record, ensure_ascii=False)
                for separator in ("\x85", "\u2028", "\u2029"):
                    line = line.replace(separator, f"\\u{ord(separator):04x}")
                file.write(line + "\n")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StoreError(
            f"Cannot write {str(path)!r}: {error.strerror or error}. Nothing is lost: the rows are in run.sqlite; "
            "run the same command again when there is room."
        ) from error
