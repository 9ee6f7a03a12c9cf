"""Planning a round of Persona Hub over 100,000 personas: time of one core and memory, from a run's store.

Usage: python benchmarks/planning_persona_hub.py [PERSONAS] [--write]

A store is filled with personas as a run leaves them. Then a round of expansion and a pass over the hub are planned to
their last seed, each in a process of its own, so that its peak memory is its own. With --write the table goes to
`benchmarks/results/planning_persona_hub.md`.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synthwright.pool import Pool
from synthwright.programs.persona_hub import PersonaHub
from synthwright.runs.store import Store
from synthwright.signatures.persona_hub import Persona

GOAL_SECONDS, GOAL_MB = 1.0, 500


def fill(folder: Path, count: int) -> None:
    """Half of the personas come from texts, half from one expansion."""
    with Store(folder) as store:
        for start in range(0, count, 1000):
            batch = [
                Persona(
                    persona=f"A smith in ward {number} who mends clock {7 * number} of the crew of boat {3 * number}.",
                    origin="text" if number < count // 2 else "persona",
                    relation="read" if number < count // 2 else "client",
                    depth=int(number >= count // 2),
                )
                for number in range(start, min(start + 1000, count))
            ]
            store.admit(start, [], [], batch, stored=False)


def plan(folder: Path, count: int, what: str) -> dict[str, float]:
    """Plan one round to its last seed: `expansion` with room for as many again, or a `pass` over the hub."""
    hub = PersonaHub(personas=2 * count if what == "expansion" else count, expansions=2)
    with Store(folder) as store:
        before = peak_mb()
        pool: Pool = Pool(artifacts=store.log("artifacts"), target=count, round=2)
        started, wall = time.process_time(), time.perf_counter()
        seeds = iter(hub.plan(pool))
        next(seeds)
        first = time.process_time() - started
        planned = 1 + sum(1 for _ in seeds)
        return {
            "seeds": planned,
            "first": first,
            "cpu": time.process_time() - started,
            "wall": time.perf_counter() - wall,
            "peak": peak_mb(),
            "growth": peak_mb() - before,
        }


def peak_mb() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("personas", nargs="?", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/planning_persona_hub.md")
    parser.add_argument("--one", nargs=2, metavar=("FOLDER", "WHAT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(plan(Path(arguments.one[0]), arguments.personas, arguments.one[1])))
        return
    lines = [
        "| personas | round | seeds | first seed, CPU s | all seeds, CPU s | wall s | peak MB | of it planning |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for count in (arguments.personas // 10, arguments.personas):
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), count)
            for what in ("expansion", "pass"):
                command = [sys.executable, __file__, str(count), "--one", folder, what]
                found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                lines.append(
                    f"| {count:,} | {what} | {found['seeds']:,} | {found['first']:.2f} | {found['cpu']:.2f} "
                    f"| {found['wall']:.2f} | {found['peak']:.0f} | {found['growth']:.0f} |"
                )
                print(lines[-1], flush=True)
    machine = f"Python {platform.python_version()}, {platform.machine()}. Goal: {GOAL_SECONDS:.0f} s, {GOAL_MB} MB."
    report = "\n".join(lines) + f"\n\n{machine}\n"
    if arguments.write:
        path = Path(__file__).parent / "results" / "planning_persona_hub.md"
        path.write_text(f"# Planning a round of Persona Hub\n\n`python benchmarks/{Path(__file__).name}`\n\n{report}")
    else:
        print(report)


if __name__ == "__main__":
    main()
