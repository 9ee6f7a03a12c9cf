import random

import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval.sections import split_sections

ARTICLE = """Bread is baked.
It is old.


== History ==
Egypt baked.


=== Rome ===
Rome had guilds.


== Making ==


=== Kneading ===
Knead it.


=== Baking ===
Bake it.


== See also ==
Salt


=== Lists ===
Pepper


== Staling ==
Bread goes stale."""


def split(text, **options):
    return [(p.title, p.text) for p in split_sections(text, **{"title": "Bread", "least": 0, "most": 500, **options})]


def test_every_section_is_a_passage_with_its_headings_and_lists_of_links_are_left_out():
    assert split(ARTICLE) == [
        ("Bread", "Bread is baked.\nIt is old."),
        ("Bread > History", "Egypt baked."),
        ("Bread > History > Rome", "Rome had guilds."),
        ("Bread > Making > Kneading", "Knead it."),
        ("Bread > Making > Baking", "Bake it."),
        ("Bread > Staling", "Bread goes stale."),
    ]


def test_short_sections_are_joined_under_what_their_headings_share():
    text = ARTICLE.partition("== Making ==")[2]
    assert split("== Making ==" + text.partition("== See")[0], least=20) == [
        ("Bread > Making", "Kneading\nKnead it.\n\nBaking\nBake it.")
    ]
    assert split(ARTICLE, least=500) == [
        (
            "Bread",
            "Bread is baked.\nIt is old.\n\nHistory\nEgypt baked.\n\nHistory > Rome\nRome had guilds.\n\n"
            "Making > Kneading\nKnead it.\n\nMaking > Baking\nBake it.\n\nStaling\nBread goes stale.",
        )
    ]


def test_a_short_rest_goes_to_the_passage_before_it():
    text = "== A ==\n" + "a" * 40 + "\n== B ==\nb"
    assert split(text, least=30) == [("Bread", "A\n" + "a" * 40 + "\n\nB\nb")]
    assert split(text, least=30, most=45) == [("Bread > A", "a" * 40), ("Bread > B", "b")]


def test_long_sections_are_split_between_lines_then_sentences_then_words_then_anywhere():
    lines = "\n".join(f"line {n} " + "x" * 20 for n in range(6))
    assert [len(text) for _, text in split(lines, most=60)] == [55, 55, 55]
    sentences = " ".join(f"This is sentence {n}." for n in range(6))
    assert [text for _, text in split(sentences, most=45)] == [
        "This is sentence 0. This is sentence 1.",
        "This is sentence 2. This is sentence 3.",
        "This is sentence 4. This is sentence 5.",
    ]
    assert [text for _, text in split("word " * 9, most=12)] == [
        "word word",
        "word word",
        "word word",
        "word word",
        "word",
    ]
    assert [len(text) for _, text in split("x" * 25, most=10)] == [10, 10, 5]
    assert [text for _, text in split("これは文。次の文です。", most=8)] == ["これは文。", "次の文です。"]


def test_no_text_is_lost_and_no_passage_is_too_long():
    draw = random.Random(0)
    for _ in range(200):
        parts = []
        for n in range(draw.randrange(1, 12)):
            depth = "=" * draw.randrange(2, 5)
            words = [f"w{n}x{i}" + "y" * draw.randrange(20) for i in range(draw.randrange(0, 60))]
            parts.append(f"{depth} Heading {n} {depth}\n" + draw.choice([" ", "\n"]).join(words))
        text, most = "\n\n\n".join(parts), draw.randrange(100, 400)
        found = split(text, least=draw.randrange(0, most), most=most)
        assert max((len(passage) for _, passage in found), default=0) <= most
        joined = " ".join(passage for _, passage in found)
        assert [w for w in joined.split() if "x" in w] == [w for w in text.split() if "x" in w]


def test_what_only_looks_like_a_heading_is_text():
    for line in ("== open", "a == b ==", "= One =", "===="):
        assert split(f"Intro\n{line}\nmore") == [("Bread", f"Intro\n{line}\nmore")]


def test_addresses_point_to_the_section():
    passages = split_sections(ARTICLE, title="Bread", url="https://w/Bread", licence="CC0", source="wikipedia", least=0)
    found = list(passages)
    assert [p.url for p in found][:3] == ["https://w/Bread", "https://w/Bread#History", "https://w/Bread#Rome"]
    assert {(p.licence, p.source) for p in found} == {("CC0", "wikipedia")}
    (odd,) = split_sections('== A "b" c? ==\ntext', url="u")
    assert odd.url == "u#A_%22b%22_c%3F" and odd.title == 'A "b" c?'


def test_an_article_without_text_gives_nothing():
    for text in ("", "\n\n", "== A ==\n\n== B ==\n", "== References ==\na"):
        assert split(text) == []


def test_headings_to_leave_out_are_an_argument():
    assert split("== History ==\na\n== See also ==\nb", leave_out=frozenset({"history"})) == [("Bread > See also", "b")]


def test_a_window_that_is_none_is_refused():
    for least, most in ((5, 4), (-1, 4), (0, 0)):
        with pytest.raises(ConfigError, match="0 <= least <= most"):
            split("a", least=least, most=most)
