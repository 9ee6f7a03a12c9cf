"""Signatures and rows of CodecLM (Wang et al., 2024, arXiv:2404.05875, sections 3 and 4, appendix A.3, figures 7-11).

The prompts are ours. A rubric and its action are one object, so that a reply cannot hold more of one than of the
other, and scores are typed, so that no number has to be found in a text.
"""

from typing import Any, Literal, TypeVar, cast

import dspy
from pydantic import BaseModel, ConfigDict, RootModel

from synthwright.signatures.listing import Listing
from synthwright.signatures.rows import InstructionRow, Message, Preference, Row

__all__ = [
    "AnswerInstruction",
    "DecodeMetadata",
    "EncodeInstruction",
    "Encoding",
    "ImproveInstruction",
    "JudgeMetadata",
    "Points",
    "Rubric",
    "Rubrics",
    "ScoreAnswers",
    "Skills",
    "TailoredRow",
    "Trial",
    "WriteRubrics",
    "sized",
]

Points = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"""The scale of the scorer (figure 11)."""

LONGEST = 60
"""Most characters of a use case or a skill in the JSON schema, for LMs that go on to their token limit. Ours."""

ListT = TypeVar("ListT", bound=RootModel)


class Rubric(BaseModel):
    """A criterion of difficulty and what would make an instruction harder by it.

    Attributes:
        criterion: What makes an instruction hard.
        action: An order that makes one harder.
    """

    model_config = ConfigDict(frozen=True)

    criterion: str
    action: str


class Rubrics(RootModel[list[Rubric]]):
    """Rubrics with their actions. Another number than was asked for is no error."""


class Skills(Listing):
    """A list of skills, each of a few words."""

    model_config = ConfigDict(json_schema_extra={"items": {"type": "string", "maxLength": LONGEST}})


def sized(model: type[ListT], fewest: int, most: int) -> type[ListT]:
    """The type of a list whose JSON schema has so many entries; a list of another length is no error.

    A weak LM that is free to choose goes on to its token limit.
    """
    known = cast(dict[str, Any], model.model_config.get("json_schema_extra") or {})
    config = ConfigDict(json_schema_extra={**known, "minItems": fewest, "maxItems": most})
    body = {"model_config": config, "__module__": model.__module__, "__doc__": ""}
    return cast(type[ListT], type(model.__name__, (model,), body))


class EncodeInstruction(dspy.Signature):
    """Name the use case of the instruction, and the skills that a good answer takes.

    The use case is the kind of task in a few words. Give one to three skills of two or three words each that serve
    other tasks as well; leave out the words skill and knowledge. Use the language of the instruction. Explain nothing.
    """

    instruction: str = dspy.InputField()
    use_case: str = dspy.OutputField(max_length=LONGEST)
    skills: Skills = dspy.OutputField()


class JudgeMetadata(dspy.Signature):
    """Say whether a task of this use case could really call for all of these skills.

    Unusual is fine. It is not plausible only if a skill has no place in such a task.
    """

    use_case: str = dspy.InputField()
    skills: list[str] = dspy.InputField()
    plausible: bool = dspy.OutputField()


class DecodeMetadata(dspy.Signature):
    """Write instructions that belong to the use case and take the skills to answer, each about something else.

    Each is one sensible request that a person can answer without anything else: a text, table or number that it is
    about stands in it. Write no answers and no examples, and do not name the use case or the skills.
    """

    use_case: str = dspy.InputField()
    skills: list[str] = dspy.InputField()
    how_many: int = dspy.InputField()
    new_instructions: Listing = dspy.OutputField()


class WriteRubrics(dspy.Signature):
    """Say what makes instructions of the use case hard to answer well if they take the skills.

    Write each criterion as a short phrase about this field. Beside it write one action: a short order that changes an
    instruction so that it becomes harder by that criterion. Explain nothing.
    """

    use_case: str = dspy.InputField()
    skills: list[str] = dspy.InputField()
    how_many: int = dspy.InputField()
    rubrics: Rubrics = dspy.OutputField()


