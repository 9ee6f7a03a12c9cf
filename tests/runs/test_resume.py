"""Kill -9, Ctrl-C, another configuration, a second process: what a run directory lives through."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from typing import Any

import dspy
import pytest

import synthwright as sw
from synthwright.errors import RunMismatchError, StoreError
from synthwright.filters import ExactDuplicate, Filter, Length
from synthwright.lms import Usage
from synthwright.runs.outcome import Outcome
from synthwright.runs.store import Store
from synthwright.testing import Reply, ScriptedLM


class Riddle(sw.Row):
    word: str
    riddle: str


class JudgeRiddle(dspy.Signature):
    """Say whether the riddle is good."""

    riddle: str = dspy.InputField()
    good: bool = dspy.OutputField()


class Riddles(sw.Generator[Riddle]):
    roles = {"judge": ("judge",)}
    filters = (ExactDuplicate(("riddle",)),)

    def __init__(self, style: Any = "short", limits=None, words=frozenset()):
        super().__init__()
        self.style, self.limits, self.words = style, limits, words
        self.write = dspy.Predict("word -> riddle")
        self.judge = sw.Frozen(JudgeRiddle)

    async def aforward(self, word):
        riddle = (await self.write.acall(word=word)).riddle
        good = (await self.judge.acall(riddle=riddle)).good
        return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle)] if good else [])


WORDS = [{"word": f"w{i}"} for i in range(12)]
ONCE = sw.Retry(attempts=1)


def answers(**more):
    return {
        "write": lambda inputs: Reply(json.dumps({"riddle": "about " + inputs["word"]}), "stop", 10, 5),
        "judge": Reply('{"good": true}', "stop", 7, 3),
        **more,
    }


def rows(out):
    return (out / "rows.jsonl").read_text(encoding="utf-8")


# Kill -9: one process that has everything imported forks the runs and kills them, so that many moments can be tried.

SCRIPT = """
import asyncio, os, random, signal, sys, time
import dspy
import synthwright as sw
from synthwright.filters import ExactDuplicate
from synthwright.lms.calls import EngineLM
from synthwright.testing import ScriptedLM

class Riddle(sw.Row):
    word: str
    riddle: str

class Hint(sw.Row):
    word: str

class Family(sw.Generator[Riddle]):
    filters = (ExactDuplicate(("riddle",)),)

    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("word -> riddles: list[str]")

    def plan(self, pool):
        if pool.round == 0:
            yield from ({"word": f"w{i}"} for i in range(9))
            return
        rng = random.Random(pool.round)
        yield from ({"word": f"{row.riddle} {pool.round}"} for row in rng.sample(pool[:], min(7, len(pool))))
        yield from ({"word": f"hint {hint.word}"} for hint in pool.artifacts(Hint)[-2:])

    async def aforward(self, word):
        riddles = (await self.write.acall(word=word)).riddles
        return dspy.Prediction(rows=[Riddle(word=word, riddle=r) for r in riddles], artifacts=[Hint(word=word[-4:])])

def answer(inputs):
    rng = random.Random(inputs["word"])
    if rng.random() < 0.1:
        return "garbage"
    return {"riddles": [f"riddle {rng.randint(0, 70)}" for _ in range(rng.randint(0, 3))]}

class Slow:
    supports_response_schema = True
    supported_params = frozenset({"response_format", "seed"})

    def __init__(self, engine):
        self.engine = engine

    def complete(self, request):
        return self.engine.complete(request)

class AsyncSlow(Slow):
    async def complete(self, request):
        await asyncio.sleep(random.random() / 100)
        return self.engine.complete(request)

engine = ScriptedLM({"write": answer}).engine
lm = EngineLM("scripted", Slow(engine), AsyncSlow(engine), concurrency=5)

def run(out):
    return sw.generate(Family(), n=60, out=out, lms=lm)

if __name__ == "__main__":
    if sys.argv[1] == "once":
        print("started", flush=True)
        result = run(sys.argv[2])
        print(result.stopped, result.interrupted, len(result), flush=True)
        sys.exit()
    if sys.argv[1] == "notebook":
        async def cell():
            return run(sys.argv[2])
        print("started", flush=True)
        result = asyncio.new_event_loop().run_until_complete(cell())
        print(result.stopped, result.interrupted, len(result), flush=True)
        sys.exit()
    run(sys.argv[2])
    for kill in sys.argv[4:]:
        child = os.fork()
        if not child:
            run(sys.argv[3])
            os._exit(0)
        time.sleep(float(kill))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else "finished", flush=True)
    run(sys.argv[3])
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "family.py"
    path.write_text(SCRIPT)
    return path


def test_a_run_killed_at_any_moment_goes_on_to_the_same_dataset(script, tmp_path):
    kills = [f"{random.uniform(0.005, 0.08):.3f}" for _ in range(14)]
    command = [sys.executable, script, "kill", tmp_path / "whole", tmp_path / "killed", *kills]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"{kills}\n{done.stderr}"
    assert done.stdout.count("killed") >= 3, "the kills came too late to test anything"
    for name in ("rows.jsonl", "rejected.jsonl"):
        whole, killed = (tmp_path / out / name for out in ("whole", "killed"))
        assert killed.read_text() == whole.read_text(), f"{name} differs after kills at {kills}"
    assert len(rows(tmp_path / "whole").splitlines()) == 60


