"""Tune prompts on one LM, save them, and measure whether they help another one, on the same seeds.

Both are the embedded model here, at two temperatures; put yours in their places:

    tuned_on, used_on = sw.openai_lm("small", "http://a:8000/v1"), sw.openai_lm("large", "http://b:8000/v1")

On the command line: synthwright optimize evol-instruct --lm embedded, then
synthwright evaluate evol-instruct --prompts runs/evol-instruct-tuned/prompts.json --lm openai/gpt-4o-mini
"""

from pathlib import Path

import synthwright as sw
from synthwright.programs.evol_instruct import EvolInstruct

OUT = Path("runs/another-lm")
TEST = [
    {"instruction": text} for text in ("Explain how soap cleans.", "Write a haiku about rain.", "Name three knots.")
]


def small() -> EvolInstruct:
    return EvolInstruct(operators=("add_constraints",), rounds=1, judge=False, answer=False)


if __name__ == "__main__":
    tuned_on, used_on = sw.embedded_lm(temperature=0.7), sw.embedded_lm(temperature=0.3)
    tuned = sw.optimize(small(), lms=tuned_on, budget=45, draws=1, out=OUT / "tuned")
    print(tuned.report())

    small().save_prompts(OUT / "plain.json")
    found = sw.compare(
        OUT / "plain.json",
        OUT / "tuned" / "prompts.json",
        generator=small(),
        seeds=TEST,
        k=2,
        lms=used_on,
        demonstrations=False,
    )
    print(f"\nOn the other LM, plain -> tuned: {found.metric}")
