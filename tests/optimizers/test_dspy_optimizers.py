"""DSPy's optimizers on a generator: each of them finds the prompt, keeps the budget, and cannot fail in silence."""

import importlib.util
import logging

import dspy
import pytest
from dspy.teleprompt import Teleprompter
from judged_riddles import GOOD, SEEDS, JudgeRiddle, Riddle, Riddles, WriteRiddle, hides_word, learns

import synthwright as sw
from synthwright.errors import ConfigError, MissingExtraError, UnusableLMError
from synthwright.optimizers.dspy_optimizers import NAMES
from synthwright.testing import Reply, ScriptedLM

ADVICE = "Write a riddle. Never name the word."
REPLIES = {  # what each optimizer asks of its prompt LM
    "new_instruction": ADVICE,
    "proposed_instruction": ADVICE,
    "proposed_prefix_for_output_field": "Riddle:",
    "observations": "Words.",
    "summary": "Words.",
    "module_advice": {"write": "Never name the word."},
    "discussion": "One names it.",
    "reasoning": "One names it.",
}

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs the extra mipro")
EACH = [pytest.param(name, marks=needs_optuna if name == "miprov2" else ()) for name in NAMES]


def reflection(answer=REPLIES):
    return ScriptedLM({"*": answer}, model="reflection")


def tune(optimizer, lm=None, generator=None, **arguments):
    defaults = {"metric": hides_word, "trainset": SEEDS, "budget": 400, "reflection_lm": reflection()}
    return sw.optimize(
        generator or Riddles(),
        optimizer=optimizer,
        lms=lm or ScriptedLM({"write": learns}),
        **{**defaults, **arguments},
    )


@pytest.mark.parametrize("optimizer", EACH)
def test_each_finds_the_prompt_within_its_budget(optimizer):
    lm, prompt_lm = ScriptedLM({"write": learns}, concurrency=4), reflection()
    tuned = tune(optimizer, lm, reflection_lm=prompt_lm)
    assert tuned.optimizer == optimizer and tuned.metric.measurable and tuned.metric.after == pytest.approx(0.99)
    assert "never name" in tuned.best.prompts["write"].instructions.lower() or tuned.best.prompts["write"].demos
    assert prompt_lm.calls, "the prompt LM was never asked"
    assert len(lm.calls) + len(prompt_lm.calls) == tuned.calls <= 400
    kinds = {candidate.validated for candidate in tuned.history}
    assert kinds == {True, False} and tuned.history[0].origin == "as given"


@pytest.mark.parametrize("optimizer", EACH)
def test_a_small_budget_ends_each_of_them_and_leaves_the_proof_paid(optimizer):
    lm, prompt_lm = ScriptedLM({"write": learns}), reflection()
    tuned = tune(optimizer, lm, reflection_lm=prompt_lm, budget=120)
    assert len(lm.calls) + len(prompt_lm.calls) == tuned.calls <= 120
    assert tuned.metric.seeds >= 3


@pytest.mark.parametrize("optimizer", EACH)
def test_fewer_seeds_than_a_minibatch_are_enough(optimizer):
    tuned = tune(optimizer, trainset=SEEDS[:1], valset=SEEDS[1:3], testset=SEEDS[3:9], budget=200)
    assert tuned.metric.seeds == 6 and tuned.calls <= 200


@pytest.mark.parametrize("optimizer", EACH)
def test_a_run_that_is_made_again_is_answered_from_the_record(optimizer, tmp_path):
    first = tune(optimizer, out=tmp_path)
    lm, prompt_lm = ScriptedLM({"write": learns}), reflection()
    again = tune(optimizer, lm, reflection_lm=prompt_lm, out=tmp_path)
    assert again.metric == first.metric and again.best.prompts == first.best.prompts
    assert len(lm.calls) + len(prompt_lm.calls) == 0


@pytest.mark.parametrize("optimizer", EACH)
def test_a_search_that_died_goes_on_without_paying_twice(optimizer, tmp_path):
    answered = []

    def dies(call):
        if len(answered) == 60:
            raise dspy.lm15.InvalidRequestError("gone", status=400)
        answered.append(call)
        return learns(call)

    prompt_lms = [reflection() for _ in range(3)]
    with pytest.raises(UnusableLMError, match="gone"):
        tune(optimizer, ScriptedLM({"write": dies}), reflection_lm=prompt_lms[0], out=tmp_path)
    lm, straight = ScriptedLM({"write": learns}), ScriptedLM({"write": learns})
    resumed = tune(optimizer, lm, reflection_lm=prompt_lms[1], out=tmp_path)
    whole = tune(optimizer, straight, reflection_lm=prompt_lms[2])
    assert resumed.metric == whole.metric and resumed.best.prompts == whole.best.prompts
    assert len(lm.calls) == len(straight.calls) - 60
    assert len(prompt_lms[0].calls) + len(prompt_lms[1].calls) == len(prompt_lms[2].calls)


