"""Asking a web service politely: one request at a time, patient where it is busy, and never for ever."""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from synthwright.errors import ConfigError, RetrievalError
from synthwright.retrieval.cache import AnswerCache

if TYPE_CHECKING:
    import requests

__all__ = ["Busy", "Web", "user_agent"]

BUSY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
FIRST_WAIT = 0.5
"""Seconds before the second try; each further wait is twice as long."""

LONGEST_WAIT = 60.0
"""Seconds. A service that asks for more patience than this (or than the retries have) is an error, said at once."""

MOST_BYTES = 64 * 2**20
"""Bytes of one answer; more is refused. The longest article is some 2 MB of text."""


@dataclass(frozen=True)
class Busy:
    """A reply that says: not now.

    Attributes:
        reason: What the service says.
        wait: Seconds that it asks us to wait; None where it does not say.
    """

    reason: str
    wait: float | None = None


@dataclass
class _Gate:
    """What all requests to one host share: only one goes at a time, over one connection."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0  # on the monotonic clock, as the next one
    rest: Busy = Busy("")  # why nothing may be asked until then
    failed_at: float = 0.0
    failure: str = ""
    session: "requests.Session | None" = None


_GATES: dict[str, _Gate] = {}
_GATES_LOCK = threading.Lock()


def _forget_gates() -> None:
    """A forked process begins anew: a connection or a held lock must not be shared with its parent."""
    global _GATES_LOCK
    _GATES.clear()
    _GATES_LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_gates)


class Web:
    """Gets JSON from a web service.

    Requests of all threads to one host go one after another (Wikimedia's API etiquette asks for series, not parallel
    requests). What times out, is refused or is busy is tried again with growing waits, and `Retry-After` is honoured.
    Connections belong to the process, not to this object, which can be pickled.

    Args:
        agent: The `User-Agent` header, see `user_agent`.
        timeout: Seconds to wait for a connection and for each piece of the answer; all of it may take three times
            as long.
        retries: Further tries after a failed one, 0 or more.
        delay: Seconds between the end of one request to a host and the start of the next.
        cache: Where answers are kept; None keeps none.
    """

    def __init__(
        self, *, agent: str, timeout: float = 20.0, retries: int = 3, delay: float = 0.1, cache: AnswerCache | None
    ) -> None:
        if not timeout > 0 or retries < 0 or delay < 0:
            raise ConfigError(
                f"Need timeout > 0, retries >= 0 and delay >= 0; got {timeout!r}, {retries!r}, {delay!r}."
            )
        self.agent, self.timeout, self.retries, self.delay, self.cache = agent, timeout, retries, delay, cache

    def get(
        self,
        url: str,
        parameters: Mapping[str, Any],
        busy: Callable[[dict[str, Any]], Busy | None],
        *,
        secret: Mapping[str, Any] | None = None,
        heard: Callable[[dict[str, Any]], Busy | None] = lambda reply: None,
    ) -> dict[str, Any]:
        """The JSON object at an address.

        Args:
            url: Address without parameters.
            parameters: Parameters of the query; they identify the answer in the cache.
            busy: Looks at a reply: None if it is good. It may raise `RetrievalError`, which is not tried again.
            secret: Parameters that are sent too and kept out of the cache and of messages.
            heard: Is given every good reply that came from the service and not from the cache; says whether the
                service wants to be left alone, and how long.

        Raises:
            RetrievalError: There is no good answer; the message says why.
        """
        key = json.dumps([url, {name: str(value) for name, value in sorted(parameters.items())}])
        if self.cache is not None and (kept := self.cache.get(key)) is not None:
            return kept
        reply = self._ask(url, {**parameters, **(secret or {})}, busy, heard)
        if self.cache is not None:
            self.cache.put(key, reply)
        return reply

    def _ask(
        self,
        url: str,
        parameters: dict[str, Any],
        busy: Callable[..., Busy | None],
        heard: Callable[[dict[str, Any]], Busy | None],
    ) -> dict[str, Any]:
        gate, asked_at, last = _gate(url), time.monotonic(), ""
        for attempt in range(self.retries + 1):
            with gate.lock:
                if gate.failed_at > asked_at:  # another thread gave up while this one stood in line
                    raise RetrievalError(gate.failure)
                pause = gate.free_at - time.monotonic()
                if pause > LONGEST_WAIT:
                    raise RetrievalError(f"{_host(url)} must be left alone for {pause:.0f} seconds: {gate.rest.reason}")
                time.sleep(max(0.0, pause))
                try:
                    reply = self._once(gate, url, parameters, busy)
                finally:
                    gate.free_at = time.monotonic() + self.delay
                if not isinstance(reply, Busy):
                    gate.rest = heard(reply) or Busy("")
                    gate.free_at = max(gate.free_at, time.monotonic() + (gate.rest.wait or 0.0))
                    return reply
                last = reply.reason
                wait = reply.wait if reply.wait is not None else FIRST_WAIT * 2**attempt
                if wait > LONGEST_WAIT:
                    last += f" (it asks to wait {wait:.0f} seconds)"
                if wait > LONGEST_WAIT or attempt == self.retries:
                    tries = f"{attempt + 1} tries" if attempt else "1 try"
                    gate.failed_at, gate.failure = time.monotonic(), f"{_host(url)} did not answer in {tries}: {last}"
                    raise RetrievalError(gate.failure)
                gate.free_at = time.monotonic() + max(wait, self.delay)  # for every thread
        raise AssertionError("the last try returns or raises")

    def _once(
        self, gate: _Gate, url: str, parameters: dict[str, Any], busy: Callable[..., Busy | None]
    ) -> dict[str, Any] | Busy:
        import requests

        if gate.session is None:
            gate.session = requests.Session()
        try:
            with gate.session.get(
                url, params=parameters, headers={"User-Agent": self.agent}, timeout=self.timeout, stream=True
            ) as response:
                body = self._body(response)
        except (requests.Timeout, TimeoutError):
            return Busy(f"no answer within {self.timeout:g} seconds")
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            raise ConfigError(f"{url!r} is not an address of a web service, such as 'https://...'.") from None
        except requests.RequestException as error:
            return Busy(_words(error))
        wait = _retry_after(response.headers.get("Retry-After"))
        try:
            reply = json.loads(body)
        except ValueError:
            reply = None
        if isinstance(reply, dict):
            found = busy(reply)  # services explain themselves in the body, whatever the status
            if found is not None:
                return Busy(found.reason, found.wait if found.wait is not None else wait)
        if response.status_code in BUSY_STATUSES:
            return Busy(f"HTTP {response.status_code} {response.reason}", wait)
        if response.status_code != 200 or not isinstance(reply, dict):
            start = " ".join(body[:200].decode("utf-8", "replace").split())
            raise RetrievalError(f"{_host(url)} answered HTTP {response.status_code} without data: {start!r}")
        return reply

    def _body(self, response: "requests.Response") -> bytes:
        until = time.monotonic() + 3 * self.timeout
        body = bytearray()
        for piece in response.iter_content(2**16):
            body += piece
            if time.monotonic() > until:
                raise TimeoutError
            if len(body) > MOST_BYTES:
                raise RetrievalError(f"{_host(response.url)} answered more than {MOST_BYTES // 2**20} MB; refused.")
        return bytes(body)


def user_agent(contact: str, client: str) -> str:
    """A `User-Agent` as Wikimedia's policy asks for: who this is, whom to ask, and with which library.

    Args:
        contact: A mail address or page of the person who runs this; empty for none.
        client: The package that shapes the requests.

    Raises:
        ConfigError: The contact holds a line break, which would forge headers.
    """
    if not contact.isprintable() or not contact.isascii():
        raise ConfigError(f"`contact` must be one line of plain ASCII, such as a mail address; got {contact!r}.")
    about = "; ".join(filter(None, ["Python library for training data", contact]))
    return f"synthwright/{version('synthwright')} ({about}) {client}/{version(client)} requests/{version('requests')}"


def _gate(url: str) -> _Gate:
    with _GATES_LOCK:
        return _GATES.setdefault(urlsplit(url).netloc, _Gate())


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _words(error: Exception) -> str:
    """What went wrong, without the address, which may hold a key."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    cause = str(reason).rpartition(": ")[2] if reason is not None else ""
    return f"{type(error).__name__}{': ' if cause else ''}{cause}"


def _retry_after(header: str | None) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or a date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
