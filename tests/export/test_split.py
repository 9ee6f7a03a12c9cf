import random

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.export.split import Lineages, choose, keys_of
from synthwright.signatures.rows import InstructionRow, Provenance


def groups_of(*rows):
    lineages = Lineages()
    for keys in rows:
        lineages.add(keys)
    return list(lineages.groups())


def test_rows_that_share_a_key_are_one_group_also_through_others():
    assert groups_of(["a"], ["b"], ["a", "c"], ["d"], ["c", "b"]) == [0, 0, 0, 3, 0]
    assert groups_of() == []


@pytest.mark.parametrize("number", range(30))
def test_random_forests_are_never_torn_and_groups_are_those_of_a_plain_search(number):
    draw = random.Random(number)
    count = draw.randint(2, 120)
    parents = [draw.sample(range(i), draw.randint(0, min(i, 2))) if draw.random() < 0.6 else [] for i in range(count)]
    groups = groups_of(*([f"id {i}", *(f"id {p}" for p in parents[i])] for i in range(count)))

    neighbours = {i: set(parents[i]) for i in range(count)}
    for i, found in enumerate(parents):
        for parent in found:
            neighbours[parent].add(i)
    expected, unseen = [-1] * count, set(range(count))
    while unseen:
        first, queue = min(unseen), [min(unseen)]
        while queue:
            node = queue.pop()
            if node in unseen:
                unseen.discard(node)
                expected[node] = first
                queue += neighbours[node]
    assert groups == expected
    if len(set(groups)) > 1:
        chosen = choose(groups, 0.3, seed=number)
        test = [i for i in range(count) if groups[i] in chosen]
        assert 0 < len(test) < count
        assert not any((i in test) != (p in test) for i in range(count) for p in parents[i])
        assert choose(groups, 0.3, seed=number) == chosen


@pytest.mark.parametrize("number", range(60))
def test_the_test_set_is_as_near_to_its_size_as_whole_groups_allow(number):
    draw = random.Random(number)
    sizes = [draw.choice([1, 2, 3, 5, 8, 13][draw.randint(0, 2) :]) for _ in range(draw.randint(2, 12))]
    groups = [index for index, size in enumerate(sizes) for _ in range(size)]
    share = draw.choice([0.1, 0.25, 0.5, 0.9])
    target = min(max(1, round(share * len(groups))), len(groups) - 1)
    sums = {0}
    for size in sizes:
        sums |= {total + size for total in sums}
    best = min(abs(total - target) for total in sums if 0 < total < len(groups))
    got = sum(sizes[group] for group in choose(groups, share, seed=number))
    assert 0 < got < len(groups) and abs(got - target) == best


def test_large_and_small_groups_are_both_drawn_for_the_test_set():
    sizes = [1] * 300 + [5] * 100
    groups = [index for index, size in enumerate(sizes) for _ in range(size)]
    drawn = [sizes[group] for group in choose(groups, 0.2)]
    assert sum(drawn) == 160 and drawn.count(5) > 10 and drawn.count(1) > 30


def test_another_seed_chooses_other_rows():
    groups = list(range(100))
    assert choose(groups, 0.1, seed=1) != choose(groups, 0.1, seed=2)


def test_one_lineage_cannot_be_split():
    with pytest.raises(ConfigError, match="All 3 rows are of one lineage"):
        choose([0, 0, 0], 0.1)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        choose([0, 1], share)


def test_relatives_share_a_parent_a_seed_a_root_or_a_prompt():
    def row(text, seed, **fields):
        made = Provenance(method="m", version="1", prompts="p", lms={}, seed=seed)
        return InstructionRow(instruction=text, response=text, provenance=made, **fields)

    class Rooted(sw.InstructionRow):
        root_id: str

    first = row("a", 0)
    rows = [
        first,
        row("b", 1, parent_ids=(first.id,)),  # child of the first
        row("c", 2, parent_ids=("elsewhere",)),
        row("d", 3, parent_ids=("elsewhere",)),  # a sibling, whose parent is in another dataset
        row("e", 4),
        row("f", 4),  # from the same seed
        Rooted(instruction="g", response="g", root_id="r"),
        Rooted(instruction="h", response="h", root_id="r"),
        row("i", 5),
        row("i", 6).model_copy(update={"response": "another answer"}),  # the same prompt
        row("j", 7),
    ]
    assert groups_of(*map(keys_of, rows)) == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10]
