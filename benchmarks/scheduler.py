"""What the scheduler adds: wall time against the ideal under heavy-tailed latency, and cost per seed as runs grow.

The first part runs a program of three calls a seed against an LM in this process whose latency is log-normal, and
compares the wall time with max(longest seed, calls x mean latency / concurrency), which no scheduler can beat. The
second part runs 1,000 and 50,000 seeds against an LM that answers at once and compares the CPU time of a seed.

Usage: python benchmarks/scheduler.py [--save]
"""

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

import dspy
from dspy.lm15 import Message, Request, Response, Usage
from pairs import Pair, WritePair  # pyright: ignore[reportMissingImports]  beside this file

import synthwright as sw
from synthwright.lms.calls import EngineLM
from synthwright.lms.scopes import current_scope

SEEDS = 2000


class Chain(sw.Generator[Pair]):
    """Three calls a seed, one after another."""

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.write = dspy.Predict(WritePair)

    async def aforward(self, topic: str) -> dspy.Prediction:
        made = dspy.Prediction(question=topic, answer="")
        for _ in range(self.steps):
            made = await self.write.acall(topic=made.question)
        return dspy.Prediction(rows=[Pair(topic=topic, question=made.question, answer=made.answer)])


class SlowEngine:
    """Answers after a log-normal time that depends on the sampling seed alone."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})

    def __init__(self, median: float, sigma: float) -> None:
        self.median, self.sigma = median, sigma
        self.taken: list[float] = []
        self.seeds: dict[str, float] = {}

    def complete(self, request: Request) -> Response:
        seed = request.config.seed
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(json.dumps({"question": f"q{seed}", "answer": f"a{seed}"})),
            finish_reason="stop",
            usage=Usage(input_tokens=20, output_tokens=20),
        )


class AsyncSlowEngine(SlowEngine):
    async def complete(self, request: Request) -> Response:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.median:
            latency = self.median * random.Random(request.config.seed).lognormvariate(0, self.sigma)
            self.taken.append(latency)
            scope = current_scope()
            assert scope is not None
            self.seeds[scope.key] = self.seeds.get(scope.key, 0.0) + latency
            await asyncio.sleep(latency)
        return super().complete(request)


def run(seeds: int, engine: AsyncSlowEngine, in_flight: int, steps: int) -> tuple[float, float]:
    """(wall seconds, CPU seconds) of a run."""
    lm = EngineLM("slow", SlowEngine(0, 0), engine, concurrency=in_flight)
    with tempfile.TemporaryDirectory() as out:
        started, before = time.perf_counter(), time.process_time()
        made = sw.generate(Chain(steps), seeds=[{"topic": f"t{i}"} for i in range(seeds)], lms=lm, out=out)
        assert len(made) == seeds
        return time.perf_counter() - started, time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/scheduler.md")
    arguments = parser.parse_args()
    run(100, AsyncSlowEngine(0, 0), 64, 1)  # warm up
    lines = [
        f"## No barrier: {SEEDS:,} seeds of three calls, log-normal latency (median 100 ms)",
        "",
        "| in flight | sigma | longest seed s | ideal s | wall s | wall / ideal |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for in_flight, sigma in ((32, 1.0), (64, 1.0), (64, 1.5)):
        engine = AsyncSlowEngine(0.1, sigma)
        wall, _ = run(SEEDS, engine, in_flight, 3)
        longest = max(engine.seeds.values())
        ideal = max(longest, sum(engine.taken) / in_flight)
        lines.append(f"| {in_flight} | {sigma} | {longest:.2f} | {ideal:.2f} | {wall:.2f} | {wall / ideal:.2f} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "## No quadratic step: CPU time of a seed with one call",
        "",
        "| seeds | us a seed |",
        "| ---: | ---: |",
    ]
    cost = {}
    for seeds in (1_000, 50_000):
        rounds = [run(seeds, AsyncSlowEngine(0, 0), 64, 1)[1] / seeds for _ in range(5 if seeds < 10_000 else 1)]
        cost[seeds] = min(rounds)
        lines.append(f"| {seeds:,} | {1e6 * cost[seeds]:.0f} |")
        print(lines[-1], flush=True)
    lines += ["", f"Ratio {cost[50_000] / cost[1_000]:.2f} (goal: at most 1.3)."]
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    report = "\n".join([*lines, "", machine])
    print("\n" + report)
    if arguments.save:
        command = " ".join(["python benchmarks/scheduler.py", *sys.argv[1:]])
        path = Path(__file__).parent / "results" / "scheduler.md"
        path.write_text(f"# Scheduler\n\n`{command}`\n\n{report}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
