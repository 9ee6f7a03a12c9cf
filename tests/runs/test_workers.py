"""Seeds in worker processes give what one process gives."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import dspy
import pytest
from dspy.utils.callback import BaseCallback

import synthwright as sw
from synthwright.errors import ConfigError, ProgramError
from synthwright.runs.store import Store

# Workers import by name what they can, and get the rest by value: the classes of this file are of the second kind.


class Note(sw.Row):
    topic: str
    text: str


class WriteNote(dspy.Signature):
    """Write a note on the topic."""

    topic: str = dspy.InputField()
    text: str = dspy.OutputField()


class Notes(sw.Generator[Note]):
    """A note and a second thought on each topic; the second round goes on with what was kept."""

    def __init__(self, rounds: int = 2) -> None:
        super().__init__()
        self.rounds = rounds
        self.write = dspy.Predict(WriteNote)

    def plan(self, pool):
        if pool.round < self.rounds:
            yield from (pool.seeds or ()) if pool.round == 0 else ({"topic": row.text[:60]} for row in list(pool))

    async def aforward(self, topic):
        notes = [(await self.write.acall(topic=topic)).text for _ in range(2)]
        if "topic 3" in topic and "topic 30" not in topic:
            return dspy.Prediction(rows=[], rejected=[sw.Rejected(stage="write", reason="unlucky")])
        return dspy.Prediction(rows=[Note(topic=topic, text=text) for text in notes])


TOPICS = [{"topic": f"topic {number}"} for number in range(40)]


def test_two_workers_give_the_rows_of_one_process(tmp_path, stub_server):
    lm = sw.openai_lm("stub", stub_server.base, concurrency=16)
    one = sw.generate(Notes(), seeds=TOPICS, lms=lm, out=tmp_path / "one")
    two = sw.generate(Notes(), seeds=TOPICS, lms=lm, out=tmp_path / "two", workers=2)
    assert [row.record() for row in two] == [row.record() for row in one] and len(one) > 100
    assert two.usage == one.usage and two.funnel == one.funnel
    assert (tmp_path / "two" / "rejected.jsonl").read_text() == (tmp_path / "one" / "rejected.jsonl").read_text()
    assert not (tmp_path / "two" / ".ledger").exists()


def test_what_one_process_paid_workers_do_not_pay_again(tmp_path, stub_server):
    lm = sw.openai_lm("stub", stub_server.base, concurrency=16)
    first = sw.generate(Notes(rounds=1), seeds=TOPICS, lms=lm, out=tmp_path / "a", workers=2)
    stub_server.reset()
    again = sw.generate(Notes(rounds=1), seeds=TOPICS, lms=lm, out=tmp_path / "b", workers=2, journal=tmp_path / "a")
    assert stub_server.stats()["calls"] == 0
    assert [row.id for row in again] == [row.id for row in first] and again.total_usage.calls == 0


def test_a_budget_of_calls_holds_for_all_workers_together(tmp_path, stub_server):
    lm = sw.openai_lm("stub", stub_server.base, concurrency=16)
    stub_server.reset()
    run = sw.generate(Notes(), seeds=TOPICS, lms=lm, out=tmp_path, workers=3, budget=sw.Budget(calls=31))
    assert stub_server.stats()["calls"] == run.total_usage.calls == 31
    assert "31 calls" in run.stopped
    assert sw.generate(Notes(), seeds=TOPICS, lms=lm, out=tmp_path, workers=2).complete


def test_callbacks_that_hear_nothing_are_named(tmp_path, stub_server, caplog):
    class Listener(BaseCallback):
        pass

    lm = sw.openai_lm("stub", stub_server.base, concurrency=4)
    with dspy.context(callbacks=[Listener()]):
        sw.generate(Notes(rounds=1), seeds=TOPICS[:2], lms=lm, out=tmp_path / "one")
        assert "Listener" not in caplog.text
        sw.generate(Notes(rounds=1), seeds=TOPICS[:2], lms=lm, out=tmp_path / "two", workers=2)
    assert "callbacks (Listener) hear nothing of calls in workers" in caplog.text


class Unsendable(Notes):
    """Holds a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_what_cannot_be_sent_is_said_before_anything_runs(tmp_path, stub_server):
    lm = sw.openai_lm("stub", stub_server.base)
    with pytest.raises(ConfigError, match=r"cannot be sent: .*Use `workers=1`"):
        sw.generate(Unsendable(), seeds=TOPICS, lms=lm, out=tmp_path, workers=2)


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "2"])
def test_a_wrong_number_of_workers_is_refused(workers, tmp_path):
    with pytest.raises(ConfigError, match="`workers` must be"):
        sw.generate(Notes(), seeds=TOPICS, out=tmp_path, workers=workers)


class Crashing(Notes):
    """Ends the interpreter at one topic."""

    async def aforward(self, topic):
        if topic == "topic 20":
            os._exit(3)
        return await super().aforward(topic)


def test_a_worker_that_dies_ends_the_run_with_what_was_made(tmp_path, stub_server):
    lm = sw.openai_lm("stub", stub_server.base, concurrency=4)
    with pytest.raises(ProgramError, match="A worker process died"):
        sw.generate(Crashing(rounds=1), seeds=TOPICS, lms=lm, out=tmp_path, workers=2)
    with Store(tmp_path) as store:
        assert store.count("seeds") >= 5


class Failing(Notes):
    """Raises what no other process knows."""

    async def aforward(self, topic):
        class Local(Exception):
            def __reduce__(self):
                raise TypeError("not for pickling")

        if topic in ("topic 5", "topic 6"):
            raise Local(f"cannot do {topic}")
        return await super().aforward(topic)


def test_errors_of_the_program_come_back_from_workers(tmp_path, stub_server):
    lm = sw.openai_lm("stub", stub_server.base, concurrency=4)
    run = sw.generate(Failing(rounds=1), seeds=TOPICS[:10], lms=lm, out=tmp_path, workers=2)
    assert run.funnel.failed == 2
    with Store(tmp_path) as store:
        assert store.outcome(5).error == "Local: cannot do topic 5"


SCRIPT = """
import sys
import dspy
import synthwright as sw

class Note(sw.Row):
    topic: str
    text: str

class Notes(sw.Generator[Note]):
    '''A note on each topic.'''
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict("topic -> text")

    async def aforward(self, topic):
        return dspy.Prediction(rows=[Note(topic=topic, text=(await self.write.acall(topic=topic)).text)])

lm = sw.openai_lm("stub", sys.argv[1], concurrency=8)
run = sw.generate(Notes(), seeds=[{"topic": f"t {i}"} for i in range(400)], lms=lm, out=sys.argv[2], workers=2)
print(len(run))
"""


def test_a_script_without_a_main_guard_is_killed_and_resumed(tmp_path, start_stub):
    """Its workers end with it, and at most what was in flight is paid twice."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    stub = start_stub(latency=0.02)
    command = [sys.executable, str(script), stub.base, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while stub.stats()["answered"] < 120:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while stub.stats()["open"] > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stub.stats()["open"] <= 1, "workers outlive the run"  # one is that of the question
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "400", done.stderr
    assert stub.stats()["repeated"] <= 16
    ids = [json.loads(line)["topic"] for line in (tmp_path / "run" / "rows.jsonl").read_text().splitlines()]
    assert ids == [f"t {i}" for i in range(400)]
