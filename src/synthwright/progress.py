"""What people see while a run works: a live view on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from synthwright.optimizers.progress import OptimizeProgress
from synthwright.runs.run import Progress as RunProgress
from synthwright.runs.run import Run
from synthwright.signatures.rows import Row

__all__ = ["Pace", "ProgressView", "funnel_table", "print_run", "rows_table"]

PLAIN_EVERY = 5.0
"""Seconds between two lines where there is no terminal."""


class ProgressView:
    """Shows the progress of runs, optimizer runs and evaluations; call it with what they hand to `progress`.

    On a terminal a bar with the figures, and below it the row kept last and the reject dropped last with its reason;
    elsewhere a plain line now and then.

    Args:
        console: Where to write; standard error by default, so that standard output stays clean.
        quiet: Write nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self.console,
        )
        self._note, self._below = Text(), Text()
        self._view = Live(get_renderable=self._render, console=self.console, transient=True, refresh_per_second=8)
        self._live = self.console.is_terminal and not quiet
        self._task = self._bar.add_task("starting", total=None)
        self._last = 0.0
        self._pace: Pace | None = None

    def __enter__(self) -> "ProgressView":
        if self._live:
            self._view.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._view.stop()

    def __call__(self, state: RunProgress | OptimizeProgress) -> None:
        if self.quiet:
            return
        if isinstance(state, RunProgress):
            self._pace = self._pace or Pace(state)
            label, done, total, note = state.method, state.rows, state.target, _run_note(state, self._pace)
        else:
            label, note = f"{state.method}, {state.phase}", _tune_note(state)
            done, total = (state.draws, state.planned) if state.planned else (state.calls, state.budget)
        self._below = _last_ones(state)
        if self._live:
            shown = min(done, total) if total else done
            self._bar.update(self._task, description=label, completed=shown, total=total)
            self._note = Text(f"  {note}", overflow="fold")
            return
        now = time.monotonic()
        if now - self._last >= PLAIN_EVERY or state.done:
            self._last = now
            self.console.print(f"{label}: {note}", highlight=False, markup=False, soft_wrap=True)

    def _render(self) -> Group:
        return Group(self._bar, *(text for text in (self._note, self._below) if text))


class Pace:
    """How fast rows come in this session, whatever earlier sessions made."""

    def __init__(self, state: RunProgress) -> None:
        # the first report comes after the first seed of the session: what that gave is not counted
        self._rows, self._seconds = state.rows, state.seconds

    def left(self, state: RunProgress) -> float | None:
        """Seconds until all rows are there, or None while nothing can be said."""
        made, took = state.rows - self._rows, state.seconds - self._seconds
        if state.target is None or state.done or made <= 0 or took <= 0:
            return None
        return took / made * max(0, state.target - state.rows)


def _run_note(state: RunProgress, pace: "Pace") -> str:
    parts = [f"{state.rows}{f'/{state.target}' if state.target else ''} rows", *_shares(state)]
    if state.failed:
        parts.append(f"{state.failed} failed")
    left = pace.left(state)
    if left is not None:
        parts.append(f"about {_duration(left)} left")
    return " | ".join(parts)


def _tune_note(state: OptimizeProgress) -> str:
    limit = f"/{state.planned}" if state.planned else ""
    parts = [f"{state.draws}{limit} draws", f"{state.rows} rows", *_shares(state, state.budget)]
    if state.best is not None and state.first is not None:
        parts.append(f"{state.candidates} candidates, validation {state.first:.2f} -> {state.best:.2f}")
    if not state.done and state.planned and state.draws:
        parts.append(f"about {_duration(state.seconds / state.draws * (state.planned - state.draws))} left")
    elif not state.done and state.budget and state.calls_per_second:
        parts.append(f"at most {_duration((state.budget - state.calls) / state.calls_per_second)} left")
    return " | ".join(parts)


