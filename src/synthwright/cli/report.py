"""The verb that writes the page of a run."""

from pathlib import Path
from typing import Annotated

import typer

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, out, print_json
from synthwright.cli.options import AsJson, Quiet, RunDirectory

__all__ = ["report"]


@app.command(epilog=EXIT_CODES)
def report(
    run: RunDirectory,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write (report.html in the run).")] = None,
    embed: Annotated[
        bool, typer.Option(help="Compare texts with the embedding model, if its files are here; else by their words.")
    ] = True,
    most: Annotated[int, typer.Option(metavar="ROWS", help="Rows that the page holds; of more, every k-th.")] = 100_000,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a page about a run: one HTML file with charts, rows, rejects and prompts that opens offline.

    Example: synthwright report runs/evol-instruct --open
    """
    found = sw.load_run(run)
    path = found.report(to, embed=embed, most=most)
    size = path.stat().st_size
    if not quiet:
        out.print(f"{path}  ({size / 1e6:.1f} MB)", soft_wrap=True)
        if found.as_of is not None:
            out.print(f"The run has not ended: the page shows what was there ({found.stopped}).", soft_wrap=True)
    print_json({"page": str(path), "bytes": size}, as_json)
    if open_:
        typer.launch(path.resolve().as_uri())
