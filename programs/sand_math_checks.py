"""What is wrong with a problem of SAND-Math, judged by its text and its answer alone."""

import re
from collections.abc import Iterable
from fractions import Fraction

from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.retrieval import neutralise
from synthwright.verify import Math, Number, Unread
from synthwright.verify.math import Formula

__all__ = ["STRUCTURAL", "VERIFIER", "false_sums", "flaw", "no_single_number", "single_number"]

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
_NUMBER = r"-?\d+(?:\.\d+)?"
_TERM = rf"{_NUMBER}(?:/\d+)?"
_SUM = re.compile(  # of numbers, not of terms: there would be two ways to read each `/`, and 2^n of a chain
    rf"(?<![-+*/×·÷^(]\s)(?<![\w.,^(+*/×·÷-])({_NUMBER}(?:\s*[-+*/×·÷]\s*{_NUMBER})+)\s*=\s*({_TERM})"
    r"(?![\d.,]*\d|[a-zA-Z^(%]|\s*[-+*/×·÷^]\s*[\w(])"
)
_STEP = re.compile(rf"\s*([-+*/×·÷])\s*({_TERM})")


def flaw(question: str, answer: str, solution: str = "", shown: Iterable[str] = ()) -> str | None:
    """Why a problem is unusable, as `reason: detail`, or None.

    Args:
        question: The problem.
        answer: Its answer, as it was given; empty if it had none.
        solution: The solution that the answer is from.
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
    if wrong := false_sums(solution):
        return f"false_sum: {wrong[0]}"
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


def false_sums(text: str) -> list[str]:
    """The equations between plain numbers in a text that do not hold, such as `2 + 3 * 4 = 20`.

    Products go before sums. Equations with letters, powers or brackets are not read; a decimal on the right may be
    rounded to the digits that it has.
    """
    return [found[0].strip() for found in _SUM.finditer(text) if not _holds(found[1], found[2])]


def _holds(left: str, right: str) -> bool:
    first = re.match(_TERM, left)
    assert first is not None  # the pattern begins with one
    try:
        total, product = Fraction(0), Fraction(first[0])
        for sign, term in _STEP.findall(left[first.end() :]):
            value = Fraction(term)
            if sign in "*×·":
                product *= value
            elif sign in "/÷":
                product /= value
            else:
                total, product = total + product, value if sign == "+" else -value
        known = Fraction(right)
    except (ZeroDivisionError, ValueError):
        return False
    digits = len(right.partition(".")[2])
    return abs(total + product - known) <= (Fraction(1, 2 * 10**digits) if digits else 0)
