"""The embedded LM: SmolLM2-135M-Instruct through llama.cpp, in this process.

A real language model, small and weak: good enough to run every method for real and to show an optimizer lifting a
metric, not to make data worth training on.
"""

import asyncio
import importlib
import json
import os
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dspy import lm15
from dspy.lm15 import Message, Request, Response, Usage

from synthwright.errors import ConfigError, MissingExtraError, ModelFileError
from synthwright.lms import weights
from synthwright.lms.calls import EngineLM, chat_messages, openai_response_format, raw_prompt

__all__ = ["EmbeddedEngine", "embedded_lm"]

_SUPPORTED = frozenset(
    {"response_format", "temperature", "max_tokens", "seed", "stop", "top_p", "top_k", "presence_penalty"}
)


def usable_cores() -> int:
    """Cores that this process may run on (its affinity mask), at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


class EmbeddedEngine:
    """llama.cpp in this process, with continuous batching over a few slots.

    Servers start when they are first needed and are shared by all calls; the object can be pickled and starts anew
    elsewhere. Each slot has `context` tokens for prompt and reply.

    Cores are used by `replicas` of the server with one thread each, not by threads of one server: threads of
    llama.cpp wait for each other by spinning. On 2 idle cores both ways answer about equally many calls a second (2.96
    and 2.81), beside two busy processes the replicas answer twice as many (1.27 and 0.61); see
    `benchmarks/results/embedded.md`. Replicas share the weights, which are mapped into memory once.

    Args:
        path: A GGUF file; None looks in the usual places and fetches the weights if there are none.
        slots: Requests decoded together over all replicas, 1 or more.
        context: Tokens per slot, 512 or more.
        replicas: Servers side by side; None for one a usable core, up to 4 and up to `slots`.
        threads: Worker threads of each server, 1 or more.
    """

    supports_response_schema = True
    supports_raw = True
    supported_params = _SUPPORTED

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        slots: int = 4,
        context: int = 4096,
        replicas: int | None = None,
        threads: int = 1,
    ) -> None:
        if slots < 1:
            raise ConfigError(f"`slots` must be at least 1, got {slots!r}.")
        if context < 512:
            raise ConfigError(f"`context` must be at least 512 tokens, got {context!r}.")
        if threads < 1 or (replicas is not None and not 1 <= replicas <= slots):
            raise ConfigError(
                f"Need threads >= 1 and 1 <= replicas <= slots; got {threads!r}, {replicas!r}, {slots!r} slots."
            )
        self.path, self.slots, self.context = path, slots, context
        self.replicas, self.threads = replicas or min(usable_cores(), 4, slots), threads
        self._start_up()

    def complete(self, request: Request) -> Response:
        """Answer one request; blocks. Up to `slots` threads may call it at once.

        Raises:
            ModelFileError: No weights, or they cannot be loaded.
            dspy.lm15.ContextLengthError: Prompt and reply do not fit into a slot.
            dspy.lm15.InvalidRequestError: llama.cpp refuses the request, such as a schema it cannot compile.
        """
        prompt = raw_prompt(request)
        body = self._body(request)
        replica = self._least_busy()
        try:
            server = self.server(replica)
            if prompt is not None:
                reply = server.handle_completions({**body, "prompt": prompt})
            else:
                reply = server.handle_chat_completions({**body, "messages": chat_messages(request)})
        except ValueError as error:
            raise lm15.InvalidRequestError(f"the embedded LM refused the request: {error}", status=400) from error
        finally:
            with self._lock:
                self._busy[replica] -= 1
        return self._response(request, reply, raw=prompt is not None)

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt text that the model's own chat template makes of messages, ready for the reply."""
        data = json.dumps({"messages": messages}).encode()
        call = urllib.request.Request(
            f"{self.server().listening_address}/apply-template", data, {"Content-Type": "application/json"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(call, timeout=60) as reply:
            return json.load(reply)["prompt"]

    def check(self) -> None:
        """Start the server, so that missing weights are found before a run asks anything.

        Raises:
            MissingExtraError: llama.cpp is not installed.
            ModelFileError: No weights, or they cannot be loaded.
        """
        self.server()

    def server(self, replica: int = 0) -> Any:
        """A running llama.cpp server; started when it is first needed."""
        with self._starting[replica]:
            if self._servers[replica] is None:
                self._servers[replica] = self._start()
            return self._servers[replica]

    def _least_busy(self) -> int:
        with self._lock:
            replica = min(range(self.replicas), key=lambda index: self._busy[index])
            self._busy[replica] += 1
            return replica

    def _start_up(self) -> None:
        self._lock = threading.Lock()
        self._starting = [threading.Lock() for _ in range(self.replicas)]
        self._servers: list[Any] = [None] * self.replicas
        self._busy = [0] * self.replicas

    def _start(self) -> Any:
        try:
            xllamacpp: Any = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise MissingExtraError("xllamacpp", "embedded", "The embedded LM") from error
        found = weights.find(self.path) or weights.pull()
        weights.verify(found.path)
        params = xllamacpp.CommonParams()
        params.model.path = str(found.path)
        slots = -(-self.slots // self.replicas)
        params.n_parallel, params.n_ctx = slots, slots * self.context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads
        params.cache_ram_mib = 512  # finished prompts kept for reuse; the default of 8 GiB is a server's
        params.ui = False
        params.verbosity = -1
        try:
            return xllamacpp.Server(params)
        except (RuntimeError, MemoryError) as error:
            raise ModelFileError(
                f"llama.cpp could not load {str(found.path)!r} with {slots} slots of {self.context} tokens: "
                f"{error} Either the file is damaged (`synthwright lm pull --force` fetches it again) or memory is "
                "short (use fewer slots or a smaller context)."
            ) from error

    def _body(self, request: Request) -> dict[str, Any]:
        config = request.config
        body = {
            "max_tokens": config.max_tokens,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "top_k": config.top_k,
            "presence_penalty": config.presence_penalty,
            "seed": config.seed,
            "stop": list(config.stop) or None,
            "response_format": openai_response_format(request),
        }
        return {name: value for name, value in body.items() if value is not None}

    def _response(self, request: Request, reply: dict[str, Any], *, raw: bool) -> Response:
        if error := reply.get("error"):
            message = f"the embedded LM: {error.get('message', error)}"
            if error.get("type") == "exceed_context_size_error":
                raise lm15.ContextLengthError(
                    f"the prompt has {error.get('n_prompt_tokens', 'too many')} tokens and a slot of the embedded LM "
                    f"holds {self.context}: use fewer demonstrations, shorter inputs, or "
                    "embedded_lm(context=...) with more.",
                    status=400,
                )
            kind = lm15.InvalidRequestError if error.get("code") == 400 else lm15.ServerError
            raise kind(message, status=error.get("code"))
        choice = reply["choices"][0]
        text = choice["text"] if raw else choice["message"].get("content") or ""
        usage = reply.get("usage", {})
        return Response(
            id=reply.get("id"),
            model=request.model,
            message=Message.assistant(text),
            finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
            usage=Usage(input_tokens=usage.get("prompt_tokens"), output_tokens=usage.get("completion_tokens")),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_up()

    def __deepcopy__(self, memo: dict[int, Any]) -> "EmbeddedEngine":
        return self  # copies of a program share one server


class AsyncEmbeddedEngine:
    """The asyncio twin of `EmbeddedEngine`: its calls run on threads, one for each slot."""

    supports_response_schema = True
    supported_params = _SUPPORTED

    def __init__(self, engine: EmbeddedEngine) -> None:
        self.engine = engine
        self._executor: ThreadPoolExecutor | None = None

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises what `EmbeddedEngine.complete` raises."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.engine.slots, thread_name_prefix="embedded-lm")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.engine.complete, request)

    def __getstate__(self) -> dict[str, Any]:
        return {"engine": self.engine, "_executor": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> "AsyncEmbeddedEngine":
        return self


_SHARED: dict[tuple[Any, ...], EngineLM] = {}
_SHARED_LOCK = threading.Lock()


def embedded_lm(
    path: str | Path | None = None,
    *,
    temperature: float = 0.7,
    max_tokens: int = 256,
    slots: int = 4,
    context: int = 4096,
    replicas: int | None = None,
    threads: int = 1,
) -> EngineLM:
    """The embedded LM as a `dspy.LM`. Equal arguments share one running model.

    Args:
        path: A GGUF file; None for SmolLM2-135M-Instruct, fetched once if it is not on this machine.
        temperature: Sampling temperature where a predictor does not set its own, 0 or more.
        max_tokens: Longest reply in tokens where a predictor does not set its own.
        slots: Requests decoded together.
        context: Tokens per slot for prompt and reply.
        replicas: Servers side by side; None for one a usable core, up to 4 and up to `slots`.
        threads: Worker threads of each server.
    """
    key = (str(path), temperature, max_tokens, slots, context, replicas, threads, os.environ.get(weights.MODEL_ENV))
    with _SHARED_LOCK:
        if key not in _SHARED:
            engine = EmbeddedEngine(path, slots=slots, context=context, replicas=replicas, threads=threads)
            name = Path(path).stem if path else "SmolLM2-135M-Instruct"
            _SHARED[key] = EngineLM(
                f"embedded/{name}",
                engine,
                AsyncEmbeddedEngine(engine),
                concurrency=slots,
                weak=True,
                temperature=temperature,
                max_tokens=max_tokens,
            )
        return _SHARED[key]
