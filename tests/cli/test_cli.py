"""The command line as a person meets it: its exit code and what it prints, mostly of a real process."""

import json
import os
import subprocess
import sys

import pytest

from synthwright.lms import weights


def run(*arguments, cwd, env=None, timeout=120):
    command = [sys.executable, "-c", "from synthwright.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "160", **(env or {})}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, env=environment)


def test_list_names_the_methods(tmp_path):
    done = run("list", cwd=tmp_path)
    assert done.returncode == 0
    for method in ("evol-instruct", "magpie", "targen"):
        assert method in done.stdout


def test_help_names_the_exit_codes_and_a_first_command(tmp_path):
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0 and "Exit codes" in done.stdout and "synthwright generate evol-instruct" in done.stdout


@pytest.mark.parametrize("method", ["evol-instruct", "magpie", "targen"])
def test_show_prints_arguments_prompts_and_filters(method, command):
    done = command("show", method)
    assert done.returncode == 0, done.stderr
    assert "faithful" in done.stdout and "Filters" in done.stdout and "role" in done.stdout and "Tuning" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evol-instrct"], "Did you mean 'evol-instruct'"),
        (["evol-instruct", "-n", "0"], "`n` must be at least 1 row, got 0"),
        (["evol-instruct", "-n", "-2"], "`n` must be at least 1 row, got -2"),
        (["evol-instruct", "--preset", "fathful"], "Did you mean 'faithful'?"),
        (["evol-instruct", "--set", "round=2"], "Did you mean 'rounds'?"),
        (["evol-instruct", "--set", "rounds"], "NAME=VALUE"),
        (["evol-instruct", "--task", "x.yaml"], "takes no task file"),
        (["evol-instruct", "--lm", "gpt"], "PROVIDER/MODEL"),
        (["evol-instruct", "--api-base", "http://127.0.0.1:9/v1"], "needs --lm"),
        (["evol-instruct", "--role", "jugde=embedded"], "no role 'jugde'"),
        (["evol-instruct", "--seeds", "missing.jsonl"], "missing.jsonl"),
        (["evol-instruct", "--prompts", "missing.json"], "missing.json"),
        (["evol-instruct", "--max-calls", "0"], "`calls` of a Budget must be positive"),
    ],
)
def test_wrong_arguments_exit_2_and_say_what_would_be_right(arguments, message, command):
    done = command("generate", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr


def test_empty_and_broken_seed_files_name_the_line(command, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "broken.jsonl").write_text('{"instruction": "a"}\n{"instruction": \n')
    done = command("generate", "evol-instruct", "--seeds", "empty.jsonl")
    assert done.returncode == 2 and "`seeds` is empty" in done.stderr
    done = command("generate", "evol-instruct", "--seeds", "broken.jsonl")
    assert done.returncode == 2 and "broken.jsonl, line 2" in done.stderr


def test_a_task_file_with_a_misspelt_field_names_file_line_and_field(tmp_path):
    (tmp_path / "task.yaml").write_text("name: mine\ndefinitoin: tell apart\n")
    done = run("generate", "targen", "--task", "task.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "task.yaml" in done.stderr and "definitoin" in done.stderr and "line 2" in done.stderr


def test_an_endpoint_that_does_not_answer_exits_3_at_once(tmp_path):
    done = run(
        "generate", "evol-instruct", "--lm", "m", "--api-base", "http://127.0.0.1:9/v1", cwd=tmp_path, timeout=30
    )  # fmt: skip
    assert done.returncode == 3 and "No LM answers at http://127.0.0.1:9/v1" in done.stderr


def test_an_output_directory_that_cannot_be_written_exits_4(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("generate", "evol-instruct", "--out", "file/run", cwd=tmp_path)
    assert done.returncode == 4 and "Cannot write to 'file/run'" in done.stderr


def test_lm_status_without_weights_says_how_to_get_them(tmp_path):
    done = run("lm", "status", cwd=tmp_path, env={weights.CACHE_ENV: str(tmp_path), weights.MODEL_ENV: ""})
    assert done.returncode == 3 and "synthwright lm pull" in done.stdout


@pytest.fixture
def questions(tmp_path):
    """Two questions that the embedded LM answers briefly."""
    asked = ["What is the capital of France?", "What is the opposite of hot?"]
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps({"instruction": text}) + "\n" for text in asked))
    return ["generate", "magpie", "--seeds", "seeds.jsonl", "--set", "tags=false", "--out", "run", "--json"]


@pytest.mark.embedded
def test_generate_ends_with_one_json_object_and_resumes(questions, tmp_path):
    done = run(*questions, "-n", "1", cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["rows"] == 1 and summary["complete"] and summary["calls"] >= 1 and summary["out"] == "run"
    assert "Funnel" in done.stdout and "magpie: 1/1" in done.stderr
    lines = (tmp_path / "run" / "rows.jsonl").read_text().splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["instruction"].startswith("What is the ")
    again = json.loads(run(*questions, "-n", "1", cwd=tmp_path).stdout.splitlines()[-1])
    assert again["calls"] == summary["calls"] and (tmp_path / "run" / "rows.jsonl").read_text().splitlines() == lines
    other = run(*questions, "-n", "1", "--seed", "7", cwd=tmp_path)
    assert other.returncode == 2 and "seed: there 0, now 7" in other.stderr


@pytest.mark.embedded
def test_a_budget_stops_a_run_with_exit_code_5(questions, tmp_path):
    done = run(*questions, "-n", "2", "--max-calls", "1", cwd=tmp_path, timeout=300)
    assert done.returncode == 5, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["stopped"] == "the budget of 1 calls is used up"
