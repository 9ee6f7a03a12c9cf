"""What a verifier is: it finds an answer in a reply, reads it, and compares it with the known one. It never raises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from synthwright.verify.places import places
from synthwright.verify.text import plain

__all__ = ["Unread", "Verdict", "Verifier"]

T = TypeVar("T")

MAX_CHARS = 50_000
"""Only the end of a longer reply is read: the last answer decides, and no pattern meets a text without bound."""


@dataclass(frozen=True)
class Verdict:
    """The result of one comparison.

    Attributes:
        ok: The reply holds the answer.
        reason: `equal`; or why not: `different`, `no_answer`, `ambiguous`, `unreadable`, `unclosed`, `empty`,
            `too_long`, `timeout`, `unreadable_answer` (the known answer itself cannot be read), and what a kind adds.
        extracted: The text that was taken as the reply's answer, or None.
        undecided: Neither right nor wrong: the machinery failed, such as a sandbox whose worker died (`crashed`).
            `ok` is False, but nothing is known about the reply, so that statistics leave it out.
    """

    ok: bool
    reason: str
    extracted: str | None = None
    undecided: bool = False


@dataclass(frozen=True)
class Unread:
    """Why a text is not an answer. `no_answer` means that there is nothing like one, so an earlier place may count."""

    reason: str


@dataclass(frozen=True)
class Found(Generic[T]):
    """What a reply says: the text, and its value or why it has none."""

    text: str | None
    value: T | Unread


class Verifier(ABC, Generic[T]):
    """Extracts, reads, compares. Subclasses are frozen dataclasses whose fields are their settings.

    An answer stands in a box, in an answer tag, after four hashes, after words such as "the answer is", or is the whole
    text. The last of these that is an answer decides; a box or a tag always decides, also if it is empty or cut off.
    Only the reply is read: give it without the prompt.
    """

    nouns: ClassVar[tuple[str, ...]] = ("answer", "result")
    """What a reply calls its answer: "the answer is ..."."""

    @abstractmethod
    def read(self, text: str) -> T | Unread:
        """The value of a text that is nothing but an answer, such as the content of a box."""

    @abstractmethod
    def equal(self, value: T, answer: T) -> bool | str:
        """True, or False, or the reason why it cannot be said or differs."""

    @abstractmethod
    def show(self, value: T) -> str | None:
        """One text for all equal values, or None if there is none."""

    def read_phrase(self, text: str) -> T | Unread:
        """The value of the rest of a sentence after "the answer is"."""
        return self.read(text)

    def read_whole(self, text: str) -> T | Unread:
        """The value of a reply that names no place for its answer."""
        return self.read(text) if len(text) <= 300 and "\n" not in text else Unread("no_answer")

    def read_answer(self, text: str) -> T | Unread:
        """The value of a known answer, which may also be a worked solution with a place for its answer."""
        return self._find(text).value

    def extract(self, reply: str) -> str | None:
        """The text that decides, or None if the reply has no answer."""
        return self._find(reply).text

    def canonical(self, text: str) -> str | None:
        """One text for all replies with an equal answer: what a majority vote counts. None if there is no answer."""
        value = self._find(text).value
        return None if isinstance(value, Unread) else self.show(value)

    def __call__(self, reply: str, answer: str) -> Verdict:
        """Does the reply hold the answer?

        Args:
            reply: What a model wrote, without the prompt.
            answer: The known answer: bare, or with a place of its own.
        """
        found = self._find(reply)
        if isinstance(found.value, Unread):
            return Verdict(False, found.value.reason, found.text)
        known = self.read_answer(answer) if isinstance(answer, str) else Unread("no_answer")
        if isinstance(known, Unread):
            return Verdict(False, "unreadable_answer", found.text)
        same = self.equal(found.value, known)
        reason = same if isinstance(same, str) else "equal" if same else "different"
        return Verdict(same is True, reason, found.text)

    def _find(self, reply: Any) -> Found[T]:
        if not isinstance(reply, str):
            return Found(None, Unread("no_answer"))
        text = plain(reply[-MAX_CHARS:])
        for place in reversed(places(text, self.nouns)):
            if place.text is None:
                return Found(None, Unread("unclosed"))
            if place.kind == "formal":
                value = self.read(place.text) if place.text else Unread("empty")
                return Found(place.text or None, value)
            value = self.read_phrase(place.text) if place.kind == "phrase" else self.read_whole(place.text)
            if not isinstance(value, Unread) or value.reason not in ("no_answer", "unreadable"):
                return Found(place.text, value)
        text = text.strip()
        if not text:
            return Found(None, Unread("no_answer"))
        value = self.read_whole(text)
        return Found(None if value == Unread("no_answer") else text, value)
