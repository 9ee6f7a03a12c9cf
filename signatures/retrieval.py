"""Signatures and rows of retrieval: from a text to the queries that find what it is about.

Two steps that retrieval is usually improved by: keywords of the need (as Synthetic Data RL, arXiv:2505.17063, section
3.1, takes them from a task definition) and expansion of the query by an LM (query2doc, Wang et al., EMNLP 2023, and
RAG-Fusion, Rackauckas, 2024, which joins the rankings of several queries by reciprocal ranks).
"""

import dspy

from synthwright.signatures.rows import Message, Row

__all__ = ["ExpandQuery", "ExtractKeywords", "QueryRow"]


class ExtractKeywords(dspy.Signature):
    """Name the two to five technical terms under which a reference book explains what the text asks about.

    Use the words of such a book, also where the text says it in plain words. One or two words for each term.
    """

    text: str = dspy.InputField()
    keywords: list[str] = dspy.OutputField()


class ExpandQuery(dspy.Signature):
    """Write three short search queries that find pages with the answer to the query.

    Each one uses other words than the query: the technical term, a synonym, or words that the answer must contain.
    """

    query: str = dspy.InputField()
    queries: list[str] = dspy.OutputField()


class QueryRow(Row):
    """A question with the search queries written for it and what they found.

    Attributes:
        question: The question.
        keywords: Terms that were named for it; none if there was no usable reply.
        queries: All queries that were searched for, the question first.
        titles: Titles of the passages found, with their headings, best first, each once.
        passage_ids: Ids of the passages found, best first.
    """

    question: str
    keywords: tuple[str, ...]
    queries: tuple[str, ...]
    titles: tuple[str, ...]
    passage_ids: tuple[str, ...]

    def to_messages(self) -> list[Message] | None:
        """What trains a model to write queries: the question, and one query a line. None if none was written."""
        written = self.queries[1:]
        if not written:
            return None
        return [Message(role="user", content=self.question), Message(role="assistant", content="\n".join(written))]
