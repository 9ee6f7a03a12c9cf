"""Rewards for rows of SAND-Math: a function for a trainer that verifies every completion again."""

from collections.abc import Sequence
from typing import Any

from synthwright.programs.blocks.completions import completion_text
from synthwright.programs.sand_math_checks import VERIFIER
from synthwright.programs.sand_math_panel import solved

__all__ = ["reward"]


def reward(completions: Sequence[Any], answer: Sequence[str], **columns: Any) -> list[float]:
    r"""1 for a completion whose final answer equals the known one, else 0.

    The column comes from `export --format prompt-only --column answer`. Only the completion is read, after any
    thinking; its answer stands in the last `\boxed{}`, or after words such as "the answer is".

    Args:
        completions: Texts, or lists of messages (TRL's conversational form).
        answer: The right answer of each.
        **columns: Other columns, such as `difficulty_rating` and `branch`, which are not read.
    """
    return [_reward(completion_text(each), known) for each, known in zip(completions, answer, strict=True)]


def _reward(text: str, known: str) -> float:
    text = solved(text, "").text
    return float(VERIFIER(text, rf"\boxed{{{known}}}").ok)
