"""Optimizers against each other at one budget of LM calls, and against best-of-n sampling at the same total cost.

Each optimizer tunes the same predictor of the same small setting of a method (`optimize_settings.py`) on the embedded
LM, which is its own prompt LM too, from the same seeds, and is scored on the same draws of the same test seeds. The
baseline spends calls on every row instead of once: n draws, of which the metric picks the best. What n draws give is
estimated without bias from all sets of n out of the draws made.

Runs are kept in `runs/optimizers` and go on where they stopped; results go to `benchmarks/results/optimizers.md`.

Usage: python benchmarks/optimizers.py [--methods evol_instruct] [--optimizers bootstrap,simba] [--budget 120] [--n 4]
"""

import argparse
import json
import math
import time
import traceback
from dataclasses import replace
from functools import partial
from typing import Any

from optimize import CONCURRENCY, RESULTS, ROOT, seeds_of
from optimize_settings import SETTINGS, Setting

import synthwright as sw
from synthwright.optimizers.scoring import judge
from synthwright.optimizers.seeds import shipped_metrics
from synthwright.optimizers.session import open_session

RUNS = ROOT / "runs" / "optimizers"
METHODS = ("evol_instruct", "targen", "persona_hub")
OPTIMIZERS = ("bootstrap", "bootstrap+shipped", "miprov2", "simba", "copro", "gepa")
"""`+shipped`: the demonstrations that the method ships are given to the search, which is the default for weak LMs."""
BUDGET = 120
DRAWS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare optimizers at equal cost on the embedded LM.")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--optimizers", default=",".join(OPTIMIZERS))
    parser.add_argument("--budget", type=int, default=BUDGET, help="LM calls of each search with its proof")
    parser.add_argument("--n", type=int, default=DRAWS, help="draws a test seed for best-of-n; 0 leaves it out")
    options = parser.parse_args()
    for method in options.methods.split(","):
        jobs = {name: partial(tune, method, name, options.budget) for name in options.optimizers.split(",") if name}
        for kind in ("zero-shot", "shipped") if options.n else ():
            jobs[f"best-of-n-{kind}"] = partial(best_of_n, method, kind, options.n)
        for name, job in jobs.items():
            file = RUNS / method / name / "result.json"
            if not file.is_file():
                try:
                    record = job()
                except Exception as error:  # one that fails must not end the others
                    traceback.print_exc()
                    record = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
                file.parent.mkdir(parents=True, exist_ok=True)
                if "error" not in record:
                    file.write_text(json.dumps(record, indent=2) + "\n")
                else:
                    (file.parent / "failure.json").write_text(json.dumps(record) + "\n")
            write_table()


def tune(method: str, optimizer: str, budget: int) -> dict[str, Any]:
    setting, started = _setting(method), time.monotonic()
    generator = sw.get_generator(method)(**setting.arguments)
    split = seeds_of(generator, setting)
    tuned = sw.optimize(
        generator,
        trainset=split["train"],
        valset=split["val"],
        testset=split["test"],
        optimizer=optimizer.partition("+")[0],  # pyright: ignore[reportArgumentType]  optimize() names the known ones
        reflection_lm=sw.embedded_lm() if optimizer == "gepa" else None,
        gold=None if optimizer.endswith("+shipped") else {},
        budget=budget,
        targets=setting.targets,
        draws=setting.draws,
        concurrency=CONCURRENCY,
        out=RUNS / method / optimizer,
        progress=lambda state: print(method, optimizer, state, flush=True),
    )
    print(tuned.report(), flush=True)
    return {**tuned.as_dict(), "minutes": round((time.monotonic() - started) / 60, 1)}


def best_of_n(method: str, kind: str, n: int) -> dict[str, Any]:
    """Draw each test seed n times and judge each draw alone."""
    setting, started = _setting(method), time.monotonic()
    generator = sw.get_generator(method)(**setting.arguments)
    metric, held_out = shipped_metrics(generator)
    assert metric is not None and held_out is not None
    test = seeds_of(generator, setting)["test"]
    bare = (setting.targets or tuple(generator.target_predictors())) if kind == "zero-shot" else ()
    out = RUNS / method / f"best-of-n-{kind}"
    with open_session(generator, None, concurrency=CONCURRENCY, out=out, bare=bare) as session:
        scored = session.prove(test, metric, n)
        calls = session.spent
    draws = [
        [(judge(metric, each.example, [draw])[0], judge(held_out, each.example, [draw])[0]) for draw in each.draws]
        for each in scored
    ]
    curve = {k: [_mean(expected_best(d, k)[i] for d in draws) for i in (0, 1)] for k in range(1, n + 1)}
    return {"curve": curve, "calls": calls, "seeds": len(test), "minutes": round((time.monotonic() - started) / 60, 1)}


