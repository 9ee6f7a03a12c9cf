"""The verbs about run directories."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

import synthwright as sw
from synthwright.cli.app import app, out, print_json
from synthwright.cli.kept import CONFIG
from synthwright.cli.options import AsJson, Quiet, RunDirectory
from synthwright.errors import ConfigError
from synthwright.progress import print_run
from synthwright.runs.listing import RunInfo, find_runs, read_info

__all__ = ["list_runs", "show_run"]

runs_app = typer.Typer(help="Runs in a directory, and one of them in detail.", invoke_without_command=True)
app.add_typer(runs_app, name="runs")

Root = Annotated[Path, typer.Argument(metavar="DIR", help="Where to look.")]


@runs_app.callback()
def _without_verb(context: typer.Context, as_json: AsJson = False) -> None:
    """List the runs below `runs`, or do what the next word says."""
    if context.invoked_subcommand is None:
        list_runs(Path("runs"), as_json)


@runs_app.command("list")
def list_runs(root: Root = Path("runs"), as_json: AsJson = False) -> None:
    """The runs in a directory: method, rows, state, calls, size, age. A run that is going on can be seen too."""
    if not root.is_dir():
        raise ConfigError(f"There is no directory {str(root)!r}. `synthwright generate METHOD` makes runs/METHOD.")
    found = [read_info(path) for path in find_runs(root)]
    if as_json:
        return print_json([{**asdict(info), "path": str(info.path), "age": round(info.age)} for info in found])
    if not found:
        return out.print(f"No runs in {root}.")
    table = Table(box=None, pad_edge=False)
    for column, justify in (
        ("run", "left"), ("method", "left"), ("rows", "right"), ("state", "left"), ("calls", "right"),
        ("tokens", "right"), ("size", "right"), ("age", "right"),
    ):  # fmt: skip
        folded = column in ("run", "state")
        table.add_column(column, justify=justify, overflow="fold", no_wrap=not folded)  # pyright: ignore[reportArgumentType]
    for info in found:
        table.add_row(*map(escape, _cells(info)))
    # a pipe has no width: each run keeps to its line
    wide = Measurement.get(out, out.options.update(width=10_000), table).maximum
    (out if out.is_terminal else Console(highlight=False, width=wide)).print(table)


def _cells(info: RunInfo) -> tuple[str, ...]:
    rows = f"{info.rows:,}" + (f" of {info.target:,}" if info.target and info.target != info.rows else "")
    state = info.state + (f", {info.failed} seeds failed" if info.failed else "")
    size = f"{info.size / 1e6:,.1f} MB"
    return str(info.path), info.method, rows, state, f"{info.calls:,}", f"{info.tokens:,}", size, _age(info.age)


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@runs_app.command("show")
def show_run(
    run: RunDirectory,
    rows: Annotated[int, typer.Option(metavar="N", help="Rows that are printed.")] = 3,
    config_only: Annotated[
        bool, typer.Option("--config", help="Print only the options that made it, as a config file.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """What made a run, what it gave and what it cost.

    Example: synthwright runs show runs/evol-instruct --config > again.yaml
    """
    path = run / CONFIG
    text = path.read_text(encoding="utf-8") if path.is_file() else None
    if config_only:
        if text is None:
            raise ConfigError(f"{str(run)!r} has no {path.name}: it was not made by `synthwright generate`.")
        out.print(escape(text), end="", soft_wrap=True)
        return
    found = sw.load_run(run)
    config = found.config()
    if not quiet:
        print_run(out, found, rows=rows)
        out.print("\n[bold]What made it[/bold]")
        out.print(escape(_yaml(config)), soft_wrap=True, end="")
        if text is not None:
            out.print(f"\n[bold]Options[/bold], to be had again with --config {escape(str(path))}")
            out.print(escape(text), soft_wrap=True, end="")
    usage = {f"{role}/{predictor}": asdict(used) for (role, predictor), used in found.usage.items()}
    record = {
        "out": str(run), "method": found.method, "rows": len(found), "complete": found.complete,
        "running": found.running, "as_of": found.as_of and found.as_of.isoformat(timespec="seconds"),
        "funnel": found.funnel.as_dict(), "usage": usage, "config": config,
        "options": yaml.safe_load(text) if text is not None else None,
    }  # fmt: skip
    print_json(json.loads(json.dumps(record, default=str)), as_json)


def _yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
