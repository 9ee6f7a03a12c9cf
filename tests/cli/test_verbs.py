"""The verbs about methods, runs and pages."""

import json
import re
from pathlib import Path

import dspy
import pytest
import yaml
from typer.testing import CliRunner

import synthwright as sw
from synthwright.cli import app
from synthwright.cli.complete import complete_format, complete_method, complete_run
from synthwright.cli.estimate import estimate
from synthwright.export import FORMATS
from synthwright.programs.base import data_path, get_generator, list_generators
from synthwright.runs.listing import find_runs, read_info
from synthwright.runs.store import Store
from synthwright.testing import ScriptedLM

ROOT = Path(__file__).parents[2]


class Word(sw.Row):
    word: str


class Words(sw.Generator[Word]):
    def __init__(self) -> None:
        super().__init__()
        self.say = dspy.Predict("word -> echo")

    async def aforward(self, word: str) -> dspy.Prediction:
        await self.say.acall(word=word)
        return dspy.Prediction(rows=[Word(word=word)])


def make(out, count, n=None):
    seeds = [{"word": f"word{number}"} for number in range(count)]
    return sw.generate(Words(), seeds=seeds, n=n, out=out, lms=ScriptedLM({"say": {"echo": "x"}}))


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make("runs/a", 3)
    make("runs/deep/b", 4, n=2)
    make("runs/deep/b", 4, n=9)  # more was asked for than there is
    (tmp_path / "runs" / "empty").mkdir()
    return tmp_path / "runs"


def test_runs_lists_what_there_is(runs):
    found = {Path(run["path"]).name: run for run in json.loads(call("runs", "list", "--json").output)}
    assert set(found) == {"a", "b"}
    assert found["a"]["method"] == "words" and found["a"]["rows"] == 3 and found["a"]["state"] == "complete"
    assert found["a"]["calls"] == 3 and found["a"]["tokens"] == 45 and found["a"]["size"] > 10_000
    assert found["b"]["rows"] == 4 and found["b"]["target"] == 9
    text = call("runs").output
    assert "runs/deep/b" in text and "4 of 9" in text and "complete" in text


def test_a_run_in_use_and_a_damaged_one_are_listed(runs):
    with Store(runs / "a"):
        assert read_info(runs / "a").state == "running"
    (runs / "broken").mkdir()
    (runs / "broken" / "run.sqlite").write_bytes(b"not a database at all, but long enough to look like one")
    assert read_info(runs / "broken").state == "unreadable"
    assert call("runs", "list").exit_code == 0


def test_no_directory_and_no_runs_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sw.SynthwrightError, match="There is no directory 'runs'"):
        call("runs")
    assert "No runs in ." in call("runs", "list", ".").output
    with pytest.raises(sw.SynthwrightError, match="is no run directory"):
        call("runs", "show", ".")


def test_links_are_not_followed(runs):
    (runs / "loop").symlink_to(runs, target_is_directory=True)
    assert [path.name for path in find_runs(runs)] == ["a", "b"]


def test_runs_show_tells_what_made_it(runs):
    text = call("runs", "show", "runs/a").output
    assert "word0" in text and "kept" in text and "settings:" in text and "seeds asked" in text
    with pytest.raises(sw.SynthwrightError, match=r"has no config\.yaml"):
        call("runs", "show", "runs/a", "--config")


def test_report_writes_the_page_and_says_where(runs):
    told = json.loads(call("report", "runs/a", "--no-embed", "--json", "-q").output)
    assert told == {"page": "runs/a/report.html", "bytes": Path("runs/a/report.html").stat().st_size}
    assert "MB)" in call("report", "runs/a", "--to", "page.html", "--no-embed").output and Path("page.html").is_file()


def test_show_tells_steps_roles_presets_and_cost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = call("show", "evol-instruct", "--rows", 1000).output
    for part in ("Steps", "Arguments", "LM roles  generator, judge", "Filters", "about 12,000 LM calls", "--dry-run"):
        assert part in text
    record = json.loads(call("show", "evol-instruct", "--rows", 10, "--json").output)
    assert record["presets"]["faithful"]["rounds"] == 4 and record["predictors"]["deepen"]["tuned"]
    assert record["estimate"]["calls"] == 120 and "documented run" in record["estimate"]["source"]
    assert len(record["steps"]) > 5 and record["deviations"][0]["why"]


@pytest.mark.parametrize("cls", list_generators(), ids=lambda cls: cls.stem())
def test_show_works_for_every_method(cls):
    record = json.loads(call("show", cls.stem(), "--json").output)
    assert record["method"] == cls.stem().replace("_", "-") and record["predictors"]
    assert ("Steps" in call("show", cls.stem(), "--rows", 5).output) == bool(record["steps"])


def test_documented_costs_stand_in_the_docs():
    for stem, cost in yaml.safe_load(data_path("costs.yaml").read_text()).items():
        page = (ROOT / "docs" / "methods" / f"{stem.replace('_', '-')}.md").read_text()
        line = next(line for line in page.splitlines() if f"{cost['calls']} calls" in line)
        asked = f"n={cost['rows']}" in line or f"-n {cost['rows']}" in line
        assert asked or re.search(rf"^kept +{cost['rows']} ", page, re.M), stem


def test_a_run_of_ones_own_is_the_better_source(runs):
    cost = estimate(Words, 300, prices={"scripted": sw.Price(1.0, 2.0)})
    assert cost.calls == 300 and cost.tokens == 4500 and "runs/deep/b: 4 rows took 4 calls" in cost.source
    assert cost.usd == pytest.approx(300 * (10 * 1.0 + 5 * 2.0) / 1e6)
    none = estimate(get_generator("magpie"), 10)
    assert none.calls is None and "No figures" in none.source


def test_completion(runs):
    assert complete_method("evol") == ["evol-instruct"]
    assert {cls.stem().replace("_", "-") for cls in list_generators()} == set(complete_method(""))
    assert complete_run("runs/d") == ["runs/deep/b"] and complete_run("") == ["runs/a", "runs/deep/b"]
    assert set(complete_format("")) == set(FORMATS) and complete_format("pre") == ["preference"]


def test_the_shell_asks_for_completions(runs, monkeypatch):
    environment = {
        "_SYNTHWRIGHT_COMPLETE": "complete_bash",
        "COMP_WORDS": "synthwright export runs/d",
        "COMP_CWORD": "2",
    }
    result = CliRunner().invoke(app, [], env=environment, prog_name="synthwright")
    assert "runs/deep/b" in result.output
