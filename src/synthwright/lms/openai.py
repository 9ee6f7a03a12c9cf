"""Any endpoint that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, LM Studio, OpenAI, gateways."""

import asyncio
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from dspy import lm15
from dspy.lm15 import Request, Response, TokenLogprob

from synthwright.errors import UnusableLMError
from synthwright.lms import wire
from synthwright.lms.calls import EngineLM, UnreachableError
from synthwright.lms.http import (
    Credentials,
    Endpoint,
    Endpoints,
    close_sessions,
    http_error,
    run_plain,
    transport_error,
)

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AsyncOpenAIEngine", "OpenAIEngine", "openai_lm"]

_SUPPORTED = frozenset(
    {"response_format", "temperature", "max_tokens", "seed", "stop", "top_p", "presence_penalty", "frequency_penalty"}
    | {"logprobs", "top_logprobs"}
)
_CONNECT = 20.0  # seconds
_IDLE = 3.0  # seconds an idle connection is kept; common servers close theirs after 5, and a call then meets the close
_CHECK = 20.0  # seconds

T = TypeVar("T")


class OpenAIEngine:
    """Chat and raw completions over HTTP; this is the sync twin, for optimizers and plain `forward` programs.

    Args:
        api_base: Root of the API, such as `http://localhost:8000/v1`, or several that serve the same model: each call
            goes to the least loaded of those that work.
        model: Model name that the server knows.
        api_key_env: Environment variable that holds the key; it is read at every call and never stored.
        headers_env: More headers, as names of the environment variables that hold their values.
        timeout: Seconds for one request, from its start to the last byte.
        max_bytes: Longest reply in bytes.
        response_schema: Whether the server constrains replies to a JSON schema (vLLM, llama.cpp, Ollama and OpenAI do).
        many: Whether the server writes several completions for one request (`n`). If it turns out that it does not,
            `supports_many` becomes False.

    Attributes:
        twin: The asyncio engine of the same endpoints.

    Raises:
        ConfigError: An address is not one, or carries a password.
    """

    supports_raw = True
    supported_params = _SUPPORTED

    def __init__(
        self,
        api_base: str | Sequence[str],
        model: str,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        headers_env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
        max_bytes: int = 32 << 20,
        response_schema: bool = True,
        many: bool = True,
    ) -> None:
        self.endpoints = Endpoints([api_base] if isinstance(api_base, str) else list(api_base))
        self.model, self.timeout, self.max_bytes = model, timeout, max_bytes
        self.credentials = Credentials(api_key_env, headers_env)
        self.supports_response_schema, self.supports_many = response_schema, many
        self.twin = AsyncOpenAIEngine(self)

    @property
    def api_base(self) -> str:
        """The address, or the addresses with commas between."""
        return ", ".join(endpoint.base for endpoint in self.endpoints.all)

    def complete(self, request: Request) -> Response:
        """Answer one request; blocks.

        Raises:
            dspy.lm15.LM15Error: Its subclass tells what failed: transport, time-out, rate limit, server, request.
        """
        return run_plain(self.twin.complete(request))

    def complete_many(self, request: Request, n: int) -> list[Response]:
        """Answer one request with up to `n` completions; see `AsyncOpenAIEngine.complete_many`."""
        return run_plain(self.twin.complete_many(request, n))

    def embed(self, texts: Sequence[str], dimensions: int | None = None) -> list[list[float]]:
        """A vector for each text, in one request; see `AsyncOpenAIEngine.embed`."""
        return run_plain(self.twin.embed(texts, dimensions))

    def prompt_logprobs(self, text: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """The scored tokens of `continuation` after `text`; see `AsyncOpenAIEngine.prompt_logprobs`."""
        return run_plain(self.twin.prompt_logprobs(text, continuation))

    def check(self) -> None:
        """See whether anything answers at the address; with several, whether one of them does.

        Raises:
            UnusableLMError: Nothing does, or it refuses the key.
        """
        run_plain(self.twin.check())

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt text that the server's chat template makes of messages; llama.cpp's server has the endpoint.

        Raises:
            UnusableLMError: The server does not tell its template.
        """
        return run_plain(self.twin.template(messages))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "api_base": [endpoint.base for endpoint in self.endpoints.all],
            "model": self.model,
            "api_key_env": self.credentials.api_key_env,
            "headers_env": self.credentials.headers_env,
            "timeout": self.timeout,
            "max_bytes": self.max_bytes,
            "response_schema": self.supports_response_schema,
            "many": self.supports_many,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OpenAIEngine":
        return self


class AsyncOpenAIEngine:
    """The asyncio twin of `OpenAIEngine`, on aiohttp: one session per event loop.

    A connection serves one call at a time and is used again, so there are never more of them than calls in flight:
    what limits the calls limits the connections.
    """

    supported_params = _SUPPORTED
    context_free = True  # it looks at nothing but the request, so nobody need tell it who calls

    def __init__(self, engine: OpenAIEngine) -> None:
        self.engine = engine
        self.supports_response_schema = engine.supports_response_schema
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()
        self._proxies: dict[Endpoint, str | None] = {}
        weakref.finalize(self, close_sessions, self._sessions)

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises what `OpenAIEngine.complete` raises."""
        path, body = wire.request_body(request, self.engine.model)
        responses = await self._post(path, body, "a completion", lambda reply: wire.read_responses(reply, request))
        return responses[0]

    async def complete_many(self, request: Request, n: int) -> list[Response]:
        """Answer one request with several completions: the prompt is sent and paid once.

        Their usages sum to exactly what the server reported.

        Args:
            request: The request; its seed is that of the first completion.
            n: Completions wanted, 1 or more.

        Returns:
            1 to `n` responses. Fewer than `n` come from a server that does not know `n`, and from then on
            `supports_many` of the engine is False; ask it for the rest one by one.

        Raises:
            dspy.lm15.LM15Error: As `complete`.
        """
        engine = self.engine
        if n < 2 or not engine.supports_many:
            return [await self.complete(request)]
        path, body = wire.request_body(request, engine.model, n)
        try:
            responses = await self._post(path, body, "a completion", lambda reply: wire.read_responses(reply, request))
        except lm15.InvalidRequestError as error:
            if isinstance(error, lm15.ContextLengthError | lm15.UnsupportedModelError):
                raise
            responses = [await self.complete(request)]  # if it was not `n` that the server disliked, this says so
        if len(responses) < n:
            engine.supports_many = False
        return responses[:n]

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> list[list[float]]:
        """A vector for each text, from `/embeddings`, in one request.

        Args:
            texts: As many as the server takes at once; a few dozen are safe everywhere.
            dimensions: Length of the vectors, for models that can shorten theirs.

        Raises:
            dspy.lm15.LM15Error: As `complete`.
        """
        if not texts:
            return []
        body: dict[str, Any] = {"model": self.engine.model, "input": list(texts), "encoding_format": "float"}
        if dimensions is not None:
            body["dimensions"] = dimensions
        return await self._post(
            "/embeddings", body, "embeddings", lambda reply: wire.read_embeddings(reply, len(texts))
        )

    async def prompt_logprobs(self, text: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """The tokens of `continuation` with their log-probabilities (natural logarithm) after `text`.

        It needs a server that scores what it echoes on `/completions`: vLLM and SGLang do. llama.cpp's server does not
        (ggml-org/llama.cpp#27174), and hosted chat APIs have no raw completions. The text goes to the model as it is,
        without a chat template.

        Returns:
            The tokens; the first one begins in `text` if a token spans both.

        Raises:
            dspy.lm15.UnsupportedFeatureError: The server does not score prompts.
            dspy.lm15.LM15Error: As `complete`.
        """
        body = wire.echo_body(self.engine.model, text + continuation)
        try:
            found = await self._post(
                "/completions", body, "a completion", lambda reply: wire.read_echo(reply, text, continuation)
            )
        except lm15.InvalidRequestError as error:
            if "echo" not in str(error).lower():
                raise
            found = None
        if found is None:
            raise lm15.UnsupportedFeatureError(
                f"{self.engine.api_base} does not give log-probabilities of a prompt: they need a server that supports "
                "`echo` with `logprobs` on /completions, such as vLLM or SGLang.",
                feature="prompt_logprobs",
            )
        return found

    async def check(self) -> None:
        """See whether anything answers; raises what `OpenAIEngine.check` raises."""
        engine, problems = self.engine, []
        for endpoint in engine.endpoints.all:
            try:
                status, _, _ = await self._send(endpoint, "GET", "/models", None, min(engine.timeout, _CHECK))
            except lm15.LM15Error as error:
                problems.append(error.message)
                continue
            if status in (401, 403):
                raise UnusableLMError(
                    f"{endpoint.base} refuses the key ({status}). Set the environment variable "
                    f"{engine.credentials.api_key_env}."
                )
        if len(problems) == len(engine.endpoints.all):
            raise UnusableLMError(
                f"No LM answers at {'; '.join(problems)}. "
                "Is the server running, and is the address right (it usually ends in /v1)?"
            )

    async def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt text of a chat; raises what `OpenAIEngine.template` raises."""
        engine = self.engine
        endpoint = engine.endpoints.all[0]
        root, body = endpoint.base.removesuffix("/v1"), wire.dump({"messages": messages})
        try:
            status, _, data = await self._send(endpoint, "POST", "/apply-template", body, engine.timeout, root=root)
            if status != 200:
                raise ValueError(f"status {status}")
            return wire.load(data)["prompt"]
        except (lm15.LM15Error, ValueError, KeyError, TypeError) as error:
            raise UnusableLMError(
                f"{endpoint.base} does not tell its chat template ({engine.credentials.clean(str(error))}). Give the "
                "text that stands before a user turn yourself, as `prefix`."
            ) from None

    async def _post(self, path: str, body: dict[str, Any], what: str, read: Callable[[Any], T]) -> T:
        """Send a request to an endpoint, or to another if the first cannot be connected to, and read the reply."""
        engine, data = self.engine, wire.dump(body)
        tried: list[Endpoint] = []
        while True:
            endpoint = engine.endpoints.take(tried)
            since, problem = time.monotonic(), None
            try:
                status, headers, reply = await self._send(endpoint, "POST", path, data, engine.timeout)
                return self._read(endpoint, status, headers, reply, what, read)
            except lm15.LM15Error as error:
                problem = error
                tried.append(endpoint)
                if not isinstance(error, UnreachableError) or len(tried) >= len(engine.endpoints.all):
                    raise
            finally:
                engine.endpoints.give(endpoint, since, problem)

    def _read(
        self,
        endpoint: Endpoint,
        status: int,
        headers: Mapping[str, str],
        data: bytes,
        what: str,
        read: Callable[[Any], T],
    ) -> T:
        credentials = self.engine.credentials
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

    async def _send(
        self, endpoint: Endpoint, method: str, path: str, data: bytes | None, timeout: float, *, root: str | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp

        engine = self.engine
        session = self._session()
        limit = None if timeout == engine.timeout else aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT)
        options: dict[str, Any] = {"timeout": limit} if limit else {}
        if proxy := self._proxies[endpoint]:
            options["proxy"] = proxy
        try:
            async with session.request(
                method,
                (root or endpoint.base) + path,
                data=data,
                headers=engine.credentials.headers(),
                allow_redirects=False,
                **options,
            ) as reply:
                return reply.status, reply.headers, await _read_body(reply, engine.max_bytes, endpoint.base)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            found = transport_error(error, endpoint.base, timeout)
            unconnected = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            lost = isinstance(found, lm15.TransportError)
            kind = UnreachableError if lost and unconnected else type(found)
            # without its cause: what aiohttp says of proxies and headers can hold secrets
            raise kind(engine.credentials.clean(found.message)) from None

    def _session(self) -> "aiohttp.ClientSession":
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            session = self._sessions[loop] = self._open()
        return session

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        engine = self.engine
        self._proxies = {endpoint: endpoint.proxy() for endpoint in engine.endpoints.all}  # costly: not at each call
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE),
            timeout=aiohttp.ClientTimeout(total=engine.timeout, sock_connect=_CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "synthwright"},
        )

    async def aclose(self) -> None:
        """Close this loop's connections."""
        if session := self._sessions.pop(asyncio.get_running_loop(), None):
            await session.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"engine": self.engine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["engine"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "AsyncOpenAIEngine":
        return self


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


def openai_lm(
    model: str,
    api_base: str | Sequence[str] = "https://api.openai.com/v1",
    *,
    api_key_env: str = "OPENAI_API_KEY",
    headers_env: Mapping[str, str] | None = None,
    timeout: float = 600.0,
    response_schema: bool = True,
    many: bool = True,
    concurrency: int = 64,
    temperature: float | None = 1.0,
    max_tokens: int | None = 2048,
    **sampling: Any,
) -> EngineLM:
    """A model behind an OpenAI-compatible endpoint, as a `dspy.LM`.

    ```python
    lm = openai_lm("Qwen/Qwen3-8B", ["http://gpu1:8000/v1", "http://gpu2:8000/v1"], concurrency=256)
    ```

    Args:
        model: Model name that the server knows.
        api_base: Root of the API, such as `http://localhost:8000/v1`. Several serve the same model side by side: each
            call goes to the least loaded of those that work.
        api_key_env: Environment variable that holds the key. Keys are never stored.
        headers_env: More headers, as names of the environment variables that hold their values:
            `{"X-Api-Key": "GATEWAY_KEY"}`.
        timeout: Seconds for one request.
        response_schema: Whether the server constrains replies to a JSON schema.
        many: Whether the server writes several completions for one request.
        concurrency: Calls in flight that `generate` uses by default.
        temperature: Sampling temperature where a predictor does not set its own.
        max_tokens: Longest reply in tokens where a predictor does not set its own.
        **sampling: Other sampling arguments of `dspy.LM`, such as `top_p`.
    """
    engine = OpenAIEngine(
        api_base,
        model,
        api_key_env=api_key_env,
        headers_env=headers_env,
        timeout=timeout,
        response_schema=response_schema,
        many=many,
    )
    return EngineLM(
        model, engine, engine.twin, concurrency=concurrency, temperature=temperature, max_tokens=max_tokens, **sampling
    )
