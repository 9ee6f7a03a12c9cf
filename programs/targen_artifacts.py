"""Whether a dataset of TarGEN gives its labels away: solvers that do not see the instance seed should be at chance.

A generator that is told the label leaves traces of it, such as a "not" in every contradiction ("annotation artifacts",
Gururangan et al., 2018). A model trained on such rows learns the traces instead of the task.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synthwright.errors import ConfigError
from synthwright.programs.blocks.naive_bayes import NaiveBayes, cross_validate
from synthwright.programs.blocks.texts import words
from synthwright.signatures.targen import LabelledRow

__all__ = ["ArtifactReport", "artifact_check", "blind_accuracy", "unseeded"]

CONFIDENCE = 1.645
"""Standard errors above chance from which an accuracy counts as above it: one-sided, 95 %."""


@dataclass(frozen=True)
class ArtifactReport:
    """How well labels are told from what the LM wrote alone.

    Attributes:
        rows: Rows that were looked at.
        accuracy: Balanced accuracy in [0, 1]: the mean recall of the labels.
        chance: One over the number of labels.
        bound: What an accuracy must exceed to be above chance, for as many rows.
        telling: The tokens that speak most for a label, as (token, label); with their field before a colon.
    """

    rows: int
    accuracy: float
    chance: float
    bound: float
    telling: tuple[tuple[str, str], ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether the labels are given away more often than chance explains."""
        return self.accuracy > self.bound


def artifact_check(rows: Iterable[LabelledRow], *, folds: int = 5, seed: int = 0, telling: int = 10) -> ArtifactReport:
    """A bag-of-words solver that sees no instance seed, by cross-validated naive Bayes; no LM takes part.

    Args:
        rows: Rows of one classification, 50 or more if the figure is to mean something.
        folds: Parts for cross-validation, 2 or more.
        seed: Fixes the parts.
        telling: Tokens to name.

    Raises:
        ConfigError: The task is structured, or there are not two rows of two labels.
    """
    found = _classified(rows)
    texts, labels = [unseeded(row) for row in found], [row.label for row in found]
    predictions = cross_validate(texts, labels, folds=folds, seed=seed).predictions
    words_of = NaiveBayes(texts, labels).telling(telling)
    return _report(labels, predictions, tuple((token, label) for token, label, _ in words_of))


def blind_accuracy(rows: Iterable[LabelledRow]) -> ArtifactReport:
    """The same for an LM that saw no instance seed: for rows of `TarGEN(solver=True, hide_seed=True)`.

    Raises:
        ConfigError: The task is structured, or no row has a `blind_label`.
    """
    found = [row for row in _classified(rows) if row.blind_label is not None]
    if not found:
        raise ConfigError("No row has a `blind_label`: make them with TarGEN(solver=True, hide_seed=True).")
    return _report([row.label for row in found], [row.blind_label or "" for row in found])


def unseeded(row: LabelledRow) -> list[str]:
    """The words that the LM wrote, and pairs of neighbours, each marked with its field; nothing of the instance seed.

    The mark keeps places apart: for a label that is a position it matters in which field a word stands.
    """
    tokens: list[str] = []
    for name, text in row.fields.items():
        if text != row.instance_seed:
            found = words(text)
            tokens += [f"{name}:{word}" for word in found]
            tokens += [f"{name}:{a} {b}" for a, b in itertools.pairwise(found)]
    return tokens


def _classified(rows: Iterable[LabelledRow]) -> list[LabelledRow]:
    found = list(rows)
    if any(row.answers for row in found):
        raise ConfigError("Artifacts are checked for labels; the answers of a structured task are none.")
    return found


def _report(
    labels: Sequence[str], predictions: Sequence[str], telling: tuple[tuple[str, str], ...] = ()
) -> ArtifactReport:
    right: dict[str, list[bool]] = {}
    for label, prediction in zip(labels, predictions, strict=True):
        right.setdefault(label, []).append(prediction == label)
    accuracy = sum(sum(cases) / len(cases) for cases in right.values()) / len(right)
    chance = 1 / len(right)
    variances = sum(chance * (1 - chance) / len(cases) for cases in right.values())
    bound = chance + CONFIDENCE * math.sqrt(variances) / len(right)
    return ArtifactReport(len(labels), accuracy, chance, bound, telling)
