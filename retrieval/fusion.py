"""Merging what several queries and several sources found."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from synthwright.errors import ConfigError
from synthwright.retrieval.base import Retriever
from synthwright.retrieval.passages import Passage, text_key

__all__ = ["Fusion", "aretrieve", "fuse", "retrieve"]

Fusion = Literal["round_robin", "rrf"]

RRF_CONSTANT = 60
"""Added to each rank in reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009, who fixed it at 60)."""


def retrieve(
    keywords: str | Sequence[str],
    k: int,
    retrievers: Iterable[Retriever],
    *,
    per_source: int | None = None,
    fusion: Fusion = "round_robin",
) -> list[Passage]:
    """The best passages for a set of keywords from a set of sources, without duplicates.

    Each source searches for every keyword. What its keywords found is fused into one ranking a source, and these
    rankings are fused into one.

    Args:
        keywords: One query or several.
        k: Passages wanted, 1 or more. Fewer come back if fewer are found.
        retrievers: The sources.
        per_source: Passages that one source may give to the fusion, 1 or more; None for `k`.
        fusion: `round_robin` takes the first of each ranking, then the second of each, and keeps each source's own
            score; `rrf` ranks by the sum of 1 / (60 + rank) over the rankings that hold a passage, and that is
            its score.

    Raises:
        ConfigError: No source is given, or a number is not positive, or there is no such fusion.
    """
    sources, queries, most = _checked(keywords, k, retrievers, per_source, fusion)
    found = [source.search(queries, most) for source in sources]
    return fuse([fuse(rankings, fusion)[:most] for rankings in found], fusion)[:k]


async def aretrieve(
    keywords: str | Sequence[str],
    k: int,
    retrievers: Iterable[Retriever],
    *,
    per_source: int | None = None,
    fusion: Fusion = "round_robin",
) -> list[Passage]:
    """The same as `retrieve`, with all sources asked at once."""
    sources, queries, most = _checked(keywords, k, retrievers, per_source, fusion)
    found = await asyncio.gather(*(source.asearch(queries, most) for source in sources))
    return fuse([fuse(rankings, fusion)[:most] for rankings in found], fusion)[:k]


def fuse(rankings: Sequence[Sequence[Passage]], fusion: Fusion = "round_robin") -> list[Passage]:
    """One ranking from several. Passages whose texts differ in case and white space only count as one.

    Of equal passages the first stays, by rank and then by the order of the rankings; ties of `rrf` keep that order.

    Args:
        rankings: Passages, best first.
        fusion: As in `retrieve`.
    """
    first: dict[str, Passage] = {}
    sums: dict[str, float] = {}
    unique = [_by_key(ranking) for ranking in rankings]
    for rank in range(1, max(map(len, unique), default=0) + 1):
        for ranking in unique:
            if rank <= len(ranking):
                key, passage = ranking[rank - 1]
                first.setdefault(key, passage)
                sums[key] = sums.get(key, 0.0) + 1 / (RRF_CONSTANT + rank)
    if fusion == "round_robin":
        return list(first.values())
    return [first[key].scored(sums[key]) for key in sorted(first, key=lambda key: -sums[key])]


def _by_key(ranking: Sequence[Passage]) -> list[tuple[str, Passage]]:
    first: dict[str, Passage] = {}
    for passage in ranking:
        first.setdefault(text_key(passage.text), passage)
    return list(first.items())


def _checked(
    keywords: str | Sequence[str], k: int, retrievers: Iterable[Retriever], per_source: int | None, fusion: str
) -> tuple[list[Retriever], list[str], int]:
    sources = list(retrievers)
    if not sources:
        raise ConfigError("`retrievers` is empty: pass at least one, such as BM25(PythonDocs()).")
    if fusion not in get_args(Fusion):
        raise ConfigError(f"`fusion` must be one of {', '.join(get_args(Fusion))}, got {fusion!r}.")
    for name, value in (("k", k), ("per_source", per_source)):
        if value is not None and value < 1:
            raise ConfigError(f"`{name}` must be at least 1, got {value!r}.")
    queries = list(dict.fromkeys([keywords] if isinstance(keywords, str) else keywords))
    return sources, queries, per_source or k
