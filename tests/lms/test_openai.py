"""The HTTP engine, against a real server (llama.cpp's, of the embedded LM) and against one that misbehaves."""

import asyncio
import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import dspy
import pytest
from dspy.lm15 import Config, Message, Request
from dspy.utils.exceptions import ContextWindowExceededError

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms import Meter, Usage
from synthwright.lms.calls import RAW
from synthwright.lms.http import Endpoint
from synthwright.lms.metered import metered
from synthwright.lms.openai import OpenAIEngine
from synthwright.lms.raw import RawCompletion

SECRET = "sk-planted-3f9a1c"


class Word(sw.Row):
    word: str


class Words(sw.Generator[Word]):
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("topic -> word")

    async def aforward(self, topic):
        return dspy.Prediction(rows=[Word(word=(await self.write.acall(topic=topic)).word)])


class PlainWords(Words):
    def forward(self, topic):
        return dspy.Prediction(rows=[Word(word=self.write(topic=topic).word)])

    aforward = sw.Generator.aforward


TOPICS = [{"topic": f"t{i}"} for i in range(6)]


# A server that does what it is told


class Server:
    """Answers /v1/chat/completions from a list of functions of the handler, the last one for ever."""

    def __init__(self):
        self.answers, self.requests, self.checks = [good], [], 0
        self.models_status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.checks += 1
                reply(self, {"data": []}, server.models_status)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((self.path, dict(self.headers), body))
                index = min(len(server.requests), len(server.answers)) - 1
                server.answers[index](self)

            def log_message(self, format, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def reply(handler, body, status=200, headers=(), kind="application/json"):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def completion(text, finish="stop"):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"id": "1", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}


def good(handler):
    reply(handler, completion('{"word": "fine"}'))


def status(code, body=None, **headers):
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda handler: reply(handler, body or {"error": {"message": f"status {code}"}}, code, named)


def html(handler):
    reply(handler, "<html>Welcome to the proxy</html>", kind="text/html")


def no_choices(handler):
    reply(handler, {"choices": []})


def reset(handler):
    """Half of the body, then the connection goes away."""
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    handler.close_connection = True
    handler.connection.close()


def hangs_up(handler):
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def slow(handler):
    time.sleep(1)
    good(handler)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(params=[Words, PlainWords], ids=["async", "sync"])
def words(request):
    return request.param()


def generate(words, server, tmp_path, count=1, *, attempts=4, timeout=600.0, **options):
    lm = sw.openai_lm("m", server.base, timeout=timeout)
    retry = sw.Retry(attempts=attempts, base=0.001)
    return sw.generate(words, seeds=TOPICS[:count], lms=lm, out=tmp_path, retry=retry, **options)


# Faults that pass


@pytest.mark.parametrize(
    "fault",
    [
        status(429, retry_after="0.01"),
        status(429),
        status(429, retry_after="Wed, 21 Oct 2037 07:28:00 GMT"),
        *(status(500), status(503), status(408)),
        *(html, no_choices, reset, hangs_up),
    ],
    ids=["429-after", "429", "429-date", "500", "503", "408", "html", "no-choices", "reset", "hangs-up"],
)
def test_what_may_pass_is_tried_again_with_the_same_request(fault, words, server, tmp_path):
    server.answers = [fault, fault, good]
    run = generate(words, server, tmp_path)
    assert [row.word for row in run] == ["fine"] and len(server.requests) == 3
    assert len({json.dumps(body, sort_keys=True) for _, _, body in server.requests}) == 1
    assert run.total_usage == Usage(3, 9, 4)


def test_what_the_server_asks_to_wait_is_waited(server, tmp_path):
    server.answers = [status(429, retry_after="0.3"), good]
    started = time.monotonic()
    generate(Words(), server, tmp_path)
    assert 0.3 <= time.monotonic() - started < 5


def test_a_server_that_does_not_answer_in_time_is_tried_again(words, server, tmp_path):
    server.answers = [slow, good]
    assert len(generate(words, server, tmp_path, timeout=0.2)) == 1 and len(server.requests) == 2


# Faults that stay


