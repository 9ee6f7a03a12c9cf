"""Every Python block of the README and of the documentation runs, page by page, as a reader would run it.

The pages that a newcomer follows (`REAL`) run on the embedded LM; elsewhere an LM from a script stands in, since the
methods run on the embedded one in their own tests. A run may make two calls: enough to see that it works, not to wait
for its rows. What a page takes for granted (`lm`, `my_instructions`, a folder of texts) is set up here. A block that
needs more than this machine has says so in the page: `<!-- skip: next "why" -->`. Command lines are parsed.
"""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import SkipTest

import dspy
import pytest
import typer
from riddles import Riddles
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from typer.core import TyperGroup

import synthwright as sw
from synthwright.cli import app
from synthwright.programs.base import data_path
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.testing import ScriptedLM

ROOT = Path(__file__).parents[2]
PAGES = sorted(p.relative_to(ROOT) for p in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if "_" not in str(p))
WITH_CODE = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]
REAL = {"README.md", "docs/tour.md", "docs/own-generator.md"}
BLOCKS = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], pattern="*.md")

TEXT = (
    "A lighthouse keeper winds the clock of the lamp every four hours. If the clock stops, the lamp stands still.\n\n"
)
REPLY = {
    "reasoning": "",
    "riddle": "I fall and never break.",
    "keywords": ["lamp"],
    "queries": ["lamp clock"],
    "instruction": "Explain how a lighthouse lamp turns.",
    "equal": False,
    "fair": True,
    "response": "Flour, water, salt and yeast are kneaded, left to rise and baked.",
}
"""What the scripted LM says to everything: the fields of the signatures whose rows a page goes on with."""


def script(name: str = "lm") -> ScriptedLM:
    def reply(call):
        return {**REPLY, "evolved_instruction": f"{call.get('instruction', '')} Use at most sixty words."}

    return ScriptedLM({"*": reply}, model=name)


def reader(page: str) -> dict[str, Any]:
    """The names that pages take for granted, in a folder with the files that they name."""
    for folder in ("notes", "reports", "pages", "my_texts", "handbook", "manuals"):
        Path(folder).mkdir()
        Path(folder, "text.md").write_text("# The lamp\n\n" + TEXT * 12)
    task = "targen/rte" if page == "targen" else "synthetic_data_rl/word_problems"
    Path("my_task.yaml").write_text(data_path(f"{task}.yaml").read_text())
    Path("pairs.jsonl").write_text(data_path("backtranslation/pairs.jsonl").read_text())
    Path("injections.jsonl").write_text((ROOT / "tests/retrieval/injections.jsonl").read_text())
    for name in ("my_tree.yaml", "my_roots.yaml"):
        Path(name).write_text(data_path("condor/tree.yaml").read_text())
    Path("topics.txt").write_text("A comet that can be seen with the naked eye\n")
    for name in ("gsm8k.jsonl", "aime.jsonl", "math_test.jsonl"):
        Path(name).write_text(json.dumps({"question": "How many even numbers lie between three and thirty?"}) + "\n")
    Path("big.jsonl").write_text(json.dumps({"text": TEXT * 12}) + "\n")
    instructions = [{"instruction": "Describe how bread is made."}, {"instruction": "Name three rivers."}]
    evolve = EvolInstruct(operators=("add_constraints",), rounds=1)
    for name in ("evolved", "evol-instruct", "self"):
        run = sw.generate(evolve, seeds=instructions, lms=script(), out=f"runs/{name}")
    words = [{"word": word} for word in ("snow", "clock", "river")]
    sw.generate(Riddles(), seeds=words, lms=script(), out="tests/data/riddles")
    return {
        "sw": sw,
        "dspy": dspy,
        "Path": Path,
        "tmp_path": Path("tmp"),
        **{
            name: script(name)
            for name in (
                "lm",
                "strong",
                "mine",
                "small",
                "big",
                "other",
                "a",
                "b",
                "c",
                "model_to_train",
                "cheap",
                "weaker",
            )
        },
        "Riddles": Riddles,
        "words": words,
        "texts": [TEXT * 12],
        "passages": [{"passage": TEXT * 3}],
        "my_search": lambda query: [],
        "my_instructions": instructions,
        "my_tasks": instructions,
        "my_questions": [{"question": "What is 3 + 4?", "answer": "7"}],
        "other_run": run,
        "other_run_rows": run.records(),
        "is_english": lambda text: True,
        "my_reward": lambda *arguments: 0.0,
        "my_embedder": lambda texts: [[float(len(text)), 1.0] for text in texts],
    }


def first_calls(monkeypatch, real: bool) -> None:
    """Runs make two calls; where the page is not a real one, a scripted LM answers in every role."""
    generate, optimize = sw.generate, sw.optimize

    def two_calls(generator, **arguments):
        if arguments.get("n"):
            arguments["n"] = min(arguments["n"], 2)
        if arguments.get("dry_run") is None and "budget" not in arguments:
            arguments["budget"] = sw.Budget(calls=2)
        if not real:
            roles = arguments.get("lms")
            arguments["lms"] = {role: script(role) for role in roles} if isinstance(roles, Mapping) else script()
        return generate(generator, **arguments)

    def scripted(generator, **arguments):
        return optimize(generator, **{**arguments, "lms": script(), "reflection_lm": None})

    monkeypatch.setattr(sw, "generate", two_calls)
    monkeypatch.setattr(sw, "optimize", scripted)


@pytest.mark.embedded
@pytest.mark.parametrize("page", WITH_CODE, ids=str)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real, names = str(page) in REAL, reader(page.stem)
    first_calls(monkeypatch, real)
    document = BLOCKS.parse(ROOT / page)
    document.namespace.update(names, **({"lm": sw.embedded_lm()} if real else {}))
    blocks = list(document.examples())
    assert blocks, f"nothing of {page} was read as code"
    for block in blocks:
        try:
            block.evaluate()
        except SkipTest:
            continue  # this block alone


def _commands():
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for fence in re.findall(r"^```(?:console|bash|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in fence.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ").partition("  #")[0].strip()
                if command.startswith("synthwright "):
                    yield pytest.param(command, id=f"{page}: {command}")


@pytest.mark.parametrize("command", list(_commands()))
def test_a_command_line_of_a_page_is_one(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("evol-instruct.yaml", "evol-instruct.optimize.yaml"):
        Path(name).write_text("method: evol-instruct\n")
    parsed, words = typer.main.get_command(app), shlex.split(command)[1:]
    context = parsed.make_context("synthwright", list(words))
    while isinstance(parsed, TyperGroup) and words:
        _, parsed, words = parsed.resolve_command(context, words)
        assert parsed is not None
        context = parsed.make_context(parsed.name, list(words), parent=context)
