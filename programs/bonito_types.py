"""The sixteen task types of Bonito: their two names, what an LM writes for them, and what answers them.

Names and their order are those of `bonito/abstract.py` of the official code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import dspy

from synthwright.errors import ConfigError, did_you_mean
from synthwright.signatures import bonito as prompts

__all__ = ["TASK_TYPES", "TaskType", "type_named", "types_named"]


@dataclass(frozen=True)
class TaskType:
    """One type of task.

    Attributes:
        short: Short name, such as `exqa`; also the name of its predictor.
        name: Full name, which the checkpoint reads.
        signature: What asks for the parts of a task.
        gaps: What a meta-template of the type holds besides the passage.
        optional: What it may hold besides.
        answer: The part that answers the task; empty if a label does.
        wrong: The part that lists wrong options; empty if there are none.
        checkable: Whether there is one right response, so that a solver can be compared with it.
    """

    short: str
    name: str
    signature: type[dspy.Signature]
    gaps: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    answer: str = ""
    wrong: str = ""
    checkable: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """The closed set that answers come from; empty for types with free answers."""
        field = self.signature.input_fields.get("label") or self.signature.output_fields.get("sentiment")
        return get_args(field.annotation) if field is not None else ()

    @property
    def asks_for_label(self) -> bool:
        """Whether the label is fixed before the LM writes."""
        return "label" in self.signature.input_fields

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what the LM writes."""
        return tuple(name for name in self.signature.output_fields if name != "fit")


TASK_TYPES = {
    kind.short: kind
    for kind in (
        TaskType("exqa", "extractive question answering", prompts.WriteExtractive, ("question",), answer="answer"),
        TaskType(
            "mcqa",
            "multiple-choice question answering",
            prompts.WriteChoice,
            ("question", "options"),
            answer="answer",
            wrong="wrong_answers",
        ),
        TaskType(
            "qg", "question generation", prompts.WriteQuestion, optional=("answer",), answer="question", checkable=False
        ),
        TaskType("qa", "question answering without choices", prompts.WriteOpen, ("question",), answer="answer"),
        TaskType("ynqa", "yes-no question answering", prompts.WriteYesNo, ("question",)),
        TaskType("coref", "coreference resolution", prompts.LinkPronoun, ("pronoun",), answer="answer"),
        TaskType("paraphrase", "paraphrase generation", prompts.WriteParaphrase, answer="paraphrase", checkable=False),
        TaskType("paraphrase_id", "paraphrase identification", prompts.PairParaphrase, ("second_text",)),
        TaskType(
            "sent_comp",
            "sentence completion",
            prompts.CompleteSentence,
            ("options",),
            answer="ending",
            wrong="wrong_endings",
        ),
        TaskType("sentiment", "sentiment", prompts.JudgeSentiment, optional=("subject",)),
        TaskType("summarization", "summarization", prompts.WriteSummary, answer="summary", checkable=False),
        TaskType(
            "text_gen", "text generation", prompts.WriteFreely, ("request",), answer="written_text", checkable=False
        ),
        TaskType(
            "topic_class", "topic classification", prompts.NameTopic, ("options",), answer="topic", wrong="other_topics"
        ),
        TaskType("wsd", "word sense disambiguation", prompts.TellSenses, ("word", "sentence")),
        TaskType("te", "textual entailment", prompts.InferTextually, ("hypothesis",)),
        TaskType("nli", "natural language inference", prompts.InferTernary, ("hypothesis",)),
    )
}
"""The types by their short names."""

_BY_NAME = {kind.name: kind for kind in TASK_TYPES.values()}


def type_named(name: str) -> TaskType:
    """A type by its short or its full name.

    Raises:
        ConfigError: There is none (also a `ValueError`); the message suggests the nearest.
    """
    found = TASK_TYPES.get(name) or _BY_NAME.get(name)
    if found is None:
        raise ConfigError(f"Bonito has no task type {name!r}. {did_you_mean(str(name), [*TASK_TYPES, *_BY_NAME])}")
    return found


def types_named(names: str | Sequence[str]) -> tuple[TaskType, ...]:
    """The types of several names, or `all` of them, each once.

    Raises:
        ConfigError: A name is not one, or there are none.
    """
    if names == "all":
        return tuple(TASK_TYPES.values())
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise ConfigError(f"`task_types` needs a task type or more, or 'all'. Known: {', '.join(TASK_TYPES)}.")
    return tuple(dict.fromkeys(type_named(name) for name in wanted))
