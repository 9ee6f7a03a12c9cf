"""Homework of GLAN: a question about sampled concepts from the whole syllabus, then its answer by another call."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dspy

from synthwright.errors import ParseError
from synthwright.programs.base import reject, unparsable
from synthwright.programs.glan_checks import CHECKS, copied_run, well_formed
from synthwright.programs.glan_growth import shown_text
from synthwright.signatures.glan import HomeworkRow, Strategy
from synthwright.signatures.rows import Rejected

if TYPE_CHECKING:
    from synthwright.programs.glan import GLAN

__all__ = ["Topic", "homework", "preferred"]


@dataclass(frozen=True)
class Topic:
    """What a question is to be about.

    Attributes:
        place: `field`, `sub_field` and `discipline`.
        subject: The subject.
        level: How far the students are; may be empty.
        syllabus: The whole syllabus.
        sessions: Names of the one or two sessions.
        key_concepts: The concepts.
        strategy: How they were drawn.
    """

    place: dict[str, Any]
    subject: str
    level: str
    syllabus: str
    sessions: tuple[str, ...]
    key_concepts: tuple[str, ...]
    strategy: Strategy

    def content(self) -> dict[str, Any]:
        """What rejects keep of it."""
        about = {**self.place, "subject": self.subject, "level": self.level, "strategy": self.strategy}
        return {**about, "session_names": list(self.sessions), "key_concepts": list(self.key_concepts)}


async def homework(program: "GLAN", topic: Topic, sources: tuple[str, ...]) -> dspy.Prediction:
    """One row, or what came in its way (sections 2.4 and 3.1)."""
    made = await _question(program, topic)
    if isinstance(made, Rejected):
        return dspy.Prediction(rows=[], rejected=[made])
    answers, rejected = await _answers(program, topic, made)
    if program.answers and not answers:
        return dspy.Prediction(rows=[], rejected=rejected)
    best, other = answers[0] if answers else "", ""
    if len(answers) == 2 and answers[0] != answers[1]:
        verdict = await preferred(program, made, *answers)
        if isinstance(verdict, Rejected):
            rejected.append(verdict)
        elif verdict is not None:
            best, other = answers[verdict], answers[1 - verdict]
    row = HomeworkRow(
        **topic.place,
        subject=topic.subject,
        level=topic.level,
        session_names=topic.sessions,
        key_concepts=topic.key_concepts,
        strategy=topic.strategy,
        instruction=made,
        response=best,
        other_response=other,
        parent_ids=sources,
    )
    return dspy.Prediction(rows=[row], rejected=rejected)


async def _question(program: "GLAN", topic: Topic) -> str | Rejected:
    """A question that passes the checks and the screen, before anything is spent on its answer."""
    ask: dict[str, Any] = {
        "syllabus": topic.syllabus,
        "discipline": topic.place["discipline"],
        "level": topic.level or "any",
        "sessions": list(topic.sessions),
        "key_concepts": list(topic.key_concepts),
    }
    if program.language:
        ask["language"] = program.language
    try:
        question = well_formed((await program.write.acall(**ask)).question).strip()
    except ParseError as error:
        return unparsable("write", error, **topic.content())
    content = {**topic.content(), "question": question}
    if fault := _fault(program, topic, question):
        return reject("write", fault, **content)
    if program.safety:
        try:
            verdict = (await program.screen.acall(question=question)).verdict
        except ParseError as error:
            return unparsable("screen", error, **content)  # what was not screened is not answered
        if verdict == "harmful":
            return Rejected(stage="screen", reason="harmful", content=content)
    return question


def _fault(program: "GLAN", topic: Topic, question: str) -> str | None:
    """Why a question is dropped, as `reason: detail`, or None."""
    if not question:
        return "empty_question"
    for name in program.checks:
        if found := CHECKS[name](question, topic.sessions, topic.key_concepts):
            return f"{name}: {found}"
    if program.drop_copies and (found := copied_run(question, shown_text(program.write))):
        return f"copies_demonstration: {found!r}"
    words = len(question.split())
    return f"too_long: {words} words" if program.max_words is not None and words > program.max_words else None


async def _answers(program: "GLAN", topic: Topic, question: str) -> tuple[list[str], list[Rejected]]:
    """The answers that could be read, each an independent draw by the LM that sees nothing but the question."""
    found, rejected = [], []
    for _ in range(program.answers):
        try:
            answer = well_formed((await program.answer.acall(question=question)).answer).strip()
        except ParseError as error:
            rejected.append(unparsable("answer", error, **topic.content(), question=question))
            continue
        if answer:
            found.append(answer)
        else:
            content = {**topic.content(), "question": question}
            rejected.append(Rejected(stage="answer", reason="empty_answer", content=content))
    return found, rejected


async def preferred(program: "GLAN", question: str, first: str, second: str) -> int | Rejected | None:
    """The number of the answer that the judge prefers in both orders: 0, 1, or None if there is none."""
    try:
        one = await program.compare.acall(question=question, first_answer=first, second_answer=second)
        two = await program.compare.acall(question=question, first_answer=second, second_answer=first)
    except ParseError as error:
        return unparsable("compare", error, question=question, first_answer=first, second_answer=second)
    choice = (one.better, two.better)
    return 0 if choice == ("first", "second") else 1 if choice == ("second", "first") else None
