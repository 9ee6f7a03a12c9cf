"""Every script in `examples/` runs as it stands, in an empty folder, on the embedded LM."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTS = {  # what must be seen in the output of each; `demo.py` is what `make demo` runs
    "chained_methods.py": "seeds asked",
    "own_filter.py": "seeds asked",
    "own_metric.py": "fair_riddle",
    "own_retriever.py": "",
    "prompts_on_another_lm.py": "On the other LM",
    "resume_and_budget.py": "budget 100: ",
    "riddles.py": "seeds asked",
    "strong_and_target.py": "target ",
}


def test_every_example_is_run_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*PRINTS, "demo.py"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 65


@pytest.mark.embedded
@pytest.mark.parametrize("name", PRINTS)
def test_an_example_runs(name, tmp_path):
    environment = {**os.environ, "PYTHONWARNINGS": "error::DeprecationWarning:synthwright"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert PRINTS[name] in done.stdout and "Traceback" not in done.stderr
    assert any(tmp_path.glob("runs/**/rows.jsonl")) or any(tmp_path.glob("runs/**/*.json"))
