"""Reading the HTML of a MediaWiki: the options of a disambiguation page, and articles of wikis without extracts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

__all__ = ["article_text", "option_titles"]

NOT_TEXT = (
    "script, style, table, figure, .mw-editsection, .toc, #toc, sup.reference, .references, .navbox, .hatnote, .noprint"
)
HEADINGS = {"h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}


def option_titles(html: str) -> "BeautifulSoup":
    """A disambiguation page whose links read as the titles that they lead to, and lead to pages that exist.

    The package wikipedia takes the text of the first link of each list item for a title, but a link of the page
    "Mercury" to "Mercury (planet)" may well read "Mercury".
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for unwanted in soup.select(".toc, #toc, .mw-editsection"):
        unwanted.decompose()
    for link in soup.find_all("a"):
        title = link.get("title")
        if title and not {"new", "external", "extiw"} & set(link.get("class") or []):
            link.string = str(title)
        else:
            link.unwrap()
    return soup


def article_text(html: str) -> str:
    """The text of an article with its headings as lines like `== Heading ==`, as MediaWiki's extracts have it."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for unwanted in soup.select(NOT_TEXT):
        unwanted.decompose()
    lines = []
    for block in soup.find_all([*HEADINGS, "p", "li", "pre", "dd", "dt", "blockquote"]):
        if block.find_parent(["p", "li", "pre", "dd", "dt", "blockquote"]) is not None:
            continue  # its parent has its text
        text = block.get_text() if block.name == "pre" else " ".join(block.get_text(" ").split())
        marks = "=" * HEADINGS.get(block.name, 0)
        if text.strip():
            lines.append(f"\n{marks} {text.strip()} {marks}" if marks else text.strip("\n"))
    return "\n".join(lines).strip()
