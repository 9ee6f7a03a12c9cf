"""When a tag, a question, a point of a critique or a refined answer of Condor counts as failed.

The paper reports no filter. What stands here is ours, against the edge cases of three-in-one replies and of rewriting
LMs. Each check returns None, or what it found as words for a person.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace

from dspy.utils.exceptions import AdapterParseError

from synthwright.errors import TruncatedResponseError
from synthwright.filters import Refusal, SelfContainment
from synthwright.filters.words import ngrams
from synthwright.programs import evol_instruct_checks as evolution
from synthwright.programs.condor_tree import folded
from synthwright.signatures.condor import LEVELS

__all__ = [
    "CHECKS",
    "REFINED_CHECKS",
    "foreign",
    "founded",
    "refuses",
    "tag_fault",
    "tidy_question",
    "tidy_tag",
    "whole_questions",
]

TAG = (6, 60)
"""Most words and characters of a tag; a longer text is prose."""

SHORTEST = 5
"""Words from which a question can tell its situation."""

MATERIAL = 6
"""Words that the material of a given-material question has at least."""

COPIED = 6
"""Words in a row that a question shares with an example of its prompt: it copies."""

RELATED = 4
"""Content words of question and draft from which a refined answer should share one; texts without spaces have few."""

_NUMBER = re.compile(r"^\s*(?:[-*•#]+|\(?\d{1,3}[.):])\s*")
_GENERIC = re.compile(
    r"(?:others?|misc(?:ellaneous)?|general|generally|etc|more|various|everything(?: else)?|topics?|sub-?topics?|"
    r"n/?a|none|unknown|and so on)(?: (?:topics?|things?|tags?|areas?|issues?|subjects?))?",
    re.I,
)
_MARKER = re.compile(
    r"^\s*(?:[\[<({#*]+\s*)?(?:the\s+)?(?:easy|medium|hard)(?:[ _-]?(?:level|question|one))?(?:\s+(?:start|begin))?"
    r"(?:\s*[\])>}*]+\s*:?|\s*:)\s*(?:\*+\s*)?",
    re.I,
)
_MARKED = re.compile(
    r"[\[<({]\s*/?\s*(?:(?:the\s+)?(?:easy|medium|hard)[ _-]?(?:level|question)?|(?:question|answer)s?)"
    r"\s*(?:start|begin|end)?\s*[\])>}]|\[\[ ## |\b(?:easy|medium|hard) question\s*:",
    re.I,
)
_LEVEL = re.compile(
    r'"(easy|medium|hard)_question"\s*:\s*("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?!d[89a-f])[0-9a-f]{4}))*")', re.I
)
_MATERIAL_WORD = re.compile(r"[\"“«„‘`]\s*([^\"”»“`]{8,})[\"”»“’`]|:\s+(\S.*)|\n\s*(\S.*)", re.S)
_ROLE = re.compile(
    r"\b(?:you(?: are|'re| were) (?:a|an|the|my|our|in|on|one)\b|act as|play(?:ing)? (?:a|an|the|my)|"
    r"be (?:a|an|the|my)\b|pretend|imagine|role|in the (?:voice|person) of|as if you were|speak as|answer as|"
    r"as (?:a|an|the|my) )",
    re.I,
)
_WANTS = re.compile(r"\bI(?:'d| would)? (?:need|want|like|am looking for|wish for)\b", re.I)
_LIVED = re.compile(
    r"\b(?:have you (?:ever|personally)|did you (?:ever|enjoy|like|feel|see|go|grow|learn|eat|meet)|"
    r"your (?:own |personal |favou?rite )?(?:experiences?|childhood|memor(?:y|ies)|parents|body|"
    r"holidays?|marriage|children)|when you were (?:a child|young|little))\b",
    re.I,
)
_POLITICS = re.compile(
    r"\b(?:elections?|referendums?|candidates? for|president|prime minister|chancellor|republicans?|democrats?|tories|"
    r"communis[tm]|fascis[tm]|left[- ]wing|right[- ]wing|political part(?:y|ies)|vote for|abortion|death penalty|"
    r"gun (?:control|laws?)|immigra(?:tion|nts?)|refugees?|deport|annex|invasion|occup(?:ied|ation) territor|"
    r"gaza|israel|palestin|taiwan|tibet|ukrain|crimea|kashmir|separatis[tm]|genocide|dictator)\w*",
    re.I,
)
_PREAMBLE = re.compile(
    r"\W*(?:(?:sure|certainly|of course|absolutely)\b[,!.]?|(?:here(?: is|'s| are)|this is|below is)"
    r"\s+(?:a|an|the|my|your)\s+(?:\w+\s+){0,3}?(?:answer|response|version|draft|reply|rewrite)\b|(?:the\s+)?(?:improved|revised|refined|better|"
    r"new|rewritten|final|updated)[ _](?:answer|response|version)\b)",
    re.I,
)
_META = re.compile(
    r"\b(?:the|this|your|above) (?:critique|criticisms?|feedback|weakness(?:es)?|suggestions?)\b"
    r"|\bthe (?:previous|original|earlier|first|initial|old) (?:answer|response|draft|version)\b"
    r"|\bas (?:suggested|criticis|criticiz)|\b(?:i|we) (?:have )?(?:revised|improved|refined|rewritten|added|removed|"
    r"addressed|incorporated)\b|\b(?:improved|revised|refined) (?:answer|version|response)\b",
    re.I,
)
_QUOTED = re.compile(r"[\"“«]([^\"”»]{4,})[\"”»]")
_END = re.compile(r"[.!?…。！？)\]}\"'”’»`|:;*\d%]\s*$")

_REFUSAL = Refusal("text")
_CONTAINED = SelfContainment("text")


def tidy_tag(text: str) -> str:
    """A tag without list number, quotes and end punctuation."""
    return " ".join(_NUMBER.sub("", text).split()).strip(" \"'`*“”.:;,")


def tag_fault(tag: str, path: Sequence[str], *, strict: bool) -> str | None:
    """Why a tag cannot stand below a path, as `reason: detail`, or None.

    Args:
        tag: The new tag.
        path: Path of the tag that it is to stand below.
        strict: Whether prose and catch-alls are faults too. Empty tags and those of the path always are.
    """
    if not folded(tag):
        return "empty_tag"
    if folded(tag) in {folded(name) for name in path}:
        return f"names_path: {tag[:60]!r} stands in the path itself"
    if strict and (len(tag.split()) > TAG[0] or len(tag) > TAG[1]):
        return f"prose: {tag[:60]!r}"
    return f"over_generic: {tag!r}" if strict and _GENERIC.fullmatch(tag) else None


def tidy_question(text: str) -> str:
    """A question without a marker of its difficulty before it."""
    return _MARKER.sub("", text.strip()).strip()


def whole_questions(error: Exception) -> dict[str, str]:
    """The questions that can be read in a reply that was cut, or lacks a level; by difficulty.

    Args:
        error: One of `synthwright.errors.ParseError`.
    """
    if isinstance(error, TruncatedResponseError):
        return {level: json.loads(text) for level, text in _LEVEL.findall(error.text)}
    read = error.parsed_result if isinstance(error, AdapterParseError) else None
    found = read if isinstance(read, dict) else {}
    texts = {level: found.get(f"{level}_question") for level in LEVELS}
    return {level: text for level, text in texts.items() if isinstance(text, str) and text.strip()}


def refuses(text: str) -> str | None:
    """How an answer declines, or None."""
    return _REFUSAL.check(SimpleNamespace(text=text))


def foreign(question: str, answer: str) -> str | None:
    """The answer is in another language than the question, where both are long enough to tell."""
    return evolution.language_switch(question, answer)


def founded(points: Sequence[str], question: str, answer: str) -> tuple[list[str], list[str]]:
    """Points of a critique that can be true of an answer, and the others.

    The others quote what stands neither in the question nor in the answer, or are the answer over again.
    """
    there = _plain(f"{question} {answer}")
    good: list[str] = []
    bad: list[str] = []
    for point in points:
        quotations = [_plain(quotation) for quotation in _QUOTED.findall(point)]
        sound = all(quotation in there for quotation in quotations) and _plain(point) != _plain(answer)
        (good if sound else bad).append(point)
    return good, bad


# Questions: (question, task, examples) -> what is wrong, or None


def marker_inside(question: str, task: str, examples: Sequence[str]) -> str | None:
    """A marker of a difficulty stands in the text: two questions in one, or an echo of the prompt."""
    found = _MARKED.search(question)
    return repr(found.group()) if found else None


def too_short(question: str, task: str, examples: Sequence[str]) -> str | None:
    """Too few words to tell a situation. Languages without spaces are measured in characters."""
    if question.isascii() or " " in question.strip():
        count = len(question.split())
        return f"{count} words" if count < SHORTEST else None
    return f"{len(question)} characters" if len(question) < SHORTEST else None


def holds_answer(question: str, task: str, examples: Sequence[str]) -> str | None:
    """It opens like an answer, or has one after it."""
    return evolution.answered("", question)


def asks_nothing(question: str, task: str, examples: Sequence[str]) -> str | None:
    """An English text in which nothing is asked. In a chat a remark may do, and a role may be set by a statement."""
    if task in ("daily_chat", "role_play") or not evolution.STOP_WORDS & set(evolution.words_of(question)):
        return None
    asked = evolution.asks(question) or _ROLE.search(question) or _WANTS.search(question)
    return None if asked else repr(question[:60])


def material_missing(question: str, task: str, examples: Sequence[str]) -> str | None:
    """It speaks of a text, table or picture that is not there; a given-material question has to bring some."""
    if found := _CONTAINED.check(SimpleNamespace(text=question)):
        return found.partition(": ")[2]
    if task != "given_material" or evolution.data_blocks(question):
        return None
    parts = [next(filter(None, groups)) for groups in _MATERIAL_WORD.findall(question)]
    longest = max((len(part.split()) if " " in part else len(part) // 3 for part in parts), default=0)
    return None if longest >= MATERIAL else f"no text, list, table or code of {MATERIAL} words"


def lived_experience(question: str, task: str, examples: Sequence[str]) -> str | None:
    """It asks the assistant for a life of its own, without giving it a role."""
    found = _LIVED.search(question)
    return repr(found.group()) if found and not _ROLE.search(question) else None


def sensitive_politics(question: str, task: str, examples: Sequence[str]) -> str | None:
    """It asks for a view on a matter of party politics or of war, in English."""
    found = _POLITICS.search(question) if task == "view" else None
    return repr(found.group()) if found else None


def copies_example(question: str, task: str, examples: Sequence[str]) -> str | None:
    """Six words in a row stand in an example that was to show the manner alone."""
    shared = {run for example in examples for run in _runs_of_example(example)}.intersection(_runs(question))
    return repr(" ".join(min(shared))) if shared else None


CHECKS: Mapping[str, Callable[[str, str, Sequence[str]], str | None]] = {
    check.__name__: check
    for check in (
        marker_inside,
        too_short,
        holds_answer,
        asks_nothing,
        material_missing,
        lived_experience,
        sensitive_politics,
        copies_example,
    )
}
"""Our checks of a question by name, in the order in which they are made."""


# Refined answers: (question, draft, refined) -> what is wrong, or None


def preamble(question: str, draft: str, refined: str) -> str | None:
    """It opens with words about itself, which the draft does not."""
    found = _PREAMBLE.match(refined)
    return repr(found.group().strip()) if found and not _PREAMBLE.match(draft) else None


def mentions_critique(question: str, draft: str, refined: str) -> str | None:
    """It speaks of the critique or of an earlier answer; what question or draft speak of is spared."""
    known = {found.casefold() for found in _META.findall(f"{question} {draft}")}
    found = [match for match in _META.findall(refined) if match.casefold() not in known]
    return repr(found[0]) if found else None


def declines(question: str, draft: str, refined: str) -> str | None:
    """It refuses, where the draft does not."""
    found = refuses(refined)
    return found.partition(": ")[2] if found and not refuses(draft) else None


def cut_off(question: str, draft: str, refined: str) -> str | None:
    """It ends in the middle of a sentence, where the draft does not."""
    ended = _END.search(refined) or not _END.search(draft)
    return None if ended else repr(refined[-40:])


def too_brief(question: str, draft: str, refined: str) -> str | None:
    """It has less than half the words of the draft."""
    before, after = len(draft.split()), len(refined.split())
    return f"{after} of {before} words" if 2 * after < before else None


def identical(question: str, draft: str, refined: str) -> str | None:
    """Nothing but case, punctuation and white space was changed."""
    return "equals the draft" if _plain(draft) == _plain(refined) else None


def unrelated(question: str, draft: str, refined: str) -> str | None:
    """No content word of the question or the draft is left: it answers something else, such as an example."""
    known = evolution.content_words(f"{question} {draft}")
    left = known & evolution.content_words(refined)
    return f"{refined[:60]!r}" if len(known) >= RELATED and not left else None


def other_language(question: str, draft: str, refined: str) -> str | None:
    """It is in another language than the draft."""
    return foreign(draft, refined)


REFINED_CHECKS: Mapping[str, Callable[[str, str, str], str | None]] = {
    check.__name__: check
    for check in (preamble, mentions_critique, declines, identical, other_language, unrelated, too_brief, cut_off)
}
"""Our checks of a refined answer by name, in the order in which they are made."""


def _plain(text: str) -> str:
    return " ".join(evolution.words_of(text))


def _runs(text: str) -> list[tuple[str, ...]]:
    return ngrams(evolution.words_of(text), COPIED)


@lru_cache(maxsize=1024)  # examples come again and again; questions do not, and are not held
def _runs_of_example(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs(text))
