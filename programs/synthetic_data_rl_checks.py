"""Objective checks of Synthetic Data RL: verifiers by their settings, and what disqualifies a question."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synthwright.errors import ConfigError
from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.signatures.synthetic_data_rl import AnswerKind
from synthwright.verify import Choice, Label, Math, Number, Verifier

__all__ = ["STRUCTURAL", "bare_options", "flaw", "letters_of", "likeness", "verifier_from"]

STRUCTURAL = ("empty", "wrong_options")
"""Flaws without which nothing can be voted on: they count also where checks are off."""

COPY = 0.7
"""ROUGE-L from which a question is a copy of one in its prompt: the threshold of Self-Instruct (2023, section 2.2)."""

SAME = 0.9
"""ROUGE-L from which a rewritten question is the one it was made from. It shares most words by its nature."""

_GIVEN_AWAY = re.compile(
    r"<answer>|</answer>|\\boxed|####|\bthe (?:right |correct )?(?:answer|option) (?:is|:)|\banswer\s*[:=]",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"\b(?:the|this|that) (?:passage|excerpt|paragraph)\b|\baccording to (?:the|this) (?:text|article)\b|\bthe above\b",
    re.IGNORECASE,
)
_LETTER = re.compile(r"^\s*[(\[]?[A-J][)\].:]\s+")


def letters_of(count: int) -> str:
    """The first letters: `ABCD` for 4."""
    return "".join(chr(ord("A") + index) for index in range(count))


def verifier_from(settings: str | Mapping[str, Any]) -> Verifier[Any] | None:
    """The verifier of a row or task; None for free text, which has none.

    Args:
        settings: What `SyntheticRow.verifier` holds, as JSON or read.

    Raises:
        ConfigError: They are not settings of a verifier.
    """
    try:
        made = json.loads(settings) if isinstance(settings, str) else settings
        kind: AnswerKind = made["kind"]
        tolerance = {"tolerance": made["tolerance"]} if "tolerance" in made else {}
        match kind:
            case "number":
                return Number(**tolerance)
            case "math":
                return Math(number=Number(units=False, **tolerance))
            case "choice":
                options = tuple(made.get("options", ()))
                return Choice(letters_of(len(options) or made["letters"]), options)
            case "label":
                return Label(tuple(made["labels"]), tuple(made.get("aliases", {}).items()))
            case "text":
                return None
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{settings!r} are no settings of a verifier: {error}") from error
    raise ConfigError(f"{settings!r} are no settings of a verifier: there is no kind {kind!r}.")


def likeness(first: str, second: str) -> float:
    """ROUGE-L of two texts, in [0, 1]; texts without a letter a-z or a digit are alike if they are equal."""
    tokens = rouge_tokens(first), rouge_tokens(second)
    return rouge_l(*tokens) if all(tokens) else float(first.split() == second.split())


def flaw(
    question: str,
    options: Sequence[str],
    *,
    choices: int = 0,
    passage: str = "",
    shown: Iterable[str] = (),
    parent: str = "",
    max_words: int = 200,
) -> str | None:
    """What disqualifies a question before any vote, as `reason: detail`; None if nothing does.

    Args:
        question: The question without its options.
        options: Its options.
        choices: Options that it must have; 0 for none.
        passage: The passage that it was made from, or empty.
        shown: Questions of the prompt, of which it must not be a copy.
        parent: The question that it was rewritten from, or empty.
        max_words: Most words of question and options together.
    """
    if not question.strip():
        return "empty: no question"
    count = len(question.split()) + sum(len(option.split()) for option in options)
    if count > max_words:
        return f"too_long: {count} words"
    if len(question.split()) < 3:
        return f"too_short: {question!r}"
    if choices:
        folded = [" ".join(re.findall(r"\w+|[^\w\s]", option.casefold())) for option in options]
        if len(options) != choices:
            return f"wrong_options: {len(options)} options, not {choices}"
        if not all(folded):
            return "wrong_options: an option is empty"
        if len(set(folded)) < len(folded):
            return f"wrong_options: two are equal: {list(options)!r}"
    if found := _GIVEN_AWAY.search(question):
        return f"gives_answer: {found.group()!r}"
    if found := _LEANS.search(question):
        return f"needs_passage: {found.group()!r}"
    flat = " ".join(question.split()).casefold()
    if passage and flat.rstrip("?.! ") in " ".join(passage.split()).casefold():
        return f"copies_passage: {question[:80]!r}"
    for other in shown:
        if likeness(question, other) >= COPY:
            return f"copies_example: {other[:80]!r}"
    if parent and likeness(question, parent) >= SAME:
        return f"not_rewritten: {question[:80]!r}"
    return None


def bare_options(options: Sequence[str]) -> tuple[str, ...]:
    """Options without the letters that an LM may have put in front, and on one line each."""
    lettered = len(options) > 1 and all(_LETTER.match(option) for option in options)
    return tuple(" ".join((_LETTER.sub("", option) if lettered else option).split()) for option in options)
