"""Time of `import synthwright` beside `import dspy`, each in a fresh interpreter; prints the ratio of the medians.

Usage: python benchmarks/import_time.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import time


def seconds(module: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - started


rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
seconds("synthwright")  # compiles what is not compiled yet
times: dict[str, list[float]] = {"dspy": [], "synthwright": []}
for _ in range(rounds):
    for module, taken in times.items():
        taken.append(seconds(module))
for module, taken in times.items():
    print(f"import {module:<12} median {statistics.median(taken):.2f} s, best {min(taken):.2f} s")
print(
    f"ratio of medians {statistics.median(times['synthwright']) / statistics.median(times['dspy']):.2f} (goal: < 1.5)"
)
