"""What TarGEN must be told about a task."""

import json
import keyword
from collections.abc import Iterator, Mapping

import dspy
from pydantic import Field, model_validator

from synthwright.errors import did_you_mean
from synthwright.programs.blocks.yaml_files import Part, Place, misfit
from synthwright.programs.targen_checks import CHECKS, problem

__all__ = ["Constraint", "Illustration", "Label", "Task"]

RESERVED = frozenset(
    "task context contexts label requirement explanation instance instance_seed reasoning current_label "
    "corrected_label corrected_explanation solved_answer lm config demos new_signature prediction score".split()
)
"""Names that the fields of a task cannot have, beside those of DSPy's own methods: prompts or predictors use them."""


class Constraint(Part):
    """One way to ask for a label.

    Attributes:
        text: What the LM must write, told to the LM.
        given: Fields of the instance that this way of asking fixes, such as `question: cause`.
    """

    text: str = Field(min_length=1)
    given: dict[str, str] = Field(default_factory=dict)


class Illustration(Part):
    """A worked example of a label, written by the author of the task file; it is no row of any data set.

    Attributes:
        context: The setting.
        fields: All fields of the instance.
        explanation: Why the label, or the answer, is right, in one sentence.
        wrong: For a structured task, wrong values of its answer fields, from which a correction is shown.
    """

    context: str
    fields: dict[str, str]
    explanation: str
    wrong: dict[str, str] = Field(default_factory=dict)


class Label(Part):
    """One label of the closed set; in a structured task one kind of instance.

    Attributes:
        name: The label as it stands in the data set.
        definition: When it is right, told to the LM.
        constraints: Ways to ask for it; rows take turns.
        synonyms: Other names by which an LM may call it.
        illustrations: Worked examples.
    """

    name: str = Field(min_length=1)
    definition: str = Field(min_length=1)
    constraints: tuple[Constraint, ...] = Field(min_length=1)
    synonyms: tuple[str, ...] = ()
    illustrations: tuple[Illustration, ...] = ()


