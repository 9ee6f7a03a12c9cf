import csv
import json

import datasets
import pyarrow.parquet as pq
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, StoreError
from synthwright.export.tables import clean
from synthwright.runs.run import UntypedRow, load_run
from synthwright.signatures.evol_instruct import EvolvedRow

HARD = (
    "nul \x00, lines \u2028 \u2029 \x85 \r \n \r\n, quote \" ' , half-width ｱ, family 👩‍👩‍👧, =1+1, {{7*7}}, <script>"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def question(number, answer="Because.", **fields):
    return sw.InstructionRow(instruction=f"Why {number}?", response=answer, **fields)


def jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def loaded(kind, path):
    reader = "json" if kind == "jsonl" else str(kind)
    return datasets.load_dataset(reader, data_files=str(path), split="train", cache_dir=str(path.parent / "c"))


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize("format", ["messages", "alpaca", "raw"])
def test_a_file_holds_the_rows_in_order(run_of, tmp_path, kind, format):
    run = run_of(*(question(i) for i in range(3)))
    path = tmp_path / "new" / "folder" / f"out.{kind}"
    done = run.export(format, path)
    assert done.counts == {"train": 3} and done.files == {"train": path} and not done.skipped
    data = loaded(kind, path)
    assert len(data) == 3
    if format == "messages":
        talk = data[2]["messages"]
        assert (json.loads(talk) if kind == "csv" else talk)[0] == {"role": "user", "content": "Why 2?"}
    else:
        assert data[2]["instruction"] == "Why 2?"
    if format == "raw" and kind != "csv":
        assert data["id"][:] == [row.id for row in run]


def test_hostile_text_comes_back_as_it_was(run_of, tmp_path):
    run = run_of(question(0, HARD), question(1, "2024-05-06"), question(2, "  spaces  "))
    for kind in ("jsonl", "parquet", "csv"):
        run.export("alpaca", tmp_path / f"hard.{kind}")
    texts = [HARD, "2024-05-06", "  spaces  "]
    assert [line["output"] for line in jsonl(tmp_path / "hard.jsonl")] == texts
    assert pq.read_table(tmp_path / "hard.parquet")["output"].to_pylist() == texts
    with (tmp_path / "hard.csv").open(encoding="utf-8", newline="") as file:
        assert [record["output"] for record in csv.DictReader(file)] == texts
    assert loaded("jsonl", tmp_path / "hard.jsonl")["output"][:] == texts
    assert loaded("csv", tmp_path / "hard.csv")["output"][:] == texts
    assert run.dataset("alpaca")["output"][:] == texts and run.dataset()["response"][:] == texts


def test_half_characters_are_replaced_and_counted(run_of, tmp_path):
    run = run_of(question(0, "lone \ud83d end"), question(1, "pair \ud83d" + "\ude00 end"), question(2))
    done = run.export("messages", tmp_path / "half.jsonl")
    answers = [talk[1]["content"] for talk in loaded("jsonl", tmp_path / "half.jsonl")["messages"]]
    assert answers == ["lone \ufffd end", "pair 😀 end", "Because."]
    assert len(done.notes) == 1 and done.notes[0].startswith("Texts with halves of characters: 1.")
    assert run.dataset("messages")[0]["messages"][1]["content"] == "lone \ufffd end"
    assert next(run.records())["response"] == "lone \ud83d end"  # the run itself keeps what the LM wrote


def test_two_halves_of_one_character_are_joined():
    assert clean({"a": ["\ud83d\ude00", "\ude00\ud83d", "x"], "\udc80": 1}) == (
        {"a": ["\U0001f600", "\ufffd\ufffd", "x"], "\ufffd": 1},
        2,
    )


def test_cells_that_start_like_formulas_are_kept_and_named(run_of, tmp_path):
    run = run_of(question(0, "=HYPERLINK(1)"), question(1, "@SUM(1)"), question(2))
    done = run.export("alpaca", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        assert [record["output"] for record in csv.DictReader(file)] == ["=HYPERLINK(1)", "@SUM(1)", "Because."]
    assert len(done.notes) == 1 and done.notes[0].startswith(
        "Records with a cell that starts like a formula (= + - @): 2."
    )
    assert not run.export("alpaca", tmp_path / "x.jsonl").notes


def test_rows_without_the_form_are_left_out_and_counted(run_of, tmp_path):
    run = run_of(question(0), question(1, ""), question(2, " \n"), question(3))
    done = run.export("sft", tmp_path / "x.jsonl")
    assert done.counts == {"train": 2} and done.skipped == {"no answer": 2}
    assert "left out, no answer: 2 rows" in str(done) and len(jsonl(tmp_path / "x.jsonl")) == 2


def test_a_form_that_no_row_has_is_an_error_that_names_the_others(run_of, tmp_path):
    with pytest.raises(
        ConfigError, match=r"no better and worse answer \(2 rows\). It offers: messages, sft, prompt-on"
    ):
        run_of(question(0), question(1)).export("preference", tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl").exists()


def test_a_run_without_rows_has_nothing_to_export(tmp_path, run_of):
    run = run_of(question(0))
    (run.out / "rows.jsonl").write_text("")
    with pytest.raises(ConfigError, match="has no rows"):
        run.export("messages", tmp_path / "x.jsonl")
    assert run.dataset().column_names == ["id", "instruction", "response", "parent_ids", "provenance"]


def test_fields_can_stand_beside_the_columns(run_of, tmp_path, Pair):
    run = run_of(Pair(question="q", better="b", worse="w", level=3))
    run.export("unpaired", tmp_path / "x.jsonl", columns=["level", "id"], standard=True)
    first, second = jsonl(tmp_path / "x.jsonl")
    assert first == {"prompt": "q\n\n", "completion": "b", "label": True, "level": 3, "id": next(iter(run)).id}
    assert second["completion"] == "w" and second["label"] is False and second["level"] == 3
    assert run.dataset("preference", columns=["level"])["level"][:] == [3]


def test_the_margin_is_a_column_only_if_every_pair_has_one(run_of, chat, Pair):
    pair = {"chosen": "a", "rejected": "b"}
    rated = {**pair, "chosen_reward": 1.0, "rejected_reward": 0.25}
    assert run_of(chat("x", "y", **rated), name="one").dataset("preference")["margin"][:] == [0.75]
    mixed = run_of(chat("x", "y", **rated), chat("z", "y", **pair), name="two").dataset("preference")
    assert mixed.column_names == ["prompt", "chosen", "rejected"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("massages", "x.jsonl", {}), "Did you mean 'messages'"),
        (("messages", "x.txt", {}), "a file ends with .jsonl"),
        (("messages", "x.jsonl", {"standard": True}), "`standard` is for sft, preference, unpaired, prompt-only"),
        (("messages", "x.jsonl", {"columns": ["respons"]}), "Did you mean 'response'"),
        (("alpaca", "x.jsonl", {"columns": ["instruction"]}), "has a column 'instruction' of its own"),
        (("raw", "x.jsonl", {"columns": ["id"]}), "has all columns already"),
        (("messages", "x.jsonl", {"kind": "csv"}), "leave `kind` out"),
        (("messages", "x", {"kind": "xml"}), "No kind of file 'xml'"),
        (("messages", "x.jsonl", {"test": 2}), "between 0 and 1"),
    ],
)
def test_wrong_arguments_say_what_would_be_right(run_of, tmp_path, arguments, message):
    format, to, options = arguments
    with pytest.raises(ConfigError, match=message):
        run_of(question(0), question(1)).export(format, tmp_path / to, **options)
    assert not (tmp_path / to).exists()


def test_a_directory_loads_as_a_dataset_with_its_splits(run_of, tmp_path):
    run = run_of(*(question(i) for i in range(10)))
    run.export("messages", tmp_path / "data set", test=0.2)
    data = datasets.load_dataset(str(tmp_path / "data set"), cache_dir=str(tmp_path / "c"))
    assert {split: len(part) for split, part in data.items()} == {"train": 8, "test": 2}


def test_a_second_export_replaces_the_first_and_spares_other_files(run_of, tmp_path):
    run, where = run_of(question(0), question(1)), tmp_path / "data"
    run.export("messages", where, test=0.5)
    (where / "data" / "mine.txt").write_text("mine")
    run.export("alpaca", where, kind="jsonl")
    assert sorted(path.name for path in (where / "data").iterdir()) == ["mine.txt", "train.jsonl"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "README.md").write_text("# mine")
    with pytest.raises(ConfigError, match="holds files that are no export"):
        run.export("messages", other)
    with pytest.raises(ConfigError, match="holds files that are no export"):
        run.export("messages", run.out)
    assert (other / "README.md").read_text() == "# mine"


def test_a_target_that_cannot_be_written_is_an_error_and_leaves_nothing(run_of, tmp_path):
    (tmp_path / "file").write_text("")
    run = run_of(question(0))
    for target in ("file/x.jsonl", "file/x.csv", "file/x.parquet", "file/dir"):
        with pytest.raises(StoreError, match="Cannot write"):
            run.export("messages", tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "run"]


def lineage(root, count):
    """A root's evolutions, each the child of the one before."""
    rows: list[EvolvedRow] = []
    for number in range(1, count + 1):
        text = f"{root} {number}"
        parents = (rows[-1].id,) if rows else ()
        about = {"operator": "deepen", "round": number, "root_id": root, "parent": root, "judged": True}
        rows.append(EvolvedRow(instruction=text, response="r", parent_ids=parents, **about))
    return rows


def test_a_row_and_its_evolved_child_are_on_one_side(run_of, tmp_path):
    first = [row for root in "abcdef" for row in lineage(root, 3)]
    run = run_of(*first)  # one seed a row: only parents and roots tie them together
    run.export("raw", tmp_path / "x.jsonl", test=1 / 3)
    train, test = (jsonl(tmp_path / f"x-{split}.jsonl") for split in ("train", "test"))
    assert len(test) == 6 and len(train) == 12
    assert not {row["root_id"] for row in train} & {row["root_id"] for row in test}
    ids = {row["id"] for row in test}
    assert all(parent in ids for row in test for parent in row["parent_ids"])
    before = (tmp_path / "x-test.jsonl").read_bytes()
    run.export("raw", tmp_path / "x.jsonl", test=1 / 3)
    assert (tmp_path / "x-test.jsonl").read_bytes() == before


def test_rows_of_one_seed_are_on_one_side(run_of):
    run = run_of([question(0), question(1)], [question(2), question(3)], [question(4), question(5)])
    data = run.dataset("messages", test=0.3)
    assert {split: len(part) for split, part in data.items()} == {"train": 4, "test": 2}
    numbers = sorted(talk[0]["content"] for talk in data["test"]["messages"])
    assert numbers in (["Why 0?", "Why 1?"], ["Why 2?", "Why 3?"], ["Why 4?", "Why 5?"])


class Sparse(sw.Row):
    """Fields that are empty, or of another shape, in the first thousand rows."""

    tags: list[str] = []
    score: float | None = None
    more: dict[str, int] = {}


def test_types_that_show_late_are_found(run_of, tmp_path):
    rows = [Sparse(more={"a": i}) for i in range(1100)]
    rows.append(Sparse(tags=["x"], score=0.5, more={"b": 1}))
    run = run_of(rows)
    run.export("raw", tmp_path / "x.parquet")
    last = pq.read_table(tmp_path / "x.parquet").to_pylist()[-1]
    assert (last["tags"], last["score"], last["more"]) == (["x"], 0.5, {"a": None, "b": 1})
    assert len(run.dataset()) == 1101


class Mixed(sw.Row):
    value: int | str


def test_a_column_of_mixed_types_goes_into_text_files_only(run_of, tmp_path):
    run = run_of(Mixed(value=1), Mixed(value="one"))
    with pytest.raises(ConfigError, match=r"different types.*jsonl"):
        run.export("raw", tmp_path / "x.parquet")
    run.export("raw", tmp_path / "x.jsonl")
    assert [row["value"] for row in jsonl(tmp_path / "x.jsonl")] == [1, "one"]
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_is_opened_from_its_directory(run_of):
    run = run_of(question(0), question(1))
    again = load_run(run.out, sw.InstructionRow)
    assert again.rows == run.rows and len(again) == 2 and again.complete and again.method == "given"
    assert again.funnel == run.funnel and again.usage == run.usage
    assert again.config()["seed"] == 0 and again.config()["created"]


def test_rows_of_an_unknown_class_export_as_they_are(run_of, tmp_path):
    run = run_of(question(0))
    again = load_run(run.out)
    again.row_type = UntypedRow  # as in another process, where nobody has imported the generator's module
    assert next(iter(again)).id == next(iter(run)).id
    again.export("raw", tmp_path / "x.jsonl")
    assert jsonl(tmp_path / "x.jsonl")[0]["instruction"] == "Why 0?"
    with pytest.raises(ConfigError, match=r"import your module and pass the class: load_run\(path, Riddle\)"):
        again.export("messages", tmp_path / "y.jsonl")


def test_a_directory_without_a_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"is no run directory: it has no 'run.sqlite'"):
        load_run(tmp_path)
    assert not list(tmp_path.iterdir())
