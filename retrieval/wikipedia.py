"""Passages from Wikipedia, or from any MediaWiki, by the package wikipedia."""

import importlib.util
import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from rank_bm25 import BM25Plus

from synthwright.errors import ConfigError, RetrievalError
from synthwright.retrieval.base import Retriever
from synthwright.retrieval.cache import AnswerCache
from synthwright.retrieval.chunks import ByParagraphs, Splitter
from synthwright.retrieval.fusion import fuse
from synthwright.retrieval.markup import Section
from synthwright.retrieval.passages import Passage
from synthwright.retrieval.sections import BACK_MATTER, anchor, extract_sections, without
from synthwright.retrieval.tokens import Tokenizer
from synthwright.retrieval.web import Busy, Web, user_agent
from synthwright.retrieval.wiki_html import article_sections, option_titles

__all__ = ["Wikipedia"]

LICENCE = "CC BY-SA 4.0"
"""Licence of the text of Wikipedia's articles since June 2023 (Wikimedia's terms of use, section 7)."""

MOST_QUERY = 300
"""Characters of a query; Wikipedia's search refuses longer ones."""

MOST_RESULTS = 50
DEEPEST = 3
"""Disambiguation pages that may lead to one another before a path is given up."""

LOOSE_WORDS = 4
"""Words of a query that are searched for one by one if the wiki finds nothing for all of them together."""

BUSY_CODES = frozenset({"maxlag", "ratelimited", "readonly", "search-error", "cirrussearch-too-busy-error"})
BUSY_WORDS = ("HTTP request timed out.", "Pool queue is full")

_LANGUAGE = re.compile(r"[a-z]{2,}(-[a-z]+)*")
_WORD = re.compile(r"\w+")
_split_words = Tokenizer()
_NOT_IN_TITLES = re.compile(r"[\[\]{}|<>\x00-\x1f\x7f\ud800-\udfff\ufffd]")


