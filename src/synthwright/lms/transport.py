"""JSON over HTTP on aiohttp: one session per event loop, the endpoints of one API, errors without secrets."""

import asyncio
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from dspy import lm15

from synthwright.lms import wire
from synthwright.lms.calls import UnreachableError
from synthwright.lms.http import Credentials, Endpoint, Endpoints, close_sessions, http_error, transport_error

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Transport"]

_CONNECT = 20.0  # seconds
_IDLE = 3.0  # seconds an idle connection is kept; common servers close theirs after 5, and a call then meets the close

T = TypeVar("T")


class Transport:
    """Sends requests to the endpoints of one API and reads the replies.

    A connection serves one call at a time and is used again, so there are never more of them than calls in flight:
    what limits the calls limits the connections.

    Args:
        endpoints: The addresses.
        credentials: Headers that hold secrets.
        timeout: Seconds for one request, from its start to the last byte.
        max_bytes: Longest reply in bytes.
    """

    def __init__(self, endpoints: Endpoints, credentials: Credentials, timeout: float, max_bytes: int) -> None:
        self.endpoints, self.credentials, self.timeout, self.max_bytes = endpoints, credentials, timeout, max_bytes
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()
        self._proxies: dict[Endpoint, str | None] = {}
        weakref.finalize(self, close_sessions, self._sessions)

    async def post(self, path: str, body: dict[str, Any], what: str, read: Callable[[Any], T]) -> T:
        """Send a request to an endpoint, or to another if the first cannot be connected to, and read the reply.

        Args:
            path: Path below the API's root.
            body: The JSON body.
            what: What the reply should be, for errors.
            read: Reads it; what it raises of `ValueError` and the like means that the reply is something else.

        Raises:
            dspy.lm15.LM15Error: Its subclass tells what failed.
        """
        data = wire.dump(body)
        tried: list[Endpoint] = []
        while True:
            endpoint = self.endpoints.take(tried)
            since, problem = time.monotonic(), None
            try:
                status, headers, reply = await self.send(endpoint, "POST", path, data, self.timeout)
                return self._read(endpoint, status, headers, reply, what, read)
            except lm15.LM15Error as error:
                problem = error
                tried.append(endpoint)
                if not isinstance(error, UnreachableError) or len(tried) >= len(self.endpoints.all):
                    raise
            finally:
                self.endpoints.give(endpoint, since, problem)

    def _read(
        self,
        endpoint: Endpoint,
        status: int,
        headers: Mapping[str, str],
        data: bytes,
        what: str,
        read: Callable[[Any], T],
    ) -> T:
        credentials = self.credentials
        if status < 300:
            data = credentials.clean_body(data)
            try:
                reply = wire.load(data)
                told = reply.get("error")  # some gateways answer 200 with the error of the server behind them
                if told and not reply.get("choices"):
                    code = told.get("code") if isinstance(told, dict) else None
                    status = code if isinstance(code, int) and 400 <= code < 600 else 502
                else:
                    return read(reply)
            except (ValueError, KeyError, IndexError, TypeError, AttributeError):
                text = credentials.clean(data[:2000].decode("utf-8", "replace"))
                raise lm15.ServerError(
                    f"{endpoint.base} answered {status} with something that is not {what}: {text[:200]!r}",
                    status=status,
                ) from None
        text = credentials.clean(data[:2000].decode("utf-8", "replace"))
        raise http_error(status, headers, text, endpoint.base)

    async def send(
        self, endpoint: Endpoint, method: str, path: str, data: bytes | None, timeout: float, *, root: str | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request to one endpoint; returns status, headers and body, whatever they are.

        Raises:
            dspy.lm15.LM15Error: There was no whole reply.
        """
        import aiohttp

        session = self._session()
        limit = None if timeout == self.timeout else aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT)
        options: dict[str, Any] = {"timeout": limit} if limit else {}
        if proxy := self._proxies[endpoint]:
            options["proxy"] = proxy
        try:
            async with session.request(
                method,
                (root or endpoint.base) + path,
                data=data,
                headers=self.credentials.headers(),
                allow_redirects=False,
                **options,
            ) as reply:
                return reply.status, reply.headers, await _read_body(reply, self.max_bytes, endpoint.base)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            found = transport_error(error, endpoint.base, timeout)
            unconnected = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            lost = isinstance(found, lm15.TransportError)
            kind = UnreachableError if lost and unconnected else type(found)
            # without its cause: what aiohttp says of proxies and headers can hold secrets
            raise kind(self.credentials.clean(found.message)) from None

    def _session(self) -> "aiohttp.ClientSession":
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            session = self._sessions[loop] = self._open()
        return session

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        self._proxies = {endpoint: endpoint.proxy() for endpoint in self.endpoints.all}  # costly: not at each call
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE),
            timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=_CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "synthwright"},
        )

    async def close(self) -> None:
        """Close this loop's connections."""
        if session := self._sessions.pop(asyncio.get_running_loop(), None):
            await session.close()


async def _read_body(reply: "aiohttp.ClientResponse", limit: int, where: str) -> bytes:
    length = reply.content_length
    if length is not None and length <= limit and "Content-Encoding" not in reply.headers:
        return await reply.read()
    parts, size = [], length or 0
    if size <= limit:
        size = 0
        async for part in reply.content.iter_any():
            size += len(part)
            if size > limit:
                break
            parts.append(part)
    if size > limit:
        reply.close()  # the rest would come on this connection
        raise lm15.ServerError(f"{where} sent more than {limit} bytes for one reply", status=reply.status)
    return b"".join(parts)
