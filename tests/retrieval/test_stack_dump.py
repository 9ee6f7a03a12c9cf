"""The data dump, in the form that Stack Exchange publishes it, written here on a small scale."""

import pickle
import tracemalloc
from xml.sax.saxutils import quoteattr

import py7zr
import pytest

from synthwright.errors import ConfigError, RetrievalError
from synthwright.retrieval import StackExchangeDump

HEAD, TAIL = '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n', "</posts>\n"


def row(**attributes):
    return "  <row " + " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items()) + " />\n"


def asked(number, accepted=None, **more):
    accepting = {} if accepted is None else {"AcceptedAnswerId": accepted}
    fields = {"Score": 5, "Title": f"Title {number} & co", "Body": f"<p>Question {number}</p>", "Tags": "<python><xml>"}
    return row(Id=number, PostTypeId=1, **accepting, **{**fields, "ContentLicense": "CC BY-SA 4.0", **more})


def answered(number, parent, **more):
    fields = {"Score": 3, "Body": f"<p>Answer {number}</p>", "ContentLicense": "CC BY-SA 4.0"}
    return row(Id=number, PostTypeId=2, ParentId=parent, **{**fields, **more})


@pytest.fixture
def dump(tmp_path):
    """A function that writes a Posts.xml and gives the corpus over it."""

    def write(*rows, head=HEAD, tail=TAIL, **options):
        folder = tmp_path / "math.stackexchange.com"
        folder.mkdir(exist_ok=True)
        data = b"".join(part if isinstance(part, bytes) else part.encode() for part in (head, *rows, tail))
        (folder / "Posts.xml").write_bytes(data)
        return StackExchangeDump(folder / "Posts.xml", **options)

    return write


def titles(corpus):
    return [passage.title for passage in corpus]


def test_a_question_and_its_accepted_answer_are_one_passage(dump):
    code = "<p>Use:</p><pre><code>if a < b & c:\n    pass\n</code></pre>".replace("a < b & c", "a &lt; b &amp; c")
    corpus = dump(asked(1, 3), answered(2, 1), answered(3, 1, Body=code, ContentLicense="CC BY-SA 3.0"))
    (passage,) = corpus
    assert passage.text.startswith("# Title 1 & co\n\nQuestion 1\n\n## Accepted answer\n\nUse:\n\n```")
    assert "if a < b & c:\n    pass\n" in passage.text and "Answer 2" not in passage.text
    assert passage.url == "https://math.stackexchange.com/q/1" and passage.source == "stack_exchange"
    assert passage.licence == "CC BY-SA 4.0 (question), CC BY-SA 3.0 (answer)" and not corpus.skipped


def test_an_answer_may_come_long_after_its_question_or_before_it(dump):
    others = [asked(n) for n in range(100, 300)]
    corpus = dump(answered(7, 8), asked(1, 2), *others, asked(8, 7), answered(2, 1))
    assert titles(corpus) == ["Title 8 & co", "Title 1 & co"]
    assert corpus.skipped == {"no_accepted_answer": 200}


def test_what_is_left_out_is_counted_by_reason(dump):
    corpus = dump(
        asked(1, 11, Score=0),
        asked(2, 12, Tags="|java|"),
        asked(3, 13, Tags="|python|"),
        asked(4, 14),
        asked(5, 15),
        asked(6),
        answered(13, 3, Score=0),
        answered(14, 4),
        answered(99, 4),
        row(Id=100, PostTypeId=4, Body="a wiki page of a tag"),
        asked(7, 17),
        answered(17, 7, Body="<p> </p>"),
        least_score=1,
        least_answer_score=1,
        tags=["python"],
    )
    assert titles(corpus) == ["Title 4 & co"]
    assert corpus.skipped == {
        "low_score": 1,
        "other_tags": 1,
        "low_answer_score": 1,
        "no_accepted_answer": 1,
        "answer_deleted": 1,
        "no_text": 1,
    }
    assert corpus.skipped.examples["answer_deleted"] == ["question 5"]


def test_each_reading_starts_anew(dump):
    corpus = dump(asked(1, 2), asked(3), answered(2, 1))
    assert titles(corpus) == titles(corpus) == ["Title 1 & co"] and corpus.skipped == {"no_accepted_answer": 1}


@pytest.mark.parametrize(
    "damage",
    [
        b'  <row Id="50" Body="no end\n',
        b'  <row Id="50" Body=unquoted />\n',
        b'  <row Id="50" Body="\xff\xfe latin \xe9" />\n',
        b'  <row Id="50" Body="&unknown;" />\n',
        b'  <row Id="50" Id="51" />\n',
        b'  <row Id="50" Body="\x00" />\n',
        b'  <row Id="fifty" PostTypeId="1" />\n',
        b'  <row PostTypeId="1" />\n',
        b'  <row Id="99999999999999999999999" PostTypeId="1" AcceptedAnswerId="1" />\n',
        b'  <row Id="50" PostTypeId="1"></row>\n',
    ],
)
def test_a_damaged_row_ends_with_itself(dump, damage):
    corpus = dump(asked(1, 2), damage, answered(2, 1), asked(3, 4), damage, answered(4, 3))
    assert titles(corpus) == ["Title 1 & co", "Title 3 & co"]
    assert corpus.skipped["malformed"] == 2


