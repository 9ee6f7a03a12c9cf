"""What the shell completes: methods, presets, formats, run directories."""

from collections.abc import Iterator
from pathlib import Path

from synthwright.programs.base import list_generators
from synthwright.runs.listing import find_runs

__all__ = ["complete_format", "complete_method", "complete_preset", "complete_run"]

FORMATS = ("messages", "sft", "preference", "unpaired", "prompt-only", "text", "alpaca", "sharegpt", "raw")


def complete_method(incomplete: str) -> list[str]:
    """The methods, by the names that the command line takes."""
    names = (cls.stem().replace("_", "-") for cls in list_generators())
    return sorted(name for name in names if name.startswith(incomplete.replace("_", "-")))


def complete_preset(incomplete: str) -> list[str]:
    """The presets."""
    return [name for name in ("practical", "faithful") if name.startswith(incomplete)]


def complete_format(incomplete: str) -> list[str]:
    """The formats of an export."""
    return [name for name in FORMATS if name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """Run directories below the one that is being typed, and below `runs`."""

    def candidates() -> Iterator[Path]:
        typed = Path(incomplete)
        yield from find_runs(typed if incomplete.endswith("/") else typed.parent, depth=2)
        yield from find_runs(Path("runs"))

    return sorted({str(path) for path in candidates() if str(path).startswith(incomplete)})