class Task(Part):
    """A task as TarGEN needs it described: no instance of a data set is part of it.

    Attributes:
        name: Short name.
        definition: What must be decided, told to the LM.
        themes: What kind of settings to ask for; calls take turns.
        seed: What an instance seed is, told to the LM.
        seed_field: The field that the instance seed fills.
        seed_words: Fewest and most words of a seed.
        fields: What each text field of an instance holds, by name, in the order of the data set.
        labels: The closed set, two or more. In a structured task: kinds of instance, one or more.
        answer: The field, or fields, that hold the answer of a structured task, in which answers are no closed set.
            The LM writes them with the rest, and self-correction corrects them.
        quotas: Weight of each label; equal if empty.
        slots: What the LM writes if a label is a position: for each name that the LM sees, the field that it fills
            under each label. The LM then cannot tell the position, nor prefer one.
        checks: Fields by name of check; see `synthwright.programs.targen_checks`.
    """

    name: str = Field(min_length=1)
    definition: str = Field(min_length=1)
    themes: tuple[str, ...] = Field(min_length=1)
    seed: str = Field(min_length=1)
    seed_field: str
    seed_words: tuple[int, int] = (1, 120)
    fields: dict[str, str] = Field(min_length=2)
    labels: tuple[Label, ...] = Field(min_length=1)
    answer: str | tuple[str, ...] = ()
    quotas: dict[str, float] = Field(default_factory=dict)
    slots: dict[str, dict[str, str]] = Field(default_factory=dict)
    checks: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "Task":
        for place, message in _problems(self):
            raise misfit(message, place)
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of the file."""
        return tuple(label.name for label in self.labels)

    @property
    def meanings(self) -> dict[str, str]:
        """The definition of each label, by name."""
        return {label.name: label.definition for label in self.labels}

    @property
    def answers(self) -> tuple[str, ...]:
        """The fields that hold the answer of a structured task; none for a classification."""
        return (self.answer,) if isinstance(self.answer, str) else self.answer

    @property
    def asked(self) -> dict[str, str]:
        """The fields that a solver sees, with descriptions."""
        return {name: text for name, text in self.fields.items() if name not in self.answers}

    def answer_text(self, fields: Mapping[str, str]) -> str:
        """The answer of a structured task as one text: that of its field, or a JSON object of several."""
        if len(self.answers) == 1:
            return fields[self.answers[0]]
        return json.dumps({name: fields[name] for name in self.answers}, ensure_ascii=False)

    @property
    def given(self) -> tuple[str, ...]:
        """The fields that are there before the LM writes: the seed's, then those that constraints fix."""
        fixed = {name for label in self.labels for constraint in label.constraints for name in constraint.given}
        return (self.seed_field, *(name for name in self.fields if name in fixed))

    @property
    def written(self) -> dict[str, str]:
        """What the LM writes, with descriptions: the slots if there are any, else the fields that are not given."""
        free = {name: text for name, text in self.fields.items() if name not in self.given}
        return {
            slot: " or ".join(dict.fromkeys(free[f] for f in to.values())) for slot, to in self.slots.items()
        } or free

    def label(self, name: str) -> Label:
        """The label of that very name."""
        return next(label for label in self.labels if label.name == name)

    def read_label(self, text: str) -> str | None:
        """The label that a text names, whatever its case, quotes, underscores or full stop; None if it names none."""
        wanted = _folded(text)
        for label in self.labels:
            if wanted in {_folded(name) for name in (label.name, *label.synonyms)}:
                return label.name
        return None

    def place(self, label: str, texts: Mapping[str, str]) -> dict[str, str]:
        """What the LM wrote, by field of the instance under a label."""
        return {self.slots[name][label] if self.slots else name: text for name, text in texts.items()}

    def quota(self, total: int) -> dict[tuple[str, int], int]:
        """Rows by (label, constraint) among `total`: labels by their weights, constraints of a label evenly.

        What does not come out even goes to the largest remainders, so labels of equal weight differ by at most one.
        """
        weights = [self.quotas.get(name, 1.0) for name in self.label_names]
        cells: dict[tuple[str, int], int] = {}
        for index, (label, count) in enumerate(zip(self.labels, _apportion(total, weights), strict=True)):
            size = len(label.constraints)
            shares = _apportion(count, [1.0] * size)
            for variant in range(size):  # rotated, so that one odd row a label does not always fall to the first
                cells[label.name, variant] = shares[(variant - index) % size]
        return cells