def _setting(method: str) -> Setting:
    """That of `optimize.py` with one draw a seed, so that one budget scores as many seeds of each method."""
    return replace(SETTINGS[method], draws=1)


def expected_best(draws: list[tuple[float, float]], k: int) -> tuple[float, float]:
    """Expected metric and held-out score of the draw that the metric picks out of k, over all sets of k draws."""
    ranked = sorted(draws)
    ways = [math.comb(index, k - 1) for index in range(len(ranked))]  # sets in which this draw is the best
    total = math.comb(len(ranked), k)
    best, other = (sum(w * draw[i] for w, draw in zip(ways, ranked, strict=True)) / total for i in (0, 1))
    return best, other


def _mean(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found)


def write_table() -> None:
    lines = [
        "# Optimizers at one budget, and best-of-n",
        "",
        "`python benchmarks/optimizers.py`: SmolLM2-135M-Instruct as generator and as prompt LM, the small settings of "
        "`benchmarks/optimize_settings.py`, the same test seeds and draws. No demonstrations are "
        "given to the search, but for `bootstrap+shipped`, which may choose those that the method ships.",
        "",
        "| method | optimizer | metric: before | after | interval of the gain | held-out: before | after | calls | "
        "minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    sampling = []
    for folder in sorted(path for path in RUNS.glob("*/*") if path.is_dir()):
        method, name = folder.parent.name, folder.name
        if (folder / "result.json").is_file():
            record = json.loads((folder / "result.json").read_text())
            if "curve" in record:
                sampling += _sampling_lines(method, name.removeprefix("best-of-n-"), record)
            else:
                lines.append(_line(method, name, record))
        elif (folder / "failure.json").is_file():
            lines.append(f"| {method} | {name} | {json.loads((folder / 'failure.json').read_text())['error']} |")
    lines += [
        "",
        "## Best of n",
        "",
        "The expected score of the draw that the metric picks out of n, on the test seeds. A search is paid once, "
        "sampling with every row: with n draws a row, a search of c calls is worth it from c / (n - 1) rows on, if it "
        "scores as well.",
        "",
        "| method | prompt | n: metric (held-out) | tuned prompts that it must beat |",
        "|---|---|---|---|",
        *sampling,
    ]
    missing = [f"{m} {o}" for m in METHODS for o in OPTIMIZERS if not (RUNS / m / o / "result.json").is_file()]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    (RESULTS / "optimizers.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(method: str, optimizer: str, record: dict[str, Any]) -> str:
    metric, held_out = record["metric"], record["held_out"]
    interval = f"{metric['low']:+.2f} to {metric['high']:+.2f}"
    verdict = "" if metric["low"] > 0 or metric["high"] < 0 else ": no measurable gain"
    cells = (f"{metric['before']:.2f}", f"{metric['after']:.2f}", interval + verdict)
    other = (f"{held_out['before']:.2f}", f"{held_out['after']:.2f}", str(record["calls"]), str(record["minutes"]))
    return f"| {method} | {optimizer} | {' | '.join((*cells, *other))} |"


def _sampling_lines(method: str, kind: str, record: dict[str, Any]) -> list[str]:
    curve = {int(n): scores for n, scores in record["curve"].items()}
    shown = ", ".join(f"{n}: {curve[n][0]:.2f} ({curve[n][1]:.2f})" for n in sorted({1, 2, 4, max(curve)} & set(curve)))
    verdicts = []
    for name in OPTIMIZERS:
        file = RUNS / method / name / "result.json"
        if file.is_file():
            tuned = json.loads(file.read_text())
            if tuned["metric"]["low"] > 0:
                verdicts.append(f"{name} ({tuned['metric']['after']:.2f}): {_break_even(curve, tuned)}")
    return [f"| {method} | {kind} | {shown} | {'; '.join(verdicts) or 'no search gained measurably'} |"]


def _break_even(curve: dict[int, list[float]], tuned: dict[str, Any]) -> str:
    """From how many rows on a search costs less than sampling that scores as well."""
    wanted = tuned["metric"]["after"]
    enough = next((n for n in sorted(curve) if curve[n][0] >= wanted), None)
    if enough is None:
        return f"better than best of {max(curve)} at any size"
    if enough == 1:
        return "no better than one draw"
    return f"equals best of {enough}; worth it from {math.ceil(tuned['calls'] / (enough - 1))} rows on"


if __name__ == "__main__":
    main()
