"""Config files equal flags; flags win; what holds is stored with the run."""

import inspect
import json
import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

import synthwright as sw
from synthwright.cli import app, config
from synthwright.cli.generate import generate
from synthwright.errors import ConfigError
from synthwright.programs.base import list_generators
from synthwright.testing import ScriptedLM


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What reaches `sw.generate`, which does nothing."""
    found = []

    class Stop(Exception):
        pass

    def record(generator, **arguments):
        found.append((generator, arguments))
        raise Stop

    monkeypatch.setattr(sw, "generate", record)
    monkeypatch.chdir(tmp_path)

    def ask(*arguments):
        result = CliRunner().invoke(app, ["generate", *map(str, arguments)])
        if not isinstance(result.exception, Stop):
            raise result.exception or AssertionError(result.output)
        generator, arguments = found.pop()
        arguments.pop("progress")
        if arguments["lms"]:
            arguments["lms"] = {role: lm.model for role, lm in arguments["lms"].items()}
        return generator.stem(), generator.params(), arguments

    return ask


FLAGS = [
    "evol-instruct", "-n", "7", "--out", "runs/x", "--lm", "openai/a", "--role", "judge=openai/b", "--seed", "3",
    "--preset", "faithful", "--set", "rounds=3", "--set", "operators=[deepen, broaden]", "--max-calls", "90",
    "--max-usd", "1.5", "--price", "openai/a=0.5,2", "--price", "openai/b=1,4", "--concurrency", "5", "--workers", "2",
    "--no-demonstrations", "--reuse", "runs/old",
]  # fmt: skip

FILE = """
method: evol-instruct
n: 7
out: runs/x
lm: openai/a
role: {judge: openai/b}
seed: 3
preset: faithful
set:
  rounds: 3
  operators: [deepen, broaden]