def test_a_file_that_breaks_off_gives_what_it_has_and_says_so(dump):
    corpus = dump(asked(1, 2), answered(2, 1), asked(3, 4)[:40], tail="")
    assert titles(corpus) == ["Title 1 & co"]
    assert corpus.skipped == {"malformed": 1, "truncated": 1}


def test_a_file_that_declares_entities_is_refused_before_they_cost_anything(dump):
    bomb = '<?xml version="1.0"?>\n<!DOCTYPE posts [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]>\n<posts>'
    external = '<!DOCTYPE posts SYSTEM "file:///etc/passwd"><posts>'
    for head in (bomb, external):
        with pytest.raises(RetrievalError, match="declares a document type or entities"):
            list(dump(asked(1, 2, Body="&c;"), head=head))


def test_a_row_without_end_does_not_fill_the_memory(dump):
    huge = b'  <row Id="9" PostTypeId="1" Body="' + b"x" * (12 * 2**20) + b'" />\n'
    corpus = dump(asked(1, 2), huge, answered(2, 1))
    tracemalloc.start()
    assert titles(corpus) == ["Title 1 & co"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert corpus.skipped == {"too_long": 1} and peak < 24 * 2**20


@pytest.mark.parametrize("data", [b"", b"<html><body>Not found</body></html>", b"\x00\x01\x02", b"<posts></posts>"])
def test_a_file_that_is_no_dump_is_named(tmp_path, data):
    (tmp_path / "Posts.xml").write_bytes(data)
    with pytest.raises(RetrievalError, match="holds no posts"):
        list(StackExchangeDump(tmp_path / "Posts.xml"))


def test_utf_16_is_named(tmp_path):
    (tmp_path / "Posts.xml").write_text(HEAD + asked(1) + TAIL, encoding="utf-16")
    with pytest.raises(RetrievalError, match="is UTF-16; dumps are UTF-8"):
        list(StackExchangeDump(tmp_path / "Posts.xml"))


def packed(path, posts, name="Posts.xml"):
    with py7zr.SevenZipFile(path, "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]) as archive:
        archive.writestr("<badges></badges>", "Badges.xml")
        archive.writestr(posts, name)
    return path


def test_an_archive_gives_the_same_as_the_plain_file(dump, tmp_path):
    rows = [asked(n, n + 1) + answered(n + 1, n) for n in range(1, 200, 2)]
    plain = dump(*rows)
    path = packed(tmp_path / "math.stackexchange.com.7z", HEAD + "".join(rows) + TAIL)
    corpus = StackExchangeDump(path)
    assert list(corpus) == list(plain) and len(titles(plain)) == 100
    assert StackExchangeDump(packed(tmp_path / "stackoverflow.com-Posts.7z", "x")).site == "stackoverflow.com"


def test_an_archive_is_read_in_bounded_memory_and_may_be_left_early(tmp_path, monkeypatch):
    monkeypatch.setattr("py7zr.py7zr.get_memory_limit", lambda: 10**6)  # its blocks have 128 MB where memory allows
    body = "<p>" + "word " * 800 + "</p>"
    rows = "".join(asked(n, n + 1, Body=body) + answered(n + 1, n, Body=body) for n in range(1, 10000, 2))
    path = packed(tmp_path / "site.7z", HEAD + rows + TAIL)
    size = len(rows)
    assert size > 40 * 10**6
    del rows
    corpus = StackExchangeDump(path, least_score=6)
    tracemalloc.start()
    assert list(corpus) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert corpus.skipped == {"low_score": 5000} and peak < size / 2
    first = iter(StackExchangeDump(path))
    assert next(first).title == "Title 1 & co"
    first.close()  # type: ignore[attr-defined]


def test_a_broken_archive_and_one_without_posts_are_named(tmp_path):
    (tmp_path / "a.7z").write_bytes(b"no archive")
    with pytest.raises(RetrievalError, match=r"Cannot read the archive .*a\.7z"):
        list(StackExchangeDump(tmp_path / "a.7z"))
    with pytest.raises(RetrievalError, match=r"holds no Posts\.xml, only: Badges\.xml, Users\.xml"):
        list(StackExchangeDump(packed(tmp_path / "b.7z", "x", "Users.xml")))
    path = packed(tmp_path / "c.7z", HEAD + asked(1, 2) + answered(2, 1) * 2000 + TAIL)
    data = bytearray(path.read_bytes())
    data[60:90] = b"\xff" * 30
    path.write_bytes(data)
    with pytest.raises(RetrievalError, match=r"Cannot read the archive .*c\.7z"):
        list(StackExchangeDump(path))


def test_the_hash_follows_the_file_and_the_arguments(dump):
    corpus = dump(asked(1, 2), answered(2, 1))
    assert (
        corpus.hash() == StackExchangeDump(corpus.path).hash() != StackExchangeDump(corpus.path, least_score=1).hash()
    )
    before = corpus.hash()
    assert dump(asked(1, 2), answered(2, 1), asked(3)).hash() != before


def test_a_corpus_can_be_pickled_after_reading(dump):
    corpus = dump(asked(1, 2), answered(2, 1), asked(3))
    list(corpus)
    again = pickle.loads(pickle.dumps(corpus))
    assert again.skipped == {"no_accepted_answer": 1} and again.skipped.examples == corpus.skipped.examples
    assert titles(again) == ["Title 1 & co"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="There is no file"):
        StackExchangeDump(tmp_path / "Posts.xml")
