"""Reading one file of a kind as documents, with bounded memory, whatever it holds."""

import codecs
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from synthwright.retrieval.base import SkipLog
from synthwright.retrieval.documents import Document
from synthwright.retrieval.markup import html_sections, html_title, markdown_sections, nests_too_deep, plain_sections

__all__ = ["READERS", "Fields", "UnreadableError"]

BLOCK = 1 << 20
"""Characters of a text file that are cut into passages at a time, and of a line, at most."""
LONGEST_RECORD = 16 << 20
"""Bytes of one line of a JSONL file, at most."""
LARGEST = 64 << 20
"""Bytes of a file that has to be read whole: HTML and PDF."""


class UnreadableError(Exception):
    """A file, or the rest of it, cannot be used; the message is a short code. Never seen outside this package."""


@dataclass(frozen=True)
class Fields:
    """Which fields of a record hold what.

    Attributes:
        text: Field of the text.
        title: Field of the title; empty for none.
        url: Field of the address; empty for none.
    """

    text: str = "text"
    title: str = ""
    url: str = ""

    def document(self, record: object, place: str, skipped: SkipLog, url: str = "") -> Iterator[Document]:
        """The document of a record, or none, which is counted."""
        text = record.get(self.text) if isinstance(record, dict) else None
        if not isinstance(text, str) or not text.strip():
            skipped.add("no_text", place)
            return
        assert isinstance(record, dict)
        title, address = (str(record.get(name) or "") if name else "" for name in (self.title, self.url))
        yield Document(plain_sections(text), title, address or url, place)


def read_text(path: Path, fields: Fields, skipped: SkipLog) -> Iterator[Document]:
    """A text file, a block of whole paragraphs at a time; markdown by its suffix."""
    sections = markdown_sections if path.suffix.lower() in (".md", ".markdown") else plain_sections
    for block in _blocks(path, skipped):
        yield Document(sections(block), path.stem, path.resolve().as_uri(), str(path))


def read_html(path: Path, fields: Fields, skipped: SkipLog) -> Iterator[Document]:
    """An HTML file in UTF-8, or in the encoding of its byte order mark."""
    page = _decoded(_whole(path))
    if nests_too_deep(page):
        raise UnreadableError("too_deep")
    yield Document(html_sections(page), html_title(page) or path.stem, path.resolve().as_uri(), str(path))


def read_pdf(path: Path, fields: Fields, skipped: SkipLog) -> Iterator[Document]:
    """The text of a PDF file, page by page, as one document."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every small fault of a file
    try:
        reader = pypdf.PdfReader(io.BytesIO(_whole(path)))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("encrypted")
        title = str((reader.metadata or {}).get("/Title") or path.stem)
        text = "\n\n".join(page.extract_text() for page in reader.pages)
    except UnreadableError:
        raise
    except Exception as error:  # a damaged file makes pypdf raise almost anything, KeyError and RecursionError included
        raise UnreadableError("damaged") from error
    if not text.strip():
        raise UnreadableError("no_text")
    yield Document(plain_sections(text), title, path.resolve().as_uri(), str(path))


def read_jsonl(path: Path, fields: Fields, skipped: SkipLog) -> Iterator[Document]:
    """A file of one JSON object a line."""
    url = path.resolve().as_uri()
    with open(path, "rb") as file:
        _refuse_binary(file.read(8192))
        file.seek(0)
        for number, line in enumerate(_lines(file), 1):
            place = f"{path}:{number}"
            if line is None:
                skipped.add("line_too_long", place)
            elif line.strip():
                try:
                    record = json.loads(line.decode("utf-8-sig"))
                except UnicodeDecodeError:
                    skipped.add("wrong_encoding", place)
                except (ValueError, RecursionError):
                    skipped.add("bad_json", place)
                else:
                    yield from fields.document(record, place, skipped, url)


def read_parquet(path: Path, fields: Fields, skipped: SkipLog) -> Iterator[Document]:
    """A parquet file, a batch of rows at a time."""
    import pyarrow
    import pyarrow.parquet

    url, number = path.resolve().as_uri(), 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = [name for name in (fields.text, fields.title, fields.url) if name in file.schema_arrow.names]
            if fields.text not in names:
                raise UnreadableError("no_text")
            for batch in file.iter_batches(batch_size=1000, columns=names):
                for record in batch.to_pylist():
                    number += 1
                    yield from fields.document(record, f"{path}:{number}", skipped, url)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnreadableError("damaged") from error


READERS = {
    ".htm": read_html,
    ".html": read_html,
    ".jsonl": read_jsonl,
    ".markdown": read_text,
    ".md": read_text,
    ".parquet": read_parquet,
    ".pdf": read_pdf,
    ".txt": read_text,
    ".xhtml": read_html,
}


def _refuse_binary(start: bytes) -> str:
    """The encoding that the first bytes of a text file tell."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        raise UnreadableError("binary")
    return "utf-8"


def _whole(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise UnreadableError("too_large")
    return path.read_bytes()


def _decoded(data: bytes) -> str:
    try:
        return data.decode(_refuse_binary(data[:8192]))
    except UnicodeDecodeError as error:
        raise UnreadableError("wrong_encoding") from error


def _blocks(path: Path, skipped: SkipLog) -> Iterator[str]:
    """The text in blocks of at most about 2 million characters, cut between paragraphs, or else lines."""
    with open(path, "rb") as raw:
        encoding = _refuse_binary(raw.read(8192))
        raw.seek(0)
        with io.TextIOWrapper(raw, encoding=encoding, newline=None) as file:
            held = ""
            try:
                while new := file.read(BLOCK):
                    held += new
                    if "\0" in new:
                        raise UnreadableError("binary")
                    while len(held) > BLOCK:
                        at = max(held.rfind("\n\n"), 0) or max(held.rfind("\n"), 0)
                        if at:
                            yield held[:at]
                            held = held[at:].lstrip("\n")
                        else:
                            skipped.add("line_too_long", str(path))
                            held = _after_line(file)
            except UnicodeDecodeError as error:
                raise UnreadableError("wrong_encoding") from error
            if held.strip():
                yield held


def _after_line(file: io.TextIOWrapper) -> str:
    """Read on to the end of a line, and return what of the last block stands behind it."""
    while new := file.read(BLOCK):
        _, end, rest = new.partition("\n")
        if end:
            return rest
    return ""


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines; None for one that is too long, which is never held whole."""
    while line := file.readline(LONGEST_RECORD):
        if len(line) < LONGEST_RECORD or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(BLOCK)) and not rest.endswith(b"\n"):
            pass
        yield None
