"""Labels: which of a fixed set of words a reply gives."""

import re
from dataclasses import dataclass

from synthwright.errors import ConfigError
from synthwright.verify.base import Unread, Verifier
from synthwright.verify.latex import latex_to_text
from synthwright.verify.text import unwrapped

__all__ = ["Label"]

_FOLD = re.compile(r"[\W_]+")
_NEGATION = re.compile(
    r"\b(?:not|never|no|isn t|is nt|wasn t|aren t|neither|nor|hardly|rather than|instead of|non)(?: \w+)?$"
)


@dataclass(frozen=True)
class Label(Verifier[str]):
    """One of some labels, whatever its case and punctuation: `Not Entailment` is `not_entailment`.

    The longest label that fits counts, so "not entailment" is not "entailment". A label that is denied ("not positive")
    does not count, and two labels are ambiguous.

    Args:
        labels: The labels as rows have them, at least two.
        aliases: Other names, as pairs of (alias, label), such as `("true", "yes")`.
        max_words: Longest reply without a named place that is read, in words.
    """

    labels: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...] = ()
    max_words: int = 12

    nouns = ("answer", "label", "class", "category", "verdict", "sentiment")

    def __post_init__(self) -> None:
        folded = [_fold(label) for label in self.labels]
        if len(folded) < 2 or len(set(folded)) < len(folded) or not all(folded):
            raise ConfigError(f"`labels` of Label must be two or more different words, got {self.labels!r}.")
        for alias, label in self.aliases:
            if label not in self.labels:
                raise ConfigError(f"The alias {alias!r} names {label!r}, which is none of the labels {self.labels!r}.")
            if _fold(alias) in folded:
                raise ConfigError(f"The alias {alias!r} of {label!r} is itself a label.")

    def read(self, text: str) -> str | Unread:
        folded = _fold(unwrapped(latex_to_text(text), quotes=True).replace("n't", " not"))
        names = {_fold(name): label for name, label in (*((each, each) for each in self.labels), *self.aliases)}
        if folded in names:
            return names[folded]
        pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        found: list[str] = []
        for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", folded):
            if not _NEGATION.search(folded[: match.start()].rstrip()):
                found.append(names[match.group()])
        if not found:
            return Unread("no_answer")
        return found[0] if len(set(found)) == 1 else Unread("ambiguous")

    def read_phrase(self, text: str) -> str | Unread:
        whole = self.read(text)
        if whole == Unread("ambiguous"):  # "yes, because there is no doubt": the first part of the sentence says it
            first = re.split(r"[,;:(]|\b(?:because|since|as|and not|but not)\b", text, maxsplit=1)[0]
            head, rest = self.read(first), _fold(text[len(first) :])
            listed = any(rest.startswith(_fold(name)) for name in (*self.labels, *dict(self.aliases)))
            return whole if listed or isinstance(head, Unread) or re.search(r"\b(?:or|and)\b", text[:40]) else head
        return whole

    def read_whole(self, text: str) -> str | Unread:
        return (
            self.read_phrase(text) if "\n" not in text and len(text.split()) <= self.max_words else Unread("no_answer")
        )

    def equal(self, value: str, answer: str) -> bool | str:
        return value == answer

    def show(self, value: str) -> str | None:
        return value


def _fold(text: str) -> str:
    return _FOLD.sub(" ", text.lower()).strip()
