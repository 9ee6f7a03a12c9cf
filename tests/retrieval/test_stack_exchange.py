"""Stack Exchange's API against a server on loopback that answers in its shapes (api.stackexchange.com/docs)."""

import pickle
import time
from itertools import pairwise

import pytest

from synthwright.errors import ConfigError, RetrievalError
from synthwright.retrieval import StackExchange
from synthwright.retrieval.stack_posts import Post, post_passage, post_text

SITES = [{"api_site_parameter": "stackoverflow", "name": "Stack Overflow"}, {"api_site_parameter": "math", "name": "M"}]


def question(number, *, score=5, answer=None, **more):
    return {
        "question_id": number,
        "accepted_answer_id": number + 1000 if answer is None else answer,
        "title": f"How &amp; why {number}?",
        "body": f"<p>Question {number} &lt;x&gt;</p>",
        "score": score,
        "link": f"https://stackoverflow.com/questions/{number}/how",
        "content_license": "CC BY-SA 4.0",
        **more,
    }


def answer(number, *, score=3, **more):
    body = f"<p>Answer <code>f({number})</code></p>"
    return {"answer_id": number, "body": body, "score": score, "content_license": "CC BY-SA 4.0", **more}


class Api:
    """The three endpoints that a search uses, with pages, ids and the wrapper of every reply."""

    def __init__(self, questions, answers=None, **wrapper):
        self.questions = questions
        self.answers = answers if answers is not None else [answer(q["accepted_answer_id"]) for q in questions]
        self.wrapper = wrapper

    def __call__(self, path, asked):
        parts = path.strip("/").split("/")
        if parts[1] == "sites":
            return self.page(SITES, asked)
        if parts[1] == "answers":
            wanted = {int(number) for number in parts[2].split(";")}
            assert len(wanted) <= 100
            return self.page([a for a in reversed(self.answers) if a["answer_id"] in wanted], asked)
        assert parts[1:] == ["search", "advanced"] and asked["site"] == "stackoverflow" and asked["accepted"] == "true"
        return self.page(self.questions, asked)

    def page(self, items, asked):
        size, page = int(asked["pagesize"]), int(asked["page"])
        part = items[(page - 1) * size : page * size]
        quota = {"quota_max": 300, "quota_remaining": 250}
        return {"items": part, "has_more": page * size < len(items), **quota, **self.wrapper}


def stack(server, **options):
    return StackExchange(**{"api_url": server.url, "cache_days": 0, "delay": 0, "retries": 1, **options})


def test_a_question_and_its_accepted_answer_are_one_passage_with_link_and_licence(serve):
    server = serve(Api([question(1), question(2)]))
    found = stack(server).search("how", k=2)
    assert found[0].text == "# How & why 1?\n\nQuestion 1 <x>\n\n## Accepted answer\n\nAnswer `f(1001)`"
    assert (found[0].title, found[0].source) == ("How & why 1?", "stack_exchange")
    assert (found[0].url, found[0].licence) == ("https://stackoverflow.com/questions/1/how", "CC BY-SA 4.0")
    assert [p.score for p in found] == [1, 0.5]


def test_pages_are_fetched_while_more_are_wanted_and_there_are_more(serve):
    server = serve(Api([question(n) for n in range(250)]))
    assert len(stack(server).search("how", k=80)) == 80
    pages = [asked["page"] for path, asked in server.asked if "search" in path]
    assert pages == ["1", "2", "3"]
    server.asked.clear()
    assert len(stack(server).search("how", k=5)) == 5
    assert [asked["pagesize"] for path, asked in server.asked if "search" in path] == ["15"]


def test_low_scores_and_deleted_answers_are_passed_over(serve):
    questions = [question(1, score=0), question(2), question(3), question(4), question(5, answer=0)]
    api = Api(questions, [answer(1001), answer(1003, score=-1), answer(1004)])
    found = stack(serve(api), least_score=1).search("how", k=5)
    assert [p.title for p in found] == ["How & why 4?"]


def test_tags_and_key_are_sent_and_the_key_is_kept_nowhere(serve, tmp_path):
    server = serve(Api([question(1)]))
    source = stack(server, tags=["python", "xml"], key="s3cret", cache_days=1, cache_directory=str(tmp_path))
    assert source.search("how", k=1)
    searched = next(asked for path, asked in server.asked if "search" in path)
    assert searched["tagged"] == "python;xml" and all(asked["key"] == "s3cret" for _, asked in server.asked)
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.glob("*/*"))


def test_answers_come_from_the_cache_the_second_time(serve, tmp_path):
    server = serve(Api([question(1)], backoff=1))
    options = {"cache_days": 1, "cache_directory": str(tmp_path)}
    stack(server, **options).search("how", k=1)
    asked, started = len(server.asked), time.monotonic()
    assert stack(server, **options).search("how", k=1)[0].title == "How & why 1?"
    assert len(server.asked) == asked and time.monotonic() - started < 0.9  # an old backoff is not waited for again


def test_backoff_is_waited_for(serve):
    times = []
    api = Api([question(1)])

    def answer(path, asked):
        times.append(time.monotonic())
        return {**api(path, asked), "backoff": 0.4}

    stack(serve(answer)).search("how", k=1)
    assert len(times) == 3 and all(later - earlier >= 0.4 for earlier, later in pairwise(times))


