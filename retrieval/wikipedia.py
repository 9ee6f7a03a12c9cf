"""Passages from Wikipedia, or from any MediaWiki with text extracts, by the package wikipedia."""

import importlib
from collections.abc import Iterator
from typing import Any

from synthwright.errors import ConfigError, SynthwrightError
from synthwright.retrieval.passages import Passage, split_text

__all__ = ["RetrievalError", "Wikipedia"]

LICENCE = "CC BY-SA 4.0"
"""Licence of the text of Wikipedia's articles; another wiki may have another."""


class RetrievalError(SynthwrightError):
    """A source of passages could not be reached."""


class Wikipedia:
    """Searches a wiki and splits the pages found into passages.

    Args:
        language: Language code of Wikipedia, such as `en`.
        api_url: Address of another wiki's `api.php`; empty for Wikipedia.
        most_words: Words of a passage, as in `split_text`.
        licence: Licence that the passages carry.
    """

    def __init__(
        self, language: str = "en", *, api_url: str = "", most_words: int = 200, licence: str = LICENCE
    ) -> None:
        if not language.replace("-", "").isalnum():
            raise ConfigError(f"`language` must be a code such as 'en', got {language!r}.")
        self.language, self.api_url, self.most_words, self.licence = language, api_url, most_words, licence

    def search(self, query: str, k: int = 10) -> list[Passage]:
        """The first `k` passages of the pages that the wiki finds for a query, in the order of its ranking.

        A disambiguation page counts as the first of its options; pages that do not exist are passed over.

        Raises:
            RetrievalError: The wiki cannot be reached.
        """
        if k < 1:
            raise ConfigError(f"`k` must be at least 1, got {k!r}.")
        client = self._client()
        try:
            titles = client.search(query, results=min(k, 50))
            found: list[Passage] = []
            for title in titles:
                found += self._passages(client, title)
                if len(found) >= k:
                    break
            return found[:k]
        except (OSError, client.exceptions.HTTPTimeoutError) as error:
            raise RetrievalError(
                f"The wiki at {client.wikipedia.API_URL} cannot be reached ({error}). Offline, search local text: "
                "BM25(text_files(paths))."
            ) from error

    def _passages(self, client: Any, title: str) -> Iterator[Passage]:
        for _ in range(2):
            try:
                page = client.page(title, auto_suggest=False)
            except client.exceptions.PageError:
                return
            except client.exceptions.DisambiguationError as error:
                if not error.options:
                    return
                title = error.options[0]
                continue
            yield from split_text(
                page.content,
                most_words=self.most_words,
                title=page.title,
                source="wikipedia",
                url=page.url,
                licence=self.licence,
            )
            return

    def _client(self) -> Any:
        client = importlib.import_module("wikipedia")
        if self.api_url:
            client.wikipedia.API_URL = self.api_url
        else:
            client.set_lang(self.language)
        return client
