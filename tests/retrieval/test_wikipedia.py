"""Wikipedia against a server with the shapes of the MediaWiki API, for faults that a real one hardly shows."""

import asyncio
import pickle

import pytest

from synthwright.errors import ConfigError, RetrievalError
from synthwright.retrieval import ByHeader, ByParagraphs, Wikipedia
from synthwright.retrieval.markup import Section
from synthwright.retrieval.wiki_html import article_sections, option_titles


def wiki(server, **options):
    options = {"cache_days": 0, "delay": 0, "retries": 1, "split": ByParagraphs(1, 3000), **options}
    return Wikipedia(api_url=f"{server.url}/w/api.php", **options)


def page(title, extract, **more):
    """The replies to the two requests that the package makes for a page, in one."""
    address = "http://wiki/" + title.replace(" ", "_")
    return {
        "pageid": 7,
        "title": title,
        "fullurl": address,
        "extract": extract,
        "revisions": [{"revid": 1, "parentid": 0}],
        **more,
    }


def mediawiki(pages, hits=(), licence="CC0"):
    """Answers like a MediaWiki with these pages, whose search finds the same for every query."""

    def answer(path, asked):
        if asked.get("list") == "search":
            return {"batchcomplete": "", "query": {"search": [{"title": title} for title in hits]}}
        if asked.get("meta") == "siteinfo":
            return {"batchcomplete": "", "query": {"rightsinfo": {"text": licence}}}
        found = pages.get(asked["titles"])
        if found is None:
            return {"batchcomplete": "", "query": {"pages": {"-1": {"title": asked["titles"], "missing": ""}}}}
        return {"batchcomplete": "", "query": {"pages": {str(found["pageid"]): found}}}

    return answer


SNOW = {"Snow": page("Snow", "Snow is frozen water.\n\n\n== Uses ==\nIgloos are cut from snow.")}


def test_a_search_gives_passages_with_scores_headings_addresses_and_licence(serve):
    server = serve(mediawiki(SNOW, ["Snow"], licence="CC BY 4.0"))
    found = wiki(server).search("igloos of snow", k=5)
    assert [(p.title, p.text, p.url) for p in found] == [
        ("Snow > Uses", "Igloos are cut from snow.", "http://wiki/Snow#Uses"),
        ("Snow", "Snow is frozen water.", "http://wiki/Snow"),
    ]
    assert {(p.source, p.licence) for p in found} == {("wikipedia", "CC BY 4.0")}
    assert (found[0].score or 0) > (found[1].score or 0)


def test_several_queries_and_async_searches_give_the_same(serve):
    source = wiki(serve(mediawiki(SNOW, ["Snow"])))
    one = source.search("igloos", k=2)
    assert source.search(["igloos", "igloos"], k=2) == [one, one]
    assert asyncio.run(source.asearch("igloos", k=2)) == one
    assert source.search([], k=2) == [] and source.search("  ", k=2) == []


def test_every_request_is_polite(serve):
    server = serve(mediawiki(SNOW, ["Snow"]))
    wiki(server, contact="me@example.org", maxlag=3).search("snow", k=1)
    assert all(asked["maxlag"] == "3" and asked["format"] == "json" for _, asked in server.asked)
    assert all("me@example.org" in agent for agent in server.agents)
    server.asked.clear()
    wiki(server, maxlag=None).search("snow", k=1)
    assert not any("maxlag" in asked for _, asked in server.asked)


def test_a_wiki_that_lags_is_waited_for(serve, no_waiting):
    lag = {"error": {"code": "maxlag", "info": "Waiting for a database server: 9 seconds lagged.", "lag": 9}}
    replies = iter([lag, serve.Answer(lag, 200, {"Retry-After": "0"})])
    answer = mediawiki(SNOW, ["Snow"])
    server = serve(lambda path, asked: next(replies, None) or answer(path, asked))
    assert wiki(server, retries=2).search("snow", k=1)[0].title.startswith("Snow")


