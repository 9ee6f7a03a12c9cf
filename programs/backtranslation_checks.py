"""When an instruction of Instruction Backtranslation is no good, and when a rewritten response is not. All ours.

The paper leaves bad instructions to its judge. These rules cost no call and catch what a judge that sees only the pair
lets pass. Each check of `CHECKS` takes the instruction and the text, and returns None or what it found.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace

from synthwright.filters.content import SelfContainment
from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.filters.words import ngrams, words
from synthwright.programs.evol_instruct_checks import asks, content_words

__all__ = ["CHECKS", "copied_share", "instruction_problem", "new_numbers", "points_at_text"]

MOST_COPIED = 0.8
"""Share of the instruction's words that stand in the text in the same runs of three, from which it is a copy."""

LIKE_AN_EXAMPLE = 0.7
"""ROUGE-L with a worked example from which an instruction is a copy of it, as in Self-Instruct's novelty."""

_THIS_TEXT = re.compile(
    r"\b(?:the|this|that|my|your) (?:given |provided |following |above |entire |whole )?"
    r"(?:text|passage|paragraph|article|excerpt|segment|document)\b"
    r"(?! (?:box|editor|encoding|field|file|format|message|mode|node|object|processing|processor|string|widget)s?\b)",
    re.I,
)
_LISTED = re.compile(r"^[^\S\n]*(?:\d{1,2}[.)]|[-*•]|(?:instruction|question|request)\s*\d)\s*\S", re.I | re.M)
_SCAFFOLD = re.compile(
    r"^\W*(?:(?:the|an?|your|best) )*(?:instruction|request|prompt|question)\W*(?::|is\b)"
    r"|\[\[ ##|^\W*here (?:is|are)\b|\bpredict the instruction\b"
    r"|\{(?:instruction|text)\}|<(?:instruction|text)>",
    re.I,
)
_NEVER_LAST = frozenset("a an and are as at but by for from is my of or that the their this to which with your".split())
_DENSE = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")  # scripts without spaces
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MARKER = re.compile(r"^[^\S\n]*\(?\d{1,2}[.)]\s", re.M)
_CONTAINED = SelfContainment("instruction")


def instruction_problem(
    instruction: str, text: str, checks: Iterable[str], max_chars: int | None, shown: Iterable[str] = ()
) -> str | None:
    """Why an instruction is dropped, as `reason` or `reason: detail`; None if it is kept.

    Args:
        instruction: What the LM wrote.
        text: The segment that it was written for.
        checks: Names of checks, see `CHECKS`.
        max_chars: Most characters; None for no limit.
        shown: Instructions of the worked examples in the prompt, which weak LMs like to hand in as their own.
    """
    if not instruction.strip():
        return "empty_instruction"
    if max_chars is not None and len(instruction) > max_chars:
        return f"long_instruction: {len(instruction)} characters"
    checks = tuple(checks)
    if "copied_example" in checks and (found := _nearest(instruction, shown)):
        return f"copied_example: {found!r}"
    for name in checks:
        if (found := CHECKS[name](instruction, text)) is not None:
            return f"{name}: {found}" if found else name
    return None


def copied_share(instruction: str, text: str) -> float:
    """Share of the instruction's words that stand in runs of three which the text has too, in [0, 1]."""
    said, known = words(instruction), words(text)
    size = min(3, len(said))
    if not size:
        return 0.0
    runs = set(ngrams(known, size))
    covered: set[int] = set()
    for start, run in enumerate(ngrams(said, size)):
        if run in runs:
            covered.update(range(start, start + size))
    return len(covered) / len(said)


def copied_example(instruction: str, text: str) -> str | None:
    """Nearly a worked example of the prompt; `instruction_problem` looks for it, since it knows the examples."""
    return None


def copied(instruction: str, text: str) -> str | None:
    """Four fifths of the instruction, or more, are copied from the text."""
    share = copied_share(instruction, text)
    return f"{share:.0%} of its words stand in the text in the same order" if share >= MOST_COPIED else None


def points_at_text(instruction: str, text: str) -> str | None:
    """Speaks of a text that whoever answers does not have."""
    if found := _THIS_TEXT.search(instruction):
        return repr(found.group())
    verdict = _CONTAINED.check(SimpleNamespace(instruction=instruction))
    return None if verdict is None else verdict.partition(": ")[2]


def several(instruction: str, text: str) -> str | None:
    """A list of instructions instead of one."""
    found = _LISTED.findall(instruction)
    return f"{len(found)} list items" if len(found) > 1 else None


def scaffold(instruction: str, text: str) -> str | None:
    """Words of the prompt, which leak into data that is trained on."""
    found = _SCAFFOLD.search(instruction)
    return repr(found.group()) if found else None


def asks_nothing(instruction: str, text: str) -> str | None:
    """An English statement instead of a request."""
    return None if asks(instruction) else ""


def unfinished(instruction: str, text: str) -> str | None:
    """Fewer than three words, or a last word that cannot end a request."""
    said = words(instruction)
    if _DENSE.search(instruction) or (len(said) > 2 and (said[-1] not in _NEVER_LAST or instruction[-1] in ".?!`\"')")):
        return None
    return f"ends with {said[-1]!r}" if said else ""


def about_something_else(instruction: str, text: str) -> str | None:
    """No word of the instruction, but the most usual ones, begins like a word of the text."""
    named, known = content_words(instruction), {word[:4] for word in content_words(text)}
    return ", ".join(sorted(named)[:5]) if named and not any(word[:4] in known for word in named) else None


def new_numbers(rewritten: str, sources: str) -> list[str]:
    """Numbers of a rewritten text, but those of list markers, that its sources do not have: facts that were added."""
    known = set(_NUMBER.findall(sources))
    return [number for number in _NUMBER.findall(_MARKER.sub(" ", rewritten)) if number not in known]


CHECKS: Mapping[str, Callable[[str, str], str | None]] = {
    check.__name__: check
    for check in (
        unfinished,
        copied_example,
        copied,
        points_at_text,
        several,
        scaffold,
        asks_nothing,
        about_something_else,
    )
}
"""Our checks of an instruction by name; each takes the instruction and the text."""


def _nearest(instruction: str, shown: Iterable[str]) -> str | None:
    said = rouge_tokens(instruction)
    return next((each for each in shown if rouge_l(said, rouge_tokens(each)) >= LIKE_AN_EXAMPLE), None)