class Wikipedia(Retriever):
    """Searches a wiki and splits the pages that it finds into passages.

    The wiki ranks the pages. The passages of the best ones are ranked by BM25+ over their titles and texts, which is
    their score; those that share no word with the query follow with score 0. A disambiguation page stands for its
    best options, a redirect for its target, and what does not exist is passed over. A wiki joins the words of a query
    by "and", so a query that finds nothing is asked again word by word, longest words first.

    Requests follow Wikimedia's API etiquette: one at a time, `maxlag`, `Retry-After`, a user agent that says who asks,
    compressed answers, and everything kept in a cache on disk.

    Args:
        language: Language code of Wikipedia, such as `en`.
        api_url: Address of another wiki's `api.php`; empty for Wikipedia.
        pages: Pages read for a query, 1 or more; more are read while there are fewer than `k` passages.
        options: Options followed on a disambiguation page, 1 or more.
        split: How articles are cut into passages; None for whole paragraphs of 600 to 3,000 characters, where short
            sections are joined and short articles kept. What the splitter finds useless is left out.
        leave_out: Headings of sections to leave out, in lower case.
        licence: Licence that the passages carry; None for Wikipedia's, or for what another wiki says of itself.
        contact: Your mail address or page, for the user agent. Wikimedia asks for one from whoever sends much.
        maxlag: Seconds that the wiki's databases may lag before a request waits; None never waits.
        cache_days: Days that answers are kept on disk; 0 keeps none.
        cache_directory: Where; None for the cache directory of synthwright.
        timeout: Seconds to wait for an answer.
        retries: Further tries of a request that failed, 0 or more.
        delay: Seconds between two requests, 0 or more.

    Raises:
        ConfigError: An argument is wrong.
    """

    name = "wikipedia"

    def __init__(
        self,
        language: str = "en",
        *,
        api_url: str = "",
        pages: int = 3,
        options: int = 2,
        split: Splitter | None = None,
        leave_out: frozenset[str] = BACK_MATTER,
        licence: str | None = None,
        contact: str = "",
        maxlag: int | None = 5,
        cache_days: float = 30,
        cache_directory: str | None = None,
        timeout: float = 20.0,
        retries: int = 3,
        delay: float = 0.1,
    ) -> None:
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            raise ConfigError(f"`language` must be a code such as 'en', got {language!r}.")
        if pages < 1 or options < 1:
            raise ConfigError(f"`pages` and `options` must be at least 1, got {pages!r} and {options!r}.")
        if api_url and not api_url.startswith(("https://", "http://")):
            raise ConfigError(f"`api_url` must be the address of an api.php, got {api_url!r}.")
        self.language, self.pages, self.options = language, pages, options
        self._is_wikipedia = not api_url
        self.api_url = api_url or f"https://{language}.wikipedia.org/w/api.php"
        self.split: Splitter = split or ByParagraphs(keep_short=True)
        self.leave_out, self.maxlag = leave_out, maxlag
        self.licence = licence if licence is not None or api_url else LICENCE
        cache = AnswerCache(cache_directory, days=cache_days) if cache_days else None
        agent = user_agent(contact, "wikipedia")
        self.web = Web(agent=agent, timeout=timeout, retries=retries, delay=delay, cache=cache)
        self._client: ModuleType | None = None

    def page(self, title: str) -> list[Passage]:
        """The passages of one page, in its order; of the best options if it is a disambiguation page.

        Returns:
            None at all if there is no such page, or no text on it.

        Raises:
            RetrievalError: The wiki cannot be reached.
        """
        try:
            return [passage for page in self._pages(title, title, set()) for passage in page]
        except RetrievalError as error:
            raise _with_hint(error) from error

    def titles(self, query: str, n: int = 10) -> list[str]:
        """Titles of the pages that the wiki finds for a query, best first.

        Args:
            query: The query; what is beyond 300 characters is left out.
            n: Most titles, 1 to 50.

        Raises:
            RetrievalError: The wiki cannot be reached.
        """
        try:
            return self._titles(query, min(n, MOST_RESULTS))
        except RetrievalError as error:
            raise _with_hint(error) from error

    def _search_all(self, queries: list[str], k: int) -> list[list[Passage]]:
        try:
            return [self._search(query, k) for query in queries]
        except RetrievalError as error:
            raise _with_hint(error) from error

    def _search(self, query: str, k: int) -> list[Passage]:
        found: list[list[Passage]] = []
        seen: set[str] = set()
        for title in self._titles(query, min(MOST_RESULTS, max(self.pages, k))):
            found += self._pages(title, query, seen)
            if len(found) >= self.pages and sum(map(len, found)) >= k:
                break
        in_turn = fuse(found, "round_robin")
        by_words = _by_words(query, in_turn)
        return fuse([by_words + [passage.scored(0.0) for passage in in_turn]])[:k]

    def _titles(self, query: str, n: int) -> list[str]:
        text = " ".join(query.encode("utf-8", "ignore").decode().split())  # a lone surrogate cannot be sent
        if len(text) > MOST_QUERY:
            text = text[: MOST_QUERY + 1].rpartition(" ")[0] or text[:MOST_QUERY]
        if not text:
            return []
        titles = self._named(text, n)
        if not titles:
            words = sorted(dict.fromkeys(_WORD.findall(text)), key=lambda word: -len(word))
            titles = _voted([self._named(word, n) for word in words[:LOOSE_WORDS] if word != text])
        return titles[:n]

    def _named(self, query: str, n: int) -> list[str]:
        titles = self._package().search(query, results=n)
        if not self._is_wikipedia:  # the search that MediaWiki has of its own looks at titles unless told otherwise
            asked = {"list": "search", "srsearch": query, "srlimit": n, "srprop": "", "srwhat": "text"}
            titles += [hit["title"] for hit in self._request(asked)["query"]["search"]]
        return list(dict.fromkeys(titles))

    def _pages(self, title: str, query: str, seen: set[str], depth: int = 0) -> list[list[Passage]]:
        """The passages of each page that a title leads to; `seen` holds the titles that were asked or met."""
        client, title = self._package(), _plain_title(title)
        if not title or title in seen or depth > DEEPEST:
            return []
        seen.add(title)
        try:
            # auto_suggest, the package's default, asks the search and may open another page than the one named
            page = client.page(title, auto_suggest=False)
        except client.DisambiguationError as error:
            found: list[list[Passage]] = []
            for option in _best_first(error.options, query):
                found += self._pages(option, query, seen, depth + 1)
                if len(found) >= self.options:
                    break
            return found
        except (client.PageError, LookupError, AssertionError):
            # Beside missing pages: the package indexes replies unseen (titles that are not allowed, redirects that
            # go round in a circle or to another wiki) and asserts that the wiki writes a title as it did itself.
            return []
        if page.title != title and page.title in seen:
            return []
        seen.add(page.title)
        passages = list(self._passages(page))
        return [passages] if passages else []

    def _passages(self, page: Any) -> Iterator[Passage]:
        for piece in self.split(without(self._sections(page), self.leave_out)):
            if not piece.problem:
                yield Passage(
                    text=piece.text,
                    title=" > ".join([page.title, *piece.headings]),
                    source=self.name,
                    url=page.url + (anchor(piece.headings[-1]) if piece.headings else ""),
                    licence=self._licence(),
                )

    def _sections(self, page: Any) -> list[Section]:
        try:
            return extract_sections(page.content)
        except LookupError:  # a wiki without the extension TextExtracts
            return article_sections(page.html())

    def _licence(self) -> str:
        if self.licence is None:
            rights = self._request({"meta": "siteinfo", "siprop": "rightsinfo"})["query"].get("rightsinfo", {})
            self.licence = str(rights.get("text") or rights.get("url") or "")
        return self.licence

    def _package(self) -> ModuleType:
        """A copy of the package's module of our own: its address, cache and user agent are global variables."""
        client: Any = self._client
        if client is None:
            spec = importlib.util.find_spec("wikipedia.wikipedia")
            assert spec is not None and spec.loader is not None
            client = importlib.util.module_from_spec(spec)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old idioms of the package
                spec.loader.exec_module(client)
            client.API_URL = self.api_url
            client._wiki_request = self._request  # its own: no time-out, no retry, plain HTTP, errors unseen
            client.BeautifulSoup = option_titles  # it reads the text of links, where titles are needed
            client.search = client.search.fn  # its cache has no end and no expiry
            self._client = client
        return client

    def _request(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        asked = {"action": "query", **parameters, "format": "json"}
        if self.maxlag is not None:
            asked["maxlag"] = self.maxlag
        return self.web.get(self.api_url, asked, self._trouble)

    def _trouble(self, reply: dict[str, Any]) -> Busy | None:
        error = reply.get("error")
        if error is None and ("query" in reply or "batchcomplete" in reply):
            return None
        if not isinstance(error, dict):
            raise RetrievalError(f"{self.api_url} does not answer like the api.php of a MediaWiki: {str(reply)[:200]}")
        code, info = str(error.get("code", "")), str(error.get("info", ""))
        if code in BUSY_CODES or code.startswith("internal_api_error") or info.startswith(BUSY_WORDS):
            return Busy(f"{code}: {info}")
        raise RetrievalError(f"{self.api_url} refused the request: {code}: {info}")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}


