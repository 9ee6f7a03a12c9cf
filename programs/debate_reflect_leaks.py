"""Known answers in reflections, found and taken out; and other agents' text without marks of roles."""

import re
from fractions import Fraction

from synthwright.signatures.debate_reflect import WITHHELD, Feedback
from synthwright.verify import Number, options_of
from synthwright.verify.number import quantities

__all__ = ["gold_mentions", "redacted", "tame"]

_ROLE = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<(?:start|end)_of_turn>|</?s>|\[/?INST\]|<</?SYS>>|\[\[ ## \w+ ## \]\]"
    r"|^[ \t]*(?:#+[ \t]*)?(?:system|user|assistant|human)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER = re.compile(r"^([ \t]*)\[(Answer[ \t]+\d+)\]", re.IGNORECASE | re.MULTILINE)


def gold_mentions(text: str, gold: str, question: str = "", kind: str = "") -> list[tuple[int, int]]:
    """Where a text states the known answer, as (start, end) without overlap, in order.

    A number is found in any form of equal value (`0.5` for `1/2`), an option by its letter or its text, anything else
    as it is written, whatever its case and spacing. It may well stand in the question too: a reflection that repeats
    it is told what the answer is all the same.

    Args:
        text: A reflection.
        gold: The known answer.
        question: The question, whose options are read.
        kind: How the answer is compared; `choice` looks for its letter.
    """
    spans: list[tuple[int, int]] = []
    if kind == "choice":
        options = options_of(question)
        letter = gold.strip(" ().").upper()[:1]
        spans += _letters(text, letter)
        if len(options.get(letter, "")) > 1 or options.get(letter, "").isdigit():
            spans += _phrase(text, options[letter])
    else:
        spans += _phrase(text, gold)
        value = Number().read_answer(gold)
        wanted: Fraction | None = getattr(value, "value", None)
        if wanted is not None:
            spans += [(start, end) for start, end, found in quantities(text) if found == wanted]
    return _merged(spans)


def redacted(feedback: Feedback, gold: str, question: str, kind: str) -> tuple[Feedback, bool]:
    """The feedback with the known answer withheld, and whether it was there.

    The quoted wrong part is left as it is: it is what the agent itself wrote.
    """
    found, changed = False, {}
    for name in ("explanation", "advice"):
        text = getattr(feedback, name)
        spans = gold_mentions(text, gold, question, kind)
        found = found or bool(spans)
        for start, end in reversed(spans):
            text = text[:start] + WITHHELD + text[end:]
        changed[name] = text
    return feedback.model_copy(update=changed), found


def tame(text: str) -> str:
    """Another agent's text without marks of chat templates and roles, and without headers of the discussion."""
    return _HEADER.sub(r"\1(\2)", _ROLE.sub("", text)).strip()


def _letters(text: str, letter: str) -> list[tuple[int, int]]:
    """An option letter that is named as one: `(C)`, `option C`, `answer is C`, `C)`, or C alone but for the article."""
    if not letter.isalpha():
        return []
    article = r"(?!\s+[a-z])" if letter in "AI" else ""
    named = rf"\b(?i:option|choice|answer|letter)(?:\s+\w+){{0,2}}?\s+[(\[]?{letter}\b[)\]]?"
    return [
        match.span()
        for match in re.finditer(rf"{named}|[(\[]{letter}[)\]]|(?<![\w'.-]){letter}(?![\w'-]){article}", text)
    ]


def _phrase(text: str, phrase: str) -> list[tuple[int, int]]:
    tokens = re.findall(r"\w+|[^\w\s]", phrase.strip().strip("."))
    if not tokens:
        return []
    pattern = r"\s*".join(map(re.escape, tokens))
    left = r"(?<![\w.])" if tokens[0][0].isalnum() else ""
    right = r"(?![\w]|\.\d)" if tokens[-1][-1].isalnum() else ""
    return [match.span() for match in re.finditer(left + pattern + right, text, re.IGNORECASE)]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
