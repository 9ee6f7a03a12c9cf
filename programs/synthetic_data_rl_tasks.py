"""Task definitions of Synthetic Data RL: what a user writes, as YAML, and how it is read."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from synthwright.programs.blocks.yaml_files import Part, misfit, read_task, shipped_tasks
from synthwright.programs.synthetic_data_rl_checks import verifier_from
from synthwright.signatures.synthetic_data_rl import AnswerKind, lettered

__all__ = ["AnswerRule", "Example", "Task", "list_tasks", "load_task"]


class AnswerRule(Part):
    """How answers of a task are read and compared.

    Attributes:
        kind: `number`, `math`, `choice`, `label`, or `text`, which nothing can check.
        labels: The closed set, two or more, for `label`.
        aliases: Other names of labels, such as `{entailed: entailment}`.
        options: How many options a `choice` has, 2 to 10.
        tolerance: Largest difference of a `number` in [0, 1), relative below 1 and absolute above; None for the
            verifier's own.
    """

    kind: AnswerKind
    labels: tuple[str, ...] = ()
    aliases: dict[str, str] = Field(default_factory=dict)
    options: int = Field(default=4, ge=2, le=10)
    tolerance: float | None = Field(default=None, ge=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> "AnswerRule":
        if (self.kind == "label") != bool(self.labels):
            raise ValueError("`labels` are for the kind `label`, which needs two or more")
        self.settings()
        return self

    def settings(self, options: tuple[str, ...] = ()) -> dict[str, Any]:
        """Settings of the verifier, checked by making one.

        Args:
            options: Texts of a question's options.
        """
        made: dict[str, Any] = {"kind": self.kind}
        if self.kind == "label":
            made |= {"labels": list(self.labels), "aliases": dict(self.aliases)}
        if self.kind == "choice":
            made |= {"options": list(options)} if options else {"letters": self.options}
        if self.tolerance is not None:
            made |= {"tolerance": self.tolerance}
        verifier_from(made)
        return made


class Example(Part):
    """A demonstration of the task.

    Attributes:
        question: The question without options.
        options: Its options, if the task has some.
        answer: The answer, which may be a worked solution; for a choice the letter.
    """

    question: str = Field(min_length=1)
    options: tuple[str, ...] = ()
    answer: str = Field(min_length=1)

    @property
    def text(self) -> str:
        """The example as prompts show it."""
        return f"{lettered(self.question, self.options)}\nAnswer: {self.answer}"


class Task(Part):
    """A task definition: all that the method must be given.

    Attributes:
        name: Short name.
        description: What the task is: its type first, then the domain, then the skills it needs (the paper's advice,
            appendix A.5).
        question_format: Form of the questions; may be empty.
        answer_format: Form of the answer, as words that end a sentence, such as `one number, with digits`.
        answer: How answers are compared.
        subjects: Subjects that share the samples evenly, each with keywords of its own; may be empty.
        keywords: What to search for; empty to ask the LM.
        examples: Demonstrations, up to 50 of which are summarised; may be empty.
    """

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    question_format: str = ""
    answer_format: str = Field(min_length=1)
    answer: AnswerRule
    subjects: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _examples_fit(self) -> "Task":
        for number, example in enumerate(self.examples):
            wanted = self.answer.options if self.answer.kind == "choice" else 0
            if len(example.options) != wanted:
                raise misfit(
                    f"this example has {len(example.options)} options, the task {wanted}.", ("examples", number)
                )
            verifier = verifier_from(self.answer.settings(example.options))
            if verifier is not None and verifier.canonical(example.answer) is None:
                raise misfit(
                    f"cannot be read as {self.answer.kind}: {example.answer!r}.", ("examples", number, "answer")
                )
        return self


def list_tasks() -> list[str]:
    """Names of the tasks that are shipped."""
    return shipped_tasks("synthetic_data_rl")


def load_task(task: str | Path | Task) -> Task:
    """A shipped task by its name, or the task of a YAML file.

    Raises:
        ConfigError: No such task, the file cannot be read, or it is wrong; the message names file, line and field.
    """
    return task if isinstance(task, Task) else read_task(task, Task, "synthetic_data_rl")
