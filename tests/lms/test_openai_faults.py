"""What the HTTP engines make of a server that misbehaves: the error, whether it may pass, and what it does not say."""

import asyncio
import logging
import pickle
import time
from pathlib import Path

import pytest
from dspy import lm15
from dspy.lm15 import Config, Message, Request

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms.http import Endpoint, Endpoints
from synthwright.lms.openai import OpenAIEngine

CERTIFICATE = Path(__file__).parents[1] / "servers" / "self_signed.pem"
SECRET, SECOND, PASSWORD = "sk-planted-3f9a1c77", "gw-planted-88e1b2aa", "pw-planted-0c44d9"
HI = Request("m", messages=(Message.user("Write a question about the sea."),))


@pytest.fixture(params=["async", "sync"])
def call(request):
    """`call(engine, "complete", request)` by either twin."""

    def sync(engine, name, *arguments):
        return getattr(engine, name)(*arguments)

    def asynchronous(engine, name, *arguments):
        async def main():
            try:
                return await getattr(engine.twin, name)(*arguments)
            finally:
                await engine.twin.aclose()

        return asyncio.run(main())

    return sync if request.param == "sync" else asynchronous


RETRYABLE = (lm15.RateLimitError, lm15.ServerError, lm15.TimeoutError, lm15.TransportError)


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("429", lm15.RateLimitError, r"answered 429: .*Too many requests"),
        ("429-after", lm15.RateLimitError, r"answered 429"),
        ("500", lm15.ServerError, r"answered 500: .*server had an error"),
        ("503", lm15.ServerError, r"answered 503"),
        ("html", lm15.ServerError, r"answered 502: <html>"),
        ("page", lm15.ServerError, r"answered 200 with something that is not a completion: '<html>"),
        ("error", lm15.ServerError, r"answered 502: .*upstream provider failed"),
        ("empty", lm15.ServerError, r"not a completion"),
        ("truncated", lm15.ServerError, r"not a completion"),
        ("reset", lm15.TransportError, r"http://127.0.0.1:\d+/v1: "),
        ("hangup", lm15.TransportError, r"[Dd]isconnected"),
        ("stall", lm15.TimeoutError, r"did not answer within 0.5 s"),
        ("slow", lm15.TimeoutError, r"did not answer within 0.5 s"),
        ("endless", lm15.ServerError, r"sent more than 1000000 bytes"),
    ],
)
def test_what_may_pass_is_an_error_that_is_retried(fault, error, says, call, stub_server):
    stub_server.set(first=[fault])
    engine = OpenAIEngine(stub_server.base, "m", timeout=0.5, max_bytes=1_000_000)
    with pytest.raises(error, match=says) as raised:
        call(engine, "complete", HI)
    assert isinstance(raised.value, RETRYABLE)
    assert raised.value.retry_after == (0.2 if fault == "429-after" else None)
    assert call(engine, "complete", HI).message.text  # and the engine goes on


def test_a_body_that_never_ends_fails_by_time_if_it_is_slow_enough_for_its_size(call, stub_server):
    stub_server.set(first=["endless"])
    engine = OpenAIEngine(stub_server.base, "m", timeout=0.3, max_bytes=1 << 40)
    started = time.monotonic()
    with pytest.raises(lm15.TimeoutError):
        call(engine, "complete", HI)
    assert time.monotonic() - started < 2


def test_a_body_said_to_be_too_long_is_not_read(call, stub_server):
    stub_server.set(text="x" * 5000)
    with pytest.raises(lm15.ServerError, match="sent more than 1000 bytes"):
        call(OpenAIEngine(stub_server.base, "m", max_bytes=1000), "complete", HI)


def test_a_good_answer_under_a_wrong_label_is_an_answer(call, stub_server):
    stub_server.set(first=["type"])
    assert "question" in call(OpenAIEngine(stub_server.base, "m"), "complete", HI).message.text


