"""Arguments and options that several verbs take."""

from pathlib import Path
from typing import Annotated

import typer

from synthwright.cli.complete import complete_method, complete_preset, complete_run

__all__ = [
    "ApiBase",
    "AsJson",
    "Concurrency",
    "Method",
    "Model",
    "Preset",
    "Prompts",
    "Quiet",
    "Roles",
    "RunDirectory",
    "SetArguments",
    "Task",
]

Method = Annotated[
    str,
    typer.Argument(
        help="Name of a method, as in `synthwright list`.", metavar="METHOD", autocompletion=complete_method
    ),
]
RunDirectory = Annotated[
    Path,
    typer.Argument(help="Directory of a run, such as runs/evol-instruct.", metavar="RUN", autocompletion=complete_run),
]
Preset = Annotated[
    str,
    typer.Option(
        help="faithful: the paper's numbers. practical: plus our validity checks.", autocompletion=complete_preset
    ),
]
Task = Annotated[Path | None, typer.Option(help="Task file (YAML) of a method that takes one, such as targen.")]
SetArguments = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An argument of the generator. Repeatable.")
]
Model = Annotated[
    str | None, typer.Option("--lm", metavar="MODEL", help="LM for all roles: embedded (default), or PROVIDER/MODEL.")
]
ApiBase = Annotated[
    str | None,
    typer.Option(metavar="URL", help="OpenAI-compatible endpoint of the models, such as http://host:8000/v1."),
]
Roles = Annotated[
    list[str] | None, typer.Option("--role", metavar="ROLE=MODEL", help="Another LM for one role. Repeatable.")
]
Concurrency = Annotated[int | None, typer.Option(metavar="N", help="Seeds worked on at a time.")]
Prompts = Annotated[Path | None, typer.Option(metavar="FILE", help="Tuned prompts, as `optimize` saves them.")]
AsJson = Annotated[bool, typer.Option("--json", help="End standard output with one line of JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")]
