"""Small filters on the text of one field."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, Texts, no_single_name, text_of

__all__ = ["EndsWith", "Keywords", "Length", "SpecialTokens", "Start"]

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

    def __post_init__(self) -> None:
        no_single_name(self, "fields")

    def check(self, row: Any) -> str | None:
        for field in self.fields:
            if found := _SPECIAL.search(text_of(row, field)):
                return f"special_token: {found.group()!r} in {field}"
        return None


@dataclass(frozen=True)
class Start(Filter):
    """Drops rows whose field begins, after white space, with a punctuation mark or with a character outside ASCII.

    Source: the released code of Self-Instruct (Wang et al., 2023) drops such instructions. The second rule drops every
    text in another script, and English ones that begin with a typographic quote.

    Args:
        field: Name of a text field.
        punctuation: Whether a mark of ASCII punctuation is refused.
        non_ascii: Whether a character outside ASCII is refused.
    """

    field: str
    punctuation: bool = True
    non_ascii: bool = True

    def check(self, row: Any) -> str | None:
        first = text_of(row, self.field).lstrip()[:1]
        if self.punctuation and first and first in string.punctuation:
            return f"starts_with_punctuation: {first!r}"
        if self.non_ascii and not first.isascii():
            return f"starts_with_non_ascii: {first!r}"
        return None


@dataclass(frozen=True)
class Keywords(Filter):
    """Drops rows whose field contains one of some words or phrases, whole and in any case.

    Source: Self-Instruct (Wang et al., 2023) denies what an LM without eyes cannot do: image, graph, file, ...

    Args:
        field: Name of a text field.
        denied: Words or phrases; white space in a phrase stands for any white space. Plurals are words of their own.
    """

    field: str
    denied: Sequence[str]

    def __post_init__(self) -> None:
        if isinstance(self.denied, str) or not self.denied or not all(phrase.strip() for phrase in self.denied):
            raise ConfigError(f"`denied` of Keywords must be a list of words, got {self.denied!r}.")
        object.__setattr__(self, "denied", Texts(self.denied))

    def check(self, row: Any) -> str | None:
        found = _any_of(tuple(self.denied)).search(text_of(row, self.field))
        return f"keyword: {' '.join(found.group().split())!r}" if found else None


@lru_cache(maxsize=64)
def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    # the longest first, so that "pie chart" is named and not "pie"
    ordered = sorted(dict.fromkeys(phrases), key=len, reverse=True)
    alternatives = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in ordered)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