def _with_hint(error: RetrievalError) -> RetrievalError:
    return RetrievalError(
        f"{error}. Offline, search local text: BM25(PythonDocs()) for the language reference that comes with Python, "
        "or BM25(Files(...)) for texts of your own."
    )


def _plain_title(title: str) -> str:
    """A title as MediaWiki writes it, so that it need not be normalised; empty if it cannot be one."""
    title = unicodedata.normalize("NFC", title).replace("_", " ").partition("#")[0]
    title = " ".join(title.split())
    return "" if _NOT_IN_TITLES.search(title) or len(title.encode("utf-8", "replace")) > 255 else title.lstrip(":")


def _best_first(options: Sequence[str], query: str) -> Iterator[str]:
    """Options that share more words with the query first; ties keep the order of the page, which is by importance."""
    wanted = set(_split_words(query))
    yield from sorted(dict.fromkeys(options), key=lambda option: -len(wanted & set(_split_words(option))))


def _by_words(query: str, passages: Sequence[Passage]) -> list[Passage]:
    """The passages that share words with the query, best first, by BM25+ over title and text (Lv and Zhai, 2011).

    Among a handful of passages the plain BM25 weighs a word that half of them have with nothing.
    """
    wanted = _split_words(query)
    texts = [_split_words(f"{passage.title} {passage.text}") for passage in passages]
    if not any(texts):
        return []
    scores = BM25Plus(texts).get_scores(wanted)
    sharing = [i for i, text in enumerate(texts) if not set(wanted).isdisjoint(text)]
    return [passages[i].scored(float(scores[i])) for i in sorted(sharing, key=lambda i: -scores[i])]


def _voted(rankings: Sequence[Sequence[str]]) -> list[str]:
    """Titles by the number of rankings that hold them, ties by their best rank."""
    best: dict[str, tuple[int, int]] = {}
    for ranking in rankings:
        for rank, title in enumerate(ranking):
            votes, first = best.get(title, (0, rank))
            best[title] = (votes + 1, min(first, rank))
    return sorted(best, key=lambda title: (-best[title][0], best[title][1]))
