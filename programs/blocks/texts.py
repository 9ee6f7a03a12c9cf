"""Small comparisons of texts by their words, for objective checks."""

import re

from synthwright.filters.duplicates import rouge_l, rouge_tokens

__all__ = ["COPY", "occurrences", "restates", "words"]

COPY = 0.9
"""ROUGE-L F-measure from which a text counts as a restatement of another."""

_WORDS = re.compile(r"\w+(?:['’]\w+)?")


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return _WORDS.findall(text.lower())


def occurrences(part: str, whole: str) -> int:
    """How often a phrase stands in a text, as whole words, ignoring case."""
    wanted, found = words(part), words(whole)
    return sum(found[i : i + len(wanted)] == wanted for i in range(len(found))) if wanted else 0


def restates(text: str, other: str, threshold: float = COPY) -> bool:
    """Whether a text has the words of another, or a ROUGE-L F-measure of the threshold or more with it."""
    return words(text) == words(other) or rouge_l(rouge_tokens(text), rouge_tokens(other)) >= threshold
