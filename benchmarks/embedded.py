"""Calls a second of the embedded LM by replicas, threads and slots, alone and beside busy neighbours.

It decides the defaults of `EmbeddedEngine`. Each setting runs in a fresh process.

Usage: python benchmarks/embedded.py [CALLS]
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dspy.lm15 import Config, Message, Request

SETTINGS = (  # replicas, threads of each, slots over all
    (1, 1, 4),
    (1, 2, 4),
    (2, 1, 2),
    (2, 1, 4),
)
SCHEMA = {
    "type": "json_schema",
    "schema": {
        "type": "object",
        "properties": {"question": {"type": "string"}},
        "required": ["question"],
        "additionalProperties": False,
    },
}
LIMIT = 60  # seconds for one measurement
SYSTEM = "You are a careful assistant who writes questions for a quiz. " * 20


def measure(replicas: int, threads: int, slots: int, calls: int) -> dict[str, float]:
    from synthwright.lms import EmbeddedEngine

    engine = EmbeddedEngine(replicas=replicas, threads=threads, slots=slots)

    def call(number: int) -> int:
        request = Request(
            "embedded",
            system=SYSTEM,
            messages=(Message.user(f"Write question {number} about cooking, in twenty words."),),
            config=Config(max_tokens=48, temperature=1.0, seed=number, response_format=SCHEMA),
        )
        return engine.complete(request).usage.output_tokens or 0

    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(call, range(10_000, 10_000 + slots)))
        started = time.perf_counter()
        tokens = sum(pool.map(call, range(calls)))
    taken = time.perf_counter() - started
    return {"calls_per_second": calls / taken, "tokens_per_second": tokens / taken}


def row(replicas: int, threads: int, slots: int, calls: int) -> str:
    command = [sys.executable, __file__, "one", *map(str, (replicas, threads, slots, calls))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    except subprocess.TimeoutExpired:
        return f"under {calls / LIMIT:.2f}"
    return f"{json.loads(done.stdout.splitlines()[-1])['calls_per_second']:.2f}"


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    print("calls a second        | alone | beside 2 busy processes")
    for setting in SETTINGS:
        alone = row(*setting, calls)
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            beside = row(*setting, calls // 2)
        finally:
            for process in busy:
                process.kill()
        replicas, threads, slots = setting
        print(f"{replicas} x {threads} threads, {slots} slots | {alone} | {beside}", flush=True)


if sys.argv[1:2] == ["one"]:
    print(json.dumps(measure(*map(int, sys.argv[2:6]))))
elif __name__ == "__main__":
    main()
