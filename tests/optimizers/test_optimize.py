import json

import dspy
import pytest
from judged_riddles import GOOD, SEEDS, JudgeRiddle, Riddle, Riddles, WriteRiddle, hides_word, learns, long_enough

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms import Retry
from synthwright.optimizers.arguments import OPTIMIZERS
from synthwright.optimizers.candidates import PromptState
from synthwright.optimizers.dspy_optimizers import NAMES
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


async def waits(*arguments):
    return 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "hides_word"}, r"`metric` must be a function of \(example, pred, .* got 'hides_word'"),
        (
            {"metric": lambda example, pred, trace=None: 0.5},
            r"<lambda>\(example, pred, trace=None\) is called with five",
        ),
        ({"metric": waits}, "waits is asynchronous"),
        ({"held_out": lambda example: 0.5}, "`held_out`: <lambda>"),
        ({"optimizer": dspy.COPRO}, r"Pass an object, `dspy\.COPRO\(\.\.\.\)`, not the class"),
        ({"optimizer": 3}, "No optimizer 3"),
        ({"reflection_lm": "openai/gpt-4o"}, "`reflection_lm` must be a dspy.LM, got 'openai/gpt-4o'"),
        ({"judge_lm": "openai/gpt-4o"}, "`judge_lm` must be a dspy.LM"),
        ({"budget": "200"}, "`budget` must be a whole number of at least 1, got '200'"),
        ({"budget": 200.5}, "`budget` must be a whole number"),
        ({"draws": True}, "`draws` must be a whole number"),
        ({"concurrency": 0}, "`concurrency` must be a whole number of at least 1, got 0"),
        ({"targets": "write"}, "`targets` must be a list of names out of write, got 'write'"),
        ({"targets": []}, "`targets` must be a list of names"),
        ({"gold": {"wrote": []}}, "demonstrations of 'wrote', which is not tuned. Did you mean 'write'"),
        ({"gold": {"judge": []}}, "demonstrations of 'judge', which is not tuned"),
        ({"gold": {"write": [{"wrd": "a"}]}}, "Demonstration 0 of 'write' .* with the fields word, riddle"),
        ({"gold": [{"word": "a"}]}, "`gold` must be lists of demonstrations by predictor"),
        ({"trainset": ["a", "b"]}, r"Seed 0 is 'a'; a seed is a dictionary with the arguments \(word\)"),
        (
            {"trainset": [{"wrd": "a"}]},
            r"Seed 0 does not fit Riddles, which takes \(word\): missing a required argument",
        ),
        ({"trainset": [dspy.Example(word="a")]}, r"Seed 0 does not say what its inputs are: `\.with_inputs\('word'\)`"),
        ({"testset": 5}, "Seeds must be a list of dictionaries, got 5"),
    ],
)
def test_arguments_that_cannot_work_are_refused_before_a_call_is_made(arguments, message):
    lm = ScriptedLM({"write": learns})
    with pytest.raises(ConfigError, match=message):
        sw.optimize(Riddles(), **{"metric": hides_word, "trainset": SEEDS, "lms": lm, "budget": 200, **arguments})
    assert lm.calls == []


def test_a_class_in_place_of_a_generator_is_refused():
    with pytest.raises(ConfigError, match=r"Pass an object, `Riddles\(\.\.\.\)`, not the class"):
        sw.optimize(Riddles, metric=hides_word, trainset=SEEDS)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"Need a synthwright\.Generator, got 'Riddles'"):
        sw.evaluate("Riddles", hides_word, SEEDS)  # pyright: ignore[reportArgumentType]


def test_the_names_of_optimizers_are_those_that_can_be_built():
    assert {*OPTIMIZERS} == {"auto", "bootstrap", *NAMES}


# Metrics that ask an LM

ask = dspy.Predict(JudgeRiddle)


def asks_judge(example, pred, trace=None, pred_name=None, pred_trace=None):
    return sum(0.9 * ask(riddle=row.riddle).good for row in pred.rows) / max(1, len(pred.rows))


def good_if_nameless(call):
    return {"good": "no name" in call["riddle"]}


@pytest.mark.parametrize("optimizer", ["bootstrap", "copro"])
def test_calls_of_a_metric_count_and_are_on_record(optimizer, tmp_path):
    def tune():
        lm, judge = ScriptedLM({"write": learns}), ScriptedLM({"*": good_if_nameless}, model="judge")
        prompt_lm = ScriptedLM(
            {"*": {"proposed_instruction": "Never name it.", "proposed_prefix_for_output_field": "R"}}
        )
        tuned = sw.optimize(
            Riddles(),
            metric=asks_judge,
            held_out=asks_judge,
            trainset=SEEDS,
            lms=lm,
            judge_lm=judge,
            reflection_lm=prompt_lm,
            optimizer=optimizer,
            budget=400,
            out=tmp_path,
        )
        return tuned, len(lm.calls), len(judge.calls), len(prompt_lm.calls)

    tuned, written, judged, proposed = tune()
    assert tuned.metric.after > 0.8 > tuned.metric.before and tuned.warnings == []
    assert judged > 0 and written + judged + proposed <= tuned.calls <= 400  # equal questions are asked once
    again, *paid = tune()
    assert again.metric == tuned.metric and paid == [0, 0, 0]


def test_calls_that_a_metric_makes_past_the_session_are_told_of():
    own = ScriptedLM({"*": good_if_nameless}, model="own")

    def asks_its_own(example, pred, *rest):
        with dspy.context(lm=own):
            return asks_judge(example, pred)

    found = sw.evaluate(Riddles(), asks_its_own, SEEDS[:4], lms=ScriptedLM({"write": learns}))
    assert found.calls == 8 == len(own.calls)
    assert "made 8 calls of an LM of their own (own), neither in the budget" in found.report()


def test_calls_of_a_metric_to_an_lm_of_dspy_are_not_taken_for_its_own():
    scripted = ScriptedLM({"*": good_if_nameless})
    judge = dspy.LM("plain", engine=scripted.engine, async_engine=scripted.async_engine)
    found = sw.evaluate(Riddles(), asks_judge, SEEDS[:4], lms=ScriptedLM({"write": learns}), judge_lm=judge)
    assert found.notes == [] and found.calls > 8


def test_a_dead_judge_of_a_metric_is_an_error_and_no_score():
    judge = ScriptedLM({"*": dspy.lm15.InvalidRequestError("no such model", status=404)})
    with pytest.raises(UnusableLMError, match="no such model"):
        sw.evaluate(Riddles(), asks_judge, SEEDS[:4], lms=ScriptedLM({"write": learns}), judge_lm=judge)


def test_prompts_that_lose_on_the_test_seeds_are_told_of():
    def fickle(example, pred, *rest):
        good = sum(row.riddle == GOOD for row in pred.rows) / max(1, len(pred.rows))
        return 0.9 * (1 - good if int(example.word.removeprefix("word")) >= 16 else good) if pred.rows else 0.0

    lm = ScriptedLM({"write": learns})
    tuned = sw.optimize(Riddles(), metric=fickle, trainset=SEEDS, lms=lm, budget=300)
    assert tuned.metric.high < 0 and "worse on the test seeds: keep those that you had" in tuned.report()


def test_no_secret_of_an_lm_is_saved(tmp_path):
    secret = "sk-planted-77"
    lm = ScriptedLM({"write": learns})
    lm.kwargs.update(api_key=secret, headers={"X-Key": secret})  # where DSPy keeps those of a hosted LM
    sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=200, out=tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 6 and not [path.name for path in files if secret.encode() in path.read_bytes()]


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
