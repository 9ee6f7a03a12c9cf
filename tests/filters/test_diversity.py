"""Measures of diversity, against closed forms, hand-made cases and NLTK."""

import random

import numpy as np
import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from synthwright.errors import ConfigError
from synthwright.filters.diversity import (
    distinct_n,
    label_entropy,
    max_rouge_l,
    mean_rouge_l,
    self_bleu,
    vendi_score,
)
from synthwright.filters.duplicates import rouge_l, rouge_tokens
from synthwright.filters.verbs import verb_noun, verb_noun_coverage
from synthwright.filters.words import words


def some_texts(count, seed=0):
    rng = random.Random(seed)
    return [
        " ".join(rng.choices("the cat sat on a mat and dog ran far from home".split(), k=rng.randint(1, 12)))
        for _ in range(count)
    ]


def test_distinct_n_counts_over_all_texts():
    assert distinct_n(["a b c", "a b d"], 1) == 4 / 6
    assert distinct_n(["a b c", "A, b d"], 2) == 3 / 4
    assert distinct_n(["a", ""], 2) == 0 == distinct_n([])


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_self_bleu_is_that_of_nltk(n):
    texts = some_texts(60)
    tokens = [words(text) for text in texts]
    expected = [
        sentence_bleu(
            tokens[:i] + tokens[i + 1 :], tokens[i], weights=[1 / n] * n, smoothing_function=SmoothingFunction().method1
        )
        for i in range(len(texts))
    ]
    assert self_bleu(texts, n) == pytest.approx(np.mean(np.array(expected, dtype=float)), abs=1e-12)


def test_self_bleu_by_hand():
    # each of the two has 3 of 4 words, 2 of 3 pairs of the other, and the same length
    assert self_bleu(["a b c d", "a b c e"], 2) == pytest.approx((3 / 4 * 2 / 3) ** 0.5)
    assert self_bleu(["a b", "c d"]) == 0 == self_bleu(["alone"]) == self_bleu([])
    assert self_bleu(["one two three four five"] * 3) == pytest.approx(1)


def test_large_sets_are_sampled_by_a_seed():
    texts = some_texts(300)
    assert self_bleu(texts, sample=50, seed=1) == self_bleu(texts, sample=50, seed=1)
    assert self_bleu(texts, sample=50, seed=1) != self_bleu(texts, sample=50, seed=2)
    assert mean_rouge_l(texts, pairs=100, seed=1) == mean_rouge_l(texts, pairs=100, seed=1)
    assert mean_rouge_l(texts, pairs=100, seed=1) != mean_rouge_l(texts, pairs=100, seed=2)
    assert mean_rouge_l(texts, pairs=5000) == pytest.approx(mean_rouge_l(texts), abs=0.02)
    assert max_rouge_l(texts, sample=20, seed=1) != max_rouge_l(texts, sample=20, seed=2)


def test_rouge_measures_equal_all_pairs():
    texts = [*some_texts(40), "", "\u5c71"]
    tokens = [rouge_tokens(text) for text in texts]
    scores = np.array([[rouge_l(a, b) for b in tokens] for a in tokens])
    np.fill_diagonal(scores, 0)
    assert mean_rouge_l(texts) == pytest.approx(scores.sum() / (len(texts) * (len(texts) - 1)))
    assert max_rouge_l(texts) == pytest.approx(scores.max(axis=1).mean())
    assert mean_rouge_l(["a"]) == max_rouge_l(["a"]) == mean_rouge_l([]) == max_rouge_l([]) == 0


def test_the_vendi_score_counts_what_is_different():
    assert vendi_score(np.eye(5)) == pytest.approx(5)
    assert vendi_score(3 * np.eye(7)[:4]) == pytest.approx(4)
    assert vendi_score([[1.0, 2.0]] * 6) == pytest.approx(1)
    assert vendi_score([[1.0, 0.0]] * 3 + [[0.0, 2.0]] * 3) == pytest.approx(2)


@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.8])
def test_the_vendi_score_of_two_vectors_has_a_closed_form(cosine):
    a, b = (1 + cosine) / 2, (1 - cosine) / 2
    expected = np.exp(-(a * np.log(a) + b * np.log(b)))
    assert vendi_score([[1.0, 0.0], [cosine, (1 - cosine**2) ** 0.5]]) == pytest.approx(expected)


def test_the_vendi_score_does_not_depend_on_the_shape_of_the_matrix():
    points = np.random.default_rng(0).normal(size=(30, 8))
    wide = np.concatenate([points, np.zeros((30, 40))], axis=1)
    assert vendi_score(points) == pytest.approx(vendi_score(wide))


@pytest.mark.parametrize("vectors", [[], [1.0, 2.0], [[0.0, 0.0]], np.zeros((0, 3))])
def test_the_vendi_score_needs_vectors(vectors):
    with pytest.raises(ConfigError, match="needs n x d vectors other than zero"):
        vendi_score(vectors)


def test_entropy_is_in_bits():
    assert label_entropy("abcd") == 2 and label_entropy("aabb") == 1 and label_entropy("aaaa") == 0 == label_entropy([])
    assert label_entropy("aaab") == pytest.approx(0.8113, abs=1e-4)
    assert label_entropy("abc", normalized=True) == pytest.approx(1) and label_entropy("a", normalized=True) == 0


@pytest.mark.parametrize(
    ("instruction", "pair"),
    [
        ("Write a short poem about the sea.", ("write", "poem")),
        ("Could you please explain the difference between a list and a tuple?", ("explain", "difference")),
        ("You are a chef. Suggest three vegan recipes with beans.", ("suggest", "recipes")),
        ("If I were to travel, plan my trip", ("plan", "trip")),
        ("Imagine you are a pirate. Tell me a story.", ("tell", "story")),
        ("Make a list of ten healthy breakfast ideas.", ("make", "list")),
        ("Describe the dog's favourite toy.", ("describe", "toy")),
        ("Your task is to classify the following email as spam", ("classify", "email")),
        ("Write Python code that reverses a string", ("write", "code")),
        ('Summarize "the old man" in a line', ("summarize", "man")),
        ("What is the capital of France?", None),
        ("Rewrite it.", None),
        ("Summarize this", None),
        ("", None),
    ],
)
def test_verbs_and_their_objects_are_found(instruction, pair):
    assert verb_noun(instruction) == pair


def test_coverage_counts_pairs():
    found = verb_noun_coverage(["Write a poem.", "Write a sad poem.", "Write a letter.", "List three birds.", "Why?"])
    assert (found.total, found.found, found.distinct) == (5, 4, 3)
    assert found.verbs == {"write": 3, "list": 1}
    assert found.top(1, 1) == {"write": [("poem", 2)]}
