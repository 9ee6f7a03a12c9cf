"""A bag-of-words classifier under cross-validation: what the words of a text give away about its label.

Multinomial naive Bayes (McCallum and Nigam, 1998) with add-one smoothing. It is small, has no settings to tune, and is
about as good as any on a few hundred short texts, which makes it a fair judge of artifacts.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from synthwright.errors import ConfigError

__all__ = ["CrossValidated", "NaiveBayes", "cross_validate"]


class NaiveBayes:
    """Multinomial naive Bayes over tokens; tokens never seen in training are ignored.

    Labels have equal priors, so that an uneven distribution of labels alone predicts nothing.

    Args:
        texts: The tokens of each text.
        labels: The label of each text.
    """

    def __init__(self, texts: Sequence[Sequence[str]], labels: Sequence[str]) -> None:
        self.counts: dict[str, Counter[str]] = {label: Counter() for label in sorted(set(labels))}
        for tokens, label in zip(texts, labels, strict=True):
            self.counts[label].update(tokens)
        self.vocabulary = set().union(*self.counts.values()) if self.counts else set()
        self.totals = {label: found.total() + len(self.vocabulary) for label, found in self.counts.items()}

    def weight(self, token: str, label: str) -> float:
        """Log-likelihood of a token under a label."""
        return math.log((self.counts[label][token] + 1) / self.totals[label])

    def predict(self, tokens: Sequence[str]) -> str:
        """The likeliest label; of equal ones the first in alphabetical order."""
        known = [token for token in tokens if token in self.vocabulary]
        return max(self.counts, key=lambda label: sum(self.weight(token, label) for token in known))

    def telling(self, count: int = 10) -> list[tuple[str, str, float]]:
        """The tokens that speak most for one label: (token, label, log-likelihood ratio to the next label)."""
        found = []
        for token in self.vocabulary:
            ranked = sorted(((self.weight(token, label), label) for label in self.counts), reverse=True)
            if len(ranked) > 1:
                found.append((token, ranked[0][1], ranked[0][0] - ranked[1][0]))
        return sorted(found, key=lambda each: (-each[2], each[0]))[:count]


@dataclass(frozen=True)
class CrossValidated:
    """Predictions for texts that the classifier was not trained on.

    Attributes:
        predictions: The predicted label of each text, in order.
        folds: Folds used.
    """

    predictions: tuple[str, ...]
    folds: int


def cross_validate(
    texts: Sequence[Sequence[str]], labels: Sequence[str], *, folds: int = 5, seed: int = 0
) -> CrossValidated:
    """Predict the label of each text from the others, fold by fold; every fold has its share of each label.

    Args:
        texts: The tokens of each text.
        labels: The label of each text.
        folds: Parts that are left out in turn, 2 or more; no more than the rarest label has texts.
        seed: Fixes which text is in which fold.

    Raises:
        ConfigError: There are fewer than two labels, a label has a single text, or `folds` is below 2.
    """
    sizes = Counter(labels)
    if folds < 2 or len(sizes) < 2 or min(sizes.values()) < 2:
        raise ConfigError(
            f"Cross-validation needs 2 folds or more and 2 texts or more of 2 labels or more, got folds={folds!r} and "
            f"{dict(sizes)!r}."
        )
    folds = min(folds, min(sizes.values()))
    fold_of = [0] * len(labels)
    for label in sorted(sizes):
        places = [place for place, other in enumerate(labels) if other == label]
        random.Random(f"{seed}:{label}").shuffle(places)
        for turn, place in enumerate(places):
            fold_of[place] = turn % folds
    predictions = [""] * len(labels)
    for fold in range(folds):
        inside = [place for place in range(len(labels)) if fold_of[place] != fold]
        model = NaiveBayes([texts[place] for place in inside], [labels[place] for place in inside])
        for place in range(len(labels)):
            if fold_of[place] == fold:
                predictions[place] = model.predict(texts[place])
    return CrossValidated(tuple(predictions), folds)
