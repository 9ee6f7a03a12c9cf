"""Novelty and neighbours in an embedding space."""

import copy
import pickle
import threading

import numpy as np
import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import EmbeddingNovelty, Neighbours, embedding


class Task(sw.Row):
    instruction: str


def task(text):
    return Task(instruction=text)


def kept(test, texts):
    keep = []
    for text in texts:
        if test.check(task(text)) is None:
            test.add(task(text))
            keep.append(text)
    return keep


def vectors(texts):
    return [[1.0, 0.0] if text.startswith("a") else [float(len(text)), 100.0] for text in texts]


def test_embedding_novelty_compares_directions():
    texts = ["apple", "avocado", "pear", "pears"]
    assert kept(EmbeddingNovelty("instruction", vectors), texts) == ["apple", "pear"]
    test = EmbeddingNovelty("instruction", vectors)
    test.add(task("apple"))
    assert test.check(task("avocado")) == "near_duplicate: squared distance 0.000 with 'apple'"


def test_an_index_of_embeddings_grows():
    test = EmbeddingNovelty(
        "instruction", lambda texts: [[float(np.cos(int(t))), float(np.sin(int(t)))] for t in texts], 1e-5
    )
    assert len(kept(test, [str(i) for i in range(300)])) == 300
    assert all(test.check(task(str(i))) for i in range(300)) and test.check(task("300")) is None


@pytest.mark.parametrize(
    ("threshold", "metric"), [(0, "squared_l2"), (4.1, "squared_l2"), (0, "cosine"), (1.1, "cosine")]
)
def test_embedding_novelty_needs_a_threshold_in_range(threshold, metric):
    with pytest.raises(ConfigError, match=r"must be in \(0, [14]\] for"):
        EmbeddingNovelty("instruction", vectors, threshold, metric)


def test_a_metric_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match="must be 'squared_l2' or 'cosine', got 'l2'"):
        EmbeddingNovelty("instruction", vectors, 0.5, "l2")  # pyright: ignore[reportArgumentType]


def angle(texts):
    """Each text is an angle in degrees."""
    return [[float(np.cos(np.radians(float(t)))), float(np.sin(np.radians(float(t))))] for t in texts]


def test_a_threshold_is_a_distance_or_a_cosine():
    # the cosine of 25 degrees is 0.906, of 26 degrees 0.899; the squared distances are 0.187 and 0.202
    assert kept(EmbeddingNovelty("instruction", angle, 0.9, "cosine"), ["0", "25", "26"]) == ["0", "26"]
    assert kept(EmbeddingNovelty("instruction", angle, 0.2), ["0", "25", "26"]) == ["0", "26"]
    test = EmbeddingNovelty("instruction", angle, 0.9, "cosine")
    kept(test, ["90", "0"])
    assert test.check(task("20")) == "near_duplicate: cosine 0.940 with '0'"


@pytest.mark.parametrize("threshold", [0.05, 0.5])
def test_verdicts_equal_those_of_comparing_with_every_row(threshold, monkeypatch):
    monkeypatch.setattr(embedding, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(120, 6))
    points[60:] = points[:60] + rng.normal(size=(60, 6)) * 0.15
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    expected = []
    for i in range(120):
        if all(((units[i] - units[j]) ** 2).sum() >= threshold for j in expected):
            expected.append(i)
    test = EmbeddingNovelty("instruction", lambda texts: points[[int(t) for t in texts]], threshold)
    assert kept(test, [str(i) for i in range(120)]) == [str(i) for i in expected]
    assert 30 < len(expected) < 120


def test_a_row_is_embedded_once_and_rows_of_a_resumed_run_in_batches():
    asked = []

    def counted(texts):
        asked.append(len(texts))
        return angle(texts)

    test = EmbeddingNovelty("instruction", counted)
    kept(test, ["0", "90"])
    assert asked == [1, 1], "the first row is embedded when the second is checked"
    resumed = EmbeddingNovelty("instruction", counted)
    asked.clear()
    for i in range(300):
        resumed.add(task(str(i)))
    assert asked == [256]
    assert resumed.check(task("299")) is not None
    assert asked == [256, 44, 1]


def test_embedders_are_recorded_by_name():
    assert repr(EmbeddingNovelty("instruction", angle, 0.9, "cosine")) == (
        f"EmbeddingNovelty('instruction', {__name__}.angle, threshold=0.9, metric='cosine')"
    )
    assert "Model.embed" in repr(EmbeddingNovelty("instruction", Model().embed))


class Model:
    def embed(self, texts):
        return angle(texts)


def test_a_filter_with_an_embedder_can_be_pickled():
    test = EmbeddingNovelty("instruction", Model().embed, 0.1)
    kept(test, ["0", "90"])
    twin = pickle.loads(pickle.dumps(test))
    assert twin.check(task("1")) is not None and twin.check(task("45")) is None


@pytest.mark.parametrize("result", [[[1.0, 0.0]], [1.0, 0.0], []])
def test_an_embedder_that_returns_another_number_of_vectors_is_named(result):
    with pytest.raises(ConfigError, match=r"must return 2 vectors for 2 texts, got an array of shape"):
        embedding.unit_vectors(lambda texts: result, ["a", "b"])


def test_neighbours_are_the_nearest_by_cosine():
    index = Neighbours(["0", "30", "90", "180"], angle)
    (found, other) = index.nearest(["10", "170"], k=2)
    assert [place for _, place in found] == [0, 1] and [place for _, place in other] == [3, 2]
    assert found[0][0] == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert len(index.nearest(["10"], k=9)[0]) == 4 and index.nearest([]) == [] and index.nearest(["1"], k=0) == [[]]
    assert Neighbours([], angle).nearest(["1"]) == [[]]


def test_neighbours_of_many_texts_equal_those_of_each():
    texts = [str(i * 7919 % 360) for i in range(600)]
    index = Neighbours(texts, angle)
    together = index.nearest(texts, k=3)
    alone = [index.nearest([text], k=3)[0] for text in texts[::50]]
    assert [[round(score, 5) for score, _ in line] for line in together[::50]] == [
        [round(score, 5) for score, _ in line] for line in alone
    ]


def test_runs_share_the_model_behind_an_embedding_and_not_the_index():
    class Model:
        def __init__(self):
            self.lock = threading.Lock()  # cannot be copied, as in most models

        def embed(self, texts):
            return vectors(texts)

    model = Model()
    test = EmbeddingNovelty("instruction", model.embed, 0.1)
    test.add(task("apple"))
    twin = copy.deepcopy(test)
    twin.add(task("pear"))
    assert twin.embed.__self__ is model and twin.threshold == 0.1  # pyright: ignore[reportFunctionMemberAccess]
    assert test.check(task("pear")) is None and twin.check(task("pear")) is not None
