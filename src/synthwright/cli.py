"""The command line: every verb is a function of the library."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import dspy
import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import synthwright as sw
from synthwright.errors import (
    ConfigError,
    ModelFileError,
    RunMismatchError,
    StoreError,
    SynthwrightError,
    UnusableLMError,
)
from synthwright.lms import weights
from synthwright.lms.adapters import type_name
from synthwright.lms.embeddings import pull_embedder
from synthwright.optimizers.seeds import shipped_metrics, shipped_seeds
from synthwright.programs.base import Generator, read_jsonl
from synthwright.programs.fidelity import fidelity_card
from synthwright.programs.prompts import signature_of
from synthwright.progress import ProgressView, print_run

__all__ = ["app", "main"]

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
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
lm_app = typer.Typer(
    help="The embedded language model: where its weights are, and fetching them.", no_args_is_help=True
)
app.add_typer(lm_app, name="lm")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Method = Annotated[str, typer.Argument(help="Name of a method, as in `synthwright list`.", metavar="METHOD")]
Preset = Annotated[str, typer.Option(help="faithful: the paper's numbers. practical: plus our validity checks.")]
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


@app.command("list")
def list_methods(as_json: AsJson = False) -> None:
    """The methods that exist."""
    methods = sw.list_generators()
    if as_json:
        out.print_json(json.dumps([{"method": _dashed(m), "summary": _summary(m)} for m in methods]))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("method", style="bold")
    table.add_column("what it does")
    for method in methods:
        table.add_row(_dashed(method), escape(_summary(method)))
    out.print(table)
    out.print("\nMore: synthwright show METHOD")


@app.command()
def show(
    method: Method,
    preset: Preset = "practical",
    task: Task = None,
    set_: SetArguments = None,
    fidelity: Annotated[bool, typer.Option(help="Show each step of the paper, its code and tests instead.")] = False,
) -> None:
    """What a method does: its arguments beside the paper's, its LM roles, its filters and its prompts."""
    cls = sw.get_generator(method)
    if fidelity:
        return _show_fidelity(cls)
    generator = _generator(cls, preset, task, set_, None)
    out.print(f"[bold]{cls.__name__}[/bold]  {escape(_summary(cls))}\n")
    columns = {name: cls.preset(name).params() for name in ("faithful", "practical") if name in cls.presets}
    shown = generator.params()
    if not columns or shown not in columns.values():
        columns["here"] = shown
    table = Table(title="Arguments", title_justify="left", box=None, pad_edge=False)
    for column in ("", *columns):
        table.add_column(column, overflow="fold")
    for name in shown:
        table.add_row(name, *(escape(_brief(values[name])) for values in columns.values()))
    out.print(table)
    out.print("\n[bold]Filters[/bold], in order")
    for test in generator.filters:
        out.print(f"  {escape(_brief(test, 110))}")
    for kind, tests in generator.artifact_filters.items():
        for test in tests:
            out.print(f"  of {kind.__name__} artifacts: {escape(_brief(test, 90))}")
    targets = generator.target_predictors()
    for name, predictor in generator.all_predictors().items():
        signature = signature_of(predictor)
        tuned = "tuned by optimizers" if name in targets else "frozen"
        out.print(f"\n[bold]{name}[/bold]  role {generator.role_of(name)}, {tuned}")
        for kind, fields in (("in", signature.input_fields), ("out", signature.output_fields)):
            text = ", ".join(f"{field}: {type_name(info.annotation)}" for field, info in fields.items())
            out.print(f"  {kind:<4}{escape(text)}")
        for line in signature.instructions.splitlines():
            out.print(f"  | {escape(line)}".rstrip())
    metric, held_out = shipped_metrics(generator)
    if metric is not None and held_out is not None:
        counts = {name: len(examples) for name, examples in shipped_seeds(generator).items()}
        out.print(f"\n[bold]Tuning[/bold]  metric {metric.__name__}, held out {held_out.__name__}, seeds {counts}")


