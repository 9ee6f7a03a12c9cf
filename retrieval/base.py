"""The two interfaces of retrieval: a corpus gives passages, a retriever finds the ones that fit a query."""

import asyncio
import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, overload

import platformdirs

from synthwright.errors import ConfigError
from synthwright.retrieval.passages import Passage

__all__ = ["Corpus", "PassageList", "Retriever", "SkipLog", "cache_directory"]


class Corpus(ABC):
    """A source of passages that can be read from its start as often as one likes, one passage at a time.

    Subclasses give `__iter__` and `hash`, and `size` where it is known without reading everything. They must be
    picklable, so they open files and connections in `__iter__` and keep none open.

    Attributes:
        name: What passages, messages and folders of indexes call this corpus.
        skipped: What the last reading left out, counted by reason.
    """

    name: str = "corpus"

    def __init__(self) -> None:
        self.skipped = SkipLog()

    @abstractmethod
    def __iter__(self) -> Iterator[Passage]:
        """The passages, in the same order at every reading."""

    @abstractmethod
    def hash(self) -> str:
        """Hex digits that change whenever the passages or their order may have changed; empty if that cannot be told.

        An index is kept by it.
        """

    @property
    def size(self) -> int | None:
        """Number of passages, or None where it is not known before everything is read."""
        return None


class SkipLog(Counter[str]):
    """What a corpus left out: a count for each reason, and the first places where it happened.

    Attributes:
        examples: The first five places for each reason, such as file names or line numbers.
    """

    def __init__(self, counts: Mapping[str, int] | None = None, examples: dict[str, list[str]] | None = None) -> None:
        super().__init__(counts or {})
        self.examples: dict[str, list[str]] = examples or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self), self.examples)

    def add(self, reason: str, place: str) -> None:
        """Count one more thing left out.

        Args:
            reason: A short code, such as `binary`.
            place: Where it was, for people.
        """
        self[reason] += 1
        places = self.examples.setdefault(reason, [])
        if len(places) < 5:
            places.append(place)

    def restart(self) -> None:
        """Forget everything: a new reading begins."""
        self.clear()
        self.examples.clear()


class PassageList(Corpus):
    """A corpus of passages that are in memory already.

    Args:
        passages: The passages; read once.
        name: Name of the corpus.
    """

    def __init__(self, passages: Iterable[Passage], name: str = "passages") -> None:
        super().__init__()
        self.passages, self.name = tuple(passages), name

    def __iter__(self) -> Iterator[Passage]:
        return iter(self.passages)

    def __len__(self) -> int:
        return len(self.passages)

    @property
    def size(self) -> int:
        return len(self.passages)

    def hash(self) -> str:
        digest = hashlib.sha256()
        for passage in self.passages:
            digest.update(passage.model_dump_json().encode() + b"\n")
        return digest.hexdigest()[:20]


class Retriever(ABC):
    """Finds passages for queries.

    Subclasses give `_search_all`. They must be picklable: files and connections are opened on the first search of a
    process, and `__getstate__` leaves them out.

    Attributes:
        name: What messages call this source of passages.
    """

    name: str = "retriever"

    @abstractmethod
    def _search_all(self, queries: list[str], k: int) -> list[list[Passage]]:
        """The best passages of each query, at most `k` each, best first, with scores. `k` is at least 1."""

    @overload
    def search(self, query: str, k: int = 10) -> list[Passage]: ...

    @overload
    def search(self, query: list[str], k: int = 10) -> list[list[Passage]]: ...

    def search(self, query: str | list[str], k: int = 10) -> list[Passage] | list[list[Passage]]:
        """The passages that fit a query, best first, each with its score.

        Args:
            query: One query, or several to be answered at once.
            k: Passages wanted for each query, 1 or more. Fewer come back if fewer fit.

        Returns:
            The passages of one query, or for several queries a list of such lists, in the order of the queries.

        Raises:
            ConfigError: `k` is not positive, or a query is not a string.
        """
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ConfigError(f"`k` must be at least 1, got {k!r}.")
        queries = [query] if isinstance(query, str) else list(query)
        for text in queries:
            if not isinstance(text, str):
                raise ConfigError(f"A query is a string, got {text!r}. Pass several queries as one list of strings.")
        if not queries:
            return []
        found = self._search_all(queries, k)
        return found[0] if isinstance(query, str) else found

    @overload
    async def asearch(self, query: str, k: int = 10) -> list[Passage]: ...

    @overload
    async def asearch(self, query: list[str], k: int = 10) -> list[list[Passage]]: ...

    async def asearch(self, query: str | list[str], k: int = 10) -> list[Passage] | list[list[Passage]]:
        """The same as `search`, off the event loop's thread."""
        if isinstance(query, str):
            return await asyncio.to_thread(self.search, query, k)
        return await asyncio.to_thread(self.search, query, k)


def cache_directory() -> Path:
    """Where indexes and answers are kept: `SYNTHWRIGHT_CACHE`, else the user's cache directory of the platform."""
    return Path(os.environ.get("SYNTHWRIGHT_CACHE") or platformdirs.user_cache_dir("synthwright")) / "retrieval"
