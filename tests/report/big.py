"""A run of many rows, written into its store directly: nothing is asked."""

import random
from pathlib import Path
from typing import Any

from synthwright.programs.base import get_generator
from synthwright.runs.files import write_lines
from synthwright.runs.outcome import Outcome
from synthwright.runs.run import Run, load_run
from synthwright.runs.store import Store
from synthwright.signatures.evol_instruct import OPERATORS, EvolvedRow
from synthwright.signatures.rows import Provenance, Rejected

WORDS = [
    a + b
    for a in ("ta", "ro", "mi", "ken", "sul", "or", "bra", "ve")
    for b in ("lin", "dor", "mas", "tee", "gro", "pal")
]


def big_run(out: Path, count: int, per_seed: int = 10) -> Run[Any]:
    """A run of `count` rows in lineages of `per_seed`, with one reject a seed."""
    provenance = Provenance(method="evol_instruct", version="0", prompts="0", lms={"generator": "none"}, seed=0)
    cls = get_generator("evol-instruct")
    with Store(out) as store:
        store.claim({"method": "evol_instruct", "generator": f"{cls.__module__}:{cls.__qualname__}", "lms": {}})
        with store.transaction():
            for seed in range(count // per_seed):
                rng = random.Random(seed)
                rows: list[EvolvedRow] = []
                for step in range(per_seed):
                    text = " ".join(rng.choices(WORDS, k=rng.randint(5, 15)))
                    rows.append(
                        EvolvedRow(
                            instruction=f"Question {seed * per_seed + step}: {text}?",
                            response=" ".join(rng.choices(WORDS, k=rng.randint(10, 60))),
                            operator=rng.choice(OPERATORS),
                            round=step + 1,
                            root_id=str(seed),
                            parent=rows[-1].instruction if rows else "A root.",
                            judged=True,
                            difficulty=rng.randint(1, 10),
                            parent_ids=(rows[-1].id,) if rows else (),
                            provenance=provenance.model_copy(update={"seed": seed}),
                        )
                    )
                store.add_seed(seed, 0, "{}", Outcome(), admitted=True)
                lost = Rejected(stage="judge", reason="demands_no_more", content={"instruction": f"Dropped {seed}"})
                store.admit(seed, list(enumerate(rows)), [lost], [], stored=False)
        write_lines(out / "rows.jsonl", store.records("rows", count))
        write_lines(out / "rejected.jsonl", ())
    return load_run(out)
