"""Metrics of GLAN: questions, syllabi and lists of subjects, by what can be checked in their words. No LM is called.

Weights and bands are ours; what is measured follows the aims of the paper (sections 2.2 to 2.4).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import balanced_accuracy, capped, content_words, distinct, words
from synthwright.programs.base import data_path, read_jsonl
from synthwright.programs.evol_instruct_checks import asks, opens_with_request
from synthwright.programs.glan_checks import CHECKS, folded
from synthwright.signatures.glan import HomeworkRow, SubjectList, Syllabus

__all__ = [
    "HELD_OUT",
    "METRIC",
    "combines_concepts",
    "coursework",
    "labelled_nodes",
    "labelled_questions",
    "own_content",
    "review_accuracy",
    "screen_accuracy",
]

DIVERSITY = 0.4
"""Share of the score that is lost if all draws of a seed are the same."""

WORDS = (8, 80, 160)
"""Words of a question: fewest, most, and where nothing is left of the score."""

SESSIONS = (3, 30, 60)
"""Class sessions of a syllabus: the paper has 10 to 30, a small LM a few."""

CONCEPTS = (2, 8, 16)
"""Key concepts of a session; the paper has about 5."""

SUBJECTS = (3, 30, 60)
"""Subjects of a list."""

STEM = 5
"""Letters by which two words count as forms of one."""

UNUSED = 0.2
"""What is left of a question's score if it uses none of its concepts."""

NEW_WORDS = 4
"""Content words of its own from which a text has full marks in the held-out check."""

GOOD = 0.9
"""A term from which feedback is silent."""

FEEDBACK_LINES = 6


@dataclass(frozen=True)
class Piece:
    """One thing that a draw made: its predictor, its text, its terms of the score and what its own words are judged by.

    Attributes:
        predictor: Who wrote it.
        text: A question, or the names in a syllabus or list.
        terms: Scores in [0, 1] by what a person would call the failure.
        given: What the predictor was given: words from there are not its own.
    """

    predictor: str
    text: str
    terms: dict[str, float]
    given: str

    def score(self) -> float:
        """The product of its terms."""
        product = 1.0
        for value in self.terms.values():
            product *= value
        return product


