"""What is shown while a run works."""

import io

import dspy
from rich.console import Console

import synthwright as sw
from synthwright.lms.budgets import Usage
from synthwright.optimizers import OptimizeProgress
from synthwright.progress import Pace, ProgressView
from synthwright.testing import ScriptedLM


class Line(sw.Row):
    text: str


class Write(dspy.Signature):
    """Write a line."""

    topic: str = dspy.InputField()
    text: str = dspy.OutputField()


class Lines(sw.Generator[Line]):
    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict(Write)

    async def aforward(self, topic: str) -> dspy.Prediction:
        text = (await self.write.acall(topic=topic)).text
        dropped = sw.Rejected(stage="taste", reason="too_dull", detail=f"[bold]dull[/] \x1b[31mof {topic}")
        return dspy.Prediction(rows=[Line(text=text)], rejected=[dropped])


def shown(terminal, tmp_path, **options):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=160, _environ={})
    seeds = [{"topic": str(number)} for number in range(4)]
    answer = {"text": "A [red]row[/red] of \x1b[31mwords."}
    with ProgressView(console, **options) as view:
        sw.generate(Lines(), seeds=seeds, n=4, out=tmp_path / "run", lms=ScriptedLM({"write": answer}), progress=view)
    return stream.getvalue()


def test_a_terminal_shows_figures_the_last_row_and_the_last_reject(tmp_path):
    text = shown(True, tmp_path)
    for part in ("lines", "4/4 rows", "50% kept", "4 calls", "60 tokens", "kept", "dropped", "taste: too_dull"):
        assert part in text
    assert "A [red]row[/red] of [31mwords." in text and "[bold]dull[/] [31mof 3" in text  # no markup, no escape codes


def test_elsewhere_plain_lines_and_with_quiet_nothing(tmp_path):
    text = shown(False, tmp_path / "a")
    assert text.splitlines()[-1].startswith("lines: 4/4 rows | 50% kept | 4 calls, ") and "\x1b" not in text
    assert shown(True, tmp_path / "b", quiet=True) == ""


class Twice(Lines):
    async def aforward(self, topic: str) -> dspy.Prediction:
        await self.write.acall(topic=f"{topic}, first")
        return await super().aforward(topic)


def test_calls_are_seen_before_the_first_seed_is_finished(tmp_path, monkeypatch):
    monkeypatch.setattr("synthwright.runs.session.REPORT_EVERY", 0.0)
    seen = []
    sw.generate(
        Twice(),
        seeds=[{"topic": "a"}],
        out=tmp_path / "run",
        lms=ScriptedLM({"write": {"text": "A row of words."}}),
        progress=lambda state: seen.append((state.seeds, state.usage.calls)),
    )
    assert any(seeds == 0 and calls for seeds, calls in seen) and seen[-1] == (1, 2)


def test_time_left_counts_what_this_session_makes():
    def state(rows, seconds, target: int | None = 110):
        return sw.Progress("m", target, rows=rows, made=rows, seconds=seconds)

    pace = Pace(state(50, 2.0))  # forty-nine of them were made in an earlier session
    assert pace.left(state(50, 2.0)) is None
    assert pace.left(state(60, 12.0)) == 50.0
    assert pace.left(state(60, 12.0, target=None)) is None


def has_rows(example, pred, trace=None, pred_name=None, pred_trace=None):
    return 0.5 if pred.rows else 0.0


def scored(terminal, verb, **options):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=160, _environ={})
    seeds = [{"topic": str(number)} for number in range(4)]
    lm = ScriptedLM({"write": {"text": "A [red]row[/red] of \x1b[31mwords."}})
    sides = [Lines()] if verb is sw.evaluate else [Lines(), Lines()]
    with ProgressView(console, **options) as view:
        prices = {"scripted": sw.Price(1e5, 1e5)}
        verb(*sides, metric=has_rows, seeds=seeds, k=2, lms=lm, prices=prices, progress=view)
    return stream.getvalue()


def test_an_evaluation_shows_the_same_figures():
    text = scored(True, sw.evaluate)
    for part in (
        "lines, evaluate",
        "8/8 draws",
        "8 rows",
        "50% kept",
        "8 calls",
        "120 tokens",
        "$12.0000",
        "taste: too",
    ):
        assert part in text
    assert "A [red]row[/red] of [31mwords." in text and "[bold]dull[/] [31mof 3" in text
    assert scored(True, sw.evaluate, quiet=True) == ""


def test_a_comparison_says_which_side_it_scores():
    text = scored(False, sw.compare)
    assert [line.split(": ")[0] for line in text.splitlines() if "8/8" in line] == ["lines, a", "lines, b"]
    assert "\x1b" not in text


def test_a_search_shows_its_budget_and_its_best():
    state = OptimizeProgress("search", 50, 200, 3, 0.25, 0.5, method="lines", draws=20, rows=15, made=20)
    state.usage, state.calls_per_second = Usage(50, 900, 100), 10.0
    stream = io.StringIO()
    ProgressView(Console(file=stream, width=200))(state)
    assert stream.getvalue() == (
        "lines, search: 20 draws | 15 rows | 75% kept | 50/200 calls, 10.0/s | 1.0k tokens | "
        "3 candidates, validation 0.25 -> 0.50 | at most 15 s left\n"
    )
