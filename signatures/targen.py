"""Signatures and rows of TarGEN (Gupta et al., 2023, arXiv:2310.17876; COLM 2024).

The four steps keep the paper's order: contexts, instance seeds, label-constrained generation, self-correction. Three of
the signatures hold a placeholder (`instance_seed`, `instance`) that `spread` replaces by the fields of the task at
hand, and `closed` types the label as one of the task's labels, so that the prompts stay independent of the task. The
prompts are ours.
"""

from collections.abc import Mapping
from typing import Any, Literal

import dspy

from synthwright.signatures.listing import Listing
from synthwright.signatures.rows import Message, Row

__all__ = [
    "Contexts",
    "GenerateContexts",
    "GenerateInstanceSeeds",
    "InstanceSeeds",
    "LabelConstrainedGenerate",
    "LabelledRow",
    "SelfCorrect",
    "SolveInstance",
    "StructuredCorrect",
    "StructuredGenerate",
    "StructuredSolve",
    "closed",
    "spread",
]


class GenerateContexts(dspy.Signature):
    """List different settings for the theme.

    Write each setting as a short phrase that names a place, a time or a situation. Everyday, historical and imagined
    settings are all welcome. No two settings may be alike.
    """

    theme: str = dspy.InputField()
    how_many: int = dspy.InputField()
    contexts: Listing = dspy.OutputField()


class GenerateInstanceSeeds(dspy.Signature):
    """Write texts of the requested kind that could occur in the context.

    Each text stands alone and is about something else than the others.
    """

    kind_of_text: str = dspy.InputField()
    context: str = dspy.InputField()
    how_many: int = dspy.InputField()
    texts: Listing = dspy.OutputField()


class LabelConstrainedGenerate(dspy.Signature):
    """Complete an example of the task so that the given label is the right one.

    What is given stays as it is: write only what is missing, and do what the requirement says. The text must make
    sense in the context and must not mention the label. Then explain in one sentence why the label is right.
    """

    task: str = dspy.InputField()
    context: str = dspy.InputField()
    instance_seed: str = dspy.InputField()
    label: str = dspy.InputField()
    requirement: str = dspy.InputField()
    instance: str = dspy.OutputField()
    explanation: str = dspy.OutputField()


class SelfCorrect(dspy.Signature):
    """Check the label of an example of the task and give the right label.

    The label may be wrong, and so may its explanation. Judge by the texts alone: say in one sentence what they show,
    then give the label that they call for. Keep the current label if it is right.
    """

    task: str = dspy.InputField()
    instance: str = dspy.InputField()
    explanation: str = dspy.InputField()
    current_label: str = dspy.InputField()
    corrected_explanation: str = dspy.OutputField()
    corrected_label: str = dspy.OutputField()


class SolveInstance(dspy.Signature):
    """Solve an example of the task: give the label that the texts call for."""

    task: str = dspy.InputField()
    instance: str = dspy.InputField()
    label: str = dspy.OutputField()


class StructuredGenerate(dspy.Signature):
    """Write an example of the task with its answer.

    What is given stays as it is: write only what is missing, and do what the requirement says. The text must make
    sense in the context, and the answer must follow from it. Then explain in one sentence why the answer is right.
    """

    task: str = dspy.InputField()
    context: str = dspy.InputField()
    instance_seed: str = dspy.InputField()
    requirement: str = dspy.InputField()
    instance: str = dspy.OutputField()
    explanation: str = dspy.OutputField()


class StructuredCorrect(dspy.Signature):
    """Check the answer to an example of the task and give the right one.

    The answer may be wrong, and so may its explanation. Judge by the texts alone: say in one sentence what they show,
    then give the answer that they call for. Keep the current answer if it is right.
    """

    task: str = dspy.InputField()
    instance: str = dspy.InputField()
    explanation: str = dspy.InputField()
    current_answer: str = dspy.InputField()
    corrected_explanation: str = dspy.OutputField()
    corrected_answer: str = dspy.OutputField()


class StructuredSolve(dspy.Signature):
    """Solve an example of the task: give the answer that the texts call for, and nothing else."""

    task: str = dspy.InputField()
    instance: str = dspy.InputField()
    solved_answer: str = dspy.OutputField()


class Contexts(Row):
    """The settings that one call of `GenerateContexts` gave: an intermediate result.

    Attributes:
        contexts: The settings, without repetitions.
        draw: Number of the call, from 0.
        round: Round of the run in which it was made.
    """

    contexts: tuple[str, ...]
    draw: int
    round: int