@pytest.mark.parametrize(
    ("fault", "error", "calls"),
    [
        (status(400), "LMInvalidRequestError: .* answered 400: .*status 400", 1),
        (status(404), "LMInvalidRequestError: .* answered 404", 1),
        (status(401), "LMAuthError: .* answered 401", 1),
        (status(403), "LMAuthError: .* answered 403", 1),
        (
            status(400, {"error": {"message": "This model's maximum context length is 8"}}),
            "ContextWindowExceededError: .*maximum context length",
            1,
        ),
        (status(500), "LMServerError: .* answered 500", 2),
        (html, "LMServerError: .* answered 200 with something that is not a completion: '<html>Welcome", 2),
        (no_choices, "LMServerError: .*not a completion", 2),
        (reset, "LMTransportError: ", 2),
        (hangs_up, "LMTransportError: ", 2),
    ],
    ids=["400", "404", "401", "403", "context", "500", "html", "no-choices", "reset", "hangs-up"],
)
def test_what_stays_ends_the_run_and_says_what_it_was(fault, error, calls, words, server, tmp_path):
    server.answers = [fault]
    with pytest.raises(UnusableLMError, match=f"(?s)Not one seed succeeded, the last with {error}"):
        generate(words, server, tmp_path, attempts=2)
    assert len(server.requests) == calls


def test_a_time_out_says_so(words, server, tmp_path):
    server.answers = [slow]
    with pytest.raises(UnusableLMError, match=r"LMTimeoutError: .* did not answer within 0.1 s"):
        generate(words, server, tmp_path, attempts=1, timeout=0.1)


def test_an_address_where_nothing_listens_fails_at_once_and_says_so(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lm = sw.openai_lm("m", f"http://127.0.0.1:{port}/v1")
    started = time.monotonic()
    with pytest.raises(UnusableLMError, match=rf"No LM answers at http://127.0.0.1:{port}/v1: .*refused.*ends in /v1"):
        sw.generate(Words(), seeds=TOPICS, lms=lm, out=tmp_path)
    assert time.monotonic() - started < 2
    assert (tmp_path / "rows.jsonl").read_text() == ""


def test_a_refused_key_is_found_before_anything_is_asked(server, tmp_path):
    server.models_status = 401
    with pytest.raises(UnusableLMError, match=r"refuses the key \(401\). Set the environment variable OPENAI_API_KEY"):
        generate(Words(), server, tmp_path)
    assert server.requests == []


def test_a_server_without_a_list_of_models_is_good_enough(server, tmp_path):
    server.models_status = 404
    assert len(generate(Words(), server, tmp_path)) == 1 and server.checks == 1


def test_a_finished_run_does_not_need_its_server(server, tmp_path):
    generate(Words(), server, tmp_path, n=1)
    server.models_status = 401
    assert len(generate(Words(), server, tmp_path, n=1)) == 1


def test_an_address_must_be_one():
    with pytest.raises(ConfigError, match="must begin with http:// or https://, got 'localhost:8000'"):
        sw.openai_lm("m", "localhost:8000")


# What is sent


def test_a_request_is_sent_with_all_its_sampling(server):
    engine = OpenAIEngine(server.base + "/", "served-name")
    config = Config(
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        seed=3,
        stop=("\n",),
        response_format={"type": "json_schema", "name": "outputs", "strict": True, "schema": {"type": "object"}},
    )
    response = engine.complete(Request("m", system="Be brief.", messages=(Message.user("Hi é"),), config=config))
    path, headers, body = server.requests[0]
    assert path == "/v1/chat/completions" and headers["Content-Type"] == "application/json"
    assert body == {
        "model": "served-name",
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["\n"],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "outputs", "strict": True, "schema": {"type": "object"}},
        },
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi é"}],
    }
    assert (response.message.text, response.finish_reason) == ('{"word": "fine"}', "stop")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (9, 4)


def test_each_draw_has_a_seed_of_its_own(server, tmp_path):
    generate(Words(), server, tmp_path, 6)
    assert len({body["seed"] for _, _, body in server.requests}) == 6


def test_a_reply_without_usage_or_text_is_a_reply(server):
    server.answers = [lambda handler: reply(handler, {"choices": [{"message": {"content": None}}]})]
    response = OpenAIEngine(server.base, "m").complete(Request("m", messages=(Message.user("x"),)))
    assert (response.message.text or "") == "" and response.usage.input_tokens in (0, None)


def test_half_a_character_in_a_reply_is_replaced(server):
    server.answers = [lambda handler: reply(handler, completion("a\ud83db"))]
    response = OpenAIEngine(server.base, "m").complete(Request("m", messages=(Message.user("x"),)))
    assert response.message.text == "a?b"


