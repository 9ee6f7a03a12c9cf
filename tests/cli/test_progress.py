"""What is shown while a run works."""

import io

import dspy
from rich.console import Console

import synthwright as sw
from synthwright.progress import ProgressView
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
