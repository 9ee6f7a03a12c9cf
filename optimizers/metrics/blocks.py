"""Blocks that metrics share: words, overlap, distinctness, agreement with labels, bounds."""

import re
from collections.abc import Hashable, Sequence

from synthwright.filters.duplicates import rouge_l, rouge_tokens

__all__ = ["STOP_WORDS", "balanced_accuracy", "capped", "content_words", "distinct", "overlap", "words"]

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")

STOP_WORDS = frozenset(
    "a about after all also an and any are as at be because been before but by can could did do does for from had has "
    "have he her here him his how i if in into is it its just like me more most my no not of on one only or other our "
    "out over she so some such than that the their them then there these they this those to too up us very was we were "
    "what when where which while who why will with would you your".split()
)


def words(text: str) -> list[str]:
    """The lower-case words of a text, numbers included, in order."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def content_words(text: str) -> set[str]:
    """The words of a text that are not stop words."""
    return set(words(text)) - STOP_WORDS


def overlap(a: str, b: str) -> float:
    """Share of the content words of `a` that occur in `b`, in [0, 1]; 1 if `a` has none."""
    wanted = content_words(a)
    return len(wanted & set(words(b))) / len(wanted) if wanted else 1.0


def distinct(texts: Sequence[str]) -> float:
    """One minus the mean pairwise ROUGE-L of the texts, in [0, 1]; 1 for fewer than two."""
    tokens = [rouge_tokens(text) for text in texts]
    pairs = [rouge_l(a, b) for i, a in enumerate(tokens) for b in tokens[:i]]
    return 1 - sum(pairs) / len(pairs) if pairs else 1.0


def balanced_accuracy(labels: Sequence[Hashable], verdicts: Sequence[Hashable]) -> float:
    """Mean over the labels that occur of the share of their cases that got them as verdict, in [0, 1].

    Constant verdicts earn one over the number of labels, however the labels are distributed.

    Args:
        labels: What is right, one for each case.
        verdicts: What was said; one that could not be read is wrong, such as None.

    Returns:
        The mean recall; 0 if there are no cases.

    Raises:
        ValueError: There are not as many verdicts as labels.
    """
    right: dict[Hashable, list[bool]] = {}
    for label, verdict in zip(labels, verdicts, strict=True):
        right.setdefault(label, []).append(verdict == label)
    return sum(sum(cases) / len(cases) for cases in right.values()) / len(right) if right else 0.0


def capped(score: float) -> float:
    """The score in [0, 0.99]: optimizers skip examples that are perfect already."""
    return min(max(score, 0.0), 0.99)
