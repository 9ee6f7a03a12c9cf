"""Rows that share long runs of words with items of an evaluation set."""

import copy
import json
import pickle
import random

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.filters import BenchmarkItem, Decontamination, contamination, read_items
from synthwright.filters.contamination import Overlap
from synthwright.testing import ScriptedLM

LONG = (
    "A farmer has 24 hens, each of which lays five eggs a week. She sells the eggs by the dozen for 3.50 dollars. "
    "How much does she earn in four weeks?"
)
OTHER = "A tank holds 900 litres. A pump fills it at 12 litres a minute. How long does it take until the tank is full?"


class Task(sw.Row):
    instruction: str
    response: str = ""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "maths.jsonl").write_text(
        "\n".join(json.dumps({"id": i, "question": q}) for i, q in enumerate([OTHER, LONG])) + "\n\n", encoding="utf-8"
    )
    (tmp_path / "short.txt").write_text("Name the capital of Peru.\n\nyes\nWhat is it?\n", encoding="utf-8")
    return tmp_path


def test_a_shared_run_names_the_item(files):
    test = Decontamination(("instruction",), (files / "maths.jsonl",))
    row = Task(instruction="Solve: a farmer has 24 hens, EACH of which lays five eggs a week! She buys a dog.")
    run = "a farmer has 24 hens each of which lays five eggs a week"
    assert test.check(row) == f"contaminated: instruction shares {run!r} with maths.jsonl line 2"
    assert test.check(Task(instruction="A farmer has 24 hens, each of which lays five eggs a day.")) is None


def test_the_run_may_stand_in_any_of_the_fields_and_each_hit_is_told(files):
    test = Decontamination(("instruction", "response"), (str(files / "maths.jsonl"),))
    both = Task(instruction=OTHER + " " + LONG, response="As you said: " + OTHER)
    hits = test.overlaps(both)
    assert [(hit.field, hit.item.place) for hit in hits] == [
        ("instruction", "maths.jsonl line 1"),
        ("instruction", "maths.jsonl line 2"),
        ("response", "maths.jsonl line 1"),
    ]
    assert isinstance(hits[0], Overlap) and hits[0].item == BenchmarkItem(OTHER, "maths.jsonl line 1")
    verdict = test.check(both)
    assert verdict is not None and verdict.endswith("with maths.jsonl line 1 and 2 more")
    assert Decontamination(("response",), (files / "maths.jsonl",)).check(Task(instruction=LONG)) is None


def test_short_items_are_found_whole_and_very_short_ones_only_alone(files):
    test = Decontamination(("instruction",), (files / "short.txt",))
    verdict = test.check(Task(instruction="Please name the capital of Peru, and its river."))
    assert verdict == "contaminated: instruction shares 'name the capital of peru' with short.txt line 1"
    assert test.check(Task(instruction="Name the capital of Chile.")) is None
    assert test.check(Task(instruction="Say yes or no. What is it?")) is None
    assert test.check(Task(instruction="Yes!")) == "contaminated: instruction shares 'yes' with short.txt line 3"
    assert test.check(Task(instruction="what is it")) is not None
    assert test.check(Task(instruction="")) is None


def test_the_length_of_a_run_is_an_argument(files):
    row = Task(instruction="Each of which lays five eggs a week is a good hen.")
    assert Decontamination(("instruction",), (files / "maths.jsonl",), n=8).check(row) is not None
    assert Decontamination(("instruction",), (files / "maths.jsonl",), n=10).check(row) is None


@pytest.mark.parametrize("n", [1, 3, 5])
def test_verdicts_equal_those_of_searching_every_item(tmp_path, n):
    rng = random.Random(n)

    def text():
        return " ".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(0, 9)))

    items = [text() for _ in range(40)]
    (tmp_path / "items.txt").write_text("\n".join(items), encoding="utf-8")
    test = Decontamination(("instruction",), (tmp_path / "items.txt",), n=n, shortest=1)
    hits = 0
    for _ in range(300):
        asked = text()
        expected = []
        for number, item in enumerate(items, 1):
            tokens = item.split()
            length = min(n, len(tokens))
            runs = [" ".join(tokens[i : i + length]) for i in range(len(tokens) - length + 1)] if tokens else []
            if any(f" {run} " in f" {asked} " for run in runs):
                expected.append(f"items.txt line {number}")
        found = [hit.item.place for hit in test.overlaps(Task(instruction=asked))]
        assert found == expected
        hits += bool(found)
    assert hits > 10


