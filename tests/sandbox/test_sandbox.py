"""Both backends keep one contract: a value or a typed failure, in order, after deaths, pickles and forks."""
# ruff: noqa: E501 - programs read best on one line
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# A test that reads .value of a Failure fails, as it should.

import asyncio
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from synthwright.errors import ConfigError
from synthwright.sandbox import (
    Failure,
    Limits,
    Sandbox,
    Value,
    acheck_deterministic,
    check_deterministic,
    equal,
    get_sandbox,
)

LIMITS = Limits(seconds=1, memory_mb=64, output_chars=2000, recursion=200)
DOUBLE = "def f(x):\n    return x * 2"


@pytest.fixture(scope="module", params=["monty", "subprocess"])
def sandbox(request):
    with get_sandbox(request.param, workers=2, limits=LIMITS) as made:
        yield made


@pytest.fixture(scope="module")
def monty():
    with get_sandbox("monty", workers=2, limits=LIMITS) as made:
        yield made


def test_it_is_a_sandbox(sandbox):
    assert isinstance(sandbox, Sandbox)


VALUES = (
    None, True, 0, -5, 2**53, -(2**64), 10**600, 1.5, -0.0, math.inf, math.nan, 1 + 2j, "", "é\n\0'\"\\", b"\x00ab",
    [], [1, [2]], (), (1,), {1, 2}, set(), frozenset({3}), {}, {"a": [1], 2: (3,), (4, 5): None, None: True},
)  # fmt: skip


def test_every_literal_goes_in_and_comes_out(sandbox):
    result = sandbox.run("def f(*values):\n    return values", VALUES)
    assert equal(result.value, VALUES)
    assert math.copysign(1, result.value[8]) == -1


def test_arguments_may_be_text(sandbox):
    assert sandbox.run("def f(a, b):\n    return b, a", "[1], 'x'") == Value(("x", [1]))
    assert sandbox.run("def g(a):\n    return a", "g(3)", function="g") == Value(3)


def test_arguments_that_are_no_literals_never_arrive(sandbox):
    assert sandbox.run(DOUBLE, "__import__('os')").kind == "not_a_value"
    assert sandbox.run(DOUBLE, (object(),)).kind == "not_a_value"
    assert sandbox.run(DOUBLE, (lambda: 1,)).kind == "not_a_value"
    with pytest.raises(ConfigError, match="tuple"):
        sandbox.run(DOUBLE, [1])


@pytest.mark.parametrize(
    ("program", "kind", "exception"),
    [
        ("def f(:", "syntax", "SyntaxError"),
        ("def f():\n    return 1 / 0", "error", "ZeroDivisionError"),
        ("def f():\n    return [1][5]", "error", "IndexError"),
        ("def f():\n    raise ValueError('my words')", "error", "ValueError"),
        ("def f(a):\n    return a", "error", "TypeError"),
        ("1 / 0\ndef f():\n    return 1", "error", "ZeroDivisionError"),
        ("def g():\n    return 1", "error", "NameError"),
        ("import numpy\ndef f():\n    return 1", None, None),
        ("def f():\n    while True:\n        pass", "timeout", None),
        ("def f():\n    return f()", "recursion", "RecursionError"),
        ("def f():\n    return 'a' * 10**10", "memory", "MemoryError"),
        ("def f():\n    return 'a' * 2001", "output_too_large", ""),
        ("def f():\n    return [[0] * 1000] * 1000", "output_too_large", ""),
        ("def f():\n    return lambda: 1", "not_a_value", ""),
        ("def f():\n    return range(3)", "not_a_value", ""),
        ("class A:\n    pass\ndef f():\n    return A()", "not_a_value", ""),
        ("def f():\n    return [].nothing", "error", "AttributeError"),
    ],
)
def test_failures_are_typed(sandbox, program, kind, exception):
    result = sandbox.run(program)
    assert isinstance(result, Failure)
    if kind:
        assert result.kind == kind, result
    if exception is not None:
        assert result.exception == exception


def test_a_failure_reads_as_a_sentence(sandbox):
    assert str(sandbox.run("def f():\n    raise ValueError('my words')")) == "error: ValueError: my words"


def test_a_value_at_the_limit_is_whole_and_one_above_it_is_refused(sandbox):
    program = "def f(n):\n    return 'a' * n"
    limits = Limits(output_chars=100)
    assert sandbox.run(program, (98,), limits=limits) == Value("a" * 98)
    assert sandbox.run(program, (99,), limits=limits).kind == "output_too_large"


