"""Splitting an article into passages that keep their headings."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from synthwright.errors import ConfigError
from synthwright.retrieval.passages import Passage

__all__ = ["BACK_MATTER", "HEADING_SEPARATOR", "split_sections"]

HEADING_SEPARATOR = " > "

BACK_MATTER = frozenset(
    "bibliography|citations|external links|footnotes|further reading|notes|notes and references|references|see also|"
    "sources|works cited|einzelnachweise|literatur|siehe auch|weblinks|articles connexes|bibliographie|liens externes|"
    "notes et références|références|voir aussi|bibliografía|enlaces externos|referencias|véase también".split("|")
)
"""Headings, in lower case, of sections that hold lists of other texts instead of text of their own."""

_HEADING = re.compile(r"^(={2,6})[ \t]*(\S.*?)[ \t]*\1[ \t]*$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


@dataclass(frozen=True)
class _Piece:
    """Text under one heading, short enough for a passage; `path` holds the headings from the outermost on."""

    path: tuple[str, ...]
    text: str


def split_sections(
    text: str,
    *,
    title: str = "",
    source: str = "",
    url: str = "",
    licence: str = "",
    least: int = 600,
    most: int = 3000,
    leave_out: frozenset[str] = BACK_MATTER,
) -> Iterator[Passage]:
    """Split an article whose headings are lines like `== Heading ==` into passages of whole sections.

    Sections shorter than `least` are joined with the next ones, longer ones than `most` are split between lines, and
    lines longer than that between sentences. The title of a passage is the article's with the headings that all of
    its text stands under, such as `Bread > History`; further headings stand in the text on lines of their own.

    Args:
        text: The article, as MediaWiki's plain text extracts have it.
        title: Title of the article.
        source: Field of the passages.
        url: Address of the article; passages of one section point to its anchor.
        licence: Field of the passages.
        least: Characters below which a passage goes on into the next section, 0 or more.
        most: Most characters of a passage, headings included, 1 or more and not below `least`.
        leave_out: Headings in lower case; their sections and what stands under them are left out.

    Raises:
        ConfigError: The window is not a window.
    """
    if not 0 <= least <= most or most < 1:
        raise ConfigError(f"Need 0 <= least <= most and most >= 1; got {least!r} and {most!r}.")
    held: list[_Piece] = []
    groups: list[list[_Piece]] = []
    for piece in _pieces(text, most, leave_out):
        if held and (len(_joined(held)) >= least or len(_joined([*held, piece])) > most):
            groups.append(held)
            held = []
        held.append(piece)
    if held and groups and len(_joined(held)) < least and len(_joined(groups[-1] + held)) <= most:
        groups[-1] += held  # a short rest goes to what stands before it
    elif held:
        groups.append(held)
    for group in groups:
        path = _common([piece.path for piece in group])
        anchor = "#" + quote(path[-1].replace(" ", "_"), safe="()',;:!*@/") if path and url else ""
        yield Passage(
            text=_joined(group),
            title=HEADING_SEPARATOR.join(filter(None, [title, *path])),
            source=source,
            url=url + anchor,
            licence=licence,
        )


def _pieces(text: str, most: int, leave_out: frozenset[str]) -> Iterator[_Piece]:
    path: list[tuple[int, str]] = []
    lines: list[str] = []

    def finished() -> Iterator[_Piece]:
        names = tuple(name for _, name in path)
        if not any(name.casefold() in leave_out for name in names):
            for part in _parts("\n".join(lines), most - len(HEADING_SEPARATOR.join(names)) - 1 if names else most):
                yield _Piece(names, part)
        lines.clear()

    for line in text.replace("\r\n", "\n").split("\n"):
        found = _HEADING.match(line)
        if found is None:
            lines.append(line.rstrip())
            continue
        yield from finished()
        depth = len(found[1])
        path = [(level, name) for level, name in path if level < depth] + [(depth, found[2])]
    yield from finished()


def _parts(text: str, most: int) -> Iterator[str]:
    """The text in parts of at most `most` characters: whole lines, else whole sentences, else cut."""
    most, held = max(most, 1), ""
    for line in _lines(text):
        if held.strip() and len((held + line).strip()) > most:
            yield held.strip()
            held = ""
        held = (held + line).lstrip()
        while len(held.rstrip()) > most:
            cut = _cut(held, most)
            yield held[:cut].rstrip()
            held = held[cut:].lstrip()
    if held.strip():
        yield held.strip()


def _lines(text: str) -> list[str]:
    """Lines with their ends; several blank lines count as one."""
    return re.sub(r"\n{3,}", "\n\n", text).splitlines(keepends=True)


def _cut(text: str, most: int) -> int:
    """Where to cut a line that is too long: after a sentence in its second half, else at a space, else anywhere."""
    ends = [found.start() for found in _SENTENCE_END.finditer(text, 0, most + 1)]
    if ends and ends[-1] > most // 2:
        return ends[-1]
    space = text.rfind(" ", most // 2, most + 1)
    return space if space > 0 else most


def _joined(pieces: Sequence[_Piece]) -> str:
    shared = len(_common([piece.path for piece in pieces]))
    blocks: list[str] = []
    before: tuple[str, ...] | None = None
    for piece in pieces:
        heading = HEADING_SEPARATOR.join(piece.path[shared:])
        blocks.append(f"{heading}\n{piece.text}" if heading and piece.path != before else piece.text)
        before = piece.path
    return "\n\n".join(blocks)


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    first, last = min(paths), max(paths)
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return first[:shared]
