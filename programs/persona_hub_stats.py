"""Figures about a hub and its items: what each step of deduplication left, and diversity with and without personas."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from synthwright.filters.diversity import mean_rouge_l, self_bleu, vendi_score
from synthwright.filters.embedding import unit_vectors
from synthwright.signatures.persona_hub import Persona, PersonaRow
from synthwright.signatures.rows import Row

__all__ = ["HubReport", "compare", "hub_report"]

MAKING = ("text", "seed", "describe", "relate", "rate")
"""Stages at which a persona is lost before it is compared with others."""


@dataclass(frozen=True)
class HubReport:
    """What became of the personas of a run.

    Attributes:
        asked: Texts, personas to expand and given personas that were taken.
        lost: How many gave no persona, by reason.
        checked: Personas that passed the checks.
        after_words: Those left after MinHash.
        kept: Those left after the comparison of embeddings: the hub.
        compared: What copies were found by.
        origins: Personas of the hub by origin.
        depths: Personas of the hub by steps away from a text.
    """

    asked: int
    lost: dict[str, int]
    checked: int
    after_words: int
    kept: int
    compared: str
    origins: dict[str, int]
    depths: dict[int, int]

    @property
    def survival(self) -> dict[str, float]:
        """Share that each step left of what reached it, in [0, 1]; 0 if nothing did."""
        steps = {
            "checks": (self.checked, self.asked),
            "words": (self.after_words, self.checked),
            "meaning": (self.kept, self.after_words),
        }
        return {name: after / before if before else 0.0 for name, (after, before) in steps.items()}


def hub_report(run: Any, artifacts: Iterable[Row]) -> HubReport:
    """The report of a run.

    Args:
        run: The `Run`.
        artifacts: Its artifacts: `run.artifacts(Persona)`, or all of them.
    """
    personas = [each for each in artifacts if isinstance(each, Persona)]
    lost = Counter[str]()
    near = Counter[str]()
    for stage, reason, count in run.funnel.lost:
        if stage in MAKING:
            lost[reason] += count
        elif stage in ("min_hash_novelty", "embedding_novelty"):
            near[stage] += count
    words_left = len(personas) + near["embedding_novelty"]
    checked = words_left + near["min_hash_novelty"]
    embedder = run.config()["arguments"]["embedder"] is not None
    return HubReport(
        asked=checked + lost.total(),
        lost=dict(lost),
        checked=checked,
        after_words=words_left,
        kept=len(personas),
        compared="words and meaning" if embedder else "words only (MinHash): no embedder",
        origins=dict(Counter(persona.origin for persona in personas)),
        depths=dict(sorted(Counter(persona.depth for persona in personas).items())),
    )


def compare(
    rows: Sequence[PersonaRow], baseline: Sequence[PersonaRow], embed: Callable[[list[str]], Any] | None = None
) -> dict[str, dict[str, float]]:
    """Diversity of items `with` personas beside that of as many `without` (`PersonaHub(baseline=True)`).

    Diverse items need not be useful ones: many personas on few seed tasks came out more diverse and trained worse than
    few personas on many (Prismatic Synthesis, arXiv:2505.20161). Look at validity too.

    Args:
        rows: Items with personas.
        baseline: Items without.
        embed: An embedder; with it the mean cosine of pairs (low is diverse) and the Vendi score (high is) are given.

    Returns:
        Number of rows, self-BLEU and mean ROUGE-L of pairs (low is diverse) for both, over equally many rows.
    """
    size = min(len(rows), len(baseline))
    return {
        name: _figures([row.text for row in some[:size]], embed)
        for name, some in (("with", rows), ("without", baseline))
    }


def _figures(texts: list[str], embed: Callable[[list[str]], Any] | None) -> dict[str, float]:
    found = {"rows": float(len(texts)), "self_bleu": self_bleu(texts), "rouge_l": mean_rouge_l(texts)}
    if embed is None or len(texts) < 2:
        return found
    vectors = unit_vectors(embed, texts)
    cosines = vectors @ vectors.T
    n = len(texts)
    return {**found, "cosine": float((cosines.sum() - n) / (n * (n - 1))), "vendi": vendi_score(vectors)}
