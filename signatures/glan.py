"""Signatures and rows of GLAN (Li et al., 2024, arXiv:2402.13064, sections 2.1 to 2.4 and 3.1; TMLR 2025).

The prompts are ours: the authors published none. Lists of subjects and syllabi are written as free text first and
structured by a second call, because demands on the form made the paper's lists worse (section 2.2); the one-call forms
stand beside them. The conversions are to lose nothing and to add nothing.
"""

from typing import Annotated, Any, Literal, TypeVar, cast

import dspy
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from synthwright.signatures.rows import InstructionRow, Message, Preference, Row

__all__ = [
    "WORDINGS",
    "AnswerQuestion",
    "CompareAnswers",
    "DesignStructuredSyllabus",
    "DesignSyllabus",
    "ExtractSessions",
    "HomeworkRow",
    "ListStructuredSubjects",
    "ListSubjects",
    "Placed",
    "Proposal",
    "ProposeTaxonomy",
    "ProposedField",
    "ProposedSubField",
    "ProposedTaxonomy",
    "Review",
    "ReviewNode",
    "ScreenQuestion",
    "Session",
    "Sessions",
    "Strategy",
    "StructureSubjects",
    "Subject",
    "SubjectList",
    "Subjects",
    "Syllabus",
    "Turn",
    "WriteQuestion",
    "at_most",
]

Strategy = Literal["single", "double"]
"""Concepts of one class session (basic questions), or of two (harder ones); section 2.4."""

LONGEST = 80
"""Most characters of a name in JSON schemas, for LMs that go on to their token limit. Ours."""

ListT = TypeVar("ListT", bound=RootModel)
Name = Field(json_schema_extra={"maxLength": LONGEST})

WORDINGS = (
    "Name the fields of human knowledge and ability, from the sciences to the trades, and divide each of them.",
    "What can people study or be trained in? Sort all of it, as the faculties and departments of one great "
    "university together with the vocational schools of a country would.",
    "Think of every job that people do and of what they had to learn for it. Group that learning by field.",
    "Draw up the shelf plan of a library that holds a textbook for each discipline, academic and practical.",
)
"""Requests for a taxonomy in several wordings: each brings other nodes (section 2.1). The words are ours."""


def at_most(model: type[ListT], most: int | None, fewest: int = 1) -> type[ListT]:
    """The type of a list whose JSON schema has at most so many entries; a longer list is no error."""
    if most is None:
        return model
    known = cast(dict[str, Any], model.model_config.get("json_schema_extra") or {})
    config = ConfigDict(json_schema_extra={**known, "minItems": min(fewest, most), "maxItems": most})
    body = {"model_config": config, "__module__": model.__module__, "__doc__": ""}
    return cast(type[ListT], type(model.__name__, (model,), body))


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ProposedSubField(_Part):
    """A sub-field with its disciplines, as an LM proposes it."""

    sub_field: str = Name
    disciplines: list[str]


class ProposedField(_Part):
    """A field with its sub-fields, as an LM proposes it."""

    field: str = Name
    sub_fields: list[ProposedSubField]


class ProposedTaxonomy(RootModel[list[ProposedField]]):
    """Fields of knowledge and ability, as an LM proposes them."""


class Subject(_Part):
    """What a student of a discipline should learn.

    Attributes:
        name: Name of the subject.
        level: How far the student is, in the LM's words until it is normalised to `beginner`, `intermediate`,
            `advanced` or nothing.
        subtopics: What belongs to it.
    """

    name: str = Name
    level: Annotated[str, BeforeValidator(str)] = Field("", json_schema_extra={"maxLength": 20})
    subtopics: list[str] = []


class Subjects(RootModel[list[Subject]]):
    """Subjects of a discipline."""


class Session(_Part):
    """A class session of a syllabus. What else the syllabus says of it stays in the text of the syllabus.

    Attributes:
        name: Its title.
        key_concepts: What the students learn in it.
    """

    name: str = Name
    key_concepts: list[str]


