"""Corpora from one's own files."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from synthwright.errors import ConfigError
from synthwright.retrieval.chunks import Splitter
from synthwright.retrieval.documents import Document, DocumentCorpus
from synthwright.retrieval.readers import READERS, Fields, UnreadableError

__all__ = ["Files"]


class Files(DocumentCorpus):
    """Files and folders of text, markdown, HTML, PDF, JSONL and parquet, cut into passages.

    Files that cannot be used are left out and counted in `skipped`, with one of the codes `unknown_type`, `empty`,
    `binary`, `wrong_encoding` (not UTF-8, nor marked UTF-16), `damaged`, `encrypted`, `no_text`, `too_large` (HTML or
    PDF above 64 MiB), `too_deep` (HTML) and `unreadable`; lines with `bad_json`, `no_text`, `wrong_encoding` and
    `line_too_long` (JSONL above 16 MiB, text above a million characters). Memory stays bounded whatever they hold.

    Args:
        paths: A file or folder, or several. Folders are searched through, hidden files and folders left out.
        text_field: Field of JSONL and parquet records that holds the text.
        title_field: Field that holds the title; empty for none.
        url_field: Field that holds the address; empty for the address of the file.
        name: Name of the corpus, and `source` of its passages.
        split: As in `DocumentCorpus`, and so are the other arguments.
        licence: Licence of the texts, if it is known.
        language_filter: Says of a text whether to keep it.
        near_duplicates: How much near copies have in common; None for exact copies only.

    Raises:
        ConfigError: A path does not exist.

    Example:
        >>> corpus = Files("notes", licence="CC0-1.0")
        >>> passages = list(corpus)
        >>> corpus.skipped
        SkipLog({'too_short': 3, 'binary': 1})
    """

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        text_field: str = "text",
        title_field: str = "",
        url_field: str = "",
        name: str = "files",
        split: Splitter | None = None,
        licence: str = "",
        language_filter: Callable[[str], bool] | None = None,
        near_duplicates: float | None = 0.8,
    ) -> None:
        super().__init__(
            name, split=split, licence=licence, language_filter=language_filter, near_duplicates=near_duplicates
        )
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        self.fields = Fields(text_field, title_field, url_field)
        for path in self.paths:
            if not path.exists():
                raise ConfigError(f"There is no file or folder {str(path)!r}.")

    def files(self) -> Iterator[Path]:
        """The files, in the order in which they are read: as given, and by name within a folder."""
        for path in self.paths:
            if not path.is_dir():
                yield path
                continue
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))

    def _documents(self) -> Iterator[Document]:
        for path in self.files():
            try:
                reader = READERS.get(path.suffix.lower())
                if reader is None:
                    raise UnreadableError("unknown_type")
                if not path.is_file():
                    raise UnreadableError("unreadable")
                if path.stat().st_size == 0:
                    raise UnreadableError("empty")
                yield from reader(path, self.fields, self.skipped)
            except UnreadableError as error:
                self.skipped.add(str(error), str(path))
            except OSError:
                self.skipped.add("unreadable", str(path))

    def _origin(self) -> Iterator[Any]:
        yield self.fields
        for path in self.files():
            try:
                status = path.stat()
            except OSError:
                continue
            if path.suffix.lower() in READERS:
                yield str(path.resolve()), status.st_size, status.st_mtime_ns
