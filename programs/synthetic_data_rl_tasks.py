"""Task definitions of Synthetic Data RL: what a user writes, as YAML, and how it is read."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.base import data_path
from synthwright.programs.synthetic_data_rl_checks import verifier_from
from synthwright.signatures.synthetic_data_rl import AnswerKind, lettered

__all__ = ["AnswerRule", "Example", "Task", "list_tasks", "load_task"]


class Part(BaseModel):
    """A part of a task file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
                raise ValueError(f"examples[{number}] has {len(example.options)} options, the task {wanted}")
            verifier = verifier_from(self.answer.settings(example.options))
            if verifier is not None and verifier.canonical(example.answer) is None:
                raise ValueError(
                    f"the answer of examples[{number}] cannot be read as {self.answer.kind}: {example.answer!r}"
                )
        return self


def list_tasks() -> list[str]:
    """Names of the tasks that are shipped."""
    return sorted(path.stem for path in data_path("synthetic_data_rl").glob("*.yaml"))


def load_task(task: str | Path | Task) -> Task:
    """A shipped task by its name, or the task of a YAML file.

    Raises:
        ConfigError: No such task, the file cannot be read, or it is wrong; the message names file, line and field.
    """
    if isinstance(task, Task):
        return task
    if str(task) in list_tasks():
        return _read(data_path(f"synthetic_data_rl/{task}.yaml"))
    path = Path(task)
    if not path.is_file() and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"No task {str(task)!r}. {did_you_mean(str(task), list_tasks())} Or give a YAML file's path.")
    return _read(path)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, except that of two equal keys it does not silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _read(path: Path) -> Task:
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the task file {str(path)!r}: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not YAML: {error.problem or error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a task file is a mapping that starts like `name: my_task`, got {data!r}.")
    try:
        return Task.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}{_line(text, e['loc'])}: {_message(e)}" for e in error.errors())) from None


def _line(text: str, place: tuple[int | str, ...]) -> str:
    """The line of the first part of a place, which is a key at the top of the file."""
    top = f"{place[0]}:" if place else ""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if top and line.startswith(top)]
    return f", line {lines[0]}" if lines else ""


def _message(error: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    if error["type"] == "extra_forbidden":
        owner = {"answer": AnswerRule, "examples": Example}.get(error["loc"][0], Task)
        return f"unknown key {str(error['loc'][-1])!r}. {did_you_mean(str(error['loc'][-1]), owner.model_fields)}"
    if error["type"] == "missing":
        return f"{place}: this key is missing."
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        return f"{place}: YAML reads this as {error['input']!r}, not as text: put it in quotes."
    text = error["msg"].removeprefix("Value error, ")
    return f"{place}: {text[0].lower()}{text[1:]}." if place else f"{text}."
