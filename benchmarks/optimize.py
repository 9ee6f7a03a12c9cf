"""Tune the predictors of every generator on the embedded LM, and measure what it gave on seeds never seen.

For each method one run of `optimize` with a fixed small budget, beside the demonstrations that the method ships, alone.
Runs are kept in `runs/optimize/METHOD`: one that is interrupted goes on where it stopped, one that is finished is not
made again. Results go to `benchmarks/results/optimize.md`, and the tuned prompts beside it.

Usage: python benchmarks/optimize.py [--methods evol_instruct,targen] [--budget 160] [--fresh]
"""

import argparse
import json
import re
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import dspy
from optimize_settings import EXPLANATIONS, SETTINGS, Setting

import synthwright as sw
from synthwright.optimizers import compare, evaluate
from synthwright.optimizers.optimize import PROBED
from synthwright.optimizers.scoring import seed_key
from synthwright.optimizers.seeds import shipped_metrics, shipped_seeds
from synthwright.optimizers.session import open_session
from synthwright.optimizers.stats import Difference

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "optimize"
RESULTS = ROOT / "benchmarks" / "results"
TABLE = RESULTS / "optimize.md"
BUDGET = 160
CONCURRENCY = 2
SEEDS = 72
"""Seeds that a budget should be able to score: 12 to test on, twice, 6 to compare on, and the search."""
MOST = 600
"""LM calls that one method may take."""


def main() -> None:
    methods = {cls.stem(): cls for cls in sw.list_generators()}
    parser = argparse.ArgumentParser(description="Tune every generator on the embedded LM.")
    parser.add_argument("--methods", help="comma-separated; all by default")
    parser.add_argument("--budget", type=int, default=BUDGET, help="LM calls of one search with its proof")
    parser.add_argument("--fresh", action="store_true", help="throw away what earlier runs of these methods left")
    options = parser.parse_args()
    for name in options.methods.split(",") if options.methods else methods:
        name = name.strip().replace("-", "_")
        if options.fresh:
            shutil.rmtree(RUNS / name, ignore_errors=True)
        if not (RUNS / name / "result.json").is_file():
            try:
                tune(methods[name], SETTINGS.get(name, Setting()), options.budget)
            except Exception as error:  # one method that fails must not end the others
                traceback.print_exc()
                record = {"method": name, "error": f"{type(error).__name__}: {error}"}
                (RUNS / name).mkdir(parents=True, exist_ok=True)
                (RUNS / name / "failure.json").write_text(json.dumps(record))
        write_table()


