"""Time and memory of planning one round over 100,000 nodes, by method.

Usage: python benchmarks/planning.py [--nodes N] [--only METHOD] [--write]

Each method is measured in a process of its own: a function of the method builds the material, then the plan of one
round is read to its end, and every seed is thrown away. Seconds are of the plan alone, the best of seven, in CPU time
(the benchmark may run on a busy machine); MB is how far the peak of memory rose above that before anything was built,
so that it holds the material as well. With --write the table goes to `benchmarks/results/planning.md`.

To add a method, write a function that takes the number of nodes and returns (what it planned, a function that plans),
and name it in `METHODS`.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

TRIES = 7
GOAL = (1.0, 500)  # seconds, MB
Planned = tuple[str, Callable[[], Iterable[Any]]]


def glan(nodes: int) -> Planned:
    """Questions about combinations of concepts: 1,000 syllabi of 20 sessions with 5 concepts, grown by a run."""
    from synthwright.pool import Pool
    from synthwright.programs.glan import GLAN
    from synthwright.signatures.glan import Session, SubjectList, Syllabus

    syllabi = 1000
    made: list[Any] = [
        Syllabus(
            discipline=f"Discipline {number % 100}",
            subject=f"Subject {number}",
            level="beginner",
            text=f"Syllabus {number}. " + "What the session is about. " * 80,
            sessions=tuple(
                Session(name=f"Session {s}", key_concepts=[f"concept {number} {s} {c}" for c in range(5)])
                for s in range(20)
            ),
        )
        for number in range(syllabi)
    ]
    made += [SubjectList(discipline=f"Discipline {number}", query=0, subjects=()) for number in range(100)]
    names = [f"Discipline {number}" for number in range(100)]
    generator = GLAN(names, grow="all", subject_queries=1, questions_per_subject=-(-nodes // syllabi))
    return "combinations of concepts, 1,000 syllabi, 100,000 concepts", lambda: generator.plan(
        Pool(artifacts=made, target=nodes * 10)
    )


def condor(nodes: int) -> Planned:
    """Questions about pairs of a tag and a task, the tags found by a run: seven tasks for each leaf of the tree."""
    from synthwright.pool import Pool
    from synthwright.programs.condor import Condor
    from synthwright.programs.condor_tree import Tree
    from synthwright.signatures.condor import TreeStep

    tree, roots = Tree("en"), [f"Area {number}" for number in range(100)]
    names = tuple(f"Topic {number} of many" for number in range(-(-nodes // (7 * len(roots)))))
    for root in roots:
        tree.add(None, root)
    steps = [TreeStep(kind="expand", path=(root,), tags=names, round=0) for root in roots]
    generator = Condor(tree=tree, depth=2)
    return "pairs of a tag and a task", lambda: generator.plan(Pool(artifacts=steps, round=1))


def persona_hub(nodes: int) -> Planned:
    """An expansion of every persona of a hub, read from the store of a run."""
    from synthwright.pool import Pool
    from synthwright.programs.persona_hub import PersonaHub
    from synthwright.runs.store import Store
    from synthwright.signatures.persona_hub import Persona

    store = Store(tempfile.mkdtemp(prefix="planning-"))
    for start in range(0, nodes, 1000):
        batch = [
            Persona(persona=f"A smith in ward {n} who mends clock {7 * n}.", origin="text", relation="read")
            for n in range(start, min(start + 1000, nodes))
        ]
        store.admit(start, [], [], batch, stored=False)
    hub = PersonaHub(personas=2 * nodes, expansions=2)
    return "expansions of personas, from the store of a run", lambda: hub.plan(
        Pool(artifacts=store.log("artifacts"), target=nodes, round=1)
    )


METHODS: dict[str, Callable[[int], Planned]] = {"condor": condor, "glan": glan, "persona_hub": persona_hub}


def measure(name: str, nodes: int) -> None:
    """Print what one method takes, as JSON."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    what, plan = METHODS[name](nodes)
    seconds, count = [], 0
    for _ in range(TRIES):
        started = time.process_time()
        count = sum(1 for _ in plan())
        seconds.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"what": what, "seeds": count, "seconds": min(seconds), "mb": (peak - before) / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--only", choices=METHODS)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/planning.md")
    parser.add_argument("--measure", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.nodes)
        return
    lines = ["| method | planned | seeds | seconds | MB |\n| --- | --- | ---: | ---: | ---: |"]
    for name in [arguments.only] if arguments.only else METHODS:
        command = [sys.executable, __file__, "--measure", name, "--nodes", str(arguments.nodes)]
        done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        lines.append(f"| {name} | {done['what']} | {done['seeds']:,} | {done['seconds']:.2f} | {done['mb']:.0f} |")
        print(lines[-1], flush=True)
    if arguments.write:
        goal = f"Goal: one round over 100,000 nodes under {GOAL[0]:g} s and {GOAL[1]} MB."
        how = "CPU seconds of reading the whole plan, best of seven; MB: peak over that of the bare process."
        load = f"load average {os.getloadavg()[0]:.0f}"
        machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, {load}"
        text = f"# Planning\n\n`python benchmarks/planning.py --write`\n\n{goal} {how}\n\n"
        path = Path(__file__).parent / "results" / "planning.md"
        path.write_text(text + "\n".join(lines) + f"\n\n{machine}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