@pytest.mark.parametrize("optimizer", EACH)
def test_nothing_is_printed_and_progress_is_heard(optimizer, capsys, caplog):
    phases = []

    def listens(progress):
        phases.append(progress.phase)
        print("heard")  # noqa: T201

    with caplog.at_level(logging.INFO):
        tune(optimizer, progress=listens)
    captured = capsys.readouterr()
    assert captured.err == "" and set(captured.out.split()) == {"heard"}
    assert [r for r in caplog.records if r.name.startswith(("dspy", "gepa", "optuna"))] == []
    assert phases[0] == "before" and "search" in phases and phases[-1] == "after"


@pytest.mark.parametrize("optimizer", EACH)
def test_a_metric_that_fails_in_the_middle_is_named(optimizer):
    seen = []

    def fails(example, pred, *rest):
        seen.append(1)
        return 1 / 0 if len(seen) > 45 else hides_word(example, pred)

    with pytest.raises(ConfigError, match="The metric fails raised ZeroDivisionError"):
        tune(optimizer, metric=fails)


@pytest.mark.parametrize("optimizer", EACH)
def test_an_lm_that_dies_in_the_search_ends_it(optimizer):
    calls = []

    def dies(call):
        calls.append(1)
        if len(calls) > 60:
            raise dspy.lm15.InvalidRequestError("gone", status=400)
        return learns(call)

    with pytest.raises(UnusableLMError, match="gone"):
        tune(optimizer, ScriptedLM({"write": dies}))


@pytest.mark.parametrize("optimizer", ["gepa", "copro", pytest.param("miprov2", marks=needs_optuna)])
def test_a_reflection_lm_that_never_gives_the_form_is_an_error_and_not_a_result(optimizer):
    lm, prompt_lm = ScriptedLM({"write": learns}), reflection("I would rather talk about the weather.")
    with pytest.raises(UnusableLMError, match=r"'reflection' .*never gave a new prompt.*talk about the weather"):
        tune(optimizer, lm, reflection_lm=prompt_lm, budget=2000)
    assert len(lm.calls) < 300, "it went on although nothing could come of it"


def test_a_reply_of_the_prompt_lm_that_is_cut_ends_the_search_and_keeps_what_was_found():
    asked = []

    def cut_later(call):
        asked.append(call)
        return REPLIES if len(asked) < 8 else Reply("Write a rid", "length")

    tuned = tune("copro", reflection_lm=reflection(cut_later))
    assert "never name" in tuned.best.prompts["write"].instructions.lower() and tuned.metric.measurable
    assert any("copro ended early" in warning and "cut at" in warning for warning in tuned.warnings)
    with pytest.raises(UnusableLMError, match=r"'reflection' .*never gave a new prompt"):
        tune("copro", reflection_lm=reflection(Reply("Write a rid", "length")))


def test_gepa_starts_from_gold_demonstrations_where_they_are_better():
    needs_two = {"write": lambda call: {"riddle": GOOD if len(call.messages) > 4 else f"I am {call['word']}."}}
    gold = {"write": [{"word": "sun", "riddle": "I rise."}, {"word": "sea", "riddle": "I roll."}]}
    tuned = tune("gepa", ScriptedLM(needs_two), gold=gold)
    assert len(tuned.best.prompts["write"].demos) == 2 and tuned.metric.after == pytest.approx(0.99)


def test_gepa_looks_at_minibatches_that_are_perfect_already():
    def perfect_on_train(example, pred, *rest):
        good = all(row.riddle == GOOD for row in pred.rows)
        return 1.0 if good or int(example.word.removeprefix("word")) < 8 else 0.0

    prompt_lm = reflection()
    tuned = tune("gepa", ScriptedLM({"write": learns}), metric=perfect_on_train, reflection_lm=prompt_lm)
    assert prompt_lm.calls and tuned.metric.after == 1.0 > tuned.metric.before


@needs_optuna
def test_a_nonzero_score_is_no_success_where_demonstrations_are_bootstrapped():
    def lenient(example, pred, *rest):
        return sum(0.99 if row.riddle == GOOD else 0.3 for row in pred.rows) / max(1, len(pred.rows))

    rare = {"write": lambda call: {"riddle": GOOD if (call.seed or 0) % 3 == 0 else f"I am {call['word']}."}}
    tuned = tune("miprov2", ScriptedLM(rare), metric=lenient, draws=1, threshold=0.9)
    shown = [demo["riddle"] for each in tuned.history for demo in each.prompts["write"].demos]
    assert shown and set(shown) == {GOOD}


def test_gepa_refuses_targets_with_equal_signatures():
    class Twins(sw.Generator[Riddle]):
        def __init__(self):
            super().__init__()
            self.one, self.two = dspy.Predict(WriteRiddle), dspy.Predict(WriteRiddle)

        async def aforward(self, word):
            return dspy.Prediction(rows=[Riddle(word=word, riddle=(await self.one.acall(word=word)).riddle)])

    lm = ScriptedLM({"*": learns})
    with pytest.raises(ConfigError, match="'one' and 'two' have equal signatures"):
        tune("gepa", lm, Twins())
    assert lm.calls == []


