"""Objective checks that a task file can name: small functions over the texts of an instance. All of them are ours."""

import re
from collections.abc import Callable, Mapping, Sequence

from synthwright.programs.blocks.texts import occurrences, restates, words

__all__ = ["CHECKS", "problem"]

_PRONOUNS = {"he": "m", "him": "m", "his": "m", "himself": "m", "she": "f", "her": "f", "hers": "f", "herself": "f"}
_OTHER_PRONOUNS = {"they", "them", "their", "theirs", "themselves", "it", "its", "itself", "i", "me", "we", "us", "you"}

_JARGON = {"premise", "premises", "hypothesis", "hypotheses", "entailment", "entail", "entails", "entailed"}
_FUNCTION_WORDS = frozenset(
    "a about after all also an and any are as at be been before but by can did do does for from had has have he her "
    "him his how i if in into is it its more most no not of on one only or other our she so some such than that the "
    "their them then there these they this those to too was we were what when where which who will with would you "
    "your".split()
)


def not_a_copy(texts: Sequence[str], label: str) -> str | None:
    """The first text does not restate any of the others."""
    return f"restates: {texts[0][:80]!r}" if any(restates(texts[0], other) for other in texts[1:]) else None


def occurs(texts: Sequence[str], label: str) -> str | None:
    """Each text but the last stands in the last, word for word."""
    missing = next((part for part in texts[:-1] if not occurrences(part, texts[-1])), None)
    return None if missing is None else f"absent: {missing[:60]!r}"


def occurs_once(texts: Sequence[str], label: str) -> str | None:
    """Each text but the last stands in the last exactly once."""
    for part in texts[:-1]:
        if (count := occurrences(part, texts[-1])) != 1:
            return f"occurs_{count}_times: {part[:60]!r}" if count else f"absent: {part[:60]!r}"
    return None


def absent(texts: Sequence[str], label: str) -> str | None:
    """The first text does not stand in any of the others."""
    given_away = any(occurrences(texts[0], other) for other in texts[1:])
    return f"given_away: {texts[0][:60]!r}" if given_away else None


def differ(texts: Sequence[str], label: str) -> str | None:
    """No two of the texts have the same words."""
    distinct = {" ".join(words(text)) for text in texts}
    return None if len(distinct) == len(texts) else f"equal: {texts[0][:60]!r}"


def all_contain(texts: Sequence[str], label: str) -> str | None:
    """Each text after the first uses the word in the first, or an inflection of it."""
    stem = re.sub(r"(?<=..)(e|y)$", "", texts[0].strip().lower())
    for other in texts[1:]:
        if not any(word.startswith(stem) and len(word) <= len(stem) + 5 for word in words(other)):
            return f"word_missing: {texts[0][:40]!r} in {other[:60]!r}"
    return None


def question(texts: Sequence[str], label: str) -> str | None:
    """The text is one question."""
    return None if texts[0].strip().endswith("?") and texts[0].count("?") == 1 else f"no_question: {texts[0][:60]!r}"


def placeholder(texts: Sequence[str], label: str) -> str | None:
    """The text holds `@placeholder` exactly once."""
    count = texts[0].count("@placeholder")
    return None if count == 1 else f"gaps_{count}: {texts[0][:60]!r}"


def hides_label(texts: Sequence[str], label: str) -> str | None:
    """No text names the label, also not with spaces for underscores."""
    names = {label, label.replace("_", " ").replace("-", " ")}
    leaks = any(occurrences(name, text) for name in names for text in texts)
    return f"label_leaks: {label!r}" if leaks else None


def no_jargon(texts: Sequence[str], label: str) -> str | None:
    """No text speaks of the example as an example, as in "the premise says"."""
    found = next((word for text in texts for word in words(text) if word in _JARGON), None)
    return None if found is None else f"jargon: {found!r}"


