"""What of an LM's replies GLAN takes: names and levels brought into one form, outlines read, questions checked.

The paper describes no quality filter. The functions in `CHECKS` are ours; each takes (question, session names, key
concepts) and returns None, or what it found as words for a person.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from synthwright.filters import SelfContainment
from synthwright.filters.words import ngrams, words
from synthwright.programs import evol_instruct_checks as evolution
from synthwright.signatures.glan import HomeworkRow, Session, Subject

__all__ = [
    "CHECKS",
    "as_written",
    "clean_subjects",
    "copied_run",
    "copies",
    "folded",
    "level_of",
    "merged_sessions",
    "read_sessions",
    "read_subjects",
    "tidy",
    "well_formed",
]

FEW_WORDS = 6
"""Most words of a subtopic or concept that is read from an outline by code; a longer one is prose. Ours."""

RUN = 6
"""Words in a row that a question shares with a demonstration: it copies. Ours."""

MOST_WORDS = 12
"""Most words of a name or concept; a longer one is no name. Ours."""

_LEVELS = (
    ("advanced", r"advanced|expert|graduate|doctoral|master|proficient|specialist|senior|final[- ]year|upper"),
    ("beginner", r"beginn\w*|introduct\w*|basic\w*|elementary|foundation\w*|novice|entry|fundamental\w*|first[- ]year|"
                 r"primary|freshman|lower"),
    ("intermediate", r"intermediate|medium|moderate|undergraduate|second[- ]year|third[- ]year|secondary|sophomore|"
                     r"junior|middle"),
)  # fmt: skip
_LEVEL = {level: re.compile(rf"\b(?:{pattern})\b", re.I) for level, pattern in _LEVELS}
_MARK = re.compile(r"^\s*(?:[-*•–]+|\(?\d{1,3}[.):]|#+|[a-z][.)])\s+")
_DECORATION = "*_`#\"“”'’"
_SUBJECT = re.compile(
    r"^\s*(?:\d{1,3}[.)]|[-*•])\s+(?P<name>[^:,(]+?)(?:\s*[,(]\s*(?P<level>[^:)]*)\)?)?\s*:\s*(?P<rest>.+)$"
)
_SESSION = re.compile(
    r"^\s*(?:[-*•]\s+)?(?:class |course )?(?:session|lesson|class|unit|week|module)\s*\d{1,3}\s*[:.–-]\s*"
    r"(?P<name>[^:]+?)\.?\s*(?:\.[^:]*)?(?:key |main )?concepts?\s*:\s*(?P<rest>.+)$",
    re.I,
)
_COURSE = re.compile(
    r"\b(?:this|these|our|your|previous|last|next) (?:class |course )?sessions?\b|\bclass sessions?\b"
    r"|\b(?:in|from|of|during) the (?:class |course )?sessions?\b"
    r"|\b(?:this|the|our|your) (?:syllab(?:us|i)|course materials?|class notes|homework|lectures?)\b"
    r"|\b(?:session|lesson|unit) \d+\b",
    re.I,
)
_ANSWERED = re.compile(r"^[^\S\n]*\**(?:answer|solution|explanation|correct answer)\b\**\s*:", re.I | re.M)
_PLACEHOLDER = re.compile(r"\{[a-z_ ]+\}|\[(?:insert|your|name|topic|concept)[^\]]*\]", re.I)


def tidy(text: str) -> str:
    """A name without list marks, decoration, surplus white space and final punctuation."""
    text = _MARK.sub("", " ".join(well_formed(str(text)).split()))
    return text.strip(_DECORATION + " ").rstrip(".,;:").strip(_DECORATION + " ")


def well_formed(text: str) -> str:
    """A text whose half characters, which an LM can write as escapes, are replaced: no row or file can hold them."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def folded(text: str) -> str:
    """What counts as the same name: without case and what `tidy` takes off."""
    return tidy(text).casefold()