@pytest.mark.parametrize(
    "error",
    [
        {"code": "ratelimited", "info": "You've exceeded your rate limit."},
        {"code": "internal_api_error_DBQueryError", "info": "[x] Database query error."},
        {"code": "cirrussearch-too-busy-error", "info": "Search is currently too busy."},
        {"code": "srsearch-error", "info": "Pool queue is full"},
        {"code": "srsearch-error", "info": "HTTP request timed out."},
    ],
)
def test_a_busy_wiki_is_asked_again_and_then_named(serve, no_waiting, error):
    server = serve(lambda path, asked: {"error": error})
    with pytest.raises(RetrievalError) as caught:
        wiki(server).search("snow", k=1)
    assert f"did not answer in 2 tries: {error['code']}: {error['info']}" in str(caught.value)
    assert len(server.asked) == 2


def test_a_wiki_that_refuses_is_not_asked_again(serve):
    server = serve(lambda path, asked: {"error": {"code": "readapidenied", "info": "You need read permission."}})
    with pytest.raises(RetrievalError, match="refused the request: readapidenied: You need read permission"):
        wiki(server).search("snow", k=1)
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", [{"hello": 1}, {"error": "nope"}])
def test_a_service_that_is_no_wiki_is_named(serve, body):
    with pytest.raises(RetrievalError, match=r"does not answer like the api\.php of a MediaWiki"):
        wiki(serve(lambda path, asked: body)).search("snow", k=1)


def test_a_page_of_a_captive_portal_is_an_error_and_not_a_missing_page(serve):
    with pytest.raises(RetrievalError, match="HTTP 200 without data: '<html>log in</html>'"):
        wiki(serve(lambda path, asked: serve.Answer(b"<html>log in</html>"))).page("Snow")


def test_offline_the_message_says_what_can_serve_instead(no_waiting):
    source = Wikipedia(api_url="http://127.0.0.1:9/api.php", cache_days=0, retries=1)
    for ask in (lambda: source.search("snow"), lambda: source.page("Snow"), lambda: source.titles("snow")):
        with pytest.raises(
            RetrievalError,
            match=r"did not answer in 2 tries.*refused.*Offline, search local text: BM25\(PythonDocs\(\)\)",
        ):
            ask()


def test_the_cache_serves_offline(serve, tmp_path):
    server = serve(mediawiki(SNOW, ["Snow"]))
    options = {"cache_days": 1, "cache_directory": str(tmp_path)}
    found = wiki(server, **options).search("snow", k=2)
    server.answer = lambda path, asked: serve.Answer(b"", 500)
    asked = len(server.asked)
    assert wiki(server, **options).search("snow", k=2) == found and len(server.asked) == asked


def test_errors_are_never_cached(serve, tmp_path, no_waiting):
    replies = iter([{"error": {"code": "readapidenied", "info": "no"}}])
    answer = mediawiki(SNOW, ["Snow"])
    source = wiki(
        serve(lambda p, asked: next(replies, None) or answer(p, asked)), cache_days=1, cache_directory=str(tmp_path)
    )
    with pytest.raises(RetrievalError):
        source.search("snow", k=1)
    assert source.search("snow", k=1)


def test_the_package_itself_is_left_as_it_was(serve):
    import wikipedia as package

    before = dict(vars(package.wikipedia))
    source = wiki(serve(mediawiki(SNOW, ["Snow"])))
    assert source.search("snow", k=1)
    assert dict(vars(package.wikipedia)) == before
    assert package.wikipedia.search._cache == {}


def test_two_wikis_at_once_do_not_mix(serve):
    one = serve(mediawiki({"Snow": page("Snow", "The first wiki.")}, ["Snow"]))
    two = serve(mediawiki({"Snow": page("Snow", "The second wiki.")}, ["Snow"]))
    first, second = wiki(one), wiki(two)
    texts = [source.search("wiki", k=1)[0].text for source in (first, second, first, second)]
    assert texts == ["The first wiki.", "The second wiki."] * 2


def test_it_can_be_pickled_before_and_after_a_search(serve):
    source = wiki(serve(mediawiki(SNOW, ["Snow"])))
    for _ in range(2):
        again = pickle.loads(pickle.dumps(source))
        assert again.search("snow", k=2) == source.search("snow", k=2)


