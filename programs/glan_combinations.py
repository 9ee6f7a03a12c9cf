"""Combinations of key concepts, by number: counted, shuffled and drawn without ever being listed.

Source: GLAN, section 2.4. The counts, 31 for one session of five concepts and 575 for two, follow from its ranges. That
combinations are drawn without replacement and sessions take turns is ours.
"""

import hashlib
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations, combinations_with_replacement
from math import comb
from typing import NamedTuple

from synthwright.signatures.glan import Session, Strategy

__all__ = [
    "MOST",
    "Combination",
    "Combinations",
    "Dealt",
    "Shuffled",
    "double",
    "doubles",
    "single",
    "singles",
    "subset",
    "total",
]

MOST = 5
"""Most concepts of a question (section 2.4)."""


FAR = 1_000_003
"""A prime: how far apart sessions begin in their order of combinations."""


class Combination(NamedTuple):
    """What a question is asked about.

    Attributes:
        strategy: One session, or two.
        sessions: Their numbers in the syllabus, from 0, in order.
        concepts: The concepts, in the order of the syllabus.
    """

    strategy: Strategy
    sessions: tuple[int, ...]
    concepts: tuple[str, ...]


@lru_cache(maxsize=4096)
def singles(concepts: int) -> int:
    """Combinations of one to five of the concepts of a session: 31 for five."""
    return sum(comb(concepts, size) for size in range(1, MOST + 1))


@lru_cache(maxsize=65_536)
def doubles(first: int, second: int) -> int:
    """Combinations of two to five concepts of two sessions that are not all from one: 575 for five and five."""
    sizes = range(2, MOST + 1)
    return sum(comb(first + second, size) - comb(first, size) - comb(second, size) for size in sizes)


def total(sizes: Iterable[int], double_share: float) -> int:
    """How many combinations `Combinations` holds for sessions with so many concepts, without building it."""
    counts = Counter(size for size in sizes if size)
    pairs = 0
    if double_share > 0:
        for (a, times), (b, others) in combinations_with_replacement(counts.items(), 2):
            pairs += (comb(times, 2) if a == b else times * others) * doubles(a, b)
    return pairs if double_share == 1 and pairs else pairs + sum(singles(a) * times for a, times in counts.items())


@lru_cache(maxsize=65_536)  # sessions of a course have about equally many concepts
def subset(rank: int, of: int, size: int) -> tuple[int, ...]:
    """The combination of `size` numbers below `of` with that rank, from 0, in lexicographic order."""
    found, number = [], 0
    while size:
        with_it = comb(of - number - 1, size - 1)
        if rank < with_it:
            found.append(number)
            size -= 1
        else:
            rank -= with_it
        number += 1
    return tuple(found)


@lru_cache(maxsize=65_536)
def single(rank: int, concepts: int) -> tuple[int, ...]:
    """The combination of one session's concepts with that rank, from 0 to `singles(concepts) - 1`."""
    for size in range(1, MOST + 1):
        if rank < (count := comb(concepts, size)):
            return subset(rank, concepts, size)
        rank -= count
    raise IndexError("a rank beyond the last combination")


@lru_cache(maxsize=65_536)
def double(rank: int, first: int, second: int) -> tuple[int, ...]:
    """The combination of two sessions' concepts with that rank; the second's count on from the first's."""
    for size in range(2, MOST + 1):
        for left in range(1, size):  # at least one of each session, so that none is ever drawn from one alone
            right = comb(second, size - left)
            if rank < (count := comb(first, left) * right):
                a, b = divmod(rank, right)
                return subset(a, first, left) + tuple(first + n for n in subset(b, second, size - left))
            rank -= count
    raise IndexError("a rank beyond the last combination")