max-calls: 90
max_usd: 1.5
price: {openai/a: [0.5, 2], openai/b: "1,4"}
concurrency: 5
workers: 2
demonstrations: false
reuse: runs/old
"""


def test_a_file_says_what_flags_say(asked):
    Path("c.yaml").write_text(FILE)
    assert asked("--config", "c.yaml") == asked(*FLAGS)


def test_flags_win_over_the_file(asked):
    Path("c.yaml").write_text(FILE)
    method, params, arguments = asked("magpie", "-c", "c.yaml", "-n", "2", "--set", "turns=2", "--preset", "practical")
    assert method == "magpie" and arguments["n"] == 2 and arguments["seed"] == 3 and params["turns"] == 2
    assert asked("--demonstrations", "-c", "c.yaml")[2]["demonstrations"] is True


def test_the_resolved_config_is_stored_and_gives_the_same_again(asked):
    Path("c.yaml").write_text(FILE)
    context = {"method": "evol-instruct", "n": 7, "set_": ["rounds=3", "system=true story", "names=['a, b']"]}
    text = config.config_text(generate, {**context, "price": ["a/b=c=1,2"], "task": Path("t.yaml"), "quiet": True})
    data = yaml.safe_load(text)
    assert data == {
        "method": "evol-instruct", "n": 7, "task": "t.yaml", "price": {"a/b=c": "1,2"},
        "set": {"rounds": 3, "system": "true story", "names": ["a, b"]},
    }  # fmt: skip
    assert asked(*FLAGS) == asked("-c", _written(asked))


def _written(asked):
    Path("again.yaml").write_text(
        config.config_text(
            generate,
            {
                "method": "evol-instruct", "n": 7, "out_dir": Path("runs/x"), "lm": "openai/a",
                "role": ["judge=openai/b"], "seed": 3, "preset": "faithful",
                "set_": ["rounds=3", "operators=[deepen, broaden]"], "max_calls": 90, "max_usd": 1.5,
                "price": ["openai/a=0.5,2", "openai/b=1,4"], "concurrency": 5, "workers": 2, "demonstrations": False,
                "reuse": Path("runs/old"),
            },
        )
    )  # fmt: skip
    return "again.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: magpie\nmax-call: 3\n", r"c.yaml, line 2: unknown option 'max_call'. Did you mean 'max_calls'"),
        ("method: magpie\nn: many\n", r"c.yaml, line 2: n: .*integer.*, got 'many'"),
        ("method: magpie\nn: 1\nn: 2\n", r"c.yaml, line 3: the option 'n' is there twice"),
        ("- a\n", "a config file is a mapping"),
        ("a: [1\n", "c.yaml, line 2: not YAML"),
        ("method: magpie\nquiet: true\n", "unknown option 'quiet'"),
    ],
)
def test_a_wrong_file_names_line_and_option(asked, text, message):
    Path("c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        asked("-c", "c.yaml")


def test_a_missing_file_is_said(asked):
    with pytest.raises(ConfigError, match=r"Cannot read the config file 'no\.yaml'"):
        asked("-c", "no.yaml")


VERBS = {info.callback.__name__: info.callback for info in app.registered_commands if info.callback}
CONFIGURED = [name for name, verb in VERBS.items() if "config" in inspect.signature(verb).parameters]


def test_the_long_verbs_take_a_file():
    assert set(CONFIGURED) == {"generate", "optimize", "evaluate", "compare"}


@pytest.mark.parametrize("name", CONFIGURED)
def test_the_shipped_schema_is_current(name):
    """If not: write `schema_text(verb)` into `src/synthwright/cli/schemas/VERB.json`."""
    assert config.shipped_schema(VERBS[name]) == config.schema_text(VERBS[name])
    schema = json.loads(config.shipped_schema(VERBS[name]))
    assert schema["additionalProperties"] is False and schema["properties"]["concurrency"]["description"]


@pytest.mark.parametrize("name", CONFIGURED)
def test_the_model_has_a_field_for_every_flag(name):
    verb = get_command(app).commands[name]  # pyright: ignore[reportAttributeAccessIssue]  it is a group
    known = {
        next((o for o in p.opts if o.startswith("--")), p.name).removeprefix("--").replace("-", "_")
        for p in verb.params
    }
    assert set(config.config_model(VERBS[name]).model_fields) == known - {"config", "json", "quiet", "help"}


@pytest.mark.parametrize("cls", list_generators(), ids=lambda cls: cls.stem())
def test_what_init_writes_runs_as_it_is(cls, asked):
    name = cls.stem().replace("_", "-")
    result = CliRunner().invoke(app, ["init", name, "--json"])
    assert result.exit_code == 0, result.output
    files = json.loads(result.output.splitlines()[-1])
    method, params, arguments = asked("--config", files["config"])
    default = cls.preset("practical").params()
    assert method == cls.stem() and arguments["n"] == 10
    assert {k: v for k, v in params.items() if k != "task"} == {k: v for k, v in default.items() if k != "task"}
    assert (files["task"] is not None) == (default.get("task") is not None)
    if files["task"]:
        assert repr(params["task"]) == repr(default["task"])
    # with the # of all arguments removed it says the preset's values
    text = Path(files["config"]).read_text()
    block = text[text.index("\nset:") : text.index("\n\n", text.index("\nset:"))]
    data = yaml.safe_load(re.sub(r"^  # ", "  ", block, flags=re.MULTILINE))["set"]
    assert set(data) == set(default) - {"task"}
    again = CliRunner().invoke(app, ["init", name])
    assert isinstance(again.exception, ConfigError) and "--force replaces it" in str(again.exception)


def test_the_run_keeps_its_config_and_shows_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lm = ScriptedLM({"*": {"response": "Paris is the capital of France.", "instruction": "What is asked?"}})
    monkeypatch.setattr(sw, "embedded_lm", lambda: lm)
    Path("seeds.jsonl").write_text('{"instruction": "What is the capital of France?"}\n')
    Path("c.yaml").write_text("method: magpie\nn: 1\nseeds: seeds.jsonl\nset: {tags: false}\nlm: embedded\nout: r\n")
    done = CliRunner().invoke(app, ["generate", "-c", "c.yaml", "--seed", "4", "--json"])
    assert done.exit_code == 0, done.output
    kept = yaml.safe_load(Path("r/config.yaml").read_text())
    assert kept["method"] == "magpie" and kept["seed"] == 4 and kept["set"] == {"tags": False} and kept["out"] == "r"
    shown = CliRunner().invoke(app, ["runs", "show", "r", "--config"])
    assert yaml.safe_load(shown.output) == kept
    record = json.loads(CliRunner().invoke(app, ["runs", "show", "r", "--json", "-q"]).output)
    assert record["options"] == kept and record["config"]["settings"]["n"] == 1 and record["rows"] == 1
    again = CliRunner().invoke(app, ["generate", "-c", "r/config.yaml", "--json", "-q"])
    assert again.exit_code == 0 and json.loads(again.output)["rows"] == 1
    other = CliRunner().invoke(app, ["generate", "-c", "r/config.yaml", "--seed", "5"])
    assert isinstance(other.exception, sw.SynthwrightError)
    assert yaml.safe_load(Path("r/config.yaml").read_text()) == kept  # a run that is refused leaves it alone
