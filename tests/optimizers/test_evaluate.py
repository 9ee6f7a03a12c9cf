"""Scoring without tuning: one generator, or two on the same seeds and draws."""

import json

import dspy
import pytest
from judged_riddles import GOOD, SEEDS, Riddles, hides_word, learns, long_enough

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms import Retry
from synthwright.testing import ScriptedLM

SCORED = {"metric": hides_word, "seeds": SEEDS[:10], "k": 3}


def shown(*riddles):
    generator = Riddles()
    generator.write.demos = [dspy.Example(word=f"w{i}", riddle=r) for i, r in enumerate(riddles)]
    return generator


def test_a_generator_is_scored_over_lists_of_draws():
    lm = ScriptedLM({"write": learns})
    found = sw.evaluate(Riddles(), **SCORED, held_out=long_enough, lms=lm)
    assert len(found.scores) == 10 and found.calls == len(lm.calls) == 30 and found.draws == 3
    assert set(found.scores) <= {0.0, 0.33, 0.66, 0.99} and len(set(found.scores)) > 1
    assert found.metric.value == pytest.approx(sum(found.scores) / 10)
    assert found.metric.low < found.metric.value < found.metric.high
    assert found.held_out is not None and found.held_out.value > 0
    report = found.report()
    assert "10 seeds, 3 draws each, 30 LM calls" in report and "long_enough (held out)" in report
    assert "worst: 0.00 for {'word': 'word" in report and "It names the word." in report


def test_the_draws_are_those_of_the_proof_of_optimize():
    lm = ScriptedLM({"write": learns})
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=300, draws=2)
    again = sw.evaluate(Riddles(), hides_word, tuned.proof.a.seeds, 2, lms=ScriptedLM({"write": learns}))
    assert again.scores == tuned.proof.a.scores
    after = sw.evaluate(tuned.generator, hides_word, tuned.proof.a.seeds, 2, lms=ScriptedLM({"write": learns}))
    assert after.scores == tuned.proof.b.scores


def test_an_evaluation_is_saved_and_goes_on_where_it_stopped(tmp_path):
    with pytest.raises(ConfigError, match="The budget of 12 LM calls ended before all seeds were scored"):
        sw.evaluate(Riddles(), **SCORED, lms=ScriptedLM({"write": learns}), budget=12, out=tmp_path)
    lm = ScriptedLM({"write": learns})
    found = sw.evaluate(Riddles(), **SCORED, lms=lm, out=tmp_path)
    assert len(lm.calls) == 18 and found.calls == 30
    saved = json.loads((tmp_path / "evaluation.json").read_text())
    assert saved["scores"] == found.scores and saved["names"] == {"metric": "hides_word"}
    assert "hides_word" in (tmp_path / "evaluation.txt").read_text()


def test_two_generators_are_compared_on_the_same_draws():
    lm = ScriptedLM({"write": learns})
    found = sw.compare(Riddles(), shown(GOOD, GOOD), **SCORED, held_out=long_enough, lms=lm)
    assert found.metric.measurable and found.metric.low > 0 and found.metric.after == pytest.approx(0.99)
    assert found.held_out is not None and "a -> b" in found.report()
    same = sw.compare(Riddles(), Riddles(), **SCORED, lms=lm)
    assert same.metric.gain == 0 and "no measurable difference" in same.report()
    assert same.as_dict()["measurable"] is False
    json.dumps(found.as_dict())


def test_two_files_of_prompts_are_compared(tmp_path):
    Riddles().save_prompts(tmp_path / "a.json")
    shown(GOOD, GOOD).save_prompts(tmp_path / "b.json")
    lm = ScriptedLM({"write": learns})
    found = sw.compare(tmp_path / "a.json", str(tmp_path / "b.json"), generator=Riddles(), **SCORED, lms=lm)
    assert found.metric.low > 0 and found.a.prompts != found.b.prompts


