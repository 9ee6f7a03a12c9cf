import json

import dspy
import pytest
from judged_riddles import GOOD, SEEDS, JudgeRiddle, Riddle, Riddles, WriteRiddle, hides_word, learns, long_enough

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms import Retry
from synthwright.optimizers.candidates import PromptState
from synthwright.optimizers.stats import mean_interval, paired_difference
from synthwright.testing import ScriptedLM


def test_demonstrations_are_found_and_the_gain_is_measured_on_unseen_seeds(tmp_path):
    lm = ScriptedLM({"write": learns}, concurrency=4)
    seen = []
    note = lambda progress: seen.append(progress.phase)  # noqa: E731
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=300, out=tmp_path, progress=note)
    assert tuned.metric.before < 0.6 and tuned.metric.after == pytest.approx(0.99)
    assert tuned.metric.measurable and tuned.metric.low > 0
    assert tuned.calls <= 300 and tuned.calls == len(lm.calls)
    demos = tuned.generator.all_predictors()["write"].demos
    assert 2 <= len(demos) <= 3 and all(demo["riddle"] == GOOD for demo in demos)
    assert len({demo["word"] for demo in demos}) == len(demos)
    assert seen[0] == "before" and seen[-1] == "after"
    report = (tmp_path / "report.txt").read_text()
    assert "hides_word (optimized)" in report and "+ word:" in report
    again = Riddles()
    again.load_prompts(tmp_path / "prompts.json")
    assert [dict(d) for d in again.write.demos] == [dict(d) for d in demos]
    assert json.loads((tmp_path / "report.json").read_text())["measurable"] is True


def test_an_lm_that_cannot_learn_gives_no_measurable_gain():
    lm = ScriptedLM({"write": lambda call: {"riddle": f"I am {call['word']}."}})
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=200)
    assert "no measurable gain" in tuned.report() and tuned.metric.gain == 0
    assert tuned.generator.all_predictors()["write"].demos == []


def test_gold_demonstrations_are_a_candidate_of_their_own():
    lm = ScriptedLM({"write": lambda call: learns(call) if len(call.messages) > 2 else {"riddle": call["word"]}})
    gold = {"write": [{"word": "sun", "riddle": "I rise."}, {"word": "sea", "riddle": "I roll."}]}
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=200, gold=gold)
    assert tuned.best.origin == "gold demonstrations" and tuned.metric.after > 0.9


def test_judges_are_frozen_and_the_generator_given_is_not_changed():
    generator = Riddles(judged=True)
    lm = ScriptedLM({"write": learns, "judge": {"good": True}})
    tuned = sw.optimize(generator, metric=hides_word, trainset=SEEDS, lms=lm, budget=500)
    assert list(tuned.best.prompts) == ["write"]
    assert generator.write.demos == [] and tuned.generator.all_predictors()["judge"].demos == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "gpa"}, "Did you mean 'gepa'"),
        ({"optimizer": "gepa"}, "reflection_lm"),
        ({"budget": 5}, "too small"),
        ({"targets": ["judge"]}, "not a predictor that can be tuned"),
        ({"trainset": SEEDS[:1]}, "Too few seeds"),
        ({"testset": SEEDS[:3]}, "both the trainset and the testset"),
        ({"metric": None}, "ships no metric"),
        ({"metric": lambda *a: None}, "number in \\[0, 1\\]"),
        ({"metric": lambda *a: float("nan")}, "number in \\[0, 1\\]"),
        ({"metric": lambda *a: 7}, "number in \\[0, 1\\]"),
        ({"metric": lambda *a: -0.1}, "number in \\[0, 1\\]"),
        ({"metric": lambda *a: True}, "returned True, which says nothing about a list of draws"),
        ({"metric": lambda *a: "0.5"}, "number in \\[0, 1\\]"),
        ({"metric": lambda *a: 1 / 0}, "raised ZeroDivisionError.* for the seed {'word': 'word"),
        ({"metric": lambda e, pred, *a: 1 / len(pred.rows)}, "raised ZeroDivisionError"),
        ({"metric": lambda *a: 0.5}, "is constant: it gave 0.5 to all of the first 3 seeds"),
        ({"max_demos": 0}, "max_demos"),
        ({"rounds": 0}, "rounds"),
        ({"budget": 40}, "40 LM calls is too small: one seed takes 2 calls"),
        ({"threshold": 0}, "threshold"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    lm = ScriptedLM({"write": learns})
    with pytest.raises(ConfigError, match=message):
        sw.optimize(Riddles(), **{"metric": hides_word, "trainset": SEEDS, "lms": lm, "budget": 200, **arguments})


def test_a_generator_with_only_frozen_predictors_has_nothing_to_tune():
    class Fixed(sw.Generator[Riddle]):
        def __init__(self):
            super().__init__()
            self.judge = sw.Frozen(JudgeRiddle)

        async def aforward(self, word):
            return dspy.Prediction(rows=[])

    with pytest.raises(ConfigError, match="nothing to tune"):
        sw.optimize(Fixed(), metric=hides_word, trainset=SEEDS, lms=ScriptedLM({}))


def test_a_dead_lm_fails_instead_of_succeeding_with_the_prompt_it_had():
    lm = ScriptedLM({"write": dspy.lm15.ServerError("down", status=500)})
    with pytest.raises(UnusableLMError, match="down"):
        sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, retry=Retry(attempts=1))


