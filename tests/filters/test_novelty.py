"""ROUGE novelty: the verdicts of the `rouge-score` package at a small part of its work."""

import copy
import json
import pickle
import random
import re
import time
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer

import synthwright as sw
from synthwright.filters import RougeNovelty, index
from synthwright.filters.duplicates import rouge_l, rouge_tokens

ROOT = Path(__file__).parents[2]
SCORER = RougeScorer(["rougeL"], use_stemmer=False)


class Task(sw.Row):
    instruction: str


def task(text):
    return Task(instruction=text)


def by_package(a, b):
    return SCORER.score(a, b)["rougeL"].fmeasure


def real_texts(count):
    """Sentences of the repository's own seeds and documents, with some edited copies."""
    texts = []
    for path in sorted((ROOT / "optimizers" / "data").glob("*.jsonl")):
        records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        texts += [str(value)[:400] for record in records for value in record.get("inputs", {}).values()]
    for path in sorted((ROOT / "docs").rglob("*.md")):
        texts += [part for part in re.split(r"(?<=[.:;])\s+", path.read_text(encoding="utf-8")) if len(part) < 300]
    rng = random.Random(0)
    chosen = rng.sample(texts, count)
    for place in range(0, count, 3):  # every third is a copy of another with some words changed, moved or dropped
        words = rng.choice(chosen).split()
        for _ in range(rng.randint(0, 1 + len(words) // 3) if words else 0):
            words.insert(rng.randrange(len(words) + 1), words.pop(rng.randrange(len(words))))
            if rng.random() < 0.5 and len(words) > 1:
                words.pop(rng.randrange(len(words)))
        chosen[place] = " ".join(words)
    return chosen


def random_texts(count, seed=0):
    """Texts from few words, so that many pairs lie near any threshold; some empty, some beyond ASCII."""
    rng = random.Random(seed)
    words = [
        *"abcdefg",
        "the",
        "THE",
        "x1",
        "don't",
        "caf\u00e9",
        "\u0130stanbul",
        "\u212aelvin",
        "\u5c71",
        "stra\u00dfe",
    ]
    words += ["---", "\ud800", "\u00a0"]
    return [" ".join(rng.choices(words, k=rng.randint(0, 14))) for _ in range(count)]


@pytest.mark.parametrize("texts", [real_texts(180), random_texts(180)], ids=["real", "random"])
def test_scores_equal_those_of_the_package_on_thousands_of_pairs(texts):
    pairs = [(a, b) for i, a in enumerate(texts) for b in texts[:i]][::3]
    assert len(pairs) > 5000
    assert [rouge_l(rouge_tokens(a), rouge_tokens(b)) for a, b in pairs] == [by_package(a, b) for a, b in pairs]


@pytest.fixture(scope="module")
def scored():
    """Some texts and the package's score of each with each before it."""
    texts = real_texts(90) + random_texts(110)
    random.Random(1).shuffle(texts)
    return texts, [[by_package(text, other) for other in texts[:i]] for i, text in enumerate(texts)]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7, 0.85, 1.0])
@pytest.mark.parametrize("buffer", [64, 32768])
def test_verdicts_equal_those_of_scanning_with_the_package(scored, monkeypatch, threshold, strict, buffer):
    monkeypatch.setattr(index, "_BUFFER", buffer)  # many small segments, or none at all
    texts, scores = scored
    test = RougeNovelty("instruction", threshold, strict)
    kept, verdicts = [], []
    for i, text in enumerate(texts):
        best = max((scores[i][j] for j in kept), default=0.0)
        copied = best > threshold or (best == threshold and not strict)
        verdicts.append((test.check(task(text)) is not None) == copied)
        if not copied:
            kept.append(i)
            test.add(task(text))
    assert all(verdicts)
    assert 10 < len(kept) < len(texts) or (threshold == 1 and strict), "nothing is above 1"


def test_the_nearest_are_those_that_the_package_finds(scored):
    texts, _ = scored
    test = RougeNovelty("instruction", seeds=tuple(texts[:150]))
    for text in texts[150:]:
        best = sorted(((by_package(text, other), -i) for i, other in enumerate(texts[:150])), reverse=True)
        expected = [(score, texts[-i]) for score, i in best[:10] if score]
        assert test.nearest(text) == test.nearest(task(text), k=10) == expected
        assert test.nearest(text, k=2) == expected[:2]


