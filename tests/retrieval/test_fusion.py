import asyncio
import random

import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval import Passage, Retriever, aretrieve, fuse, retrieve


class Shelf(Retriever):
    """Answers from a table, to see what fusion does with known rankings."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def _search_all(self, queries, k):
        self.asked.append((queries, k))
        return [[Passage(text=t, score=1.0) for t in self.answers.get(q, "").split()][:k] for q in queries]


def _texts(passages):
    return "".join(p.text for p in passages)


def _passages(texts):
    return [Passage(text=t) for t in texts]


def test_round_robin_takes_turns_and_drops_duplicates():
    assert _texts(fuse([_passages("abc"), _passages("xbay"), _passages("A")])) == "axbcy"


def test_reciprocal_rank_fusion_scores_as_published():
    fused = fuse([_passages("abc"), _passages("bd")], "rrf")
    assert _texts(fused) == "badc"
    assert [p.score for p in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63])


def test_a_ranking_that_repeats_a_passage_votes_once():
    assert [p.score for p in fuse([_passages("aab")], "rrf")] == pytest.approx([1 / 61, 1 / 62])


def test_each_source_is_asked_once_for_all_keywords_and_gives_its_share():
    one, two = Shelf(snow="a b c", ice="b d"), Shelf(snow="x", ice="y a z")
    assert _texts(retrieve(["snow", "ice", "snow"], 9, [one, two], per_source=2)) == "axby"
    assert one.asked == [(["snow", "ice"], 2)]
    assert _texts(retrieve("snow", 2, [one, two])) == "ax"
    assert retrieve(["nothing"], 3, [one]) == []
    assert retrieve([], 3, [one]) == []


def test_the_asynchronous_form_finds_the_same():
    sources = [Shelf(snow="a b c"), Shelf(snow="x b")]
    for fusion in ("round_robin", "rrf"):
        found = asyncio.run(aretrieve("snow", 4, sources, fusion=fusion))
        assert found == retrieve("snow", 4, sources, fusion=fusion)


def test_bad_arguments_are_refused():
    with pytest.raises(ConfigError, match="`retrievers` is empty"):
        retrieve("snow", 3, [])
    with pytest.raises(ConfigError, match="`fusion` must be one of round_robin, rrf, got 'mean'"):
        retrieve("snow", 3, [Shelf()], fusion="mean")  # pyright: ignore[reportArgumentType] (what is tested)
    with pytest.raises(ConfigError, match="`per_source` must be at least 1, got 0"):
        retrieve("snow", 3, [Shelf()], per_source=0)
    with pytest.raises(ConfigError, match="`k` must be at least 1, got 0"):
        Shelf().search("snow", k=0)
    with pytest.raises(ConfigError, match="A query is a string, got 3"):
        Shelf().search(["snow", 3])  # pyright: ignore[reportArgumentType, reportCallIssue] (what is tested)


@pytest.mark.parametrize("seed", range(30))
def test_fusion_loses_and_doubles_nothing(seed):
    rng = random.Random(seed)
    rankings = [_passages(rng.choices("abcdefghij", k=rng.randint(0, 8))) for _ in range(rng.randint(0, 5))]
    everything = {p.text for ranking in rankings for p in ranking}
    for fusion in ("round_robin", "rrf"):
        fused = fuse(rankings, fusion)
        assert sorted(p.text for p in fused) == sorted(everything)
    scores = [p.score for p in fuse(rankings, "rrf")]
    assert scores == sorted(scores, key=lambda s: -(s or 0))
    if everything:
        assert fuse(rankings)[0].text == next(r for r in rankings if r)[0].text