@pytest.mark.parametrize("where", ["once", "notebook"])
def test_ctrl_c_drains_stores_and_can_be_resumed(where, script, tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen([sys.executable, script, where, out], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    while not (out / "run.sqlite-wal").exists():
        time.sleep(0.005)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)[0].split()
    assert process.returncode == 0 and said[0] == "interrupted" and said[1] == "True"
    stored = sqlite3.connect(out / "run.sqlite").execute("SELECT count(*), sum(admitted) FROM seeds").fetchone()
    assert stored[0] == stored[1] > 0, "what was in flight is stored and admitted"
    assert len(rows(out).splitlines()) == int(said[2]) < 60
    whole = subprocess.run([sys.executable, script, "once", out], capture_output=True, text=True, timeout=60)
    assert whole.stdout.splitlines()[-1] == "all rows asked for are there False 60"


def test_ctrl_c_pressed_again_gives_up_what_is_in_flight(tmp_path):
    process_code = f"""
import asyncio, sys
sys.path.insert(0, {str(tmp_path)!r})
import synthwright as sw, family

async def never(self, request):
    print("asked", flush=True)
    await asyncio.sleep(1000)

family.AsyncSlow.complete = never
print(sw.generate(family.Family(), n=60, out={str(tmp_path / "run")!r}, lms=family.lm).stopped)
"""
    (tmp_path / "family.py").write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, "-c", process_code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "interrupted\n" and process.returncode == 0


# Failed seeds


def test_a_failed_seed_is_stored_others_go_on_and_it_is_tried_again(tmp_path):
    broken = [True]

    def write(inputs):
        if broken[0] and inputs["word"] in ("w3", "w7"):
            return dspy.lm15.ServerError("down for a moment")
        return {"riddle": "about " + inputs["word"]}

    lm = ScriptedLM(answers(write=write))
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, retry=ONCE)
    assert [row.word for row in run] == [f"w{i}" for i in range(12) if i not in (3, 7)]
    assert run.funnel.failed == 2 and run.funnel.asked == 12
    assert not run.complete and run.stopped.endswith("2 seeds failed, and the same command tries them again")
    broken[0] = False
    lm.calls.clear()
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, retry=ONCE)
    assert [call.inputs["word"] for call in lm.calls if call.predictor == "write"] == ["w3", "w7"]
    assert sorted(row.word for row in run) == sorted(seed["word"] for seed in WORDS)
    assert run.complete and run.funnel.failed == 0


def test_many_seeds_that_always_fail_do_not_stop_a_resumed_run(tmp_path):
    def write(inputs):
        if int(inputs["word"][1:]) % 2:
            return dspy.lm15.ContextLengthError("too long")
        return {"riddle": "about " + inputs["word"]}

    lm = ScriptedLM(answers(write=write))
    seeds = [{"word": f"w{i}"} for i in range(40)]
    assert len(sw.generate(Riddles(), seeds=seeds, n=15, out=tmp_path, lms=lm, retry=ONCE)) == 15
    run = sw.generate(Riddles(), seeds=seeds, n=20, out=tmp_path, lms=lm, retry=ONCE)
    assert len(run) == 20 and run.complete and run.funnel.failed >= 19


@pytest.mark.parametrize("again", ["succeeded", "failed"])
def test_a_seed_that_was_asked_again_and_not_admitted_is_not_lost(again, tmp_path):
    """The moment between storing a retried seed and admitting it, in a round that is over."""
    lm = ScriptedLM(answers(write=[dspy.lm15.ServerError("down"), {"riddle": "a"}]))
    sw.generate(Riddles(), seeds=WORDS[:2], out=tmp_path, lms=lm, retry=ONCE)
    with Store(tmp_path) as store:
        outcome = Outcome(rows=[Riddle(word="w0", riddle="late")]) if again == "succeeded" else Outcome(error="x")
        store.add_seed(0, 0, '{"word": "w0"}', outcome, admitted=False)
    lm = ScriptedLM(answers(write={"riddle": "late"}))
    run = sw.generate(Riddles(), seeds=WORDS[:2], out=tmp_path, lms=lm)
    assert [row.riddle for row in run] == ["a", "late"] and run.complete
    assert len(lm.calls) == (2 if again == "failed" else 0)


# Usage


def test_usage_is_exact_by_role_and_predictor_and_survives_sessions(tmp_path):
    lm = ScriptedLM(answers())
    for n in (3, 5, 9):
        run = sw.generate(Riddles(), seeds=WORDS, n=n, out=tmp_path, lms=lm)
        calls = {name: sum(call.predictor == name for call in lm.calls) for name in ("write", "judge")}
        assert run.usage == {
            ("generator", "write"): Usage(calls["write"], 10 * calls["write"], 5 * calls["write"]),
            ("judge", "judge"): Usage(calls["judge"], 7 * calls["judge"], 3 * calls["judge"]),
        }
    assert run.total_usage.calls == len(lm.calls) == 18 and run.total_usage.tokens == 9 * 25