def _shares(state: RunProgress | OptimizeProgress, most: int = 0) -> list[str]:
    """What was kept, and what it took; `most` is the limit on calls, if there is one."""
    calls = f"{state.usage.calls}{f'/{most}' if most else ''} calls"
    return [
        f"{state.rows / state.made:.0%} kept" if state.made else "nothing back yet",
        f"{calls}, {state.calls_per_second:.1f}/s",
        f"{_short(state.usage.tokens)} tokens",
        *([f"${state.usage.usd:.4f}"] if state.usage.usd else []),
    ]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _last_ones(state: RunProgress | OptimizeProgress) -> Text:
    """The row kept last and the reject dropped last, a line each; text of models is shown as it is."""
    text = Text(no_wrap=True, overflow="ellipsis")
    if state.last_row is not None:
        text.append("  kept     ", style="green")
        text.append(_one_line(state.last_row.model_dump(mode="json", exclude={"id", "parent_ids", "provenance"})))
    if state.last_reject is not None:
        text.append("\n" if text else "")
        text.append("  dropped  ", style="red")
        text.append(f"{state.last_reject.stage}: {state.last_reject.reason}  ", style="bold")
        detail = {"": state.last_reject.detail} if state.last_reject.detail else state.last_reject.content
        text.append(_one_line(detail), style="dim")
    return text


def _one_line(content: Any, width: int = 300) -> str:
    """The first text of some length, in one line without control characters."""
    texts = [value for value in content.values() if isinstance(value, str)] if isinstance(content, dict) else []
    text = next((value for value in texts if len(value.split()) > 2), next(iter(texts), ""))
    return "".join(character for character in " ".join(text.split())[:width] if character.isprintable())


def _short(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.1f}k" if count >= 1e3 else str(count)


def funnel_table(run: Run[Any]) -> Table:
    """The funnel of a run as a table."""
    table = Table(title="Funnel", title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_column("step")
    table.add_column("count", justify="right")
    table.add_column("note", style="dim")
    for label, count, note in run.funnel.steps():
        table.add_row(escape(label), f"{count:,}", escape(note), style="bold" if label == "kept" else "")
    return table


def rows_table(rows: list[Row], width: int = 300) -> Table:
    """The text of a few rows, one field a line; long texts are shortened to `width` characters."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("field", style="dim", no_wrap=True)
    table.add_column("value", overflow="fold")
    for number, row in enumerate(rows):
        if number:
            table.add_row("", "")
        content = row.model_dump(mode="json", exclude={"id", "parent_ids", "provenance"}, exclude_none=True)
        for name, value in content.items():
            if value in ("", [], {}, None) or isinstance(value, bool) or name.endswith("_id"):
                continue  # what a person reads, not what joins rows
            text = " ".join(str(value).split())
            table.add_row(name, escape(text if len(text) <= width else text[: width - 3] + "..."))
    return table


def print_run(console: Console, run: Run[Any], *, rows: int = 5) -> None:
    """Print the first rows of a run, its funnel, what it cost and where it lies."""
    shown = [row for _, row in zip(range(rows), run, strict=False)]
    if shown:
        more = f" (the first {len(shown)} of {len(run)})" if len(run) > len(shown) else ""
        console.print(f"[bold]Rows[/bold]{more}")
        console.print(rows_table(shown))
        console.print()
    console.print(funnel_table(run))
    usage = run.total_usage
    console.print(
        f"\n{usage.calls} LM calls, {usage.tokens:,} tokens; {run.seconds:.1f} s this time; {escape(run.stopped)}."
    )
    if run.shipped:
        console.print(f"Demonstrations shipped for weak LMs were used by: {', '.join(run.shipped)}.")
    console.print(f"Dataset: {run.out / 'rows.jsonl'}   dropped: {run.out / 'rejected.jsonl'}", soft_wrap=True)
    if run.running:
        console.print("Still going on: the two files are written when it ends.")
    elif not run.complete:
        console.print("Not complete: run the same command again to go on.")
