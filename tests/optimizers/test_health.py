"""What a few scored seeds tell about LM and metric before the budget is spent."""

import pytest
from judged_riddles import GOOD, SEEDS, Riddle, Riddles, hides_word, learns

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.optimizers.health import check_metric, examine
from synthwright.optimizers.scoring import Draw, Scored, example_of, judge
from synthwright.testing import ScriptedLM


def scored(metric, *riddles, draws=1):
    found = []
    for index, riddle in enumerate(riddles):
        example = example_of({"word": f"word{index}"})
        rows = [Riddle(word=f"word{index}", riddle=f"{riddle}{n if draws > 1 else ''}") for n in range(draws)]
        made = [Draw(rows=[row]) if riddle else Draw(rejected=[rejected()]) for row in rows]
        found.append(Scored(example, made, judge(metric, example, made)[0], ""))
    return found


def rejected():
    return sw.Rejected(stage="write", reason="unparsable")


def found(metric, *riddles, **options):
    seeds = scored(metric, *riddles, **options)
    return " ".join(examine(metric, seeds, check_metric(metric, seeds)))


def test_a_healthy_metric_and_lm_are_passed_in_silence():
    assert found(hides_word, GOOD, "word1", GOOD, draws=2) == ""


def test_a_metric_that_is_constant_whatever_comes_is_refused():
    with pytest.raises(ConfigError, match=r"<lambda> is constant: it gave 0\.5 to all of the first 2 seeds"):
        found(lambda *a: 0.5, GOOD, "word1")


def test_a_metric_that_gives_0_to_all_is_told_of_and_not_refused():
    assert "gave 0 to all 3 test seeds: there is no slope" in found(lambda *a: 0.0, "a", "b", "c")


def test_a_metric_that_is_perfect_already_is_told_of():
    assert "gave 0.99 to all 2 test seeds" in found(hides_word, GOOD, GOOD)


def test_no_row_at_all_is_told_of_with_the_reasons():
    said = found(hides_word, "", "")
    assert "No draw of the 2 test seeds gave a row" in said and "write: unparsable (2)" in said


def test_a_metric_that_rewards_failing_is_told_of():
    said = found(lambda e, pred, *a: float(all("word" not in row.riddle for row in pred.rows)), GOOD, "word1")
    assert "gives 1 to a list without rows: failing is rewarded" in said


def test_identical_draws_are_told_of():
    example = example_of({"word": "sun"})
    same = [Draw(rows=[Riddle(word="sun", riddle="?")]) for _ in range(2)]
    assert "All draws of each seed are identical" in " ".join(
        examine(hides_word, [Scored(example, same, 0.99, ""), Scored(example, [same[0], Draw()], 0.5, "")][:1], 0.0)
    )
    other = [same[0], Draw(rows=[Riddle(word="sun", riddle="!")])]
    assert examine(hides_word, [Scored(example, same, 0.9, ""), Scored(example, other, 0.5, "")], 0.0) == []


def test_warnings_reach_the_report_and_a_constant_metric_costs_three_seeds():
    lm = ScriptedLM({"write": {"riddle": "I am nobody."}})
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=200)
    assert any("identical" in warning for warning in tuned.warnings) and "note: " in tuned.report()
    constant = ScriptedLM({"write": learns})
    with pytest.raises(ConfigError, match="is constant"):
        sw.optimize(Riddles(), metric=lambda *a: 0.3, trainset=SEEDS, lms=constant, budget=400)
    assert len(constant.calls) == 6
