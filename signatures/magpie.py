"""Signatures of Magpie (Xu et al., 2025, arXiv:2406.08464), its rows, and what its user turns may be told.

The queries themselves have no prompt: an aligned LM writes them when its chat template is given up to the user slot.
The signatures are the three tags of the paper's analysis; their order of fields, reasons before levels, is that of the
authors' `exp/str_utils.py`, the words are ours.
"""

from typing import Literal

import dspy

from synthwright.signatures.rows import InstructionRow, Message, Preference

__all__ = [
    "DOMAINS",
    "MULTI_ROUND",
    "Category",
    "ClassifyQuery",
    "Difficulty",
    "MagpieRow",
    "Quality",
    "RateDifficulty",
    "RateQuality",
]

Difficulty = Literal["very easy", "easy", "medium", "hard", "very hard"]
Quality = Literal["very poor", "poor", "average", "good", "excellent"]
Category = Literal[
    "information seeking",
    "reasoning",
    "planning",
    "editing",
    "coding and debugging",
    "math",
    "role playing",
    "data analysis",
    "creative writing",
    "advice seeking",
    "brainstorming",
    "others",
]

MULTI_ROUND = (
    "This is a conversation of several rounds. After each answer the user comes back with a new question or request "
    "that builds on what was said, in the user's own voice. Every answer is thorough, relevant and useful."
)
"""System message of the follow-up user turns. It stands before the conversation while a user turn is sampled, and is
absent when that turn is answered (the authors' `exp/gen_mt.py`); the words are ours."""

DOMAINS: dict[str, str] = {
    "math": (
        "You are a mathematics tutor. Users bring you problems from every part of mathematics, from school to "
        "university, and you work through them step by step until the result is found."
    ),
    "code": (
        "You are a programming mentor. Users bring you programs to write, to explain, to test and to repair, in any "
        "language, and you answer with working code and the reasons behind it."
    ),
    "translation": (
        "You are a translator. Users bring you texts of all kinds and name the language they want, and you translate "
        "them faithfully, keeping tone and context."
    ),
}
"""System messages that steer sampled queries into a domain. The authors have some for these three in
`configs/model_configs.json`; the words are ours."""


class RateDifficulty(dspy.Signature):
    """Judge how hard a user's query is to answer. Do not answer it.

    First say in one sentence what the user wants, then what one must know to answer, then choose the level: very easy
    needs no thought, easy common knowledge, medium some training, hard an expert, very hard long work of an expert.
    A long query is not a hard one.
    """

    query: str = dspy.InputField()
    intent: str = dspy.OutputField()
    knowledge: str = dspy.OutputField()
    difficulty: Difficulty = dspy.OutputField()


class RateQuality(dspy.Signature):
    """Judge how well a user's query is written: is it clear, specific and coherent? Do not answer it.

    First name its strengths and weaknesses in one sentence, then choose the level: very poor cannot be understood, poor
    lacks what an answer needs, average leaves something open, good is clear and specific, excellent leaves no question.
    """

    query: str = dspy.InputField()
    quality_assessment: str = dspy.OutputField()
    quality: Quality = dspy.OutputField()


class ClassifyQuery(dspy.Signature):
    """Say what kind of task a user's query is. Do not answer it.

    Choose the one category that fits best, and list the others that fit too, if any.
    """

    query: str = dspy.InputField()
    category: Category = dspy.OutputField()
    other_categories: list[Category] = dspy.OutputField(max_length=11)


class MagpieRow(InstructionRow):
    """A sampled query with its answer. What a run did not ask for is None.

    Attributes:
        instruction: The query of the first turn.
        response: Its answer.
        messages: The whole conversation, one exchange for each turn.
        raw_instruction: The first query as it was sampled, if sanitising changed it.
        sanitized: Names of the rules that changed it.
        intent: What the user wants, by the difficulty tagger.
        knowledge: What one must know to answer, by the difficulty tagger.
        difficulty: Tag of the first query.
        quality_assessment: Strengths and weaknesses, by the quality tagger.
        quality: Tag of the first query.
        category: Primary category of the first query.
        other_categories: Categories that fit too.
        safety: What the `safety` callable said of the first exchange.
        language: What the `language` callable said of the first query.
        reward: What the `reward` callable gave the first exchange.
        base_response: Answer of the base model to the first query.
        base_reward: What the `reward` callable gave that answer.
        chosen: The best of the resampled answers.
        rejected: The worst of them.
        chosen_reward: Reward of `chosen`.
        rejected_reward: Reward of `rejected`.
        instruction_length: Words of the first query.
        response_length: Words of its answer.
    """

    messages: tuple[Message, ...]
    raw_instruction: str | None = None
    sanitized: tuple[str, ...] = ()
    intent: str | None = None
    knowledge: str | None = None
    difficulty: Difficulty | None = None
    quality_assessment: str | None = None
    quality: Quality | None = None
    category: Category | None = None
    other_categories: tuple[Category, ...] = ()
    safety: str | None = None
    language: str | None = None
    reward: float | None = None
    base_response: str | None = None
    base_reward: float | None = None
    chosen: str | None = None
    rejected: str | None = None
    chosen_reward: float | None = None
    rejected_reward: float | None = None
    instruction_length: int = 0
    response_length: int = 0

    def to_messages(self) -> list[Message] | None:
        return list(self.messages) or super().to_messages()

    def to_prompt(self) -> list[Message] | None:
        """The conversation before its last answer."""
        talk = self.to_messages() or []
        return talk[:-1] or super().to_prompt()

    def to_preference(self) -> Preference | None:
        """The best and the worst of the resampled answers to the first query; the margin is in units of the reward."""
        if self.chosen is None or self.rejected is None:
            return None
        rewards = self.chosen_reward, self.rejected_reward
        return Preference(
            prompt=(Message(role="user", content=self.instruction),),
            chosen=(Message(role="assistant", content=self.chosen),),
            rejected=(Message(role="assistant", content=self.rejected),),
            margin=None if rewards[0] is None or rewards[1] is None else rewards[0] - rewards[1],
        )
