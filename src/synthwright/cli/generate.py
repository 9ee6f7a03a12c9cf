"""The verb that makes a dataset."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, err, out, print_json
from synthwright.cli.arguments import dashed, make_generator, make_lms, read_prices, read_seeds
from synthwright.cli.config import Config, config_text
from synthwright.cli.options import (
    ApiBase,
    AsJson,
    Concurrency,
    Method,
    Model,
    Preset,
    Prompts,
    Quiet,
    Roles,
    SetArguments,
    Task,
)
from synthwright.progress import ProgressView, print_run

__all__ = ["CONFIG", "generate"]

CONFIG = "config.yaml"
"""File in a run directory with the options that made it: `synthwright generate --config` takes it as it is."""


@app.command(epilog=EXIT_CODES)
def generate(
    context: typer.Context,
    method: Method,
    n: Annotated[int | None, typer.Option("-n", metavar="ROWS", help="Rows wanted (default 10).")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Run directory (runs/METHOD).")] = None,
    lm: Model = None,
    api_base: ApiBase = None,
    role: Roles = None,
    concurrency: Concurrency = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the run.")] = 0,
    preset: Preset = "practical",
    task: Task = None,
    seeds: Annotated[Path | None, typer.Option(metavar="FILE", help="Seeds as JSONL, or one text a line.")] = None,
    set_: SetArguments = None,
    max_calls: Annotated[int | None, typer.Option(metavar="N", help="Hard limit on LM calls.")] = None,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Hard limit on tokens, in and out.")] = None,
    max_usd: Annotated[float | None, typer.Option(metavar="USD", help="Hard limit on money; needs --price.")] = None,
    max_seconds: Annotated[float | None, typer.Option(metavar="S", help="Hard limit on wall time.")] = None,
    price: Annotated[
        list[str] | None, typer.Option(metavar="MODEL=IN,OUT", help="US dollars per million tokens. Repeatable.")
    ] = None,
    prompts: Prompts = None,
    demonstrations: Annotated[bool, typer.Option(help="Give the embedded LM the shipped demonstrations.")] = True,
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
    generator = make_generator(sw.get_generator(method), preset, task, set_, prompts)
    budget = sw.Budget(calls=max_calls, tokens=max_tokens, usd=max_usd, seconds=max_seconds)
    arguments: dict[str, Any] = {
        "n": 10 if n is None else n,
        "seeds": read_seeds(seeds, generator) if seeds else None,
        "out": out_dir,
        "lms": make_lms(lm, api_base, role),
        "seed": seed,
        "demonstrations": demonstrations,
        "concurrency": concurrency,
        "budget": budget,
        "prices": read_prices(price),
        "workers": workers,
        "journal": reuse or journal,
    }
    if dry_run is not None:
        return _forecast(sw.generate(generator, dry_run=dry_run, **arguments), as_json)
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


def _forecast(forecast: sw.Forecast, as_json: bool) -> None:
    if as_json:
        print_json(json.loads(json.dumps(asdict(forecast)).replace("Infinity", "null")))
    else:
        out.print(escape(str(forecast)))
        out.print("\nThe calls are recorded: the run itself does not make them again.", style="dim")


class Recording:
    """Hands the progress of a run on, and writes its resolved config beside it once the run is known to be this one."""

    def __init__(self, view: Callable[[sw.Progress], None], path: Path, text: str) -> None:
        self.view, self.path, self.text = view, path, text
        self._written = False

    def __call__(self, state: sw.Progress) -> None:
        if not self._written:
            self._written = True
            with suppress(OSError):  # the run itself says what is wrong with its directory
                self.path.write_text(self.text, encoding="utf-8")
        self.view(state)
