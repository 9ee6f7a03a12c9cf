"""Signatures and rows of Self-Instruct (Wang et al., 2023, arXiv:2212.10560, section 2.2).

Four calls make a task: propose instructions from eight existing ones, say whether each is a classification, then write
its instances: input before output, or for a classification the label before the input. The paper's section 4.5 adds a
fifth, which writes outputs anew with a stronger LM.
"""

from typing import Annotated

import dspy
from pydantic import BaseModel, ConfigDict, Field

from synthwright.signatures.rows import Message, Row
from synthwright.signatures.self_instruct_encodings import encode

__all__ = [
    "MAX_INSTANCES",
    "MAX_PROPOSALS",
    "IdentifyClassification",
    "LabelledInput",
    "ProposeClassifications",
    "ProposeInstructions",
    "Proposed",
    "RewriteOutput",
    "Settled",
    "Similar",
    "TaskInstance",
    "TaskRow",
    "WriteInstances",
    "WriteLabelledInstances",
]

MAX_PROPOSALS = 7
"""New instructions of one call: the paper continues a list of 8 tasks and stops at the 16th."""

MAX_INSTANCES = 5
"""Instances of one task that are asked for and kept (the paper's appendix A.2)."""


class TaskInstance(BaseModel):
    """One worked example of a task; `input` is empty where the instruction says everything."""

    input: str
    output: str


class LabelledInput(BaseModel):
    """One worked example of a classification task: the label first, then an input that deserves it."""

    class_label: str
    input: str


class ProposeInstructions(dspy.Signature):
    """Write seven new task instructions, each unlike the existing ones and unlike each other.

    Vary the verb, the subject and the form: questions and commands; writing, analysis, maths, code, planning, everyday
    life. Each is one or two sentences, can be answered in text alone, and asks for one thing.
    """

    existing_instructions: list[str] = dspy.InputField()
    new_instructions: Annotated[list[str], Field(max_length=MAX_PROPOSALS)] = dspy.OutputField()


class ProposeClassifications(dspy.Signature):
    """Write seven new instructions of classification tasks, each unlike the existing ones and unlike each other.

    Vary what is classified and by what. Each instruction names its possible labels and can be answered with one of
    them.
    """

    existing_instructions: list[str] = dspy.InputField()
    new_instructions: Annotated[list[str], Field(max_length=MAX_PROPOSALS)] = dspy.OutputField()


class IdentifyClassification(dspy.Signature):
    """Say whether the task is a classification: every correct answer is one of a few fixed labels known beforehand."""

    instruction: str = dspy.InputField()
    is_classification: bool = dspy.OutputField()


class WriteInstances(dspy.Signature):
    """Write one to five different examples of the task, each with a concrete input and its correct output.

    Write real content, never a placeholder. If the instruction can be answered as it stands, leave the input empty and
    write one example.
    """

    instruction: str = dspy.InputField()
    instances: Annotated[list[TaskInstance], Field(max_length=MAX_INSTANCES)] = dspy.OutputField()


class WriteLabelledInstances(dspy.Signature):
    """List the possible labels of the classification task, then write one input for each label, five at most.

    Each input is concrete and deserves exactly its label. If the instruction names labels, use those and no others.
    """

    instruction: str = dspy.InputField()
    class_labels: list[str] = dspy.OutputField()
    instances: Annotated[list[LabelledInput], Field(max_length=MAX_INSTANCES)] = dspy.OutputField()


class RewriteOutput(dspy.Signature):
    """Carry out the instruction on the input, if there is one. Write only the result, correct and complete."""

    instruction: str = dspy.InputField()
    input: str = dspy.InputField()
    output: str = dspy.OutputField()


class Similar(BaseModel):
    """An instruction of the pool and its ROUGE-L with a new one, in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: str
    score: float


class TaskRow(Row):
    """One instance of a task.

    Attributes:
        instruction: The task.
        input: What it is done on; empty if it needs nothing.
        output: The result.
        is_classification: The verdict of `IdentifyClassification`.
        class_labels: Labels that the LM listed for a classification; empty for other tasks.
        most_similar: The nearest instructions of the pool when this one was admitted, nearest first, ten at most.
        mean_similarity: Mean score of those, in [0, 1].
        round: Round in which the instruction was proposed.
        request: Number of the request in that round.
    """

    instruction: str
    input: str
    output: str
    is_classification: bool
    class_labels: tuple[str, ...] = ()
    most_similar: tuple[Similar, ...] = ()
    mean_similarity: float = 0.0
    round: int = 0
    request: int = 0

    def to_messages(self) -> list[Message] | None:
        """The instance in one of the paper's encodings, drawn by its instruction and input."""
        prompt = encode(self.instruction, self.input)
        return [Message(role="user", content=prompt), Message(role="assistant", content=self.output)]


class Proposed(Row):
    """A new instruction that passed the text filters and waits for its instances (an artifact).

    `parent_ids` are the ids of the tasks that its prompt showed.
    """

    instruction: str
    round: int
    request: int


class Settled(Row):
    """What became of a proposed instruction (an artifact).

    Attributes:
        number: Which proposal of the run it was, from 0.
        instruction: The instruction.
        accepted: Whether it joined the pool.
        round: Round in which it was proposed.
        row_ids: Ids of the rows that were made of it.
    """

    number: int
    instruction: str
    accepted: bool
    round: int
    row_ids: tuple[str, ...] = ()
