"""The verbs that score and tune prompts, as a person meets them: real processes, against a server of our own."""

import json
import os
import subprocess
import sys

import pytest

SETTING = ["--set", "operators=[add_constraints]", "--set", "rounds=1", "--set", "judge=false", "--set", "answer=false"]


def run(*arguments, cwd):
    command = [sys.executable, "-c", "from synthwright.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "160"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env=environment)


@pytest.fixture
def server(stub_server):
    return ["--lm", "stub", "--api-base", stub_server.base, *SETTING]


def last_line(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_optimize_saves_prompts_and_a_page_and_evaluate_reads_them(server, tmp_path):
    done = run("optimize", "evol-instruct", "--budget", 120, "-k", 1, "--out", "tuned", "--json", *server, cwd=tmp_path)
    tuned = last_line(done)
    assert tuned["optimizer"] == "bootstrap" and tuned["calls"] <= 120 and "report.html" in done.stdout
    assert (tmp_path / "tuned" / "report.html").is_file() and "evolution (optimized)" in done.stdout
    prompts = ["--prompts", "tuned/prompts.json"]
    done = run("evaluate", "evol-instruct", *prompts, "-k", 1, "--out", "scored", "--json", *server, cwd=tmp_path)
    found = last_line(done)
    assert len(found["scores"]) == 20 and found["draws"] == 1 and found["names"]["held_out"] == "fresh_demand"
    assert (tmp_path / "scored" / "evaluation.json").is_file() and "20 seeds, 1 draws each" in done.stdout


def test_compare_takes_one_file_or_two(server, tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "Name two birds."}\n{"instruction": "Explain rain."}\n')
    run("optimize", "evol-instruct", "--budget", 120, "-k", 1, "--out", "t", "-q", *server, cwd=tmp_path)
    for files in (["t/prompts.json"], ["t/prompts.json", "t/prompts.json"]):
        done = run("compare", "evol-instruct", *files, "--seeds", "seeds.jsonl", "--json", *server, cwd=tmp_path)
        found = last_line(done)
        assert len(found["a"]["scores"]) == 2 and "a -> b" in done.stdout
    assert found["metric"]["before"] == found["metric"]["after"] and "no measurable difference" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["optimize", "evol-instruct", "--optimizer", "gepa"], "GEPA needs `reflection_lm=`"),
        (["optimize", "evol-instruct", "--budget", "3"], "too small"),
        (["evaluate", "evol-instruct", "--max-calls", "2"], "ended before all seeds were scored"),
        (["compare", "evol-instruct", "missing.json"], "missing.json"),
        (["compare", "evol-instruct", "a", "b", "c"], "one or two files of prompts, got 3"),
    ],
)
def test_wrong_arguments_exit_2_and_say_what_would_be_right(arguments, message, server, tmp_path):
    done = run(*arguments, *server, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
