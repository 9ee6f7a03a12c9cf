"""Filters on what a text says: refusals, references to something that is not there, loops."""

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.base import Filter, text_of
from synthwright.filters.words import ngrams, words

__all__ = ["Refusal", "Repetition", "SelfContainment"]

_HEAD = 300  # characters in which a refusal begins

_DO = (
    r"(?:help|assist|comply|answer|provide|create|generate|write|produce|fulfil+|complete|do|perform|process|access|open"
    r"|share|give|offer|discuss|engage|support|continue|browse|view|see|read|hear|watch|determine|respond)"
)
_CANNOT = r"(?:cannot|can(?:'| ?no)t|could(?:n't| not)|am (?:not able|unable)|'m (?:not able|unable)|won't|will not)"
_REFUSAL = re.compile(
    rf"\bI(?: am|'m) (?:very |really |truly )?(?:sorry|afraid),? (?:but\b|(?:that )?I ?{_CANNOT})"
    rf"|\b(?:sorry|unfortunately|apologies),? (?:but )?I {_CANNOT}"
    rf"|\bI (?:apologi[sz]e|regret),? (?:but|that I|for not|for the inconvenience)"
    rf"|\bI ?{_CANNOT}(?: to)? (?:directly |actually |currently |really |in good conscience )?{_DO}\b"
    r"|\bas an? (?:AI|artificial intelligence|language model|large language model|virtual assistant|text-based)\b"
    r"|\bI(?: am|'m) (?:just |only |merely )?an? (?:AI|artificial intelligence|language model|text-based)\b"
    r"|\b(?:against|violates?) (?:my|our|the|OpenAI's?) (?:programming|guidelines|polic(?:y|ies)|content policy)",
    re.IGNORECASE,
)
_NOT_REFUSAL = re.compile(r"\bcan(?:'t|not) (?:help|do) (?:but|without|it)\b|\bsorry (?:for|to hear)\b", re.IGNORECASE)

_TEXT = (
    r"(?:passage|paragraph|text(?! message| editor| file)|article|excerpt|document(?! object)|context(?! of)"
    r"|session|lecture)"
)
_SOURCE = (
    r"(?:passage|paragraph|text|article|excerpt|document|essay|story|poem|email|letter|sentences?|conversation|dialogue"
    r"|transcript|report|review|code|snippet|table|data|dataset|list|context|information|material|session|lecture)"
)
_SIGHT = (
    r"(?:image|picture|photo|photograph|figure|diagram|graph|chart|map|drawing|illustration|screenshot|video|audio)"
)
_ELSEWHERE = re.compile(
    rf"\bthe (?:above|preceding|previous|aforementioned|attached|accompanying)(?:[- ]mentioned)? (?:\w+ )?{_SOURCE}\b"
    rf"|\bthe (?:\w+ )?{_SOURCE} (?:above|attached|(?:given|provided|mentioned|shown|discussed) (?:above|earlier))\b"
    r"|\b(?:according to|based on|as (?:stated|described|mentioned|discussed|explained) in|(?:stated|described) in)"
    rf" (?:the|this) (?:given |provided |original )?{_TEXT}\b"
    rf"|\b(?:in|from|of) (?:the|this) (?:given |provided |original )?{_TEXT}\b"
    r"|\bas (?:shown|described|mentioned|stated|discussed|explained|noted|given) (?:above|below|earlier|previously)\b"
    r"|\b(?:see|refer to) (?:above|below|the (?:above|attachment|appendix))\b|\bthe author of (?:the|this)\b",
    re.IGNORECASE,
)
_UNSEEN = re.compile(
    rf"\b(?:the|this|these|that) (?:(?:following|above|below|attached|given|provided|accompanying) )?{_SIGHT}s?"
    rf" (?:above|below|attached|provided|shown|shows?|depicts?|illustrates?|is shown|are shown)\b"
    rf"|\b(?:the|this|these) (?:following|above|below|attached|given|provided|accompanying) {_SIGHT}s?\b"
    rf"|\b(?:shown|seen|depicted|illustrated|given|displayed|labell?ed) (?:in|on) (?:the|this) (?:\w+ )?{_SIGHT}\b"
    rf"|\bas (?:shown|seen|in|depicted|illustrated) (?:in |on )?(?:the |this )?(?:{_SIGHT}|fig\.) ?\d*",
    re.IGNORECASE,
)
_ANNOUNCED = re.compile(
    rf"\b(?:the|this|these) (?:following|below|given|provided) (?:\w+ )?{_SOURCE}\b|\b{_SOURCE} below\b", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"\u201c`]([^\"\u201d`]+)[\"\u201d`]")


