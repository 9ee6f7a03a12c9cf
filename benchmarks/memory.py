"""Memory of a run of a million tiny rows with novelty and exact-duplicate filters, and of its export.

Usage: python benchmarks/memory.py [--rows N] [--save]
"""

import argparse
import gc
import hashlib
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import dspy
from dspy.lm15 import Message, Request, Response, Usage

import synthwright as sw
from synthwright.filters import ExactDuplicate, RougeNovelty
from synthwright.lms.calls import EngineLM

ROWS_A_CALL = 10
GOAL = 300  # MB from the 10,000th row on


class Line(sw.Row):
    text: str


class WriteLines(dspy.Signature):
    """Write ten short lines."""

    number: int = dspy.InputField()
    lines: list[str] = dspy.OutputField()


class Lines(sw.Generator[Line]):
    """Ten lines a call."""

    filters = (ExactDuplicate(("text",)), RougeNovelty("text"))

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.write = dspy.Predict(WriteLines)

    def plan(self, pool: sw.Pool[Line]):
        if pool.round == 0:
            yield from ({"number": number} for number in range(self.count))

    async def aforward(self, number: int) -> dspy.Prediction:
        made = await self.write.acall(number=number)
        return dspy.Prediction(rows=[Line(text=text) for text in made.lines])


class HashEngine:
    """Writes lines of words that are hashes of their place: no model, nothing remembered."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})

    def complete(self, request: Request) -> Response:
        seed = request.config.seed
        lines = [
            " ".join(hashlib.md5(f"{seed}:{k}:{w}".encode()).hexdigest()[:6] for w in range(5))
            for k in range(ROWS_A_CALL)
        ]
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(json.dumps({"lines": lines})),
            finish_reason="stop",
            usage=Usage(input_tokens=20, output_tokens=60),
        )


class AsyncHashEngine(HashEngine):
    async def complete(self, request: Request) -> Response:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().complete(request)


def megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/memory.md")
    arguments = parser.parse_args()
    lm = EngineLM("hashes", HashEngine(), AsyncHashEngine(), concurrency=64)
    marks = [mark for mark in (10_000, 30_000, 100_000, 300_000) if mark <= arguments.rows]
    seen: list[tuple[int, float, float]] = []
    started = time.perf_counter()

    def watch(progress: sw.Progress) -> None:
        while len(seen) < len(marks) and progress.rows >= marks[len(seen)]:
            seen.append((marks[len(seen)], megabytes(), time.perf_counter() - started))
            print(f"{seen[-1][0]:>9,} rows   {seen[-1][1]:6.0f} MB   {seen[-1][2]:7.1f} s", flush=True)
        if progress.seeds == arguments.rows // ROWS_A_CALL and not seen[-1][0] == progress.rows:
            seen.append((progress.rows, megabytes(), time.perf_counter() - started))

    out = Path(tempfile.mkdtemp(prefix="memory"))
    try:
        run = sw.generate(
            Lines(arguments.rows // ROWS_A_CALL), lms=lm, out=out / "run", progress=watch, n=arguments.rows
        )
        lines = ["| rows | RSS MB | s |\n| ---: | ---: | ---: |"]
        lines += [f"| {rows:,} | {mb:.0f} | {seconds:.0f} |" for rows, mb, seconds in seen]
        growth = seen[-1][1] - seen[0][1]
        text = [
            "\n".join(lines),
            f"{len(run):,} rows kept of {arguments.rows:,}; growth from the {seen[0][0]:,}th row on: {growth:.0f} MB "
            f"(goal: below {GOAL}). Store and journal: {(out / 'run' / 'run.sqlite').stat().st_size / 1e6:.0f} MB.",
        ]
        for format_, name in (("raw", "rows.parquet"), ("raw", "rows.jsonl")):
            gc.collect()
            before, began = megabytes(), time.perf_counter()
            run.export(format_, out / name)
            text.append(
                f"Export to {name}: RSS {before:.0f} to {megabytes():.0f} MB, {time.perf_counter() - began:.0f} s, "
                f"{(out / name).stat().st_size / 1e6:.0f} MB."
            )
            print(text[-1], flush=True)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    report = "\n\n".join([*text, machine])
    print("\n" + report)
    if arguments.save:
        command = " ".join(["python benchmarks/memory.py", *sys.argv[1:]])
        path = Path(__file__).parent / "results" / "memory.md"
        path.write_text(f"# Memory\n\n`{command}`\n\n{report}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
