"""Rewards for rows of Synthetic Data RL: functions for a trainer that verify every completion again."""

from collections.abc import Callable, Sequence
from typing import Any

from synthwright.errors import ConfigError
from synthwright.programs.blocks.completions import completion_text
from synthwright.programs.synthetic_data_rl_checks import verifier_from
from synthwright.signatures.synthetic_data_rl import SyntheticRow

__all__ = ["Reward", "reward", "reward_function", "verl_record"]

Reward = Callable[..., list[float]]
"""A reward function as TRL's `GRPOTrainer` calls it: completions, and columns of the dataset by name."""


def reward(completions: Sequence[Any], answer: Sequence[str], verifier: Sequence[str], **columns: Any) -> list[float]:
    """1 for a completion that holds the answer, else 0.

    The columns come from `export --format prompt-only --column answer --column verifier`. Only the completion is
    read, so a placeholder in the prompt earns nothing.

    Args:
        completions: Texts, or lists of messages (TRL's conversational form).
        answer: The right answer of each.
        verifier: Settings of the verifier of each: `SyntheticRow.verifier`.
        **columns: Other columns, which are not read.
    """
    return _rewards(completions, answer, verifier, 0.0)


def reward_function(wrong_answer: float = 0.1) -> Reward:
    """A reward function that also pays a little for an answer that can be read and is wrong.

    Source: section 4 and the released rewards give 0.1 in choice and label tasks if the answer tag is there, to teach
    the format; numbers and formulas get 0.

    Args:
        wrong_answer: What such an answer earns, in [0, 1).

    Raises:
        ConfigError: It is out of range.
    """
    if not 0 <= wrong_answer < 1:
        raise ConfigError(f"`wrong_answer` must be in [0, 1), got {wrong_answer!r}.")

    def reward_with_format(
        completions: Sequence[Any], answer: Sequence[str], verifier: Sequence[str], **columns: Any
    ) -> list[float]:
        return _rewards(completions, answer, verifier, wrong_answer)

    return reward_with_format


def _rewards(
    completions: Sequence[Any], answers: Sequence[str], settings: Sequence[str], wrong_answer: float
) -> list[float]:
    return [
        _reward(completion_text(completion), answer, setting, wrong_answer)
        for completion, answer, setting in zip(completions, answers, settings, strict=True)
    ]


def _reward(text: str, answer: str, settings: str, wrong_answer: float) -> float:
    verifier = verifier_from(settings)
    if verifier is None:
        raise ConfigError("Free text cannot be verified: train on these rows by `sft`, not by rewards.")
    verdict = verifier(text, answer)
    if verdict.ok:
        return 1.0
    typed = '"choice"' in settings or '"label"' in settings
    return wrong_answer if verdict.reason == "different" and typed else 0.0


def verl_record(row: SyntheticRow, index: int, split: str = "train") -> dict[str, Any]:
    """A row as veRL (and TinyZero) read it.

    Raises:
        ConfigError: It is free text, which no rule can reward.
    """
    prompt = row.to_prompt()
    if prompt is None:
        raise ConfigError(f"Row {row.id} is free text: it has no form for rewards.")
    return {
        "data_source": row.task,
        "prompt": [message.model_dump() for message in prompt],
        "ability": row.kind,
        "reward_model": {"style": "rule", "ground_truth": row.answer, "verifier": row.verifier},
        "extra_info": {"split": split, "index": index, "answer": row.response, "question": row.question},
    }