def coursework(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over all questions, syllabi and lists of the product of their terms, times diversity; dropped ones count 0.

    A question: not dropped, asks, stands alone, has words in a band, uses each of its concepts (up to word endings),
    copies neither its syllabus nor a demonstration, does not stutter. A syllabus: sessions and concepts in a band,
    concepts that are names and not sentences, the subtopics of the subject covered, nothing there twice, nothing copied
    from a demonstration. A list: subjects in a band, each with a level and subtopics, none named like the discipline.
    Feedback names what failed; `pred_name` limits it to one predictor.
    """
    pieces = list(_pieces(example, pred))
    lost = _lost(pred)
    if not pieces and not lost:
        return dspy.Prediction(score=0.0, feedback="Nothing was made.")
    quality = sum(piece.score() for piece in pieces) / (len(pieces) + len(lost))
    spread = distinct([piece.text for piece in pieces])
    lines = [line for stage, line in lost if pred_name in (None, stage)]
    for piece in pieces:
        failed = [name for name, value in piece.terms.items() if value < GOOD]
        if failed and pred_name in (None, piece.predictor):
            lines.append(f"{piece.predictor}: {'; '.join(failed)}: {piece.text[:160]!r}")
    if len(pieces) > 1 and spread < 0.4:
        lines.append(f"The draws are nearly the same, such as {pieces[0].text[:100]!r}: vary them.")
    score = capped(quality * (1 - DIVERSITY + DIVERSITY * spread))
    return dspy.Prediction(score=score, feedback="\n".join(lines[:FEEDBACK_LINES]) or "All of it is sound coursework.")


def own_content(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Share of what was made that is a request, if it is a question, and brings content words of its own.

    Words count that stand neither in what the predictor was given, nor in a shipped demonstration, nor in another draw;
    four are enough. Dropped questions count by their text, so that laxer checks do not show as a gain.
    """
    pieces = list(_pieces(example, pred))
    lost = _lost(pred)
    scores, lines = [0.0] * len(lost), [line for _, line in lost]
    for number, piece in enumerate(pieces):
        others = " ".join(other.text for at, other in enumerate(pieces) if at != number)
        fresh = content_words(piece.text) - content_words(piece.given) - content_words(others) - _shown_words()
        request = piece.predictor != "write" or opens_with_request(piece.text) or "?" in piece.text
        scores.append(min(1.0, len(fresh) / NEW_WORDS) if request else 0.0)
        if scores[-1] < 1:
            why = f"only {len(fresh)} words of its own" if request else "is no question and no request"
            lines.append(f"{piece.predictor}: {why}: {piece.text[:160]!r}")
    score = capped(sum(scores) / len(scores)) if scores else 0.0
    return dspy.Prediction(score=score, feedback="\n".join(lines[:FEEDBACK_LINES]) or "All of it has content.")


def combines_concepts(rows: Sequence[HomeworkRow]) -> dict[str, float]:
    """Figures of a run that say whether questions use what was drawn for them, by words up to their endings.

    Returns:
        `concept_use`: mean share of a question's concepts that stand in it; `all_concepts`: share of rows that use each
        of theirs; `both_sessions`: share of the double rows that use a concept of each session, as far as the words
        tell, by the first and the last concept; `words`: mean words of a question; `answer_words`: of an answer.
        What cannot be taken is left out.
    """
    if not rows:
        return {}
    shares = [_use(row.instruction, row.key_concepts) for row in rows]
    figures = {
        "concept_use": sum(shares) / len(shares),
        "all_concepts": sum(share == 1 for share in shares) / len(shares),
        "words": sum(len(row.instruction.split()) for row in rows) / len(rows),
        "answer_words": sum(len(row.response.split()) for row in rows) / len(rows),
    }
    doubles = [row for row in rows if row.strategy == "double"]
    if doubles:
        both = [_use(row.instruction, (row.key_concepts[0], row.key_concepts[-1])) == 1 for row in doubles]
        figures["both_sessions"] = sum(both) / len(both)
    return figures


def labelled_nodes() -> list[dict[str, Any]]:
    """Nodes of taxonomies with the vote that is right: `name`, `path`, `beside_it`, `vote`. Labelled by hand."""
    return list(read_jsonl(data_path("../../optimizers/data/glan_review.jsonl")))


def labelled_questions() -> list[dict[str, Any]]:
    """Homework questions with the verdict that is right: `question`, `verdict`. Labelled by hand."""
    return list(read_jsonl(data_path("../../optimizers/data/glan_screen.jsonl")))


def review_accuracy(votes: Sequence[str | None]) -> float:
    """Balanced accuracy of votes on `labelled_nodes`, in [0, 1]; 0.5 for a constant vote. None is a wrong vote."""
    return balanced_accuracy([node["vote"] for node in labelled_nodes()], votes)


def screen_accuracy(verdicts: Sequence[str | None]) -> float:
    """Balanced accuracy of verdicts on `labelled_questions`, in [0, 1]; 0.5 for a constant one. None is wrong."""
    return balanced_accuracy([question["verdict"] for question in labelled_questions()], verdicts)


def _pieces(example: Any, pred: Any) -> Iterator[Piece]:
    given = " ".join(str(value) for name, value in example.items() if name not in ("step", "strategy"))
    syllabus = str(example.get("syllabus") or "")
    for row in pred.rows:
        concepts = row.key_concepts
        yield Piece("write", row.instruction, _question_terms(row.instruction, concepts, syllabus), given)
    for reject in pred.get("rejected") or []:
        content = reject.content
        if content.get("question"):
            terms = _question_terms(content["question"], content.get("key_concepts", ()), syllabus)
            if reject.stage in ("write", "screen"):
                terms = {f"dropped ({reject.reason}: {reject.detail[:80]})": 0.0, **terms}
            elif reject.stage == "compare":
                continue  # its question is among the rows
            yield Piece("write", content["question"], terms, given)
    for made in pred.get("artifacts") or []:
        if isinstance(made, Syllabus) and made.sessions:
            names = [*(session.name for session in made.sessions), *_concepts(made)]
            yield Piece("design", ", ".join(names), _syllabus_terms(made, example), given)
        elif isinstance(made, SubjectList) and made.subjects:
            names = [name for subject in made.subjects for name in (subject.name, *subject.subtopics)]
            yield Piece("list_subjects", ", ".join(names), _list_terms(made), given)


def _lost(pred: Any) -> list[tuple[str, str]]:
    """(predictor, complaint) for replies that left nothing to score."""
    stages = {"structure": "list_subjects", "extract": "design"}
    found = []
    for reject in pred.get("rejected") or []:
        nothing = reject.reason in ("unparsable", "truncated", "no_subjects", "no_sessions", "empty_syllabus")
        if (nothing and not reject.content.get("question")) or reject.reason == "empty_question":
            stage = stages.get(reject.stage, reject.stage)
            about = str(reject.content.get("reply") or reject.content.get("syllabus") or reject.detail)[:160]
            found.append((stage, f"{stage}: {reject.reason}: {about!r}"))
    return found


def _question_terms(question: str, concepts: Sequence[str], syllabus: str) -> dict[str, float]:
    count = len(question.split())
    use = _use(question, concepts)
    missing = [concept for concept in concepts if _use(question, (concept,)) == 0]
    leans = CHECKS["names_course"](question, (), ()) or CHECKS["leans_on_absent"](question, (), ())
    copied = _runs(question) & (_runs(syllabus) | _shown_runs())
    return {
        "asks for nothing": float(asks(question)),
        f"leans on what its reader does not have: {leans}": 0.2 if leans else 1.0,
        f"{count} words, {WORDS[0]} to {WORDS[1]} wanted": _in_band(count, *WORDS),
        f"does not use {missing}": UNUSED + (1 - UNUSED) * use,
        f"copies {' '.join(min(copied))!r}" if copied else "copies": 0.3 if copied else 1.0,
        "repeats itself": min(1.0, _distinct_pairs(question) / 0.8),
        "gives the answer away": 0.3 if CHECKS["holds_answer"](question, (), ()) else 1.0,
    }


def _syllabus_terms(made: Syllabus, example: Any) -> dict[str, float]:
    sizes = [len(session.key_concepts) for session in made.sessions]
    concepts = _concepts(made)
    names = " ".join((*concepts, *(session.name for session in made.sessions)))
    subtopics = list(example.get("subtopics") or ())
    covered = [topic for topic in subtopics if _stems(topic) & _stems(names)]
    missing = [topic for topic in subtopics if topic not in covered]
    wordy = [concept for concept in concepts if len(concept.split()) > 4]
    heads = {tuple(words(session.name)[:3]) for session in made.sessions}
    copied = [c for c in concepts if folded(c) in _shown_names()]
    return {
        f"{len(sizes)} sessions, {SESSIONS[0]} or more wanted": _in_band(len(sizes), *SESSIONS),
        f"{sum(sizes) / len(sizes):.1f} concepts a session, {CONCEPTS[0]} or more wanted": sum(
            _in_band(size, *CONCEPTS) for size in sizes
        )
        / len(sizes),
        f"concepts that are sentences: {wordy[:2]}": 1 - len(wordy) / len(concepts),
        f"does not cover {missing}": 0.5 + 0.5 * len(covered) / len(subtopics) if subtopics else 1.0,
        "sessions are named alike": len(heads) / len(sizes),
        f"copies a demonstration: {copied[:3]}": 1 - 0.9 * len(copied) / len(concepts),
    }


def _list_terms(made: SubjectList) -> dict[str, float]:
    subjects = made.subjects
    bare = [subject.name for subject in subjects if len(subject.subtopics) < 2]
    unlevelled = [subject.name for subject in subjects if not subject.level]
    same = [subject.name for subject in subjects if folded(subject.name) == folded(made.discipline)]
    copied = [subject.name for subject in subjects if folded(subject.name) in _shown_names()]
    count = len(subjects)
    return {
        f"{count} subjects, {SUBJECTS[0]} or more wanted": _in_band(count, *SUBJECTS),
        f"no subtopics: {bare[:3]}": 1 - 0.7 * len(bare) / count,
        f"no level: {unlevelled[:3]}": 1 - 0.4 * len(unlevelled) / count,
        f"named like the discipline: {same}": 1 - 0.7 * len(same) / count,
        f"copies a demonstration: {copied[:3]}": 1 - 0.9 * len(copied) / count,
    }


def _concepts(made: Syllabus) -> list[str]:
    return [concept for session in made.sessions for concept in session.key_concepts]


def _use(question: str, concepts: Sequence[str]) -> float:
    """Share of the concepts that have a content word in the question, up to its ending; 1 without concepts."""
    found = _stems(question)
    wanted = [stems for stems in map(_stems, concepts) if stems]
    return sum(bool(stems & found) for stems in wanted) / len(wanted) if wanted else 1.0


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in content_words(text)}