class Shuffled:
    """The numbers below `size` in an order that looks random, any of them at once and without memory.

    Multiplication by an odd number and folding the upper half of the bits onto the lower half are both one-to-one, and
    numbers beyond the range are mixed again until they fall into it.

    Args:
        size: How many numbers, 1 or more.
        key: Fixes the order.
    """

    def __init__(self, size: int, key: str) -> None:
        bits = max(1, (size - 1).bit_length())
        self.size, self._mask, self._half = size, (1 << bits) - 1, max(1, bits // 2)
        width = (bits + 7) // 8
        noise = hashlib.shake_128(key.encode("utf-8", "surrogatepass")).digest(6 * width)
        drawn = [int.from_bytes(noise[at : at + width], "big") & self._mask for at in range(0, 6 * width, width)]
        self._factors = drawn[0] | 1, drawn[1] | 1, drawn[2] | 1
        self._terms = drawn[3], drawn[4], drawn[5]

    def __getitem__(self, index: int) -> int:
        mask, half, size = self._mask, self._half, self.size
        (f, g, h), (s, t, u) = self._factors, self._terms
        while True:  # three rounds, written out: this is asked 100,000 times a round
            index = (index * f + s) & mask
            index ^= index >> half
            index = (index * g + t) & mask
            index ^= index >> half
            index = (index * h + u) & mask
            index ^= index >> half
            if index < size:
                return index


class Dealt:
    """Numbers into groups of several sizes, dealt one to each group in turn until all groups are used up.

    So a session with many concepts, which has most combinations, does not get most questions.

    Args:
        sizes: Size of each group, 1 or more.
        rng: Gives the order of the groups.
    """

    def __init__(self, sizes: Sequence[int], rng: random.Random) -> None:
        self.sizes, self.total = sizes, sum(sizes)
        self._groups = rng.sample(range(len(sizes)), len(sizes))
        counts = Counter(sizes)
        if len(counts) > 1:
            self._groups.sort(key=sizes.__getitem__)  # those that last longest at the end
        self._starts, self._laps, self._firsts = [], [], []  # of each stretch in which no group runs out
        start = lap = first = 0
        for size in sorted(counts):
            self._starts.append(start)
            self._laps.append(lap)
            self._firsts.append(first)
            start += (size - lap) * (len(sizes) - first)
            lap, first = size, first + counts[size]

    def __getitem__(self, index: int) -> tuple[int, int]:
        """(group, number within it, from 0)."""
        stretch = bisect_right(self._starts, index) - 1
        first = self._firsts[stretch]
        lap, place = divmod(index - self._starts[stretch], len(self._groups) - first)
        return self._groups[first + place], self._laps[stretch] + lap


class Combinations:
    """All combinations of a syllabus in the order in which they are asked: each is there once.

    Both strategies take turns by the share of double ones until one is used up; the other then goes on alone. Within a
    strategy sessions, or pairs of sessions, take turns.

    Args:
        sessions: Sessions with key concepts; those without are passed over.
        double_share: Share of questions about two sessions, 0 to 1. With one session there are none.
        key: Fixes the order.

    Attributes:
        total: How many there are.
    """

    def __init__(self, sessions: Sequence[Session], double_share: float, key: str) -> None:
        self._share, self._key = double_share, key
        self._concepts = [session.key_concepts for session in sessions]
        alone = [number for number, session in enumerate(sessions) if session.key_concepts]
        pairs = list(combinations(alone, 2)) if double_share > 0 else []
        if double_share == 1 and pairs:
            alone = []
        self._alone, self._pairs = alone, pairs
        self._size = [len(concepts) for concepts in self._concepts]
        rng = random.Random(key)
        self._singles = Dealt([singles(self._size[number]) for number in alone], rng)
        self._doubles = Dealt([doubles(self._size[a], self._size[b]) for a, b in pairs], rng)
        self._phase = rng.random()  # else the first question of every course were a single one
        self._orders: dict[int, Shuffled] = {}
        self.total = self._singles.total + self._doubles.total

    def __getitem__(self, index: int) -> Combination:
        if not 0 <= index < self.total:
            raise IndexError(f"there are {self.total} combinations, asked for {index}")
        before = int(index * self._share + self._phase)  # double ones so far, while both strategies last
        if before >= self._doubles.total:
            return self._single(index - self._doubles.total)
        if index - before >= self._singles.total:
            return self._double(index - self._singles.total)
        due = int((index + 1) * self._share + self._phase) > before
        return self._double(before) if due else self._single(index - before)

    def _single(self, index: int) -> Combination:
        group, number = self._singles[index]
        session, count = self._alone[group], self._singles.sizes[group]
        rank = self._order(count)[(number + session * FAR) % count]
        chosen, concepts = single(rank, self._size[session]), self._concepts[session]
        return Combination("single", (session,), tuple([concepts[i] for i in chosen]))

    def _double(self, index: int) -> Combination:
        group, number = self._doubles[index]
        (a, b), count = self._pairs[group], self._doubles.sizes[group]
        rank = self._order(count)[(number + a * FAR + b * FAR * FAR) % count]
        chosen, concepts = double(rank, self._size[a], self._size[b]), self._concepts[a] + self._concepts[b]
        return Combination("double", (a, b), tuple([concepts[i] for i in chosen]))

    def _order(self, count: int) -> Shuffled:
        """The order of so many combinations: sessions that have as many share it, and each begins elsewhere in it."""
        order = self._orders.get(count)
        if order is None:
            order = self._orders[count] = Shuffled(count, f"{self._key}:{count}")
        return order
