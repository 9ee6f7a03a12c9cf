"""What is wrong with a problem of SAND-Math, judged by its text and its answer alone."""

import re
from collections.abc import Iterable

from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.retrieval import neutralise
from synthwright.verify import Math, Number, Unread
from synthwright.verify.math import Formula

__all__ = ["STRUCTURAL", "VERIFIER", "flaw", "no_single_number", "single_number"]

VERIFIER = Math(number=Number(units=False))
"""How answers are read and compared; units are told in the question."""

STRUCTURAL = ("empty", "no_answer")
"""Flaws without which nothing can go on; the others are checks of ours."""

SAME = 0.9
"""ROUGE-L from which a text is a copy of one that its prompt showed. Ours."""

_OPTIONS = re.compile(r"(?:^|\s)\(?A[).:]\s.+?(?:^|\s)\(?B[).:]\s", re.MULTILINE | re.DOTALL)
_PROOF = re.compile(r"\b(?:prove|show|demonstrate|verify)\s+that\b|\bgive a proof\b", re.IGNORECASE)
_FIGURE = re.compile(
    r"\b(?:in|see|from|of) the (?:figure|diagram|picture|image|graph|drawing|sketch)\b|\bas shown\b|\[asy\]"
    r"|\b(?:figure|diagram|picture) (?:below|above|shown)\b|!\[|\\includegraphics|\\begin\{tikzpicture",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?|\b(?:find|compute|calculate|determine|evaluate|solve|simplify|what|how (?:many|much))\b", re.IGNORECASE
)
_CONSTANTS = re.compile(
    r"\\(?:d|t)?frac|\\sqrt|\\pi|\\cdot|\\times|\\left|\\right|\\log|\\ln|\\sin|\\cos|\\tan|\\binom"
)


def flaw(question: str, answer: str, shown: Iterable[str] = ()) -> str | None:
    """Why a problem is unusable, as `reason: detail`, or None.

    Args:
        question: The problem.
        answer: Its answer, as it was given; empty if it had none.
        shown: Problems that the prompt showed, of which it must not be a copy.
    """
    if not question.strip():
        return "empty"
    if not answer.strip():
        return "no_answer"
    words = len(question.split())
    if words < 5:
        return f"too_short: {words} words"
    if words > 400:
        return f"too_long: {words} words"
    if _OPTIONS.search(question):
        return "multiple_choice"
    if found := _PROOF.search(question):
        return f"proof: {found[0]!r}"
    if found := _FIGURE.search(question):
        return f"needs_figure: {found[0]!r}"
    if not _ASKS.search(question):
        return "asks_nothing"
    if reason := no_single_number(answer):
        return f"{reason}: {answer[:80]!r}"
    tokens = rouge_tokens(question)
    for other in shown:
        if rouge_l(tokens, rouge_tokens(other)) >= SAME:
            return f"copies_example: {other[:80]!r}"
    return None


def single_number(answer: str) -> bool:
    """Whether an answer is one number: with digits, or a formula of numbers, roots and constants such as pi."""
    return no_single_number(answer) is None


def no_single_number(answer: str) -> str | None:
    r"""Why an answer is not one number, or None.

    `several_answers` for lists, sets, intervals and points; `not_a_number` for words, names and formulas with unknowns.
    A unit after the number is ignored; so is a name in front, as in `x = 3`.
    """
    value = VERIFIER.read_answer(neutralise(answer))
    if isinstance(value, Unread):
        return "not_a_number"
    if value.number is not None:
        return None
    return _formula_fault(value)


def _formula_fault(value: Formula) -> str | None:
    latex = re.sub(r"^[a-zA-Z]\s*=\s*", "", value.latex)
    if re.search(r",|\\pm|\\cup|\\in\b|[<>]|\\le|\\ge|\\infty|^\[.*\]$", latex):
        return "several_answers"
    letters = re.sub(r"[^a-zA-Z\\]", "", _CONSTANTS.sub("", latex).replace("\\circ", ""))
    return (
        "not_a_number"
        if letters.strip("\\").replace("pi", "").replace("e", "") or not re.search(r"\d|\\pi|\be\b", latex)
        else None
    )
