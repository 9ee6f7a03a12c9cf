import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval import BM25, Passage, RetrievalError, Wikipedia, split_text

TEXTS = [
    "Snow is frozen water.",
    "Bread is baked from flour and water.",
    "A clock shows the time.",
    "Cats sleep a lot.",
]


def test_bm25_ranks_the_passage_with_the_query_words_first_and_leaves_out_the_others():
    index = BM25(Passage(text=text) for text in TEXTS)
    assert [p.text for p in index.search("baked flour", k=3)] == [TEXTS[1]]
    assert {p.text for p in index.search("WATER", k=9)} == {TEXTS[0], TEXTS[1]}
    assert index.search("zebra", k=3) == []


def test_bm25_refuses_an_empty_corpus_and_a_bad_k():
    with pytest.raises(ConfigError, match="passages with words"):
        BM25([])
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        BM25([Passage(text="word")]).search("word", k=0)


def test_split_text_keeps_paragraphs_whole():
    passages = list(split_text("one two\n\nthree four\n\nfive six seven eight", most_words=4, title="t"))
    assert [p.text for p in passages] == ["one two\n\nthree four", "five six seven eight"]
    assert passages[0].title == "t" and passages[0].id != passages[1].id


def test_a_wiki_that_cannot_be_reached_is_a_clear_error():
    wiki = Wikipedia(api_url="http://127.0.0.1:9/api.php")
    with pytest.raises(RetrievalError, match="Offline, search local text"):
        wiki.search("snow")
