"""The verbs that score and tune prompts: optimize, evaluate, compare."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, err, out, print_json
from synthwright.cli.arguments import dashed, make_lm, read_prices
from synthwright.cli.config import Config
from synthwright.cli.kept import Recording, kept_options
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
    Scoring,
    grouped,
)
from synthwright.errors import ConfigError
from synthwright.optimizers import Comparison, Evaluation
from synthwright.progress import ProgressView

__all__ = ["compare", "evaluate", "optimize"]

Saved = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to save; nowhere without.")]


@app.command(epilog=EXIT_CODES)
@grouped
def optimize(
    context: typer.Context,
    method: Method,
    *,
    budget: Annotated[
        int | None,
        typer.Option(metavar="CALLS", help="LM calls in all, kept strictly; else 400, more for methods that need it."),
    ] = None,
    optimizer: Annotated[
        str, typer.Option(help="auto, bootstrap (demonstrations), gepa (instructions), miprov2, simba or copro.")
    ] = "auto",
    reflection_lm: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Strong LM that writes instructions; gepa needs one.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(metavar="PREDICTOR", help="What to tune. Repeatable.")] = None,
    scoring: Scoring,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to save (runs/METHOD-tuned).")
    ] = None,
    models: Models,
    program: Program,
    prompts: Prompts = None,
    price: Prices = None,
    config: Config = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tune the prompts of a method for your LM, and measure the gain on seeds that the search never saw.

    Ctrl-C ends the search and measures the best until then; a second one leaves. The same command again goes on.

    Example: synthwright optimize evol-instruct --budget 300, then
    synthwright generate evol-instruct --prompts runs/evol-instruct-tuned/prompts.json
    """
    generator = program.of(method, prompts)
    name = dashed(type(generator))
    directory = out_dir or Path("runs") / f"{name}-tuned"
    kept = kept_options(optimize, context.params, directory, "prompts.json")
    with ProgressView(err, quiet=quiet) as view:
        tuned = sw.optimize(
            generator,
            metric=scoring.read_metric(),
            trainset=scoring.read_seeds(generator),
            optimizer=optimizer,  # pyright: ignore[reportArgumentType]  optimize() names the known ones
            budget=budget,
            lms=models.by_role(),
            reflection_lm=make_lm(reflection_lm, models.api_base, "--reflection-lm") if reflection_lm else None,
            targets=target,
            draws=scoring.draws,
            seed=scoring.seed,
            concurrency=models.concurrency,
            prices=read_prices(price),
            out=directory,
            progress=Recording(view, *kept),
        )
    if not quiet:
        out.print(escape(tuned.report()), soft_wrap=True)
        out.print(f"\nPrompts: {directory / 'prompts.json'}  (synthwright generate {name} --prompts FILE)")
        out.print(f"Report:  {directory / 'report.html'}")
    print_json({**tuned.as_dict(), "out": str(directory)}, as_json)
    if tuned.interrupted:
        raise typer.Exit(130)


@app.command(epilog=EXIT_CODES)
@grouped
def evaluate(
    context: typer.Context,
    method: Method,
    *,
    prompts: Prompts = None,
    scoring: Scoring,
    out_dir: Saved = None,
    models: Models,
    program: Program,
    demonstrations: Demonstrations = True,
    max_calls: MaxCalls = None,
    price: Prices = None,
    config: Config = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score a method on its test seeds with its metric and its held-out check, without tuning anything.

    Example: synthwright evaluate evol-instruct --prompts runs/evol-instruct-tuned/prompts.json --lm openai/gpt-4o-mini
    """
    generator = program.of(method, prompts)
    kept = kept_options(evaluate, context.params, out_dir, "evaluation.json") if out_dir else None
    with ProgressView(err, quiet=quiet) as view:
        found = sw.evaluate(
            generator,
            **_arguments(generator, models, scoring),
            demonstrations=demonstrations,
            budget=max_calls,
            prices=read_prices(price),
            out=out_dir,
            progress=Recording(view, *kept) if kept else view,
        )
    _tell(found, out_dir, as_json, quiet)


@app.command(epilog=EXIT_CODES)
@grouped
def compare(
    context: typer.Context,
    method: Method,
    prompts: Annotated[
        list[Path], typer.Argument(metavar="FILE [FILE]", help="Tuned prompts; one file is compared with none.")
    ],
    *,
    scoring: Scoring,
    out_dir: Saved = None,
    models: Models,
    program: Program,
    demonstrations: Demonstrations = True,
    max_calls: MaxCalls = None,
    price: Prices = None,
    config: Config = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare two files of prompts, or one with the method as it is, on the same seeds and draws.

    Example: synthwright compare evol-instruct runs/a/prompts.json runs/b/prompts.json
    """
    if len(prompts) > 2:
        raise ConfigError(f"Compare one or two files of prompts, got {len(prompts)}.")
    generator = program.of(method)
    sides: list[Any] = [generator, *prompts] if len(prompts) == 1 else list(prompts)
    kept = kept_options(compare, context.params, out_dir, "comparison.json") if out_dir else None
    with ProgressView(err, quiet=quiet) as view:
        found = sw.compare(
            sides[0],
            sides[1],
            generator=generator,
            **_arguments(generator, models, scoring),
            demonstrations=demonstrations,
            budget=max_calls,
            prices=read_prices(price),
            out=out_dir,
            progress=Recording(view, *kept) if kept else view,
        )
    _tell(found, out_dir, as_json, quiet)


def _arguments(generator: sw.Generator[Any], models: Models, scoring: Scoring) -> dict[str, Any]:
    """What scores are taken with, as `evaluate` and `compare` of the library take it."""
    return {
        "metric": scoring.read_metric(),
        "seeds": scoring.read_seeds(generator),
        "k": scoring.draws,
        "seed": scoring.seed,
        "lms": models.by_role(),
        "concurrency": models.concurrency,
    }


def _tell(found: Evaluation | Comparison, saved: Path | None, as_json: bool, quiet: bool) -> None:
    if not quiet:
        out.print(escape(found.report()), soft_wrap=True)
        if saved:
            out.print(f"\nSaved in {saved}.", soft_wrap=True)
    print_json({**found.as_dict(), "out": str(saved) if saved else None}, as_json)
