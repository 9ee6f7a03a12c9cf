"""The signatures of TarGEN for one task, and the task's illustrations as demonstrations."""

import dspy
from dspy.utils.exceptions import AdapterParseError

from synthwright.programs.targen_tasks import Illustration, Label, Task
from synthwright.signatures.listing import Listing
from synthwright.signatures.targen import (
    GenerateContexts,
    GenerateInstanceSeeds,
    LabelConstrainedGenerate,
    SelfCorrect,
    SolveInstance,
    StructuredCorrect,
    StructuredGenerate,
    StructuredSolve,
    closed,
    spread,
)

__all__ = [
    "DEMOS",
    "contexts_signature",
    "correct_demos",
    "correct_signature",
    "instances_demos",
    "instances_signature",
    "read_again",
    "solve_signature",
    "write_demos",
    "write_signature",
]

MOST_DEMOS = 4
"""Illustrations shown in one prompt, labels taking turns."""


def contexts_signature(length: int) -> type[dspy.Signature]:
    """`GenerateContexts` for lists of a given length."""
    return GenerateContexts.with_updated_fields("contexts", type_=Listing.of_length(length))


def instances_signature(length: int) -> type[dspy.Signature]:
    """`GenerateInstanceSeeds` for lists of a given length."""
    return GenerateInstanceSeeds.with_updated_fields("texts", type_=Listing.of_length(length))


def write_signature(task: Task) -> type[dspy.Signature]:
    """`LabelConstrainedGenerate` with the fields of a task. If the label is a position, the LM does not see it.

    A structured task has `StructuredGenerate` instead, which asks for the answer with the rest.
    """
    prompt = StructuredGenerate if task.answers else LabelConstrainedGenerate
    signature = spread(prompt, "instance_seed", {name: task.fields[name] for name in task.given})
    signature = spread(signature, "instance", task.written)
    return signature.delete("label") if task.slots else signature


def correct_signature(task: Task) -> type[dspy.Signature]:
    """`SelfCorrect` with the fields and the labels of a task; `StructuredCorrect` with its answer fields."""
    if task.answers:
        signature = spread(StructuredCorrect, "instance", task.asked)
        for place in ("current", "corrected"):
            fields = {f"{place}_{name}": task.fields[name] for name in task.answers}
            signature = spread(signature, f"{place}_answer", fields)
        return signature
    return spread(closed(SelfCorrect, "corrected_label", task.meanings), "instance", task.fields)


def solve_signature(task: Task) -> type[dspy.Signature]:
    """`SolveInstance` with the fields and the labels of a task; `StructuredSolve` with its answer fields."""
    if task.answers:
        fields = {f"solved_{name}": task.fields[name] for name in task.answers}
        return spread(spread(StructuredSolve, "instance", task.asked), "solved_answer", fields)
    return spread(closed(SolveInstance, "label", task.meanings), "instance", task.fields)


def instances_demos(task: Task) -> list[dspy.Example]:
    """The seeds of the illustrations as demonstrations of `instances`."""
    demos = []
    for label, turn in _shown(task):
        example = label.illustrations[turn]
        texts = [example.fields[task.seed_field]]
        demos.append(dspy.Example(kind_of_text=task.seed, context=example.context, how_many=1, texts=texts))
    return demos


def write_demos(task: Task) -> list[dspy.Example]:
    """The illustrations as demonstrations of `write`, each with a constraint of its label that fits it."""
    demos = []
    for label, turn in _shown(task):
        example = label.illustrations[turn]
        fitting = [c for c in label.constraints if c.given.items() <= example.fields.items()]
        if not fitting:
            continue
        demo = dspy.Example(
            task=task.definition,
            context=example.context,
            **{name: example.fields[name] for name in task.given},
            label=label.name,
            requirement=fitting[turn % len(fitting)].text,
            **{name: example.fields[task.slots[name][label.name] if task.slots else name] for name in task.written},
            explanation=example.explanation,
        )
        demos.append(demo.without("label") if task.slots or task.answers else demo)
    return demos


def correct_demos(task: Task) -> list[dspy.Example]:
    """The illustrations as demonstrations of `correct`: some under a wrong label, some under the right one.

    Which is which goes crosswise over labels and turns, so that neither a label nor a verdict is the safe guess.
    """
    if task.answers:
        return [_structured_demo(task, label.illustrations[turn]) for label, turn in _shown(task)]
    demos = []
    for number, (label, turn) in enumerate(_shown(task)):
        example = label.illustrations[turn]
        others = [other for other in task.labels if other is not label]
        current = others[number % len(others)] if (number + turn) % 2 == 0 else label
        demos.append(
            dspy.Example(
                task=task.definition,
                **example.fields,
                explanation=example.explanation if current is label else f"I think that {current.definition}.",
                current_label=current.name,
                corrected_explanation=example.explanation,
                corrected_label=label.name,
            )
        )
    return demos


def _structured_demo(task: Task, example: Illustration) -> dspy.Example:
    """An illustration of a structured task as a demonstration of `correct`: from its wrong answer, if it has one."""
    current = example.wrong or {name: example.fields[name] for name in task.answers}
    return dspy.Example(
        task=task.definition,
        **{name: example.fields[name] for name in task.asked},
        explanation="I think so." if example.wrong else example.explanation,
        **{f"current_{name}": current[name] for name in task.answers},
        corrected_explanation=example.explanation,
        **{f"corrected_{name}": example.fields[name] for name in task.answers},
    )


def read_again(error: Exception) -> tuple[str | None, str]:
    """Label and explanation of a reply of `correct` whose label was not one of the set by the letter, such as `C1.`.

    Args:
        error: What the predictor raised.

    Returns:
        (None, "") if the reply has no such fields.
    """
    if not isinstance(error, AdapterParseError):
        return None, ""
    signature = error.signature.with_updated_fields("corrected_label", type_=str)
    for adapter in (dspy.JSONAdapter(), dspy.ChatAdapter()):
        try:
            reply = adapter.parse(signature, error.lm_response)
        except AdapterParseError:
            continue
        return reply["corrected_label"], reply["corrected_explanation"]
    return None, ""


DEMOS = {"instances": instances_demos, "write": write_demos, "correct": correct_demos}
"""How the illustrations of a task become demonstrations, by predictor."""


def _shown(task: Task) -> list[tuple[Label, int]]:
    """(label, number of its illustration) of the illustrations shown."""
    turns = max(len(label.illustrations) for label in task.labels)
    return [(x, turn) for turn in range(turns) for x in task.labels if turn < len(x.illustrations)][:MOST_DEMOS]
