"""Whole runs against a server process that misbehaves: every seed ends somewhere, none twice, nothing hangs."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import dspy
import pytest

import synthwright as sw
from synthwright.errors import StoreError, UnusableLMError
from synthwright.lms.journal import open_journal
from synthwright.runs.store import Store
from synthwright.testing import ReplayLM, ScriptedLM

PATIENT = sw.Retry(attempts=6, base=0.01, cap=0.2, patience=60)


class Pair(sw.Row):
    topic: str
    question: str
    answer: str


class WritePair(dspy.Signature):
    """Write a question about the topic, and its answer."""

    topic: str = dspy.InputField()
    question: str = dspy.OutputField()
    answer: str = dspy.OutputField()


class Pairs(sw.Generator[Pair]):
    """A question and its answer for each topic."""

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict(WritePair)

    async def aforward(self, topic):
        made = await self.write.acall(topic=topic)
        return dspy.Prediction(rows=[Pair(topic=topic, question=made.question, answer=made.answer)])


def topics(count):
    return [{"topic": f"topic {number}"} for number in range(count)]


def accounts(out):
    """(done, failed, distinct rows, rejects) of a run, after checking that they add up."""
    with Store(out) as store:
        done, failed = (store.count("seeds", f"status = '{status}'") for status in ("done", "failed"))
        assert store.count("seeds", "NOT admitted") == store.count("outputs") == 0
        rows = [json.loads(line)["topic"] for line in (Path(out) / "rows.jsonl").read_text().splitlines()]
        assert len(rows) == len(set(rows)) == store.count("rows")
        return done, failed, len(rows), store.count("rejected")


def test_ten_thousand_seeds_in_a_storm_all_end_somewhere(tmp_path, start_stub):
    kinds = ["429", "429-after", "500", "503", "html", "page", "type", "error", "empty", "null", "length"]
    kinds += ["truncated", "reset", "hangup", "stall", "endless"]
    stub = start_stub(shares=dict.fromkeys(kinds, 0.2 / len(kinds)), retry_after=0.01)
    lm = sw.openai_lm("stub", stub.base, concurrency=128, timeout=1.0)
    run = sw.generate(Pairs(), seeds=topics(10_000), lms=lm, out=tmp_path, retry=PATIENT)
    done, failed, rows, rejected = accounts(tmp_path)
    assert done + failed == run.funnel.asked == 10_000
    assert rows + rejected == done and rows > 9500
    met = stub.stats()["faults"]
    assert {kind for kind in kinds if met.get(kind, 0) > 30} == set(kinds)
    assert run.total_usage.calls >= stub.stats()["calls"] - stub.stats()["faults"].get("hangup", 0)
    with Store(tmp_path) as store:  # a failed seed says why, and the next session tries it again
        assert all(error for (error,) in store._all("SELECT error FROM seeds WHERE status = 'failed'"))
    stub.set(shares={})
    assert sw.generate(Pairs(), seeds=topics(10_000), lms=lm, out=tmp_path, retry=PATIENT).funnel.failed == 0


def test_refusals_that_have_nothing_to_do_with_the_load_lose_no_seed(tmp_path, start_stub):
    stub = start_stub(shares={"429": 0.1, "429-after": 0.1}, retry_after=0.01)
    lm = sw.openai_lm("stub", stub.base, concurrency=32)
    run = sw.generate(Pairs(), seeds=topics(200), lms=lm, out=tmp_path, retry=PATIENT)
    assert accounts(tmp_path)[:3] == (200, 0, 200) and run.complete and stub.stats()["refused"] > 20


@pytest.mark.parametrize("fault", ["stall", "slow", "endless"])
def test_a_reply_that_does_not_end_costs_its_seed_and_no_other(fault, tmp_path, start_stub):
    stub = start_stub(shares={fault: 0.05}, sticky=True, seed=3)
    lm = sw.openai_lm("stub", stub.base, concurrency=32, timeout=0.5)
    retry = sw.Retry(attempts=2, base=0.01)
    run = sw.generate(Pairs(), seeds=topics(200), lms=lm, out=tmp_path, retry=retry)
    done, failed, rows, _ = accounts(tmp_path)
    assert done == rows == 200 - failed and 0 < failed < 40 and run.funnel.failed == failed


def test_a_poisoned_request_is_asked_once_and_harms_nobody(tmp_path, start_stub):
    stub = start_stub(poison="topic 77\n")
    run = sw.generate(Pairs(), seeds=topics(200), lms=sw.openai_lm("stub", stub.base), out=tmp_path, retry=PATIENT)
    assert (len(run), run.funnel.failed) == (199, 1) and stub.stats()["calls"] == 200
    with Store(tmp_path) as store:
        assert "400" in (store._one("SELECT error FROM seeds WHERE seed = 77")[0])


def test_a_prompt_that_is_too_long_fails_its_seed_alone(tmp_path, start_stub):
    stub = start_stub(context=3000)
    seeds = [*topics(20), {"topic": "long " * 1000}, *topics(40)[20:]]
    run = sw.generate(Pairs(), seeds=seeds, lms=sw.openai_lm("stub", stub.base), out=tmp_path, retry=PATIENT)
    assert (len(run), run.funnel.failed) == (40, 1)
    assert stub.stats()["calls"] == 41, "a request that cannot succeed was repeated"


def test_a_model_that_the_server_does_not_know_ends_the_run(tmp_path, start_stub):
    stub = start_stub(models=["another"])
    with pytest.raises(UnusableLMError, match=r"404.*stub|stub.*404"):
        sw.generate(Pairs(), seeds=topics(500), lms=sw.openai_lm("stub", stub.base), out=tmp_path, retry=PATIENT)
    assert stub.stats()["calls"] <= 100


def test_a_certificate_that_cannot_be_trusted_is_said_at_once(tmp_path, start_stub):
    pem = Path(__file__).parents[1] / "servers" / "self_signed.pem"
    stub = start_stub(tls=pem)
    with pytest.raises(UnusableLMError, match="certificate"):
        sw.generate(Pairs(), seeds=topics(5), lms=sw.openai_lm("stub", stub.base), out=tmp_path, retry=PATIENT)


def test_a_server_that_restarts_fails_no_seed(tmp_path, start_stub):
    stub = start_stub(latency=0.01)
    lm = sw.openai_lm("stub", stub.base, concurrency=16)
    stub.set(dead=0)
    first = True

    def kill(progress):
        nonlocal first
        if first and progress.rows >= 100:
            first = False
            stub.set(dead=5)

    retry = sw.Retry(attempts=3, base=0.05, cap=1.0, patience=30)
    run = sw.generate(Pairs(), seeds=topics(400), lms=lm, out=tmp_path, retry=retry, progress=kill)
    assert accounts(tmp_path)[:3] == (400, 0, 400) and run.complete and not first


def test_a_server_that_dies_for_good_ends_the_run_with_what_was_made(tmp_path, start_stub):
    stub = start_stub(latency=0.01)
    lm = sw.openai_lm("stub", stub.base, concurrency=16)

    def kill(progress):
        if progress.rows >= 100 and stub.process.poll() is None:
            stub.stop()

    retry = sw.Retry(attempts=3, base=0.05, cap=0.2, patience=1)
    with pytest.raises(UnusableLMError, match="seeds in a row failed"):
        sw.generate(Pairs(), seeds=topics(2000), lms=lm, out=tmp_path, retry=retry, progress=kill)
    done, failed, rows, _ = accounts(tmp_path)
    assert done == rows >= 100 and 8 <= failed <= 40


SCRIPT = """
import sys
import dspy
import synthwright as sw

