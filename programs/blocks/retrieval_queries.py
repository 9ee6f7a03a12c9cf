"""Write the queries that find the passages a question needs."""

from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar

import dspy

from synthwright.errors import ConfigError, ParseError
from synthwright.programs.base import Generator, unparsable
from synthwright.retrieval import BM25, Passage, PythonDocs, Retriever, aretrieve
from synthwright.signatures.retrieval import ExpandQuery, ExtractKeywords, QueryRow
from synthwright.signatures.rows import Rejected

__all__ = ["RetrievalQueries"]


class RetrievalQueries(Generator[QueryRow]):
    """Names the keywords of a question, writes further queries for it, and searches for all of them.

    The rankings of the question itself, of its keywords together and of each written query are joined by reciprocal
    ranks. A reply that cannot be used costs only its queries. It is a generator, so that `optimize` tunes its two
    prompts like those of any method: its metric is relevance at k over labelled questions about the Python language
    (`synthwright.optimizers.metrics.retrieval_queries`).

    Args:
        retriever: What to search; None for BM25 over `PythonDocs`, which is what the shipped labels are for.
        k: Passages wanted for a question, 1 or more.
        extract: Ask for keywords.
        expand: Ask for further queries.
        plain: Search for the question as it stands, too.
        most_queries: Most queries that are searched for, 1 or more.
        depth: Passages of each query that take part in the joint ranking, at least `k`.

    Raises:
        ConfigError: An argument is wrong, or nothing is left to search for.
    """

    presets: ClassVar = {"practical": {}}

    def __init__(
        self,
        retriever: Retriever | None = None,
        k: int = 5,
        extract: bool = True,
        expand: bool = True,
        plain: bool = True,
        most_queries: int = 6,
        depth: int = 20,
    ) -> None:
        super().__init__()
        if k < 1 or most_queries < 1 or depth < k:
            raise ConfigError(
                f"Need k >= 1, most_queries >= 1 and depth >= k; got {k!r}, {most_queries!r} and {depth!r}."
            )
        if not (extract or expand or plain):
            raise ConfigError("Nothing to search for: leave one of `extract`, `expand` and `plain` on.")
        self.retriever, self.k, self.plain, self.most_queries, self.depth = retriever, k, plain, most_queries, depth
        self.extract, self.expand = extract, expand
        self.name_keywords = dspy.Predict(ExtractKeywords)
        self.write_queries = dspy.Predict(ExpandQuery)

    async def aforward(self, question: str) -> dspy.Prediction:
        rejected: list[Rejected] = []
        keywords: list[str] = []
        written: list[str] = []
        if self.extract:
            try:
                keywords = _clean((await self.name_keywords.acall(text=question)).keywords)
            except ParseError as error:
                rejected.append(unparsable("name_keywords", error, question=question))
        if self.expand:
            try:
                written = _clean((await self.write_queries.acall(query=question)).queries)
            except ParseError as error:
                rejected.append(unparsable("write_queries", error, question=question))
        queries = _clean([question if self.plain else "", " ".join(keywords), *written])[: self.most_queries]
        passages: list[Passage] = []
        if queries:
            source = self.retriever or _python_docs()
            passages = (await aretrieve(queries, self.k, [source], per_source=self.depth, fusion="rrf"))[: self.k]
        row = QueryRow(
            question=question,
            keywords=tuple(keywords),
            queries=tuple(queries),
            titles=tuple(dict.fromkeys(passage.title for passage in passages)),
            passage_ids=tuple(passage.id for passage in passages),
        )
        return dspy.Prediction(rows=[row], rejected=rejected)


@cache
def _python_docs() -> Retriever:
    return BM25(PythonDocs())


def _clean(texts: Iterable[Any]) -> list[str]:
    """The texts in order, each once whatever its case, without blank ones."""
    first: dict[str, str] = {}
    for text in texts:
        plain = " ".join(str(text).split())
        if plain:
            first.setdefault(plain.casefold(), plain)
    return list(first.values())