def test_servers_without_schemas_are_asked_in_the_chat_format(server, tmp_path):
    server.answers = [lambda handler: reply(handler, completion("[[ ## word ## ]]\nchat\n\n[[ ## completed ## ]]"))]
    lm = sw.openai_lm("m", server.base, response_schema=False)
    run = sw.generate(Words(), seeds=TOPICS[:1], lms=lm, out=tmp_path)
    assert [row.word for row in run] == ["chat"] and "response_format" not in server.requests[0][2]


def test_many_calls_are_in_flight_at_once(server, tmp_path):
    server.answers = [slow]
    started = time.monotonic()
    assert len(generate(Words(), server, tmp_path, 6, concurrency=6)) == 6
    assert time.monotonic() - started < 4


def test_one_lm_serves_runs_side_by_side_and_one_after_another(server, tmp_path):
    lm = sw.openai_lm("m", server.base)

    async def main():
        return await asyncio.gather(
            *(sw.agenerate(Words(), seeds=TOPICS, lms=lm, out=tmp_path / str(i)) for i in range(3))
        )

    for _ in range(2):
        assert [len(run) for run in asyncio.run(main())] == [6, 6, 6]


# Keys


def test_the_key_is_read_from_the_environment_at_each_call(server, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    lm = sw.openai_lm("m", server.base, api_key_env="MY_KEY")
    sw.generate(Words(), seeds=TOPICS[:1], lms=lm, out=tmp_path / "a")
    assert "Authorization" not in server.requests[-1][1]
    monkeypatch.setenv("MY_KEY", SECRET)
    sw.generate(Words(), seeds=TOPICS[:1], lms=lm, out=tmp_path / "b")
    assert server.requests[-1][1]["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("code", [400, 401, 500, 200])
def test_the_key_is_nowhere_to_be_found_even_if_the_server_quotes_it(
    code, words, server, tmp_path, monkeypatch, caplog
):
    def quotes(handler):
        reply(handler, f"Bad request with {handler.headers['Authorization']}", code)

    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    server.answers = [good, quotes]
    lm = sw.openai_lm("m", server.base)
    with caplog.at_level(logging.DEBUG):
        run = sw.generate(words, seeds=TOPICS[:2], lms=lm, out=tmp_path, retry=sw.Retry(attempts=1), concurrency=1)
        with pytest.raises(UnusableLMError) as error:
            server.answers = [quotes]
            sw.generate(words, seeds=TOPICS[:3], lms=lm, out=tmp_path / "other", retry=sw.Retry(attempts=1))
    assert run.funnel.failed == 1 and server.requests[-1][1]["Authorization"] == f"Bearer {SECRET}"
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path
    seen = [
        str(error.value),
        str(error.value.__cause__),
        repr(lm),
        repr(lm.engine),
        str(vars(lm)),
        str(vars(lm.engine)),
    ]
    assert not any(SECRET in text for text in [*seen, caplog.text, repr(run)])
    assert "[OPENAI_API_KEY]" in str(error.value)


def test_the_key_of_a_dspy_lm_is_not_stored_either(tmp_path):
    lm = dspy.LM("openai/none", api_base="http://127.0.0.1:9/v1", api_key=SECRET, num_retries=0)
    with pytest.raises(UnusableLMError) as error:
        sw.generate(Words(), seeds=TOPICS[:1], lms=lm, out=tmp_path, retry=sw.Retry(attempts=1))
    assert SECRET not in str(error.value)
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path


# Proxies


def test_a_server_on_this_machine_is_never_asked_through_a_proxy(words, server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert len(generate(words, server, tmp_path)) == 1


def test_other_servers_are_asked_through_the_proxy_of_the_environment(words, server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.base.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "internal.example")
    lm = sw.openai_lm("m", "http://models.example/v1")
    assert len(sw.generate(words, seeds=TOPICS[:1], lms=lm, out=tmp_path)) == 1
    assert server.requests[0][0] == "http://models.example/v1/chat/completions"
    assert Endpoint("http://internal.example/v1").proxy() is None


# A real server


class NameColor(dspy.Signature):
    """Name the color of the thing."""

    thing: str = dspy.InputField()
    color: Literal["red", "white", "green", "blue"] = dspy.OutputField()


class NameColors(sw.Generator[Word]):
    def __init__(self):
        super().__init__()
        self.name = dspy.Predict(NameColor)

    async def aforward(self, thing):
        return dspy.Prediction(rows=[Word(word=(await self.name.acall(thing=thing)).color)])


@pytest.fixture(scope="module")
def real(embedded):
    return sw.openai_lm("any", embedded.engine.server().listening_address + "/v1", concurrency=2, max_tokens=40)


@pytest.mark.embedded
def test_llama_cpp_over_http_answers_runs_with_types(real, tmp_path):
    things = [{"thing": thing} for thing in ("snow", "grass", "blood", "sea")]
    run = sw.generate(NameColors(), seeds=things, lms=real, out=tmp_path)
    assert len(run) == 4 and {row.word for row in run} <= {"red", "white", "green", "blue"}
    assert run.total_usage.calls == 4 and run.total_usage.input_tokens > 400


@pytest.mark.embedded
def test_llama_cpp_over_http_continues_bare_text_and_tells_its_template(real):
    class Raw(dspy.Module):
        def __init__(self):
            super().__init__()
            self.go_on = RawCompletion(temperature=0.0, max_tokens=4)

        async def aforward(self):
            template = await self.go_on.template([{"role": "user", "content": "Hi"}])
            made = await self.go_on.acall(prefix="The capital of France is")
            await real.async_engine.aclose()
            return template, made

    with dspy.context(lm=metered(real, role="r", meter=Meter())):
        template, made = asyncio.run(Raw().acall())
    assert template.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert made.text.startswith(" Paris") and made.truncated


@pytest.mark.embedded
def test_llama_cpp_over_http_says_when_a_prompt_is_too_long(real):
    with pytest.raises(ContextWindowExceededError, match=r"answered 400: .*exceeds the available context size"):
        real("x " * 9000)


def test_a_server_without_a_template_endpoint_says_what_to_do(server):
    server.answers = [status(404)]
    with pytest.raises(UnusableLMError, match=r"does not tell its chat template .*yourself, as `prefix`"):
        OpenAIEngine(server.base, "m").template([])


def tells_tokens(server, *, bos, written):
    """Answers as vLLM does. A character is a token, BOS is 0: the tokenizer adds it, the template has it written."""

    def answer(handler):
        path, _, body = server.requests[-1]
        if path == "/tokenize" and "messages" in body:
            text = "\0" * written + "".join(f"<{m['role']}>{m['content']}" for m in body["messages"]) + "<assistant>"
            reply(handler, {"tokens": [ord(character) for character in text]})
        elif path == "/tokenize":
            reply(handler, {"tokens": [0] * bos + [ord(character) for character in body["prompt"]]})
        elif path == "/detokenize":
            reply(handler, {"prompt": "".join(chr(token) if token else "<s>" for token in body["tokens"])})
        else:
            status(404)(handler)

    server.answers = [answer]


@pytest.mark.parametrize(
    ("bos", "written", "start"), [(True, True, ""), (False, True, "<s>"), (True, False, ""), (False, False, "")]
)
def test_a_server_that_tells_tokens_tells_its_template_without_the_bos_that_it_adds(server, bos, written, start):
    tells_tokens(server, bos=bos, written=written)
    text = OpenAIEngine(server.base, "m").template([{"role": "user", "content": "Hi"}])
    assert text == start + "<user>Hi<assistant>"
    assert {body["model"] for path, _, body in server.requests if path != "/apply-template"} == {"m"}


@pytest.mark.parametrize("odd", [{"tokens": None}, {"tokens": "x"}, [], {"prompt": 5}])
def test_a_server_with_odd_tokens_tells_no_template(server, odd):
    server.answers = [lambda handler: reply(handler, odd)]
    with pytest.raises(UnusableLMError, match="does not tell its chat template"):
        OpenAIEngine(server.base, "m").template([])


def test_special_tokens_that_end_a_raw_completion_are_shown_so_that_a_server_finds_them(server):
    server.answers = [lambda handler: reply(handler, {"choices": [{"text": "Why?"}]})]
    engine = OpenAIEngine(server.base, "m")
    for stop in (("<|im_end|>",), ()):
        config = Config(stop=stop, extensions={RAW: True})
        engine.complete(Request("m", messages=(Message.user("<|user|>"),), config=config))
    sent = [(body.get("stop"), body.get("skip_special_tokens")) for _, _, body in server.requests]
    assert sent == [(["<|im_end|>"], False), (None, None)]
