import random
import time

from synthwright.retrieval.markup import (
    Section,
    html_sections,
    html_title,
    markdown_sections,
    nests_too_deep,
    plain_sections,
)

PAGE = """<html><head><title> A
page </title><style>p {}</style></head><body>
<nav>Home | About</nav><p>intro <b>bold</b>, <!-- secret --> text</p>
<h1>One  <i>a</i></h1><p>para<br>line</p><ul><li>first</li><li>second</li></ul>
<pre>if x:
    y()</pre><script>alert(1)</script>
<h2>Two</h2><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
<footer>legal</footer></body></html>"""


def test_html_loses_its_tags_and_furniture_and_keeps_its_structure():
    assert html_sections(PAGE) == [
        Section(0, "", "intro bold, text"),
        Section(1, "One a", "para\nline\n\nfirst\nsecond\n\nif x:\n    y()"),
        Section(2, "Two", "a | b\n1 | 2"),
    ]
    assert html_title(PAGE) == "A page" and html_title("<p>x") == ""


def test_html_reads_the_main_part_of_a_page_where_it_is_marked():
    assert html_sections("<div>around</div><main><p>inside</main>") == [Section(0, "", "inside")]


def test_broken_html_is_read_as_browsers_do():
    assert html_sections("<p>open <b>never <i>closed") == [Section(0, "", "open never closed")]
    assert html_sections("<div>" * 1500 + "deep")[0].text == "deep"
    assert html_sections("") == [] and html_sections("\x00<") is not None


def test_pages_that_would_keep_the_parser_busy_are_told_beforehand():
    assert nests_too_deep("<div>" * 2001) and nests_too_deep("<b><i>" * 1001)
    assert not nests_too_deep("<div><p>text<br></div>" * 5000) and not nests_too_deep("<li>" * 5000)
    started = time.monotonic()
    html_sections("<pre>" + " " * 1_000_000)
    assert time.monotonic() - started < 5


def test_markdown_headings_are_those_of_commonmark():
    text = "pre\n\n# A `b` *c*\ntext\n\n```\n# not a heading\n```\n\n> # quoted\n\nSub\n---\nmore"
    assert markdown_sections(text) == [
        Section(0, "", "pre"),
        Section(1, "A b c", "text\n\n```\n# not a heading\n```\n\n> # quoted"),
        Section(2, "Sub", "more"),
    ]


def test_plain_headings_are_underlined():
    text = "Title\n*****\n\ntext\n\nPart\n====\nmore\n\nTitle two\n*********\na line\n-----\n+----+\nshort\n--\n"
    assert plain_sections(text) == [
        Section(1, "Title", "text"),
        Section(2, "Part", "more"),
        Section(1, "Title two", "a line\n-----\n+----+\nshort\n--"),
    ]
    assert plain_sections("# no markdown here") == [Section(0, "", "# no markdown here")]
    assert plain_sections("") == [] and plain_sections("\n \n") == []


def test_no_text_is_lost_between_sections():
    for seed in range(200):
        rng = random.Random(seed)
        words = [f"w{i}" for i in range(30)]
        lines = [rng.choice([w, f"# {w}", f"{w}\n====", f"{w}\n\n", f"- {w}", f"    {w}"]) for w in words]
        for read in (plain_sections, markdown_sections):
            found = " ".join(f"{s.heading} {s.text}" for s in read("\n".join(lines)))
            assert all(word in found.split() or f"{word}" in found for word in words)
