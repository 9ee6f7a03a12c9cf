"""Near-duplicates: `rensa` and `datasketch` under the settings of Persona Hub, and `MinHashNovelty`.

Usage: python benchmarks/duplicates.py [ROWS] [--write]     (needs `pip install datasketch`)

Speed and memory are measured on rows of 20 words. Recall and precision are measured on planted pairs of texts whose
sets of words have a known Jaccard similarity. Times are CPU seconds of one core. With --write the table goes to
`benchmarks/results/duplicates.md`.
"""

import itertools
import platform
import random
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datasketch import MinHash, MinHashLSH
from rensa import RMinHash, RMinHashLSH

import synthwright as sw
from synthwright.filters import MinHashNovelty

THRESHOLD, PERMUTATIONS = 0.9, 128
SIMILARITIES = (0.6, 0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.95, 1.0)
PAIRS = 150


class Persona(sw.Row):
    """A row as Persona Hub makes them."""

    persona: str


class Datasketch:
    """`MinHashLSH` as its documentation shows it."""

    name = "datasketch, `MinHashLSH(threshold=0.9)`"

    def __init__(self):
        self.lsh, self.size = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS), 0

    def check(self, text):
        self.last = MinHash(num_perm=PERMUTATIONS, seed=1)
        self.last.update_batch([word.encode() for word in set(text.split())])
        return bool(self.lsh.query(self.last))

    def add(self, text):
        self.lsh.insert(self.size, self.last)
        self.size += 1


class Rensa:
    """`RMinHashLSH` with a number of bands."""

    def __init__(self, bands):
        self.lsh, self.size = RMinHashLSH(THRESHOLD, PERMUTATIONS, bands), 0

    def check(self, text):
        self.last = RMinHash(PERMUTATIONS, 1)
        self.last.update(sorted(set(text.split())))
        return bool(self.lsh.query(self.last))

    def add(self, text):
        self.lsh.insert(self.size, self.last)
        self.size += 1


class Ours:
    """The filter, on rows."""

    def __init__(self):
        self.filter = MinHashNovelty("persona", THRESHOLD, permutations=PERMUTATIONS)

    def check(self, text):
        self.last = Persona.model_construct(persona=text)
        return self.filter.check(self.last) is not None

    def add(self, text):
        self.filter.add(self.last)


CONTENDERS = {
    "datasketch, `MinHashLSH(threshold=0.9)`": Datasketch,
    "rensa, `RMinHashLSH`, 8 bands": lambda: Rensa(8),
    "rensa, `RMinHashLSH`, 16 bands": lambda: Rensa(16),
    "`MinHashNovelty` (signatures by rensa)": Ours,
}


def planted(similarity, rng, size=57):
    """Two texts of `size` words each with about the given similarity, and the true one."""
    shared = round(2 * size * similarity / (1 + similarity))
    pool = [f"w{number}" for number in rng.sample(range(10**6), 2 * size - shared)]
    a, b = pool[:size], pool[:shared] + pool[size:]
    return " ".join(a), " ".join(b), len(set(a) & set(b)) / len(set(a) | set(b))


def quality(make):
    """Share of pairs called duplicates at each similarity, and recall and precision over all of them."""
    rng = random.Random(0)
    shares, hits, called, wanted = [], 0, 0, 0
    for similarity in SIMILARITIES:
        found = 0
        for _ in range(PAIRS):
            a, b, truth = planted(similarity, rng)
            test = make()
            test.check(a)
            test.add(a)
            verdict = test.check(b)
            found += verdict
            called += verdict
            wanted += truth >= THRESHOLD
            hits += verdict and truth >= THRESHOLD
        shares.append(found / PAIRS)
    return shares, hits / wanted, hits / called


def rows(count):
    rng = random.Random(1)
    words = [f"word{i}" for i in range(20_000)]
    weights = list(itertools.accumulate(1 / (i + 20) for i in range(len(words))))
    return (" ".join(rng.choices(words, cum_weights=weights, k=20)) for _ in range(count))


def load(name, count):
    """Microseconds and bytes a row, printed for the process that asked."""
    test = CONTENDERS[name]()

    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * 4096

    texts = list(rows(count))
    before, started = resident(), time.process_time()
    for text in texts:
        test.check(text)
        test.add(text)
    print((time.process_time() - started) / count * 1e6, (resident() - before) / count)


def main():
    if "--load" in sys.argv:
        load(sys.argv[2], int(sys.argv[3]))
        return
    count = int(next((argument for argument in sys.argv[1:] if argument.isdigit()), "20000"))
    lines = []
    for name, make in CONTENDERS.items():
        command = [sys.executable, __file__, "--load", name, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        cost, size = map(float, done.stdout.split())
        shares, recall, precision = quality(make)
        lines.append((name, cost, size, recall, precision, shares))
        print(
            f"{name}: {cost:.0f} us, {size:.0f} bytes a row, recall {recall:.3f}, precision {precision:.3f}; found at "
            + ", ".join(f"{s}: {share:.2f}" for s, share in zip(SIMILARITIES, shares, strict=True)),
            flush=True,
        )
    if "--write" not in sys.argv:
        return
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    packages = ", ".join(f"{name} {version(name)}" for name in ("rensa", "datasketch", "numpy"))
    head = "| | us a row | bytes a row | recall | precision | " + " | ".join(f"{s:g}" for s in SIMILARITIES) + " |"
    table = "\n".join(
        f"| {name} | {cost:.0f} | {size:,.0f} | {recall:.3f} | {precision:.3f} | "
        + " | ".join(f"{share:.2f}" for share in shares)
        + " |"
        for name, cost, size, recall, precision, shares in lines
    )
    (Path(__file__).parent / "results" / "duplicates.md").write_text(
        f"""# Near-duplicates: rensa and datasketch

`python benchmarks/duplicates.py --write`, {time.strftime("%Y-%m-%d")}, 2 virtual cores ({cpu}, Python
{platform.python_version()}, {packages}). Persona Hub's settings: word 1-grams, {PERMUTATIONS} permutations, similarity
{THRESHOLD}. Cost of checking and adding {count:,} rows of 20 words; the last columns are the share of {PAIRS} planted
pairs of that Jaccard similarity (57 words each) that are called duplicates, from which recall and precision follow.

{head}
|---|---|---|---|---|{"---|" * len(SIMILARITIES)}
{table}

rensa's signatures cost a hundredth of datasketch's, so it is the dependency. Neither library's index alone decides well
at 0.9: few wide bands miss true pairs, many narrow ones call pairs of 0.7 duplicates. `MinHashNovelty` therefore takes
bands so narrow that a pair at the threshold is found with a probability of 0.999, and compares the candidates exactly.
Its band index (`filters/index.py`) holds a fraction of the bytes at a million rows.
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
