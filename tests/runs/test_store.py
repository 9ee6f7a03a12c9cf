import json

import pytest

from synthwright.errors import RunMismatchError, StoreError
from synthwright.lms import Usage
from synthwright.pool import Pool
from synthwright.runs.files import write_lines
from synthwright.runs.outcome import Outcome
from synthwright.runs.store import RowLog, Store, dump
from synthwright.signatures.rows import Rejected, Row


class Riddle(Row):
    riddle: str


class Topic(Row):
    topic: str


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "run") as store:
        yield store


def filled(store, count):
    for index in range(count):
        store.add_seed(index, 0, "{}", Outcome(rows=[Riddle(riddle=f"r{index}")]), admitted=False)
        store.admit(index, [(0, Riddle(riddle=f"r{index}"))], [], [Topic(topic=f"t{index}")])


def test_an_outcome_is_read_back_as_it_was(store):
    outcome = Outcome(
        rows=[Riddle(riddle=f"r{i}") for i in range(12)],
        rejected=[Rejected(stage="s", reason="r", detail="d", content={"a": [1, {"b": None}]})],
        artifacts=[Topic(topic="t")],
        seconds=1.5,
    )
    store.add_seed(3, 0, '{"word": "w"}', outcome, admitted=False)
    assert store.outcome(3) == outcome
    assert store.seed(3) == ('{"word": "w"}', "done", False) and store.seed(4) is None


def test_an_admitted_seed_leaves_its_verdicts_and_no_outputs(store):
    rows = [Riddle(riddle="a"), Riddle(riddle="b")]
    store.add_seed(0, 0, "{}", Outcome(rows=[*rows]), admitted=False)
    store.admit(0, [(1, rows[1])], [Rejected(stage="length", reason="too_short")], [])
    assert store.seed(0) == ("{}", "done", True) and store.count("outputs") == 0
    assert [row.riddle for row in store.log("rows")] == ["b"]
    assert store.losses() == [("length", "too_short", 1)]
    assert list(store.rejects()) == [(0, Rejected(stage="length", reason="too_short"))]


def test_a_transaction_that_fails_leaves_nothing_behind(store):
    filled(store, 1)
    store.add_seed(1, 0, "{}", Outcome(), admitted=False)
    with pytest.raises(AttributeError):
        store.admit(1, [(0, Riddle(riddle="x"))], [], [None])
    assert store.count("rows") == 1 and store.seed(1) == ("{}", "done", False)
    filled(store, 2)
    assert [row.riddle for row in store.log("rows")] == ["r0", "r0", "r1"]


def test_usage_adds_up_by_role_and_predictor(store):
    key = ("generator", "write")
    store.add_usage({key: Usage(1, 10, 5, 0.5), ("judge", "judge"): Usage(1, 2, 3)})
    store.add_usage({key: Usage(2, 20, 10, 1.0)})
    store.add_usage({})
    assert store.usage() == {key: Usage(3, 30, 15, 1.5), ("judge", "judge"): Usage(1, 2, 3)}


def test_rows_stay_in_the_store_and_are_read_in_pages(store):
    filled(store, RowLog.PAGE + 10)
    log = store.log("rows")
    assert len(log) == RowLog.PAGE + 10
    assert log[0].riddle == "r0" and log[-1].riddle == log[RowLog.PAGE + 9].riddle == f"r{RowLog.PAGE + 9}"
    assert [row.riddle for row in log[RowLog.PAGE - 1 : RowLog.PAGE + 1]] == [f"r{RowLog.PAGE - 1}", f"r{RowLog.PAGE}"]
    assert [row.riddle for row in log] == [f"r{i}" for i in range(RowLog.PAGE + 10)]
    assert [record["riddle"] for record in store.records("rows", 3)] == ["r0", "r1", "r2"]
    assert [topic.topic for topic in store.log("artifacts", 2)] == ["t0", "t1"]
    for index in (RowLog.PAGE + 10, -RowLog.PAGE - 11):
        with pytest.raises(IndexError):
            log[index]


