"""Stop and go on: a run that meets its budget keeps everything, and the same call with a larger one continues.

The same holds after Ctrl-C, a crash or `kill -9`: nothing that an LM answered is asked again, and the dataset is that
of a run without interruption.
"""

import synthwright as sw
from synthwright.programs.evol_instruct import EvolInstruct

ROOTS = ["Explain how rain forms.", "Write a riddle about a key.", "Explain how to iron a shirt.", "Name five spices."]


def run_with(calls: int) -> sw.Run:
    generator = EvolInstruct(operators=("add_constraints",), rounds=1, judge=False, answer=False)
    seeds = [{"instruction": root} for root in ROOTS]
    return sw.generate(generator, seeds=seeds, budget=sw.Budget(calls=calls), out="runs/resume", concurrency=1)


if __name__ == "__main__":
    for calls in (2, 100):
        run = run_with(calls)
        print(f"budget {calls}: {run.total_usage.calls} calls made, {len(run)} rows, complete: {run.complete}")
        print(f"  {run.stopped}")

    forecast = sw.generate(
        EvolInstruct(operators=("deepen",), rounds=1, judge=False, answer=False),
        seeds=[{"instruction": root} for root in ROOTS],
        n=1000,
        dry_run=2,
        out="runs/forecast",
    )
    print(forecast)
