"""Where a reply puts its answer."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

__all__ = ["Place", "boxes", "fences", "places"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:(\{)|([^\s{}$.,\\]+|\\[a-zA-Z]+))")
_TAG = re.compile(r"<answer>(?:(?:(?!<answer>).)*?</answer>|)", re.IGNORECASE | re.DOTALL)
_HASHES = re.compile(r"^[ \t]*#{4}[ \t]*([^#\s][^\n]*)$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.?!](?=\s+[A-Z\"'(*\\]|\s*$)|(?<=[^\s.])[.?!]\s+(?=[a-z]+\b)")
MAX_PHRASES = 30
"""So many phrases are looked at, from the end: a reply that repeats itself for long costs no more than another."""

_VERB = r"(?:is|are|was|equals?|(?:would|should|must|will|has\s+to|can\s+only)\s+be)"


@dataclass(frozen=True)
class Place:
    """A place that may hold the answer.

    Attributes:
        kind: `formal` (a box or a tag), `phrase` (after "the answer is" and the like), or `bare` (a line after four
            hashes, or what follows "answer" directly), which must be nothing but an answer.
        start: Where it begins in the reply.
        text: What it holds, stripped; None if it is not closed.
    """

    kind: Literal["formal", "phrase", "bare"]
    start: int
    text: str | None


def places(text: str, nouns: tuple[str, ...]) -> list[Place]:
    """All places of a reply, in the order in which they begin.

    Args:
        text: The reply.
        nouns: What it may call its answer.
    """
    found = [Place("formal", start, content) for start, content in boxes(text)]
    for tag in _TAG.finditer(text):
        closed = len(tag.group()) > len("<answer>")
        found.append(Place("formal", tag.start(), tag.group()[8:-9].strip() if closed else None))
    found += [Place("bare", line.start(), line.group(1).strip()) for line in _HASHES.finditer(text)]
    strong, weak = _phrases(nouns)
    said = {phrase.start(): phrase.end() for phrase in strong.finditer(text)}
    named = {phrase.start(): phrase.end() for phrase in weak.finditer(text)}
    for start, end in sorted({**named, **said}.items())[-MAX_PHRASES:]:
        found.append(Place("phrase" if start in said else "bare", start, _clause(text, end)))
    return sorted(found, key=lambda place: place.start)


def boxes(text: str) -> list[tuple[int, str | None]]:
    r"""Start and content of every `\boxed{...}`, with balanced braces; the content is None if it is not closed."""
    closing = _closing_braces(text)
    found: list[tuple[int, str | None]] = []
    for box in _BOX.finditer(text):
        if box.group(2):
            found.append((box.start(), box.group(2)))
        else:
            end = closing.get(box.end() - 1)
            found.append((box.start(), None if end is None else text[box.end() : end].strip()))
    return found


def _closing_braces(text: str) -> dict[int, int]:
    """Position of the closing brace by that of the opening one, escaped braces left out; one pass."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    escaped = False
    for position, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "{":
            opened.append(position)
        elif char == "}" and opened:
            pairs[opened.pop()] = position
    return pairs


def fences(text: str) -> list[tuple[str, str]]:
    """Language and content of every closed fenced block, in order."""
    return [(block.group(2).lower(), block.group(3)) for block in _FENCE.finditer(text)]


@cache
def _phrases(nouns: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    noun = rf"\b(?:{'|'.join(nouns)})s?\b"
    strong = rf"{noun}(?:[^\n.:=]{{0,60}}?\b{_VERB}\b[ \t]*:?|[^\n.:=]{{0,30}}[:=])(?:[ \t]*(?:\*\*|__))?"
    weak = rf"{noun}(?:[ \t]*(?:\*\*|__))?(?=\s+\S)"
    return re.compile(strong, re.IGNORECASE), re.compile(weak, re.IGNORECASE)


def _clause(text: str, start: int) -> str:
    """The rest of the sentence, or of the next line that is not empty if the line ends here."""
    rest = text[start : start + 600].lstrip(" \t*_")
    line = rest.lstrip().partition("\n")[0].strip()
    end = _SENTENCE_END.search(line)
    return (line[: end.start()] if end else line).strip()
