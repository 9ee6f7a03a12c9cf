"""What `make demo` shows: a dataset made by a real (small) LM in this process, then a prompt that tunes itself.

Everything lies in runs/demo. A second run shows what is there; delete the directory to start over.
"""

from pathlib import Path

from rich.console import Console

import synthwright as sw
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.progress import ProgressView, print_run

OUT = Path("runs/demo")
console = Console(highlight=False)


def make_a_dataset() -> None:
    console.rule("1. Make a dataset: Evol-Instruct on the embedded LM (SmolLM2-135M)", align="left")
    generator = EvolInstruct(operators=("add_constraints", "concretize", "deepen"), rounds=1)
    with ProgressView() as view:
        run = sw.generate(generator, n=6, out=OUT / "evol-instruct", progress=view)
    print_run(console, run, rows=6)


def tune_a_prompt() -> None:
    console.rule("2. Tune a prompt: demonstration search on the predictor `add_constraints`", align="left")
    report = OUT / "tuned" / "report.txt"
    if report.is_file():
        console.print(f"(from the earlier run in {OUT}; delete it to tune again)", style="dim")
    else:
        console.print(
            "It starts without demonstrations, and is judged on seeds that the search never sees.", style="dim"
        )
        generator = EvolInstruct(operators=("add_constraints",), rounds=1, answer=False, judge=False)
        with ProgressView() as view:
            sw.optimize(generator, budget=130, draws=1, out=report.parent, progress=view)
    console.print(report.read_text(encoding="utf-8"), markup=False)
    console.print(
        f"Use it: synthwright generate evol-instruct --prompts {report.parent / 'prompts.json'}", soft_wrap=True
    )


if __name__ == "__main__":
    make_a_dataset()
    console.print()
    tune_a_prompt()
