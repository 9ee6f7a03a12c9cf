"""OpenAI's protocol as data: the JSON of a request, and responses from the JSON of a reply. No network here."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from dspy.lm15 import Message, Request, Response, TokenLogprob, TopLogprob, Usage

from synthwright.lms.calls import chat_messages, openai_response_format, raw_prompt

__all__ = [
    "dump",
    "echo_body",
    "load",
    "read_echo",
    "read_embeddings",
    "read_responses",
    "request_body",
    "split_exactly",
]


def dump(body: dict[str, Any]) -> bytes:
    """The bytes of a request's body."""
    try:
        return orjson.dumps(body)
    except TypeError:  # half a character, which orjson refuses and servers accept
        return json.dumps(body).encode()


def load(data: bytes) -> Any:
    """What a reply's body says; half of a character becomes a question mark, because it cannot be stored.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return orjson.loads(data)
    except ValueError:
        reply = json.loads(data.decode("utf-8", "replace"))
        return json.loads(json.dumps(reply, ensure_ascii=False).encode("utf-8", "replace"))


def request_body(request: Request, model: str, n: int = 1) -> tuple[str, dict[str, Any]]:
    """Path below the API's root and JSON body of a request.

    Args:
        request: The request.
        model: Model name that the server knows.
        n: Completions wanted.
    """
    config = request.config
    body: dict[str, Any] = {"model": model}
    for name in ("max_tokens", "temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"):
        value = getattr(config, name)
        if value is not None:
            body[name] = value
    if config.stop:
        body["stop"] = list(config.stop)
    if n > 1:
        body["n"] = n
    if config.response_format:
        body["response_format"] = openai_response_format(request)
    prompt = raw_prompt(request)
    if prompt is not None:
        if config.logprobs is not None:
            body["logprobs"] = config.logprobs
        if config.stop:  # vLLM and SGLang look for them in the text that they show, else without special tokens
            body["skip_special_tokens"] = False
        body["prompt"] = prompt
        return "/completions", body
    if config.logprobs is not None:
        body["logprobs"] = True
        if config.logprobs:
            body["top_logprobs"] = config.logprobs
    body["messages"] = chat_messages(request)
    return "/chat/completions", body


def read_responses(reply: Any, request: Request) -> list[Response]:
    """The completions of a reply, one `Response` each; their usages sum to exactly what the server reported.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: The reply is not a completion.
    """
    choices = reply["choices"]
    if not choices:
        raise ValueError("no choices")
    texts = [_text(choice) for choice in choices]
    reported = reply.get("usage") or {}
    asked, written = _count(reported.get("prompt_tokens")), _count(reported.get("completion_tokens"))
    inputs = [asked] if len(choices) == 1 else split_exactly(asked, [1] * len(choices))
    outputs = [written] if len(choices) == 1 else split_exactly(written, [len(text) + 1 for text in texts])
    identity = reply.get("id")
    identity = identity if isinstance(identity, str) and identity else None
    return [
        Response(
            id=identity,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
            usage=_usage(asked, written),
            logprobs=_logprobs(choice.get("logprobs")) if request.config.logprobs is not None else None,
        )
        for choice, text, asked, written in zip(choices, texts, inputs, outputs, strict=True)
    ]


def split_exactly(total: int | None, weights: Sequence[int]) -> list[Any]:
    """Whole parts of a total in proportion to weights that sum to the total; None each if it is not known."""
    if total is None:
        return [None] * len(weights)
    whole, parts, seen, given = sum(weights), [], 0, 0
    for weight in weights:
        seen += weight
        parts.append(total * seen // whole - given)
        given += parts[-1]
    return parts


def read_embeddings(reply: Any, count: int) -> list[list[float]]:
    """The vectors of a reply, in the order of the texts.

    Raises:
        KeyError, TypeError, ValueError: The reply does not hold one vector for each of `count` texts.
    """
    rows = sorted(reply["data"], key=lambda row: row["index"])
    if [row["index"] for row in rows] != list(range(count)):
        raise ValueError(f"{len(rows)} vectors for {count} texts")
    return [[float(x) for x in row["embedding"]] for row in rows]


def echo_body(model: str, text: str) -> dict[str, Any]:
    """A request that makes a server score a text: it is echoed with log-probabilities, and one token is written.

    One token and not none, because some servers refuse to write nothing. The language model evaluation harness of
    EleutherAI asks local servers in the same way.
    """
    return {"model": model, "prompt": text, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}


def read_echo(reply: Any, text: str, continuation: str) -> tuple[TokenLogprob, ...] | None:
    """The scored tokens of `continuation` where a server echoed `text + continuation` and one token more.

    Places in the text are counted back from the last token, which is the one that was written: servers that show a
    begin-of-text token count its name as text.

    Returns:
        The tokens, the first of them beginning in `text` if a token spans both; None if nothing was echoed.
    """
    whole, choice = text + continuation, reply["choices"][0]
    scored = choice.get("logprobs") or {}
    tokens, scores = scored.get("tokens") or [], scored.get("token_logprobs") or []
    if not choice["text"].startswith(whole) or len(tokens) < 2 or len(scores) != len(tokens):
        return None
    offsets = scored.get("text_offset") or [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    if offsets[-1] < len(whole):
        return None  # the echo has no scores; those are of what was written
    start = offsets[-1] - len(continuation)
    found = [i for i in range(len(tokens) - 1) if offsets[i + 1] > start and scores[i] is not None]
    return tuple(TokenLogprob(tokens[i], float(scores[i])) for i in found)


def _text(choice: dict[str, Any]) -> str:
    if "text" in choice:
        return choice["text"]
    content = choice["message"].get("content") or ""
    if isinstance(content, list):  # in parts
        return "".join(part.get("text") or "" for part in content)
    return content


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


@lru_cache(4096)
def _usage(asked: int | None, written: int | None) -> Usage:
    return Usage(input_tokens=asked, output_tokens=written)  # frozen, and its checks cost more than this look


def _logprobs(given: Any) -> tuple[TokenLogprob, ...] | None:
    """From the form of chat completions, or from that of raw completions."""
    if not given:
        return None
    if given.get("content"):
        return tuple(
            TokenLogprob(
                scored["token"],
                float(scored["logprob"]),
                bytes=scored.get("bytes"),
                top=tuple(
                    TopLogprob(other["token"], float(other["logprob"]), bytes=other.get("bytes"))
                    for other in scored.get("top_logprobs") or ()
                ),
            )
            for scored in given["content"]
        )
    tokens, scores = given.get("tokens") or [], given.get("token_logprobs") or []
    others = given.get("top_logprobs") or [None] * len(tokens)
    return tuple(
        TokenLogprob(token, float(score), top=tuple(TopLogprob(t, float(x)) for t, x in (top or {}).items()))
        for token, score, top in zip(tokens, scores, others, strict=True)
        if score is not None
    )