def test_the_nearest_of_an_empty_pool_or_text_are_none():
    assert RougeNovelty("instruction").nearest("anything") == []
    assert RougeNovelty("instruction", seeds=("a b",)).nearest("\u5c71") == []
    assert RougeNovelty("instruction", seeds=("a b",)).nearest("c d") == []


def test_the_paper_drops_at_the_threshold_and_its_code_only_above():
    a, b = "a b c d e f g h i j", "a b c d e f g x y z"
    assert by_package(a, b) == 0.7
    assert RougeNovelty("instruction", 0.7, seeds=(a,)).check(task(b)) == f"not_novel: ROUGE-L 0.70 with {a!r}"
    assert RougeNovelty("instruction", 0.7, strict=True, seeds=(a,)).check(task(b)) is None


def test_a_score_that_the_package_rounds_up_counts_as_above():
    a, b = "a b c d e f g", "a b c d e f g h i j k l m"  # 14/20, which the package gives as 0.7000000000000001
    assert by_package(a, b) > 0.7
    assert RougeNovelty("instruction", 0.7, strict=True, seeds=(a,)).check(task(b)) is not None


def test_seeds_count_as_known_and_the_closest_text_is_named():
    test = RougeNovelty("instruction", seeds=["write a poem about the sea", "write a poem about the green sea"])
    assert test.check(task("Write a poem about the green sea!")) == (
        "not_novel: ROUGE-L 1.00 with 'write a poem about the green sea'"
    )
    assert test.check(task("list three colours")) is None


def test_seeds_are_recorded_by_number_and_hash():
    few, many = (
        RougeNovelty("instruction", seeds=["a"]),
        RougeNovelty("instruction", seeds=[f"text {i}" for i in range(175)]),
    )
    assert repr(few) == "RougeNovelty(field_name='instruction', threshold=0.7, strict=False, seeds=('a',))"
    assert re.search(r"seeds=<175 texts, sha256 [0-9a-f]{12}>\)$", repr(many))
    changed = RougeNovelty("instruction", seeds=[f"text {i}" for i in range(174)] + ["other"])
    assert repr(changed) != repr(many)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))], ids=["copy", "pickle"])
def test_a_clone_knows_what_the_original_knew_and_goes_its_own_way(clone, monkeypatch):
    monkeypatch.setattr(index, "_BUFFER", 8)
    test = RougeNovelty("instruction", seeds=("one two three",))
    test.add(task("four five six"))
    twin = clone(test)
    twin.add(task("seven eight nine"))
    assert (
        twin.check(task("four five six")) and twin.check(task("one two three")) and twin.check(task("seven eight nine"))
    )
    assert test.check(task("seven eight nine")) is None and twin == twin and repr(twin) == repr(test)


def test_a_row_is_read_once_for_check_and_add(monkeypatch):
    read = []
    from synthwright.filters import duplicates

    monkeypatch.setattr(duplicates, "rouge_tokens", lambda text: (read.append(text), rouge_tokens(text))[1])
    test = RougeNovelty("instruction")
    test.check(task("one two"))
    test.add(task("one two"))
    assert read == ["one two"]


def test_work_grows_far_slower_than_the_pool():
    rng = random.Random(0)
    words = [f"w{i}" for i in range(4000)]

    def seconds(pool):
        test = RougeNovelty("instruction", seeds=[" ".join(rng.choices(words, k=15)) for _ in range(pool)])
        asked = [task(" ".join(rng.choices(words, k=15))) for _ in range(60)]
        test.check(asked[0])
        started = time.process_time()
        assert not any(test.check(row) for row in asked)
        return time.process_time() - started

    assert seconds(16_000) < 8 * seconds(1_000)


def test_words_that_every_row_shares_do_not_hide_a_copy():
    rows = [f"write a poem about the {a} of the {b}" for a in ("sea", "sun") for b in ("day", "night")]
    test = RougeNovelty("instruction", 0.95, seeds=rows)
    assert [test.check(task(text)) is not None for text in rows] == [True] * 4
    assert test.check(task("write a poem about the sea of the dawn")) is None