class Pair(sw.Row):
    topic: str
    text: str

class Pairs(sw.Generator[Pair]):
    '''Three calls a seed, each with the last answer; the second round goes on with the rows of the first.'''
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("topic, before -> text")

    def plan(self, pool):
        if pool.round == 0:
            yield from ({"topic": f"t{i}"} for i in range(150))
        elif pool.round == 1:
            yield from ({"topic": row.topic + "!"} for row in list(pool)[::3])

    async def aforward(self, topic):
        text = ""
        for _ in range(3):
            text = (await self.write.acall(topic=topic, before=text[:40])).text
        return dspy.Prediction(rows=[Pair(topic=topic, text=text)])

lm = sw.openai_lm("stub", sys.argv[1], concurrency=16)
print(len(sw.generate(Pairs(), lms=lm, out=sys.argv[2], filters=[sw.filters.RougeNovelty("text", 0.95)])))
"""


def test_twenty_kills_leave_the_dataset_of_an_undisturbed_run_and_pay_little_twice(tmp_path, start_stub):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    stub = start_stub(latency=0.05)  # slow enough for a busy machine to kill in time

    def command(out):
        return [sys.executable, str(script), stub.base, str(tmp_path / out)]

    whole = subprocess.run(command("whole"), capture_output=True, text=True, timeout=120)
    assert whole.returncode == 0, whole.stderr
    calls, rng, kills = stub.stats()["calls"], random.Random(5), 0
    stub.reset()
    for _ in range(20):
        process = subprocess.Popen(command("killed"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        before, wanted = stub.stats()["calls"], rng.randint(1, calls // 20)
        while process.poll() is None and stub.stats()["calls"] < before + wanted:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
    done = subprocess.run(command("killed"), capture_output=True, text=True, timeout=120)
    assert done.stdout == whole.stdout and kills >= 15
    for name in ("rows.jsonl", "rejected.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert stub.stats()["calls"] <= calls + 16 * kills, "more than what was in flight was paid twice"
    db = sqlite3.connect(tmp_path / "killed" / "run.sqlite")
    paid = db.execute("SELECT sum(calls) FROM usage").fetchone()[0]
    assert calls <= paid <= stub.stats()["calls"]


def test_no_secret_reaches_the_store_the_files_or_the_errors(tmp_path, start_stub, monkeypatch, capfd, caplog):
    secrets = {"PLANTED_KEY": "sk-planted-7f3a", "PLANTED_HEADER": "header-planted-91c2"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    stub = start_stub(shares={"500": 0.3, "400": 0.0}, key=secrets["PLANTED_KEY"], quote=True, poison="topic 3\n")
    lm = sw.openai_lm("stub", stub.base, api_key_env="PLANTED_KEY", headers_env={"X-Api-Key": "PLANTED_HEADER"})
    retry = sw.Retry(attempts=2, base=0.01)
    run = sw.generate(Pairs(), seeds=topics(60), lms=lm, out=tmp_path, retry=retry, workers=2)
    assert len(run) > 20 and run.funnel.failed
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    said = "".join(capfd.readouterr()) + caplog.text + repr(run) + repr(lm)
    with Store(tmp_path) as store:
        errors = str(store._all("SELECT error FROM seeds"))
        calls = repr(list(open_journal(tmp_path)))
    for secret in secrets.values():
        assert secret.encode() not in written and secret not in said + errors + calls


def test_a_store_that_another_program_locks_is_named(tmp_path):
    lm = ScriptedLM({"*": {"question": "q", "answer": "a"}})
    sw.generate(Pairs(), seeds=topics(9), n=2, lms=lm, out=tmp_path)
    other = sqlite3.connect(tmp_path / "run.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="Another program holds the database open"):
        sw.generate(Pairs(), seeds=topics(9), n=3, lms=lm, out=tmp_path)
    other.execute("ROLLBACK")
    assert len(sw.generate(Pairs(), seeds=topics(9), n=3, lms=lm, out=tmp_path)) == 3


def test_a_run_directory_on_a_read_only_mount_is_named(tmp_path):
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        (tmp_path / "run").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        lm = ScriptedLM({"*": {"question": "q", "answer": "a"}})
        with pytest.raises(StoreError, match=r"Cannot write to .*[Rr]ead-only"):
            sw.generate(Pairs(), seeds=topics(2), lms=lm, out=tmp_path / "run")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_on_a_read_only_mount_can_be_read(killed, tmp_path):
    made, place = tmp_path / "made", tmp_path / "mount"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        lm = ScriptedLM({"*": {"question": "q", "answer": "a"}})
        run = sw.generate(Pairs(), seeds=topics(3), lms=lm, out=made)
        writer = sqlite3.connect(made / "run.sqlite", isolation_level=None)
        if killed:  # what a killed writer leaves: a log with what is not in the database yet
            writer.execute("INSERT INTO rejected VALUES (2, 'a filter', 'a reason', '', '{}')")
            assert (made / "run.sqlite-wal").stat().st_size
        shutil.copytree(made, place / "run", ignore=shutil.ignore_patterns("*-shm"))
        writer.close()
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        again = sw.load_run(place / "run", Pair)
        assert again.rows == run.rows and again.config()["method"] == "pairs"
        assert again.funnel.lost == ((("a filter", "a reason", 1),) if killed else ())
        assert len(list(open_journal(place / "run"))) == 3
        ReplayLM(place / "run")
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_a_clock_that_jumps_breaks_no_budget(tmp_path, monkeypatch):
    now = [time.time()]

    def jumping():
        now[0] += random.Random(now[0]).choice([-86_400, 86_400])
        return now[0]

    monkeypatch.setattr(time, "time", jumping)
    lm = ScriptedLM({"*": {"question": "q", "answer": "a"}})
    run = sw.generate(Pairs(), seeds=topics(50), lms=lm, out=tmp_path, budget=sw.Budget(seconds=600, calls=20))
    assert run.total_usage.calls == 20 and "20 calls" in run.stopped and 0 <= run.seconds < 600
