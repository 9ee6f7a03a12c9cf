import pytest

from synthwright.pool import Pool
from synthwright.signatures.rows import Row


class Riddle(Row):
    riddle: str


class Topic(Row):
    topic: str


class SubTopic(Topic):
    pass


rows = [Riddle(riddle=f"r{i}") for i in range(5)]


def test_a_pool_is_a_sequence_of_the_rows_kept():
    pool = Pool(rows)
    assert len(pool) == 5 and pool[0] is rows[0] and pool[-1] is rows[4] and list(pool) == rows
    assert pool[1:3] == rows[1:3] and pool[::-1] == rows[::-1] and pool[:] == rows and rows[2] in pool
    assert pool.index(rows[3]) == 3 and list(reversed(pool)) == rows[::-1]


@pytest.mark.parametrize("index", [5, -6])
def test_what_is_not_there_is_an_index_error(index):
    with pytest.raises(IndexError, match=f"the pool has 5 rows, asked for {index}"):
        Pool(rows)[index]


def test_an_empty_pool_is_false():
    assert not Pool() and list(Pool()) == [] and Pool()[:] == []


def test_a_pool_does_not_grow_while_its_round_runs():
    growing, artifacts = list(rows), [Topic(topic="t")]
    pool = Pool(growing, artifacts=artifacts)
    growing.append(Riddle(riddle="late"))
    artifacts.append(Topic(topic="late"))
    assert len(pool) == 5 and list(pool) == rows and pool[-1] is rows[4] and len(pool.artifacts(Topic)) == 1


def test_artifacts_are_found_by_their_type_in_order():
    made = [Topic(topic="a"), Riddle(riddle="x"), SubTopic(topic="b")]
    pool = Pool(artifacts=made)
    assert pool.artifacts(Topic) == [made[0], made[2]] and pool.artifacts(SubTopic) == [made[2]]
    assert pool.artifacts(Riddle) == [made[1]] and len(pool.artifacts(Row)) == 3


@pytest.mark.parametrize(("target", "missing"), [(None, None), (8, 3), (5, 0), (2, 0)])
def test_missing_is_what_the_target_lacks(target, missing):
    assert Pool(rows, target=target).missing == missing


def test_a_plan_can_be_tried_without_a_run():
    pool = Pool(rows, seeds=[{"a": 1}], target=9, round=2)
    assert (pool.seeds, pool.target, pool.round) == ([{"a": 1}], 9, 2)


def test_artifacts_can_be_read_one_at_a_time():
    mixed = [Topic(topic="a"), Riddle(riddle="r"), SubTopic(topic="b")]
    pool = Pool(artifacts=mixed)
    each = pool.each_artifact(Topic)
    mixed.append(Topic(topic="later"))
    assert next(each) is mixed[0] and list(each) == [mixed[2]] == pool.artifacts(Topic)[1:]


def test_fields_of_artifacts_can_be_read_alone():
    pool = Pool(artifacts=[Topic(topic="a"), Riddle(riddle="r"), SubTopic(topic="b")])
    assert list(pool.artifact_values(Topic, "topic")) == [("a",), ("b",)]
    assert list(pool.artifact_values(SubTopic, "id", "topic")) == [(SubTopic(topic="b").id, "b")]