class ImproveInstruction(dspy.Signature):
    """Change the instruction by the action, so that it becomes harder to answer well.

    Keep its subject and its data. It stays one sensible request without contradictions that a person can answer
    without anything else. Do not repeat the words of the action. Write only the new instruction, and no answer.
    """

    instruction: str = dspy.InputField()
    action: str = dspy.InputField()
    improved_instruction: str = dspy.OutputField()


class AnswerInstruction(dspy.Signature):
    """Answer the instruction fully and correctly."""

    instruction: str = dspy.InputField()
    response: str = dspy.OutputField()


class ScoreAnswers(dspy.Signature):
    """Score two answers to the instruction from 1 to 10 by how helpful, relevant, accurate and detailed they are.

    Score each by itself. It does not matter which one comes first or is longer. Explain nothing.
    """

    instruction: str = dspy.InputField()
    first_answer: str = dspy.InputField()
    second_answer: str = dspy.InputField()
    first_score: Points = dspy.OutputField()
    second_score: Points = dspy.OutputField()


class Encoding(Row):
    """What one seed instruction was encoded into: an intermediate result.

    `parent_ids` holds the id of the instruction if it is a row of another run.

    Attributes:
        instruction: The seed instruction.
        use_case: Its kind of task.
        skills: One to three skills.
    """

    instruction: str
    use_case: str
    skills: tuple[str, ...]


class Trial(BaseModel):
    """An instruction that both LMs answered about equally well, before it was improved again.

    Attributes:
        instruction: The instruction.
        iteration: In which it was made, from 1.
        criterion: The rubric by which it was made harder; empty for a basic instruction.
        action: The action that was applied; empty for a basic instruction.
        strong_response: The answer of the strong LM.
        target_response: The answer of the target LM.
        strong_score: Mean score of the strong LM's answer over both orders, 1 to 10.
        target_score: The same of the target's answer.
        orders_agree: Whether both orders have the same winner, or a tie each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruction: str
    iteration: int
    criterion: str = ""
    action: str = ""
    strong_response: str
    target_response: str
    strong_score: float
    target_score: float
    orders_agree: bool

    @property
    def gap(self) -> float:
        """Score of the strong LM's answer minus that of the target's, in [-9, 9]."""
        return self.strong_score - self.target_score


class TailoredRow(InstructionRow):
    """An instruction tailored to a use case and its skills, with the better one of two answers.

    `parent_ids` holds the ids of the seed instructions whose metadata it was made from, if these are rows of a run.

    Attributes:
        response_by: Which LM the response is of.
        use_case: The use case it was written for.
        skills: The skills it was written for.
        iteration: In which it was made: 1 for a basic instruction, one more for each improvement tried.
        accepted: Whether the answers differ by more than the threshold; None if no contrast was made.
        criterion: The rubric by which it was made harder; empty for a basic instruction.
        action: The action that was applied; empty for a basic instruction.
        parent: The instruction that was improved; empty for a basic instruction.
        other_response: The answer that lost; empty if no contrast was made.
        strong_score: Mean score of the strong LM's answer over both orders, 1 to 10, or None.
        target_score: The same of the target's answer.
        gap: The first minus the second, or None.
        orders_agree: Whether both orders have the same winner, or a tie each; None if no contrast was made.
        trace: What was tried before, in order.
    """

    response_by: Literal["strong", "target"]
    use_case: str
    skills: tuple[str, ...]
    iteration: int
    accepted: bool | None = None
    criterion: str = ""
    action: str = ""
    parent: str = ""
    other_response: str = ""
    strong_score: float | None = None
    target_score: float | None = None
    gap: float | None = None
    orders_agree: bool | None = None
    trace: tuple[Trial, ...] = ()

    def to_preference(self) -> Preference | None:
        """The two answers as a pair, the gap as its margin; None if they do not differ by more than the threshold."""
        if not (self.accepted and self.gap and self.response and self.other_response):
            return None
        return Preference(
            prompt=(Message(role="user", content=self.instruction),),
            chosen=(Message(role="assistant", content=self.response),),
            rejected=(Message(role="assistant", content=self.other_response),),
            margin=abs(self.gap),
        )
