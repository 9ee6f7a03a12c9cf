"""BM25 over passages (Robertson and Zaragoza, 2009), by the package rank-bm25."""

import re
from collections.abc import Iterable, Sequence

from rank_bm25 import BM25Okapi

from synthwright.errors import ConfigError
from synthwright.retrieval.base import Retriever
from synthwright.retrieval.passages import Passage

__all__ = ["BM25"]

_WORD = re.compile(r"\w+")


class BM25(Retriever):
    """Ranks passages by the words they share with a query. The whole index is in memory.

    Args:
        passages: The corpus; read once, and must not be empty.

    Raises:
        ConfigError: The corpus has no passage with a word in it.

    Example:
        >>> BM25([Passage(text="Snow is frozen water."), Passage(text="Bread is baked.")]).search("frozen", k=1)[0].text
        'Snow is frozen water.'
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.passages: Sequence[Passage] = list(passages)
        tokens = [_words(passage.text) for passage in self.passages]
        if not any(tokens):
            raise ConfigError(f"BM25 needs passages with words in them, got {len(self.passages)} without any.")
        self._index = BM25Okapi(tokens)

    def _search_all(self, queries: list[str], k: int) -> list[list[Passage]]:
        return [self._search(query, k) for query in queries]

    def _search(self, query: str, k: int) -> list[Passage]:
        words = _words(query)
        scores = self._index.get_scores(words)
        wanted = set(words)
        sharing = [i for i, frequencies in enumerate(self._index.doc_freqs) if wanted & frequencies.keys()]
        best = sorted(sharing, key=lambda i: -scores[i])[:k]
        return [self.passages[i].scored(float(scores[i])) for i in best]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