@dataclass(frozen=True)
class Refusal(Filter):
    """Drops rows whose field begins by refusing, or by saying what an AI cannot do.

    Only the first 300 characters are read: later ones may quote. English. Evol-Instruct (Xu et al., 2023) drops short
    replies with the word "sorry", which also takes letters of apology.

    Args:
        field: Name of a text field, usually the response.
    """

    field: str

    def check(self, row: Any) -> str | None:
        head = text_of(row, self.field)[:_HEAD].replace("\u2019", "'")
        found = _REFUSAL.search(_NOT_REFUSAL.sub(" ", head))
        return f"refusal: {' '.join(found.group().split())!r}" if found else None


@dataclass(frozen=True)
class SelfContainment(Filter):
    """Drops rows whose field speaks of something the reader does not have: a passage above, a figure, an attachment.

    A text that brings the thing along is kept: if one of the `material` fields is not empty, or if enough words stand
    after a colon, in lines of their own or in quotes. Pictures cannot be brought along. English.

    Args:
        field: Name of a text field, usually the instruction.
        material: Fields that may hold what the text speaks of, such as an input or a context.
        enough: Words from which a part of the text counts as the thing itself; 1 where "the following" announces it.
    """

    field: str
    material: tuple[str, ...] = ()
    enough: int = 8

    def check(self, row: Any) -> str | None:
        text = text_of(row, self.field).replace("\u2019", "'")
        if found := _UNSEEN.search(text):
            return f"not_self_contained: {found.group()!r}"
        if any(text_of(row, name).strip() for name in self.material):
            return None
        enough = self.enough
        if (found := _ELSEWHERE.search(text)) is None:
            found, enough = _ANNOUNCED.search(text), 1  # "sort the following list:" needs a list, however short
        if found is None or _brings_material(text, found.group(), enough):
            return None
        return f"not_self_contained: {found.group()!r}"


@dataclass(frozen=True)
class Repetition(Filter):
    """Drops rows whose field repeats itself, as an LM does that is caught in a loop.

    Two signs: the share of word n-grams that occurred before in the text, and how well it compresses (which also sees
    loops of characters, and any script). In 267 pieces of documentation, code and data, of up to 2,500 characters each,
    the medians were 0.03 and 2.4, the 90th percentiles 0.10 and 2.9, the largest 0.57 and 7.1 (a list of signatures).

    Source: n-gram shares as in Rae et al., 2021 (Gopher, table A1), with a laxer bound since answers hold lists and
    code; compression as in Whisper's decoding (Radford et al., 2023, section 4.5).

    Args:
        field: Name of a text field.
        ngram: Words of an n-gram, 1 or more.
        max_share: Largest share of repeated n-grams kept, in [0, 1]; texts with fewer than 20 n-grams are not judged.
        max_ratio: Largest ratio of bytes to compressed bytes kept; texts below 200 bytes are not judged.
    """

    field: str
    ngram: int = 4
    max_share: float = 0.5
    max_ratio: float = 8.0

    def __post_init__(self) -> None:
        if self.ngram < 1 or not 0 <= self.max_share <= 1 or self.max_ratio < 1:
            raise ConfigError(
                "Repetition needs `ngram` >= 1, `max_share` in [0, 1] and `max_ratio` >= 1, got "
                f"{self.ngram!r}, {self.max_share!r}, {self.max_ratio!r}."
            )

    def check(self, row: Any) -> str | None:
        text = text_of(row, self.field)
        raw = text.encode("utf-8", "surrogatepass")
        if len(raw) >= 200 and (ratio := len(raw) / len(zlib.compress(raw))) > self.max_ratio:
            return f"repetitive: compresses {ratio:.1f} to 1"
        grams = Counter(ngrams(words(text), self.ngram))
        total = sum(grams.values())
        if total >= 20 and (share := 1 - len(grams) / total) > self.max_share:
            most = " ".join(grams.most_common(1)[0][0])
            return f"repetitive: {share:.0%} of its {self.ngram}-grams were there before, such as {most!r}"
        return None


def _brings_material(text: str, phrase: str, enough: int) -> bool:
    """Whether lines without the phrase, or what follows a colon or stands in quotes, have enough words."""
    lines = text.strip().split("\n")
    others = " ".join(line for line in lines if phrase not in line)
    parts = [others, *_QUOTED.findall(text), *(line.partition(": ")[2] for line in lines)]
    return any(len(part.split()) >= enough for part in parts if phrase not in part)
