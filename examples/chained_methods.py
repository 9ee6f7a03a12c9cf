"""Two methods in a chain: Evol-Instruct makes instructions harder, Magpie answers them; one dataset comes out.

The rows of the first run are the seeds of the second, as they are. Each new row names the row that it was made from and
the root of that row's lineage, so that the test set shares no ancestor with the train set. On the command line:

    synthwright generate evol-instruct -n 4 --set answer=false --set judge=false --out runs/chained/evolved
    synthwright generate magpie --seeds runs/chained/evolved/rows.jsonl --set tags=false --out runs/chained/answered

Any method whose rows have an instruction can stand first, such as Self-Instruct; rows that have a response already are
only tagged and filtered by Magpie.
"""

from pathlib import Path

import synthwright as sw
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.programs.magpie import Magpie

OUT = Path("runs/chained")
ROOTS = [
    "Explain why the sky is blue.",
    "Give three tips for learning a language.",
    "Write a short note of thanks to a teacher.",
    "Describe how bread is made.",
    "Name the planets in order.",
]


def evolve() -> sw.Run:
    """Instructions alone: `answer=False`."""
    generator = EvolInstruct(operators=("add_constraints", "concretize"), rounds=1, judge=False, answer=False)
    return sw.generate(generator, seeds=[{"instruction": root} for root in ROOTS], n=4, out=OUT / "evolved")


def answer(evolved: sw.Run) -> sw.Run:
    """Their answers by the LM's own chat template."""
    return sw.generate(Magpie(tags=False), seeds=evolved.records(), out=OUT / "answered")


if __name__ == "__main__":
    evolved = evolve()
    answered = answer(evolved)
    parents = {row.id: row for row in evolved}
    for row in answered:
        source = parents[row.parent_ids[-1]]
        print(f"{source.parent}\n  {source.operator}: {row.instruction}\n  {' '.join(row.response.split())[:200]}\n")
    print(answered.funnel)
    print(answered.export("messages", OUT / "dataset", test=0.25, columns=["id", "parent_ids"]))
