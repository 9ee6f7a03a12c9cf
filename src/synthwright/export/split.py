"""Splitting a dataset by lineage: rows that come from one another, or from the same, stay together."""

import hashlib
import random
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from synthwright.errors import ConfigError
from synthwright.signatures.rows import Row

__all__ = ["Lineages", "choose", "keys_of"]

_CHUNK = 100_000


def keys_of(row: Row) -> list[str]:
    """What a row may share with its relatives.

    These are its id and those of its parents (also if the parents are rows of another dataset), the seed of its run,
    the root that a method names (`root_id`), and its prompt: rows that answer one question are relatives too.
    """
    keys = [f"id {name}" for name in (row.id, *row.parent_ids)]
    if row.provenance is not None:
        keys.append(f"seed {row.provenance.seed}")
    if root := getattr(row, "root_id", None):
        keys.append(f"root {root}")
    if prompt := row.to_prompt():
        keys.append("prompt " + "\n".join(f"{message.role}: {message.content}" for message in prompt))
    return keys


class Lineages:
    """Groups of rows that share a key with one another, directly or through others (connected components).

    It holds 12 bytes a key, not the keys themselves, and three times that while `groups` sorts them.
    """

    def __init__(self) -> None:
        self._keys, self._rows, self._count = array("Q"), array("I"), 0

    def add(self, keys: Iterable[str]) -> None:
        """The next row."""
        for key in keys:
            digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            self._keys.append(int.from_bytes(digest, "big"))
            self._rows.append(self._count)
        self._count += 1

    def groups(self) -> Sequence[int]:
        """The group of each row: the number of its first row."""
        keys, rows = np.frombuffer(self._keys, np.uint64), np.frombuffer(self._rows, f"u{self._rows.itemsize}")
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[order]
        same = np.flatnonzero(keys[1:] == keys[:-1])
        parent = array("L", range(self._count))

        def first(row: int) -> int:
            while parent[row] != row:
                parent[row] = row = parent[parent[row]]
            return row

        for start in range(0, len(same), _CHUNK):  # Python numbers are large: a part of them at a time
            pairs = same[start : start + _CHUNK]
            for one, other in zip(rows[pairs].tolist(), rows[pairs + 1].tolist(), strict=True):
                one, other = first(one), first(other)
                parent[max(one, other)] = min(one, other)
        return array("L", map(first, range(self._count)))


def choose(groups: Sequence[int], share: float, seed: int = 0) -> set[int]:
    """Whole groups for the test set, as close to `share` of all rows as groups allow.

    Groups are taken in random order as long as they fit, so that large and small ones are represented alike; only if
    that misses the size wanted, the subset of the nearest size is computed (subset sum, ties to the smaller).

    Args:
        groups: The group of each row.
        share: Share of the rows wanted, in (0, 1).
        seed: Of the order.

    Raises:
        ConfigError: `share` is not in (0, 1), or there are fewer than two groups.
    """
    if not 0 < share < 1:
        raise ConfigError(f"The test share must lie between 0 and 1, such as 0.1, got {share!r}.")
    sizes: dict[int, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    if len(sizes) < 2:
        raise ConfigError(
            f"All {len(groups)} rows are of one lineage (they come from one another, from one seed or answer one "
            "prompt), so that no test set is independent of them. Make rows from more seeds, or leave the test set out."
        )
    total = len(groups)
    target = min(max(1, round(share * total)), total - 1)
    order = sorted(sizes)
    random.Random(f"{seed}:{total}").shuffle(order)
    taken, left = set(), target
    for group in order:
        if sizes[group] <= left:
            taken.add(group)
            left -= sizes[group]
    return taken if left == 0 else _nearest(order, sizes, target, total)


def _nearest(order: Sequence[int], sizes: dict[int, int], target: int, total: int) -> set[int]:
    """The groups whose sizes add up to the reachable number nearest to `target`, at least one and not all."""
    by_size: dict[int, list[int]] = {}
    for group in order:
        by_size.setdefault(sizes[group], []).append(group)
    bundles: list[tuple[int, list[int]]] = []  # groups of one size in bundles of 1, 2, 4, ...: few steps for many
    for size, members in by_size.items():
        width = 1
        while members:
            bundles.append((size * len(members[:width]), members[:width]))
            members, width = members[width:], 2 * width
    limit = min(total - 1, target + max(by_size))
    mask = (1 << (limit + 1)) - 1
    reach = [1]  # bit s of reach[i]: the first i bundles can add up to s
    for size, _ in bundles:
        reach.append((reach[-1] | reach[-1] << size) & mask)
    found = reach[-1]
    distance = next(d for d in range(limit + 1) if _reached(found, target - d) or _reached(found, target + d))
    sum_left = target - distance if _reached(found, target - distance) else target + distance
    taken: set[int] = set()
    for index in range(len(bundles), 0, -1):
        if not reach[index - 1] >> sum_left & 1:
            size, members = bundles[index - 1]
            taken.update(members)
            sum_left -= size
    return taken


def _reached(sums: int, value: int) -> bool:
    return value > 0 and bool(sums >> value & 1)
