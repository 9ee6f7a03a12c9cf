"""A dry run asks a few seeds and says what n rows cost."""

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, RunMismatchError, UnusableLMError
from synthwright.lms.budgets import Usage
from synthwright.lms.journal import open_journal
from synthwright.runs.forecast import SeedCost, extrapolate
from synthwright.runs.store import Store
from synthwright.testing import ScriptedLM


class Word(sw.Row):
    text: str


class Words(sw.Generator[Word]):
    """Two calls a seed; every third seed gives nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict("topic -> text")

    async def aforward(self, topic):
        texts = [(await self.write.acall(topic=topic)).text for _ in range(2)]
        if int(topic[1:]) % 3 == 2:
            return dspy.Prediction(rows=[], rejected=[sw.Rejected(stage="write", reason="dull") for _ in texts])
        return dspy.Prediction(rows=[Word(text=text) for text in texts])


SEEDS = [{"topic": f"t{i}"} for i in range(300)]


def lm():
    return ScriptedLM({"write": lambda call: {"text": f"{call['topic']} {call.seed}"}})


def test_the_forecast_scales_what_a_few_seeds_took(tmp_path):
    forecast = sw.generate(Words(), n=100, seeds=SEEDS, lms=lm(), out=tmp_path, dry_run=6)
    assert len(forecast.asked) == 6 and sum(cost.kept for cost in forecast.asked) == 8
    assert forecast.seeds.value == pytest.approx(75) and forecast.calls.value == pytest.approx(150)
    assert forecast.tokens.value == pytest.approx(150 * 15) and forecast.acceptance == pytest.approx(8 / 12)
    assert forecast.calls.low < 150 < forecast.calls.high
    assert "expected for 100 rows" in str(forecast) and "calls" in str(forecast)


def test_the_run_costs_what_was_forecast_and_does_not_pay_for_the_dry_run_again(tmp_path):
    scripted = lm()
    forecast = sw.generate(Words(), n=100, seeds=SEEDS, lms=scripted, out=tmp_path, dry_run=6)
    assert len(scripted.calls) == 12
    run = sw.generate(Words(), n=100, seeds=SEEDS, lms=scripted, out=tmp_path)
    assert len(scripted.calls) == run.total_usage.calls
    assert forecast.calls.low <= len(scripted.calls) <= forecast.calls.high


def test_a_dry_run_stores_its_calls_and_nothing_else(tmp_path):
    sw.generate(Words(), n=10, seeds=SEEDS, lms=lm(), out=tmp_path, dry_run=2)
    with Store(tmp_path) as store:
        assert store.count("seeds") == store.count("rows") == 0 and store.meta("config") is None
    assert len(open_journal(tmp_path)) == 4 and not (tmp_path / "rows.jsonl").exists()
    other = sw.generate(Words(), n=10, seeds=SEEDS, lms=lm(), out=tmp_path, seed=7, dry_run=1)  # not bound to a config
    assert len(other.asked) == 1


def test_in_a_run_that_is_under_way_it_asks_what_comes_next(tmp_path):
    sw.generate(Words(), n=4, seeds=SEEDS, lms=lm(), out=tmp_path)
    scripted = lm()
    forecast = sw.generate(Words(), n=50, seeds=SEEDS, lms=scripted, out=tmp_path, dry_run=3)
    assert scripted.calls[0]["topic"] == "t2" and len(forecast.asked) == 3
    with pytest.raises(RunMismatchError):
        sw.generate(Words(), n=50, seeds=SEEDS[:9], lms=scripted, out=tmp_path, dry_run=3)


def test_without_n_it_is_one_pass(tmp_path):
    forecast = sw.generate(Words(), seeds=SEEDS, lms=lm(), out=tmp_path, dry_run=3)
    assert forecast.seeds.value == 300 and forecast.rows.value == pytest.approx(400)


def test_when_nothing_is_kept_it_says_so(tmp_path):
    forecast = sw.generate(Words(), n=10, seeds=SEEDS[2:3], lms=lm(), out=tmp_path, dry_run=5)
    assert forecast.calls.value == float("inf") and "No row was kept" in str(forecast)


def test_a_dead_lm_is_an_error(tmp_path):
    dead = ScriptedLM({"write": dspy.lm15.ServerError("down")})
    with pytest.raises(UnusableLMError, match="Not one seed of the dry run succeeded"):
        sw.generate(Words(), n=10, seeds=SEEDS, lms=dead, out=tmp_path, dry_run=2, retry=sw.Retry(attempts=1))


def test_a_number_of_seeds_is_needed(tmp_path):
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(ConfigError, match="`dry_run` must be"):
            sw.generate(Words(), seeds=SEEDS, lms=lm(), out=tmp_path, dry_run=wrong)  # type: ignore[call-overload]


def test_the_interval_covers_the_truth_about_nine_times_in_ten():
    import random

    rng, covered = random.Random(1), 0
    for trial in range(200):
        costs = [SeedCost(Usage(calls=2), 1.0, 2, kept := rng.choice([0, 1, 1, 2, 2]), not kept) for _ in range(20)]
        forecast = extrapolate(costs, 120, passes=None, limit=4, seed=trial)
        covered += forecast.seeds.low <= 100 <= forecast.seeds.high  # 1.2 rows a seed
    assert 160 <= covered <= 196
