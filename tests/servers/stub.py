"""A stand-in for an OpenAI-compatible server that misbehaves on request. One process, one file, no framework.

```text
python tests/servers/stub.py [--port N] [--settings JSON] [--tls PEM]      prints its port on the first line
```

From Python, `Stub` at the end of this file starts it, sets it up and stops it; in tests, the fixtures `stub_server`
(one that behaves, with 0 s latency, shared by all tests: do not let it die) and `start_stub` (a function that starts
another) give such handles.

Endpoints: `/v1/models`, `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/apply-template`, and for control

- `GET /stats` (with `?requests=1` also the counts of each request by the hash of its body),
- `POST /faults` with a JSON object: sets what it names and leaves the rest; `GET /faults` shows all,
- `POST /reset`: counts back to zero, settings back to those of the command line.

Settings:

- `latency` seconds before an answer (the median), `spread` the sigma of its log-normal distribution (0: fixed);
  `seed` of everything drawn. A draw depends on the seed, the body of the request and how often it came before.
- `shares` a dict of fault -> share of the calls in 0..1 (see `FAULTS`). With `sticky`, every repetition of a request
  meets the same fault; without, each has a draw of its own. `first` a list of faults for the first calls, in order.
- `limit` calls in flight above which a call is refused at once with 429; `retry_after` seconds in the header of such
  refusals and of `429-after` (None: no header). `slow_above` calls in flight above which latency grows in proportion,
  as on a server that queues.
- `dead` seconds for which the port is closed and every connection is reset, beginning now.
- `models` the list of model names it knows (others: 404), `context` the longest prompt in characters (longer: 400),
  `poison` a substring that makes a prompt a 400, `key` the API key that it wants (else: 401).
- `schema` whether `response_format` is honoured, `many` whether `n` is, `echo` whether `echo` is (prompt
  log-probabilities), `quote` whether errors quote the request's headers, `text` a fixed reply.

Faults: `429`, `429-after`, `500`, `503`, `html` (502 with a page), `page` (200 with a page), `type` (a good answer
labelled text/html), `error` (200 with an error object), `empty` (no choice), `null` (no text), `length` (cut at the
token limit), `truncated` (half the JSON, whole as HTTP), `reset` (half the body, then RST), `hangup` (no answer at
all), `stall` (headers, then silence), `slow` (a byte each 0.1 s), `endless` (a body that never ends, at full speed).

Answers: with a JSON schema, an object that fits it, its strings made of words of the prompt; for a prompt in DSPy's
chat or JSON format, that; otherwise words of the prompt. The same request always gets the same answer.

Stats: `calls`, `answered` (completions and embeddings given), `refused` (429), `faults` by name, `statuses`,
`in_flight`, `max_in_flight`, `connections` (opened), `open` (now), `max_open`, `checks` (of /v1/models), `distinct`
(requests answered), `repeated` (answers beyond the first to the same request), `busy` (the integral of calls in
service over time, in seconds: the mean number in flight between two looks is the difference of `busy` over that of
`clock`), `headers` of the last call.
"""

import argparse
import asyncio
import hashlib
import json
import math
import re
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import orjson

__all__ = ["FAULTS", "SETTINGS", "Stub"]