def test_equal_hashes_are_no_hit(files, monkeypatch):
    monkeypatch.setattr(
        contamination.hashlib, "blake2b", lambda run, digest_size: type("D", (), {"digest": lambda _: b"x" * 8})()
    )
    test = Decontamination(("instruction",), (files / "maths.jsonl",))
    assert test.check(Task(instruction=" ".join(f"word{i}" for i in range(20)))) is None
    assert test.check(Task(instruction=LONG)) is not None


def test_items_are_read_from_parquet_too(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"problem": [OTHER, None, LONG], "options": [["a"], ["b"], ["c", "d"]]})
    parquet.write_table(table, tmp_path / "test.parquet")
    assert read_items([tmp_path / "test.parquet"], "problem") == [
        BenchmarkItem(OTHER, "test.parquet row 0"),
        BenchmarkItem(LONG, "test.parquet row 2"),
    ]
    assert read_items([tmp_path / "test.parquet"], "options")[2].text == '["c", "d"]'
    with pytest.raises(ConfigError, match=r"test.parquet' has no column 'question'; it has: problem, options"):
        read_items([tmp_path / "test.parquet"])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(ConfigError, match="is not a Parquet file"):
        read_items([tmp_path / "bad.parquet"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", '{"question": "a"}\n{"quest": 1}', "line 2 of .* has no field 'question'; it has: quest"),
        ("x.jsonl", "[1]", "line 1 of .* has no field 'question'; it has: list"),
        ("x.jsonl", '{"question"', "line 1 of .* is not JSON"),
        ("x.jsonl", "", "has no items"),
        ("x.txt", " \n\n", "has no items"),
        ("x.csv", "a,b", "evaluation sets are .jsonl"),
        ("gone.jsonl", None, "Cannot read .*gone.jsonl': No such file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        Decontamination(("instruction",), (tmp_path / name,))


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_items([tmp_path / "x.txt"])


def test_arguments_must_make_sense(files):
    with pytest.raises(ConfigError, match="Name at least one file"):
        Decontamination(("instruction",), ())
    with pytest.raises(ConfigError, match="is a list"):
        Decontamination("instruction", (files / "maths.jsonl",))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="`n` and `shortest` >= 1"):
        Decontamination(("instruction",), (files / "maths.jsonl",), n=0)


def test_what_is_recorded_is_short_and_tells_contents_apart(files):
    path = files / "maths.jsonl"
    before = repr(Decontamination(("instruction",), (path,)))
    assert f"against=({str(path)!r},), item_field='question', n=13, shortest=4, items=<2 items, sha256 " in before
    path.write_text(json.dumps({"question": "something else"}), encoding="utf-8")
    assert repr(Decontamination(("instruction",), (path,))) != before


def test_copies_and_pickles_find_the_same(files):
    test = Decontamination(("instruction",), (files / "maths.jsonl",))
    verdict = test.check(Task(instruction=LONG))
    for twin in (copy.deepcopy(test), pickle.loads(pickle.dumps(test))):
        assert twin.check(Task(instruction=LONG)) == verdict and repr(twin) == repr(test)


def test_a_run_keeps_the_hit_as_the_reason(files, tmp_path):
    class Echo(sw.Generator[Task]):
        def forward(self, text):
            return dspy.Prediction(rows=[Task(instruction=text)])

    run = sw.generate(
        Echo(),
        seeds=[{"text": "Something new about hens."}, {"text": "Consider this. " + OTHER}],
        out=tmp_path / "run",
        filters=[Decontamination(("instruction",), (files / "maths.jsonl",))],
        lms=ScriptedLM({}),
    )
    assert [row.instruction for row in run.rows] == ["Something new about hens."]
    (lost,) = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert (lost["stage"], lost["reason"]) == ("decontamination", "contaminated")
    assert lost["detail"].endswith("with maths.jsonl line 1")