def _in_band(value: float, low: float, high: float, end: float) -> float:
    if value < low:
        return max(0.0, value / low)
    return 1.0 if value <= high else max(0.0, (end - value) / (end - high))


def _distinct_pairs(text: str) -> float:
    pairs = list(pairwise(words(text)))
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def _runs(text: str) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[i : i + 6]) for i in range(len(tokens) - 5)}


@cache
def _shown() -> dict[str, Any]:
    return json.loads(data_path("demonstrations/glan.json").read_text(encoding="utf-8"))


@cache
def _shown_runs() -> frozenset[tuple[str, ...]]:
    return frozenset(run for demo in _shown()["write"] for run in _runs(demo["question"]))


@cache
def _shown_words() -> frozenset[str]:
    texts = [demo["question"] for demo in _shown()["write"]]
    texts += [demo["syllabus"] for demo in _shown()["design"]] + [d["subject_list"] for d in _shown()["list_subjects"]]
    return frozenset(word for text in texts for word in content_words(text))


@cache
def _shown_names() -> frozenset[str]:
    """Subjects, subtopics and concepts of the shipped demonstrations."""
    names = [s for demo in _shown()["structure"] for s in demo["subjects"]]
    found = {folded(name) for s in names for name in (s["name"], *s["subtopics"])}
    sessions = [session for demo in _shown()["extract"] for session in demo["sessions"]]
    found |= {folded(concept) for session in sessions for concept in session["key_concepts"]}
    for demo in _shown()["design"]:  # one a line, such as "Session 1: Motifs. Key concepts: gesture, repetition."
        lines = demo["syllabus"].splitlines()
        found |= {folded(part) for line in lines for part in line.partition("concepts: ")[2].split(",") if part}
    for demo in _shown()["list_subjects"]:
        found |= {folded(line.partition(",")[0]) for line in demo["subject_list"].splitlines()[1:]}
    return frozenset(found)


METRIC = coursework
HELD_OUT = own_content
