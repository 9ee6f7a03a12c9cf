"""Reading the headings out of markdown, HTML and plain text: a document as a list of sections."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser, LexborNode

__all__ = ["Section", "html_sections", "html_title", "markdown_sections", "nests_too_deep", "plain_sections"]


@dataclass(frozen=True)
class Section:
    """A heading and the text under it, up to the next heading of any level.

    Attributes:
        level: Depth of the heading, from 1; 0 for text before the first heading.
        heading: The heading, or empty.
        text: The text; paragraphs are parted by blank lines.
    """

    level: int
    heading: str
    text: str


_UNDERLINE = re.compile(r"([=\-~^*#\"'`+.:_])\1{2,}")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# What no reader of a page takes for its text.
_FURNITURE = "script,style,noscript,template,nav,header,footer,aside,form,iframe,svg,button,select,dialog,[hidden]"
_INLINE = frozenset(
    ("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "label",
     "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr")
)  # fmt: skip
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Tags that have no end, or need none.
_UNNESTED = frozenset(
    ("area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p",
     "param", "source", "td", "th", "tr", "track", "wbr")
)  # fmt: skip
_TIGHT = frozenset(("li", "tr", "dt", "dd", "br"))


def plain_sections(text: str) -> list[Section]:
    """Sections of plain text: a heading stands alone, above a line of one sign that is at least as long.

    As in reStructuredText, the order in which kinds of lines come up is the order of their levels.
    """
    lines = text.splitlines()
    levels: dict[str, int] = {}
    headings: list[tuple[int, int, int, str]] = []
    for i in range(1, len(lines)):
        under, title = lines[i].rstrip(), lines[i - 1].strip()
        alone = i == 1 or not lines[i - 2].strip()
        if alone and title and _UNDERLINE.fullmatch(under) and len(under) >= len(title):
            headings.append((i - 1, i + 1, levels.setdefault(under[0], len(levels) + 1), title))
    return _cut(lines, headings)


def markdown_sections(text: str) -> list[Section]:
    """Sections of markdown (CommonMark), which keep their markup."""
    tokens = MarkdownIt("commonmark").parse(text)
    headings: list[tuple[int, int, int, str]] = []
    for token, inline in itertools.pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            title = "".join(part.content for part in inline.children or [] if part.type in ("text", "code_inline"))
            headings.append((token.map[0], token.map[1], int(token.tag[1]), title.strip()))
    return _cut(text.splitlines(), headings)


def html_sections(html: str) -> list[Section]:
    """Sections of a page without its scripts, navigation, headers, footers and forms; tags are dropped."""
    tree = LexborHTMLParser(html)
    for node in tree.css(_FURNITURE):
        node.decompose()
    sections = [Section(0, "", "")]
    held: list[str] = []
    root = tree.css_first("main") or tree.body
    for level, text in _blocks(root) if root else ():
        if level:
            sections[-1] = Section(sections[-1].level, sections[-1].heading, _tidy("".join(held)))
            sections.append(Section(level, " ".join(text.split()), ""))
            held = []
        else:
            held.append(text)
    sections[-1] = Section(sections[-1].level, sections[-1].heading, _tidy("".join(held)))
    return [section for section in sections if section.level or section.text]


def nests_too_deep(html: str) -> bool:
    """Whether a page nests more than 2,000 tags, for which parsing takes time that grows with the square of the depth.

    No page that people write comes near; a few KB of `<div>` would keep a parser busy for minutes.
    """
    depth = 0
    for closing, name in _TAG.findall(html):
        if name.lower() not in _UNNESTED:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > 2000:
                return True
    return False


def html_title(html: str) -> str:
    """The title that a page gives itself, or empty."""
    node = LexborHTMLParser(html).css_first("title")
    return " ".join(node.text().split()) if node else ""


def _blocks(root: LexborNode) -> Iterator[tuple[int, str]]:
    """Text in the order of the page as (0, text with line breaks), and headings as (level, heading)."""
    # Without recursion: a hostile page may nest a hundred thousand tags.
    stack: list[tuple[LexborNode, bool, bool]] = [(root, False, False)]
    broken = spaced = True  # whether the text so far ends with a line break, or a space
    while stack:
        node, leaving, raw = stack.pop()
        tag = node.tag or ""
        if tag == "-text":
            text = node.text_content or ""
            text = text if raw else re.sub(r"\s+", " ", text)
            text = text.lstrip(" ") if spaced and not raw else text
            if text:
                broken, spaced = text.endswith("\n"), text.endswith(("\n", " "))
                yield 0, text
        elif tag in _HEADINGS:
            yield int(tag[1]), node.text()
        elif not tag.startswith("-"):
            if tag in ("td", "th"):
                if not leaving and not broken:
                    spaced = True
                    yield 0, " | "
            elif tag not in _INLINE and not (leaving and tag in _TIGHT):
                broken = spaced = True
                yield 0, "\n" if tag in _TIGHT else "\n\n"
            if not leaving:
                stack.append((node, True, raw))
                children: list[LexborNode] = []
                child = node.child
                while child is not None:
                    children.append(child)
                    child = child.next
                stack += [(child, False, raw or tag == "pre") for child in reversed(children)]


def _tidy(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.replace("\r", "").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def _cut(lines: list[str], headings: list[tuple[int, int, int, str]]) -> list[Section]:
    """Sections from lines and headings, each (first line, line after it, level, title)."""
    starts = [(0, 0, 0, ""), *headings]
    ends = [heading[0] for heading in headings] + [len(lines)]
    sections = [
        Section(level, title, "\n".join(lines[after:end]).strip("\n"))
        for (_, after, level, title), end in zip(starts, ends, strict=True)
    ]
    return [section for section in sections if section.level or section.text.strip()]
