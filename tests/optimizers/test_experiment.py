"""The experiment of `benchmarks/optimize.py`, small: demonstrations lift a weak, real LM on seeds never seen."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import synthwright as sw
from synthwright.optimizers.seeds import shipped_seeds
from synthwright.programs.base import list_generators

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def settings():
    spec = importlib.util.spec_from_file_location("optimize_settings", BENCHMARKS / "optimize_settings.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.SETTINGS, module.Setting


@pytest.mark.parametrize("cls", [pytest.param(cls, id=cls.stem()) for cls in list_generators()])
def test_every_method_has_a_setting_that_fits_it(cls):
    table, default = settings()
    setting = table.get(cls.stem(), default())
    generator = cls(**setting.arguments)
    assert set(setting.targets or ()) <= set(generator.target_predictors()) != set()
    split = shipped_seeds(generator)
    for kind, least in (("train", 5), ("val", 3), ("test", 6)):
        assert sum(map(setting.seeds, split[kind])) >= least, f"{kind} seeds that reach {setting.targets}"


@pytest.mark.embedded
def test_tuning_lifts_the_embedded_lm(embedded, tmp_path):
    """48 calls: about a minute on two idle cores. One call at a time, so that the draws are the same in every run."""
    table, _ = settings()
    setting = table["evol_instruct"]
    generator = sw.get_generator("evol-instruct")(**setting.arguments)
    tuned = sw.optimize(generator, lms=embedded, budget=48, draws=1, concurrency=1, out=tmp_path)
    assert tuned.calls <= 48 and tuned.metric.seeds == 8
    assert tuned.best.mean > tuned.history[0].mean, "no demonstrations were better than none"
    assert tuned.metric.after > 0 and tuned.held_out is not None  # 8 seeds: the benchmark has the interval
    assert tuned.best.prompts["add_constraints"].demos, "a weak LM learns from examples"
    assert json.loads((tmp_path / "report.json").read_text())["measurable"] == tuned.metric.measurable
    assert "evolution (optimized)" in (tmp_path / "report.html").read_text()
