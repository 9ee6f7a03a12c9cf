"""Novelty against a frozen archive: what a row adds to what is there, as a term that any optimizer can use.

The marginal gain of a row for a growing pool is its quality times its distance from the pool. The pool must stand
still while prompts are compared, or their scores would not be comparable: hence frozen.
"""

import hashlib
import random
from collections.abc import Iterable, Sequence

from synthwright.filters.duplicates import rouge_l, rouge_tokens

__all__ = ["Archive"]

SAMPLE = 200
"""Texts of an archive that are compared with; a larger one is sampled."""


class Archive:
    """A fixed sample of the texts that exist already.

    Args:
        texts: The texts, such as the instructions of a pool.
        sample: Most texts to keep, 1 or more, drawn at random.
        seed: Random seed of the sample.
    """

    def __init__(self, texts: Iterable[str], *, sample: int = SAMPLE, seed: int = 0) -> None:
        if sample < 1:
            raise ValueError(f"`sample` must be at least 1, got {sample!r}.")
        known = list(dict.fromkeys(texts))
        if len(known) > sample:
            known = random.Random(f"archive:{seed}").sample(known, sample)
        self.texts = tuple(known)
        self._tokens = [rouge_tokens(text) for text in self.texts]

    @property
    def fingerprint(self) -> str:
        """First 12 hex digits of the SHA-256 of the texts: only scores against one archive can be compared."""
        return hashlib.sha256("\0".join(self.texts).encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def nearest(self, text: str) -> tuple[float, str]:
        """The largest ROUGE-L to a text of the archive, in [0, 1], with that text; (0, "") for an empty archive."""
        tokens = rouge_tokens(text)
        scores = [rouge_l(tokens, other) for other in self._tokens]
        best = max(range(len(scores)), key=scores.__getitem__, default=None)
        return (0.0, "") if best is None else (scores[best], self.texts[best])

    def novelty(self, text: str) -> float:
        """One minus the largest ROUGE-L to a text of the archive, in [0, 1]; 1 for an empty archive."""
        return 1 - self.nearest(text)[0]

    def gain(self, text: str, quality: float) -> float:
        """What the text adds: its quality times its novelty."""
        return quality * self.novelty(text)

    def mean_novelty(self, texts: Sequence[str]) -> float:
        """Mean novelty of draws, each also against the draws before it, in [0, 1]; 0 without any.

        Two draws that say the same new thing add it once.
        """
        total, before = 0.0, list[list[str]]()
        for text in texts:
            tokens = rouge_tokens(text)
            twin = max((rouge_l(tokens, other) for other in before), default=0.0)
            total += min(self.novelty(text), 1 - twin)
            before.append(tokens)
        return total / len(texts) if texts else 0.0

    def __len__(self) -> int:
        return len(self.texts)
