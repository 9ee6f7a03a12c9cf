import pytest
from datasets import Dataset, IterableDataset, load_dataset

from synthwright.errors import ConfigError
from synthwright.retrieval import BM25, ByParagraphs, DatasetCorpus

LOOSE = ByParagraphs(shortest=1)
ROWS = {"text": ["Snow is cold.", None, "", "Bread is warm."], "name": ["a", "b", "c", None], "n": [1, 2, 3, 4]}


@pytest.mark.parametrize("streamed", [False, True])
def test_rows_become_passages_in_memory_and_streamed(streamed):
    dataset = Dataset.from_dict(ROWS)
    corpus = DatasetCorpus(
        dataset.to_iterable_dataset() if streamed else dataset, title_field="name", split=LOOSE, licence="MIT"
    )
    for _ in range(2):
        assert [(p.title, p.text, p.licence) for p in corpus] == [
            ("a", "Snow is cold.", "MIT"),
            ("", "Bread is warm.", "MIT"),
        ]
        assert dict(corpus.skipped) == {"no_text": 2}
    assert BM25(corpus).search("bread")[0].text == "Bread is warm."


def test_a_data_set_is_streamed_from_local_files(tmp_path):
    (tmp_path / "part.jsonl").write_text('{"body": "Cats sleep.", "url": "u1"}\n{"body": "Dogs run.", "url": "u2"}\n')
    dataset = load_dataset(
        "json",
        data_files=str(tmp_path / "part.jsonl"),
        split="train",
        streaming=True,
        cache_dir=str(tmp_path / "cache"),
    )
    corpus = DatasetCorpus(dataset, text_field="body", url_field="url", split=LOOSE, version="cats 1")
    assert [(p.text, p.url) for p in corpus] == [("Cats sleep.", "u1"), ("Dogs run.", "u2")]
    assert corpus.hash() != DatasetCorpus(dataset, text_field="body", split=LOOSE, version="cats 2").hash()


def test_only_what_is_asked_for_is_drawn_from_a_stream():
    drawn = []

    def rows():
        for i in range(1000):
            drawn.append(i)
            yield {"text": f"Text number {i}."}

    passages = iter(DatasetCorpus(IterableDataset.from_generator(rows), split=LOOSE))
    assert [next(passages).text for _ in range(3)] == ["Text number 0.", "Text number 1.", "Text number 2."]
    assert len(drawn) < 50


def test_the_hash_is_the_fingerprint_of_the_data():
    one, two = Dataset.from_dict({"text": ["a"]}), Dataset.from_dict({"text": ["b"]})
    assert DatasetCorpus(one).hash() == DatasetCorpus(Dataset.from_dict({"text": ["a"]})).hash()
    assert DatasetCorpus(one).hash() != DatasetCorpus(two).hash()


def test_a_streamed_data_set_without_a_version_has_no_hash_and_no_kept_index(tmp_path):
    corpus = DatasetCorpus(Dataset.from_dict(ROWS).to_iterable_dataset(), split=LOOSE)
    assert corpus.hash() == "" and BM25(corpus, engine="bm25s").search("snow")
    with pytest.raises(ConfigError, match=r"this DatasetCorpus has none.*version="):
        BM25(corpus, path=tmp_path / "index")


def test_wrong_columns_and_splits_are_refused():
    dataset = Dataset.from_dict(ROWS)
    with pytest.raises(ConfigError, match=r"no column 'txt'\. Did you mean 'text'"):
        DatasetCorpus(dataset, text_field="txt")
    with pytest.raises(ConfigError, match="has the splits train, test: pass one"):
        DatasetCorpus({"train": dataset, "test": dataset})  # pyright: ignore[reportArgumentType] (what is tested)