def tune(cls: type[sw.Generator[Any]], setting: Setting, budget: int) -> None:
    name, started = cls.stem(), time.monotonic()
    out = RUNS / name
    generator = cls(**setting.arguments)
    if shipped_metrics(generator)[0] is None:
        raise ValueError(f"{name} ships no metric")
    split = seeds_of(generator, setting)
    budget = setting.budget or enough(generator, setting, split["test"], out, budget)
    tuned = sw.optimize(
        generator,
        trainset=split["train"],
        valset=split["val"],
        testset=split["test"],
        optimizer="bootstrap",
        budget=budget,
        targets=setting.targets,
        draws=setting.draws,
        concurrency=CONCURRENCY,
        out=out,
        progress=lambda state: print(name, state, flush=True),
    )
    print(tuned.report(), flush=True)
    shipped = evaluate(
        generator,
        seeds=split["test"][: len(tuned.proof.a.seeds)],
        k=setting.draws,
        concurrency=CONCURRENCY,
        out=out / "shipped",
    )
    over = compare(shipped, tuned.proof.b)
    (out / "failure.json").unlink(missing_ok=True)
    record = {
        **tuned.as_dict(),
        "targets": list(tuned.best.prompts),
        "setting": setting.why,
        "shipped": {"metric": shipped.metric.value, "held_out": shipped.held_out and shipped.held_out.value},
        "over_shipped": _plain(over.metric),
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    (out / "result.json").write_text(json.dumps(record, indent=2) + "\n")


def enough(generator: sw.Generator[Any], setting: Setting, test: list[dspy.Example], out: Path, budget: int) -> int:
    """The budget, or a larger one for a method without a small setting, whose draws take several calls."""
    with open_session(
        generator, None, concurrency=CONCURRENCY, out=out, bare=list(_targets(generator, setting))
    ) as one:
        metric, _ = shipped_metrics(generator)
        assert metric is not None
        one.prove(test[:PROBED], metric, setting.draws)  # recorded: `optimize` does not pay it again
        cost = -(-one.spent // min(PROBED, len(test)))
    if cost * SEEDS > MOST:
        raise ValueError(
            f"one seed takes {cost} calls, so that {SEEDS} seeds take more than {MOST}: "
            "give the method a small setting in optimize_settings.py"
        )
    return max(budget, cost * SEEDS)


def _targets(generator: sw.Generator[Any], setting: Setting) -> Any:
    return setting.targets or generator.target_predictors()


def seeds_of(generator: sw.Generator[Any], setting: Setting) -> dict[str, list[dspy.Example]]:
    """The shipped seeds that the setting uses, by set."""
    shipped = shipped_seeds(generator).items()
    used = {kind: [_set(seed, setting) for seed in found if setting.seeds(seed)] for kind, found in shipped}
    # replaced inputs can make two seeds one, whose draws would be the same
    return {kind: list({seed_key(seed): seed for seed in seeds}.values()) for kind, seeds in used.items()}


def _set(seed: dspy.Example, setting: Setting) -> dspy.Example:
    """The seed with the inputs that the setting replaces."""
    changed = {**dict(seed), **setting.inputs}
    return dspy.Example(**changed).with_inputs(*{*seed.inputs(), *setting.inputs})


def _plain(difference: Difference) -> dict[str, float]:
    return {name: getattr(difference, name) for name in ("before", "after", "low", "high")}


def write_table() -> None:
    """Write the results of all runs there are, and the tuned prompts beside them."""
    prompts = RESULTS / "optimize"
    prompts.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Prompts tuned on the embedded LM",
        "",
        "`python benchmarks/optimize.py`: SmolLM2-135M-Instruct, demonstration search (`bootstrap`), a small setting "
        "of each method so that a draw costs few calls (`benchmarks/optimize_settings.py`), two CPU cores shared with "
        "other work. All scores are means over test seeds that the search never saw, on the same draws. `zero-shot` "
        "has no demonstrations; `shipped` has the ones that the method ships for weak LMs, written by hand, which the "
        "search may choose as well; `tuned` is what it chose. Where it chose the shipped ones, the two columns differ "
        "only by how llama.cpp decodes requests together. The interval is that of tuned minus zero-shot (paired "
        "bootstrap, 95 %). The held-out check was never optimized. Calls are those of search and proof together.",
        "",
        "| method | tuned | metric: zero-shot | shipped | tuned | interval of the gain | tuned minus shipped | "
        "held-out check: before | after | interval | calls | minutes |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    table, notes = _published()
    for folder in sorted(RUNS.glob("*")):
        file = next((folder / f for f in ("result.json", "failure.json") if (folder / f).is_file()), None)
        if file is None:
            continue
        record = json.loads(file.read_text())
        name = record["method"]
        if "error" in record:
            table[name] = f"| {name} | failed: {record['error'][:160]} |" + " |" * 10
            notes[name] = f"- `{name}`: {EXPLANATIONS.get(name, 'failed.')}"
            continue
        table[name] = _line(record)
        shutil.copy(folder / "prompts.json", prompts / f"{name}.prompts.json")
        how = f"{record['setting']}; best candidate: {record['best']}; metric `{record['metric']['name']}`, held out "
        explained = f" {EXPLANATIONS[name]}" if name in EXPLANATIONS else ""
        notes[name] = f"- `{name}`: {how}`{record['held_out'] and record['held_out']['name']}`.{explained}"
    lines += [table[name] for name in sorted(table)]
    lines += ["", *(notes[name] for name in sorted(notes))]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _published() -> tuple[dict[str, str], dict[str, str]]:
    """Line and note of each method in the table as it is: a run of some methods leaves those of the others."""
    text = TABLE.read_text(encoding="utf-8") if TABLE.is_file() else ""
    table = {m.group(1): m.group() for m in re.finditer(r"^\| (\w+) \|.*$", text, re.M) if m.group(1) != "method"}
    return table, {m.group(1): m.group() for m in re.finditer(r"^- `(\w+)`: .*$", text, re.M)}


def _line(record: dict[str, Any]) -> str:
    metric, held_out, shipped, over = (record[key] for key in ("metric", "held_out", "shipped", "over_shipped"))
    cells = [
        record["method"],
        ", ".join(f"`{target}`" for target in record["targets"]),
        f"{metric['before']:.2f}",
        f"{shipped['metric']:.2f}",
        f"{metric['after']:.2f}",
        _interval(metric),
        f"{over['after'] - over['before']:+.2f} ({over['low']:+.2f} to {over['high']:+.2f})",
        f"{held_out['before']:.2f}" if held_out else "",
        f"{held_out['after']:.2f}" if held_out else "",
        _interval(held_out) if held_out else "",
        str(record["calls"]),
        str(record["minutes"]),
    ]
    return "| " + " | ".join(cells) + " |"


def _interval(values: dict[str, float]) -> str:
    text = f"{values['low']:+.2f} to {values['high']:+.2f}"
    return text if values["low"] > 0 or values["high"] < 0 else f"{text}: no measurable gain"


if __name__ == "__main__":
    main()