class InstanceSeeds(Row):
    """The instance seeds that one call of `GenerateInstanceSeeds` gave: an intermediate result.

    Attributes:
        context: The setting they belong to.
        seeds: The texts, possibly none.
        round: Round of the run in which they were made.
        kept: Rows that the run had when they were asked for.
    """

    context: str
    seeds: tuple[str, ...]
    round: int
    kept: int


class LabelledRow(Row):
    """One labelled instance of a task.

    Attributes:
        task: Name of the task.
        fields: The texts of the instance by the task's field names, in the task's order.
        label: The final label: the corrected one if there was a correction. For a structured task the answer: the
            text of its field, or a JSON object if it has several.
        initial_label: The label that the texts were written for, or the answer as it was written first.
        kind: For a structured task, which of its kinds of instance was asked for; else empty.
        context: The setting.
        instance_seed: The given text that no other row shares.
        variant: Which of the label's constraints was asked for, from 0.
        explanation: Why the initial label holds, by the writer.
        corrected_explanation: Why the final label holds, by the self-correction; empty if there was none.
        was_corrected: Whether the self-correction changed the label.
        flag: `label_not_checked` if the self-correction gave no label of the task, or an answer that breaks its
            checks, so that the initial one stands.
        solver_label: The label or answer that an independent solver gave, or None if there was none.
        blind_label: The label that it gave without the instance seed, or None: see `programs.targen_artifacts`.
        definition: What the task asks, for prompts to models that are trained on the row.
        options: The labels to choose from with their definitions, in the order of the task; none if the task is
            structured.
        answers: Names of the fields that hold the answer of a structured task.
    """

    task: str
    fields: dict[str, str]
    label: str
    initial_label: str
    kind: str = ""
    context: str = ""
    instance_seed: str = ""
    variant: int = 0
    explanation: str = ""
    corrected_explanation: str = ""
    was_corrected: bool = False
    flag: Literal["label_not_checked"] | None = None
    solver_label: str | None = None
    blind_label: str | None = None
    definition: str = ""
    options: dict[str, str] = {}
    answers: tuple[str, ...] = ()

    def to_messages(self) -> list[Message] | None:
        """The task, the texts and the labels to choose from as the question; the label or the answer as the reply."""
        choices = [f"- {name}: {meaning}" for name, meaning in self.options.items()]
        listed = "\n".join(["Answer with one of these labels:", *choices]) if choices else ""
        question = "\n\n".join(part for part in (self.definition, self.text, listed) if part)
        return [Message(role="user", content=question), Message(role="assistant", content=self.label)]

    @property
    def text(self) -> str:
        """The fields as one text, a line each, such as `premise: ...`: the raw form that the paper trains on.

        The answer of a structured task is left out.
        """
        return "\n".join(f"{name}: {value}" for name, value in self.fields.items() if name not in self.answers)

    @property
    def asked(self) -> str:
        """The label, or the kind of instance, that the row was asked for under its quota."""
        return self.kind or self.initial_label


def spread(signature: type[dspy.Signature], placeholder: str, fields: Mapping[str, str]) -> type[dspy.Signature]:
    """The signature with one placeholder replaced by text fields of a task, in its place.

    Args:
        signature: A signature that has the placeholder.
        placeholder: Name of an input or output field.
        fields: Names of the fields with what they hold.
    """
    is_input = placeholder in signature.input_fields
    section, kind = (
        (signature.input_fields, dspy.InputField) if is_input else (signature.output_fields, dspy.OutputField)
    )
    place = list(section).index(placeholder)
    signature = signature.delete(placeholder)
    for offset, (name, description) in enumerate(fields.items()):
        signature = signature.insert(place + offset, name, kind(desc=description), str)
    return signature


def closed(signature: type[dspy.Signature], field: str, labels: Mapping[str, str]) -> type[dspy.Signature]:
    """The signature with one output typed as one of the labels, their definitions in its description.

    Args:
        signature: A signature that has the output.
        field: Name of the output.
        labels: Definitions by label.
    """
    one_of: Any = Literal[tuple(labels)]  # pyright: ignore[reportInvalidTypeForm]  the labels come from a task file
    meanings: Any = "; ".join(f"{label} = {meaning}" for label, meaning in labels.items())
    return signature.with_updated_fields(field, type_=one_of, desc=meanings)
