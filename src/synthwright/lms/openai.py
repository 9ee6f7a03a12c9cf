"""Any endpoint that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, LM Studio, OpenAI, gateways."""

import asyncio
import http.client
import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from dspy import lm15
from dspy.lm15 import Message, Request, Response, Usage

from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms.calls import EngineLM, chat_messages, openai_response_format, raw_prompt

if TYPE_CHECKING:
    import aiohttp

__all__ = ["OpenAIEngine", "openai_lm"]

_SUPPORTED = frozenset(
    {"response_format", "temperature", "max_tokens", "seed", "stop", "top_p", "presence_penalty", "frequency_penalty"}
)


class OpenAIEngine:
    """Chat and raw completions over HTTP; this is the sync twin, for optimizers.

    Args:
        api_base: Root of the API, such as `http://localhost:8000/v1`.
        model: Model name that the server knows.
        api_key_env: Environment variable that holds the key; it is read at every call and never stored.
        timeout: Seconds for one request, from its start to the last byte.
        response_schema: Whether the server constrains replies to a JSON schema (vLLM, llama.cpp, Ollama and OpenAI do).
    """

    supports_raw = True
    supported_params = _SUPPORTED

    def __init__(
        self,
        api_base: str,
        model: str,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        timeout: float = 600.0,
        response_schema: bool = True,
    ) -> None:
        if not api_base.startswith(("http://", "https://")):
            raise ConfigError(f"`api_base` must begin with http:// or https://, got {api_base!r}.")
        self.api_base, self.model, self.api_key_env, self.timeout = api_base.rstrip("/"), model, api_key_env, timeout
        self.supports_response_schema = response_schema

    def complete(self, request: Request) -> Response:
        """Answer one request; blocks.

        Raises:
            dspy.lm15.LM15Error: Its subclass tells what failed: transport, time-out, rate limit, server, request.
        """
        path, body = self.body(request)
        call = urllib.request.Request(self.api_base + path, json.dumps(body).encode(), self.headers())
        try:
            try:
                with self._open(call, self.timeout) as reply:
                    status, headers, data = reply.status, dict(reply.headers), reply.read()
            except urllib.error.HTTPError as error:
                status, headers, data = error.code, dict(error.headers), error.read()
        except TimeoutError as error:
            raise lm15.TimeoutError(f"{self.api_base} did not answer within {self.timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise lm15.TransportError(f"{self.api_base}: {reason}") from error
        return self.response(request, status, headers, data)

    def check(self) -> None:
        """See whether anything answers at the address.

        Raises:
            UnusableLMError: Nothing does, or it refuses the key.
        """
        call = urllib.request.Request(f"{self.api_base}/models", headers=self.headers())
        try:
            with self._open(call, min(self.timeout, 20)):
                return
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise UnusableLMError(
                    f"{self.api_base} refuses the key ({error.code}). Set the environment variable {self.api_key_env}."
                ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise UnusableLMError(
                f"No LM answers at {self.api_base}: {reason}. "
                "Is the server running, and is the address right (it usually ends in /v1)?"
            ) from error

    def headers(self) -> dict[str, str]:
        """Headers of every request, with the key from the environment if there is one."""
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.api_key_env):
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def body(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Path below `api_base` and JSON body of a request."""
        config = request.config
        body = {
            "model": self.model,
            "max_tokens": config.max_tokens,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "seed": config.seed,
            "stop": list(config.stop) or None,
            "presence_penalty": config.presence_penalty,
            "frequency_penalty": config.frequency_penalty,
            "response_format": openai_response_format(request),
        }
        body = {name: value for name, value in body.items() if value is not None}
        prompt = raw_prompt(request)
        if prompt is not None:
            return "/completions", {**body, "prompt": prompt}
        return "/chat/completions", {**body, "messages": chat_messages(request)}

    def response(self, request: Request, status: int, headers: dict[str, str], data: bytes) -> Response:
        """A DSPy response from an HTTP reply.

        Raises:
            dspy.lm15.LM15Error: The status is an error, or the body is not a completion.
        """
        text = data.decode("utf-8", "replace")
        if key := os.environ.get(self.api_key_env):
            text = text.replace(key, f"[{self.api_key_env}]")  # some servers quote the request's headers in errors
        if status >= 400:
            raise _http_error(status, headers, text, self.api_base)
        try:
            reply = json.loads(text)
            choice = reply["choices"][0]
            content = choice["text"] if "text" in choice else choice["message"].get("content") or ""
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise lm15.ServerError(
                f"{self.api_base} answered {status} with something that is not a completion: {text[:200]!r}",
                status=status,
            ) from error
        usage = reply.get("usage") or {}
        return Response(
            id=reply.get("id"),
            model=request.model,
            message=Message.assistant(content.encode("utf-8", "replace").decode()),  # lone surrogates cannot be stored
            finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
            usage=Usage(input_tokens=usage.get("prompt_tokens"), output_tokens=usage.get("completion_tokens")),
        )

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt text that the server's chat template makes of messages; llama.cpp's server has the endpoint.

        Raises:
            UnusableLMError: The server does not tell its template.
        """
        root = self.api_base.removesuffix("/v1")
        call = urllib.request.Request(
            f"{root}/apply-template", json.dumps({"messages": messages}).encode(), self.headers()
        )
        try:
            with self._open(call, self.timeout) as reply:
                return json.load(reply)["prompt"]
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            raise UnusableLMError(
                f"{self.api_base} does not tell its chat template ({error}). Give the text that stands before a user "
                "turn yourself, as `prefix`."
            ) from error

    def proxy(self) -> str | None:
        """The proxy that the environment names for this address, never one for an address on this machine."""
        parts = urlsplit(self.api_base)
        host = parts.hostname or ""
        if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
            return None
        return urllib.request.getproxies().get(parts.scheme)

    def _open(self, call: urllib.request.Request, timeout: float) -> Any:
        proxy = self.proxy()
        handler = urllib.request.ProxyHandler({urlsplit(self.api_base).scheme: proxy} if proxy else {})
        return urllib.request.build_opener(handler).open(call, timeout=timeout)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OpenAIEngine":
        return self


class AsyncOpenAIEngine:
    """The asyncio twin of `OpenAIEngine`, on aiohttp: one session per event loop, connections not capped here."""

    supported_params = _SUPPORTED

    def __init__(self, engine: OpenAIEngine) -> None:
        self.engine = engine
        self.supports_response_schema = engine.supports_response_schema
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises what `OpenAIEngine.complete` raises."""
        import aiohttp

        engine = self.engine
        path, body = engine.body(request)
        url, options = engine.api_base + path, {"headers": engine.headers(), "proxy": engine.proxy()}
        try:
            async with self._session().post(url, json=body, **options) as reply:
                status, headers, data = reply.status, dict(reply.headers), await reply.read()
        except TimeoutError as error:
            raise lm15.TimeoutError(f"{engine.api_base} did not answer within {engine.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise lm15.TransportError(f"{engine.api_base}: {str(error) or type(error).__name__}") from error
        return engine.response(request, status, headers, data)

    def _session(self) -> "aiohttp.ClientSession":
        import aiohttp

        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
            timeout = aiohttp.ClientTimeout(total=self.engine.timeout, sock_connect=20)
            session = self._sessions[loop] = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return session

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


def _http_error(status: int, headers: dict[str, str], text: str, where: str) -> lm15.LM15Error:
    message = f"{where} answered {status}: {text[:300].strip() or 'nothing'}"
    retry_after = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        wait = float(retry_after) if retry_after is not None else None
    except ValueError:
        wait = None  # an HTTP date; our own back-off serves as well
    if status == 429:
        return lm15.RateLimitError(message, status=status, retry_after=wait)
    if status in (401, 403):
        return lm15.AuthError(message, status=status)
    if status == 408 or status >= 500:
        return lm15.ServerError(message, status=status, retry_after=wait)
    if "context" in text and ("length" in text or "exceed" in text):
        return lm15.ContextLengthError(message, status=status)
    return lm15.InvalidRequestError(message, status=status)


def openai_lm(
    model: str,
    api_base: str = "https://api.openai.com/v1",
    *,
    api_key_env: str = "OPENAI_API_KEY",
    timeout: float = 600.0,
    response_schema: bool = True,
    concurrency: int = 64,
    temperature: float | None = 1.0,
    max_tokens: int | None = 2048,
    **sampling: Any,
) -> EngineLM:
    """A model behind an OpenAI-compatible endpoint, as a `dspy.LM`.

    Args:
        model: Model name that the server knows.
        api_base: Root of the API, such as `http://localhost:8000/v1`.
        api_key_env: Environment variable that holds the key. Keys are never stored.
        timeout: Seconds for one request.
        response_schema: Whether the server constrains replies to a JSON schema.
        concurrency: Calls in flight that `generate` uses by default.
        temperature: Sampling temperature where a predictor does not set its own.
        max_tokens: Longest reply in tokens where a predictor does not set its own.
        **sampling: Other sampling arguments of `dspy.LM`, such as `top_p`.
    """
    engine = OpenAIEngine(api_base, model, api_key_env=api_key_env, timeout=timeout, response_schema=response_schema)
    return EngineLM(
        model,
        engine,
        AsyncOpenAIEngine(engine),
        concurrency=concurrency,
        temperature=temperature,
        max_tokens=max_tokens,
        **sampling,
    )