FAULTS = (
    *("429", "429-after", "500", "503", "html", "page", "type", "error", "empty", "null", "length", "truncated"),
    *("reset", "hangup", "stall", "slow", "endless"),
)
SETTINGS: dict[str, Any] = {
    **{"latency": 0.0, "spread": 0.0, "seed": 0, "shares": {}, "sticky": False, "first": []},
    **{"limit": None, "retry_after": None, "slow_above": None, "dead": 0, "models": None, "context": None},
    **{"poison": None, "key": None, "schema": True, "many": True, "echo": True, "quote": False, "text": None},
}
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_REASONS |= {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
_PAGE = b"<html><body><h1>Welcome to the proxy</h1></body></html>"
_NORMAL = statistics.NormalDist()
_WORD = re.compile(r"[A-Za-z]{3,}")
_CHAT_FIELD = re.compile(
    r"`\[\[ ## (\w+) ## \]\]`(?: \(must (?:be formatted as a valid Python (\w+)|([^)]*\) one of: [^)]*)))?"
)
_JSON_FIELD = re.compile(r"`(\w+)`(?: \(must (?:be formatted as a valid Python (\w+)|([^)]*\) one of: [^)]*)))?")


class Service:
    """What the server knows and counts; connections ask it for answers."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.at_start = {**SETTINGS, **settings}
        self.connections: set[Connection] = set()
        self.in_flight = 0
        self.server: asyncio.Server | None = None
        self.tls: ssl.SSLContext | None = None
        self.port = 0
        self.reset()

    def reset(self) -> None:
        self.settings = dict(self.at_start)
        self.first = list(self.settings["first"])
        self.calls = self.answered = self.refused = self.checks = self.opened = 0
        self.max_in_flight, self.max_open = self.in_flight, len(self.connections)
        self.busy, self.busy_since = 0.0, self.loop.time()
        self.faults: dict[str, int] = {}
        self.statuses: dict[int, int] = {}
        self.came: dict[bytes, int] = {}
        self.served: dict[bytes, int] = {}
        self.headers: dict[str, str] = {}

    def change(self, settings: dict[str, Any]) -> None:
        if unknown := set(settings) - set(SETTINGS) | set(settings.get("shares", ())) - set(FAULTS):
            raise ValueError(f"unknown: {sorted(unknown)}; settings: {sorted(SETTINGS)}; faults: {FAULTS}")
        self.settings.update(settings)
        self.first = list(settings.get("first", self.first))
        if settings.get("dead"):
            self.loop.call_soon(asyncio.ensure_future, self.die(settings["dead"]))

    async def die(self, seconds: float) -> None:
        await asyncio.sleep(0.01)  # the answer to the one who asked goes out first
        assert self.server
        self.server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(seconds)
        await self.listen()

    async def listen(self) -> None:
        self.server = await self.loop.create_server(
            lambda: Connection(self), "127.0.0.1", self.port, backlog=4096, ssl=self.tls
        )
        self.port = self.server.sockets[0].getsockname()[1]

    def count(self, step: int) -> None:
        now = self.loop.time()
        self.busy += self.in_flight * (now - self.busy_since)
        self.busy_since = now
        self.in_flight += step
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def stats(self, requests: bool) -> dict[str, Any]:
        self.count(0)
        seen = {
            **{"calls": self.calls, "answered": self.answered, "refused": self.refused, "faults": self.faults},
            **{"statuses": {str(k): v for k, v in self.statuses.items()}, "in_flight": self.in_flight},
            **{"max_in_flight": self.max_in_flight, "connections": self.opened, "open": len(self.connections)},
            **{"max_open": self.max_open, "checks": self.checks, "distinct": len(self.served)},
            **{"repeated": sum(self.served.values()) - len(self.served), "busy": self.busy, "clock": self.loop.time()},
            "headers": self.headers,
        }
        if requests:
            seen["requests"] = {key.hex(): [n, self.served.get(key, 0)] for key, n in self.came.items()}
        return seen

    def draw(self, key: bytes, attempt: int, what: bytes) -> float:
        """A number in [0, 1) for one coming of one request."""
        content = b"%d:%d:%b:%b" % (self.settings["seed"], attempt, what, key)
        return int.from_bytes(hashlib.blake2b(content, digest_size=7).digest()) / 2**56

    def fault(self, key: bytes, attempt: int) -> str | None:
        if self.first:
            return self.first.pop(0)
        if not (shares := self.settings["shares"]):
            return None
        at = self.draw(key, 0 if self.settings["sticky"] else attempt, b"fault")
        for name, share in shares.items():
            at -= share
            if at < 0:
                return name
        return None

    def latency(self, key: bytes, attempt: int) -> float:
        latency, spread = self.settings["latency"], self.settings["spread"]
        if spread:
            draw = min(max(self.draw(key, attempt, b"latency"), 1e-9), 1 - 1e-9)
            latency *= math.exp(spread * _NORMAL.inv_cdf(draw))
        if (above := self.settings["slow_above"]) and self.in_flight > above:
            latency *= self.in_flight / above
        return latency

    def refusal(self, head: bytes, body: dict[str, Any], prompt: str) -> tuple[int, dict[str, Any]] | None:
        """An error that this request always gets."""
        settings = self.settings
        if settings["key"] and b"bearer " + settings["key"].encode() not in head.replace(b"Bearer", b"bearer"):
            return 401, error("Incorrect API key provided.", "invalid_api_key")
        if settings["models"] is not None and body.get("model") not in settings["models"]:
            return 404, error(f"The model `{body.get('model')}` does not exist.", "model_not_found")
        if settings["context"] is not None and len(prompt) > settings["context"]:
            text = f"This model's maximum context length is {settings['context']} tokens, yours are {len(prompt)}."
            return 400, error(text, "context_length_exceeded")
        if settings["poison"] and settings["poison"] in prompt:
            return 400, error("This prompt cannot be processed.", "invalid_request_error")
        return None


class Connection(asyncio.Protocol):
    """One client connection: reads requests one after another, answers each after its latency."""

    transport: Any

    def __init__(self, service: Service) -> None:
        self.service = service
        self.buffer = b""
        self.waiting: asyncio.TimerHandle | None = None
        self.serving = False
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        service = self.service
        service.connections.add(self)
        service.opened += 1
        service.max_open = max(service.max_open, len(service.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.connections.discard(self)
        if self.waiting:
            self.waiting.cancel()
            self.waiting = None
        self.done()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        self.next()

    def next(self) -> None:
        if self.serving:
            return
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        low = head.lower()
        at = low.find(b"content-length:")
        length = int(low[at + 15 : at + 40].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
        line = head[: head.find(b"\r\n")] if b"\r\n" in head else head
        method, target, _ = line.split(b" ", 2)
        if target.startswith(b"http://"):  # asked as a proxy
            target = b"/" + target.split(b"/", 3)[3]
        self.handle(method, target, head, body)

    def handle(self, method: bytes, target: bytes, head: bytes, body: bytes) -> None:
        service = self.service
        path = target.partition(b"?")[0]
        try:
            if path in (b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings"):
                self.call(path, head, body)
            elif path == b"/v1/models":
                service.checks += 1
                denied = service.refusal(head, {"model": (service.settings["models"] or [None])[0]}, "")
                names = service.settings["models"] or ["stub"]
                self.send(*(denied or (200, {"object": "list", "data": [{"id": name} for name in names]})))
            elif path == b"/stats":
                self.send(200, service.stats(b"requests=1" in target))
            elif path == b"/faults":
                if method == b"POST":
                    service.change(orjson.loads(body))
                self.send(200, service.settings)
            elif path == b"/reset":
                service.reset()
                self.send(200, {})
            elif path == b"/apply-template":
                messages = orjson.loads(body)["messages"]
                self.send(200, {"prompt": "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"})
            else:
                self.send(404, error(f"No such endpoint: {path.decode()}", "not_found"))
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            self.send(400, error(f"{type(problem).__name__}: {problem}", "invalid_request_error"))

    def call(self, path: bytes, head: bytes, data: bytes) -> None:
        service = self.service
        service.calls += 1
        service.headers = _headers(head)
        key = hashlib.blake2b(path + data, digest_size=8).digest()
        attempt = service.came[key] = service.came.get(key, 0) + 1
        limit = service.settings["limit"]
        fault = "over" if limit is not None and service.in_flight >= limit else service.fault(key, attempt)
        if fault:
            service.faults[fault] = service.faults.get(fault, 0) + 1
        if fault in ("over", "429", "429-after"):
            wait = service.settings["retry_after"]
            wait = None if fault == "429" else 0.2 if fault == "429-after" and wait is None else wait
            extra = b"" if wait is None else b"Retry-After: %g\r\n" % wait
            service.refused += 1
            self.send(429, self.problem("Too many requests.", "rate_limit_exceeded", head), extra)
            return
        self.serving = True
        service.count(1)
        delay = service.latency(key, attempt)
        if delay > 0:
            self.waiting = service.loop.call_later(delay, self.answer, path, head, data, key, fault)
        else:
            self.answer(path, head, data, key, fault)

    def problem(self, text: str, code: str, head: bytes) -> dict[str, Any]:
        return error(f"{text} You sent: {head.decode()}" if self.service.settings["quote"] else text, code)

    def answer(self, path: bytes, head: bytes, data: bytes, key: bytes, fault: str | None) -> None:
        self.waiting = None
        try:
            body = orjson.loads(data)
            prompt = _prompt(body)
            status, reply = self.service.refusal(head, body, prompt) or (
                200,
                _reply(path, body, prompt, key, self.service),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as trouble:
            status, reply = 400, error(f"{type(trouble).__name__}: {trouble}", "invalid_request_error")
        if status != 200:
            if self.service.settings["quote"]:
                reply["error"]["message"] += f" You sent: {head.decode()}"
            return self.send(status, reply)
        if fault is None or fault in ("type", "length", "null"):
            self.service.answered += 1
            self.service.served[key] = self.service.served.get(key, 0) + 1
        return self.spoil(fault, reply, head) if fault else self.send(200, reply)

    def spoil(self, fault: str, reply: dict[str, Any], head: bytes) -> None:
        page = _PAGE + head if self.service.settings["quote"] else _PAGE
        choices = reply.get("choices") or []
        if fault == "length":
            for choice in choices:
                choice["finish_reason"] = "length"
                if "message" in choice:
                    choice["message"]["content"] = choice["message"]["content"][:-5]
        elif fault == "null":
            for choice in choices:
                choice["message"] = {"role": "assistant", "content": None}
        elif fault == "empty":
            reply = {**reply, "choices": [], "data": []}
        elif fault == "error":
            reply = self.problem("The upstream provider failed.", "upstream", head)
        if fault in ("500", "503"):
            return self.send(int(fault), self.problem("The server had an error.", "server_error", head))
        if fault in ("html", "page"):
            return self.send(502 if fault == "html" else 200, page, kind=b"text/html")
        if fault == "type":
            return self.send(200, reply, kind=b"text/html")
        if fault in ("length", "null", "empty", "error"):
            return self.send(200, reply)
        whole = orjson.dumps(reply)
        if fault == "truncated":
            return self.send(200, whole[: len(whole) // 2])
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        if fault == "reset":
            self.transport.write(start + b"Content-Length: %d\r\n\r\n" % len(whole) + whole[: len(whole) // 2])
            if sock := self.transport.get_extra_info("socket"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.service.loop.call_later(0.02, self.transport.abort)  # so that the half is read before the reset
        elif fault == "hangup":
            self.transport.close()
        elif fault == "stall":
            self.transport.write(start + b"Content-Length: 100\r\n\r\n")
        elif fault == "slow":
            self.transport.write(start + b"Content-Length: %d\r\n\r\n" % len(whole))
            self.drip(whole)
        elif fault == "endless":
            self.transport.write(start + b"Transfer-Encoding: chunked\r\n\r\n")
            self.flood()
        return None

    def drip(self, rest: bytes) -> None:
        self.transport.write(rest[:1])
        if len(rest) == 1:
            return self.done()
        self.waiting = self.service.loop.call_later(0.1, self.drip, rest[1:])
        return None

    def flood(self) -> None:
        if not self.paused:
            self.transport.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        self.waiting = self.service.loop.call_later(0.002, self.flood)

    def send(self, status: int, reply: Any, extra: bytes = b"", kind: bytes = b"application/json") -> None:
        data = reply if isinstance(reply, bytes) else orjson.dumps(reply)
        self.service.statuses[status] = self.service.statuses.get(status, 0) + 1
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b"
            % (status, _REASONS[status].encode(), kind, len(data), extra, data)
        )
        self.done()
        if self.buffer:
            self.next()

    def done(self) -> None:
        if self.serving:
            self.serving = False
            self.service.count(-1)


def error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "code": code}}


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _prompt(body: dict[str, Any]) -> str:
    if "messages" in body:
        contents = (message["content"] for message in body["messages"])
        return "\n".join(c if isinstance(c, str) else "".join(part["text"] for part in c) for c in contents)
    given = body.get("prompt", body.get("input", ""))
    return given if isinstance(given, str) else "\n".join(map(str, given))


def _reply(path: bytes, body: dict[str, Any], prompt: str, key: bytes, service: Service) -> dict[str, Any]:
    name = body.get("model", "stub")
    if path == b"/v1/embeddings":
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [{"object": "embedding", "index": i, "embedding": _vector(text)} for i, text in enumerate(texts)]
        tokens = sum(_tokens(text) for text in texts)
        data.reverse()  # the index tells the order, not the place
        return {
            "object": "list",
            "model": name,
            "data": data,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    count = int(body.get("n") or 1) if service.settings["many"] else 1
    choices, tokens = [], 0
    for index in range(count):
        text = _text(body, prompt, key if index == 0 else hashlib.blake2b(key + bytes([index])).digest(), service)
        choice: dict[str, Any] = {"index": index, "finish_reason": "stop"}
        if path == b"/v1/chat/completions":
            choice["message"] = {"role": "assistant", "content": text}
            if body.get("logprobs"):
                choice["logprobs"] = {
                    "content": [_scored(token, body.get("top_logprobs")) for token in text.split(" ")]
                }
        else:
            echo = prompt if body.get("echo") and service.settings["echo"] else ""
            text = " " + text.split(" ", 1)[0] if body.get("max_tokens") == 1 else " " + text
            choice["text"] = echo + text
            if body.get("logprobs") is not None:
                choice["logprobs"] = _legacy_logprobs(choice["text"], bool(echo))
        choices.append(choice)
        tokens += _tokens(text)
    asked = _tokens(prompt)
    usage = {"prompt_tokens": asked, "completion_tokens": tokens, "total_tokens": asked + tokens}
    return {"id": f"stub-{key.hex()}", "object": "completion", "model": name, "choices": choices, "usage": usage}


def _tokens(text: str) -> int:
    return len(text) // 4 + 1


def _logprob(token: str) -> float:
    return -(1 + hashlib.blake2b(token.encode(), digest_size=1).digest()[0] / 64)


def _scored(token: str, top: int | None) -> dict[str, Any]:
    scored = {"token": token, "logprob": _logprob(token), "bytes": list(token.encode())}
    others = [{"token": token, "logprob": _logprob(token), "bytes": list(token.encode())}]
    others += [{"token": f"alt{i}", "logprob": -9.0 - i, "bytes": None} for i in range(1, top or 0)]
    return {**scored, "top_logprobs": others[: top or 0]}


def _legacy_logprobs(text: str, echo: bool) -> dict[str, Any]:
    """Words with the space before them as tokens; the first token of an echoed prompt has no log-probability."""
    tokens = re.findall(r" ?[^ ]+| +", text)
    offsets, at = [], 0
    for token in tokens:
        offsets.append(at)
        at += len(token)
    scores = [None if echo and i == 0 else _logprob(token) for i, token in enumerate(tokens)]
    return {"tokens": tokens, "token_logprobs": scores, "text_offset": offsets, "top_logprobs": None}


def _vector(text: str) -> list[float]:
    """32 numbers, unit length, near each other for texts that share words."""
    vector = [0.0] * 32
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode(), digest_size=2).digest()
        vector[digest[0] % 32] += 1.0 if digest[1] % 2 else -1.0
    norm = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / norm for x in vector]


def _text(body: dict[str, Any], prompt: str, key: bytes, service: Service) -> str:
    if service.settings["text"] is not None:
        return service.settings["text"]
    writer = _Writer(prompt, key)
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    if schema and service.settings["schema"]:
        return orjson.dumps(writer.fill(schema, schema)).decode()
    if (at := prompt.rfind("Respond with the corresponding output fields")) >= 0:
        fields = [found.groups() for found in _CHAT_FIELD.finditer(prompt, at) if found[1] != "completed"]
        parts = [f"[[ ## {name} ## ]]\n{_plain(writer.typed(kind, choice))}" for name, kind, choice in fields]
        return "\n\n".join([*parts, "[[ ## completed ## ]]"])
    if (at := prompt.rfind("Respond with a JSON object")) >= 0:
        fields = [found.groups() for found in _JSON_FIELD.finditer(prompt, at)]
        return orjson.dumps({name: writer.typed(kind, choice) for name, kind, choice in fields}).decode()
    return writer.words()


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


class _Writer:
    """Values made of the words of a prompt, the same for the same prompt and key."""

    def __init__(self, prompt: str, key: bytes) -> None:
        self.known = _WORD.findall(prompt[-600:]) or ["word"]
        self.state = int.from_bytes(key)

    def draw(self, below: int) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % below

    def words(self) -> str:
        known = self.known
        chosen = " ".join(known[self.draw(len(known))] for _ in range(10))
        return f"{chosen} {self.draw(2**31):08x}"

    def typed(self, kind: str | None, choice: str | None) -> Any:
        if choice:
            options = choice.partition("one of: ")[2].split("; ")
            return options[self.draw(len(options))]
        kinds = {"int": "integer", "float": "number", "bool": "boolean", "list": "array"}
        return self.fill({"type": kinds.get(kind or "", "string")}, {})

    def fill(self, schema: dict[str, Any], root: dict[str, Any]) -> Any:
        if reference := schema.get("$ref"):
            return self.fill(root["$defs"][reference.rsplit("/", 1)[1]], root)
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            return options[self.draw(len(options))]
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self.fill(options[self.draw(len(options))], root)
        if parts := schema.get("allOf"):
            return self.fill(parts[0], root)
        match schema.get("type"):
            case "object":
                return {name: self.fill(part, root) for name, part in schema.get("properties", {}).items()}
            case "array":
                least = schema.get("minItems", 1)
                count = min(max(least, 2), schema.get("maxItems", 2))
                return [self.fill(schema.get("items", {"type": "string"}), root) for _ in range(count)]
            case "integer":
                low = int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
                return low + self.draw(max(int(schema.get("maximum", low + 4)) - low, 0) + 1)
            case "number":
                low = float(schema.get("minimum", 0))
                return low + (float(schema.get("maximum", low + 1)) - low) * self.draw(1000) / 1000
            case "boolean":
                return bool(self.draw(2))
            case "null":
                return None
        return self.words()[: schema.get("maxLength", 10_000)]


class Stub:
    """A running stub server, as tests and benchmarks see it.

    Args:
        tls: Path of a PEM file with certificate and key: serve HTTPS.
        **settings: What the module's docstring lists.

    Attributes:
        root: Its address, such as `http://127.0.0.1:4242`.
        base: Root of its API, `root` + `/v1`.
    """

    def __init__(self, *, tls: str | Path | None = None, **settings: Any) -> None:
        command = [sys.executable, __file__, "--settings", json.dumps(settings)]
        self.process = subprocess.Popen(
            command + (["--tls", str(tls)] if tls else []), stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.root = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.base = f"{self.root}/v1"

    def set(self, **settings: Any) -> None:
        """Change settings; the others stay."""
        self._ask("/faults", settings)

    def reset(self) -> None:
        """Counts back to zero, settings back to those at the start."""
        self._ask("/reset", {})

    def stats(self, *, requests: bool = False) -> dict[str, Any]:
        """What the server counted."""
        return self._ask("/stats?requests=1" if requests else "/stats")

    def stop(self) -> None:
        """Kill the server and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.root + path, data), timeout=10) as reply:
            return json.load(reply)

    def __enter__(self) -> "Stub":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


async def _serve(port: int, settings: dict[str, Any], tls: str | None) -> None:
    service = Service(settings)
    service.port = port
    if tls:
        service.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        service.tls.load_cert_chain(tls)
    await service.listen()
    sys.stdout.write(f"{service.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server that misbehaves on request.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON object of settings")
    parser.add_argument("--tls", help="PEM file with certificate and key")
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.settings, given.tls))
