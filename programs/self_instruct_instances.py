"""How Self-Instruct settles a proposed instruction: classified, then given instances, input first or label first."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import dspy
from pydantic import BaseModel, ValidationError

from synthwright.errors import ParseError, TruncatedResponseError
from synthwright.programs import self_instruct_checks as rules
from synthwright.programs.base import unparsable
from synthwright.signatures.rows import Rejected
from synthwright.signatures.self_instruct import LabelledInput, Settled, TaskInstance, TaskRow

if TYPE_CHECKING:
    from synthwright.programs.self_instruct import SelfInstruct

__all__ = ["Admission", "input_first", "instances", "label_first", "rewritten", "settled"]

Admission = Literal["with_instance", "at_once"]
"""When an instruction joins the pool: with its first valid instance (the paper's figure 2), or as soon as it passes
the instruction filters, before any instance exists (the released code)."""

BaseModelT = TypeVar("BaseModelT", bound=BaseModel)


async def instances(
    program: "SelfInstruct", about: dict[str, Any], rejected: list[Rejected]
) -> tuple[bool, tuple[str, ...], list[TaskInstance]]:
    """The verdict, the labels and the valid instances of one instruction; what is dropped joins `rejected`."""
    instruction = about["instruction"]
    try:
        is_classification = (await program.identify.acall(instruction=instruction)).is_classification
    except ParseError as error:  # anything but a clear yes counts as no, as in the released code
        is_classification = rules.says_yes(str(getattr(error, "lm_response", None) or ""))
    labels: tuple[str, ...] = ()
    if is_classification:
        labels, written = await label_first(program, about, rejected)
    else:
        written = await input_first(program, about, rejected)
    if written and program.rewrite_output:
        written = await rewritten(program, about, written, rejected)
    cleaned = [_clean(program, instruction, instance) for instance in written]
    examples = _shown_by(program.output_first if is_classification else program.input_first)
    kept, dropped = rules.filter_instances(
        instruction, cleaned, program.checks, f"{program.seed}:{instruction}", examples
    )
    for instance, reason, detail in dropped:
        content = {**about, "is_classification": is_classification, **instance.model_dump()}
        rejected.append(Rejected(stage="instance", reason=reason, detail=detail, content=content))
    return is_classification, labels, kept


async def input_first(program: "SelfInstruct", about: dict[str, Any], rejected: list[Rejected]) -> list[TaskInstance]:
    """Instances of a task that is no classification: inputs with their outputs."""
    try:
        written = (await program.input_first.acall(instruction=about["instruction"])).instances
    except ParseError as error:
        rejected.append(unparsable("input_first", error, **about))
        return _salvaged(error, TaskInstance)
    if not written:
        rejected.append(Rejected(stage="input_first", reason="no_instances", content=about))
    return written


async def label_first(
    program: "SelfInstruct", about: dict[str, Any], rejected: list[Rejected]
) -> tuple[tuple[str, ...], list[TaskInstance]]:
    """The labels of a classification, and an instance written for each."""
    instruction = about["instruction"]
    try:
        reply = await program.output_first.acall(instruction=instruction)
        listed, labelled = tuple(reply.class_labels), reply.instances
    except ParseError as error:
        rejected.append(unparsable("output_first", error, **about))
        listed, labelled = rules.complete_texts(getattr(error, "text", "")), _salvaged(error, LabelledInput)
    else:
        if not labelled:
            rejected.append(Rejected(stage="output_first", reason="no_instances", content=about))
    alone = rules.only_label(listed, labelled) if "one_label" in program.checks else None
    written = []
    for each in labelled:
        failure = ("one_label", f"no label but {alone!r}") if alone else None
        failure = failure or rules.label_failure(instruction, listed, each.class_label, program.checks)
        if failure:
            content = {**about, "is_classification": True, "input": each.input, "output": each.class_label}
            rejected.append(Rejected(stage="instance", reason=failure[0], detail=failure[1], content=content))
        else:
            written.append(TaskInstance(input=each.input, output=each.class_label))
    return listed, written


async def rewritten(
    program: "SelfInstruct", about: dict[str, Any], written: list[TaskInstance], rejected: list[Rejected]
) -> list[TaskInstance]:
    """The instances with outputs of the `strong` role (section 4.5)."""
    anew = []
    for instance in written:
        try:
            reply = await program.rewrite.acall(instruction=about["instruction"], input=instance.input)
        except ParseError as error:
            rejected.append(unparsable("rewrite", error, **about, **instance.model_dump()))
        else:
            anew.append(TaskInstance(input=instance.input, output=reply.output))
    return anew


def settled(
    number: int, about: dict[str, Any], rows: Sequence[TaskRow] = (), admit: Admission | None = None
) -> Settled:
    """What plans need to know of a proposal; without `admit` it was refused before any instance was asked for."""
    return Settled(
        number=number,
        instruction=about["instruction"],
        accepted=admit == "at_once" or bool(rows),
        round=about["round"],
        row_ids=tuple(row.id for row in rows),
    )


def _clean(program: "SelfInstruct", instruction: str, instance: TaskInstance) -> TaskInstance:
    input = instance.input.strip()
    return TaskInstance(
        input=rules.tidy_input(instruction, input) if program.tidy_inputs else input, output=instance.output.strip()
    )


def _salvaged(error: Exception, kind: type[BaseModelT]) -> list[BaseModelT]:
    """The complete instances of a reply that was cut at its token limit: only the last is lost."""
    if not isinstance(error, TruncatedResponseError):
        return []
    found = []
    for value in rules.complete_objects(error.text):
        with suppress(ValidationError):
            found.append(kind.model_validate(value))
    return found


def _shown_by(predictor: dspy.Predict) -> list[TaskInstance]:
    """The instances in a predictor's demonstrations, which a weak LM likes to hand in as its own."""
    shown = [dict(each) for demo in predictor.demos for each in demo.get("instances") or ()]
    return [TaskInstance(input=each["input"], output=each.get("output") or each["class_label"]) for each in shown]