def has_pronoun(texts: Sequence[str], label: str) -> str | None:
    """Each text has a pronoun of the third person."""
    third = _PRONOUNS.keys() | _OTHER_PRONOUNS - {"i", "me", "we", "us", "you"}
    lacking = next((text for text in texts if third.isdisjoint(words(text))), None)
    return f"no_pronoun: {lacking[:60]!r}" if lacking is not None else None


def is_pronoun(texts: Sequence[str], label: str) -> str | None:
    """Each text is a single pronoun."""
    known = _PRONOUNS.keys() | _OTHER_PRONOUNS
    other = next((text for text in texts if " ".join(words(text)) not in known), None)
    return f"not_a_pronoun: {other[:40]!r}" if other is not None else None


def has_gendered_pronoun(texts: Sequence[str], label: str) -> str | None:
    """Each text has a pronoun of one gender, and none of the other."""
    for text in texts:
        genders = {_PRONOUNS[word] for word in words(text) if word in _PRONOUNS}
        if len(genders) != 1:
            return f"no_gender: {text[:60]!r}" if not genders else f"both_genders: {text[:60]!r}"
    return None


def shares_words(texts: Sequence[str], label: str) -> str | None:
    """The first text has a content word in common with each of the others."""
    for other in texts[1:]:
        if (set(words(texts[0])) & set(words(other))) <= _FUNCTION_WORDS:
            return f"off_topic: {texts[0][:80]!r}"
    return None


def swaps_pronouns(texts: Sequence[str], label: str) -> str | None:
    """The two texts differ only in pronouns, each of the other gender."""
    first, second = words(texts[0]), words(texts[1])
    changes = [(a, b) for a, b in zip(first, second, strict=False) if a != b]
    swapped = all(a in _PRONOUNS and b in _PRONOUNS and _PRONOUNS[a] != _PRONOUNS[b] for a, b in changes)
    return None if changes and swapped and len(first) == len(second) else f"no_minimal_pair: {texts[0][:80]!r}"


def has_names(texts: Sequence[str], label: str) -> str | None:
    """Each text names two or more different entities, told by capitals inside a sentence."""
    for text in texts:
        names = set(re.findall(r"(?<=[\w,;:] )[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)*", text))
        if len(names) < 2:
            return f"too_few_names: {text[:60]!r}"
    return None


Check = Callable[[Sequence[str], str], str | None]
CHECKS: dict[str, tuple[Check, int, int | None]] = {
    "absent": (absent, 2, None),
    "all_contain": (all_contain, 2, None),
    "differ": (differ, 2, None),
    "has_gendered_pronoun": (has_gendered_pronoun, 1, None),
    "has_names": (has_names, 1, None),
    "has_pronoun": (has_pronoun, 1, None),
    "hides_label": (hides_label, 1, None),
    "is_pronoun": (is_pronoun, 1, None),
    "no_jargon": (no_jargon, 1, None),
    "not_a_copy": (not_a_copy, 2, None),
    "occurs": (occurs, 2, None),
    "occurs_once": (occurs_once, 2, None),
    "placeholder": (placeholder, 1, 1),
    "question": (question, 1, 1),
    "shares_words": (shares_words, 2, None),
    "swaps_pronouns": (swaps_pronouns, 2, 2),
}
"""Checks by name, each with the fewest and the most fields that it takes (None for any number)."""


def problem(checks: Mapping[str, Sequence[str]], fields: Mapping[str, str], label: str = "") -> str | None:
    """What is wrong with the texts of an instance by some checks, or None; checks on fields not given are passed over.

    Args:
        checks: Names of fields by name of check, as in a task file.
        fields: The texts by field.
        label: The label that the texts are meant for.
    """
    for name, text in fields.items():
        if not words(text):
            return f"empty: {name}"
    for check, names in checks.items():
        if all(name in fields for name in names) and (found := CHECKS[check][0]([fields[n] for n in names], label)):
            return found
    return None
