"""The passages of Synthetic Data RL: where they come from, how they are searched for, and how they are cut."""

import random
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from synthwright.errors import ConfigError
from synthwright.retrieval import BM25, Corpus, Files, Passage, PythonDocs, Retriever, aretrieve
from synthwright.signatures.synthetic_data_rl import PassageText

__all__ = ["Library", "clean", "cut", "find", "retrievers_of"]

Source: TypeAlias = Retriever | Corpus | str | Path
Library: TypeAlias = Source | Sequence[Source] | None
"""Where passages come from: retrievers, corpora, files or folders; one or several. None for Python's own docs."""


def retrievers_of(library: Library) -> list[Retriever]:
    """The retrievers of a library; corpora, files and folders are searched by BM25.

    Raises:
        ConfigError: It is empty, names a file that is not there, or holds something else.
    """
    if library is None:
        return [_python_docs()]
    sources = [library] if isinstance(library, Retriever | Corpus | str | Path) else list(library)
    if not sources:
        raise ConfigError("`library` is empty: give a folder, a corpus or a retriever, or grounding='none'.")
    return [_retriever(source) for source in sources]


def _retriever(source: Source) -> Retriever:
    if isinstance(source, Retriever):
        return source
    if isinstance(source, Corpus):
        return BM25(source)
    if isinstance(source, str | Path):
        return BM25(Files(source))
    raise ConfigError(f"`library` takes retrievers, corpora, files and folders, got {source!r}.")


@cache
def _python_docs() -> Retriever:
    return BM25(PythonDocs())


async def find(
    queries: Sequence[str], count: int, library: Library, longest: int, seed: str
) -> tuple[PassageText, ...]:
    """Passages for all queries together, without duplicates, cut, in a random order fixed by the seed.

    Source: section 4.1, and the released retriever, which shuffles what it found so that a sample does not depend on
    the rank of its passage.

    Args:
        queries: What to search for; nothing is found for none.
        count: Most passages.
        library: Where.
        longest: Most characters of a passage.
        seed: Fixes the order.
    """
    if not queries:
        return ()
    found = await aretrieve(list(queries), count, retrievers_of(library))
    texts = [made for passage in found if (made := _text(passage, longest)) is not None]
    random.Random(seed).shuffle(texts)
    return tuple(texts)


def _text(passage: Passage, longest: int) -> PassageText | None:
    """A passage as prompts take it; None if nothing is left of it."""
    text = cut(passage.prompt_text, longest)
    if not text:
        return None
    return PassageText(
        passage=text, passage_id=passage.id, title=passage.title, url=passage.url, licence=passage.licence
    )


def cut(text: str, longest: int) -> str:
    """The first characters of a text, up to the last sentence that fits, or the last word if none does."""
    text = text.strip()
    if len(text) <= longest:
        return text
    head = text[: longest + 1]
    end = max(head.rfind(mark) + 1 for mark in (". ", "! ", "? ", ".\n", "\n\n"))
    if end < longest // 2:
        end = max(head.rfind(" "), head.rfind("\n"))
    return (head[:end] if end > 0 else text[:longest]).strip()


def clean(texts: Iterable[object]) -> tuple[str, ...]:
    """Keywords in order, each once whatever its case, on one line, without blank ones."""
    first: dict[str, str] = {}
    for text in texts:
        plain = " ".join(str(text).split())
        if plain:
            first.setdefault(plain.casefold(), plain)
    return tuple(first.values())
