"""Multiple choice: which option letter a reply names."""

import re
from dataclasses import dataclass

from synthwright.errors import ConfigError
from synthwright.verify.base import Unread, Verifier
from synthwright.verify.latex import latex_to_text
from synthwright.verify.text import unwrapped

__all__ = ["Choice", "options_of"]

_FOLD = re.compile(r"[\W_]+")
_NOT = r"(?:not|n't|never|neither|nor|isn't|rather than|instead of|unlike|over|except|exclude[sd]?|eliminate[sd]?)"
_OPTION_LINE = re.compile(r"^[ \t]*[(\[]?([A-Z])[)\].:][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_AFTER_ARTICLE = re.compile(
    r"\s+(?!(?:is|was|because|since|as|for|with|which|that|due|and|or|nor|but|not|by|from|on|in|to|only|alone|would|"
    r"seems?|fits|works|gives|matches|states|says|describes|rather|instead|than|over)\b)[a-z]",
    re.IGNORECASE,
)
_IS_RIGHT = r"\s+is\s+(?:the\s+)?(?:most\s+)?(?:correct|right|best|true|accurate|answer)\b"
_CHOOSE = r"i (?:choose|pick|select)|(?:i'd|i would) (?:go with|pick|choose|say)"
_LEAD = rf"(?:(?:so|thus|hence|therefore|it's|it is|it must be|{_CHOOSE})[,:]?\s+)*"


@dataclass(frozen=True)
class Choice(Verifier[str]):
    """The letter of an option: C for "Answer C", "(C)", "c.", "C) Paris" and "Paris"; none for "A and B".

    The article in "a dog" and the pronoun in "I think" are no options. A letter that is ruled out ("not A") does not
    count. Two letters are ambiguous unless one opens the answer and the other is only spoken of.

    Args:
        letters: The letters of the options, capitals in order.
        options: The texts of the options in the same order, so that a reply may give the text; empty if not known.
    """

    letters: str = "ABCD"
    options: tuple[str, ...] = ()

    nouns = ("answer", "option", "choice", "letter", "alternative")

    def __post_init__(self) -> None:
        if not self.letters or not re.fullmatch(r"[A-Z]+", self.letters) or len(set(self.letters)) < len(self.letters):
            raise ConfigError(f"`letters` of Choice must be different capitals such as 'ABCD', got {self.letters!r}.")
        if self.options and len(self.options) != len(self.letters):
            raise ConfigError(
                f"Choice has {len(self.letters)} letters and {len(self.options)} options: give each letter its text."
            )

    def read(self, text: str) -> str | Unread:
        text = self._clean(text)
        if by_text := self._by_text(text):
            return by_text
        alone = re.fullmatch(
            r"(?:(?:option|choice|answer|letter)\s*)?[(\[]?\s*([A-Za-z])\s*[)\].:,;!]*", text, re.IGNORECASE
        )
        if alone and alone.group(1).upper() in self.letters:
            return alone.group(1).upper()
        if text == text.lower() and (named := re.match(r"[(\[]?([a-z])[)\].:]\s+\S", text)):
            if named.group(1).upper() in self.letters:
                return named.group(1).upper()
        return self._in_sentence(text)

    def read_phrase(self, text: str) -> str | Unread:
        return self.read(text)

    def read_whole(self, text: str) -> str | Unread:
        text = self._clean(text)
        last = text.rpartition("\n")[2].strip()[-300:]
        letter = rf"[(\[]?([{self.letters}])[)\]]?"
        verdicts = re.findall(rf"(?<![\w']){letter}{_IS_RIGHT}", last)
        if verdicts:
            return verdicts[0] if len(set(verdicts)) == 1 else Unread("ambiguous")
        if lone := re.fullmatch(rf"{_LEAD}{letter}[.!]*", last, re.IGNORECASE):
            return lone.group(1).upper()
        if "\n" in text or len(text) > 100 or self._prose(text):
            return Unread("no_answer")
        return self.read(text)

    def equal(self, value: str, answer: str) -> bool | str:
        return value == answer

    def show(self, value: str) -> str | None:
        return value

    def _clean(self, text: str) -> str:
        return (
            unwrapped(latex_to_text(text), quotes=True)
            .replace("**", "")
            .replace("{", "(")
            .replace("}", ")")
            .lstrip("-\u2013\u2014 ")
        )

    def _by_text(self, text: str) -> str | None:
        """The letter of the only option that has this text."""
        folded = _fold(text)
        found = [letter for letter, option in zip(self.letters, self.options, strict=False) if _fold(option) == folded]
        return found[0] if len(found) == 1 and folded else None

    def _in_sentence(self, text: str) -> str | Unread:
        """The one option that a sentence is for."""
        ruled_out = set(re.findall(rf"\b{_NOT}\s+(?:option\s+|choice\s+)?[(\[]?([{self.letters}])\b", text))
        named: list[tuple[int, str]] = []
        for token in re.finditer(rf"(?<![\w'.\-])([{self.letters}])(?![\w'\-]|\.\w)", text):
            bare = text[token.start() - 1 : token.start()] not in ("(", "[")
            article = token.group(1) in "AI" and bare and _AFTER_ARTICLE.match(text, token.end())
            if not article:
                named.append((token.start(), token.group(1)))
        letters = [letter for _, letter in named if letter not in ruled_out]
        if len(set(letters)) == 1:
            return letters[0]
        if not letters:
            return Unread("no_answer")
        opens = re.match(r"(?:(?:option|choice)\s+)?[(\[]?([A-Z])[)\].:]?(?![\w'])", text)
        if opens and opens.group(1) == letters[0] and not self._joined(text):
            return letters[0]
        return Unread("ambiguous")

    def _joined(self, text: str) -> bool:
        """True if the first option is one of several: "A and B", "A, B", "A/B"."""
        letter = rf"[(\[]?[{self.letters}][)\]]?(?![\w'])"
        option = rf"(?:option\s+|choice\s+)?{letter}"
        return (
            re.match(rf"{option}\s*(?:,|/|&|\+|;|\band\b|\bor\b)\s*(?:and\s+|or\s+)?(?:both\s+)?{option}", text)
            is not None
        )

    def _prose(self, text: str) -> bool:
        """True if a letter stands in a sentence that gives no answer, such as "Plan B failed because of the rain"."""
        return re.match(
            r"(?:(?:option|choice|answer|letter)\s+)?[(\[]?[A-Za-z](?:[)\].:,;!/&]|\s|$)", text, re.IGNORECASE
        ) is None and (
            self._by_text(text) is None and not re.search(r"[(\[][A-Z][)\]]|\b(?:option|choice)\s+[A-Z]\b", text)
        )


def options_of(question: str) -> dict[str, str]:
    """The options that a question lists as lines such as `A) Paris`, by letter; empty if there are none in order.

    Args:
        question: Text of a multiple-choice question.
    """
    found = dict(_OPTION_LINE.findall(question))
    wanted = [chr(ord("A") + index) for index in range(len(found))]
    return found if len(found) > 1 and list(found) == wanted else {}


def _fold(text: str) -> str:
    return _FOLD.sub(" ", text.lower()).strip()
