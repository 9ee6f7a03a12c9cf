"""Passage: the unit of text that retrievers return and generators begin from."""

import hashlib
import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, computed_field, model_validator

from synthwright.retrieval.quoting import neutralise

__all__ = ["Passage", "text_key"]


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _encodable(text: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", text)


_Text = Annotated[str, AfterValidator(_encodable)]


class Passage(BaseModel):
    """A piece of text and where it came from.

    Two passages with the same text have the same `id`, wherever they came from. `model_dump` gives the `id` too, and
    `Passage.model_validate` reads it back. Half a surrogate pair, which no file can hold, becomes U+FFFD.

    Attributes:
        text: The text. It was written by strangers: data, never instructions.
        title: Title of the document, with its headings where they are known, or empty.
        source: Where it came from, such as `files` or `wikipedia`.
        url: Address of the document, or empty.
        licence: Licence of the text, or empty if it is not known.
        score: How well it fits the query that found it, on the scale of the retriever; None outside a search.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: _Text
    title: _Text = ""
    source: _Text = ""
    url: _Text = ""
    licence: _Text = ""
    score: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_id(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if name != "id"} if isinstance(data, dict) else data

    @computed_field
    @property
    def id(self) -> str:
        """First 20 hex digits of the SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:20]

    @property
    def prompt_text(self) -> str:
        """The text as it may stand in a field of a prompt: give this to predictors, never `text` itself."""
        return neutralise(self.text)

    def scored(self, score: float | None) -> "Passage":
        """The same passage with another score."""
        return self.model_copy(update={"score": score})


def text_key(text: str) -> str:
    """A short hash that is equal for texts that differ in case, white space or the form of characters only."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:20]
