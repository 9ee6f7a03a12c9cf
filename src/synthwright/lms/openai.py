"""Any endpoint that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, LM Studio, OpenAI, gateways."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from dspy import lm15
from dspy.lm15 import Request, Response, TokenLogprob

from synthwright.errors import UnusableLMError
from synthwright.lms import wire
from synthwright.lms.calls import EngineLM
from synthwright.lms.http import Credentials, Endpoints, run_plain
from synthwright.lms.transport import Transport

__all__ = ["AsyncOpenAIEngine", "OpenAIEngine", "openai_lm"]

_SUPPORTED = frozenset(
    {"response_format", "temperature", "max_tokens", "seed", "stop", "top_p", "presence_penalty", "frequency_penalty"}
    | {"logprobs", "top_logprobs"}
)
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
        """The prompt text that the server's chat template makes of messages, without BOS where the server adds it.

        llama.cpp's server tells the text, vLLM the tokens and what text they are.

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
    """The asyncio twin of `OpenAIEngine`."""

    supported_params = _SUPPORTED
    context_free = True  # it looks at nothing but the request, so nobody need tell it who calls

    def __init__(self, engine: OpenAIEngine) -> None:
        self.engine = engine
        self.supports_response_schema = engine.supports_response_schema
        self._transport = Transport(engine.endpoints, engine.credentials, engine.timeout, engine.max_bytes)

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises what `OpenAIEngine.complete` raises."""
        path, body = wire.request_body(request, self.engine.model)
        responses = await self._transport.post(
            path, body, "a completion", lambda reply: wire.read_responses(reply, request)
        )
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
            responses = await self._transport.post(
                path, body, "a completion", lambda reply: wire.read_responses(reply, request)
            )
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
        return await self._transport.post(
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
            found = await self._transport.post(
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
                status, _, _ = await self._transport.send(endpoint, "GET", "/models", None, min(engine.timeout, _CHECK))
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
        try:
            return await self._ask("/apply-template", {"messages": messages}, "prompt", str)
        except (lm15.LM15Error, ValueError, KeyError, TypeError) as error:
            problem = self.engine.credentials.clean(str(error))
        try:
            return await self._template_from_tokens(messages)
        except (lm15.LM15Error, ValueError, KeyError, TypeError):
            raise UnusableLMError(
                f"{self.engine.endpoints.all[0].base} does not tell its chat template ({problem}). Give the text that "
                "stands before a user turn yourself, as `prefix`."
            ) from None

    async def _template_from_tokens(self, messages: list[dict[str, str]]) -> str:
        """The prompt text of a chat from a server that tells its tokens, without those it puts before every text."""
        model = {"model": self.engine.model}
        tokens = await self._ask("/tokenize", {**model, "messages": messages}, "tokens", list)
        added = await self._ask("/tokenize", {**model, "prompt": ""}, "tokens", list)
        if tokens[: len(added)] == added:  # the template writes BOS, and raw completions would get a second one
            tokens = tokens[len(added) :]
        return await self._ask("/detokenize", {**model, "tokens": tokens}, "prompt", str)

    async def _ask(self, path: str, body: dict[str, Any], field: str, kind: type[T]) -> T:
        """A field of what the first endpoint replies at a path beside its API.

        Raises:
            ValueError, KeyError, TypeError: It has nothing there, or replies something else.
            dspy.lm15.LM15Error: It was not reached.
        """
        endpoint = self.engine.endpoints.all[0]
        status, _, data = await self._transport.send(
            endpoint, "POST", path, wire.dump(body), self.engine.timeout, root=endpoint.base.removesuffix("/v1")
        )
        if status != 200:
            raise ValueError(f"status {status}")
        found = wire.load(data)[field]
        if not isinstance(found, kind):
            raise TypeError(f"`{field}` is {type(found).__name__}")
        return found

    async def aclose(self) -> None:
        """Close this loop's connections."""
        await self._transport.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"engine": self.engine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["engine"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "AsyncOpenAIEngine":
        return self


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