def test_the_interval_of_a_constant_difference_is_that_difference():
    found = paired_difference([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    assert found.gain == pytest.approx(0.3) and found.low == pytest.approx(0.3) and found.measurable
    assert not paired_difference([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]).measurable


def test_a_prompt_state_is_taken_and_applied():
    predictor = dspy.Predict(WriteRiddle)
    PromptState("Other words.", ({"word": "a", "riddle": "b"},)).apply(predictor)
    assert PromptState.of(predictor) == PromptState("Other words.", ({"word": "a", "riddle": "b"},))


def test_the_held_out_check_is_scored_and_never_optimized():
    asked = []

    def held_out(example, pred, *rest):
        asked.append(dict(example))
        return long_enough(example, pred)

    lm = ScriptedLM({"write": learns})
    tuned = sw.optimize(Riddles(), metric=hides_word, held_out=held_out, trainset=SEEDS, lms=lm, budget=300)
    assert tuned.held_out is not None and tuned.held_out.measurable and tuned.held_out.after == pytest.approx(0.9)
    tested = [seed for side in (tuned.proof.a, tuned.proof.b) for seed in side.seeds]
    assert asked == tested and "held_out (not optimized)" in tuned.report()


def test_the_same_command_goes_on_without_paying_again(tmp_path):
    arguments = {"metric": hides_word, "trainset": SEEDS, "budget": 300, "out": tmp_path}
    first = ScriptedLM({"write": learns})

    def dies(progress):
        if progress.candidates == 2:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        sw.optimize(Riddles(), lms=first, progress=dies, **arguments)
    second = ScriptedLM({"write": learns})
    resumed = sw.optimize(Riddles(), lms=second, **arguments)
    whole = ScriptedLM({"write": learns})
    straight = sw.optimize(Riddles(), lms=whole, **{**arguments, "out": None})
    assert resumed.best == straight.best and resumed.metric == straight.metric
    assert 0 < len(second.calls) < len(whole.calls) and len(first.calls) + len(second.calls) == len(whole.calls)


def test_the_result_is_the_same_at_any_concurrency():
    results = [
        sw.optimize(
            Riddles(), metric=hides_word, trainset=SEEDS, lms=ScriptedLM({"write": learns}), budget=300, concurrency=n
        )
        for n in (1, 8)
    ]
    assert results[0].metric.before == results[1].metric.before and results[0].metric.after == results[1].metric.after


@pytest.mark.parametrize("at", [1, 3])
def test_ctrl_c_keeps_the_best_so_far_and_proves_it(at, tmp_path):
    def presses(progress):
        if progress.phase == "search" and progress.candidates == at and not pressed:
            pressed.append(1)
            raise KeyboardInterrupt

    pressed = []
    lm = ScriptedLM({"write": learns})
    tuned = sw.optimize(
        Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=300, out=tmp_path, progress=presses
    )
    assert tuned.interrupted and "interrupted" in tuned.report()
    assert len([c for c in tuned.history if c.validated]) == at
    assert (tuned.metric.gain > 0) == (at == 3)
    assert json.loads((tmp_path / "report.json").read_text())["interrupted"] is True


def test_a_second_ctrl_c_leaves_at_once_and_keeps_the_prompts(tmp_path):
    def presses(progress):
        if (progress.phase == "search" and progress.candidates == 3) or progress.phase == "after":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sw.optimize(
            Riddles(),
            metric=hides_word,
            trainset=SEEDS,
            lms=ScriptedLM({"write": learns}),
            budget=300,
            out=tmp_path,
            progress=presses,
        )
    kept = Riddles()
    kept.load_prompts(tmp_path / "prompts.json")
    assert [demo["riddle"] for demo in kept.write.demos] == [GOOD] * len(kept.write.demos) != []


def test_a_search_without_anything_to_learn_from_ends_early_and_says_so():
    lm = ScriptedLM({"write": lambda call: {"riddle": f"I am {call['word']}."}})
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=400)
    assert tuned.calls < 250 and "nothing to learn from" in tuned.report()


def test_gold_demonstrations_may_stand_beside_drawn_ones():
    def needs_both(call):
        shown = {message["content"] for message in call.messages if message["role"] == "assistant"}
        gold, drawn = any("rise" in text for text in shown), any("no name" in text for text in shown)
        lucky = gold and (call.seed or 0) % 2 == 0
        return {"riddle": GOOD if (gold and drawn) or lucky else f"I am {call['word']}."}

    lm = ScriptedLM({"write": needs_both})
    gold = {"write": [{"word": "sun", "riddle": "I rise."}]}
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=500, gold=gold)
    words = {demo["riddle"] for demo in tuned.best.prompts["write"].demos}
    assert words == {"I rise.", GOOD} and tuned.metric.after > 0.9


