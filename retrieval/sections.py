"""The sections of a wiki's article, from MediaWiki's plain text extracts."""

import re
from collections.abc import Collection, Sequence
from urllib.parse import quote

from synthwright.retrieval.markup import Section

__all__ = ["BACK_MATTER", "anchor", "extract_sections", "without"]

BACK_MATTER = frozenset(
    "bibliography|citations|external links|footnotes|further reading|notes|notes and references|references|see also|"
    "sources|works cited|einzelnachweise|literatur|siehe auch|weblinks|articles connexes|bibliographie|liens externes|"
    "notes et références|références|voir aussi|bibliografía|enlaces externos|referencias|véase también".split("|")
)
"""Headings, in lower case, of sections that hold lists of other texts instead of text of their own."""

_HEADING = re.compile(r"^(={2,6})[ \t]*(\S.*?)[ \t]*\1[ \t]*$")


def extract_sections(text: str) -> list[Section]:
    """The sections of an extract, whose headings are lines like `== Heading ==`."""
    level, heading, lines = 0, "", list[str]()
    sections = []
    for line in [*text.splitlines(), None]:
        found = _HEADING.match(line) if line is not None else None
        if line is not None and found is None:
            lines.append(line.rstrip())
            continue
        plain = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
        if level or plain:
            sections.append(Section(level, heading, plain))
        if found is not None:
            level, heading, lines = len(found[1]), found[2], []
    return sections


def without(sections: Sequence[Section], headings: Collection[str]) -> list[Section]:
    """The sections that are neither under one of these headings (in lower case) nor have one."""
    kept: list[Section] = []
    above: int | None = None  # level of the heading that everything below is dropped with
    for section in sections:
        if above is not None and section.level > above:
            continue
        above = section.level if section.heading.casefold() in headings else None
        if above is None:
            kept.append(section)
    return kept


def anchor(heading: str) -> str:
    """The part of an address that MediaWiki gives a heading, such as `#Early_years`."""
    return "#" + quote(heading.replace(" ", "_"), safe="()',;:!*@/")
