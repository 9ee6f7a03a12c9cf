import json

import dspy
import pytest

import synthwright as sw
from synthwright.errors import ConfigError, UnusableLMError
from synthwright.lms import Retry
from synthwright.optimizers.candidates import PromptState
from synthwright.optimizers.stats import paired_difference
from synthwright.testing import ScriptedLM


class Riddle(sw.Row):
    word: str
    riddle: str


class WriteRiddle(dspy.Signature):
    """Write a riddle about the word."""

    word: str = dspy.InputField()
    riddle: str = dspy.OutputField()


class JudgeRiddle(dspy.Signature):
    """Say whether the riddle is good."""

    riddle: str = dspy.InputField()
    good: bool = dspy.OutputField()


class Riddles(sw.Generator[Riddle]):
    roles = {"judge": ("judge",)}

    def __init__(self, judged: bool = False):
        super().__init__()
        self.judged = judged
        self.write = dspy.Predict(WriteRiddle)
        self.judge = sw.Frozen(JudgeRiddle)

    async def aforward(self, word):
        riddle = (await self.write.acall(word=word)).riddle
        if self.judged and not (await self.judge.acall(riddle=riddle)).good:
            return dspy.Prediction(rows=[], rejected=[sw.Rejected(stage="judge", reason="bad")])
        return dspy.Prediction(rows=[Riddle(word=word, riddle=riddle)])


def hides_word(example, pred, trace=None, pred_name=None, pred_trace=None):
    good = sum(row.word not in row.riddle for row in pred.rows)
    return dspy.Prediction(score=0.99 * good / max(1, len(pred.rows)), feedback="It names the word.")


SEEDS = [{"word": f"word{i}"} for i in range(24)]


def learns_from_demonstrations(call):
    """Hides the word by chance in one call of four, and always once two demonstrations show how."""
    shown = sum(message["role"] == "assistant" for message in call.messages)
    lucky = (call.seed or 0) % 4 == 0
    return {"riddle": "I have no name." if shown >= 2 or lucky else f"I am {call['word']}."}


def test_demonstrations_are_found_and_the_gain_is_measured_on_unseen_seeds(tmp_path):
    lm = ScriptedLM({"write": learns_from_demonstrations}, concurrency=4)
    seen = []
    note = lambda progress: seen.append(progress.phase)  # noqa: E731
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=300, out=tmp_path, progress=note)
    assert tuned.metric.before < 0.6 and tuned.metric.after == pytest.approx(0.99)
    assert tuned.metric.measurable and tuned.metric.low > 0
    assert tuned.calls <= 300 and tuned.calls == len(lm.calls)
    demos = tuned.generator.all_predictors()["write"].demos
    assert 2 <= len(demos) <= 3 and all(demo["riddle"] == "I have no name." for demo in demos)
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
    lm = ScriptedLM(
        {"write": lambda call: learns_from_demonstrations(call) if len(call.messages) > 2 else {"riddle": call["word"]}}
    )
    gold = {"write": [{"word": "sun", "riddle": "I rise."}, {"word": "sea", "riddle": "I roll."}]}
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, budget=200, gold=gold)
    assert tuned.best.origin == "gold demonstrations" and tuned.metric.after > 0.9


def test_judges_are_frozen_and_the_generator_given_is_not_changed():
    generator = Riddles(judged=True)
    lm = ScriptedLM({"write": learns_from_demonstrations, "judge": {"good": True}})
    tuned = sw.optimize(generator, metric=hides_word, trainset=SEEDS, lms=lm, budget=500)
    assert list(tuned.best.prompts) == ["write"]
    assert generator.write.demos == [] and tuned.generator.all_predictors()["judge"].demos == []


def test_gepa_rewrites_the_instruction_with_the_reflection_lm():
    def obeys(call):
        return {"riddle": "I have no name." if "never name" in call.messages[0]["content"].lower() else call["word"]}

    reflection = ScriptedLM({"*": {"new_instruction": "Write a riddle. Never name the word."}}, model="reflection")
    lm = ScriptedLM({"write": obeys})
    tuned = sw.optimize(Riddles(), metric=hides_word, trainset=SEEDS, lms=lm, reflection_lm=reflection, budget=400)
    assert tuned.optimizer == "gepa" and "Never name" in tuned.best.prompts["write"].instructions
    assert tuned.metric.after == pytest.approx(0.99) and tuned.calls <= 400


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
        ({"threshold": 0}, "threshold"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    lm = ScriptedLM({"write": learns_from_demonstrations})
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
