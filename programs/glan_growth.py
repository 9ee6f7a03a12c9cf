"""How the tree of GLAN grows: proposals and votes, subjects, syllabi.

Each step gives an artifact, possibly an empty one, which says that a reply could not be used, so that a plan does not
ask for it without end.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dspy

from synthwright.errors import ParseError
from synthwright.programs.base import unparsable
from synthwright.programs.glan_checks import (
    as_written,
    clean_subjects,
    copies,
    level_of,
    merged_sessions,
    read_sessions,
    read_subjects,
    well_formed,
)
from synthwright.programs.glan_tree import SEPARATOR, outline
from synthwright.programs.prompts import signature_of
from synthwright.signatures.glan import WORDINGS, Proposal, Review, Session, Subject, SubjectList, Syllabus
from synthwright.signatures.rows import Rejected

if TYPE_CHECKING:
    from synthwright.programs.glan import GLAN

__all__ = ["PANEL", "grow_subjects", "grow_syllabus", "propose", "review", "shown_text"]

PANEL = ("review", "review_second", "review_third")
"""The predictors that vote, in turn: three LMs can serve them."""

MOST_BESIDE = 40
"""Names beside a node that a reviewer is shown at most. Ours."""


async def propose(program: "GLAN", wording: int) -> dspy.Prediction:
    """A taxonomy, asked for in one of the wordings (section 2.1)."""
    try:
        reply = await program.propose.acall(request=WORDINGS[wording], most_branches=program.breadth)
    except ParseError as error:
        return _given([], unparsable("propose", error, wording=wording))
    fields = tuple(proposed for proposed in reply.taxonomy.root if proposed.sub_fields)
    if not fields:
        return _given([], Rejected(stage="propose", reason="no_fields", content={"wording": wording}))
    return _given([Proposal(wording=wording, fields=fields)])


async def review(program: "GLAN", path: tuple[str, ...], beside: Sequence[str]) -> dspy.Prediction:
    """The panel's votes on one node. A vote that cannot be read is none."""
    above = SEPARATOR.join(path[:-1]) or "nothing: it is one of the widest"
    votes: list[Any] = []
    reasons: list[str] = []
    rejected: list[Rejected] = []
    for number in range(program.reviewers):
        name = PANEL[number % len(PANEL)]
        try:
            reply = await getattr(program, name).acall(name=path[-1], path=above, beside_it=list(beside[:MOST_BESIDE]))
        except ParseError as error:
            rejected.append(unparsable(name, error, node=SEPARATOR.join(path)))
            continue
        votes.append(reply.vote)
        reasons.append(well_formed(reply.reason).strip())
    if 2 * votes.count("remove") > len(votes):
        content = {"node": SEPARATOR.join(path), "votes": votes, "reasons": reasons}
        rejected.append(Rejected(stage="review", reason="removed", content=content))
    return _given([Review(path=path, votes=tuple(votes), reasons=tuple(reasons))], *rejected)


async def grow_subjects(program: "GLAN", place: dict[str, Any], query: int) -> dspy.Prediction:
    """The subjects of a discipline from one query: a free list, then its structure (section 2.2)."""
    rejected: list[Rejected] = []
    found: Sequence[Subject] | None = None
    about = ", ".join(name for name in (place["field"], place["sub_field"]) if name)
    ask: dict[str, Any] = {"discipline": place["discipline"], "part_of": about, **_demands(program)}
    if program.max_subjects is not None:
        ask["how_many"] = program.max_subjects
    try:
        reply = await program.list_subjects.acall(**ask)
    except ParseError as error:
        rejected.append(unparsable("list_subjects", error, **place))
        return _given([SubjectList(**place, query=query, subjects=())], *rejected)
    if not program.two_turns:
        found = reply.subjects.root
    elif text := well_formed(reply.subject_list).strip():
        found = read_subjects(text, program.max_subjects) if program.read_outlines else None
        if found is None:
            try:
                found = (await program.structure.acall(subject_list=text)).subjects.root
            except ParseError as error:
                rejected.append(unparsable("structure", error, **place, subject_list=text))
                found = ()
    subjects = clean_subjects(found or ())
    if program.max_subjects is not None:
        subjects = subjects[: program.max_subjects]
    if program.drop_copies:
        shown = shown_text(program.list_subjects)
        for subject in [subject for subject in subjects if copies(subject.subtopics, shown)]:
            subjects.remove(subject)
            content = {**place, "subject": subject.model_dump()}
            rejected.append(Rejected(stage="list_subjects", reason="copies_demonstration", content=content))
    if not subjects and not rejected:
        rejected.append(Rejected(stage="list_subjects", reason="no_subjects", content=dict(place)))
    return _given([SubjectList(**place, query=query, subjects=tuple(subjects))], *rejected)


async def grow_syllabus(
    program: "GLAN", place: dict[str, Any], subject: str, level: str, subtopics: Sequence[str]
) -> dspy.Prediction:
    """The syllabus of a subject: written freely, then its sessions and key concepts (section 2.3)."""
    fewest, most = program.sessions
    number = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    about: dict[str, Any] = {**place, "subject": subject}
    ask = {"discipline": place["discipline"], "subject": subject, "level": level or "any", "subtopics": list(subtopics)}
    ask["size"] = f"{number} class sessions with about {program.concepts} key concepts each"
    made: dict[str, Any] = {**place, "subject": subject, "level": level_of(level)}
    empty = Syllabus(**made, text="", sessions=())
    try:
        reply = await program.design.acall(**ask, **_demands(program))
    except ParseError as error:
        return _given([empty], unparsable("design", error, **about))
    rejected: list[Rejected] = []
    if not program.two_turns:
        found: Sequence[Session] = reply.sessions.root
        text = outline(merged_sessions(found))
    else:
        text = well_formed(reply.syllabus).strip()
        if not text:
            return _given([empty], Rejected(stage="design", reason="empty_syllabus", content=about))
        outlined = read_sessions(text, most) if program.read_outlines else None
        if outlined is not None:
            found, text = outlined
        else:
            try:
                found = (await program.extract.acall(syllabus=text)).sessions.root
            except ParseError as error:
                return _given([empty], unparsable("extract", error, **about, syllabus=text))
            if program.as_written:
                found, invented = as_written(found, text)
                if invented:
                    content = {**about, "invented": invented, "syllabus": text}
                    rejected.append(Rejected(stage="extract", reason="not_as_written", content=content))
    sessions = merged_sessions(found)
    if (
        sessions
        and program.drop_copies
        and copies([c for s in sessions for c in s.key_concepts], shown_text(program.design))
    ):
        return _given(
            [empty], Rejected(stage="design", reason="copies_demonstration", content={**about, "syllabus": text})
        )
    if not sessions:
        rejected.append(Rejected(stage="extract", reason="no_sessions", content={**about, "syllabus": text}))
    return _given([Syllabus(**made, text=text, sessions=sessions)], *rejected)


def shown_text(predictor: dspy.Predict) -> str:
    """What the demonstrations of a predictor's prompt show as its outputs."""
    outputs = signature_of(predictor).output_fields
    return "\n".join(str(demo[name]) for demo in predictor.demos for name in outputs if name in demo)


def _demands(program: "GLAN") -> dict[str, str]:
    return {"language": program.language} if program.language else {}


def _given(artifacts: list[Any], *rejected: Rejected) -> dspy.Prediction:
    return dspy.Prediction(rows=[], rejected=list(rejected), artifacts=artifacts)
