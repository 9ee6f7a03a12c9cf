import asyncio
import json
import logging
import math
import multiprocessing
import pickle
import random
import shutil
from concurrent.futures import ThreadPoolExecutor

import bm25s
import pytest
from rank_bm25 import BM25Okapi

from synthwright.errors import ConfigError
from synthwright.retrieval import BM25, Corpus, Passage, PassageList, Tokenizer
from synthwright.retrieval import bm25 as bm25_module
from synthwright.retrieval import index as index_module

TEXTS = [
    "Snow is frozen water.",
    "Bread is baked from flour and water.",
    "A clock shows the time.",
    "Cats sleep a lot.",
]


class Streamed(Corpus):
    """A corpus of unknown size that counts how often it is read."""

    name = "streamed texts"

    def __init__(self, texts, version="1"):
        super().__init__()
        self.texts, self.version, self.readings = texts, version, 0

    def __iter__(self):
        self.readings += 1
        return (Passage(text=text, source="test") for text in self.texts)

    def hash(self):
        return self.version


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SYNTHWRIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(params=["rank_bm25", "bm25s"])
def engine(request):
    return request.param


def _corpus(rng, passages, words, most):
    vocabulary = [f"w{i}" for i in range(words)]
    weights = [1 / (i + 1) for i in range(words)]
    return [" ".join(rng.choices(vocabulary, weights, k=rng.randint(0, most))) for _ in range(passages)]


def test_the_passage_with_the_query_words_comes_first_and_the_others_are_left_out(engine):
    index = BM25([Passage(text=text) for text in TEXTS], engine=engine)
    assert [p.text for p in index.search("baked flour", k=3)] == [TEXTS[1]]
    assert {p.text for p in index.search("WATER", k=9)} == {TEXTS[0], TEXTS[1]}
    assert index.search("zebra", k=3) == [] and index.search("", k=3) == [] and index.search("?!", k=3) == []
    assert len(index) == 4 and index.engine == engine


def test_several_queries_and_the_asynchronous_form_give_the_same(engine):
    index = BM25([Passage(text=text) for text in TEXTS], engine=engine)
    queries = ["water", "zebra", "cats time"]
    assert index.search(queries, k=2) == [index.search(query, k=2) for query in queries]
    assert asyncio.run(index.asearch(queries, k=2)) == index.search(queries, k=2)
    assert asyncio.run(index.asearch("water", k=2)) == index.search("water", k=2)
    assert index.search([], k=2) == []


def test_passages_come_back_whole_with_their_scores(engine):
    passage = Passage(
        text="Ein Satz über Schnee \U0001f328 \n\n und Eis", title="t", source="s", url="u", licence="CC0"
    )
    (found,) = BM25([passage, *(Passage(text=t) for t in TEXTS)], engine=engine).search("SCHNEE")
    assert found.score is not None and found.score > 0
    assert found.scored(None) == passage


@pytest.mark.parametrize(
    ("seed", "passages", "words", "most"), [(1, 2000, 3000, 60), (2, 3000, 40, 12), (3, 7, 6, 5), (4, 1, 9, 9)]
)
def test_both_engines_rank_thousands_of_queries_alike_up_to_ties(seed, passages, words, most, tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "_RUN", 500)  # many sorted runs
    rng = random.Random(seed)
    texts = [*_corpus(rng, passages, words, most), "w0 w1 w2"]
    corpus = PassageList(Passage(text=text, title=str(i)) for i, text in enumerate(texts))
    large = BM25(corpus, engine="bm25s", path=tmp_path / "index")
    reference = BM25Okapi([text.split() for text in texts])
    for _ in range(1200):
        query = rng.choices(
            [f"w{i}" for i in range(words + 2)], [1 / (i + 1) for i in range(words + 2)], k=rng.randint(1, 6)
        )
        k = rng.choice([1, 3, 10, 50])
        scores = reference.get_scores(query)
        sharing = [i for i, counts in enumerate(reference.doc_freqs) if set(query) & counts.keys()]
        best = sorted(sharing, key=lambda i: -scores[i])[:k]
        found = [int(p.title) for p in large.search(" ".join(query), k=k)]
        assert len(found) == len(best) == len(set(found))
        # The same scores at every rank: passages differ only where the reference scores them alike.
        for there, here in zip(best, found, strict=True):
            assert math.isclose(scores[there], scores[here], rel_tol=1e-5, abs_tol=1e-5)


