"""The application that the verbs are added to, the two consoles, and the exit codes."""

import json
import sys
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from synthwright.errors import (
    ConfigError,
    ModelFileError,
    RunMismatchError,
    StoreError,
    SynthwrightError,
    UnusableLMError,
)

__all__ = ["EXIT_CODES", "app", "err", "main", "out", "print_json"]

EXIT_CODES = """Exit codes: 0 done; 1 an error in a program; 2 a wrong argument, file or directory of another run;
3 the LM cannot be reached or used, or its weights are missing; 4 the run directory cannot be written; 5 stopped by a
budget or without progress, run it again to go on; 130 interrupted, run it again to go on."""

app = typer.Typer(
    name="synthwright",
    help="Make training data with language models: published methods as programs whose prompts tune themselves.\n\n"
    "Start with:\n\n\b\n  synthwright list\n  synthwright show evol-instruct\n"
    "  synthwright generate evol-instruct -n 5\n\n"
    "Without --lm everything runs on a small embedded language model, offline.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(record: Any, wanted: bool = True) -> None:
    """End standard output with one line of JSON, if it is wanted."""
    if wanted:
        print(json.dumps(record, ensure_ascii=False), flush=True)  # noqa: T201  rich would wrap the line


def main() -> None:
    """Entry point: errors of ours become one message and an exit code."""
    codes = ((RunMismatchError, 2), (ConfigError, 2), (UnusableLMError, 3), (ModelFileError, 3), (StoreError, 4))
    try:
        app()
    except SynthwrightError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(next((code for kind, code in codes if isinstance(error, kind)), 1))
    except KeyboardInterrupt:
        err.print("interrupted; run the same command again to go on")
        sys.exit(130)
