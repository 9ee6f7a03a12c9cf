"""The language of a text, offline."""

import re
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, text_of

__all__ = ["Language", "language_of"]

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")


def language_of(text: str) -> str:
    """The ISO 639-1 code of the language that a text is likeliest in; code blocks and addresses are not read.

    By `py3langid`, 97 languages and more; texts of a few words are often taken for a neighbouring language. Why this
    detector: `benchmarks/results/language.md`. It serves as the `language` argument of `Magpie`.
    """
    from py3langid import classify  # loads a model of 4.5 MB, at the first call

    return str(classify(_CODE.sub(" ", text))[0])


@dataclass(frozen=True)
class Language(Filter):
    """Drops rows whose field is in a language that is not allowed.

    Source: Magpie (Xu et al., 2025) tags the language of each instruction.

    Args:
        field: Name of a text field.
        allowed: ISO 639-1 codes, such as `en`.
        shortest: Letters that a text must have to be judged; shorter ones are kept, since they fit many languages.
    """

    field: str
    allowed: tuple[str, ...] = ("en",)
    shortest: int = 20

    def __post_init__(self) -> None:
        if isinstance(self.allowed, str) or not self.allowed:
            raise ConfigError(f"`allowed` of Language must be codes such as ('en', 'de'), got {self.allowed!r}.")
        object.__setattr__(self, "allowed", tuple(self.allowed))

    def check(self, row: Any) -> str | None:
        text = text_of(row, self.field)
        if len(_LETTER.findall(_CODE.sub(" ", text))) < self.shortest:
            return None
        found = language_of(text)
        return None if found in self.allowed else f"language: {found}"
