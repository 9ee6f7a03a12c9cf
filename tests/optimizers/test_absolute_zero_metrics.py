import itertools
from typing import Any

import dspy
import pytest

from synthwright.lms.adapters import default_adapter
from synthwright.optimizers.metrics.absolute_zero import HELD_OUT, METRIC
from synthwright.optimizers.scoring import score_seeds
from synthwright.optimizers.seeds import shipped_seeds
from synthwright.programs.absolute_zero import AbsoluteZero
from synthwright.signatures.absolute_zero import Attempt, Pair, SelfPlayRow, Task
from synthwright.signatures.rows import Rejected
from synthwright.testing import ScriptedLM

WALK = (
    "def f(path):\n    place = 0\n    for move in path:\n        if move == 'r':\n            place += 1\n"
    "        else:\n            place -= 1\n    return place"
)
RUNS = (
    "def f(text):\n    best = run = 0\n    last = ''\n    for c in text:\n        run = run + 1 if c == last else 1\n"
    "        last = c\n        best = max(best, run)\n    return best"
)
WRONG = Attempt(reasoning="r", answer="9", state="wrong", detail="9 instead of 1")


def task(program=WALK, **fields: Any):
    base: dict[str, Any] = {"input": "'rrl'", "output": "1", "origin": "proposed", "round": 1, "ast_distance": 0.7}
    base |= {"solve_rate": 0.125, "n_samples": 8, "distinct_answers": 3, "learnability": 0.875, "attempts": (WRONG,)}
    return Task(**{"task_type": "deduction", "program": program, **base, **fields})


def other(**fields: Any):
    return task(RUNS, **{"input": "'aab'", "output": "2", **fields})


def induction(message="A walk to the right and back.", outputs=("1", "2", "-1", "0"), **fields: Any):
    calls = ("'r'", "'rr'", "'l'", "''")
    pairs = [Pair(input=i, output=o) for i, o in zip(calls, outputs, strict=True)]
    halves = {"given_pairs": tuple(pairs[:2]), "hidden_pairs": tuple(pairs[2:])}
    return task(task_type="induction", input="", output="", message=message, **halves, **fields)


def invalid(step, reason, stage="propose_deduction"):
    content = {"program": "def f(x): ...", "step": step}
    return Rejected(stage=stage, reason=reason, detail="line 2", content=content)


def judged(metric, *made, pred_name=None):
    artifacts = [m for m in made if isinstance(m, Task)]
    rejected = [m for m in made if isinstance(m, Rejected)]
    pred = dspy.Prediction(rows=[], rejected=rejected, artifacts=artifacts)
    return metric(dspy.Example(stage="propose"), pred, None, pred_name, None)


def score(*made):
    return judged(METRIC, *made).score


def test_good_proposals_score_high_and_below_one():
    assert 0.9 < score(task(), other()) < 1
    assert 0.9 < score(induction()) < 1
    assert "valid, new and solved by some" in judged(METRIC, task(), other()).feedback


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (other(solve_rate=0.0, learnability=0.0), "no sample solves it (8 samples); wrong: '9' (9 instead of 1)"),
        (other(solve_rate=1.0, learnability=0.0), "all samples solve it"),
        (other(identical_samples=True), "8 samples are the same text"),
        (other(ast_distance=0.05), "nearly copies its references"),
        (task(), "1 of 2 valid proposals repeat another one"),
        (induction(message="'r' 1"), "the message says nothing that the calls do not"),
        (invalid("format", "not_python"), "invalid at format, not_python: line 2"),
        (invalid("safety", "forbidden"), "invalid at safety, forbidden"),
    ],
)
def test_each_planted_fault_lowers_the_score_and_is_named(worse, complaint):
    result = judged(METRIC, task(), worse)
    assert result.score < score(task(), other()) and complaint in result.feedback


def test_a_harder_solvable_task_is_worth_more():
    assert score(other(learnability=0.875)) > score(other(learnability=0.5)) > score(other(learnability=0.0))


def test_an_invalid_proposal_scores_by_how_far_it_came():
    steps = [score(invalid(step, "x")) for step in ("format", "integrity", "determinism", "identity")]
    assert steps == sorted(steps) and len(set(steps)) == 4 and steps[-1] < score(other(learnability=0.0))


def test_trouble_of_the_sandbox_is_nobodys_fault():
    assert score(task(), invalid("sandbox", "crashed")) == score(task())


def test_nothing_proposed_scores_zero():
    assert score() == 0 and judged(HELD_OUT).score == 0


def test_feedback_is_limited_to_one_predictor():
    made = (invalid("format", "not_python"), invalid("integrity", "error", "propose_abduction"))
    text = judged(METRIC, *made, pred_name="propose_abduction").feedback
    assert "integrity, error" in text and "not_python" not in text


def test_shipped_seeds_run_through_the_scoring_of_optimizers():
    proposal = {"plan": "Walk.", "program": WALK, "arguments": "'rrl'"}
    hint = {"plan": "Show.", "calls": ["1", "2"], "message": "A hint."}
    turns = itertools.cycle(["1", "9"])
    lm = ScriptedLM(
        {
            "propose_deduction": proposal,
            "propose_abduction": "garbage",
            "propose_induction": hint,
            "solve_deduction": lambda call: {"reasoning": next(turns), "result": next(turns)},
        }
    )
    generator = AbsoluteZero(samples=3, induction_inputs=2)
    examples = shipped_seeds(generator)["train"][:3]
    with dspy.context(lm=lm, adapter=default_adapter()):
        scored = score_seeds(generator, examples, METRIC, draws=2, seed=0, limit=1)
    assert [e.inputs()["task_type"] for e in examples] == ["deduction", "abduction", "induction"]
    assert scored[1].score == 0 and "unparsable" in scored[1].feedback
    assert 0.1 < scored[0].score < 0.99 and "repeat another one" in scored[0].feedback


def test_rows_are_judged_where_there_are_no_intermediate_results():
    fields = task().model_dump(include=set(SelfPlayRow.model_fields) & set(Task.model_fields))
    row = SelfPlayRow(**fields)
    pred = dspy.Prediction(rows=[row], rejected=[])
    assert METRIC(dspy.Example(), pred, None, None, None).score == score(task())


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (other(output="3"), "running it again differs: 2 instead of 3"),
        (task("def f(x):\n    return x + 1", input="1", output="2"), "the program is a single step"),
        (task(WALK.replace("place", "spot")), "it nearly repeats another one"),
        (induction(outputs=("1", "2", "-1", "7")), "running it again differs"),
        (invalid("integrity", "error"), "invalid at integrity"),
    ],
)
def test_the_held_out_check_runs_code_again_and_wants_rich_programs(worse, complaint):
    result = judged(HELD_OUT, task(), worse)
    assert result.score == 0.5 and complaint in result.feedback


def test_the_held_out_check_does_not_look_at_solve_rates():
    assert judged(HELD_OUT, task(learnability=0.0, solve_rate=0.0), other()).score == 0.99