def level_of(text: str | int) -> str:
    """A level as `beginner`, `intermediate` or `advanced`; empty if it says none of them.

    Course numbers count by their hundreds: below 200 beginner, below 400 intermediate. A text that names several, such
    as "beginner to advanced", is as high as its highest.
    """
    text = str(text).strip()
    if number := re.fullmatch(r"(?:level|course|grade)?\s*(\d{1,4})(?:\+|[- ]level)?", text, re.I):
        value = int(number.group(1))
        if value < 10:  # a scale of a few steps, as schools have
            return "beginner" if value <= 1 else "intermediate" if value == 2 else "advanced"
        return "beginner" if value < 200 else "intermediate" if value < 400 else "advanced"
    plain = re.sub(r"\bundergraduate\b", "intermediate", text, flags=re.I)
    return next((level for level in ("advanced", "intermediate", "beginner") if _LEVEL[level].search(plain)), "")


def clean_subjects(subjects: Iterable[Subject]) -> list[Subject]:
    """Subjects with tidy names and known levels, each once; those without a name are left out."""
    found: dict[str, Subject] = {}
    for subject in subjects:
        name = tidy(subject.name)
        if name and len(name.split()) <= MOST_WORDS:
            topics = _unique(subject.subtopics)
            found.setdefault(folded(name), Subject(name=name, level=level_of(subject.level), subtopics=topics))
    return list(found.values())


def merged_sessions(sessions: Iterable[Session]) -> tuple[Session, ...]:
    """Sessions with tidy names and concepts; those of one name are one, concepts are there once in a syllabus.

    A concept that returns in a later session stays with the first: a pair of sessions must not share one. Sessions
    without concepts are left out.
    """
    names: dict[str, str] = {}
    concepts: dict[str, list[str]] = {}
    seen: set[str] = set()
    for session in sessions:
        name = tidy(session.name)
        if not name:
            continue
        names.setdefault(folded(name), name)
        mine = concepts.setdefault(folded(name), [])
        for concept in map(tidy, session.key_concepts):
            if concept and folded(concept) not in seen and len(concept.split()) <= MOST_WORDS:
                seen.add(folded(concept))
                mine.append(concept)
    return tuple(Session(name=names[key], key_concepts=found) for key, found in concepts.items() if found)


def as_written(sessions: Iterable[Session], syllabus: str) -> tuple[list[Session], list[str]]:
    """What of extracted sessions stands in the syllabus, word for word; and what does not.

    A session whose name does not stand there keeps its concepts that do. Case, punctuation and line breaks do not
    matter.
    """
    text = f" {' '.join(words(syllabus))} "
    kept, invented = [], []
    for session in sessions:
        concepts = [c for c in session.key_concepts if f" {' '.join(words(c))} " in text]
        invented += [c for c in session.key_concepts if c not in concepts]
        if f" {' '.join(words(session.name))} " in text:
            kept.append(Session(name=session.name, key_concepts=concepts))
        else:
            invented.append(session.name)
    return kept, invented


def read_subjects(text: str, most: int | None = None) -> list[Subject] | None:
    """The subjects of an outline such as "1. Harmony, intermediate: triads, cadences", or None if it is no outline.

    Args:
        text: The text.
        most: Entries after which nothing more is read; None reads all.
    """
    found = _outline(text, _SUBJECT, most)
    if found is None:
        return None
    return [Subject(name=match["name"], level=match["level"] or "", subtopics=parts) for match, parts, _ in found]


def read_sessions(text: str, most: int | None = None) -> tuple[list[Session], str] | None:
    """The sessions of an outline such as "Session 1: Chords. Key concepts: triad.", or None if it is no outline.

    Args:
        text: The text.
        most: Sessions after which nothing more is read; None reads all.

    Returns:
        The sessions, and the part of the text that they were read from.
    """
    found = _outline(text, _SESSION, most)
    if found is None:
        return None
    sessions = [Session(name=match["name"].split(". ")[0], key_concepts=parts) for match, parts, _ in found]
    return sessions, text[: text.index(last := found[-1][2]) + len(last)].strip()


