"""What HTTP engines need besides the protocol: keys, the state of endpoints, errors, and a loop for plain calls."""

import asyncio
import contextlib
import math
import os
import ssl
import threading
import time
import urllib.request
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dspy import lm15

from synthwright.errors import ConfigError

__all__ = ["Credentials", "Endpoint", "Endpoints", "close_sessions", "http_error", "run_plain", "transport_error"]

_LEAST_SECRET = 12  # characters; shorter values, such as `EMPTY`, also occur in honest text
_REST = {True: (1.0, 60.0), False: (0.1, 5.0)}  # first and longest rest in seconds: unreachable, or answering errors

T = TypeVar("T")


class Credentials:
    """Headers that come from environment variables. They are read at every call and never stored.

    Args:
        api_key_env: Variable that holds the API key, sent as a bearer token.
        headers_env: Variables that hold whole header values, by the name of the header.
    """

    def __init__(self, api_key_env: str, headers_env: Mapping[str, str] | None = None) -> None:
        self.api_key_env, self.headers_env = api_key_env, dict(headers_env or {})

    def headers(self) -> dict[str, str]:
        """The headers that are set now."""
        headers = {}
        if key := _value(self.api_key_env):
            headers["Authorization"] = f"Bearer {key}"
        for name, variable in self.headers_env.items():
            if value := _value(variable):
                headers[name] = value
        return headers

    def clean(self, text: str) -> str:
        """A text without the secrets: some servers quote the headers of a request in their errors."""
        for variable in (self.api_key_env, *self.headers_env.values()):
            if value := _value(variable):
                text = text.replace(value, f"[{variable}]")
                rest = value.partition(" ")[2]
                if rest and len(rest) >= _LEAST_SECRET:  # "Basic ...": the second word alone is as bad
                    text = text.replace(rest, f"[{variable}]")
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            if "@" in (value := os.environ.get(name, "")) and (parts := urlsplit(value)).password:
                text = text.replace(f"{parts.username}:{parts.password}", f"[{name}]")
                text = text.replace(parts.password or "", f"[{name}]")
        return text

    def clean_body(self, data: bytes) -> bytes:
        """A good reply without the secrets that are too long to be there by chance."""
        for variable in (self.api_key_env, *self.headers_env.values()):
            value = _value(variable)
            if len(value) >= _LEAST_SECRET and value.encode() in data:
                data = data.replace(value.encode(), f"[{variable}]".encode())
        return data


def _value(variable: str) -> str:
    return os.environ.get(variable, "").strip()  # keys read from files end in a newline, which no header may hold


class Endpoint:
    """One address of an API and how it fares.

    Args:
        api_base: Root of the API, such as `http://localhost:8000/v1`.

    Raises:
        ConfigError: The address is not one, or it carries a password or a query: both would be stored.
    """

    def __init__(self, api_base: str) -> None:
        if not api_base.startswith(("http://", "https://")):
            raise ConfigError(f"`api_base` must begin with http:// or https://, got {api_base!r}.")
        parts = urlsplit(api_base)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ConfigError(
                f"`api_base` must be an address alone, without user, password or query: {parts.scheme}://"
                f"{parts.netloc.rpartition('@')[2]}{parts.path}. Put secrets into environment variables and name "
                'those: api_key_env="MY_KEY" or headers_env={"Authorization": "MY_HEADER"}.'
            )
        self.base = api_base.rstrip("/")
        self.in_flight = 0
        self.failures = 0
        self.rested_since = self.resting_until = 0.0

    def proxy(self) -> str | None:
        """The proxy that the environment names for this address, never one for an address on this machine."""
        parts = urlsplit(self.base)
        host = parts.hostname or ""
        if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
            return None
        return urllib.request.getproxies().get(parts.scheme)


