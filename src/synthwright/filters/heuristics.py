"""Small filters on the text of one field."""

import re
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, text_of

__all__ = ["EndsWith", "Length", "SpecialTokens"]

_WORD = re.compile(r"\w+")
_SPECIAL = re.compile(
    r"<\|[^<>|]{1,40}\|>"  # ChatML, Llama 3, Phi, GPT
    r"|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk)>"  # Gemma, Llama 2
    r"|\[/?INST\]|<</?SYS>>"  # Llama 2, Mistral
    r"|\[\[ ## \w+ ## \]\]"  # DSPy's field markers
)


@dataclass(frozen=True)
class Length(Filter):
    """Drops rows whose field has too few or too many words.

    Args:
        field: Name of a text field.
        min_words: Fewest words kept, 0 or more.
        max_words: Most words kept; None for no upper bound.
    """

    field: str
    min_words: int = 1
    max_words: int | None = None

    def __post_init__(self) -> None:
        if self.min_words < 0 or (self.max_words is not None and self.max_words < self.min_words):
            raise ConfigError(
                f"Length of {self.field!r}: need 0 <= min_words <= max_words, got {self.min_words!r}, "
                f"{self.max_words!r}."
            )

    def check(self, row: Any) -> str | None:
        words = len(_WORD.findall(text_of(row, self.field)))
        if words < self.min_words:
            return f"too_short: {words} words"
        if self.max_words is not None and words > self.max_words:
            return f"too_long: {words} words"
        return None


@dataclass(frozen=True)
class EndsWith(Filter):
    """Drops rows whose field ends with one of the given endings, such as a colon with nothing after it.

    Source: the release notebook of Magpie drops instructions that end with a colon.
    """

    field: str
    endings: tuple[str, ...] = (":",)

    def check(self, row: Any) -> str | None:
        text = text_of(row, self.field).rstrip()
        ending = next((ending for ending in self.endings if ending and text.endswith(ending)), None)
        return f"ends_with: {ending!r}" if ending else None


@dataclass(frozen=True)
class SpecialTokens(Filter):
    """Drops rows in which a chat template's or an adapter's markers stand as text."""

    fields: tuple[str, ...]

    def check(self, row: Any) -> str | None:
        for field in self.fields:
            if found := _SPECIAL.search(text_of(row, field)):
                return f"special_token: {found.group()!r} in {field}"
        return None