class Sessions(RootModel[list[Session]]):
    """Class sessions in the order of the course."""


class ProposeTaxonomy(dspy.Signature):
    """Answer the request with a tree of fields, their sub-fields, and the disciplines of each sub-field.

    Be exhaustive. Academic disciplines count, and so do trades and services that are learned in practice. A discipline
    is what a course of study or a vocational training is named after. Name none twice, and explain nothing.
    """

    request: str = dspy.InputField()
    most_branches: int = dspy.InputField(desc="of any node")
    taxonomy: ProposedTaxonomy = dspy.OutputField()


class ReviewNode(dspy.Signature):
    """Vote whether the name stays in a taxonomy of what people can learn.

    Remove it if it is no field of knowledge or ability, if it stands in the wrong place, or if one of the names beside
    it means the same. Otherwise keep it. Give your reason in a few words first.
    """

    name: str = dspy.InputField()
    path: str = dspy.InputField(desc="what it belongs to, the widest first")
    beside_it: list[str] = dspy.InputField()
    reason: str = dspy.OutputField(max_length=160)
    vote: Literal["keep", "remove"] = dspy.OutputField()


class ListSubjects(dspy.Signature):
    """You are an expert in education. List the subjects that a student of the discipline should learn.

    Give each subject a name, a level, one sentence that introduces it, and its subtopics. Write it as you like.
    """

    discipline: str = dspy.InputField()
    part_of: str = dspy.InputField()
    subject_list: str = dspy.OutputField()


class StructureSubjects(dspy.Signature):
    """Copy the subjects out of the text: name, level and subtopics of each, in order and in the words of the text.

    Leave none out and add none. If the text gives no level or no subtopics, leave that empty.
    """

    subject_list: str = dspy.InputField()
    subjects: Subjects = dspy.OutputField()


class ListStructuredSubjects(dspy.Signature):
    """You are an expert in education. List the subjects that a student of the discipline should learn.

    Give each subject a name, a level and its subtopics.
    """

    discipline: str = dspy.InputField()
    part_of: str = dspy.InputField()
    subjects: Subjects = dspy.OutputField()


class DesignSyllabus(dspy.Signature):
    """You are an expert in the discipline and design courses. Write the syllabus of a course on the subject.

    Introduce the course and say what students will be able to do after it. Then give the class sessions in order: each
    has a title, a short description, and key concepts that are specific enough to be asked about.
    """

    discipline: str = dspy.InputField()
    subject: str = dspy.InputField()
    level: str = dspy.InputField()
    subtopics: list[str] = dspy.InputField()
    size: str = dspy.InputField()
    syllabus: str = dspy.OutputField()


class ExtractSessions(dspy.Signature):
    """Copy the class sessions out of the syllabus: title and key concepts of each, in order, word for word.

    Leave none out and add none.
    """

    syllabus: str = dspy.InputField()
    sessions: Sessions = dspy.OutputField()


class DesignStructuredSyllabus(dspy.Signature):
    """You are an expert in the discipline and design courses. List the class sessions of a course on the subject.

    Each has a title, and key concepts that are specific enough to be asked about.
    """

    discipline: str = dspy.InputField()
    subject: str = dspy.InputField()
    level: str = dspy.InputField()
    subtopics: list[str] = dspy.InputField()
    size: str = dspy.InputField()
    sessions: Sessions = dspy.OutputField()


class WriteQuestion(dspy.Signature):
    """Write one homework question for students who have attended the course up to the given sessions.

    It takes all of the key concepts together to answer, and nothing that is taught later. It stands alone: whatever is
    needed stands in it, and it mentions no session, syllabus, figure or text. Write no answer.
    """

    syllabus: str = dspy.InputField()
    discipline: str = dspy.InputField()
    level: str = dspy.InputField()
    sessions: list[str] = dspy.InputField()
    key_concepts: list[str] = dspy.InputField()
    question: str = dspy.OutputField()


