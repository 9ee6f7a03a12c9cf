"""The verbs that score and tune prompts: optimize, evaluate, compare."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, err, out, print_json
from synthwright.cli.arguments import dashed, make_generator, make_lm, make_lms, read_seeds
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
from synthwright.errors import ConfigError
from synthwright.optimizers import compare as compare_prompts
from synthwright.optimizers import evaluate as evaluate_generator
from synthwright.progress import ProgressView

__all__ = ["compare", "evaluate", "optimize"]

Draws = Annotated[int, typer.Option("--draws", "-k", metavar="K", help="Draws a seed when scores are taken.")]
Seeds = Annotated[Path | None, typer.Option(metavar="FILE", help="Seeds as JSONL; the method's test seeds without.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Random seed.")]
MaxCalls = Annotated[int | None, typer.Option(metavar="N", help="Hard limit on LM calls.")]
Demonstrations = Annotated[bool, typer.Option(help="Give the embedded LM the shipped demonstrations.")]


@app.command(epilog=EXIT_CODES)
def optimize(
    method: Method,
    budget: Annotated[int, typer.Option(metavar="CALLS", help="LM calls in all, kept strictly.")] = 400,
    optimizer: Annotated[
        str, typer.Option(help="auto, bootstrap (demonstrations), gepa (instructions), miprov2, simba or copro.")
    ] = "auto",
    reflection_lm: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Strong LM that writes instructions; gepa needs one.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(metavar="PREDICTOR", help="What to tune. Repeatable.")] = None,
    draws: Draws = 2,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to save (runs/METHOD-tuned).")
    ] = None,
    lm: Model = None,
    api_base: ApiBase = None,
    role: Roles = None,
    concurrency: Concurrency = None,
    seed: Seed = 0,
    preset: Preset = "practical",
    task: Task = None,
    set_: SetArguments = None,
    prompts: Prompts = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tune the prompts of a method for your LM, and measure the gain on seeds that the search never saw.

    Ctrl-C ends the search and measures the best until then; a second one leaves. The same command again goes on.

    Example: synthwright optimize evol-instruct --budget 300, then
    synthwright generate evol-instruct --prompts runs/evol-instruct-tuned/prompts.json
    """
    cls = sw.get_generator(method)
    generator = make_generator(cls, preset, task, set_, prompts)
    directory = out_dir or Path("runs") / f"{dashed(cls)}-tuned"
    with ProgressView(err, quiet=quiet) as view:
        tuned = sw.optimize(
            generator,
            optimizer=optimizer,  # pyright: ignore[reportArgumentType]  optimize() names the known ones
            budget=budget,
            lms=make_lms(lm, api_base, role),
            reflection_lm=make_lm(reflection_lm, api_base) if reflection_lm else None,
            targets=target,
            draws=draws,
            seed=seed,
            concurrency=concurrency,
            out=directory,
            progress=view,
        )
    if not quiet:
        out.print(escape(tuned.report()))
        out.print(f"\nPrompts: {directory / 'prompts.json'}  (synthwright generate {dashed(cls)} --prompts FILE)")
        out.print(f"Report:  {directory / 'report.html'}")
    print_json({**tuned.as_dict(), "out": str(directory)}, as_json)
    if tuned.interrupted:
        raise typer.Exit(130)


@app.command(epilog=EXIT_CODES)
def evaluate(
    method: Method,
    prompts: Prompts = None,
    seeds: Seeds = None,
    draws: Draws = 2,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to save; nowhere without.")
    ] = None,
    lm: Model = None,
    api_base: ApiBase = None,
    role: Roles = None,
    concurrency: Concurrency = None,
    seed: Seed = 0,
    preset: Preset = "practical",
    task: Task = None,
    set_: SetArguments = None,
    demonstrations: Demonstrations = True,
    max_calls: MaxCalls = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score a method on its test seeds with its metric and its held-out check, without tuning anything.

    Example: synthwright evaluate evol-instruct --prompts runs/evol-instruct-tuned/prompts.json --lm openai/gpt-4o-mini
    """
    generator = make_generator(sw.get_generator(method), preset, task, set_, prompts)
    with ProgressView(err, quiet=quiet) as view:
        found = evaluate_generator(
            generator,
            seeds=read_seeds(seeds, generator) if seeds else None,
            k=draws,
            lms=make_lms(lm, api_base, role),
            demonstrations=demonstrations,
            budget=max_calls,
            seed=seed,
            concurrency=concurrency,
            out=out_dir,
            progress=view,
        )
    if not quiet:
        out.print(escape(found.report()), soft_wrap=True)
    print_json(found.as_dict(), as_json)


@app.command(epilog=EXIT_CODES)
def compare(
    method: Method,
    prompts: Annotated[
        list[Path], typer.Argument(metavar="FILE [FILE]", help="Tuned prompts; one file is compared with none.")
    ],
    seeds: Seeds = None,
    draws: Draws = 2,
    lm: Model = None,
    api_base: ApiBase = None,
    role: Roles = None,
    concurrency: Concurrency = None,
    seed: Seed = 0,
    preset: Preset = "practical",
    task: Task = None,
    set_: SetArguments = None,
    demonstrations: Demonstrations = True,
    max_calls: Annotated[int | None, typer.Option(metavar="N", help="Hard limit on LM calls of each side.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare two files of prompts, or one with the method as it is, on the same seeds and draws.

    Example: synthwright compare evol-instruct runs/a/prompts.json runs/b/prompts.json
    """
    if len(prompts) > 2:
        raise ConfigError(f"Compare one or two files of prompts, got {len(prompts)}.")
    generator = make_generator(sw.get_generator(method), preset, task, set_, None)
    sides: list[Any] = [generator, *prompts] if len(prompts) == 1 else list(prompts)
    with ProgressView(err, quiet=quiet) as view:
        found = compare_prompts(
            sides[0],
            sides[1],
            generator=generator,
            seed=seed,
            seeds=read_seeds(seeds, generator) if seeds else None,
            k=draws,
            lms=make_lms(lm, api_base, role),
            demonstrations=demonstrations,
            budget=max_calls,
            concurrency=concurrency,
            progress=view,
        )
    if not quiet:
        out.print(escape(found.report()), soft_wrap=True)
    print_json(found.as_dict(), as_json)
