import pickle

from synthwright.retrieval import BM25, PythonDocs, retrieve


def test_it_is_there_at_once_and_the_same_at_every_reading():
    corpus = PythonDocs()
    passages = list(corpus)
    assert passages == list(PythonDocs()) == list(pickle.loads(pickle.dumps(corpus)))
    assert corpus.hash() == PythonDocs().hash()


def test_its_shape_is_that_of_every_supported_python():
    corpus = PythonDocs()
    passages = list(corpus)
    assert 150 < len(passages) < 400
    assert all(0 < len(p.text) <= 3000 and p.title and p.licence == "PSF-2.0" for p in passages)
    assert len({p.id for p in passages}) == len(passages)
    assert set(corpus.skipped) <= {"duplicate", "near_duplicate"}


def test_it_answers_questions_of_its_subject():
    index = BM25(PythonDocs())
    assert index.engine == "rank_bm25"
    for query, title in (
        ("repeated execution as long as an expression is true while loop", "while"),
        ("raise exception from cause context", "raise"),
        ("slice indexing sequence step", "lic"),
        ("format specification mini-language alignment width", "Format"),
        ("asynchronous coroutine await", "oroutine"),
    ):
        assert any(title in p.title for p in index.search(query, k=5)), query
    assert len(retrieve(["import module", "package __init__"], 6, [index], fusion="rrf")) == 6
