"""Where the passages of Bonito come from, and when a passage is of no use.

The original model takes passages as they are and leaves cutting to its users; the rules here are ours.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from synthwright.errors import ConfigError, did_you_mean
from synthwright.filters.language import language_of
from synthwright.pool import Seed
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.blocks.instruction_seeds import is_row
from synthwright.programs.blocks.texts import words
from synthwright.programs.bonito_types import type_named
from synthwright.retrieval import ByParagraphs, Corpus, Files, Passage, PassageList
from synthwright.retrieval.injection import request_to_model
from synthwright.retrieval.markup import markdown_sections
from synthwright.retrieval.passages import text_key

__all__ = ["corpus_passages", "open_corpus", "own_passages", "passage_problem", "seed_passages"]

_ABOUT = ("title", "url", "licence", "source")
_TEXT = ("passage", "text", "context", "response")
_KNOWN = (*_TEXT[:3], *_ABOUT, "task_type", "instruction_template", "answer", "parent_ids")


@cache
def own_passages() -> PassageList:
    """The shipped passages: short ones of many kinds, written for this project."""
    records = read_jsonl(data_path("bonito/passages.jsonl"))
    return PassageList([Passage(**record, source="bonito", licence="Apache-2.0") for record in records], name="bonito")


def open_corpus(corpus: Corpus | str | Sequence[str] | None, longest: int) -> Corpus:
    """The corpus that an argument means.

    Args:
        corpus: A corpus; paths of files and folders; None for the shipped passages.
        longest: Characters of a passage of files, at most.
    """
    if corpus is None:
        return own_passages()
    if isinstance(corpus, Corpus):
        return corpus
    return Files(corpus, split=ByParagraphs(shortest=min(200, longest), longest=longest, keep_short=True))


def corpus_passages(corpus: Corpus, longest: int) -> Iterator[dict[str, Any]]:
    """The passages of a corpus in its order, as arguments of `Bonito.aforward`."""
    seen: set[str] = set()
    for passage in corpus:
        about = {name: getattr(passage, name) for name in _ABOUT}
        yield from _pieces(passage.text, about, longest, seen)


def seed_passages(seeds: Iterable[Seed], longest: int) -> Iterator[dict[str, Any]]:
    """The passages of the user's seeds in their order, as arguments of `Bonito.aforward`.

    A seed has a `passage` (or `text`, or `context`), and may have a `task_type` and what is known about the passage.
    The record of a row whose response is a text, such as one of `Backtranslation`, will do as well. One that has an
    `instruction_template` and an `answer` too is a finished task, to be checked only.

    Raises:
        ConfigError: A seed has no passage, or a key or value that is not known.
    """
    seen: set[str] = set()
    for index, seed in enumerate(seeds):
        about = _about(seed, index)
        text = about.pop("passage")
        if "instruction_template" in about:
            yield {"passage": text, **about}
        else:
            yield from _pieces(text, about, longest, seen)


def passage_problem(text: str, *, fewest_words: int, language: str | None, refuse_requests: bool) -> str | None:
    """Why no task can be made from a passage, as `reason` or `reason: detail`; None if it may.

    Args:
        text: The passage.
        fewest_words: Words that it needs.
        language: ISO 639-1 code of the language it must be in; None for any.
        refuse_requests: Whether passages that speak to a model are refused.
    """
    if not text.strip():
        return "empty_passage"
    if (count := len(words(text))) < fewest_words:
        return f"too_few_words: {count}"
    if refuse_requests and (found := request_to_model(text)):
        return f"speaks_to_the_model: {found!r}"
    if language and (found := language_of(text)) != language:
        return f"other_language: {found}"
    return None


def _pieces(text: str, about: dict[str, Any], longest: int, seen: set[str]) -> Iterator[dict[str, Any]]:
    """A passage, cut between paragraphs or sentences where it is too long; copies of earlier ones are marked."""
    text = text.strip()
    split = ByParagraphs(shortest=1, longest=longest, keep_short=True)
    pieces = [text] if len(text) <= longest else [piece.text for piece in split(markdown_sections(text))]
    for piece in pieces:
        key = text_key(f"{about.get('task_type', '')}\n{piece}")
        problem = "duplicate" if key in seen and piece else ""
        seen.add(key)
        given = {**about, "problem": problem}
        yield {"passage": piece.strip(), **{name: value for name, value in given.items() if value}}


def _about(seed: Seed, index: int) -> dict[str, Any]:
    of_run = is_row(seed)
    field = next((name for name in _TEXT if isinstance(seed.get(name), str)), None)
    if field is None:
        raise ConfigError(f"Seed {index} of Bonito is {dict(seed)!r}; it needs a `passage`, which is a text.")
    if not of_run and (unknown := [name for name in seed if name not in _KNOWN]):
        raise ConfigError(f"Seed {index} of Bonito has the key {unknown[0]!r}. {did_you_mean(unknown[0], _KNOWN)}")
    for name in (*_ABOUT, *(() if of_run else ("task_type", "instruction_template", "answer"))):
        if not isinstance(seed.get(name, ""), str):
            raise ConfigError(f"`{name}` of seed {index} of Bonito must be a text, got {seed[name]!r}.")
    if ("instruction_template" in seed) != ("answer" in seed) and not of_run:
        raise ConfigError(f"Seed {index} of Bonito needs `instruction_template` and `answer` both, or neither.")
    if not of_run and "task_type" in seed:
        type_named(seed["task_type"])
    kept = _ABOUT if of_run else (*_ABOUT, "task_type", "instruction_template", "answer")
    about = {name: seed[name] for name in kept if seed.get(name)}
    parents = [seed["id"]] if of_run else list(seed.get("parent_ids") or ())
    return {"passage": seed[field], **about, **({"parent_ids": parents} if parents else {})}
