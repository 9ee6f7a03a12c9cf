"""Writes the page of fidelity cards from the cards themselves, so that it cannot fall behind the code."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synthwright.programs.base import Generator
from synthwright.programs.fidelity import fidelity_card, preset_differences

__all__ = ["fidelity_page", "write_fidelity"]

HEAD = """# Fidelity: what each paper does, and where it is

One card a method, printed by `synthwright show METHOD --fidelity` too. Every step names the code that does it and the
tests that hold it; a test fails when one of those names is gone. Deviations that an argument switches name it.
"""


def fidelity_page(generators: Iterable[type[Generator[Any]]]) -> str:
    """The page as Markdown: for each generator its steps, what its presets change, and every deviation."""
    parts = [HEAD]
    for cls in generators:
        card = fidelity_card(cls)
        name = cls.stem().replace("_", "-")
        parts.append(f"## {cls.__name__}\n\n[How to use it](../methods/{name}.md). {_cell(card.source)}\n")
        parts.append("| step | in the paper | code | tests |\n|---|---|---|---|")
        for step in card.steps:
            cells = (step.step, _cell(step.paper), _names(step.code), _names(step.tests))
            parts.append(f"| {' | '.join(cells)} |")
        if differences := preset_differences(cls):
            parts.append("\n| argument | `faithful` | `practical` |\n|---|---|---|")
            parts += [f"| `{name}` | {_value(a)} | {_value(b)} |" for name, (a, b) in differences.items()]
        parts.append("\n| deviation, or what the paper leaves open | argument | why |\n|---|---|---|")
        for deviation in card.deviations:
            argument = f"`{deviation.argument}`" if deviation.argument else ""
            parts.append(f"| {_cell(deviation.what)} | {argument} | {_cell(deviation.why)} |")
        parts.append("")
    return "\n".join(parts)


def write_fidelity(path: Path, generators: Iterable[type[Generator[Any]]]) -> None:
    """Write the page if it differs from what is there."""
    text = fidelity_page(generators)
    path.parent.mkdir(exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _names(names: Iterable[str]) -> str:
    return "<br>".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    """Text for a cell of a table: on one line, with nothing that ends the cell or is taken for HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("$", "\\$")


def _value(value: Any) -> str:
    return f"`{value!r}`".replace("|", "\\|")