def test_a_time_limit_is_of_the_run(sandbox):
    program = "def f(n):\n    x = 0\n    for i in range(n):\n        x += i\n    return x"
    assert sandbox.run(program, (1000,), limits=Limits(seconds=0.3)).ok
    started = time.monotonic()
    assert sandbox.run(program, (10**9,), limits=Limits(seconds=0.3)).kind == "timeout"
    assert time.monotonic() - started < 3


def test_recursion_below_the_limit_is_fine(sandbox):
    program = "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)"
    assert sandbox.run(program, (150,)) == Value(150)
    assert sandbox.run(program, (400,)).kind == "recursion"
    assert sandbox.run(program, (400,), limits=Limits(recursion=500)) == Value(400)


def test_printing_is_silent_and_no_failure(sandbox, capfd):
    assert sandbox.run("print('x' * 5000)\ndef f():\n    print('y')\n    return 1") == Value(1)
    assert capfd.readouterr() == ("", "")


def test_a_main_block_does_not_run(sandbox):
    assert sandbox.run("def f():\n    return 1\nif __name__ == '__main__':\n    f = None") == Value(1)


def test_programs_may_shadow_every_name(sandbox):
    program = "type = int = str = len = list = dict = encode = call = json = dumps = TAGS = 5\ndef f(x):\n    return [x, (1,)]"
    assert sandbox.run(program, (3,)) == Value([3, (1,)])


def test_many_runs_come_back_in_order(sandbox):
    n = 60 if type(sandbox).__name__ == "MontySandbox" else 8
    calls = [(DOUBLE, (i,)) if i % 3 else ("def f(:", ()) for i in range(n)]
    results = sandbox.run_many(calls)
    assert [r.value if r.ok else r.kind for r in results] == [i * 2 if i % 3 else "syntax" for i in range(n)]
    assert sandbox.run_many([]) == []


def test_asyncio_runs_are_concurrent_and_leave_the_loop_free(sandbox):
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticker = asyncio.create_task(tick())
        bad = sandbox.arun("def f():\n    while True:\n        pass", limits=Limits(seconds=0.4))
        results = await asyncio.gather(bad, *(sandbox.arun(DOUBLE, (i,)) for i in range(6)))
        ticker.cancel()
        if hasattr(sandbox, "aclose"):
            await sandbox.aclose()
        return results, ticks

    results, ticks = asyncio.run(main())
    assert results[0].kind == "timeout"
    assert results[1:] == [Value(i * 2) for i in range(6)]
    assert ticks > 10
    assert asyncio.run(main())[0][1] == Value(0)  # a second loop has workers of its own


def test_a_pickle_is_a_new_sandbox(sandbox):
    sandbox.run(DOUBLE, (1,))
    with pickle.loads(pickle.dumps(sandbox)) as copy:
        assert copy.limits == sandbox.limits
        assert copy.run(DOUBLE, (4,)) == Value(8)


def test_a_closed_sandbox_starts_again(sandbox):
    sandbox.close()
    assert sandbox.run(DOUBLE, (4,)) == Value(8)