def test_a_query_that_finds_nothing_is_asked_again_word_by_word(serve):
    def answer(path, asked):
        if asked.get("list") == "search" and asked["srsearch"] not in ("igloos", "winter"):
            return {"batchcomplete": "", "query": {"search": []}}
        return mediawiki(SNOW, ["Snow"])(path, asked)

    server = serve(answer)
    assert wiki(server).titles("how are igloos built in winter") == ["Snow"]
    assert [asked["srsearch"] for _, asked in server.asked][::2][1:] == ["igloos", "winter", "built", "how"]


def test_long_queries_are_cut_at_a_word(serve):
    server = serve(mediawiki(SNOW, ["Snow"]))
    wiki(server).titles("snowy " * 100)
    assert server.asked[0][1]["srsearch"] == ("snowy " * 50).strip()
    wiki(server).titles("x" * 400)
    assert len(server.asked[-1][1]["srsearch"]) == 300


def test_wikipedia_is_asked_once_for_a_search_and_over_https(monkeypatch):
    source = Wikipedia("de", cache_days=0)
    asked = []
    reply = {"batchcomplete": "", "query": {"search": [{"title": "Schnee"}]}}
    monkeypatch.setattr(source.web, "get", lambda url, parameters, busy: asked.append((url, parameters)) or reply)
    assert source.titles("Schnee", 5) == ["Schnee"]
    ((url, parameters),) = asked
    assert url == "https://de.wikipedia.org/w/api.php" and parameters["srlimit"] == 5
    assert source.licence == "CC BY-SA 4.0"


def test_pages_are_read_until_there_are_enough_passages(serve):
    pages = {name: page(name, f"{name} text", pageid=n) for n, name in enumerate("ABCDEF")}
    server = serve(mediawiki(pages, list("ABCDEF")))
    assert len(wiki(server, pages=2).search("text", k=1)) == 1
    assert sorted({asked["titles"] for _, asked in server.asked if "titles" in asked}) == ["A", "B"]
    assert len(wiki(server, pages=2).search("text", k=5)) == 5


@pytest.mark.parametrize("title", ["", "  ", "[[x]]", "A|B", "a\x00b", "#", "x" * 300])
def test_titles_that_cannot_be_are_never_asked(serve, title):
    server = serve(mediawiki({}))
    assert wiki(server).page(title) == [] and server.asked == []


def test_bad_arguments_are_named():
    for language in ("en.evil.com/", "", "EN", 3):
        with pytest.raises(ConfigError, match="`language` must be a code"):
            Wikipedia(language)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"address of an api\.php, got 'wiki'"):
        Wikipedia(api_url="wiki")
    with pytest.raises(ConfigError, match="at least 1, got 0 and 2"):
        Wikipedia(pages=0)


def test_options_are_the_titles_of_links_to_pages_that_exist():
    html = (
        '<div class="toc"><li><a href="#x" title="x">1 Science</a></li></div><ul>'
        '<li><a href="/a" title="Mercury (planet)">Mercury</a> of the <a href="/s" title="Sun">Sun</a></li>'
        '<li><a class="new" href="/b" title="Gone (page does not exist)">Gone</a></li>'
        '<li><a class="external" href="https://x">Out</a></li><li>plain</li></ul>'
    )
    assert [li.a.get_text() for li in option_titles(html).find_all("li") if li.a] == ["Mercury (planet)"]


def test_html_of_an_article_becomes_sections():
    html = (
        '<p>Snow is <b>cold</b>.<sup class="reference">[1]</sup></p><table><tr><td>box</td></tr></table>'
        '<h2>Uses<span class="mw-editsection">[edit]</span></h2><ul><li>igloos</li><li>fun</li></ul>'
        "<h3>Code</h3><pre>a\n  b</pre><script>alert(1)</script>"
    )
    assert article_sections(html) == [
        Section(0, "", "Snow is cold."),
        Section(2, "Uses", "igloos\nfun"),
        Section(3, "Code", "a\n  b"),
    ]


def test_how_articles_are_cut_is_an_argument(serve):
    server = serve(mediawiki(SNOW, ["Snow"]))
    assert [p.title for p in wiki(server, split=ByHeader(1, 3000)).page("Snow")] == ["Snow > Uses"]
    assert [p.text for p in wiki(server, split=None).page("Snow")] == [
        "Snow is frozen water.\n\nUses\n\nIgloos are cut from snow."
    ]
