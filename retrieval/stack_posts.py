"""A question with its accepted answer as one passage: what the dump and the API of Stack Exchange share."""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from synthwright.errors import MissingExtraError
from synthwright.retrieval.passages import Passage

__all__ = ["Post", "post_passage", "post_text"]

SOURCE = "stack_exchange"


@dataclass(frozen=True)
class Post:
    """A question or an answer.

    Attributes:
        id: Number of the post on its site.
        body: HTML.
        licence: Such as `CC BY-SA 4.0`, or empty.
        title: Title of a question, with HTML's escapes.
    """

    id: int
    body: str
    licence: str = ""
    title: str = ""


def post_passage(question: Post, answer: Post, site: str) -> Passage | None:
    """The passage of a question with its answer; None if either has no text or is nested beyond reading.

    Posts have the licence of the day they were written, so the two may differ; then both are named.

    Raises:
        MissingExtraError: The extra `stackexchange` is not installed.
    """
    asked, answered = post_text(question.body), post_text(answer.body)
    if not asked or not answered:
        return None
    title = " ".join(html.unescape(question.title).split())
    licences = [question.licence, answer.licence]
    if question.licence and answer.licence and question.licence != answer.licence:
        licence = f"{question.licence} (question), {answer.licence} (answer)"
    else:
        licence = next(filter(None, licences), "")
    return Passage(
        text="\n\n".join(filter(None, [f"# {title}" if title else "", asked, "## Accepted answer", answered])),
        title=title,
        source=SOURCE,
        url=f"https://{site}/q/{question.id}" if site else "",
        licence=licence,
    )


def post_text(body: str) -> str:
    """The HTML of a post as Markdown: code stays as it is, links keep their words only. Empty if it has no text.

    Raises:
        MissingExtraError: The extra `stackexchange` is not installed.
    """
    try:
        from bs4 import BeautifulSoup
        from markdownify import MarkdownConverter
    except ImportError:
        raise MissingExtraError("markdownify", "stackexchange", "Reading posts of Stack Exchange") from None
    converter: Any = MarkdownConverter(
        heading_style="ATX",
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        code_language_callback=_language,
    )
    soup = BeautifulSoup(f"<div>{body}</div>", "html.parser")  # a bare address would warn of not being HTML
    for element in soup.find_all(["a", "img", "script", "style"]):
        if element.name == "a":
            element.unwrap()
        else:
            element.replace_with(str(element.get("alt") or ""))
    try:
        return converter.convert_soup(soup).strip()
    except RecursionError:  # a thousand elements inside one another: nothing that a person wrote
        return ""


def _language(pre: Any) -> str:
    """Language of a code block, which Stack Exchange gives as a class such as `lang-py`."""
    classes: Iterable[str] = pre.get("class") or []
    return next((name.removeprefix("lang-") for name in classes if name.startswith("lang-")), "")