def copies(parts: Sequence[str], shown: str) -> bool:
    """Whether at least two of the parts, and at least half of them, stand in a text: an LM repeats an example.

    Args:
        parts: Subtopics or key concepts.
        shown: What the demonstrations of its prompt hold.
    """
    text = f" {' '.join(words(shown))} "
    same = [part for part in parts if f" {' '.join(words(part))} " in text]
    return len(same) >= 2 and 2 * len(same) >= len(parts)


def copied_run(question: str, shown: str) -> str:
    """Six words in a row that a question shares with a text; empty if there are none."""
    tokens, text = words(question), f" {' '.join(words(shown))} "
    runs = (" ".join(run) for run in ngrams(tokens, RUN))
    return next((run for run in runs if f" {run} " in text), "")


def names_course(question: str, sessions: Sequence[str], concepts: Sequence[str]) -> str | None:
    """It speaks of a session, a syllabus or homework, which the reader does not have."""
    found = _COURSE.search(question)
    return repr(found.group()) if found else None


def leans_on_absent(question: str, sessions: Sequence[str], concepts: Sequence[str]) -> str | None:
    """It speaks of a text, table or figure that is not there."""
    row = HomeworkRow.model_construct(instruction=question)
    found = SelfContainment("instruction").check(row)
    return found.partition(": ")[2] if found else None


def asks_nothing(question: str, sessions: Sequence[str], concepts: Sequence[str]) -> str | None:
    """An English text that is no question and no request."""
    english = {"the", "of", "and", "is", "to", "with", "for", "that"} & set(words(question))
    return f"{question[:60]!r}" if english and not evolution.asks(question) else None


def holds_answer(question: str, sessions: Sequence[str], concepts: Sequence[str]) -> str | None:
    """An answer or a solution stands below the question."""
    found = _ANSWERED.search(question)
    return repr(found.group().strip()) if found else None


def holds_placeholder(question: str, sessions: Sequence[str], concepts: Sequence[str]) -> str | None:
    """Something was to be filled in."""
    found = _PLACEHOLDER.search(question)
    return repr(found.group()) if found else None


def no_concept(question: str, sessions: Sequence[str], concepts: Sequence[str]) -> str | None:
    """Not one word of the concepts, up to its ending, nor of the session names stands in it. Same script only."""
    asked = {word[:5] for word in words(question)}
    wanted = {word[:5] for text in (*concepts, *sessions) for word in words(text) if len(word) > 2}
    if not wanted or wanted & asked:
        return None
    return f"nothing of {', '.join(concepts)[:80]!r}"


CHECKS: Mapping[str, Callable[[str, Sequence[str], Sequence[str]], str | None]] = {
    check.__name__: check
    for check in (names_course, leans_on_absent, asks_nothing, holds_answer, holds_placeholder, no_concept)
}
"""Our checks of a question by name, in the order in which they are made, before it is answered."""


def _unique(texts: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for text in map(tidy, texts):
        if text and len(text.split()) <= MOST_WORDS:
            found.setdefault(folded(text), text)
    return list(found.values())


def _outline(text: str, form: re.Pattern[str], most: int | None) -> list[tuple[re.Match[str], list[str], str]] | None:
    """What each line of an outline says; None if a line has another form, so that nothing is lost unseen.

    The first line may introduce the rest. A last line that breaks off, as at a limit of length, loses its last word.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if lines and not form.match(" ".join(lines[0].split())):
        lines = lines[1:]
    found = []
    for number, line in enumerate(lines if most is None else lines[:most]):
        match, last = form.match(" ".join(line.split())), number == len(lines) - 1
        parts = re.split(r"[,;]\s*", match["rest"]) if match else []
        if last and not re.search(r"[.!)\]]$", line):
            parts = parts[:-1]
        parts = _unique(parts)
        if match and parts and all(len(part.split()) <= FEW_WORDS for part in parts):
            found.append((match, parts, line))
        elif not last or not found:
            return None
    return found or None
