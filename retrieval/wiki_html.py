"""Reading the HTML of a MediaWiki: the options of a disambiguation page, and articles of wikis without extracts."""

from typing import TYPE_CHECKING

from synthwright.retrieval.markup import Section, html_sections

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

__all__ = ["article_sections", "option_titles"]

NOT_TEXT = "table, figure, .mw-editsection, .toc, #toc, sup.reference, .references, .navbox, .hatnote, .noprint"
"""What MediaWiki's extracts leave out, too."""


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


def article_sections(html: str) -> list[Section]:
    """The sections of an article as its page shows them."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for unwanted in soup.select(NOT_TEXT):
        unwanted.decompose()
    return html_sections(str(soup))
