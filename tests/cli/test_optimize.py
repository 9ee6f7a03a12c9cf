"""The verbs that score and tune prompts, as a person meets them: real processes, against a server of our own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SETTING = ["--set", "operators=[add_constraints]", "--set", "rounds=1", "--set", "judge=false", "--set", "answer=false"]


def start(*arguments, cwd):
    command = [sys.executable, "-c", "from synthwright.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "160"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=pipe, text=True, env=environment)


def run(*arguments, cwd):
    process = start(*arguments, cwd=cwd)
    output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


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


def test_ctrl_c_proves_the_best_until_then_exits_130_and_the_same_command_goes_on(start_stub, tmp_path):
    server = start_stub(latency=0.1)
    arguments = ["optimize", "evol-instruct", "--budget", 300, "-k", 1, "--out", "t", "--concurrency", 1]
    arguments += ["--lm", "stub", "--api-base", server.base, *SETTING]
    process = start(*arguments, cwd=tmp_path)
    deadline = time.monotonic() + 100
    while server.stats()["calls"] < 40 and time.monotonic() < deadline:  # 20 test seeds, then the search
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert "interrupted" in output and "Traceback" not in errors
    report = json.loads((tmp_path / "t" / "report.json").read_text())
    paid = server.stats()["calls"]
    assert report["interrupted"] and report["calls"] <= paid < 250 and (tmp_path / "t" / "prompts.json").is_file()
    server.set(latency=0)
    again = run(*arguments, "--json", cwd=tmp_path)
    assert last_line(again)["interrupted"] is False and server.stats()["repeated"] == 0


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
def test_wrong_arguments_exit_2_and_say_what_would_be_right(arguments, message, server, command):
    done = command(*arguments, *server)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
