"""Where the texts of Instruction Backtranslation come from, and when a text is no good segment.

The rules of the paper (Humpback, arXiv:2308.06259, section 2.1 and appendix E) are those of `retrieval.ByHeader`. The
functions in `CHECKS` are ours.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.language import language_of
from synthwright.pool import Seed
from synthwright.retrieval import ByHeader, ByParagraphs, Corpus, Files, PythonDocs
from synthwright.retrieval.chunks import Piece
from synthwright.retrieval.injection import request_to_model
from synthwright.retrieval.markup import Section, markdown_sections
from synthwright.retrieval.passages import text_key

__all__ = ["CHECKS", "Segments", "corpus_segments", "segment_problem", "user_segments"]

_TAG = re.compile(
    r"</?(?:a|body|br|button|div|font|form|h[1-6]|iframe|img|li|nav|p|script|span|style|table|td|ul)\b", re.I
)
_FENCE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.S)
_BOILERPLATE = re.compile(
    r"\ball rights reserved\b|\bcopyright ©|\bclick here\b|\b(?:accept|uses?) (?:all )?cookies\b|\bprivacy policy\b"
    r"|\bsubscribe (?:to|now|today)\b|\bsign up (?:for|now|today)\b|\bshare (?:this|on)\b|\bleave a (?:comment|reply)\b"
    r"|\bread more\b|\bposted (?:by|on|in)\b|\bterms (?:of|and) (?:use|service|conditions)\b|\bfollow us\b",
    re.I,
)
_MID_LIST = re.compile(r"(?:step\s+)?(?:[2-9]|1\d)\s*[.):]\s+\S|\(?[b-e]\)\s+\S", re.I)
_FIRST_PERSON = re.compile(r"\b(?:I|I'm|I've|I'd|I'll|me|my|mine|myself)\b")
_PERSONAL = {
    "an e-mail address": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", re.I),
    "a telephone number": re.compile(r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w.])"),
    "a card number": re.compile(r"(?<![\w.])(?:\d{4}[ -]){3}\d{4}(?![\w.])"),
    "a social security number": re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
}


@dataclass(frozen=True)
class Segments:
    """Cuts documents that have headings as Humpback does, and others into whole paragraphs.

    Args:
        shortest: Characters of a segment, at least.
        longest: Characters of a segment, at most.
    """

    shortest: int = 600
    longest: int = 3000

    def __call__(self, sections: Sequence[Section]) -> Iterable[Piece]:
        headed = any(section.level for section in sections)
        return (ByHeader if headed else ByParagraphs)(self.shortest, self.longest)(sections)


def corpus_segments(corpus: Corpus | str | Sequence[str] | None, split: Segments) -> Iterator[dict[str, Any]]:
    """The segments of a corpus, as arguments of `Backtranslation.aforward`, in its order.

    Args:
        corpus: A corpus, whose own splitter cuts it; paths of files or folders, cut by `split`; None for `PythonDocs`.
        split: How files are cut.
    """
    if corpus is None:
        corpus = PythonDocs()
    elif not isinstance(corpus, Corpus):
        corpus = Files(corpus, split=split)
    for passage in corpus:
        yield _segment(passage.text, title=passage.title, url=passage.url, licence=passage.licence)


def user_segments(seeds: Iterable[Seed], split: Segments) -> Iterator[dict[str, Any]]:
    """The segments of the user's seeds, in their order; what is wrong with one is its `problem`.

    A seed has a `text`, or is a pair of `instruction` and `response` (or `output`), such as a row of another method,
    which needs a rating only. A text that is too long is cut at its headings, or else between paragraphs. Copies are
    marked `duplicate`.

    Raises:
        ConfigError: A seed is neither.
    """
    seen: set[str] = set()
    for index, seed in enumerate(seeds):
        about = _about(seed, index)
        text, instruction = about.pop("text"), about.pop("instruction", None)
        whole = instruction is not None or len(text.strip()) <= split.longest
        pieces = [Piece(text)] if whole else list(split(markdown_sections(text))) or [Piece(text)]
        for piece in pieces:
            key = text_key(f"{instruction or ''}\n{piece.text}")
            problem = piece.problem or ("duplicate" if key in seen and piece.text.strip() else "")
            seen.add(key)
            title = piece.headings[-1] if piece.headings else about.get("title", "")
            part = _segment(piece.text, **{**about, "title": title, "problem": problem})
            yield part if instruction is None else {**part, "instruction": instruction}


def segment_problem(
    text: str, title: str, *, shortest: int, longest: int, language: str | None, checks: Iterable[str]
) -> str | None:
    """Why a text is no segment, as `reason` or `reason: detail`; None if it is one.

    Args:
        text: The text.
        title: Its heading, with those above it before ` > `; empty if there is none, which is no fault of its own.
        shortest: Characters, at least.
        longest: Characters, at most.
        language: ISO 639-1 code of the language it must be in; None for any.
        checks: Names of further checks, see `CHECKS`.
    """
    if not text.strip():
        return "empty_segment"
    heading = title.rpartition(" > ")[2] or "Text"
    for piece in ByHeader(shortest, longest)([Section(1, heading, text)]):
        if piece.problem:
            return f"{piece.problem}: {len(text)} characters" if piece.problem.startswith("too_") else piece.problem
    for name in checks:
        if (found := CHECKS[name](text, heading)) is not None:
            return f"{name}: {found}" if found else name
    if language and (found := language_of(text)) != language:
        return f"other_language: {found}"
    return None


def header_is_body(text: str, heading: str) -> str | None:
    """The text says no more than its heading."""
    return "" if text_key(text) == text_key(heading) else None


def leftover_html(text: str, heading: str) -> str | None:
    """Tags outside code, two or more."""
    found = _TAG.findall(_FENCE.sub(" ", text))
    return f"{len(found)} tags such as {found[0]!r}" if len(found) > 1 else None


def boilerplate(text: str, heading: str) -> str | None:
    """Phrases of web pages around their text, two or more different ones."""
    found = {match.group().lower() for match in _BOILERPLATE.finditer(text)}
    return ", ".join(sorted(found)) if len(found) > 1 else None


def starts_mid_list(text: str, heading: str) -> str | None:
    """A list that does not start at its first item."""
    found = _MID_LIST.match(text.lstrip())
    return repr(text.lstrip()[:30]) if found else None


def personal_blog(text: str, heading: str) -> str | None:
    """Three words in a hundred, and at least five, are of the first person singular."""
    said, size = len(_FIRST_PERSON.findall(text.replace("\u2019", "'"))), len(text.split())
    return f"{said} of {size} words are I, me or my" if said >= 5 and said >= 0.03 * size else None


def personal_data(text: str, heading: str) -> str | None:
    """An e-mail address, or a telephone, card or social security number."""
    return next((what for what, pattern in _PERSONAL.items() if pattern.search(text)), None)


def speaks_to_the_model(text: str, heading: str) -> str | None:
    """A phrase that is meant for a model that reads the text: to ignore its task, or to give a rating."""
    found = request_to_model(text)
    return repr(found) if found else None


CHECKS: Mapping[str, Callable[[str, str], str | None]] = {
    check.__name__: check
    for check in (
        header_is_body,
        leftover_html,
        boilerplate,
        starts_mid_list,
        personal_blog,
        personal_data,
        speaks_to_the_model,
    )
}
"""Our checks of a segment by name; each takes the text and its heading."""


def _segment(text: str, **about: Any) -> dict[str, Any]:
    return {"text": text.strip("\n"), **{name: value for name, value in about.items() if value}}


def _about(seed: Seed, index: int) -> dict[str, Any]:
    instruction, text = (
        seed.get("instruction"),
        next((seed[f] for f in ("text", "response", "output") if f in seed), None),
    )
    parents = seed.get("parent_ids") or ([seed["id"]] if seed.get("id") else [])
    texts = [
        text,
        *(seed.get(name, "") for name in ("title", "url", "licence")),
        "" if instruction is None else instruction,
    ]
    if not all(isinstance(value, str) for value in texts) or not isinstance(parents, list | tuple):
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of Backtranslation has a `text`, or is a pair of `instruction` "
            "and `response`, and may have `title`, `url`, `licence` (strings) and `parent_ids` (a list)."
        )
    if instruction is None and "text" not in seed and "response" not in seed:
        raise ConfigError(f"Seed {index} is {dict(seed)!r}; without an `instruction` it needs a `text`.")
    about = {name: seed[name] for name in ("title", "url", "licence") if seed.get(name)}
    about |= {"parent_ids": list(parents)} if parents else {}
    return {"text": text, **about, **({} if instruction is None else {"instruction": instruction})}