def test_a_file_that_does_not_fit_is_found_before_a_call_is_made(tmp_path):
    Riddles().save_prompts(tmp_path / "a.json")
    lm = ScriptedLM({"write": learns})
    with pytest.raises(ConfigError, match=r"b\.json"):
        sw.compare(tmp_path / "a.json", tmp_path / "b.json", generator=Riddles(), **SCORED, lms=lm)
    with pytest.raises(ConfigError, match="Pass `generator=`"):
        sw.compare(tmp_path / "a.json", tmp_path / "a.json", **SCORED, lms=lm)
    with pytest.raises(ConfigError, match="got 3"):
        sw.compare(Riddles(), 3, **SCORED, lms=lm)  # pyright: ignore[reportArgumentType]
    assert lm.calls == []


def test_evaluations_made_before_are_paired_by_seed():
    lm = ScriptedLM({"write": learns})
    a = sw.evaluate(Riddles(), **SCORED, lms=lm)
    b = sw.evaluate(Riddles(), hides_word, SEEDS[:10][::-1], 3, lms=lm)
    assert sw.compare(a, b).metric.gain == pytest.approx(0) and sw.compare(a, b).metric.low == pytest.approx(0)
    with pytest.raises(ConfigError, match=r"cannot be paired: a has 10 seeds .* b has 4"):
        sw.compare(a, sw.evaluate(Riddles(), hides_word, SEEDS[:4], 3, lms=lm))
    with pytest.raises(ConfigError, match="cannot be paired"):
        sw.compare(a, sw.evaluate(Riddles(), long_enough, SEEDS[:10], 3, lms=lm))


def test_a_seed_given_twice_is_paired_with_itself():
    twice = {**SCORED, "seeds": [SEEDS[0], SEEDS[0], SEEDS[1]]}
    lm = ScriptedLM({"write": learns})
    found = sw.compare(Riddles(), shown(GOOD, GOOD), **twice, held_out=long_enough, lms=lm)
    assert found.metric.seeds == 3 and found.a.scores[0] == found.a.scores[1] and found.held_out is not None


def test_evaluations_of_other_numbers_of_draws_are_not_compared():
    lm = ScriptedLM({"write": learns})
    a, b = (sw.evaluate(Riddles(), hides_word, SEEDS[:4], k, lms=lm) for k in (2, 3))
    with pytest.raises(ConfigError, match=r"a has 4 seeds with 2 draws each .* b has 4 seeds with 3 draws each"):
        sw.compare(a, b)


def test_both_sides_of_a_comparison_are_saved(tmp_path):
    lm = ScriptedLM({"write": learns})
    found = sw.compare(Riddles(), shown(GOOD, GOOD), **SCORED, lms=lm, out=tmp_path)
    saved = [json.loads((tmp_path / side / "evaluation.json").read_text())["scores"] for side in "ab"]
    assert saved == [found.a.scores, found.b.scores] and saved[0] != saved[1]
    assert json.loads((tmp_path / "comparison.json").read_text())["measurable"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": None}, "ships no metric"),
        ({"seeds": []}, "list of seeds is empty"),
        ({"seeds": None}, "ships no test seeds"),
        ({"k": 0}, "`k` must be a whole number of at least 1, got 0"),
        ({"metric": lambda *a: None}, "number in"),
        ({"metric": lambda example, pred: 0.5}, "is called with five"),
        ({"seeds": [{"wrd": "a"}]}, "Seed 0 does not fit Riddles"),
        ({"budget": 0}, "`budget` must be a whole number"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        sw.evaluate(Riddles(), **{**SCORED, "lms": ScriptedLM({"write": learns}), **arguments})


def test_a_dead_lm_is_an_error_and_not_a_score():
    lm = ScriptedLM({"write": dspy.lm15.ServerError("down", status=500)})
    with pytest.raises(UnusableLMError, match="down"):
        sw.evaluate(Riddles(), **SCORED, lms=lm, retry=Retry(attempts=1))


def test_prompts_tuned_on_one_lm_are_measured_on_another(tmp_path):
    lm = ScriptedLM({"write": learns})
    sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=300).save(tmp_path)
    loaded = Riddles()
    loaded.load_prompts(tmp_path / "prompts.json")
    other = ScriptedLM({"write": lambda call: {"riddle": f"I am {call['word']}."}}, model="other")
    found = sw.evaluate(loaded, **SCORED, lms=other)
    assert found.lms["generator"] == "other" and found.metric.value == 0
    assert json.loads((tmp_path / "prompts.json").read_text())["tuned_for"]["lms"]["generator"] == "scripted"
