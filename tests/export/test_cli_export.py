"""`synthwright export` as a person meets it."""

import json
import subprocess
import sys

import pytest

import synthwright as sw
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.testing import ScriptedLM


@pytest.fixture
def run(tmp_path):
    lm = ScriptedLM(
        {
            "add_constraints": lambda call: {"evolved_instruction": f"{call['instruction']} Use exactly seven words."},
            "respond": {"response": "It has four legs and likes to sleep all day."},
        }
    )
    seeds = [{"instruction": f"Describe the animal number {i}."} for i in range(4)]
    generator = EvolInstruct(operators=("add_constraints",), rounds=1, judge=False)
    return sw.generate(generator, seeds=seeds, out=tmp_path / "run", lms=lm)


def export(*arguments, cwd):
    command = [sys.executable, "-c", "from synthwright.cli import main; main()", "export", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_a_file_is_written_and_summed_up(run, tmp_path):
    done = export(
        "run", "--format", "alpaca", "--to", "out.jsonl", "--test", "0.5", "--column", "id", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "alpaca: train 2, test 2 -> out-train.jsonl, out-test.jsonl"
    assert json.loads(lines[1]) == {
        "to": "out.jsonl",
        "format": "alpaca",
        "counts": {"train": 2, "test": 2},
        "files": {"train": "out-train.jsonl", "test": "out-test.jsonl"},
        "skipped": {},
        "notes": [],
    }
    both = [json.loads(line) for name in ("train", "test") for line in (tmp_path / f"out-{name}.jsonl").open()]
    assert {record["id"] for record in both} == {row.id for row in run}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "--format", "raw", "--to", "x.jsonl"), "'nowhere' is no run directory"),
        (("run", "--format", "preference", "--to", "x.jsonl"), "It offers: messages, sft, prompt-only, text, alpaca"),
        (("run", "--format", "sharegtp", "--to", "x.jsonl"), "Did you mean 'sharegpt'?"),
        (("run", "--format", "raw", "--to", "x.xlsx"), "a file ends with .jsonl"),
    ],
)
def test_wrong_arguments_exit_2_and_say_what_would_be_right(run, command, tmp_path, arguments, message):
    done = command("export", *arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert message in " ".join(done.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_quiet_prints_nothing(run, tmp_path):
    done = export("run", "--format", "messages", "--to", "data", "--license", "mit", "--quiet", cwd=tmp_path)
    assert done.returncode == 0 and not done.stdout
    assert "license: mit" in (tmp_path / "data" / "README.md").read_text()