def test_the_token_limit_is_told_and_no_text_is_an_empty_one(call, stub_server):
    stub_server.set(first=["length", "null"])
    engine = OpenAIEngine(stub_server.base, "m")
    assert call(engine, "complete", HI).finish_reason == "length"
    assert (call(engine, "complete", HI).message.text or "") == ""


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"models": ["other"]}, lm15.UnsupportedModelError, r"answered 404: .*`m` does not exist"),
        ({"context": 5}, lm15.ContextLengthError, r"answered 400: .*maximum context length is 5"),
        ({"poison": "sea"}, lm15.InvalidRequestError, r"answered 400: .*cannot be processed"),
        ({"key": "right"}, lm15.AuthError, r"answered 401: .*Incorrect API key"),
    ],
    ids=["model", "context", "poison", "key"],
)
def test_what_stays_is_an_error_that_is_not_retried(settings, error, says, call, stub_server):
    stub_server.set(**settings)
    with pytest.raises(error, match=says) as raised:
        call(OpenAIEngine(stub_server.base, "m"), "complete", HI)
    assert not isinstance(raised.value, RETRYABLE)


def test_an_exhausted_quota_is_no_rate_limit():
    from synthwright.lms.http import http_error

    told = http_error(429, {"Retry-After": "1"}, '{"error": {"code": "insufficient_quota"}}', "there")
    assert isinstance(told, lm15.BillingError) and not isinstance(told, RETRYABLE)


@pytest.mark.parametrize(
    ("value", "wait"),
    [("2", 2.0), ("0.5", 0.5), ("nan", None), ("-3", None), ("inf", None), ("Wed, 21 Oct 2037", None)],
)
def test_only_a_number_of_seconds_is_waited(value, wait):
    from synthwright.lms.http import http_error

    assert http_error(429, {"retry-AFTER": value}, "", "there").retry_after == wait


# Secrets


def _everything(error):
    seen = []
    while error is not None:
        seen += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return " ".join(seen)


@pytest.mark.parametrize("fault", ["500", "429", "page", "error", "html", "401"])
def test_no_error_tells_a_key_even_if_the_server_does(fault, call, stub_server, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET + "\n")
    monkeypatch.setenv("GATEWAY_KEY", SECOND)
    monkeypatch.setenv("GATEWAY_AUTH", f"Basic {PASSWORD}")
    stub_server.set(quote=True, **({"key": "another"} if fault == "401" else {"first": [fault]}))
    headers = {"X-Api-Key": "GATEWAY_KEY", "X-Proxy-Auth": "GATEWAY_AUTH"}
    engine = OpenAIEngine(stub_server.base, "m", headers_env=headers)
    with caplog.at_level(logging.DEBUG), pytest.raises(lm15.LM15Error) as raised:
        call(engine, "complete", HI)
    sent = stub_server.stats()["headers"]
    assert sent["authorization"] == f"Bearer {SECRET}" and sent["x-api-key"] == SECOND
    seen = _everything(raised.value) + caplog.text + repr(vars(engine)) + str(pickle.dumps(engine))
    assert not any(secret in seen for secret in (SECRET, SECOND, PASSWORD))
    assert "[OPENAI_API_KEY]" in str(raised.value) or "Authorization" not in str(raised.value)


def test_a_key_that_a_good_answer_quotes_does_not_get_into_the_data(call, stub_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    stub_server.set(text=f"Your key is {SECRET}.")
    assert call(OpenAIEngine(stub_server.base, "m"), "complete", HI).message.text == "Your key is [OPENAI_API_KEY]."


def test_a_key_that_is_a_common_word_leaves_answers_alone(call, stub_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    stub_server.set(text="The EMPTY set.")
    assert call(OpenAIEngine(stub_server.base, "m"), "complete", HI).message.text == "The EMPTY set."


def test_an_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(
        ConfigError, match=r"without user, password or query: http://host:8000/v1. .*headers_env"
    ) as error:
        sw.openai_lm("m", f"http://me:{PASSWORD}@host:8000/v1")
    assert PASSWORD not in str(error.value)
    with pytest.raises(ConfigError) as error:
        sw.openai_lm("m", f"http://host:8000/v1?key={PASSWORD}")
    assert PASSWORD not in str(error.value)


def test_the_password_of_a_proxy_is_used_and_not_told(call, start_stub, monkeypatch):
    proxy = start_stub(quote=True)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", proxy.root.replace("://", f"://me:{PASSWORD}@"))
    engine = OpenAIEngine("http://models.example/v1", "m")
    assert call(engine, "complete", HI).message.text
    assert proxy.stats()["headers"]["proxy-authorization"].startswith("Basic ")
    proxy.stop()
    with pytest.raises(lm15.TransportError) as raised:
        call(engine, "complete", HI)
    assert PASSWORD not in _everything(raised.value)


# Certificates


def test_a_certificate_that_nobody_signed_is_not_trusted_and_not_retried(call, start_stub):
    server = start_stub(tls=CERTIFICATE)
    engine = OpenAIEngine(server.base, "m")
    with pytest.raises(lm15.ConfigurationError, match=r"certificate is not trusted .*SSL_CERT_FILE") as raised:
        call(engine, "complete", HI)
    assert not isinstance(raised.value, RETRYABLE)
    with pytest.raises(UnusableLMError, match="certificate is not trusted"):
        call(engine, "check")


def test_a_certificate_that_the_environment_names_is_trusted(start_stub, monkeypatch):
    server = start_stub(tls=CERTIFICATE)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    code = f"from synthwright.lms import OpenAIEngine; OpenAIEngine({server.base!r}, 'm').check()"
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Servers that go and come back


def test_a_server_that_comes_back_is_used_again(call, start_stub):
    server = start_stub()
    engine = OpenAIEngine(server.base, "m")
    assert call(engine, "complete", HI)
    server.set(dead=0.7)
    time.sleep(0.2)
    with pytest.raises(lm15.TransportError):
        call(engine, "complete", HI)
    with pytest.raises(UnusableLMError, match="No LM answers at"):
        call(engine, "check")
    time.sleep(1.0)
    assert call(engine, "complete", HI)


def test_a_redirect_is_not_followed_with_keys_in_hand():
    from synthwright.lms.http import http_error

    error = http_error(302, {"Location": "http://elsewhere"}, "Found", "there")
    assert isinstance(error, lm15.InvalidRequestError) and "Give the address that it redirects to" in str(error)


# Several endpoints


def test_calls_go_to_the_least_loaded_endpoint(start_stub):
    fast, slow = start_stub(latency=0.02), start_stub(latency=0.2)
    engine = OpenAIEngine([fast.base, slow.base], "m")

    async def main():
        numbers = iter(range(120))

        async def work():
            for number in numbers:
                await engine.twin.complete(Request("m", messages=(Message.user(f"Number {number}"),)))

        await asyncio.gather(*(work() for _ in range(8)))
        await engine.twin.aclose()

    asyncio.run(main())
    counts = fast.stats()["calls"], slow.stats()["calls"]
    assert sum(counts) == 120 and counts[0] > 4 * counts[1] > 0
    assert max(fast.stats()["max_open"], slow.stats()["max_open"]) <= 8


def test_an_endpoint_that_dies_loses_no_call_that_was_not_sent(call, start_stub):
    first, second = start_stub(), start_stub()
    engine = OpenAIEngine([first.base, second.base], "m")
    first.stop()
    for _ in range(6):
        assert call(engine, "complete", HI)
    assert second.stats()["calls"] == 6
    call(engine, "check")
    second.stop()
    with pytest.raises(UnusableLMError, match=r"No LM answers at http://.*; http://"):
        call(engine, "check")


def test_an_endpoint_that_fails_rests_and_is_tried_by_one_call(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    endpoints = Endpoints(["http://a/v1", "http://b/v1"])
    a, b = endpoints.all

    def fail(endpoint, error, since):
        endpoints.give(endpoint, since, error)

    taken = [endpoints.take() for _ in range(4)]
    assert sorted(e.base for e in taken) == ["http://a/v1", "http://a/v1", "http://b/v1", "http://b/v1"]
    for endpoint in taken:
        if endpoint is a:
            fail(a, lm15.TransportError("gone"), 100.0)
        else:
            endpoints.give(b, 100.0, None)
        now[0] = 100.5
    assert a.failures == 1 and 100.9 < a.resting_until < 101.6  # two calls of one outage are one failure
    assert [endpoints.take() for _ in range(3)] == [b, b, b]
    now[0] = 102.0
    again = [endpoints.take() for _ in range(3)]
    assert again.count(a) == 1  # one tries, the others do not wait for it
    fail(a, lm15.TransportError("gone"), 102.0)
    assert a.resting_until == 104.0
    now[0] = 105.0
    assert endpoints.take() is a
    endpoints.give(a, 105.0, None)
    assert a.failures == 0


def test_a_bad_request_is_not_the_fault_of_its_endpoint():
    endpoints = Endpoints(["http://a/v1", "http://b/v1"])
    endpoint = endpoints.take()
    endpoints.give(endpoint, time.monotonic(), lm15.InvalidRequestError("bad", status=400))
    assert endpoint.failures == 0 and endpoint.in_flight == 0


def test_one_address_at_least():
    with pytest.raises(ConfigError, match="at least one address"):
        sw.openai_lm("m", [])
    assert Endpoint("http://a/v1/").base == "http://a/v1"


# More than one completion, scores, vectors


def test_several_completions_are_one_request_and_their_usage_is_what_was_reported(call, stub_server):
    engine = OpenAIEngine(stub_server.base, "m")
    responses = call(engine, "complete_many", HI, 5)
    assert len({r.message.text for r in responses}) == 5 and stub_server.stats()["calls"] == 1
    alone = call(engine, "complete", HI)
    assert sum(r.usage.input_tokens for r in responses) == alone.usage.input_tokens
    assert sum(r.usage.output_tokens for r in responses) == sum(len(r.message.text) // 4 + 1 for r in responses)


def test_a_server_that_writes_one_is_remembered(call, stub_server):
    stub_server.set(many=False)
    engine = OpenAIEngine(stub_server.base, "m")
    assert len(call(engine, "complete_many", HI, 5)) == 1 and not engine.supports_many
    assert pickle.loads(pickle.dumps(engine)).supports_many is False


@pytest.mark.parametrize("total", [None, 0, 1, 7, 1000, 1001])
def test_totals_are_split_to_the_last_token(total):
    from synthwright.lms.wire import split_exactly

    parts = split_exactly(total, [1, 5, 30, 2])
    assert parts == [None] * 4 if total is None else (sum(parts) == total and min(parts) >= 0)


@pytest.mark.parametrize("raw", [False, True], ids=["chat", "raw"])
def test_log_probabilities_of_what_was_written(raw, call, stub_server):
    config = Config(logprobs=2, extensions={"raw_completion": True} if raw else None)
    response = call(OpenAIEngine(stub_server.base, "m"), "complete", Request("m", messages=HI.messages, config=config))
    assert response.logprobs and "".join(t.token for t in response.logprobs).replace(" ", "") in (
        response.message.text.replace(" ", "")
    )
    assert all(token.logprob < 0 for token in response.logprobs)
    assert raw or len(response.logprobs[0].top) == 2


def test_log_probabilities_of_a_prompt(call, stub_server):
    engine = OpenAIEngine(stub_server.base, "m")
    scored = call(engine, "prompt_logprobs", "The sea is", " very blue today")
    assert [token.token for token in scored] == [" very", " blue", " today"] and all(t.logprob < 0 for t in scored)
    stub_server.set(echo=False)
    with pytest.raises(lm15.UnsupportedFeatureError, match="does not give log-probabilities of a prompt"):
        call(engine, "prompt_logprobs", "The sea is", " very blue today")


def test_a_token_that_begins_before_the_continuation_counts(call, stub_server):
    scored = call(OpenAIEngine(stub_server.base, "m"), "prompt_logprobs", "The se", "a is blue")
    assert [token.token for token in scored] == [" sea", " is", " blue"]


def test_vectors_come_in_the_order_of_their_texts(call, stub_server):
    engine = OpenAIEngine(stub_server.base, "m")
    vectors = call(engine, "embed", ["the blue sea", "a red rose", "the blue sea"])
    assert vectors[0] == vectors[2] != vectors[1] and len(vectors[0]) == 32
    assert call(engine, "embed", []) == []
    stub_server.set(first=["empty"])
    with pytest.raises(lm15.ServerError, match="not embeddings"):
        call(engine, "embed", ["x"])


def test_a_plain_program_that_drops_its_lm_leaves_nothing_behind(stub_server):
    import subprocess
    import sys

    code = (
        "import synthwright as sw, gc\n"
        f"for _ in range(2): sw.openai_lm('m', {stub_server.base!r})('hello'); gc.collect()\n"
        f"lm = sw.openai_lm('m', {stub_server.base!r}); lm('hello')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
