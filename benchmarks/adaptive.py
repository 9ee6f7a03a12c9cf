"""How calls in flight adapt to a server that refuses: `generate()` with a cap of 256 against one that takes 32.

The stub server answers 429 at once above 32 calls in flight. Printed are the calls that it refused, and two means of
the number in flight from about the second second on: answers per second times latency, and what the server counted in
service. Both are lower than what the client has sent by the time that a call travels, which counts at short latencies.

Usage: python benchmarks/adaptive.py [--calls N] [--save]
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from pairs import Pairs  # pyright: ignore[reportMissingImports]  beside this file

import synthwright as sw

ROOT = Path(__file__).parents[1]
TAKES = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/adaptive.md")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    from servers.stub import Stub  # pyright: ignore[reportMissingImports]  a file of the tests

    lines = [
        f"| latency ms | calls | refused | share | answered: mean of {TAKES} | in service: mean of {TAKES} | calls/s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for latency in (0.05, 0.2, 1.0):
        calls = max(500, int(arguments.calls * min(1.0, 0.2 / latency)))
        with Stub(latency=latency, limit=TAKES) as stub, tempfile.TemporaryDirectory() as out:
            lm = sw.openai_lm("stub", stub.base, concurrency=256)
            marks: list[tuple[float, int, dict[str, float]]] = []
            started = time.perf_counter()

            first_mark, last_mark = started + 1 + 4 * latency, calls - 2 * TAKES

            def watch(progress: sw.Progress, stub=stub, marks=marks, first=first_mark, last=last_mark) -> None:
                now = time.perf_counter()
                if (not marks and now > first) or (len(marks) == 1 and progress.seeds >= last):
                    marks.append((now, progress.seeds, stub.stats()))

            seeds = [{"topic": f"topic {number}"} for number in range(calls)]
            run = sw.generate(Pairs(), seeds=seeds, lms=lm, out=out, progress=watch)
            seconds, stats = time.perf_counter() - started, stub.stats()
            assert len(run) == calls
            (at, seeds_at, first), (until, seeds_until, last) = marks
            rate = (seeds_until - seeds_at) / (until - at)
            server = (last["busy"] - first["busy"]) / (last["clock"] - first["clock"])
            share = stats["refused"] / stats["calls"]
            lines.append(
                f"| {1000 * latency:.0f} | {calls} | {stats['refused']} | {100 * share:.2f} % "
                f"| {rate * latency:.1f} | {server:.1f} | {calls / seconds:.0f} of {TAKES / latency:.0f} |"
            )
            print(lines[-1], flush=True)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    report = "\n".join([*lines, "", machine])
    if arguments.save:
        command = " ".join(["python benchmarks/adaptive.py", *sys.argv[1:]])
        path = ROOT / "benchmarks" / "results" / "adaptive.md"
        path.write_text(f"# Adaptive concurrency\n\n`{command}`\n\n{report}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
