"""Planning a round of Condor over 100,000 combinations of a tag and a task, and over a tree of 100,000 tags.

Usage: python benchmarks/planning_condor.py

Each measurement runs in a process of its own. Times are CPU seconds of one core: neighbours on the machine do not
count. Memory is the peak of the whole process, libraries included.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = {
    "100,000 combinations: 14,286 leaves x 7 tasks": ("file", 14_286),
    "700,000 combinations: 100,000 leaves x 7 tasks": ("file", 100_000),
    "100,000 tags that a run found (artifacts), x 7 tasks": ("artifacts", 100_000),
}


def measure(kind: str, leaves: int) -> dict[str, float]:
    """CPU seconds of reading the tree and of planning a whole round, number of seeds, and peak memory in MB."""
    from synthwright.pool import Pool
    from synthwright.programs.condor import Condor
    from synthwright.programs.condor_tree import Tree
    from synthwright.signatures.condor import CondorRow, TreeStep

    roots = [f"Area {n}" for n in range(100)]
    steps = []
    tree = Tree("en")
    names = [f"Topic {n} of many" for n in range(-(-leaves // 100))]
    for root in roots:
        number = tree.add(None, root)
        if kind == "file":
            for name in names:
                tree.add(number, name)
        else:
            steps.append(TreeStep(kind="expand", path=(root,), tags=tuple(names), round=0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree.yaml"
        tree.save(path)
        started = time.process_time()
        generator = Condor(tree=path, depth=2)
        read = time.process_time() - started
    pool: Pool[CondorRow] = Pool(artifacts=steps, round=len({step.round for step in steps}))
    started = time.process_time()
    plan = generator.plan(pool)
    first = next(iter(plan))
    begun = time.process_time() - started
    seeds = 1 + sum(1 for _ in plan)
    planned = time.process_time() - started
    assert first["task"] and len(first["path"]) == 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"read": read, "first": begun, "planned": planned, "seeds": seeds, "peak_mb": peak}


def planning_condor() -> list[tuple[str, dict[str, float]]]:
    """The measurements by case, each in a fresh process."""
    found = []
    for name, (kind, leaves) in CASES.items():
        command = [sys.executable, __file__, "--measure", kind, str(leaves)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append((name, json.loads(done.stdout.splitlines()[-1])))
    return found


def main() -> None:
    """Print the table, or one measurement for the process above."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
        return
    print("| case | read the tree | first seed | whole round | seeds | peak memory |")
    print("|---|---|---|---|---|---|")
    for name, m in planning_condor():
        print(
            f"| {name} | {m['read']:.2f} s | {m['first']:.2f} s | {m['planned']:.2f} s | {m['seeds']:,.0f} "
            f"| {m['peak_mb']:.0f} MB |"
        )


if __name__ == "__main__":
    main()
