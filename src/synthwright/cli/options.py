"""Arguments and options that several verbs take, alone and in groups."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import dspy
import typer

import synthwright as sw
from synthwright.cli.arguments import make_generator, make_lms, read_metric, read_seeds
from synthwright.cli.complete import complete_method, complete_preset, complete_run

__all__ = [
    "AsJson",
    "Demonstrations",
    "MaxCalls",
    "Method",
    "Models",
    "Preset",
    "Prices",
    "Program",
    "Prompts",
    "Quiet",
    "RunDirectory",
    "Scoring",
    "grouped",
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
Prompts = Annotated[Path | None, typer.Option(metavar="FILE", help="Tuned prompts, as `optimize` saves them.")]
AsJson = Annotated[bool, typer.Option("--json", help="End standard output with one line of JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")]
MaxCalls = Annotated[int | None, typer.Option(metavar="N", help="Hard limit on LM calls; of each side, if two.")]
Prices = Annotated[
    list[str] | None,
    typer.Option("--price", metavar="MODEL=IN,OUT", help="US dollars per million tokens. Repeatable."),
]
Demonstrations = Annotated[bool, typer.Option(help="Give the embedded LM the shipped demonstrations.")]


@dataclass(frozen=True)
class Program:
    """Which generator a method is."""

    preset: Preset = "practical"
    task: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Task file (YAML) of a method that takes one, such as targen.")
    ] = None
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An argument of the generator. Repeatable.")
    ] = None

    def of(self, method: str, prompts: Path | None = None) -> sw.Generator[Any]:
        """The generator of a method, with its prompts."""
        return make_generator(sw.get_generator(method), self.preset, self.task, self.set_, prompts)


@dataclass(frozen=True)
class Models:
    """Which LMs are asked, and by how many seeds at a time."""

    lm: Annotated[
        str | None,
        typer.Option("--lm", metavar="MODEL", help="LM for all roles: embedded (default), or PROVIDER/MODEL."),
    ] = None
    api_base: Annotated[
        str | None,
        typer.Option(metavar="URL", help="OpenAI-compatible endpoint of the models, such as http://host:8000/v1."),
    ] = None
    role: Annotated[
        list[str] | None, typer.Option(metavar="ROLE=MODEL", help="Another LM for one role. Repeatable.")
    ] = None
    concurrency: Annotated[int | None, typer.Option(metavar="N", help="Seeds worked on at a time.")] = None

    def by_role(self) -> dict[str, dspy.LM] | None:
        """LMs by role, or None for the embedded one in all roles."""
        return make_lms(self.lm, self.api_base, self.role)


@dataclass(frozen=True)
class Scoring:
    """What scores are taken on, and with which metric."""

    seeds: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Seeds as JSONL, or one text a line; without, the method's own."),
    ] = None
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="FILE:NAME", help="A metric of your own, such as mine.py:hides_word; without, the method's."
        ),
    ] = None
    draws: Annotated[int, typer.Option("--draws", "-k", metavar="K", help="Draws a seed when scores are taken.")] = 2
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed.")] = 0

    def read_metric(self) -> Callable[..., Any] | None:
        """The metric, or None for the method's."""
        return read_metric(self.metric) if self.metric else None

    def read_seeds(self, generator: sw.Generator[Any]) -> list[dict[str, Any]] | None:
        """The seeds, or None for the method's."""
        return read_seeds(self.seeds, generator) if self.seeds else None


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb with parameters that are groups of options, as typer takes it: each option a parameter of its own."""
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}

    def run(**given: Any) -> None:
        made = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in groups.items()}
        verb(**given, **made)

    flat: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        flat += inspect.signature(groups[name]).parameters.values() if name in groups else [parameter]
    run.__name__, run.__doc__, run.__module__ = verb.__name__, verb.__doc__, verb.__module__
    signature = inspect.Signature([parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in flat])
    run.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]  `inspect` reads it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return run
