"""Cutting documents into passages of a length that fits a prompt."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from synthwright.errors import ConfigError
from synthwright.retrieval.markup import Section

__all__ = ["ByHeader", "ByParagraphs", "Piece", "Splitter"]


@dataclass(frozen=True)
class Piece:
    """A part of a document.

    Attributes:
        text: The text; empty pieces do not occur.
        headings: Headings above it, outermost first.
        problem: Why it is of no use, as a short code such as `too_short`; empty if it is.
    """

    text: str
    headings: tuple[str, ...] = ()
    problem: str = ""


_Part = tuple[tuple[str, ...], str]
"""The headings of a section, and its text."""
_Unit = tuple[str, str]
"""What stands before a text, and the text."""


class Splitter(Protocol):
    """Cuts the sections of one document into pieces. Its `repr` tells its settings."""

    def __call__(self, sections: Sequence[Section]) -> Iterable[Piece]: ...


_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_PARAGRAPH = re.compile(r"\n(?:[ \t]*\n)+")
_NAVIGATION = frozenset(
    ("about us", "archive", "archives", "categories", "comments", "contact", "contact us", "follow us", "footer",
     "home", "leave a comment", "leave a reply", "links", "log in", "login", "main menu", "menu", "navigation",
     "popular posts", "privacy policy", "recent comments", "recent posts", "register", "related articles",
     "related posts", "search", "share", "share this", "sidebar", "sign in", "sign up", "site map", "sitemap",
     "subscribe", "table of contents", "tags", "terms of use", "you may also like")
)  # fmt: skip
_NAVIGATIONAL = re.compile(
    r"\b(advertisements?|advertising|cookies?|forums?|newsletters?|quick links|sponsored)\b", re.I
)


@dataclass(frozen=True)
class ByParagraphs:
    """Packs whole paragraphs into pieces, and small sections together with the ones that follow.

    A piece that begins a section has its headings apart; headings further down stay in the text. A paragraph that is
    too long is cut between sentences, then between words, then anywhere.

    Args:
        shortest: Characters of a piece, at least, 1 or more.
        longest: Characters of a piece, at most.
        keep_short: Keep a document that is shorter than `shortest` as a whole, instead of dropping it.

    Raises:
        ConfigError: The lengths do not make a window.
    """

    shortest: int = 600
    longest: int = 3000
    keep_short: bool = False

    def __post_init__(self) -> None:
        _check_window(self.shortest, self.longest)

    def __call__(self, sections: Sequence[Section]) -> Iterator[Piece]:
        groups: list[list[_Part]] = []
        for path, section in zip(_paths(sections), sections, strict=True):
            if section.text.strip():
                if not groups or _length(groups[-1]) >= self.shortest:
                    groups.append([])
                groups[-1].append((path, section.text.strip("\n")))
        if len(groups) > 1 and _length(groups[-1]) < self.shortest:
            groups[-2:] = [groups[-2] + groups[-1]]
        for group in groups:
            headings, text = _joined(group)
            texts = _pack(_units(text, max(1, self.longest // 2)), self.shortest, self.longest)
            kept = self.keep_short and len(groups) == len(texts) == 1
            for text in texts:
                yield Piece(text, headings, "" if kept or len(text) >= self.shortest else "too_short")


@dataclass(frozen=True)
class ByHeader:
    """The segments of Humpback (Li et al., arXiv:2308.06259, section 2.1 and appendix E).

    A segment is the text under a header with the text of its lower headers. One that is too long gives way to those
    of its lower headers, so no text is in two segments. Segments are dropped whose header is empty, mostly capitals
    or navigation, or which repeat sentences. Text above the first header belongs to no segment.

    The paper does not give the size of the n-grams, the similarity from which sentences repeat, or its list of
    navigational headers; those here are ours.

    Args:
        shortest: Characters of a segment, at least. The paper uses 600.
        longest: Characters of a segment, at most. The paper uses 3,000.
        ngram: Words of the n-grams by which sentences are compared, 1 or more.
        similarity: Jaccard similarity of two sentences from which they count as repeated, in (0, 1].

    Raises:
        ConfigError: An argument is out of its range.
    """

    shortest: int = 600
    longest: int = 3000
    ngram: int = 3
    similarity: float = 0.7

    def __post_init__(self) -> None:
        _check_window(self.shortest, self.longest)
        if self.ngram < 1 or not 0 < self.similarity <= 1:
            raise ConfigError(
                f"`ngram` must be at least 1 and `similarity` in (0, 1], got {self.ngram!r} and {self.similarity!r}."
            )

    def __call__(self, sections: Sequence[Section]) -> Iterator[Piece]:
        paths = _paths(sections)
        i = 0
        while i < len(sections):
            end = i + 1
            while end < len(sections) and sections[end].level > sections[i].level:
                end += 1
            if sections[i].level == 0:
                i += 1
                continue
            below = list(zip(paths[i:end], (s.text.strip("\n") for s in sections[i:end]), strict=True))
            if _length(below) > self.longest and end > i + 1:
                below, end = below[:1], i + 1
            _, text = _joined(below)
            if text.strip():
                yield Piece(text, paths[i], self._problem(sections[i].heading, text))
            i = end

    def _problem(self, heading: str, text: str) -> str:
        letters = [c for c in heading if c.isalpha()]
        plain = " ".join(heading.lower().split()).strip(" :.")
        if not letters:
            return "header_empty"
        if sum(c.isupper() for c in letters) * 2 > len(letters):
            return "header_capitals"
        if plain in _NAVIGATION or _NAVIGATIONAL.search(plain):
            return "header_navigation"
        if len(text) < self.shortest:
            return "too_short"
        if len(text) > self.longest:
            return "too_long"
        return "repeated_sentences" if self._repeats(text) else ""

    def _repeats(self, text: str) -> bool:
        grams: list[set[tuple[str, ...]]] = []
        for sentence in _SENTENCE.split(text):
            words = sentence.casefold().split()
            here = {tuple(words[i : i + self.ngram]) for i in range(len(words) - self.ngram + 1)}
            if here and any(len(here & other) >= self.similarity * len(here | other) for other in grams):
                return True
            grams.append(here)
        return False


def _check_window(shortest: int, longest: int) -> None:
    if not 1 <= shortest <= longest:
        raise ConfigError(f"`shortest` must be at least 1 and at most `longest`, got {shortest!r} and {longest!r}.")


def _paths(sections: Sequence[Section]) -> list[tuple[str, ...]]:
    """For each section the headings above it and its own."""
    paths: list[tuple[str, ...]] = []
    above: list[tuple[int, str]] = []
    for section in sections:
        while above and above[-1][0] >= section.level:
            above.pop()
        if section.level:
            above.append((section.level, section.heading))
        paths.append(tuple(heading for _, heading in above if heading))
    return paths


def _joined(held: list[_Part]) -> tuple[tuple[str, ...], str]:
    """The headings that all have in common, and one text in which the others stand above their sections."""
    paths = [path for path, _ in held]
    common: tuple[str, ...] = paths[0]
    for path in paths[1:]:
        same = [a == b for a, b in zip(common, path, strict=False)]
        common = common[: same.index(False) if False in same else len(same)]
    parts: list[str] = []
    last = common
    for path, text in held:
        if path != last:
            parts.append(" > ".join(path[len(common) :]))
        last = path
        parts.append(text)
    return common, "\n\n".join(part for part in parts if part.strip())


def _length(held: list[_Part]) -> int:
    return len(_joined(held)[1])


def _units(text: str, most: int) -> list[_Unit]:
    """What is kept whole: paragraphs, or where one has more than `most` characters its sentences, words or letters."""
    units: list[_Unit] = []
    for paragraph in _PARAGRAPH.split(text):
        paragraph = paragraph.strip("\n").rstrip()
        units += [("\n\n", paragraph)] if len(paragraph) <= most else _cut(paragraph, most)
    return [(between, unit) for between, unit in units if unit.strip()]


def _cut(paragraph: str, most: int) -> Iterator[_Unit]:
    between, start = "\n\n", 0
    ends = [(match.start(), match.end()) for match in _SENTENCE.finditer(paragraph)]
    for end, following in [*ends, (len(paragraph), len(paragraph))]:
        while end - start > most:
            space = paragraph.rfind(" ", start + 1, start + most + 1)
            at = space if space > 0 else start + most
            yield between, paragraph[start:at]
            between, start = (" ", at + 1) if space > 0 else ("", at)
        if end > start:
            yield between, paragraph[start:end]
        between, start = paragraph[end:following], following


def _pack(units: list[_Unit], shortest: int, longest: int) -> list[str]:
    """Units joined into texts of at most `longest`; a short rest takes units from the text before it."""
    packs: list[list[_Unit]] = []
    size = 0
    for between, unit in units:
        if packs and size + len(between) + len(unit) <= longest:
            packs[-1].append((between, unit))
            size += len(between) + len(unit)
        else:
            packs.append([(between, unit)])
            size = len(unit)
    if len(packs) > 1 and size < shortest:
        last = packs[-2] + packs[-1]
        ways = [(last[:i], last[i:]) for i in range(1, len(last))]
        fit = [way for way in ways if max(len(_glued(part)) for part in way) <= longest]
        packs[-2:] = max(fit, key=lambda way: min(len(_glued(part)) for part in way))
    return [_glued(pack) for pack in packs]


def _glued(units: list[_Unit]) -> str:
    return "".join(between + unit for between, unit in units)[len(units[0][0]) :]
