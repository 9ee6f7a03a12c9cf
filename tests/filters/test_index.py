"""The compact indexes behind the filters, against plain Python objects."""

import copy
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

from synthwright.filters import index
from synthwright.filters.index import DigestSet, Postings, TextStore, tally


def test_texts_come_back_as_they_were():
    texts = ["", "a", "gr\u00f6\u00dfer \u5c71 \U0001f600", "lone \ud800 surrogate", "line\nbreak", ""]
    store = TextStore()
    for text in texts:
        store.append(text)
    assert len(store) == 6 and list(store) == texts and store[3] == texts[3]
    assert list(pickle.loads(pickle.dumps(store))) == list(copy.deepcopy(store)) == texts


@pytest.mark.parametrize("buffer", [1, 7, 100, 10**6])
def test_postings_are_a_dictionary_of_lists(monkeypatch, buffer):
    monkeypatch.setattr(index, "_BUFFER", buffer)
    rng = random.Random(buffer)
    postings, plain = Postings(), {}
    keys = [0, 1, 5, 2**32 - 1, *rng.sample(range(2**32), 30)]
    for row in range(400):
        mine = rng.choices(keys, k=rng.randint(0, 6))
        postings.add(row, mine)
        for key in mine:
            plain.setdefault(key, []).append(row)
    asked = [*keys, 17, keys[0]]
    for key, entry in zip(asked, postings.lists(asked), strict=True):
        assert sorted(int(row) for part in entry.parts for row in part) == plain.get(key, [])
        assert entry.size == len(plain.get(key, []))
        some = np.arange(0, 400, 3, dtype=np.uint32)
        assert entry.holds(some).tolist() == [row in plain.get(key, []) for row in some.tolist()]
    flat = sorted(row for key in keys for row in plain.get(key, []))
    for total in (400, 10**6):  # the two ways to count
        rows, counts = tally(postings.lists(keys), total)
        assert np.repeat(rows, counts).tolist() == flat
    again = pickle.loads(pickle.dumps(postings))
    assert [e.size for e in again.lists(asked)] == [e.size for e in postings.lists(asked)]


def test_segments_stay_few(monkeypatch):
    monkeypatch.setattr(index, "_BUFFER", 4)
    postings = Postings()
    for row in range(4096):
        postings.add(row, [row % 97])
    assert 1 <= len(postings._segments) <= 11  # log2(4096 / 4) + 1
    assert sum(len(segment.rows) for segment in postings._segments) == 4096


def test_nothing_is_tallied_from_nothing():
    rows, counts = tally(Postings().lists([1, 2]), 5)
    assert len(rows) == len(counts) == 0


def test_digests_are_a_set():
    rng = random.Random(0)
    mine, plain = DigestSet(), set()
    values = [0, 1, 2**64 - 1, *(rng.getrandbits(64) for _ in range(3000)), *(i << 40 for i in range(500))]
    for value in values:
        assert (value in mine) == (value in plain or (value == 0 and 1 in plain) or (value == 1 and 0 in plain))
        mine.add(value)
        mine.add(value)
        plain.add(value)
    assert len(mine) == len(plain) - 1, "0 and 1 are one digest"
    assert all(value in mine for value in values) and 12345 not in mine
    twin = copy.deepcopy(mine)
    twin.add(12345)
    assert 12345 in twin and 12345 not in mine


def test_rows_take_few_bytes():
    code = """
import sys, synthwright as sw
from synthwright.filters import ExactDuplicate, RougeNovelty

class Tiny(sw.Row):
    word: str

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

kind = {"exact": lambda: ExactDuplicate(("word",)), "rouge": lambda: RougeNovelty("word")}[sys.argv[1]]
test = kind()
for i in range(1000):
    test.add(Tiny.model_construct(word=f"warm {i}"))
before = resident()
for i in range(100_000):
    test.add(Tiny.model_construct(word=f"item {i} of {i * 7919 % 100_003}"))
print(resident() - before)
"""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("memory is read from /proc")
    for kind, limit in (("exact", 4), ("rouge", 20)):  # for 100,000 rows
        done = subprocess.run([sys.executable, "-c", code, kind], capture_output=True, text=True, check=True)
        assert float(done.stdout) < limit, kind