def test_a_log_does_not_see_what_comes_later(store):
    filled(store, 2)
    log = store.log("rows")
    store.add_seed(9, 0, "{}", Outcome(), admitted=False)
    store.admit(9, [(0, Riddle(riddle="late"))], [], [])
    assert len(log) == 2 and [row.riddle for row in log] == ["r0", "r1"] and len(store.log("rows")) == 3


def test_left_over_are_failed_seeds_and_unadmitted_ones_of_rounds_that_are_over(store):
    store.start_round(0, 0, 0, 0, None)
    for index in range(4):
        store.add_seed(index, 0, f'{{"i": {index}}}', Outcome(error="down" if index < 2 else None), admitted=False)
    store.admit(0, [], [], [])
    store.admit(2, [], [], [])
    assert [index for index, _ in store.left_over()] == [0]
    store.finish_round(0)
    assert store.left_over() == [(0, '{"i": 0}'), (1, '{"i": 1}'), (3, '{"i": 3}')]


def test_a_configuration_is_compared_deeply(tmp_path):
    config = {"method": "m", "arguments": {"a": 1, "b": [1, 2]}, "seed": 0}
    with Store(tmp_path) as store:
        store.claim(config)
        store.claim({"seed": 0, "arguments": {"b": (1, 2), "a": 1}, "method": "m"})
        with pytest.raises(RunMismatchError) as error:
            store.claim({"method": "m", "arguments": {"a": 2, "c": "x" * 200}, "seed": 0})
    lines = str(error.value).splitlines()
    assert lines[1:4] == [
        "  arguments.a: there 1, now 2",
        "  arguments.b: there [1, 2], now nothing",
        f'  arguments.c: there nothing, now "{"x" * 76}...',
    ]


def test_half_characters_are_stored_as_escapes(store):
    reject = Rejected(stage="s", reason="r", detail="\ud83d", content={"reply": "\ud83d"})
    store.add_seed(0, 0, dump({"word": "\ud83d"}), Outcome(error="\ud83d", rejected=[reject]), admitted=False)
    assert json.loads(store.seed(0)[0]) == {"word": "\ud83d"}
    assert store.outcome(0).rejected == [reject]
    store.admit(0, [], [reject], [])
    assert list(store.rejects()) == [(0, Rejected(stage="s", reason="r", detail="\\ud83d", content=reject.content))]


def test_text_is_stored_as_text_and_not_as_escapes():
    assert dump({"b": "größer 山", "a": 1}) == '{"a": 1, "b": "größer 山"}'
    with pytest.raises(TypeError):
        dump({"a": {1}})


def test_lines_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_lines(path, [{"a": "x\u2028y\x85z"}, {"a": "\ud800"}])
    assert path.read_text() == '{"a": "x\\u2028y\\u0085z"}\n{"a": "\\ud800"}\n'

    def half():
        yield {"a": 1}
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"Cannot write .*rows.jsonl': No space left on device. Nothing is lost"):
        write_lines(path, half())
    assert len(path.read_text().splitlines()) == 2 and [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


class Entry(Row):
    text: str
    size: int = 0
    note: str | None = None


class SubEntry(Entry):
    pass


def test_fields_of_artifacts_are_read_as_the_artifacts_hold_them(tmp_path):
    made = [Entry(text='a "quoted" \\\\ line\\n\\u2028', size=3), SubEntry(text="é 漢", note="n"), Topic(topic="x")]
    made += [Entry(text=f"{n}", size=n) for n in range(5000)]
    with Store(tmp_path) as store:
        store.admit(0, [], [], made, stored=False)
        for size in (None, 2, 4097):
            pool = Pool(artifacts=store.log("artifacts", size))
            listed = Pool(artifacts=made[:size])
            for kind in (Entry, SubEntry):
                fields = ("id", "text", "size", "note")
                assert list(pool.artifact_values(kind, *fields)) == list(listed.artifact_values(kind, *fields))


def test_half_a_character_does_not_end_the_reading(tmp_path):
    made = [Entry(text="whole"), Entry(text="half \\ud800 of one"), Entry(text="last")]
    with Store(tmp_path) as store:
        store.admit(0, [], [], made, stored=False)
        found = [text for (text,) in Pool(artifacts=store.log("artifacts")).artifact_values(Entry, "text")]
    assert found == ["whole", "half \\ud800 of one", "last"]
