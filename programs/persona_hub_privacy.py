"""Taking names and private data out of a persona, by rules: `without_private_data` says what they do not see."""

import re
from functools import cache

from synthwright.programs.base import data_path

__all__ = ["private_data", "without_private_data"]

_REACHED = (
    r"(?:\s*[(\[]?\s*\b(?:(?:reach\w*|contact\w*|call\w*|e-?mail\w*|phone\w*|tel|found)\s*)?"
    r"(?:at|on|via|under|by)?\s*:?\s*)?"
)
_PRIVATE = {
    "an e-mail address": r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b",
    "a web address": r"\b(?:https?://|www\.)\S+",
    "a card number": r"(?<![\w.])(?:\d{4}[ -]?){3}\d{4}(?![\w.])",
    "a telephone number": r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)|\d{2,4})[ .-]\d{3}[ .-]?\d{3,4}(?![\w.])",
    "a social security number": r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])",
    "a handle": r"(?<!\w)@[A-Za-z]\w{2,}",
    "a street address": r"\b\d{1,5}[a-z]?\s+(?:[A-Z][\w'-]+\s+){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive"
    r"|Boulevard|Blvd|Square|Court|Way|Place)\b\.?",
}
_CAP = r"[A-Z\u00c0-\u00de][\w'\u2019-]*[\w]"
_MORE = rf"(?:\s+(?:(?:de|del|da|di|van|von|der|la|le|bin|al)\s+)*(?:[A-Z]\.|{_CAP}))"
_NAMED = re.compile(rf"\s*,?\s*\b(?:named|called|whose name is|known as|by the name of)\s+{_CAP}{_MORE}*")
_TITLE = re.compile(
    rf"\b(Dr|Doctor|Prof|Professor|Mr|Mrs|Ms|Miss|Mx|Sir|Dame|Lord|Lady|Captain|Judge|President|Senator|Pastor|Rabbi"
    rf"|Father|Sister|King|Queen|Prince|Princess)\b\.?\s+{_CAP}{_MORE}*"
)
_TITLES = {
    "dr": "a doctor", "doctor": "a doctor", "prof": "a professor", "professor": "a professor", "captain": "a captain",
    "judge": "a judge", "president": "a president", "senator": "a senator", "pastor": "a pastor", "rabbi": "a rabbi",
}  # fmt: skip
_LEADING = re.compile(
    rf"^(?!(?:An?|The|One|Some)\b)(?P<name>{_CAP}{_MORE}*)(?:\s*\(\d{{1,3}}\)|\s*,\s*(?:aged?\s+)?\d{{1,3}})?"
    r"\s*(?:,\s*(?:who\s+)?(?:is\s+|was\s+)?|\s+(?:is|was)\s+)(?=(?:an?|the)\s)"
)
_HER = r"(?P<own>['\u2019]s?(?!\w))?"


def private_data(text: str) -> str | None:
    """What private data or name stands in a text, in words; None if nothing that these rules know."""
    for what, pattern in _PRIVATE.items():
        if re.search(pattern, text, re.IGNORECASE if "mail" in what else 0):
            return what
    found = _NAMED.search(text) or _TITLE.search(text) or _given().search(text)
    return f"the name {found.group().strip(' ,')!r}" if found else None


def without_private_data(text: str) -> str:
    """A persona without names of persons, addresses, numbers and accounts.

    "Anna Nowak, a nurse who ..." becomes "A nurse who ...", "a nurse named Anna Nowak" loses its end, a name inside
    becomes "somebody". Known are about 500 given names, titles before a name, and the phrases above; a surname alone,
    or a rare given name in the middle of a sentence, is not seen. Look at what you publish.
    """
    for what, pattern in _PRIVATE.items():
        text = re.sub(_REACHED + pattern + r"[)\]]?", "", text, flags=re.IGNORECASE if "mail" in what else 0)
    text = _LEADING.sub("", text)
    text = _NAMED.sub("", text)
    text = _TITLE.sub(lambda found: _TITLES.get(found[1].lower(), "somebody"), text)
    text = _given().sub(lambda found: "somebody" + ("'s" if found["own"] else ""), text)
    text = re.sub(r"\bsomebody(?:(?:,| and|, and) somebody)+\b", "some people", text)
    text = re.sub(r"^(?:[Ss]omebody|(a \w+)),\s+(?=(?:an?|the)\s)", "", text)
    text = re.sub(r"\(\s*\)|\[\s*\]", "", text)
    text = re.sub(r"\s+([,.;:!?)])", r"\1", re.sub(r"\s{2,}", " ", text))
    text = re.sub(r"([,;:])(?=[,;:.])|[,;:]\s*$", "", text).strip(" ,;:-")
    return text[:1].upper() + text[1:]


@cache
def _given() -> re.Pattern[str]:
    """Given names, with the surnames that follow; those that are words too only before a surname."""
    lines = data_path("persona_hub/given_names.txt").read_text(encoding="utf-8").splitlines()
    names, words = " ".join(line for line in lines if not line.startswith("#")).split("----")
    sure, unsure = ("|".join(sorted(map(re.escape, each.split()), key=len, reverse=True)) for each in (names, words))
    return re.compile(rf"\b(?:(?:{sure}){_MORE}*|(?<![Tt]he )(?:{unsure}){_MORE}+)(?!\w){_HER}")