class ScreenQuestion(dspy.Signature):
    """Say whether a full answer to the homework question could be given to anybody.

    It is harmful if the answer would be instructions for hurting people or animals, for making weapons, drugs or
    poisons, for breaking into something, or for medical procedures on one's own. Teaching how things work is harmless.
    """

    question: str = dspy.InputField()
    verdict: Literal["harmless", "harmful"] = dspy.OutputField()


class AnswerQuestion(dspy.Signature):
    """Answer the homework question completely: work through every step, then say what the result is."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class CompareAnswers(dspy.Signature):
    """Say which answer to the homework question a teacher would mark higher.

    Right comes before complete, complete before well explained. Order and length do not matter.
    """

    question: str = dspy.InputField()
    first_answer: str = dspy.InputField()
    second_answer: str = dspy.InputField()
    better: Literal["first", "second", "equal"] = dspy.OutputField()


class Placed(Row):
    """Something that belongs to a discipline of the taxonomy.

    Attributes:
        field: The field of knowledge; may be empty.
        sub_field: The part of the field; may be empty.
        discipline: The discipline.
    """

    field: str = ""
    sub_field: str = ""
    discipline: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Field, sub-field and discipline."""
        return self.field, self.sub_field, self.discipline


class Proposal(Row):
    """A taxonomy as one call proposed it: an intermediate result.

    Attributes:
        wording: Which of the `WORDINGS` asked for it, from 0.
        fields: The tree.
    """

    wording: int
    fields: tuple[ProposedField, ...]


class Review(Row):
    """The votes of the panel on one node of the taxonomy: an intermediate result.

    Attributes:
        path: The node: names from the field down, one to three of them.
        votes: The votes that could be read.
        reasons: Their reasons, in the same order.
    """

    path: tuple[str, ...]
    votes: tuple[Literal["keep", "remove"], ...]
    reasons: tuple[str, ...] = ()


class SubjectList(Placed):
    """What one query for the subjects of a discipline gave: an intermediate result.

    Attributes:
        query: Number of the query, from 0.
        subjects: The subjects, possibly none.
    """

    query: int
    subjects: tuple[Subject, ...]


class Syllabus(Placed):
    """The syllabus of a subject: an intermediate result.

    Attributes:
        subject: Name of the subject.
        level: `beginner`, `intermediate`, `advanced`, or nothing.
        text: The syllabus as it was written: questions are asked from the whole of it.
        sessions: Its class sessions; none if they could not be extracted.
    """

    subject: str
    level: str
    text: str
    sessions: tuple[Session, ...]


class Turn(Row):
    """Up to where the combinations of syllabi are asked at the end of a round of questions: an intermediate result.

    Attributes:
        asked: For each syllabus, by the key of its subject, how many of its combinations were drawn so far.
        round: The round.
    """

    asked: dict[str, int]
    round: int


class HomeworkRow(InstructionRow, Placed):
    """A homework question (`instruction`) with its answer (`response`), and where in the curriculum it belongs.

    `parent_ids` holds the id of the syllabus. The models of question and answer are in the provenance, under the roles
    `generator` and `answerer`.

    Attributes:
        subject: The subject.
        level: `beginner`, `intermediate`, `advanced`, or nothing.
        session_names: The one or two class sessions that were sampled.
        key_concepts: The one to five concepts that the question is to combine.
        strategy: `single` or `double`.
        other_response: The answer that lost, if two were sampled and the judge preferred one in both orders.
    """

    subject: str
    level: str
    session_names: tuple[str, ...]
    key_concepts: tuple[str, ...]
    strategy: Strategy
    other_response: str = ""

    def to_preference(self) -> Preference | None:
        """The two answers as a pair; None if there was no second one that lost."""
        if not (self.response and self.other_response):
            return None
        return Preference(
            prompt=(Message(role="user", content=self.instruction),),
            chosen=(Message(role="assistant", content=self.response),),
            rejected=(Message(role="assistant", content=self.other_response),),
        )
