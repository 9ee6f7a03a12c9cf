"""ROUGE-L novelty against a growing pool: cost per admitted row, beside scanning the pool with `rouge-score`.

Usage: python benchmarks/novelty.py [LARGEST POOL] [--write]

Instructions are made by a chain of word pairs learnt from the repository's own seeds and documents, behind openings as
instructions have them; 15 % of them are copies of earlier ones with up to a third of their words changed. The package
takes seconds for one scan of a large pool, so it is timed on a sample of the pool and scaled, except at 1,000 rows.
Times are CPU seconds of one core: neighbours on the machine do not count.
With --write the table goes to `benchmarks/results/novelty.md`.
"""

import itertools
import json
import platform
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer

import synthwright as sw
from synthwright.filters import RougeNovelty

ROOT = Path(__file__).parents[1]
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
COPIES = 0.15
SCANNED = 2_000  # pool rows that the package is timed on
ASKED = 200  # rows that are timed at each size
OPENINGS = (
    "write a short {} about",
    "explain in simple words why",
    "list {} examples of",
    "rewrite the {} so that",
    "compare",
    "what is the difference between",
    "summarize what is known of",
    "give a {} plan for",
    "suggest a {} name for",
    "describe how",
    "classify each {} by",
    "translate into plain language:",
    "find the {} error in",
    "how would you convince a {} that",
)


class Task(sw.Row):
    """A row as methods make them."""

    instruction: str


def sources():
    for path in sorted((ROOT / "optimizers" / "data").glob("*.jsonl")) + sorted(
        (ROOT / "programs" / "data").glob("*.jsonl")
    ):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield from (str(value) for value in json.loads(line).get("inputs", json.loads(line)).values())
    for path in sorted((ROOT / "docs").rglob("*.md")):
        yield path.read_text(encoding="utf-8")


