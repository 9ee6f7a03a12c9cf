"""optimize, evaluate and compare: config files, what is kept, your own metric, and what is said of wrong arguments."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import synthwright as sw
from synthwright.cli import app
from synthwright.cli.config import config_model
from synthwright.cli.optimize import compare, evaluate, optimize
from synthwright.errors import ConfigError, RunMismatchError
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.testing import ScriptedLM

SETTING = [
    "--lm", "embedded",  # the scripted one, see `here`
    "--set", "operators=[add_constraints]", "--set", "rounds=1", "--set", "judge=false", "--set", "answer=false",
]  # fmt: skip
METRIC = """
def mentions_birds(example, pred, trace=None, pred_name=None, pred_trace=None):
    return 0.9 * sum("birds" in row.instruction for row in pred.rows) / max(1, len(pred.rows))

limit = 3
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory with seeds, prompts and a metric, and a scripted LM in place of the embedded one."""
    monkeypatch.chdir(tmp_path)
    texts = ["Name two birds.", "Explain rain.", "Describe a bridge.", "Plan a walk.", "Praise a loaf.", "Sort books."]
    Path("seeds.jsonl").write_text("".join(json.dumps({"instruction": text}) + "\n" for text in texts))
    Path("mine.py").write_text(METRIC)
    EvolInstruct().save_prompts("all.json")
    for name in ("a.json", "b.json"):
        EvolInstruct(operators=("add_constraints",), rounds=1, judge=False, answer=False).save_prompts(name)

    def evolve(call):
        return {
            "evolved_instruction": f"{call.get('instruction', '')} Use at most sixty plain words, and give one date."
        }

    monkeypatch.setattr(sw, "embedded_lm", lambda: ScriptedLM({"*": evolve}))


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def record(*arguments):
    return json.loads(call(*arguments, "--json", "-q").stdout)


@pytest.fixture
def asked(monkeypatch):
    """What reaches `sw.optimize`, `sw.evaluate` or `sw.compare`, which do nothing."""
    found = []

    class Stop(Exception):
        pass

    def catch(*given, **arguments):
        found.append((given, arguments))
        raise Stop

    for name in ("optimize", "evaluate", "compare"):
        monkeypatch.setattr(sw, name, catch)

    def ask(*arguments):
        with pytest.raises(Stop):
            call(*arguments)
        given, arguments = found.pop()
        arguments.pop("progress")
        for name, value in arguments.items():
            if isinstance(value, sw.Generator):
                arguments[name] = (value.stem(), value.params())
            elif name == "lms" and value:
                arguments[name] = {role: lm.model for role, lm in value.items()}
            elif name == "reflection_lm" and value:
                arguments[name] = value.model
            elif name == "metric" and value:
                arguments[name] = value.__name__
        return [(g.stem(), g.params()) if isinstance(g, sw.Generator) else g for g in given], arguments

    return ask


SHARED_FLAGS = [
    "evol-instruct", "--seeds", "seeds.jsonl", "--metric", "mine.py:mentions_birds", "-k", "3", "--seed", "4",
    "--out", "x", "--lm", "openai/a", "--role", "judge=openai/b", "--concurrency", "5", "--preset", "faithful",
    "--set", "rounds=3", "--price", "openai/a=0.5,2",
]  # fmt: skip
SHARED_FILE = """
method: evol-instruct
seeds: seeds.jsonl
metric: mine.py:mentions_birds
draws: 3
seed: 4
out: x
lm: openai/a
role: {judge: openai/b}
concurrency: 5
preset: faithful
set: {rounds: 3}
price: {openai/a: [0.5, 2]}
"""
OWN = {
    "optimize": (
        ["--budget", "90", "--optimizer", "gepa", "--reflection-lm", "openai/c", "--target", "deepen"],
        "budget: 90\noptimizer: gepa\nreflection_lm: openai/c\ntarget: [deepen]\n",
    ),
    "evaluate": (
        ["--prompts", "all.json", "--max-calls", "70", "--no-demonstrations"],
        "prompts: all.json\nmax_calls: 70\ndemonstrations: false\n",
    ),
    "compare": (["a.json", "b.json", "--max-calls", "70"], "prompts: [a.json, b.json]\nmax-calls: 70\n"),
}


@pytest.mark.parametrize("verb", OWN)
def test_a_file_says_what_flags_say_and_flags_win(verb, asked):
    flags, text = OWN[verb]
    Path("c.yaml").write_text(SHARED_FILE + text)
    found = asked(verb, "--config", "c.yaml")
    assert found == asked(verb, *SHARED_FLAGS, *flags)
    arguments = found[1]
    assert len(arguments["seeds" if verb != "optimize" else "trainset"]) == 6 and arguments["out"] == Path("x")
    assert arguments["metric"] == "mentions_birds" and arguments["lms"] == {
        "generator": "openai/a",
        "judge": "openai/b",
    }
    other = asked(verb, "-c", "c.yaml", "--seed", "9", "--set", "rounds=2")
    assert other[1]["seed"] == 9 and other[1]["lms"] == arguments["lms"] and "'rounds': 2" in repr(other)


@pytest.mark.parametrize("verb", OWN)
def test_a_wrong_file_names_line_and_nearest_option(verb):
    Path("c.yaml").write_text("method: evol-instruct\nconcurency: 3\n")
    with pytest.raises(ConfigError, match=r"c\.yaml, line 2: unknown option 'concurency'. Did you mean 'concurrency'"):
        call(verb, "-c", "c.yaml")
    Path("c.yaml").write_text("method: [evol-instruct\n")
    with pytest.raises(ConfigError, match=r"c\.yaml, line 2: not YAML"):
        call(verb, "-c", "c.yaml")


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (["evaluate", "evol-instruct", "--prompts", "a.json"], "evaluate.yaml"),
        (["compare", "evol-instruct", "a.json", "b.json"], "compare.yaml"),
    ],
)
def test_the_resolved_options_are_kept_with_the_result_and_give_it_again(command, kept):
    arguments = [*command, "--seeds", "seeds.jsonl", "-k", 1, "--out", "scored", *SETTING]
    found = record(*arguments)
    assert found["out"] == "scored"
    file = Path("scored") / kept
    options = yaml.safe_load(file.read_text())
    assert options["method"] == "evol-instruct" and options["draws"] == 1 and options["seed"] == 0
    assert options["set"] == {"operators": ["add_constraints"], "rounds": 1, "judge": False, "answer": False}
    again = record(command[0], "-c", file)
    assert {**again, "seconds": 0, "a": 0, "b": 0} == {**found, "seconds": 0, "a": 0, "b": 0}
    assert record(command[0], "-c", file, "--concurrency", 3)["out"] == "scored"
    with pytest.raises(RunMismatchError, match=r"'scored' holds a result of other options:\n  seed: there 0, now 7"):
        call(command[0], "-c", file, "--seed", 7)
    assert yaml.safe_load(file.read_text())["seed"] == 0


def test_a_comparison_is_saved_with_both_sides_and_goes_on_without_paying_again(monkeypatch):
    lm = ScriptedLM({"*": {"evolved_instruction": "Name two birds of the sea, each in one line of at most ten words."}})
    monkeypatch.setattr(sw, "embedded_lm", lambda: lm)
    command = ["compare", "evol-instruct", "a.json", "--seeds", "seeds.jsonl", "-k", 1, "--out", "x", *SETTING]
    found = record(*command)
    assert json.loads(Path("x/comparison.json").read_text())["metric"] == found["metric"]
    assert "a -> b" in Path("x/comparison.txt").read_text() and Path("x/a/evaluation.json").is_file()
    paid = len(lm.calls)
    assert paid == 12 and record(*command)["metric"] == found["metric"] and len(lm.calls) == paid


def test_tuning_keeps_its_options_and_refuses_to_replace_prompts_of_others():
    command = ["optimize", "evol-instruct", "--budget", 120, "-k", 1, "--out", "tuned", *SETTING]
    found = record(*command)
    assert found["out"] == "tuned" and found["usd"] == 0
    options = yaml.safe_load(Path("tuned/optimize.yaml").read_text())
    assert options["budget"] == 120 and options["optimizer"] == "auto" and options["out"] == "tuned"
    again = record("optimize", "-c", "tuned/optimize.yaml")
    assert again["metric"] == found["metric"] and again["calls"] == found["calls"]
    with pytest.raises(RunMismatchError, match=r"  metric: there None, now 'mine\.py:mentions_birds'"):
        call(*command, "--metric", "mine.py:mentions_birds")


def test_a_metric_of_ones_own_scores():
    found = record(
        "evaluate", "evol-instruct", "--seeds", "seeds.jsonl", "--metric", "mine.py:mentions_birds", *SETTING
    )
    assert found["names"]["metric"] == "mentions_birds" and found["scores"] == [0.9, 0, 0, 0, 0, 0]


def test_prices_give_a_cost():
    price = ["--price", "scripted=1000000,1000000"]
    found = record("evaluate", "evol-instruct", "--seeds", "seeds.jsonl", "-k", 1, *price, *SETTING)
    assert found["usd"] == found["tokens"] > 0
    text = call("evaluate", "evol-instruct", "--seeds", "seeds.jsonl", "-k", 1, *price, *SETTING)
    assert f"${found['usd']:.4f}" in text.stdout and f"${found['usd']:.4f}" in text.stderr


SEEDS = {
    "empty.jsonl": "\n",
    "broken.jsonl": '{"instruction": \n',
    "wrong.jsonl": '{"instruction": "a"}\n{"instrction": "b"}\n',
}


@pytest.mark.parametrize("verb", OWN)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "missing.jsonl"], "Cannot read 'missing.jsonl'"),
        (["--seeds", "empty.jsonl"], "list of seeds is empty"),
        (["--seeds", "broken.jsonl"], "broken.jsonl, line 1: not JSON"),
        (["--seeds", "wrong.jsonl"], "Seed 1 does not fit EvolInstruct, which takes .*instruction.*instrction"),
        (["--metric", "mine.py"], "write FILE:NAME, such as --metric mine.py:hides_word"),
        (["--metric", "no.py:score"], "there is no file 'no.py'"),
        (["--metric", "mine.py:mention_birds"], "no function 'mention_birds'. Did you mean 'mentions_birds'"),
        (["--metric", "mine.py:limit"], "has no function 'limit'"),
        (["--metric", "raises.py:score"], "raises.py raised ZeroDivisionError"),
        (["--out", "a.json"], "Cannot write to 'a.json"),
        (["--concurrency", "0"], "`concurrency` must be a whole number of at least 1, got 0"),
        (["--role", "judge=gpt"], "--role judge 'gpt': write `embedded`, PROVIDER/MODEL"),
        (["--config", "missing.yaml"], "Cannot read the config file 'missing.yaml'"),
        (["-k", "0"], "must be a whole number of at least 1, got 0"),
    ],
)
def test_what_is_wrong_is_said_before_a_call_is_made(verb, arguments, message):
    for name, text in {**SEEDS, "raises.py": "1 / 0\n"}.items():
        Path(name).write_text(text)
    files = ["a.json"] if verb == "compare" else []
    with pytest.raises(sw.SynthwrightError, match=message):
        call(verb, "evol-instruct", *files, "--lm", "embedded", *arguments)
    with pytest.raises(ConfigError, match="Did you mean 'evol-instruct'"):
        call(verb, "evol-instrct", *files)


def test_a_wrong_reflection_lm_is_named_by_its_option():
    with pytest.raises(ConfigError, match="--reflection-lm 'gpt': write `embedded`"):
        call("optimize", "evol-instruct", "--reflection-lm", "gpt")


@pytest.mark.parametrize("verb", [optimize, evaluate, compare], ids=lambda verb: verb.__name__)
def test_init_writes_a_file_for_each_verb(verb, asked):
    name = verb.__name__
    told = record("init", "evol-instruct", "--for", name)
    assert told["config"] == f"evol-instruct.{name}.yaml"
    text = Path(told["config"]).read_text()
    assert "add_constraints" in repr(asked(name, "-c", told["config"])) and f"synthwright {name} --config" in text
    for option in set(config_model(verb).model_fields) - {"task"}:
        assert re.search(rf"^(# )?{option}:(?! null)", text, re.MULTILINE), option
    with pytest.raises(ConfigError, match=r"No verb 'optimise' takes a config file\. Did you mean 'optimize'"):
        call("init", "evol-instruct", "--for", "optimise")


@pytest.mark.parametrize("verb", OWN)
def test_progress_goes_to_stderr_and_quiet_is_quiet(verb):
    files = ["a.json"] if verb == "compare" else []
    own = ["--budget", 120] if verb == "optimize" else ["--seeds", "seeds.jsonl"]
    command = [verb, "evol-instruct", *files, *own, "-k", 1, *SETTING, "--out", "x"]
    loud = call(*command)
    label = {"optimize": "after", "evaluate": "evaluate", "compare": "b"}[verb]
    last = loud.stderr.splitlines()[-1]
    assert last.startswith(f"evol_instruct, {label}: ") and " draws | " in last and "/s | " in last
    assert "\x1b" not in loud.output and "evolution" in loud.stdout
    quiet = call(*command, "-q", "--json")
    assert quiet.stderr == "" and len(quiet.stdout.splitlines()) == 1


def test_a_forecast_is_printed_in_both_forms_and_not_stored():
    command = ["generate", "evol-instruct", "--seeds", "seeds.jsonl", "--dry-run", 3, "-n", 9, "--out", "x", *SETTING]
    forecast = record(*command)
    assert forecast["n"] == 9 and len(forecast["asked"]) == 3 and forecast["seeds"]["value"] >= 9
    assert call(*command, "-q").stdout == ""
    both = call(*command, "--json")
    assert (
        both.stdout.startswith("3 seeds asked") and json.loads(both.stdout.splitlines()[-1])["rows"] == forecast["rows"]
    )
    assert {path.name for path in Path("x").iterdir()} == {".lock", "run.sqlite"}
