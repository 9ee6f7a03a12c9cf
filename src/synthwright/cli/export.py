"""The verb that hands a dataset on."""

from typing import Annotated

import typer
from rich.markup import escape

import synthwright as sw
from synthwright.cli.app import EXIT_CODES, app, out, print_json
from synthwright.cli.complete import complete_format
from synthwright.cli.options import AsJson, Quiet, RunDirectory

__all__ = ["export"]


@app.command(epilog=EXIT_CODES)
def export(
    run: RunDirectory,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="messages, sft, preference, unpaired, prompt-only, text, alpaca, sharegpt, raw.",
            autocompletion=complete_format,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="TARGET", help="A .jsonl, .parquet or .csv file; a directory, with a card; hub:OWNER/NAME."
        ),
    ],
    test: Annotated[float | None, typer.Option(metavar="SHARE", help="Share of a test set, split by lineage.")] = None,
    standard: Annotated[bool, typer.Option("--standard", help="Plain text instead of lists of messages.")] = False,
    column: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="A field to keep. Repeatable.")] = None,
    kind: Annotated[str | None, typer.Option(help="Files in a directory: parquet (default), jsonl or csv.")] = None,
    license_: Annotated[
        str | None, typer.Option("--license", metavar="ID", help="Licence for the card, such as cc-by-4.0.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Make a new dataset on the hub public.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the test set.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the rows of a run in a form that trainers read. Rows that have no such form are counted.

    Example: synthwright export runs/evol-instruct --format messages --to data/evol --test 0.1
    """
    done = sw.load_run(run).export(
        format_,
        to,
        test=test,
        standard=standard,
        columns=column or (),
        kind=kind,
        license=license_,
        public=public,
        seed=seed,
    )
    if not quiet:
        out.print(escape(str(done)), soft_wrap=True)
    print_json(done.as_dict(), as_json)