def in_fork(call):
    """The exit status of a fork that calls, 0 if that is true."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if call() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_leaves_the_parents_workers_alone(sandbox):
    assert sandbox.run(DOUBLE, (4,)) == Value(8)

    def use():
        try:
            return sandbox.run(DOUBLE, (5,)) == Value(10)
        except ConfigError as error:  # Monty refuses at once, where it would wait forever
            return "spawn" in str(error)
        finally:
            sandbox.close()

    assert in_fork(use) == 0
    assert sandbox.run(DOUBLE, (6,)) == Value(12)


def test_another_process_can_be_given_a_sandbox(sandbox):
    code = (
        "import pickle, sys; sandbox = pickle.loads(bytes.fromhex(sys.argv[1]));"
        "print(sandbox.run('def f(x): return x * 2', (21,)).value); sandbox.close()"
    )
    done = subprocess.run([sys.executable, "-c", code, pickle.dumps(sandbox).hex()], capture_output=True, text=True)
    assert done.stdout == "42\n", done.stderr


def monty_workers():
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"subprocess" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds workers through /proc")
def test_killed_workers_are_replaced_and_no_result_is_lost(monty):
    stop = threading.Event()
    killed = []

    def kill():
        while not stop.is_set():
            for pid in monty_workers()[:1]:
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        results = monty.run_many([(DOUBLE, (i,)) for i in range(1500)])
    finally:
        stop.set()
        killer.join()
    assert killed
    good = [(i, r) for i, r in enumerate(results) if r.ok]
    assert all(r == Value(i * 2) for i, r in good)
    assert all(r.kind == "crashed" for r in results if not r.ok)
    assert len(good) >= 1498  # a run is lost only if its worker dies twice


def test_sleep_costs_no_time_and_clocks_stand_still(monty):
    program = "import time\ndef f():\n    before = time.time()\n    time.sleep(1000)\n    return time.time() - before"
    started = time.monotonic()
    assert monty.run(program) == Value(0.0)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "program",
    [
        "import random\ndef f():\n    return random.random()",
        "def f():\n    return list(set('hello world'))",
        "def f():\n    return [c for c in {'ab', 'cd', 'ef', 'gh'}]",
        "def f():\n    return ''.join({'ab', 'cd', 'ef', 'gh'})",
        "def f():\n    a, b, c, d = {'ab', 'cd', 'ef', 'gh'}\n    return a",
        "def f():\n    return str({'ab', 'cd', 'ef', 'gh'})",
        "def f():\n    return f\"{ {'ab', 'cd', 'ef', 'gh'} }\"",
        "def f():\n    s = {'ab', 'cd', 'ef', 'gh'}\n    return s.pop() + s.pop()",
        "def f():\n    return max({'ab', 'cd', 'ef', 'gh'}, key=len)",
        "def f():\n    return hash('hello')",
        "def f():\n    return list({'ab': 1, 'cd': 2, 'ef': 3}.keys() & {'cd', 'ef', 'ab'})",
    ],
)
def test_what_depends_on_seed_hash_or_order_is_nondeterministic(sandbox, program):
    assert check_deterministic(sandbox, program).kind == "nondeterministic"


def test_time_is_nondeterministic(monty):
    assert check_deterministic(monty, "import time\ndef f():\n    return time.time()").kind == "nondeterministic"
    today = "import datetime\ndef f():\n    return str(datetime.date.today())"
    assert check_deterministic(monty, today).kind == "nondeterministic"


def test_the_order_of_a_set_that_comes_in_is_seen(monty):
    assert check_deterministic(monty, "def f(s):\n    return list(s)", ({"ab", "cd"},)).kind == "nondeterministic"
    assert check_deterministic(monty, "def f(s):\n    return sorted(s)", ({"ab", "cd"},)) == Value(["ab", "cd"])


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ("def f():\n    return sorted(set('hello'))", ["e", "h", "l", "o"]),
        ("def f():\n    return {c for c in 'hello'}", {"h", "e", "l", "o"}),
        ("def f():\n    return len(set('hello')) + sum({1, 2, 3})", 10),
        ("def f():\n    return 'a' in {'a', 'b'}", True),
        ("def f():\n    s = {1, 2}\n    s.add(3)\n    s |= {4}\n    return s", {1, 2, 3, 4}),
        ("def f():\n    d = {'a': 1}\n    d.pop('a')\n    x = [1, 2]\n    x.pop()\n    return f'{x} {d}'", "[1] {}"),
        ("def f():\n    a, *b = [1, 2, 3]\n    return a, b, f'{1.5:.2f}'", (1, [2, 3], "1.50")),
        ("def f():\n    return float('nan')", math.nan),
    ],
)
def test_what_does_not_is_deterministic(sandbox, program, value):
    assert equal(check_deterministic(sandbox, program).value, value)


def test_failing_alike_is_that_failure(sandbox):
    assert check_deterministic(sandbox, "def f():\n    return 1 / 0").exception == "ZeroDivisionError"
    assert check_deterministic(sandbox, "def f():\n    raise Exception").kind == "error"


def test_determinism_for_asyncio(monty):
    async def main():
        good = await acheck_deterministic(monty, DOUBLE, (2,))
        bad = await acheck_deterministic(monty, "import random\ndef f():\n    return random.random()")
        await monty.aclose()
        return good, bad.kind

    assert asyncio.run(main()) == (Value(4), "nondeterministic")


def test_the_subprocess_says_what_it_is_cut_off_from():
    with get_sandbox("subprocess") as sandbox:
        assert set(sandbox.isolation) <= {"network", "files", "processes", "ipc", "user", "uid", "capabilities"}
        assert sandbox.run("import os\ndef f():\n    return 1") == Failure("forbidden", "import of `os`")


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": 0}, {"seconds": True}, {"memory_mb": 1}, {"output_chars": 0}, {"recursion": 5}, {"seconds": "1"}],
)
def test_limits_are_checked(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Limits(**wrong)


def test_wrong_arguments_are_config_errors():
    with pytest.raises(ConfigError, match="montey"):
        get_sandbox("montey")
    with pytest.raises(ConfigError, match="workers"):
        get_sandbox("monty", workers=0)
    with pytest.raises(ConfigError, match="workers"):
        get_sandbox("subprocess", workers=True)
