"""Looking at a run: while another process works on it, after that process was killed, and without leaving a trace."""

import json
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dspy
import pytest
from typer.testing import CliRunner

import synthwright as sw
from synthwright.cli import app
from synthwright.errors import ConfigError, StoreError
from synthwright.runs.store import Store
from synthwright.testing import ScriptedLM


class Number(sw.Row):
    number: int


class Numbers(sw.Generator[Number]):
    """Counts; odd numbers are dropped by a filter."""

    filters = (lambda row: "odd" if row.number % 2 else None,)

    def __init__(self):
        super().__init__()
        self.say = dspy.Predict("number: int -> echo")

    def plan(self, pool):
        return ({"number": number} for number in range(400)) if pool.round == 0 else ()

    async def aforward(self, number):
        await self.say.acall(number=number)
        return dspy.Prediction(rows=[Number(number=number)])


SCRIPT = """
import asyncio, sys, time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from tests.runs.test_reading import Numbers
import synthwright as sw
from synthwright.lms.calls import EngineLM
from synthwright.testing import ScriptedLM

out, go_on = Path(sys.argv[2]), Path(sys.argv[2] + ".go")

class Paced:
    supports_response_schema = True
    supported_params = frozenset({"response_format", "seed"})
    asked = 0

    async def complete(self, request):
        Paced.asked += 1
        await asyncio.sleep(0.002)
        while Paced.asked > 300 and not go_on.exists():
            await asyncio.sleep(0.01)
        return engine.complete(request)

engine = ScriptedLM({"say": {"echo": "x"}}).engine
run = sw.generate(Numbers(), out=out, lms=EngineLM("scripted", engine, Paced(), concurrency=4))
print(len(run), run.stopped)
"""


@contextmanager
def another_process(out):
    """A process that makes the first 150 rows of a run, and the other 50 once `out.go` is there."""
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[2]), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while True:  # until it has begun
            try:
                sw.load_run(out, Number)
                break
            except (ConfigError, StoreError):
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.communicate()


def held(run):
    """The numbers of a run, after seeing that all that it says of itself is of one moment."""
    rows, rejects = [row.number for row in run], [reject.content["number"] for reject in run.rejects()]
    assert len(rows) == len(run) == run.funnel.kept and len(rejects) == run.funnel.dropped
    assert sorted(rows + rejects) == list(range(run.funnel.asked)), "a seed is a row or a reject, and all up to one"
    return rows


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def until_it_waits(out):
    while (run := sw.load_run(out, Number)).funnel.asked < 290:
        assert run.running
        held(run)
    return run


def test_a_run_can_be_looked_at_while_another_process_works_on_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "run"
    with another_process(out) as process:
        early = sw.load_run(out, Number)
        first = held(early)
        run = until_it_waits(out)
        assert run.running and run.as_of and not run.complete and re.match("still going on, as of 20", run.stopped)
        assert held(early) == first and len(early) < len(run), "what was read once stays"
        assert run.total_usage.calls >= run.funnel.asked and run.config()["method"] == "numbers"

        page = run.report(embed=False).read_text(encoding="utf-8")
        assert f"this is what was there on {run.as_of:%Y-%m-%d at %H:%M:%S} UTC" in page and "Not complete" not in page
        done = run.export("raw", "part.jsonl")
        assert done.counts == {"train": len(run)} and "The run has not ended: these are the" in str(done)
        run.export("raw", "part")
        assert "The run had not ended when they were taken (still going on" in (tmp_path / "part/README.md").read_text()
        text = call("runs", "show", "run")
        assert "still going on, as of" in text and "the two files are written when it ends" in text
        assert "run the same command" not in text
        shown = json.loads(call("runs", "show", "run", "-q", "--json"))
        assert shown["running"] and shown["as_of"].endswith("+00:00") and not shown["complete"]
        assert "the page shows what was there" in call("report", "run", "--no-embed")
        with pytest.raises(StoreError, match="is in use by another run"):
            Store(out)

        (tmp_path / "run.go").touch()
        assert process.communicate(timeout=300)[0] == "200 there is nothing more to ask\n"
    ended = sw.load_run(out, Number)
    assert ended.complete and not ended.running and ended.as_of is None
    assert held(ended)[: len(run)] == held(run) and len(ended) == 200