def instructions(rng):
    """An endless stream of instructions."""
    follows = defaultdict(list)
    for text in sources():
        tokens = re.findall(r"[A-Za-z']+", text.lower())
        for a, b in itertools.pairwise(tokens):
            follows[a].append(b)
    starts = sorted(word for word, next_words in follows.items() if len(word) > 3 and len(set(next_words)) > 2)
    vocabulary = sorted(follows)
    made = []
    while True:
        if made and rng.random() < COPIES:
            tokens = rng.choice(made).split()
            for _ in range(rng.randint(0, len(tokens) // 3)):
                tokens[rng.randrange(len(tokens))] = rng.choice(vocabulary)
            yield " ".join(tokens)
            continue
        tokens = [*rng.choice(OPENINGS).format(rng.choice(starts)).split(), rng.choice(starts)]
        for _ in range(min(40, 3 + int(rng.expovariate(1 / 9)))):
            if rng.random() < 0.15 or not follows[tokens[-1]]:
                tokens.append(rng.choice(starts))
            else:
                tokens.append(rng.choice(follows[tokens[-1]]))
        text = " ".join(tokens)
        if len(made) < 20_000:
            made.append(text)
        yield text


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    packages = ", ".join(f"{name} {version(name)}" for name in ("rapidfuzz", "numpy", "rouge-score"))
    return f"{model}, Python {platform.python_version()}, {packages}, Linux {platform.release().split('-')[0]}"


def megabytes(kind):
    """Memory of a million tiny rows, in a fresh process."""
    code = f"""
import synthwright as sw
from synthwright.filters import ExactDuplicate, RougeNovelty
class Tiny(sw.Row):
    word: str
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
test = {kind}
for i in range(10_000):
    test.add(Tiny.model_construct(word=f"warm {{i}}"))
before = peak = resident()
for i in range(1_000_000):
    test.add(Tiny.model_construct(word=f"item {{i}} of {{i * 7919 % 1000003}}"))
    if i % 5000 == 0:
        peak = max(peak, resident())
print(resident() - before, peak - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return tuple(float(number) for number in done.stdout.split())


def main():
    largest = int(next((argument for argument in sys.argv[1:] if argument.isdigit()), SIZES[-1]))
    rng = random.Random(0)
    stream = instructions(rng)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    test, pool, lines, wrong = RougeNovelty("instruction"), [], [], 0
    for size in (size for size in SIZES if size <= largest):
        asked = dropped = 0
        spent = 0.0
        while len(pool) < size:
            row = Task(instruction=next(stream))
            timed = len(pool) >= size - ASKED
            started = time.process_time()
            verdict = test.check(row)
            if verdict is None:
                test.add(row)
            if timed:
                spent += time.process_time() - started
            asked, dropped = asked + 1, dropped + (verdict is not None)
            if verdict is None:
                pool.append(row.instruction)
        ours = spent / ASKED
        nearest = [next(stream) for _ in range(20)]
        test.nearest(nearest[0])  # makes the index of `nearest`
        started = time.process_time()
        for text in nearest:
            test.nearest(text)
        top = (time.process_time() - started) / len(nearest)

        scanned = pool if size <= 1_000 else rng.sample(pool, SCANNED)
        candidates = [next(stream) for _ in range(3)]
        started = time.process_time()
        best = [max(scorer.score(other, text)["rougeL"].fmeasure for other in scanned) for text in candidates]
        package = (time.process_time() - started) / len(candidates) / len(scanned) * size
        if scanned is pool:
            verdicts = [test.check(Task(instruction=text)) is not None for text in candidates]
            wrong += sum((score >= 0.7) != verdict for score, verdict in zip(best, verdicts, strict=True))
        lines.append((size, dropped / asked, ours, top, package, package / ours))
        print(
            f"{size:>6} rows: {ours * 1e3:6.2f} ms per admitted row, nearest ten {top * 1e3:5.1f} ms, "
            f"rouge-score {package * 1e3:8.0f} ms, ratio {package / ours:8,.0f}, dropped {dropped / asked:.1%}",
            flush=True,
        )
    tokens = sum(len(text.split()) for text in pool[-1000:]) / 1000
    assert wrong == 0, "a verdict differs from the package's"
    memory = {kind: megabytes(kind) for kind in ("ExactDuplicate(('word',))", "RougeNovelty('word')")}
    for kind, (kept, peak) in memory.items():
        print(f"{kind}: {kept:.0f} MB for a million tiny rows, {peak:.0f} MB at most on the way")
    if "--write" not in sys.argv:
        return
    table = "\n".join(
        f"| {size:,} | {share:.0%} | {ours * 1e3:.2f} | {top * 1e3:.1f} | {package * 1e3:,.0f} | {ratio:,.0f} |"
        for size, share, ours, top, package, ratio in lines
    )
    sizes = "\n".join(f"| `{kind}` | {kept:.0f} | {peak:.0f} |" for kind, (kept, peak) in memory.items())
    (ROOT / "benchmarks" / "results" / "novelty.md").write_text(
        f"""# Novelty by ROUGE-L against a growing pool

`python benchmarks/novelty.py --write`, {time.strftime("%Y-%m-%d")}, 2 virtual cores
({machine()}). Instructions of
{tokens:.0f} words on average, made by the script from the repository's own texts; {COPIES:.0%} of them are changed
copies of earlier ones. Threshold 0.7. Verdicts are those of `rouge-score` (no stemmer) on every pair:
`tests/filters/test_novelty.py`. Milliseconds of CPU:

| pool | dropped | `RougeNovelty`, per admitted row | ten nearest | a scan by `rouge-score` | ratio |
|---|---|---|---|---|---|
{table}

The package's time is that of {SCANNED:,} pool rows, scaled (1,000 rows: all of them).

Memory of a million tiny rows (four words, two of them numbers), in MB, from the 10,000th row on:

| filter | held | at most on the way |
|---|---|---|
{sizes}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