def test_the_reference_engine_is_rank_bm25_itself():
    rng = random.Random(5)
    texts = [*_corpus(rng, 200, 100, 20), "w0"]
    index = BM25([Passage(text=t, title=str(i)) for i, t in enumerate(texts)])
    reference = BM25Okapi([t.split() for t in texts])
    for _ in range(200):
        query = rng.choices([f"w{i}" for i in range(100)], k=3)
        scores = reference.get_scores(query)
        for passage in index.search(" ".join(query), k=5):
            assert passage.score == scores[int(passage.title)]


def test_ties_keep_the_order_of_the_corpus(engine):
    passages = [Passage(text="same words here", title=str(i)) for i in range(40)] + [Passage(text="other text")] * 60
    found = BM25(passages, engine=engine).search("words", k=7)
    assert [p.title for p in found] == ["0", "1", "2", "3", "4", "5", "6"]


def test_large_corpora_take_bm25s_and_small_ones_rank_bm25(monkeypatch):
    monkeypatch.setattr(bm25_module, "LARGE", 4)
    assert BM25([Passage(text=t) for t in TEXTS[:3]]).engine == "rank_bm25"
    assert BM25([Passage(text=t) for t in TEXTS]).engine == "bm25s"
    assert BM25(Passage(text=t) for t in TEXTS[:3]).engine == "rank_bm25"
    streamed = BM25(Passage(text=t) for t in TEXTS)
    assert streamed.engine == "bm25s" and len(streamed) == 4
    assert streamed.search("snow")[0].text == TEXTS[0]


def test_an_index_is_used_again_without_reading_the_corpus(tmp_path, caplog):
    corpus = Streamed(TEXTS)
    first = BM25(corpus, engine="bm25s", path=tmp_path / "index").search("water", k=3)
    again = BM25(corpus, path=tmp_path / "index")
    assert again.engine == "bm25s" and again.search("water", k=3) == first
    assert corpus.readings == 1 and not caplog.records