def test_a_run_whose_process_was_killed_shows_what_it_has_and_goes_on(tmp_path):
    with another_process(tmp_path / "run") as process:
        until_it_waits(tmp_path / "run")
        process.kill()
        process.wait()
        run = sw.load_run(tmp_path / "run", Number)
        assert not run.running and run.stopped.startswith("cut off before its end") and not run.complete
        assert len(held(run)) >= 145
    again = sw.generate(Numbers(), out=tmp_path / "run", lms=ScriptedLM({"say": {"echo": "x"}}, model="scripted"))
    assert again.complete and len(again) == 200 and held(sw.load_run(tmp_path / "run"))[: len(run)] == held(run)


def make(out, n=None, **options):
    return sw.generate(Numbers(), n=n, out=out, lms=ScriptedLM({"say": {"echo": "x"}}), **options)


def test_files_of_an_earlier_session_are_not_taken_for_those_of_a_later_one(tmp_path):
    make(tmp_path, n=5)
    with pytest.raises(ZeroDivisionError):
        make(tmp_path, n=20, progress=lambda state: state.rows == 9 and 1 / 0)
    assert len(sw.load_run(tmp_path)) == 9, "an error in this process still writes the files"
    with Store(tmp_path) as store:
        store.set_meta("ended", False)  # what a kill before the files are written leaves
        (tmp_path / "rows.jsonl").write_text("")
        assert held(sw.load_run(tmp_path)) == [0, 2, 4, 6, 8, 10, 12, 14, 16] and sw.load_run(tmp_path).running
    assert not sw.load_run(tmp_path).running and make(tmp_path, n=20).complete
    assert len(sw.load_run(tmp_path)) == 20


def test_a_run_without_its_files_is_read_from_the_store(tmp_path):
    make(tmp_path, n=5)
    (tmp_path / "rows.jsonl").unlink()
    assert held(sw.load_run(tmp_path)) == [0, 2, 4, 6, 8]


def test_readers_do_not_hold_up_a_run(tmp_path):
    make(tmp_path, n=5)
    (tmp_path / "rows.jsonl").unlink()
    reader = sw.load_run(tmp_path)
    rows, rejects = iter(reader), reader.rejects()
    assert next(rows).number == 0 and next(rejects).content["number"] == 1
    assert len(make(tmp_path, n=50)) == 50
    assert len(list(rows)) == 4 and len(list(rejects)) == reader.funnel.dropped - 1


def test_a_look_whether_a_run_goes_on_does_not_keep_it_from_starting(tmp_path, monkeypatch):
    make(tmp_path, n=5)
    monkeypatch.setattr("synthwright.runs.lock._GLANCE", 60)  # this machine may be slow
    glance = "import sys, filelock, time\nwith filelock.FileLock(sys.argv[1]): print(1, flush=True); time.sleep(0.05)"
    with subprocess.Popen([sys.executable, "-c", glance, tmp_path / ".lock"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        Store(tmp_path).close()


def test_reading_changes_nothing_and_leaves_no_file(tmp_path):
    make(tmp_path, n=5)

    def files():
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}

    before = files()
    held(sw.load_run(tmp_path))
    with Store.to_read(tmp_path) as store, pytest.raises(StoreError, match="readonly"):
        store.set_meta("format", 99)
    assert files() == before


def test_a_database_that_is_locked_is_not_copied(tmp_path, monkeypatch):
    make(tmp_path, n=5)
    with Store(tmp_path) as store:
        store._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        store.set_meta("a", 1)
        monkeypatch.setattr("shutil.copyfile", None)
        monkeypatch.setattr("sqlite3.connect", partial(sqlite3.connect, timeout=0.01))
        with pytest.raises(StoreError, match="Another program holds the database open"):
            sw.load_run(tmp_path)


def test_a_store_without_a_run_is_said(tmp_path):
    make(tmp_path, dry_run=2)
    with pytest.raises(ConfigError, match="holds no run yet, only a store"):
        sw.load_run(tmp_path)
