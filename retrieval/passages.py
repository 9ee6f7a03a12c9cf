"""Passage: the unit of text that retrievers return and generators begin from."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from synthwright.errors import ConfigError

__all__ = ["Passage", "split_text", "text_files"]


class Passage(BaseModel):
    """A piece of text and where it came from.

    Attributes:
        text: The text.
        title: Title of the document, or empty.
        source: Where it came from, such as `files` or `wikipedia`.
        url: Address of the document, or empty.
        licence: Licence of the text, or empty if it is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    title: str = ""
    source: str = ""
    url: str = ""
    licence: str = ""

    @property
    def id(self) -> str:
        """First 20 hex digits of the SHA-256 of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def split_text(text: str, *, most_words: int = 200, **attributes: Any) -> Iterator[Passage]:
    """Split a text into passages of whole paragraphs.

    Args:
        text: The text; paragraphs are parted by blank lines.
        most_words: Words a passage may have before the next paragraph begins a new one, 1 or more. A single longer
            paragraph stays whole.
        **attributes: Other fields of the passages.

    Raises:
        ConfigError: `most_words` is not positive.
    """
    if most_words < 1:
        raise ConfigError(f"`most_words` must be at least 1, got {most_words!r}.")
    held: list[str] = []
    for paragraph in (p.strip() for p in text.replace("\r\n", "\n").split("\n\n")):
        if not paragraph:
            continue
        if held and len(" ".join([*held, paragraph]).split()) > most_words:
            yield Passage(text="\n\n".join(held), **attributes)
            held = []
        held.append(paragraph)
    if held:
        yield Passage(text="\n\n".join(held), **attributes)


def text_files(paths: Iterable[str | Path], *, most_words: int = 200, licence: str = "") -> Iterator[Passage]:
    """The passages of plain text files, one file after another.

    Raises:
        ConfigError: A file cannot be read as UTF-8 text.
    """
    for path in map(Path, paths):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot read the text file {str(path)!r}: {error}") from error
        yield from split_text(
            text, most_words=most_words, title=path.stem, source="files", url=path.resolve().as_uri(), licence=licence
        )