def test_a_backoff_beyond_patience_is_an_error_before_the_next_request(serve):
    server = serve(Api([question(1)], backoff=300))
    with pytest.raises(RetrievalError, match=r"must be left alone for 300 seconds: backoff.*StackExchangeDump"):
        stack(server).search("how", k=1)
    assert len(server.asked) == 1


def test_the_quota_is_watched_and_nothing_is_asked_beyond_it(serve):
    server = serve(Api([question(1)]))
    source = stack(server)
    assert source.quota_remaining is None
    source.search("how", k=1)
    assert source.quota_remaining == 250
    server.answer = Api([question(1)], quota_remaining=0)
    with pytest.raises(RetrievalError, match=r"the daily quota of 300 requests is used up; a key of your own raises"):
        source.search("why", k=1)
    asked = len(server.asked)
    with pytest.raises(RetrievalError, match="daily quota"):
        source.search("when", k=1)
    assert len(server.asked) == asked


def test_a_throttle_that_ends_soon_is_waited_for_and_a_long_one_is_an_error(serve):
    def throttled(seconds):
        message = f"too many requests from this IP, more requests available in {seconds} seconds"
        error = {"error_id": 502, "error_name": "throttle_violation", "error_message": message}
        return serve.Answer(error, 400)

    replies = iter([throttled(0)])
    api = Api([question(1)])
    server = serve(lambda path, asked: next(replies, None) or api(path, asked))
    assert stack(server).search("how", k=1)
    server = serve(lambda path, asked: throttled(68064))
    with pytest.raises(RetrievalError, match=r"in 1 try: throttle_violation: .*\(it asks to wait 68064 seconds\)"):
        stack(server).search("how", k=1)
    assert len(server.asked) == 1


def test_what_the_api_refuses_is_said_and_not_asked_again(serve):
    error = {"error_id": 400, "error_name": "bad_parameter", "error_message": "key doesn't match a known application"}
    server = serve(lambda path, asked: serve.Answer(error, 400))
    with pytest.raises(RetrievalError, match="refused the request: bad_parameter: key doesn't match"):
        stack(server).search("how", k=1)
    assert len(server.asked) == 1


def test_an_html_page_of_a_gateway_is_retried_and_other_json_is_named(serve, no_waiting):
    replies = iter([serve.Answer(b"<html>Bad gateway", 502)])
    api = Api([question(1)])
    server = serve(lambda path, asked: next(replies, None) or api(path, asked))
    assert stack(server).search("how", k=1)
    with pytest.raises(RetrievalError, match="does not answer like Stack Exchange"):
        stack(serve(lambda path, asked: {"hello": 1})).search("how", k=1)


def test_offline_the_message_says_what_can_serve_instead(no_waiting):
    source = StackExchange(api_url="http://127.0.0.1:9", cache_days=0, retries=1)
    with pytest.raises(RetrievalError, match=r"did not answer in 2 tries.*Offline.*StackExchangeDump\('Posts\.xml'\)"):
        source.search("how")


def test_an_unknown_site_is_named(serve):
    with pytest.raises(ConfigError, match="no site 'nosuch'"):
        stack(serve(Api([])), site="nosuch").search("how")
    with pytest.raises(ConfigError, match="`site` must be a name"):
        StackExchange("https://x y")


def test_the_package_is_left_as_it_was_and_the_source_can_be_pickled(serve):
    import stackapi.stackapi as package

    before = dict(vars(package))
    source = stack(serve(Api([question(1)])))
    found = source.search(["how", "  "], k=1)
    assert dict(vars(package)) == before and found[1] == []
    assert pickle.loads(pickle.dumps(source)).search(["how"], k=1) == found[:1]


def test_code_keeps_its_lines_and_language_and_links_their_words():
    body = (
        '<p>Use <a href="https://x">the <em>docs</em></a> &amp; <img src="y" alt="z"> a_b * c</p>'
        '<pre class="lang-py prettyprint-override"><code>for x in y:\n    print("&lt;*_&gt;")\n</code></pre>'
        "<ul><li>one</li><li>two</li></ul><blockquote><p>said</p></blockquote><script>alert(1)</script>"
    )
    text = post_text(body)
    assert text.startswith("Use the *docs* & z a_b * c\n\n```py\n")
    assert '```py\nfor x in y:\n    print("<*_>")\n' in text
    assert "- one\n- two" in text and "> said" in text and "https://x" not in text and "<script>" not in text


def test_licences_that_differ_are_both_named_and_empty_posts_give_nothing():
    old, new = Post(1, "<p>a</p>", "CC BY-SA 3.0", "T"), Post(2, "<p>b</p>", "CC BY-SA 4.0")
    passage = post_passage(old, new, "math.stackexchange.com")
    assert passage is not None and passage.licence == "CC BY-SA 3.0 (question), CC BY-SA 4.0 (answer)"
    assert passage.url == "https://math.stackexchange.com/q/1"
    assert post_passage(old, Post(2, "<p> </p>"), "") is None
    assert post_text("<div>" * 20000 + "deep") == ""