def _show_fidelity(cls: type[sw.Generator[Any]]) -> None:
    card = fidelity_card(cls)
    out.print(f"[bold]{cls.__name__}[/bold]  {escape(card.source)}\n")
    for step in card.steps:
        out.print(f"[bold]{escape(step.step):>3}[/bold]  {escape(step.paper)}")
        for label, names in (("code", step.code), ("tests", step.tests)):
            out.print(f"     [dim]{label:<6}{escape(', '.join(names))}[/dim]")
    out.print("\n[bold]Deviations[/bold]")
    for deviation in card.deviations:
        switch = f" [dim]({escape(deviation.argument)})[/dim]" if deviation.argument else ""
        out.print(f"  {escape(deviation.what)}{switch}\n    {escape(deviation.why)}")


@app.command(epilog=EXIT_CODES)
def generate(
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
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a dataset. The same command again goes on where it stopped, or shows what is there.

    Example: synthwright generate evol-instruct -n 20 --out runs/evol
    """
    generator = _generator(sw.get_generator(method), preset, task, set_, prompts)
    budget = sw.Budget(calls=max_calls, tokens=max_tokens, usd=max_usd, seconds=max_seconds)
    arguments: dict[str, Any] = {
        "n": 10 if n is None else n,
        "seeds": _seeds(seeds, generator) if seeds else None,
        "out": out_dir,
        "lms": _lms(lm, api_base, role),
        "seed": seed,
        "demonstrations": demonstrations,
        "concurrency": concurrency,
        "budget": budget,
        "prices": _prices(price),
        "workers": workers,
        "journal": reuse or journal,
    }
    if dry_run is not None:
        return _forecast(sw.generate(generator, dry_run=dry_run, **arguments), as_json)
    with ProgressView(err, quiet=quiet) as view:
        run = sw.generate(generator, **arguments, progress=view, dry_run=None)
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
        print(json.dumps(summary, ensure_ascii=False), flush=True)  # noqa: T201  rich would wrap the line
    if run.interrupted:
        raise typer.Exit(130)
    if not run.complete:
        raise typer.Exit(5)


def _forecast(forecast: sw.Forecast, as_json: bool) -> None:
    if as_json:
        text = json.dumps(asdict(forecast)).replace("Infinity", "null")
        print(text, flush=True)  # noqa: T201  rich would wrap the line
    else:
        out.print(escape(str(forecast)))
        out.print("\nThe calls are recorded: the run itself does not make them again.", style="dim")


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
    generator = _generator(cls, preset, task, set_, prompts)
    directory = out_dir or Path("runs") / f"{_dashed(cls)}-tuned"
    with ProgressView(err, quiet=quiet) as view:
        tuned = sw.optimize(
            generator,
            optimizer=optimizer,  # pyright: ignore[reportArgumentType]  optimize() names the known ones
            budget=budget,
            lms=_lms(lm, api_base, role),
            reflection_lm=_lm(reflection_lm, api_base) if reflection_lm else None,
            targets=target,
            draws=draws,
            seed=seed,
            concurrency=concurrency,
            out=directory,
            progress=view,
        )
    if not quiet:
        out.print(escape(tuned.report()))
        out.print(f"\nPrompts: {directory / 'prompts.json'}  (synthwright generate {_dashed(cls)} --prompts FILE)")
    if as_json:
        print(json.dumps({**tuned.as_dict(), "out": str(directory)}), flush=True)  # noqa: T201  rich would wrap the line


@app.command(epilog=EXIT_CODES)
def export(
    run: Annotated[Path, typer.Argument(help="Directory of a run, such as runs/evol_instruct.", metavar="RUN")],
    format_: Annotated[
        str,
        typer.Option("--format", help="messages, sft, preference, unpaired, prompt-only, text, alpaca, sharegpt, raw."),
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

    Example: synthwright export runs/evol_instruct --format messages --to data/evol --test 0.1
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
    if as_json:
        print(json.dumps(done.as_dict(), ensure_ascii=False), flush=True)  # noqa: T201  rich would wrap the line


@lm_app.command("status")
def lm_status() -> None:
    """Where the weights of the embedded LM are, without fetching anything."""
    found = weights.find()
    if found is None:
        out.print(f"No weights on this machine. {weights.HOW_TO_GET}")
        raise typer.Exit(3)
    weights.verify(found.path)
    out.print(f"{found.path}  ({found.path.stat().st_size / 1e6:.0f} MB, from {found.source}, content checked)")


@lm_app.command("pull")
def lm_pull(
    force: Annotated[bool, typer.Option(help="Fetch again even if they are there.")] = False,
    embedder: Annotated[bool, typer.Option(help="Fetch the embedding model (MiniLM, 23 MB) as well.")] = False,
) -> None:
    """Fetch the weights of the embedded LM (SmolLM2-135M-Instruct, Apache-2.0, 93 MB) if they are not here."""
    if embedder:
        for path in pull_embedder(force=force):
            out.print(f"{path}  ({path.stat().st_size / 1e6:.0f} MB, content checked)")
    found = weights.pull(force=force)
    out.print(f"{found.path}  ({found.path.stat().st_size / 1e6:.0f} MB, from {found.source}, content checked)")


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


def _generator(
    cls: type[Generator[Any]], preset: str, task: Path | None, settings: list[str] | None, prompts: Path | None
) -> Generator[Any]:
    arguments: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write NAME=VALUE, such as --set rounds=2.")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {setting!r}: the value is not valid YAML.") from error
        arguments[name.strip().replace("-", "_")] = tuple(parsed) if isinstance(parsed, list) else parsed
    if task is not None:
        if "task" not in cls.preset(preset).params():
            raise ConfigError(f"{cls.__name__} takes no task file; `--task` is for methods such as targen.")
        arguments["task"] = task
    generator = cls.preset(preset, **arguments)
    if prompts is not None:
        generator.load_prompts(prompts)
    return generator


def _lm(model: str, api_base: str | None) -> dspy.LM:
    if model == "embedded":
        return sw.embedded_lm()
    if api_base:
        return sw.openai_lm(model, api_base)
    if "/" not in model:
        raise ConfigError(
            f"--lm {model!r}: write `embedded`, PROVIDER/MODEL such as openai/gpt-4o-mini, or add --api-base URL for "
            "your own server."
        )
    return dspy.LM(model, cache=False, temperature=1.0, max_tokens=2048)


def _lms(model: str | None, api_base: str | None, roles: list[str] | None) -> dict[str, dspy.LM] | None:
    if api_base and model is None and not roles:
        raise ConfigError("--api-base needs --lm MODEL: the name of the model that the server serves.")
    lms = {"generator": _lm(model, api_base)} if model else {}
    for entry in roles or []:
        role, equals, name = entry.partition("=")
        if not equals:
            raise ConfigError(f"--role {entry!r}: write ROLE=MODEL, such as --role judge=openai/gpt-4o-mini.")
        lms[role] = _lm(name, api_base)
    return lms or None


def _prices(entries: list[str] | None) -> dict[str, sw.Price] | None:
    prices = {}
    for entry in entries or []:
        model, _, numbers = entry.rpartition("=")
        try:
            into, _, outof = numbers.partition(",")
            prices[model] = sw.Price(float(into), float(outof))
        except ValueError as error:
            raise ConfigError(f"--price {entry!r}: write MODEL=IN,OUT in US dollars per million tokens.") from error
    return prices or None


def _seeds(path: Path, generator: Generator[Any]) -> list[dict[str, Any]]:
    """Seeds from JSONL, or a text file with one value of the generator's first field on each line."""
    if path.suffix in (".jsonl", ".json", ".ndjson"):
        return list(read_jsonl(path))
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the seeds {str(path)!r}: {error}") from error
    fields = generator.seed_fields()
    if not fields:
        raise ConfigError(f"{type(generator).__name__} takes no plain text seeds; use a .jsonl file.")
    return [{fields[0]: line} for line in lines]


def _dashed(cls: type[Generator[Any]]) -> str:
    return cls.stem().replace("_", "-")


def _summary(cls: type[Generator[Any]]) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def _brief(value: Any, width: int = 60) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."