def test_failed_calls_count_as_calls_without_tokens(tmp_path):
    lm = ScriptedLM(answers(write=[dspy.lm15.ServerError("down"), {"riddle": "a"}]))
    run = sw.generate(Riddles(), seeds=WORDS[:1], out=tmp_path, lms=lm, retry=sw.Retry(base=0.001))
    assert run.usage[("generator", "write")] == Usage(2, 10, 5)
    assert run.total_usage.calls == len(lm.calls)


def test_usage_counts_seeds_that_the_budget_cut_off(tmp_path):
    lm = ScriptedLM(answers())
    run = sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=lm, budget=sw.Budget(calls=5))
    assert run.total_usage.calls == len(lm.calls) == 5 and len(run) == 2


# Another configuration


def test_another_configuration_is_refused_with_every_difference(tmp_path):
    sw.generate(Riddles(), seeds=WORDS, n=3, out=tmp_path, lms=ScriptedLM(answers()))
    before = rows(tmp_path)
    other = Riddles(style="long")
    other.write.demos = [dspy.Example(word="a", riddle="b")]
    with pytest.raises(RunMismatchError) as error:
        sw.generate(
            other,
            seeds=WORDS[:5],
            n=3,
            out=tmp_path,
            lms={"generator": ScriptedLM(answers(), model="big"), "judge": ScriptedLM(answers(), temperature=0.2)},
            seed=1,
            filters=[Length("riddle", 1, 9)],
        )
    text = str(error.value)
    assert text.startswith(f"{str(tmp_path)!r} holds another run (riddles, 3 rows):")
    found = dict(re.findall(r"^  (\S+): there (.*)$", text, re.MULTILINE))
    assert set(found) == {
        "arguments.style",
        "filters",
        "lms.generator.model",
        "lms.judge.temperature",
        "prompts",
        "seed",
        "seeds",
    }
    assert found["arguments.style"] == '"short", now "long"' and found["seed"] == "0, now 1"
    assert found["lms.judge.temperature"] == "nothing, now 0.2"
    assert text.endswith("Use another output directory, or the old configuration to go on with that run.")
    assert rows(tmp_path) == before


def test_n_concurrency_budget_and_retry_may_change(tmp_path):
    lm = ScriptedLM(answers())
    sw.generate(Riddles(), seeds=WORDS, n=3, out=tmp_path, lms=lm, concurrency=1, budget=sw.Budget(calls=20))
    run = sw.generate(Riddles(), seeds=WORDS, n=9, out=tmp_path, lms=lm, concurrency=9, retry=ONCE)
    assert len(run) == 9


def test_arguments_that_differ_only_in_their_address_or_order_are_equal(tmp_path):
    class Odd:
        pass

    class Judge(Filter):
        def check(self, row):
            return None

    def session(word):
        words = frozenset({"b", "a", word} if word == "c" else {word, "a", "b", "c"})
        generator = Riddles(style=Odd(), limits={"a": (1, 2), "b": Riddle(word="a", riddle="b")}, words=words)
        return sw.generate(generator, seeds=WORDS, n=3, out=tmp_path, lms=ScriptedLM(answers()), filters=[Judge()])

    assert len(session("c")) == len(session("a")) == 3


# The directory


def test_a_second_process_on_the_same_directory_is_refused(tmp_path):
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); input()"
    sw.generate(Riddles(), seeds=WORDS, n=3, out=tmp_path, lms=ScriptedLM(answers()))
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / ".lock"], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdout.readline()
    with pytest.raises(StoreError, match="is in use by another run"):
        sw.generate(Riddles(), seeds=WORDS, n=5, out=tmp_path, lms=ScriptedLM(answers()))
    other.communicate(b"\n")
    assert len(sw.generate(Riddles(), seeds=WORDS, n=5, out=tmp_path, lms=ScriptedLM(answers()))) == 5


def test_a_second_run_of_this_process_on_the_same_directory_is_refused(tmp_path):
    with Store(tmp_path), pytest.raises(StoreError, match="in use by another run, of this or of another process"):
        sw.generate(Riddles(), seeds=WORDS, out=tmp_path, lms=ScriptedLM(answers()))


def test_a_run_of_another_store_format_is_refused(tmp_path):
    sw.generate(Riddles(), seeds=WORDS, n=3, out=tmp_path, lms=ScriptedLM(answers()))
    with Store(tmp_path) as store:
        store.set_meta("format", 99)
    with pytest.raises(StoreError, match="store format 99; this version reads 1"):
        sw.generate(Riddles(), seeds=WORDS, n=3, out=tmp_path, lms=ScriptedLM(answers()))


def test_the_default_directory_is_named_after_the_method(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = sw.generate(Riddles(), seeds=WORDS[:1], lms=ScriptedLM(answers()))
    assert os.fspath(run.out) == os.path.join("runs", "riddles") and (tmp_path / "runs/riddles/rows.jsonl").exists()
