"""Checked programs a second: our sandboxes beside a process per run and DSPy's interpreters, in one run, with ratios.

A checked program is a call in a fresh session with its value returned as data. Each executor runs the same small
programs; CPU is that of this process and its workers, so it counts also when the machine is busy.

Usage: python benchmarks/sandbox.py [PROGRAMS]
"""

import ast
import asyncio
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import dspy

from synthwright.sandbox import Limits, Value, check_deterministic
from synthwright.sandbox.cpython import SubprocessSandbox
from synthwright.sandbox.monty import MontySandbox

PROGRAMS = [
    "def f(s, n):\n    out = []\n    for i, c in enumerate(s):\n        out.append((c, i * n))\n    return out",
    "def f(s, n):\n    counts = {}\n    for c in s:\n        counts[c] = counts.get(c, 0) + n\n    return counts",
    "def f(s, n):\n    total = 0\n    for i in range(n % 50):\n        total += i * len(s)\n    return total",
    "def f(s, n):\n    return sorted(set(s)), s[::-1], n % 7 == 0",
]


def cpu() -> float:
    own, workers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime


def calls(n: int) -> list[tuple[str, tuple[str, int]]]:
    return [(PROGRAMS[i % len(PROGRAMS)], ("hello world", i)) for i in range(n)]


def expected(n: int) -> list[object]:
    functions = []
    for program in PROGRAMS:
        space: dict = {}
        exec(program, space)  # ours
        functions.append(space["f"])
    return [functions[i % len(PROGRAMS)]("hello world", i) for i in range(n)]


def monty(n: int) -> list[object]:
    with MontySandbox(os.cpu_count()) as sandbox:
        return [r.value for r in sandbox.run_many(calls(n)) if isinstance(r, Value)]


def monty_async(n: int) -> list[object]:
    async def main() -> list[object]:
        sandbox = MontySandbox(os.cpu_count())
        results = await asyncio.gather(*(sandbox.arun(*call) for call in calls(n)))
        await sandbox.aclose()
        return [r.value for r in results if isinstance(r, Value)]

    return asyncio.run(main())


def monty_twice(n: int) -> list[object]:
    with MontySandbox(os.cpu_count()) as sandbox:
        sandbox.run_many(calls(1))
        results = (
            (first, second)
            for first, second in zip(sandbox.run_many(calls(n)), sandbox.run_many(calls(n), seed=1), strict=True)
        )
        assert check_deterministic(sandbox, *calls(1)[0]).ok
        return [a.value for a, b in results if isinstance(a, Value) and a == b]


def ours_subprocess(n: int) -> list[object]:
    with SubprocessSandbox(os.cpu_count(), limits=Limits()) as sandbox:
        return [r.value for r in sandbox.run_many(calls(n)) if isinstance(r, Value)]


def process_per_run(n: int) -> list[object]:
    """What a careful script would do: `python -c`, JSON out, a time limit, nothing else."""
    out: list[object] = []
    for program, arguments in calls(n):
        code = program + "\nimport json, sys\nprint(repr(f(*json.loads(sys.argv[1]))))"
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, json.dumps(arguments)], capture_output=True, text=True, timeout=10
        )
        out.append(ast.literal_eval(done.stdout))
    return out


def dspy_local(n: int) -> list[object]:
    """One process for all programs: no fresh session, no sandbox."""
    out: list[object] = []
    with dspy.LocalInterpreter() as interpreter:
        for program, arguments in calls(n):
            text = interpreter.execute(program + f"\nprint(repr(f(*{arguments!r})))")
            out.append(ast.literal_eval(str(text).strip()))
    return out


def dspy_deno(n: int) -> list[object]:
    with dspy.PythonInterpreter() as interpreter:
        return [interpreter.execute(p + f"\nprint(repr(f(*{a!r})))") for p, a in calls(n)]


n = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
executors: list[tuple[str, Callable[[int], list[object]], int]] = [
    ("monty, run_many", monty, n),
    ("monty, arun", monty_async, n),
    ("monty, two sessions", monty_twice, n // 2),
    ("subprocess", ours_subprocess, max(n // 100, 8)),
    ("python -c per run", process_per_run, max(n // 100, 8)),
    ("dspy.LocalInterpreter", dspy_local, max(n // 10, 8)),
    ("dspy.PythonInterpreter", dspy_deno, 4),
]
versions = {name: importlib.metadata.version(name) for name in ("pydantic-monty", "dspy")}
print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
rates: dict[str, tuple[float, float]] = {}
for name, execute, count in executors:
    started, used = time.perf_counter(), cpu()
    try:
        values = execute(count)
    except Exception as error:  # a benchmark goes on and says what is missing
        print(f"{name:<24} not run: {type(error).__name__}: {str(error).splitlines()[0][:90]}")
        continue
    seconds = time.perf_counter() - started
    assert values == expected(count), f"{name} returned other values"
    rates[name] = count / seconds, (cpu() - used) / count * 1000
    print(f"{name:<24} {rates[name][0]:8.0f} programs/s   {rates[name][1]:8.2f} CPU ms a program   ({count} programs)")
best_rate, best_cpu = rates["monty, run_many"]
for name, (rate, used) in rates.items():
    if not name.startswith("monty"):
        print(
            f"monty, run_many over {name}: {best_rate / rate:.0f} times the rate, {used / best_cpu:.0f} times less CPU"
        )
print(f"goal: at least 1500 programs/s; measured {best_rate:.0f}, load {os.getloadavg()[0]:.1f}")
