"""The verbs that score and tune prompts."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, err, out, print_json
from synthwright.cli.arguments import dashed, make_generator, make_lm, make_lms
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
from synthwright.progress import ProgressView

__all__ = ["optimize"]


@app.command(epilog=EXIT_CODES)
def optimize(
    method: Method,
    budget: Annotated[int, typer.Option(metavar="CALLS", help="LM calls in all, kept strictly.")] = 400,
    optimizer: Annotated[str, typer.Option(help="auto, bootstrap (demonstrations) or gepa (instructions).")] = "auto",
    reflection_lm: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Strong LM that GEPA reflects with.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(metavar="PREDICTOR", help="What to tune. Repeatable.")] = None,
    draws: Annotated[int, typer.Option(metavar="K", help="Draws a seed when scores are taken.")] = 2,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to save (runs/METHOD-tuned).")
    ] = None,
    lm: Model = None,
    api_base: ApiBase = None,
    role: Roles = None,
    concurrency: Concurrency = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed.")] = 0,
    preset: Preset = "practical",
    task: Task = None,
    set_: SetArguments = None,
    prompts: Prompts = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tune the prompts of a method for your LM, and measure the gain on seeds that the search never saw.

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
    print_json({**tuned.as_dict(), "out": str(directory)}, as_json)
