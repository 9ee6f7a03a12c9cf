"""Difficulty Hiking of SAND-Math: what a harder version hangs on, and what is wrong with one."""

import random
from dataclasses import dataclass

from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.programs.sand_math_checks import SAME
from synthwright.programs.sand_math_taxonomy import Taxonomy, Theorem, names_theorem

__all__ = ["Hiking", "draw_ideas", "hike_flaw"]


@dataclass(frozen=True)
class Hiking:
    """What a harder version is made with.

    Attributes:
        theorem: A theorem of the problem's branch.
        concept: A concept of another branch.
        concept_branch: That branch.
    """

    theorem: Theorem
    concept: str
    concept_branch: str

    @property
    def theorem_text(self) -> str:
        """The theorem as the prompt shows it: name and statement."""
        return f"{self.theorem.name}: {self.theorem.statement}".strip(": ")


def draw_ideas(taxonomy: Taxonomy, branch: str, level: str, seed: str) -> Hiking:
    """A theorem of the branch, or of a random one if it has none or is unknown, and a concept of another branch.

    Source: the paper's step 8; a random branch where there is no theorem is the released code's.

    Args:
        taxonomy: Branches with theorems and concepts.
        branch: Branch of the problem; it may be unknown to the taxonomy.
        level: Level of the run, by which concepts are chosen.
        seed: Fixes the draw.
    """
    rng = random.Random(seed)
    with_theorems = [each for each in taxonomy if each.theorems]
    own = taxonomy[branch].theorems or (rng.choice(with_theorems).theorems if with_theorems else ())
    theorem = rng.choice(own) if own else Theorem(name="none in particular", statement="use any that fits")
    with_concepts = [each for each in taxonomy if each.concepts(level)]
    others = [each for each in with_concepts if each.branch != branch] or with_concepts
    if not others:
        return Hiking(theorem, "any", branch)
    other = rng.choice(others)
    return Hiking(theorem, rng.choice(other.concepts(level)), other.branch)


def hike_flaw(question: str, before: str, theorem: Theorem, checks: bool = True) -> str | None:
    """Why a harder version is none, as `reason: detail`, or None.

    Args:
        question: The harder version.
        before: The problem that it was made from.
        theorem: The theorem, which it must not name.
        checks: Whether near copies and named theorems count; an unchanged text always does.
    """
    if question.split() == before.split():
        return "not_rewritten"
    if checks and rouge_l(rouge_tokens(question), rouge_tokens(before)) >= SAME:
        return "not_rewritten: nearly the same words"
    mark = names_theorem(question, theorem) if checks else ""
    return f"names_theorem: {mark}" if mark else None