def test_a_generator_without_predictors_has_nothing_to_tune():
    class Fixed(sw.Generator[Riddle]):
        async def aforward(self, word):
            return dspy.Prediction(rows=[Riddle(word=word, riddle="?")])

    with pytest.raises(ConfigError, match="nothing to tune"):
        sw.optimize(Fixed(), metric=hides_word, trainset=SEEDS, lms=ScriptedLM({}))


def test_a_draw_whose_reply_cannot_be_parsed_is_a_draw_and_not_a_missing_example():
    garbage = ScriptedLM({"write": lambda call: learns(call) if (call.seed or 0) % 3 else "no json"})
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=garbage, budget=300)
    assert tuned.metric.seeds == len(tuned.proof.a.seeds) == 8


def test_the_mean_has_an_interval_around_it():
    mean = mean_interval([0.0, 1.0, 0.0, 1.0, 1.0])
    assert mean.value == pytest.approx(0.6) and mean.low < 0.6 < mean.high and "5 seeds" in str(mean)


def test_prompts_that_work_may_take_more_calls_than_prompts_that_fail():
    class Careful(Riddles):
        """Asks three judges about every riddle that does not fail at once: 4 calls instead of 1."""

        async def aforward(self, word):
            riddle = (await self.write.acall(word=word)).riddle
            if word in riddle:
                return dspy.Prediction(rows=[], rejected=[sw.Rejected(stage="write", reason="names_it")])
            for number in range(3):
                await self.judge.acall(riddle=f"{riddle} {number}")
            return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle)])

    def rarely(call):
        shown = sum(message["role"] == "assistant" for message in call.messages)
        return {"riddle": GOOD if shown or (call.seed or 0) % 12 == 0 else f"I am {call['word']}."}

    lm = ScriptedLM({"write": rarely, "judge": {"good": True}})
    tuned = sw.optimize(Careful(), metric=hides_word, trainset=SEEDS, lms=lm, budget=260, draws=2)
    assert tuned.metric.after == pytest.approx(0.99) and len(lm.calls) <= tuned.calls <= 260
    assert tuned.best.cost == 8 > 3 > tuned.history[0].cost
    assert tuned.metric.seeds == len(tuned.proof.b.scores) == len(tuned.proof.a.scores)
