"""Every hostile program is contained by every backend, and neither the host nor another program notices."""
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# A test that reads .value of a Failure fails, as it should.

import os
import runpy
import threading
import time
from pathlib import Path

import pytest

from synthwright.sandbox import Failure, Limits, Value
from synthwright.sandbox.cpython import SubprocessSandbox
from synthwright.sandbox.monty import MontySandbox

PROGRAMS = runpy.run_path(str(Path(__file__).with_name("hostile.py")))["PROGRAMS"]
LIMITS = Limits(seconds=0.5, memory_mb=64, output_chars=10_000)
INNOCENT = "def f(n):\n    return sum(i * i for i in range(n))"


@pytest.fixture(scope="module")
def monty():
    with MontySandbox(2, limits=LIMITS) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def cpython():
    with SubprocessSandbox(2, limits=LIMITS, screen=False) as sandbox:
        if not {"network", "files", "capabilities"} <= set(sandbox.isolation):
            pytest.skip(f"this system allows only {sandbox.isolation}")
        yield sandbox


def held(hostile, result, seconds):
    assert seconds < 8
    assert isinstance(result, Value | Failure)
    if isinstance(result, Value):
        assert result.value in hostile.harmless
    assert not Path("/tmp/escaped").exists()


def timed(sandbox, hostile):
    started = time.monotonic()
    return sandbox.run(hostile.program, hostile.inputs), time.monotonic() - started


def test_the_suite_is_as_large_as_promised():
    assert len({hostile.name for hostile in PROGRAMS}) == len(PROGRAMS) >= 100


@pytest.mark.parametrize("hostile", PROGRAMS, ids=lambda hostile: hostile.name)
def test_monty_contains_it(monty, hostile):
    held(hostile, *timed(monty, hostile))


@pytest.mark.parametrize("hostile", PROGRAMS, ids=lambda hostile: hostile.name)
def test_cpython_in_a_subprocess_contains_it(cpython, hostile):
    held(hostile, *timed(cpython, hostile))


def resident_kb():
    return int(next(line for line in Path("/proc/self/status").open() if line.startswith("VmRSS")).split()[1])


def files():
    return len(os.listdir("/proc/self/fd"))


def children():
    return {
        int(entry.parent.name)
        for entry in Path("/proc").glob("[0-9]*/stat")
        if entry.exists() and entry.read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    }


BOMBS = [hostile for hostile in PROGRAMS if hostile.name.split("_")[0] in ("memory", "output", "recursion", "lie")]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts through /proc")
def test_the_host_is_as_before_after_many_bombs(monty):
    def round_of_bombs():
        monty.run_many([(hostile.program, hostile.inputs) for hostile in BOMBS])

    round_of_bombs()
    memory, descriptors, processes = resident_kb(), files(), len(children())  # other tests have children too
    for _ in range(3):
        round_of_bombs()
    assert resident_kb() - memory < 20_000
    assert files() <= descriptors + 4
    assert len(children()) <= processes + 1  # perhaps one was just replaced


def test_innocent_programs_beside_hostile_ones_are_undisturbed(monty):
    stop = threading.Event()

    def attack():
        while not stop.is_set():
            for hostile in BOMBS:
                monty.run(hostile.program, hostile.inputs)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        results = [monty.run(INNOCENT, (n,)) for n in range(100)]
    finally:
        stop.set()
        attacker.join()
    assert results == [Value(sum(i * i for i in range(n))) for n in range(100)]


def test_innocent_programs_beside_hostile_processes_are_undisturbed(cpython):
    hostile = [h for h in PROGRAMS if h.name in ("process_fork", "process_kill_parent", "memory_list", "process_exit")]
    calls = [(h.program, h.inputs) for h in hostile for _ in range(2)]
    mixed = [call for bad in calls for call in (bad, (INNOCENT, (5,)))]
    assert cpython.run_many(mixed)[1::2] == [Value(30)] * len(calls)


def test_nothing_of_one_program_is_left_for_the_next(monty, cpython):
    for sandbox in (monty, cpython):
        sandbox.run("import json\nX = 1\njson.X = 2\njson.loads = None\ndef f(): return 1")
        assert sandbox.run("import json\ndef f(): return X").kind == "error"
        assert sandbox.run("import json\ndef f(): return json.loads('[1]')") == Value([1])


def test_no_process_is_left_when_a_sandbox_closes():
    before = children()
    with MontySandbox(2) as sandbox:
        assert sandbox.run(INNOCENT, (3,)) == Value(5)
        assert len(children() - before) == 2
    with SubprocessSandbox(1, screen=False, limits=LIMITS) as sandbox:
        sandbox.run("import os\ndef f():\n    os.setsid()\n    while True: pass")
    deadline = time.monotonic() + 5
    while children() - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not children() - before
