"""Questions with accepted answers from Stack Exchange's API, by the package stackapi."""

import copy
import importlib.util
import re
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from synthwright.errors import ConfigError, MissingExtraError, RetrievalError
from synthwright.retrieval.base import Retriever
from synthwright.retrieval.cache import AnswerCache
from synthwright.retrieval.passages import Passage
from synthwright.retrieval.stack_posts import SOURCE, Post, post_passage
from synthwright.retrieval.web import Busy, Web, user_agent

__all__ = ["StackExchange"]

MOST_A_PAGE = 100
"""Entries of a page and ids of a request that the API allows."""

BUSY_ERRORS = frozenset({"throttle_violation", "temporarily_unavailable", "internal_error"})
_SECONDS = re.compile(r"available in (\d+) second")


class StackExchange(Retriever):
    """Searches a site of Stack Exchange for questions with an accepted answer.

    One search takes two requests: for the questions, in the site's order of relevance, and for their answers. The
    score of a passage is 1 / its rank. The API's `backoff` is waited for, answers are kept on disk, and when the
    daily quota (300 requests, or 10,000 with a key) is used up no more is asked until midnight UTC.

    Args:
        site: Name of the site as the API writes it, such as `stackoverflow` or `math`.
        key: Key of your application, for the larger quota. It is kept out of the cache and of messages.
        least_score: Least score of a question.
        least_answer_score: Least score of an accepted answer.
        tags: Only questions with all of these tags; empty for all.
        api_url: Address of the API, without its version.
        version: Version of the API.
        contact: Your mail address or page, for the user agent.
        cache_days: Days that answers are kept on disk; 0 keeps none.
        cache_directory: Where; None for the cache directory of synthwright.
        timeout: Seconds to wait for an answer.
        retries: Further tries of a request that failed, 0 or more.
        delay: Seconds between two requests, 0 or more. The API allows 30 a second from one address.

    Attributes:
        quota_remaining: Requests left today, as the API said last; None before the first request.

    Raises:
        ConfigError: An argument is wrong.
    """

    name = SOURCE

    def __init__(
        self,
        site: str = "stackoverflow",
        *,
        key: str = "",
        least_score: int = 0,
        least_answer_score: int = 0,
        tags: Sequence[str] = (),
        api_url: str = "https://api.stackexchange.com",
        version: str = "2.3",
        contact: str = "",
        cache_days: float = 30,
        cache_directory: str | None = None,
        timeout: float = 20.0,
        retries: int = 3,
        delay: float = 0.1,
    ) -> None:
        if not re.fullmatch(r"[a-z0-9.-]+", site):
            raise ConfigError(f"`site` must be a name such as 'stackoverflow', got {site!r}.")
        self.site, self.key, self.tags = site, key, tuple(tags)
        self.least_score, self.least_answer_score = least_score, least_answer_score
        self.api_url, self.version = api_url.rstrip("/"), version
        cache = AnswerCache(cache_directory, days=cache_days) if cache_days else None
        agent = user_agent(contact, "requests")
        self.web = Web(agent=agent, timeout=timeout, retries=retries, delay=delay, cache=cache)
        self.quota_remaining: int | None = None
        self._client: Any = None

    def _search_all(self, queries: list[str], k: int) -> list[list[Passage]]:
        try:
            return [self._search(query, k) for query in queries]
        except RetrievalError as error:
            raise RetrievalError(
                f"{error}. Offline, a data dump serves instead: BM25(StackExchangeDump('Posts.xml'))."
            ) from error

    def _search(self, query: str, k: int) -> list[Passage]:
        text = " ".join(query.encode("utf-8", "ignore").decode().split())
        if not text:
            return []
        wanted = {"q": text, "accepted": "true", "sort": "relevance", "order": "desc", "filter": "withbody"}
        if self.tags:
            wanted["tagged"] = ";".join(self.tags)
        most = 3 * k  # some have too low a score or lost their answer
        found = self._fetch("search/advanced", pages=-(-most // MOST_A_PAGE), pagesize=min(most, MOST_A_PAGE), **wanted)
        questions = [q for q in found if q.get("accepted_answer_id") and q.get("score", 0) >= self.least_score]
        answers: dict[int, Mapping[str, Any]] = {}
        passages: list[Passage] = []
        for start in range(0, len(questions), min(most, MOST_A_PAGE)):
            batch = questions[start : start + min(most, MOST_A_PAGE)]
            ids = [question["accepted_answer_id"] for question in batch]
            fetched = self._fetch("answers/{ids}", ids=ids, pagesize=MOST_A_PAGE, filter="withbody")
            answers.update({answer["answer_id"]: answer for answer in fetched})
            passages += self._passages(batch, answers)
            if len(passages) >= k:
                break
        return [passage.scored(1 / rank) for rank, passage in enumerate(passages[:k], 1)]

    def _passages(
        self, questions: Sequence[Mapping[str, Any]], answers: Mapping[int, Mapping[str, Any]]
    ) -> list[Passage]:
        passages = []
        for question in questions:
            answer = answers.get(question["accepted_answer_id"])  # None: it was deleted
            if answer is None or answer.get("score", 0) < self.least_answer_score:
                continue
            asked = _post(question, "question_id")
            passage = post_passage(asked, _post(answer, "answer_id"), "")
            if passage is not None:
                passages.append(passage.model_copy(update={"url": str(question.get("link") or "")}))
        return passages

    def _fetch(self, endpoint: str, *, pages: int = 1, **parameters: Any) -> list[dict[str, Any]]:
        client = copy.copy(self._package())  # its page limit is an attribute, which threads must not share
        client.max_pages = pages
        return client.fetch(endpoint, **parameters)["items"]

    def _package(self) -> Any:
        """A client of a copy of the package's module of our own, whose requests go through `Web`."""
        if self._client is None:
            spec = importlib.util.find_spec("stackapi")
            source = importlib.util.find_spec("stackapi.stackapi") if spec is not None else None
            if source is None or source.loader is None:
                raise MissingExtraError("stackapi", "stackexchange", "Searching Stack Exchange")
            module: Any = importlib.util.module_from_spec(source)
            source.loader.exec_module(module)
            # its requests have no time-out and no retry, and it sleeps for the backoff of one thread only
            module.requests = SimpleNamespace(
                get=self._get, exceptions=module.requests.exceptions, compat=module.requests.compat
            )
            module.sleep = lambda seconds: None
            try:
                self._client = module.StackAPI(self.site, version=self.version, base_url=self.api_url, key=self.key)
            except ValueError as error:
                raise ConfigError(f"Stack Exchange has no site {self.site!r}, such as 'stackoverflow'.") from error
        return self._client

    def _get(self, url: str, params: Mapping[str, Any], **_: Any) -> SimpleNamespace:
        """What the package needs of `requests.get`."""
        public = {name: value for name, value in params.items() if name != "key"}
        secret = {"key": params["key"]} if "key" in params else {}
        reply = self.web.get(url, public, self._trouble, secret=secret, heard=self._heard)
        return SimpleNamespace(url=url, encoding=None, json=lambda: reply)

    def _trouble(self, reply: dict[str, Any]) -> Busy | None:
        name, message = reply.get("error_name"), str(reply.get("error_message", ""))
        if name in BUSY_ERRORS:
            seconds = _SECONDS.search(message)
            return Busy(f"{name}: {message}", float(seconds[1]) if seconds else None)
        if name is not None or "error_id" in reply:
            raise RetrievalError(f"{self.api_url} refused the request: {name}: {message}")
        if "items" not in reply:
            raise RetrievalError(f"{self.api_url} does not answer like Stack Exchange: {str(reply)[:200]}")
        return None

    def _heard(self, reply: dict[str, Any]) -> Busy | None:
        self.quota_remaining = reply.get("quota_remaining", self.quota_remaining)
        if self.quota_remaining == 0:
            more = "" if self.key else "; a key of your own raises it"
            return Busy(f"the daily quota of {reply.get('quota_max')} requests is used up{more}", _until_midnight())
        backoff = reply.get("backoff")
        return Busy("backoff", float(backoff)) if backoff else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}


def _post(entry: Mapping[str, Any], number: str) -> Post:
    return Post(
        entry[number], str(entry.get("body", "")), str(entry.get("content_license", "")), str(entry.get("title", ""))
    )


def _until_midnight() -> float:
    """Seconds until the next midnight UTC, when quotas begin anew."""
    return 86400 - time.time() % 86400
