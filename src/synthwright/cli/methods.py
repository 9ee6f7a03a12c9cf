"""The verbs about methods: which there are, and what one does."""

import json
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

import synthwright as sw
from synthwright.cli.app import app, out, print_json
from synthwright.cli.arguments import brief, dashed, read_prices, summary_of
from synthwright.cli.estimate import Estimate, estimate
from synthwright.cli.options import AsJson, Method, Prices, Program, grouped
from synthwright.errors import ConfigError
from synthwright.lms.adapters import type_name
from synthwright.optimizers.seeds import shipped_metrics, shipped_seeds
from synthwright.programs.base import Generator
from synthwright.programs.fidelity import Card, fidelity_card
from synthwright.programs.prompts import signature_of
from synthwright.runs.record import jsonable

__all__ = ["list_methods", "show"]


@app.command("list")
def list_methods(as_json: AsJson = False) -> None:
    """The methods that exist."""
    methods = sw.list_generators()
    if as_json:
        return print_json([{"method": dashed(m), "summary": summary_of(m)} for m in methods])
    table = Table(box=None, pad_edge=False)
    table.add_column("method", style="bold")
    table.add_column("what it does")
    for method in methods:
        table.add_row(dashed(method), escape(summary_of(method)))
    out.print(table)
    out.print("\nMore: synthwright show METHOD")


@app.command()
@grouped
def show(
    method: Method,
    program: Program,
    rows: Annotated[int | None, typer.Option(metavar="N", min=1, help="Say what N rows would cost.")] = None,
    price: Prices = None,
    fidelity: Annotated[bool, typer.Option(help="Show each step of the paper, its code and tests instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """What a method does: its steps, its arguments beside the paper's, its LM roles, filters, prompts and cost."""
    cls = sw.get_generator(method)
    if fidelity and not as_json:
        return _print_fidelity(cls)
    generator = program.of(method)
    cost = estimate(cls, rows, prices=read_prices(price)) if rows is not None else None
    if as_json:
        return print_json(_record(cls, generator, cost))
    _print(cls, generator)
    if cost is not None:
        out.print(f"\n[bold]Cost of {cost.rows:,} rows[/bold]")
        _print_cost(cls, cost)


def _card(cls: type[Generator[Any]]) -> Card | None:
    with suppress(ConfigError):  # one of the user's own
        return fidelity_card(cls)
    return None


def _record(cls: type[Generator[Any]], generator: Generator[Any], cost: Estimate | None) -> dict[str, Any]:
    card = _card(cls)
    predictors = {
        name: {
            "role": generator.role_of(name),
            "tuned": name in generator.target_predictors(),
            "inputs": {n: type_name(info.annotation) for n, info in signature_of(predictor).input_fields.items()},
            "outputs": {n: type_name(info.annotation) for n, info in signature_of(predictor).output_fields.items()},
            "instructions": signature_of(predictor).instructions,
        }
        for name, predictor in generator.all_predictors().items()
    }
    record = {
        "method": dashed(cls),
        "summary": summary_of(cls),
        "source": card.source if card else None,
        "steps": [step.model_dump(mode="json") for step in card.steps] if card else [],
        "deviations": [deviation.model_dump(mode="json") for deviation in card.deviations] if card else [],
        "arguments": {name: jsonable(value) for name, value in generator.params().items()},
        "presets": {name: jsonable(params) for name, params in _presets(cls).items()},
        "roles": list(generator.all_roles()),
        "filters": [brief(test, 1000) for test in generator.filters],
        "predictors": predictors,
        "estimate": asdict(cost) if cost else None,
    }
    return json.loads(json.dumps(record, default=str))


def _presets(cls: type[Generator[Any]]) -> dict[str, dict[str, Any]]:
    return {name: cls.preset(name).params() for name in ("faithful", "practical") if name in cls.presets}


def _print(cls: type[Generator[Any]], generator: Generator[Any]) -> None:
    out.print(f"[bold]{cls.__name__}[/bold]  {escape(summary_of(cls))}")
    card = _card(cls)
    if card is not None:
        out.print(f"[dim]{escape(card.source)}[/dim]\n")
        steps = Table(title="Steps", title_justify="left", box=None, pad_edge=False, show_header=False)
        steps.add_column("step", style="bold", no_wrap=True)
        steps.add_column("what", overflow="fold")
        for step in card.steps:
            steps.add_row(escape(step.step), escape(brief(step.paper, 160)))
        out.print(steps)
    out.print()
    columns = _presets(cls)
    shown = generator.params()
    if not columns or shown not in columns.values():
        columns["here"] = shown
    table = Table(title="Arguments", title_justify="left", box=None, pad_edge=False)
    for column in ("", *columns):
        table.add_column(column, overflow="fold")
    for name in shown:
        table.add_row(name, *(escape(brief(values[name])) for values in columns.values()))
    out.print(table)
    out.print(f"\n[bold]LM roles[/bold]  {escape(', '.join(generator.all_roles()))}")
    out.print("\n[bold]Filters[/bold], in order")
    for test in generator.filters:
        out.print(f"  {escape(brief(test, 110))}")
    for kind, tests in generator.artifact_filters.items():
        for test in tests:
            out.print(f"  of {kind.__name__} artifacts: {escape(brief(test, 90))}")
    _print_prompts(generator)
    metric, held_out = shipped_metrics(generator)
    if metric is not None and held_out is not None:
        counts = {name: len(examples) for name, examples in shipped_seeds(generator).items()}
        out.print(f"\n[bold]Tuning[/bold]  metric {metric.__name__}, held out {held_out.__name__}, seeds {counts}")


def _print_prompts(generator: Generator[Any]) -> None:
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


def _print_cost(cls: type[Generator[Any]], cost: Estimate) -> None:
    if cost.calls is not None:
        parts = [f"about {cost.calls:,.0f} LM calls"]
        if cost.tokens is not None:
            parts.append(f"{cost.tokens:,.0f} tokens")
        if cost.usd is not None:
            parts.append(f"${cost.usd:,.2f}")
        out.print("  " + ", ".join(parts))
    out.print(f"  {escape(cost.source)}", soft_wrap=True)
    out.print(f"  For your LM: synthwright generate {dashed(cls)} -n {cost.rows} --lm ... --dry-run 5", soft_wrap=True)


def _print_fidelity(cls: type[Generator[Any]]) -> None:
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