def test_miprov2_without_optuna_is_one_line_with_the_command(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "optuna" else found(name, *a))
    lm = ScriptedLM({"write": learns})
    with pytest.raises(MissingExtraError, match=r"pip install 'synthwright\[mipro\]'"):
        tune("miprov2", lm)
    assert lm.calls == []


def test_equal_proposals_are_different_draws_and_not_one_cached_answer():
    seeds = []

    def proposes(call):
        seeds.append(call.seed)
        return {**REPLIES, "proposed_instruction": f"Write riddle {len(seeds)}."}

    tune("copro", reflection_lm=reflection(proposes))
    assert len(seeds) > 3 and len(set(seeds)) == len(seeds) and None not in seeds


def test_draws_of_the_same_prompt_on_the_same_seed_differ():
    lm = ScriptedLM({"write": learns})
    tune("simba", lm)
    sampling = [call.seed for call in lm.calls]
    assert None not in sampling and len(set(sampling)) > 0.8 * len(sampling)


def test_a_judge_with_another_lm_keeps_it():
    lm, judge = ScriptedLM({"write": learns}), ScriptedLM({"judge": {"good": True}}, model="judge")
    tuned = tune("simba", {"generator": lm, "judge": judge}, Riddles(judged=True), budget=700)
    assert {call.predictor for call in judge.calls} == {"judge"} and list(tuned.best.prompts) == ["write"]
    assert {call.predictor for call in lm.calls} == {"write"}


@pytest.mark.parametrize("metric", [None, lambda example, pred, trace=None: 1.0])
def test_an_optimizer_object_of_dspy_is_taken_as_it_is(metric):
    bootstrap = dspy.BootstrapFewShot(
        metric=metric, metric_threshold=0.9, max_labeled_demos=0, max_bootstrapped_demos=3
    )
    often = {"write": lambda call: {"riddle": GOOD} if (call.seed or 0) % 2 else learns(call)}
    tuned = tune(bootstrap, ScriptedLM(often), draws=1)
    demos = tuned.best.prompts["write"].demos
    assert tuned.optimizer == "BootstrapFewShot" and tuned.calls <= 400
    if metric is None:  # ours, by which only good draws pass
        assert demos and all(demo["riddle"] == GOOD for demo in demos) and tuned.metric.gain > 0
    assert all(not {"augmented", "dspy_uuid"} & set(demo) for demo in demos)


def test_calls_of_an_lm_that_an_optimizer_object_brings_count():
    own = reflection()
    copro = dspy.COPRO(prompt_model=own, metric=None, breadth=3, depth=1)
    lm, unused = ScriptedLM({"write": learns}), reflection()
    tuned = tune(copro, lm, reflection_lm=unused)
    assert own.calls and not unused.calls and len(lm.calls) + len(own.calls) == tuned.calls <= 400
    assert copro.prompt_model is own


@pytest.mark.parametrize("optimizer", EACH)
def test_a_judge_of_the_metric_that_dies_in_the_search_ends_it(optimizer):
    asked = []

    def dies(call):
        asked.append(call)
        if len(asked) > 40:
            raise dspy.lm15.InvalidRequestError("judge gone", status=400)
        return {"good": "no name" in call["riddle"]}

    ask = dspy.Predict(JudgeRiddle)

    def judged(example, pred, trace=None, pred_name=None, pred_trace=None):
        rows = [f"{row.riddle} ({example.word})" for row in pred.rows]
        return sum(0.9 * ask(riddle=riddle).good for riddle in rows) / max(1, len(rows))

    with pytest.raises(UnusableLMError, match="judge gone"):
        tune(optimizer, metric=judged, judge_lm=ScriptedLM({"*": dies}, model="judge"))


def test_an_optimizer_that_returns_something_else_is_refused():
    class Swaps(Teleprompter):
        def compile(self, student, *, trainset, teacher=None, valset=None, **rest):
            return dspy.Predict(JudgeRiddle)

    with pytest.raises(ConfigError, match="swaps returned Predict, not the program"):
        tune(Swaps())


@pytest.mark.parametrize("optimizer", EACH)
def test_partial_replies_are_draws_and_not_missing_examples(optimizer):
    def often_cut(call):
        return '{"riddle": 3, "x' if (call.seed or 0) % 3 == 0 else learns(call)

    tuned = tune(optimizer, ScriptedLM({"write": often_cut}))
    assert tuned.metric.seeds == 8 and tuned.metric.after >= tuned.metric.before


def test_ctrl_c_in_an_optimizer_keeps_the_best_that_it_tried():
    lm = ScriptedLM({"write": learns})
    asked = []

    def pressed(call):
        asked.append(1)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return REPLIES

    tuned = tune("copro", lm, reflection_lm=reflection(pressed), budget=600)
    assert tuned.interrupted and tuned.calls <= 600