def test_without_a_path_the_index_is_kept_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHWRIGHT_CACHE", str(tmp_path))
    corpus = Streamed(TEXTS)
    index = BM25(corpus, engine="bm25s")
    assert index.path.parent == tmp_path / "retrieval" / "indexes" and index.path.name.startswith("streamed-texts-")
    BM25(corpus, engine="bm25s")
    assert corpus.readings == 1


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": Streamed(TEXTS, version="2")},
        {"tokenizer": Tokenizer(stemmer="english")},
        {"tokenizer": Tokenizer(stop_words="english")},
        {"k1": 1.2},
        {"b": 0.5},
        {"epsilon": 0.1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_index_of_something_else_is_built_again_with_a_message(tmp_path, caplog, change):
    BM25(Streamed(TEXTS), engine="bm25s", path=tmp_path / "index")
    corpus = change.get("corpus", Streamed(TEXTS))
    settings = {name: value for name, value in change.items() if name != "corpus"}
    index = BM25(corpus, engine="bm25s", path=tmp_path / "index", **settings)
    assert corpus.readings == 1 and "made from another corpus" in caplog.text
    assert index.search("water", k=1)


@pytest.mark.parametrize("name", sorted(index_module.OWN_FILES - {"run-keys.tmp", "run-counts.tmp"}))
@pytest.mark.parametrize("damage", ["cut", "missing", "flipped", "empty"])
def test_a_damaged_index_is_built_again_with_a_message(tmp_path, caplog, name, damage):
    corpus = Streamed(TEXTS)
    good = BM25(corpus, engine="bm25s", path=tmp_path / "index").search("water cats", k=9)
    file = tmp_path / "index" / name
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        flipped = data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]
        file.write_bytes({"cut": data[:-5], "flipped": flipped, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        index = BM25(corpus, engine="bm25s", path=tmp_path / "index")
    assert index.search("water cats", k=9) == good
    assert corpus.readings == 2 and "cannot be used again" in caplog.text


def test_two_that_build_the_same_index_at_once_share_it(tmp_path):
    corpora = [Streamed(TEXTS * 50) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        indexes = list(pool.map(lambda corpus: BM25(corpus, engine="bm25s", path=tmp_path / "index"), corpora))
    assert sum(corpus.readings for corpus in corpora) == 1
    assert all(len(index.search("snow", k=99)) == 50 for index in indexes)


def test_a_build_that_was_killed_leaves_no_index_behind(tmp_path):
    def breaks():
        yield Passage(text="one")
        raise OSError("disk full")

    class Breaking(Streamed):
        def __iter__(self):
            return breaks()

    with pytest.raises(OSError, match="disk full"):
        BM25(Breaking(TEXTS), engine="bm25s", path=tmp_path / "index")
    assert not (tmp_path / "index").exists()
    assert BM25(Streamed(TEXTS), engine="bm25s", path=tmp_path / "index").search("snow")


def test_a_folder_with_other_files_is_never_deleted(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds 'thesis.txt', which is not part of an index"):
        BM25(Streamed(TEXTS), engine="bm25s", path=tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def _search_in_a_worker(index):
    return index.search("water", k=2)


def test_an_index_is_pickled_without_open_files_and_searched_in_another_process(engine, tmp_path):
    index = BM25(PassageList([Passage(text=t) for t in TEXTS]), engine=engine)
    expected = index.search("water", k=2)
    sent = pickle.dumps(index)
    assert len(sent) < 20_000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_search_in_a_worker, [index]) == [expected]
    assert pickle.loads(sent).search("water", k=2) == expected


def test_an_index_is_searched_by_many_threads_at_once(engine):
    rng = random.Random(1)
    index = BM25([Passage(text=t) for t in _corpus(rng, 300, 200, 20)], engine=engine)
    queries = [f"w{rng.randrange(200)} w{rng.randrange(200)}" for _ in range(200)]
    expected = [index.search(query) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(index.search, queries)) == expected


def test_a_temporary_index_goes_with_its_object():
    index = BM25((Passage(text=t) for t in TEXTS), engine="bm25s")
    folder = index.path
    assert folder.is_dir() and index.search("snow")
    del index
    assert not folder.exists()


def test_plain_bm25s_reads_the_index_and_finds_the_same(tmp_path):
    index = BM25(PassageList([Passage(text=t) for t in TEXTS]), engine="bm25s", path=tmp_path / "index")
    plain = bm25s.BM25.load(tmp_path / "index", mmap=True, show_progress=False)
    scores = plain.get_scores(["baked", "clock"])
    assert {TEXTS[i]: float(score) for i, score in enumerate(scores) if score} == {
        p.text: p.score for p in index.search("baked clock")
    }
    assert json.loads((tmp_path / "index" / "manifest.json").read_text())["passages"] == 4


def test_stems_and_stop_words_change_what_is_found(engine):
    passages = [Passage(text=t) for t in TEXTS]
    assert BM25(passages, engine=engine).search("sleeping") == []
    assert BM25(passages, engine=engine, tokenizer=Tokenizer("english")).search("sleeping")[0].text == TEXTS[3]
    assert BM25(passages, engine=engine, tokenizer=Tokenizer(stop_words="english")).search("is the") == []


def test_an_empty_corpus_and_bad_arguments_are_refused(engine, tmp_path):
    with pytest.raises(ConfigError, match="needs passages with words in them, got 0"):
        BM25([], engine=engine)
    with pytest.raises(ConfigError, match="needs passages with words in them, got 2"):
        BM25([Passage(text=""), Passage(text="...")], engine=engine)
    with pytest.raises(ConfigError, match="`engine` must be one of"):
        BM25([Passage(text="x")], engine="lucene")  # pyright: ignore[reportArgumentType] (what is tested)
    with pytest.raises(ConfigError, match="kept by the hash of its corpus, and this generator has none"):
        BM25((Passage(text=t) for t in TEXTS), path=tmp_path / "i")
    with pytest.raises(ConfigError, match=r"`b` in \[0, 1\], got 1.5, 0.25, 2"):
        BM25([Passage(text="x")], b=2)


def test_an_index_whose_folder_is_gone_says_so(tmp_path):
    index = BM25(PassageList([Passage(text=t) for t in TEXTS]), engine="bm25s", path=tmp_path / "index")
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(ConfigError, match="is gone"):
        index.search("snow")
