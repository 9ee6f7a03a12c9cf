"""Two methods in a chain: Evol-Instruct makes instructions harder, Magpie answers them; one dataset comes out.

The rows of the first run are the seeds of the second. Each seed names the row that it was taken from, so that the
lineage goes on through both runs and the test set shares no ancestor with the train set.
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
    """Their answers by the LM's own chat template; the root is named too: evolutions of one root stay together."""
    seeds = [{"instruction": row.instruction, "parent_ids": [row.root_id, row.id]} for row in evolved]
    return sw.generate(Magpie(tags=False), seeds=seeds, out=OUT / "answered")


if __name__ == "__main__":
    evolved = evolve()
    answered = answer(evolved)
    parents = {row.id: row for row in evolved}
    for row in answered:
        source = parents[row.parent_ids[-1]]
        print(f"{source.parent}\n  {source.operator}: {row.instruction}\n  {' '.join(row.response.split())[:200]}\n")
    print(answered.funnel)
    print(answered.export("messages", OUT / "dataset", test=0.25, columns=["id", "parent_ids"]))
