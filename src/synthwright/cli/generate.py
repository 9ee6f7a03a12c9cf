"""The verb that makes a dataset."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, err, out, print_json
from synthwright.cli.arguments import dashed, read_prices, read_seeds
from synthwright.cli.config import Config, config_text
from synthwright.cli.kept import CONFIG, Recording
from synthwright.cli.options import (
    AsJson,
    Demonstrations,
    MaxCalls,
    Method,
    Models,
    Prices,
    Program,
    Prompts,
    Quiet,
    grouped,
)
from synthwright.progress import ProgressView, print_run

__all__ = ["generate"]


@app.command(epilog=EXIT_CODES)
@grouped
def generate(
    context: typer.Context,
    method: Method,
    *,
    n: Annotated[int | None, typer.Option("-n", metavar="ROWS", help="Rows wanted (default 10).")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Run directory (runs/METHOD).")] = None,
    models: Models,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the run.")] = 0,
    program: Program,
    seeds: Annotated[Path | None, typer.Option(metavar="FILE", help="Seeds as JSONL, or one text a line.")] = None,
    max_calls: MaxCalls = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Hard limit on tokens, in and out.")] = None,
    max_usd: Annotated[float | None, typer.Option(metavar="USD", help="Hard limit on money; needs --price.")] = None,
    max_seconds: Annotated[float | None, typer.Option(metavar="S", help="Hard limit on wall time.")] = None,
    price: Prices = None,
    prompts: Prompts = None,
    demonstrations: Demonstrations = True,
    dry_run: Annotated[
        int | None, typer.Option(metavar="SEEDS", help="Ask a few seeds, and say what the run would cost.")
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that make the calls.")] = 1,
    reuse: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Another run whose LM calls are not paid again.")
    ] = None,
    journal: Annotated[bool, typer.Option(help="Record every LM call in the run, to resume in the middle.")] = True,
    config: Config = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a dataset. The same command again goes on where it stopped, or shows what is there.

    Example: synthwright generate evol-instruct -n 20 --out runs/evol

    From a file: synthwright init evol-instruct, then synthwright generate --config evol-instruct.yaml
    """
    generator = program.of(method, prompts)
    budget = sw.Budget(calls=max_calls, tokens=max_tokens, usd=max_usd, seconds=max_seconds)
    arguments: dict[str, Any] = {
        "n": 10 if n is None else n,
        "seeds": read_seeds(seeds, generator) if seeds else None,
        "out": out_dir,
        "lms": models.by_role(),
        "seed": seed,
        "demonstrations": demonstrations,
        "concurrency": models.concurrency,
        "budget": budget,
        "prices": read_prices(price),
        "workers": workers,
        "journal": reuse or journal,
    }
    if dry_run is not None:
        with ProgressView(err, quiet=quiet) as view:
            forecast = sw.generate(generator, **arguments, progress=view, dry_run=dry_run)
        if not quiet:
            out.print(escape(str(forecast)))
            out.print("\nThe calls are recorded: the run itself does not make them again.", style="dim")
        return print_json(_finite(asdict(forecast)), as_json)
    directory = out_dir or Path("runs") / dashed(type(generator))
    with ProgressView(err, quiet=quiet) as view:
        progress = Recording(view, directory / CONFIG, config_text(generate, context.params))
        run = sw.generate(generator, **arguments, progress=progress, dry_run=None)
    usage = run.total_usage
    if not quiet:
        print_run(out, run)
    if as_json:
        rejected = Counter[str]()
        for _, reason, count in run.funnel.lost:
            rejected[reason] += count
        summary = {
            "method": run.method,
            "rows": len(run),
            "rejected": dict(rejected),
            "funnel": run.funnel.as_dict(),
            "calls": usage.calls,
            "tokens": usage.tokens,
            "usd": usage.usd,
            "seconds": round(run.seconds, 3),
            "stopped": run.stopped,
            "complete": run.complete,
            "out": str(run.out),
        }
        print_json(summary)
    if run.interrupted:
        raise typer.Exit(130)
    if not run.complete:
        raise typer.Exit(5)


def _finite(data: Any) -> Any:
    """JSON knows no infinity, which stands for what cannot be said."""
    return json.loads(json.dumps(data), parse_constant=lambda name: None)
