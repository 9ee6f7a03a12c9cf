"""When an instruction of CodecLM counts as failed, and when an answer counts as none.

The paper checks nothing in code: its authors looked at the metadata by hand (appendix A.3). The functions in `CHECKS`
are ours; each takes (instruction, parent, action), the last two empty for a basic instruction, and returns None, or
what it found as words for a person.
"""

import re
from collections.abc import Callable, Mapping

from synthwright.filters.words import ngrams
from synthwright.programs import evol_instruct_checks as evolution

__all__ = ["CHECKS", "metadata_fault", "refusal"]

MOST_WORDS = {"use_case": 12, "skill": 5}
"""The paper asks for a use case in a few words and skills of two or three; a sentence is none. Ours."""

REFUSAL_WORDS = 60
"""A longer text that opens with an apology may still answer. Ours."""

ECHOED = 5
"""Words in a row that an improved instruction shares with the action alone: it quotes the order. Ours."""

_ENGLISH = frozenset("the of and is to with for that".split())
_ABSENT = re.compile(
    r"\b(?:attached|attachment|enclosed)\b"
    r"|\b(?:following|above|below|given|provided|preceding) (?:text|article|passage|paragraph|story|poem|email|letter|"
    r"document|report|table|chart|graph|data|dataset|list|code|function|program|image|picture|photo|audio|video|file)\b"
    r"|\bthis (?:image|picture|photo|chart|graph|audio|video|recording|screenshot|file|attachment)\b"
    r"|\b(?:text|article|passage|paragraph|table|list|code) (?:above|below)\b",
    re.I,
)
_LABELLED = re.compile(r"^[^\S\n]*(?:use[ _]case|skills?|rubric|criterion|action|how[ _]many)\s*:", re.I | re.M)
_PLACEHOLDER = re.compile(
    r"[{<\[]{1,2}[# ]*(?:\w+_)?(?:instructions?|action|use_case|skills?|rubrics?)[# ]*[}>\]]{1,2}", re.I
)
_REFUSAL = re.compile(
    r"\W*(?:i(?:'m| am)? (?:sorry|afraid|apologi[sz]e)|sorry\b|"
    r"i (?:can(?:no|')t|am unable|am not able|won't|will not)\b|as an ai\b|unfortunately,? i can(?:no|')t)",
    re.I,
)


def metadata_fault(use_case: str, skills: tuple[str, ...], instruction: str) -> str | None:
    """Why an encoding is no metadata, as `reason: detail`, or None."""
    if evolution.words_of(use_case) == evolution.words_of(instruction):
        return f"use_case_is_instruction: {use_case[:60]!r}"
    if len(use_case.split()) > MOST_WORDS["use_case"]:
        return f"wordy_use_case: {len(use_case.split())} words"
    wordy = [skill for skill in skills if len(skill.split()) > MOST_WORDS["skill"]]
    return f"wordy_skill: {wordy[0][:60]!r}" if wordy else None


def refusal(response: str) -> str | None:
    """How a short response declines, or None if it answers."""
    found = _REFUSAL.match(response.replace("\u2019", "'"))
    return repr(found.group().strip()) if found and len(response.split()) < REFUSAL_WORDS else None


def asks_nothing(instruction: str, parent: str, action: str) -> str | None:
    """An English text that reads like a statement or an answer, not like a request."""
    english = _ENGLISH & set(evolution.words_of(instruction))
    return f"{instruction[:60]!r}" if english and not evolution.asks(instruction) else None


def holds_answer(instruction: str, parent: str, action: str) -> str | None:
    """It opens like an answer, has one in it, or is its parent with statements after it that demand nothing."""
    if (found := evolution.answered("", instruction.strip())) and not evolution.answered("", parent.strip()):
        return found
    return evolution.answered(parent, instruction) if parent and instruction.startswith(parent) else None


def several_instructions(instruction: str, parent: str, action: str) -> str | None:
    """A numbered list of instructions, or of alternatives, where one was asked for."""
    return evolution.alternatives(parent, instruction)


def material_missing(instruction: str, parent: str, action: str) -> str | None:
    """It speaks of a text, table or picture that is not there, so that any two answers are noise."""
    found = _ABSENT.search(instruction)
    if found is None or evolution.data_blocks(instruction) or _holds_text(instruction[found.end() :]):
        return None
    return repr(found.group())


def names_metadata(instruction: str, parent: str, action: str) -> str | None:
    """Labels or placeholders of the prompt stand in the text."""
    found = _LABELLED.search(instruction) or _PLACEHOLDER.search(instruction)
    return repr(found.group().strip()) if found else None


def unchanged(instruction: str, parent: str, action: str) -> str | None:
    """The improved instruction equals its parent but for case, punctuation and white space."""
    return evolution.unchanged(parent, instruction) if parent else None


def quotes_action(instruction: str, parent: str, action: str) -> str | None:
    """The order to change the instruction stands in it, where the change should."""
    shared = _runs(action) & _runs(instruction) - _runs(parent)
    return repr(" ".join(min(shared))) if shared else None


def drifted(instruction: str, parent: str, action: str) -> str | None:
    """Hardly anything of the parent is left, or its data is gone."""
    if not parent:
        return None
    return evolution.drifted(parent, instruction) or evolution.input_lost(parent, instruction)


def language_switch(instruction: str, parent: str, action: str) -> str | None:
    """The improved instruction is written in another script than its parent."""
    return evolution.language_switch(parent, instruction) if parent else None


CHECKS: Mapping[str, Callable[[str, str, str], str | None]] = {
    check.__name__: check
    for check in (
        names_metadata,
        several_instructions,
        holds_answer,
        asks_nothing,
        material_missing,
        unchanged,
        quotes_action,
        language_switch,
        drifted,
    )
}
"""Our checks of an instruction by name, in the order in which they are made."""


def _runs(text: str) -> set[tuple[str, ...]]:
    return set(ngrams(evolution.words_of(text), ECHOED))


def _holds_text(rest: str) -> bool:
    """Whether a quotation, or a text after a colon or line break, follows."""
    after = re.split(r"[:\n]", rest, maxsplit=1)
    return bool(re.search(r"[\"“'«].{12,}[\"”'»]", rest, re.S)) or (len(after) > 1 and len(after[1].split()) > 4)
