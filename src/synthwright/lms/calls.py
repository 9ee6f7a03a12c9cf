"""What engines share: reading a DSPy request, and the LM object that carries a pair of engines."""

from typing import Any

import dspy
from dspy import lm15
from dspy.lm15 import Request

__all__ = ["RAW", "EngineLM", "UnreachableError", "chat_messages", "openai_response_format", "raw_prompt"]

RAW = "raw_completion"
"""Key in a request's `config.extensions` that asks for a raw completion: the text goes to the model as it is."""


class UnreachableError(lm15.TransportError):
    """No connection to the server could be made: it says nothing about the call, which was not sent."""


class EngineLM(dspy.LM):
    """A `dspy.LM` on engines of ours. It answers DSPy programs like any other LM.

    Attributes:
        async_engine: The asyncio twin of `engine`.
        concurrency: Calls in flight that the backend serves well; `generate` uses it as its default.
        weak: True if the model needs demonstrations to follow a signature (the embedded one does).
    """

    def __init__(
        self, model: str, engine: Any, async_engine: Any, *, concurrency: int, weak: bool = False, **sampling: Any
    ) -> None:
        super().__init__(model, engine=engine, async_engine=async_engine, cache=False, num_retries=0, **sampling)
        self.async_engine = async_engine
        self.concurrency = concurrency
        self.weak = weak


def chat_messages(request: Request) -> list[dict[str, str]]:
    """The OpenAI-style messages of a request, the system message first if there is one."""
    system = request.system
    if system is not None and not isinstance(system, str):
        system = "".join(getattr(part, "text", "") or "" for part in system)
    head = [{"role": "system", "content": system}] if system else []
    return head + [{"role": message.role, "content": message.text or ""} for message in request.messages]


def raw_prompt(request: Request) -> str | None:
    """The bare text of a raw completion request, or None for a chat request."""
    if not (request.config.extensions or {}).get(RAW):
        return None
    return "".join(message.text or "" for message in request.messages)


def openai_response_format(request: Request) -> dict[str, Any] | None:
    """The response format in OpenAI's form; DSPy hands engines a flattened one."""
    given = request.config.response_format
    if not given:
        return None
    if given.get("type") == "json_schema" and "json_schema" not in given:
        given = {"type": "json_schema", "json_schema": {k: v for k, v in given.items() if k != "type"}}
    return dict(given)