def _problems(task: Task) -> Iterator[tuple[Place, str]]:
    """What a schema cannot say: (place in the file, what is wrong and what to do)."""
    for name in task.fields:
        if found := _unfit(name):
            yield ("fields", name), f"the field {name!r} {found}"
    if task.seed_field not in task.fields:
        yield ("seed_field",), f"no field {task.seed_field!r}. {did_you_mean(task.seed_field, task.fields)}"
    if not 1 <= task.seed_words[0] <= task.seed_words[1]:
        yield ("seed_words",), f"need 1 <= fewest <= most words, got {list(task.seed_words)!r}."
    if len(task.labels) < 2 and not task.answers:
        yield ("labels",), "a task needs two labels or more, got 1; with one there is nothing to learn."
    yield from _answer_problems(task)
    seen: dict[str, str] = {}
    fixed = set(task.given[1:])
    for index, label in enumerate(task.labels):
        for name in (label.name, *label.synonyms):
            if (other := seen.get(_folded(name))) is not None:
                yield ("labels", index, "name"), f"the label {name!r} is there already, as {other!r}."
            seen[_folded(name)] = name
        for number, constraint in enumerate(label.constraints):
            for name in constraint.given:
                if name not in task.fields or name == task.seed_field:
                    free = [field for field in task.fields if field != task.seed_field]
                    place = ("labels", index, "constraints", number, "given", name)
                    yield place, f"no field {name!r} to give. {did_you_mean(name, free)}"
            if set(constraint.given) != fixed:
                place = ("labels", index, "constraints", number)
                yield place, f"every constraint must give the same fields, here: {', '.join(sorted(fixed))}."
        for number, illustration in enumerate(label.illustrations):
            if set(illustration.fields) != set(task.fields):
                place = ("labels", index, "illustrations", number, "fields")
                yield place, f"an illustration has all fields of the task: {', '.join(task.fields)}."
    for name, weight in task.quotas.items():
        if name not in task.label_names:
            yield ("quotas", name), f"no label {name!r}. {did_you_mean(name, task.label_names)}"
        if not 0 < weight < float("inf"):
            yield ("quotas", name), f"the weight of {name!r} must be a positive number, got {weight!r}."
    free = set(task.fields) - set(task.given)
    if not free:
        yield ("fields",), "nothing is left to write: the seed and the constraints give every field."
    for name, by_label in task.slots.items():
        if set(by_label) != set(task.label_names) or not set(by_label.values()) <= free:
            yield ("slots", name), f"give {name!r} one of the fields {', '.join(sorted(free))} under every label."
        if found := _unfit(name) or ("is there already: choose another." if name in task.given else None):
            yield ("slots", name), f"the slot {name!r} {found}"
    for label in task.label_names if task.slots else ():
        if {by_label.get(label) for by_label in task.slots.values()} != free or len(task.slots) != len(free):
            yield ("slots",), f"under {label!r} the slots must fill each of {', '.join(sorted(free))} once."
    for name, fields in task.checks.items():
        if name not in CHECKS:
            yield ("checks", name), f"no check {name!r}. {did_you_mean(name, CHECKS)}"
            continue
        _, fewest, most = CHECKS[name]
        if not fewest <= len(fields) <= (most or len(fields)):
            some = f"{fewest}" if fewest == most else f"{fewest} or more"
            yield ("checks", name), f"the check {name!r} takes {some} fields, got {len(fields)}."
        for field in fields:
            if field not in task.fields:
                yield ("checks", name), f"no field {field!r}. {did_you_mean(field, task.fields)}"
    if all(name in CHECKS for name in task.checks):
        for index, label in enumerate(task.labels):
            for number, illustration in enumerate(label.illustrations):
                if found := problem(task.checks, illustration.fields, label.name):
                    place = ("labels", index, "illustrations", number, "fields")
                    yield place, f"the illustration breaks a check of the task: {found}."


def _answer_problems(task: Task) -> Iterator[tuple[Place, str]]:
    """What is wrong with the answer of a structured task."""
    for name in task.answers:
        if name not in task.fields:
            yield ("answer",), f"no field {name!r}. {did_you_mean(name, task.fields)}"
        elif name in task.given:
            yield ("answer",), f"the field {name!r} is given; an answer is written by the LM."
        if taken := {f"current_{name}", f"corrected_{name}", f"solved_{name}"} & set(task.fields):
            yield ("fields", min(taken)), f"the prompts use the name {min(taken)!r} for the answer {name!r}."
    if len(set(task.answers)) < len(task.answers):
        yield ("answer",), "a field is there twice."
    if task.answers and task.slots:
        yield ("slots",), "slots are for labels that are positions; a structured task has none."
    for index, label in enumerate(task.labels):
        for number, illustration in enumerate(label.illustrations):
            if illustration.wrong and set(illustration.wrong) != set(task.answers):
                place = ("labels", index, "illustrations", number, "wrong")
                yield place, f"wrong answers are those of {', '.join(task.answers) or 'a structured task'}."


def _unfit(name: str) -> str | None:
    """Why a name cannot be that of a field of a signature."""
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower() or name.startswith(("_", "dspy_")):
        return "must be a lower-case identifier, such as 'premise'."
    if name in RESERVED or hasattr(dspy.Signature, name) or hasattr(dspy.Prediction, name):
        return f"has a name that the prompts or DSPy use: choose another, such as 'my_{name}'."
    return None


def _folded(text: str) -> str:
    return " ".join(text.strip().strip("\"'`.:;,!()[]* ").replace("_", " ").replace("-", " ").lower().split())


def _apportion(total: int, weights: list[float]) -> list[int]:
    """`total` split by weights into whole numbers with the largest remainders, the first of equal ones first."""
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (counts[i] - exact[i], i))
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts
