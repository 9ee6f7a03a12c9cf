import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from synthwright.errors import ConfigError, RetrievalError
from synthwright.retrieval import web as module
from synthwright.retrieval.cache import AnswerCache
from synthwright.retrieval.web import Busy, Web, user_agent


def never_busy(reply):
    return None


def web(**options):
    return Web(**{"agent": "test", "delay": 0, "cache": None, **options})


def test_an_answer_is_asked_for_once_and_then_comes_from_the_cache(serve, tmp_path):
    server = serve(lambda path, parameters: {"n": parameters["n"]})
    asking = web(cache=AnswerCache(tmp_path))
    assert [asking.get(server.url, {"n": n}, never_busy) for n in (1, 1, 2)] == [{"n": "1"}, {"n": "1"}, {"n": "2"}]
    assert len(server.asked) == 2


def test_secrets_are_sent_and_kept_nowhere(serve, tmp_path):
    server = serve(lambda path, parameters: {"ok": parameters["key"] == "s3cret"})
    assert web(cache=AnswerCache(tmp_path)).get(server.url, {}, never_busy, secret={"key": "s3cret"}) == {"ok": True}
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.glob("*/*"))
    server.answer = lambda path, parameters: serve.Answer(b"<html>", 403)
    with pytest.raises(RetrievalError) as caught:
        web().get(server.url, {}, never_busy, secret={"key": "s3cret"})
    assert "s3cret" not in str(caught.value) and "HTTP 403 without data: '<html>'" in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_service_is_asked_again(serve, no_waiting, status):
    replies = iter([serve.Answer(b"busy", status), serve.Answer(b"busy", status)])
    server = serve(lambda path, parameters: next(replies, {"ok": 1}))
    assert web(retries=2).get(server.url, {}, never_busy) == {"ok": 1}
    assert len(server.asked) == 3


def test_what_stays_busy_is_a_clear_error_after_the_retries(serve, no_waiting):
    server = serve(lambda path, parameters: serve.Answer(b"", 503))
    with pytest.raises(RetrievalError, match=r"did not answer in 3 tries: HTTP 503 Service Unavailable"):
        web(retries=2).get(server.url, {}, never_busy)
    assert len(server.asked) == 3


def test_retry_after_is_honoured_as_seconds_and_as_a_date(serve):
    replies = iter([serve.Answer(b"", 429, {"Retry-After": "0.3"})])
    server = serve(lambda path, parameters: next(replies, {"ok": 1}))
    started = time.monotonic()
    assert web(retries=1).get(server.url, {}, never_busy) == {"ok": 1}
    assert 0.3 <= time.monotonic() - started < 2
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30))
    assert 25 < (module._retry_after(soon) or 0) <= 30
    assert [module._retry_after(text) for text in ("", "soon", "-3")] == [None, None, 0.0]


def test_a_service_that_asks_for_too_much_patience_is_an_error_at_once(serve):
    server = serve(lambda path, parameters: serve.Answer(b"", 429, {"Retry-After": "3600"}))
    with pytest.raises(RetrievalError, match=r"in 1 try: HTTP 429 Too Many Requests \(it asks to wait 3600 seconds"):
        web().get(server.url, {}, never_busy)
    assert len(server.asked) == 1


def test_a_reply_that_says_busy_is_asked_again_whatever_its_status(serve, no_waiting):
    replies = iter([{"lag": 9}, serve.Answer({"lag": 9}, 400)])
    server = serve(lambda path, parameters: next(replies, {"ok": 1}))
    assert web(retries=2).get(server.url, {}, lambda r: Busy("lag") if "lag" in r else None) == {"ok": 1}


def test_a_server_that_never_answers_is_given_up(serve, no_waiting):
    never = threading.Event()
    server = serve(lambda path, parameters: serve.Answer(wait=never))
    with pytest.raises(RetrievalError, match=r"in 2 tries: no answer within 0\.1 seconds"):
        web(timeout=0.1, retries=1).get(server.url, {}, never_busy)
    never.set()
    assert len(server.asked) == 2


def test_a_refused_connection_is_tried_again_and_then_named(no_waiting):
    with pytest.raises(RetrievalError, match=r"http://127\.0\.0\.1:9/x did not answer in 3 tries: .*refused"):
        web(retries=2).get("http://127.0.0.1:9/x?a=1", {"key": "s3cret"}, never_busy)


def test_an_answer_that_breaks_off_is_asked_for_again(serve, no_waiting):
    replies = iter([serve.Answer(b'{"a": 1', 200, {"Content-Length": "99"})])
    server = serve(lambda path, parameters: next(replies, {"ok": 1}))
    assert web(retries=1).get(server.url, {}, never_busy) == {"ok": 1}


def test_an_endless_answer_is_refused(serve, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    server = serve(lambda path, parameters: serve.Answer(b"x" * 5000))
    with pytest.raises(RetrievalError, match="more than 0 MB; refused"):
        web().get(server.url, {}, never_busy)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b"\xff\xfe"])
def test_an_answer_that_is_no_object_is_an_error(serve, body):
    server = serve(lambda path, parameters: serve.Answer(body))
    with pytest.raises(RetrievalError, match="answered HTTP 200 without data"):
        web().get(server.url, {}, never_busy)


def test_threads_ask_one_after_another_with_a_pause(serve):
    def slow(path, parameters):
        time.sleep(0.02)
        return {"ok": 1}

    server = serve(slow)
    started = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: web(delay=0.05).get(server.url, {"n": n}, never_busy), range(4)))
    assert found == [{"ok": 1}] * 4 and server.most_busy == 1
    assert time.monotonic() - started >= 3 * 0.07


def test_threads_in_line_give_up_together_when_the_host_is_down(no_waiting, monkeypatch):
    tries = []
    asking = web(retries=1)
    once = asking._once
    monkeypatch.setattr(asking, "_once", lambda *args: (tries.append(1), time.sleep(0.05), once(*args))[-1])
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(asking.get, "http://127.0.0.1:9/", {"n": n}, never_busy) for n in range(8)]
    assert all("did not answer" in str(future.exception()) for future in futures)
    assert len(tries) < 16
    with pytest.raises(RetrievalError):  # who comes later tries for itself
        asking.get("http://127.0.0.1:9/", {}, never_busy)


def test_the_user_agent_says_who_asks(serve):
    server = serve(lambda path, parameters: {})
    Web(agent=user_agent("me@example.org", "wikipedia"), cache=None).get(server.url, {}, never_busy)
    (agent,) = server.agents
    assert agent.startswith("synthwright/") and "me@example.org" in agent and "wikipedia/1" in agent
    with pytest.raises(ConfigError, match="one line of plain ASCII"):
        user_agent("me\r\nX-Evil: 1", "wikipedia")


def test_bad_arguments_are_named():
    for wrong in ({"timeout": 0}, {"retries": -1}, {"delay": -1}):
        with pytest.raises(ConfigError, match="Need timeout > 0"):
            web(**wrong)
    with pytest.raises(ConfigError, match="is not an address"):
        web().get("http://", {}, never_busy)


def test_a_service_that_wants_to_be_left_alone_is(serve):
    server = serve(lambda path, parameters: {"backoff": float(parameters["backoff"])})
    asking, started = web(), time.monotonic()
    for seconds in (0.3, 0, 90):
        asking.get(server.url, {"backoff": seconds}, never_busy, heard=lambda reply: Busy("backoff", reply["backoff"]))
    assert 0.3 <= time.monotonic() - started < 2
    with pytest.raises(RetrievalError, match=r"must be left alone for 90 seconds: backoff"):
        asking.get(server.url, {"backoff": 1}, never_busy)
    assert len(server.asked) == 3