class Endpoints:
    """Chooses the least loaded of several endpoints and rests those that fail. Thread-safe.

    A rest doubles with each failure in a row. After it one call tries the endpoint, and its success ends the matter.
    Where all rest, the one whose rest ends first is used: a call is never held back here.
    """

    def __init__(self, api_bases: Sequence[str]) -> None:
        if not api_bases:
            raise ConfigError("`api_base` must name at least one address, got an empty list.")
        self.all = [Endpoint(base) for base in api_bases]
        self._next = 0
        self._lock = threading.Lock()

    def take(self, tried: Sequence[Endpoint] = ()) -> Endpoint:
        """The endpoint for the next call; give it back with `give`.

        Args:
            tried: Endpoints that this call has tried; they are taken only if there is no other.
        """
        if len(self.all) == 1:
            endpoint = self.all[0]
        else:
            endpoint = self._choose(tried)
        with self._lock:
            endpoint.in_flight += 1
        return endpoint

    def _choose(self, tried: Sequence[Endpoint]) -> Endpoint:
        now = time.monotonic()
        self._next = (self._next + 1) % len(self.all)  # so that equal loads take turns
        ring = [e for e in (*self.all[self._next :], *self.all[: self._next]) if e not in tried] or self.all
        able = [e for e in ring if e.resting_until <= now and not (e.failures and e.in_flight)]
        if able:
            return min(able, key=lambda e: e.in_flight)
        return min(ring, key=lambda e: (e.resting_until, e.in_flight))

    def give(self, endpoint: Endpoint, since: float, error: BaseException | None) -> None:
        """Give back an endpoint after a call.

        Args:
            endpoint: What `take` gave.
            since: When the call began (`time.monotonic`).
            error: How it failed, or None.
        """
        with self._lock:
            endpoint.in_flight -= 1
            if since < endpoint.rested_since:
                return  # sent before the failure that is known already
            if error is None:
                endpoint.failures = 0
                return
            lost = isinstance(error, lm15.TransportError | lm15.TimeoutError)
            if not lost and not isinstance(error, lm15.RateLimitError | lm15.ServerError):
                return
            first, longest = _REST[lost]
            rest = min(first * 2 ** min(endpoint.failures, 10), longest)
            asked = getattr(error, "retry_after", None)
            endpoint.failures += 1
            endpoint.rested_since = time.monotonic()
            endpoint.resting_until = endpoint.rested_since + max(rest, min(asked or 0.0, 60.0))


def http_error(status: int, headers: Mapping[str, str], text: str, where: str) -> lm15.LM15Error:
    """The error for a reply with an error status.

    Args:
        status: HTTP status.
        headers: Headers of the reply, by names in any case.
        text: Body of the reply, without secrets.
        where: The address that answered.
    """
    message = f"{where} answered {status}: {text[:300].strip() or 'nothing'}"
    wait, low = _retry_after(headers), text.lower()
    if status == 402 or "insufficient_quota" in low:  # it looks like a rate limit and no waiting helps
        return lm15.BillingError(message, status=status)
    if status == 429:
        return lm15.RateLimitError(message, status=status, retry_after=wait)
    if status in (401, 403):
        return lm15.AuthError(message, status=status)
    if status == 408 or status >= 500:
        return lm15.ServerError(message, status=status, retry_after=wait)
    if 300 <= status < 400:
        return lm15.InvalidRequestError(f"{message}. Give the address that it redirects to.", status=status)
    if "context" in low and ("length" in low or "exceed" in low):
        return lm15.ContextLengthError(message, status=status)
    if status == 404 and "model" in low:
        return lm15.UnsupportedModelError(message, status=status)
    return lm15.InvalidRequestError(message, status=status)


def transport_error(error: BaseException, where: str, timeout: float) -> lm15.LM15Error:
    """The error for a call that got no whole reply.

    Args:
        error: What aiohttp, asyncio or the operating system raised.
        where: The address that was asked.
        timeout: Seconds that a call may take.
    """
    import aiohttp

    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return lm15.TransportError(f"{where}: no connection within 20 s")
    if isinstance(error, TimeoutError):
        return lm15.TimeoutError(f"{where} did not answer within {timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return lm15.ConfigurationError(
            f"{where}: its certificate is not trusted ({error}). If it is right, name its authority's file in the "
            "environment variable SSL_CERT_FILE."
        )
    reason = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError) and (code := error.os_error.errno):
        reason = os.strerror(code) if code > 0 else error.os_error.strerror or reason
    return lm15.TransportError(f"{where}: {reason}")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait; None for a date, where our own back-off serves as well."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        for given, value in headers.items():
            if given.lower() == name:
                try:
                    wait = float(value) / unit
                except ValueError:
                    return None
                return wait if math.isfinite(wait) and wait >= 0 else None
    return None


_LOCK = threading.Lock()
_LOOP: asyncio.AbstractEventLoop | None = None


def close_sessions(sessions: Mapping[asyncio.AbstractEventLoop, Any]) -> None:
    """Close aiohttp sessions from outside their loops, for engines that are dropped and at the end of the process."""
    for loop, session in list(sessions.items()):
        if session.closed or not loop.is_running():
            continue
        if asyncio._get_running_loop() is loop:
            loop.create_task(session.close())
            continue
        with contextlib.suppress(TimeoutError, RuntimeError):
            asyncio.run_coroutine_threadsafe(session.close(), loop).result(1)


def run_plain(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of an engine from plain code, on a loop of the engines' own, and wait for its result.

    A loop of its own and not the one that runs programs: a plain call inside a coroutine then blocks that coroutine's
    loop, as plain calls do, and not itself.
    """
    global _LOOP
    with _LOCK:
        if _LOOP is None:
            _LOOP = asyncio.new_event_loop()
            threading.Thread(target=_LOOP.run_forever, name="synthwright-http", daemon=True).start()
    future = asyncio.run_coroutine_threadsafe(coroutine, _LOOP)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _forget_loop() -> None:
    global _LOOP, _LOCK
    _LOOP, _LOCK = None, threading.Lock()  # the thread of the loop does not live on in a forked process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_loop)
