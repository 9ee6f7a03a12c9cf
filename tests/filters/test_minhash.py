"""Near-duplicates by MinHash: nothing below the threshold is dropped, and hardly anything above it is missed."""

import copy
import pickle
import random
import subprocess
import sys

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import MinHashNovelty
from synthwright.filters.minhash import band_rows, jaccard
from synthwright.filters.words import ngrams, words


class Persona(sw.Row):
    persona: str


def persona(text):
    return Persona(persona=text)


def planted(similarity, rng, size=38):
    """Two texts whose sets of words have about the given Jaccard similarity, from `size` words each."""
    shared = round(2 * size * similarity / (1 + similarity))
    pool = [f"w{number}" for number in rng.sample(range(10**6), 2 * size - shared)]
    a, b = pool[:size], pool[:shared] + pool[size:]
    rng.shuffle(b)
    return " ".join(a), " ".join(b)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_verdicts_equal_those_of_exact_jaccard(threshold):
    rng = random.Random(0)
    wrong = 0
    for similarity in [threshold - 0.1, threshold - 0.03, threshold, threshold + 0.03, 0.97, 1.0]:
        for _ in range(60):
            a, b = planted(similarity, rng)
            test = MinHashNovelty("persona", threshold)
            test.add(persona(a))
            truth = jaccard(frozenset(a.split()), frozenset(b.split())) >= threshold
            verdict = test.check(persona(b)) is not None
            assert truth or not verdict, "nothing below the threshold is dropped"
            wrong += truth != verdict
    assert wrong <= 2


def test_order_case_and_punctuation_do_not_count_and_the_closest_is_named():
    test = MinHashNovelty("persona")
    test.add(persona("A retired sailor who builds small wooden boats"))
    test.add(persona("a nurse who works at night"))
    assert test.check(persona("small wooden BOATS, who builds? a retired sailor!")) == (
        "near_duplicate: Jaccard 1.00 with 'A retired sailor who builds small wooden boats'"
    )
    assert test.check(persona("a nurse who works by day")) is None


def test_longer_features_see_order():
    test = MinHashNovelty("persona", 0.9, ngram=3)
    test.add(persona("one two three four five"))
    assert test.check(persona("five four three two one")) is None
    assert test.check(persona("One two three, four five.")) is not None
    test.add(persona("so short"))
    assert test.check(persona("So short")) is not None, "a text shorter than a feature is one feature"


def test_texts_without_words_are_kept():
    test = MinHashNovelty("persona")
    for text in ("", "...", "?!"):
        assert test.check(persona(text)) is None
        test.add(persona(text))
    assert test.check(persona("")) is None


def test_scripts_without_spaces_have_words():
    assert words("\u5927\u6d77 ABC \u30ab\u30ca na\u00efve stra\u00dfe \uff21") == [
        *("\u5927", "\u6d77", "abc", "\u30ab", "\u30ca", "na\u00efve", "strasse", "a"),
    ]
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")] and ngrams(["a"], 2) == [] and ngrams(["a"], 0) == []
    test = MinHashNovelty("persona", 0.8)
    test.add(persona("\u4ed6\u662f\u4e00\u4f4d\u9000\u4f11\u7684\u6c34\u624b"))
    assert test.check(persona("\u4ed6\u662f\u4e00\u4f4d\u9000\u4f11\u7684\u6c34\u624b\u3002")) is not None


def test_verdicts_are_the_same_in_every_process_and_after_copies():
    code = """
import random, synthwright as sw
from synthwright.filters import MinHashNovelty
class Persona(sw.Row):
    persona: str
rng = random.Random(3)
test, kept = MinHashNovelty("persona", 0.5, seed=7), []
for _ in range(300):
    row = Persona(persona=" ".join(rng.choices("abcdefghijklm", k=9)))
    if test.check(row) is None:
        test.add(row)
        kept.append(row.persona)
print(kept)
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1] and len(runs[0]) > 100
    test = MinHashNovelty("persona")
    test.add(persona("one two three"))
    for twin in (copy.deepcopy(test), pickle.loads(pickle.dumps(test))):
        twin.add(persona("four five six"))
        assert twin.check(persona("three two one")) and twin.check(persona("six five four"))
        assert test.check(persona("four five six")) is None and repr(twin) == repr(MinHashNovelty("persona"))


@pytest.mark.parametrize(("threshold", "rows"), [(0.9, 8), (0.8, 5), (0.5, 2), (0.2, 1)])
def test_bands_are_as_wide_as_a_pair_at_the_threshold_allows(threshold, rows):
    assert band_rows(threshold, 128) == rows
    assert (1 - threshold**rows) ** (128 // rows) <= 0.001 < (1 - threshold ** (rows + 1)) ** (128 // (rows + 1))


@pytest.mark.parametrize(
    "arguments", [{"threshold": 0}, {"threshold": 1.1}, {"ngram": 0}, {"permutations": 8}, {"seed": -1}]
)
def test_arguments_must_be_in_range(arguments):
    with pytest.raises(ConfigError, match="MinHashNovelty"):
        MinHashNovelty("persona", **arguments)
