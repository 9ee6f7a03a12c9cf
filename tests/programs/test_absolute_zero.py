import json
from collections import Counter
from itertools import cycle
from typing import Any

import pytest

import synthwright as sw
from synthwright.errors import ConfigError
from synthwright.pool import Pool
from synthwright.programs import absolute_zero_buffers
from synthwright.programs.absolute_zero import AbsoluteZero
from synthwright.programs.absolute_zero_buffers import ZERO, Buffers, draw_references, unique
from synthwright.programs.absolute_zero_checks import (
    CHECKS,
    Problem,
    Rules,
    bare_program,
    check_induction,
    check_triplet,
    stripped_seed,
)
from synthwright.programs.absolute_zero_filters import Solvable
from synthwright.programs.absolute_zero_proposals import admit
from synthwright.programs.absolute_zero_rewards import (
    answer_of,
    intrinsic,
    learnability,
    proposer_reward,
    reward_function,
    solver_reward,
)
from synthwright.programs.absolute_zero_sandbox import shared_sandbox
from synthwright.programs.absolute_zero_solving import judge_answer, measure
from synthwright.programs.absolute_zero_stats import answer_diversity, summary, verified_again
from synthwright.programs.base import data_path, read_jsonl
from synthwright.runs.demonstrations import shipped
from synthwright.runs.store import Store
from synthwright.sandbox import Failure, Limits, Value
from synthwright.signatures.absolute_zero import (
    Attempt,
    Measured,
    Pair,
    Puzzle,
    SelfPlayRow,
    Task,
    enveloped,
)
from synthwright.signatures.rows import Message
from synthwright.testing import ScriptedLM

TUNING = data_path("../../optimizers/data/absolute_zero.jsonl")
DOUBLE = "def f(x):\n    return x * 2"
HALVES = "def f(x):\n    out = []\n    for i in range(x):\n        out.append(i // 2)\n    return out"
CALLS = ["1", "2", "3", "4", "5", "6"]
SMALL: dict[str, Any] = {"batch_size": 1, "references": 2, "samples": 2}


@pytest.fixture(scope="module")
def rules():
    return Rules(shared_sandbox("monty"), Limits(seconds=1, output_chars=2000), CHECKS)


@pytest.fixture(scope="module")
def plain():
    """Nothing beyond the four steps of the paper."""
    return Rules(shared_sandbox("monty"), Limits(seconds=1, output_chars=2000), ())


def task(program=DOUBLE, kind: Any = "deduction", **fields: Any):
    base: dict[str, Any] = {"origin": "seed", "round": 0, "input": "3", "output": "6"}
    return Task(task_type=kind, program=program, **{**base, **fields})


def induction(program=DOUBLE, **fields):
    pairs = [Pair(input=c, output=str(2 * int(c))) for c in CALLS]
    fields = {"given_pairs": tuple(pairs[:3]), "hidden_pairs": tuple(pairs[3:]), "message": "Twice.", **fields}
    return task(program, "induction", input="", output="", **fields)


def attempts(*states: Any, same=False):
    return [Attempt(reasoning="r" if same else f"r{i}", answer="6", state=s) for i, s in enumerate(states)]


def proposal(program=HALVES, arguments="5", plan="Halve each number below x."):
    return {"plan": plan, "program": program, "arguments": arguments}


def proposer(**fields: Any) -> dict[str, Any]:
    return {
        "propose_deduction": proposal(),
        "propose_abduction": proposal(),
        "propose_induction": {"plan": "Show it.", "calls": CALLS, "message": "A hint."},
        **fields,
    }


def solver(result="'no'", arguments="-1", program="def f(x):\n    return None") -> dict[str, Any]:
    return {
        "solve_deduction": {"reasoning": "r", "result": result},
        "solve_abduction": {"reasoning": "r", "arguments": arguments},
        "solve_induction": {"reasoning": "r", "program": program},
    }


def half_right(right, wrong):
    """Answers in turn: one right, one wrong."""
    turns = cycle([right, wrong])
    return lambda call: {**next(turns)}


def lm(**answers):
    return ScriptedLM({**proposer(), **solver(), **answers})


def propose(tmp_path, answers=None, kind="deduction", references: Any = (), **arguments: Any):
    """The run of one proposal."""
    seed = {
        "stage": "propose",
        "task_type": kind,
        "references": list(references) or [dict(ZERO)],
        "round": 1,
        "step": 1,
    }
    generator = Only(**{**SMALL, "keep": "all", **arguments})
    generator.given = [seed]
    return sw.generate(generator, out=tmp_path, lms=lm(**(answers or {})))


def problem(found) -> Problem:
    """What a check found wrong."""
    assert isinstance(found, Problem), found
    return found


class Only(AbsoluteZero):
    """The method on given units of work."""

    given: Any = ()

    def plan(self, pool):
        return self.given if pool.round == 0 else ()


def artifacts(run, cls=Task):
    with Store(run.out) as store:
        return [each for each in store.log("artifacts") if isinstance(each, cls)]


def rejects(run):
    with Store(run.out) as store:
        return [reject for _, reject in store.rejects()]


# Seeds


def test_every_authored_program_is_a_valid_task(rules):
    for seed in read_jsonl(data_path("absolute_zero.jsonl")):
        assert not isinstance(admit(seed, 6, 0, rules), Problem), seed


def test_a_given_triplet_is_a_task_of_both_types(rules):
    made = admit({"program": DOUBLE, "input": "4", "parent_ids": ["p"]}, 6, 0, rules)
    assert isinstance(made, list)
    assert [(t.task_type, t.output, t.parent_ids) for t in made] == [
        ("deduction", "8", ("p",)),
        ("abduction", "8", ("p",)),
    ]


def test_seeds_lose_comments_globals_docstrings_and_what_follows_a_return():
    source = (
        "import math\nN = 3\nprint('x')\ndef f(x):\n    '''Doc.'''\n    # comment\n    if x:\n        return 1\n"
        "        y = 2\n    return math.floor(x)\n    z = 3\n"
    )
    bare = "import math\n\ndef f(x):\n    if x:\n        return 1\n    return math.floor(x)"
    assert stripped_seed(source) == bare


def test_only_seeds_are_stripped(tmp_path):
    commented = "def f(x):\n    # why\n    return [x, x + 1]"
    proposed = propose(tmp_path / "a", {"propose_deduction": proposal(commented)})
    assert "# why" in artifacts(proposed)[0].program
    generator = Only(**SMALL)
    generator.given = [{"stage": "seed", "references": [dict(ZERO)]}]
    seeded = sw.generate(generator, out=tmp_path / "b", lms=lm(propose_deduction=proposal(commented)))
    made = artifacts(seeded)
    assert [t.task_type for t in made] == ["deduction", "abduction"]
    assert all("#" not in t.program and "# why" in t.original_program for t in made)


def test_a_program_that_needs_its_globals_is_no_seed(rules):
    found = admit({"program": "N = 3\ndef f(x):\n    return x + N", "input": "1"}, 6, 0, rules)
    assert problem(found).reason == "error"


def test_the_seed_buffer_is_filled_by_the_lm_from_the_zero_triplet_on(tmp_path):
    counter = iter(range(1000))

    def new(call):
        return proposal(f"def f(x):\n    return [x, {next(counter)}]", "5")

    generator = AbsoluteZero(seeding="proposed", seed_factor=3, steps=1, **{**SMALL, "batch_size": 2, "keep": "all"})
    scripted = lm(propose_deduction=new, propose_abduction=new)
    run = sw.generate(generator, out=tmp_path, lms=scripted)
    seeds = [t for t in artifacts(run) if t.origin == "seed"]
    assert Counter(t.task_type for t in seeds)["deduction"] == 6 == Counter(t.task_type for t in seeds)["abduction"]
    assert Counter(t.task_type for t in seeds)["induction"] >= 6
    assert "hello, world" in scripted.calls[0]["reference_programs"]
    assert run.stopped == "the 1 steps of the loop are done"


def test_seeds_are_counted_without_copies():
    twin = task("def f(x):\n    # the same\n    return x * 2", input="9", output="18")
    assert len(Buffers([task(), twin], [], 9, deduplicate=False).seeds("deduction")) == 1


def test_user_seeds_take_the_place_of_ours_and_bad_ones_are_told(tmp_path):
    seeds = [{"program": DOUBLE, "input": "3"}, {"program": "def f(x):\n    return open(x)", "input": "'a'"}]
    run = sw.generate(AbsoluteZero(**SMALL, keep="all"), seeds=seeds, out=tmp_path, lms=lm())
    assert {t.program for t in artifacts(run) if t.origin == "seed"} == {DOUBLE}
    assert ("seed", "forbidden") in {(r.stage, r.reason) for r in rejects(run)}
    with pytest.raises(ConfigError, match="a seed of AbsoluteZero is a Python program"):
        sw.generate(AbsoluteZero(), seeds=[{"instruction": "Sort."}], out=tmp_path / "b", lms=lm())


def test_a_run_whose_seeds_are_all_bad_says_so(tmp_path):
    run = sw.generate(AbsoluteZero(**SMALL), seeds=[{"program": "no python", "input": "1"}], out=tmp_path, lms=lm())
    assert run.stopped == "none of the seeds is a valid task"


# Validation, in order


BAD = [
    ("def f(x):\n    return x +", "1", "format", "not_python"),
    ("def g(x):\n    return x", "1", "format", "no_function"),
    ("def f():\n    return 1", "1", "format", "no_parameter"),
    (DOUBLE, "", "format", "no_input"),
    (DOUBLE, "“a”", "format", "bad_input"),
    (DOUBLE, "g(1)", "format", "bad_input"),
    (DOUBLE, "[i for i in range(3)]", "format", "bad_input"),
    ("def f(x):\n    return x / 0", "1", "integrity", "error"),
    ("def f(x):\n    raise Exception", "1", "integrity", "error"),
    ("def f(x):\n    x + 1", "1", "integrity", "returned_nothing"),
    ("def f(x):\n    while True:\n        pass", "1", "integrity", "timeout"),
    ("def f(x):\n    return 'a' * 5000", "1", "integrity", "output_too_large"),
    ("class A:\n    pass\ndef f(x):\n    return A()", "1", "integrity", "not_a_value"),
    ("import os\ndef f(x):\n    return x + 1", "1", "safety", "forbidden"),
    ("import shutil\ndef f(x):\n    return x + 1", "1", "safety", "forbidden"),
    ("from os import path\ndef f(x):\n    return x + 1", "1", "safety", "forbidden"),
    ("import random\ndef f(x):\n    return x + 1", "1", "safety", "forbidden"),
    ("def f(x):\n    return open(x)", "'a'", "safety", "forbidden"),
    ("def f(words):\n    return list(set(words))", "['ab', 'cd', 'ef']", "determinism", "nondeterministic"),
    ("def f(x):\n    return x[:0]", "'abc'", "empty_output", "empty_output"),
    ("def f(x):\n    return x", "4", "identity", "identity"),
    ("def f(x):\n    return 'always'", "4", "constant", "constant"),
    ("def f(x):\n    return [x, 'secret']", "'secret'", "input_in_program", "input_in_program"),
    ("def f(x):\n    return x * 3", "4", "copied", "copied"),
]


@pytest.mark.parametrize(("program", "call", "step", "reason"), BAD)
def test_each_fault_of_a_triplet_is_found_at_its_step(rules, program, call, step, reason):
    made = check_triplet(program, call, ["def f(x):\n    # a reference\n    return x * 3"], rules)
    assert isinstance(made, Problem) and (made.step, made.reason) == (step, reason)


def test_the_steps_come_in_the_order_of_the_paper(plain):
    # every fault at once: the earliest is named, and removing it shows the next
    source = "import os\ndef f(x):\n    return {}"
    assert problem(check_triplet(source.format("1 / 0 +"), "1", (), plain)).step == "format"
    safe_import = "import random\ndef f(x):\n    return {}"
    assert problem(check_triplet(safe_import.format("1 / 0"), "1", (), plain)).step == "integrity"
    assert problem(check_triplet(safe_import.format("random.random()"), "1", (), plain)).step == "safety"
    unordered = "def f(x):\n    return list(set(x))"
    assert problem(check_triplet(unordered, "['ab', 'cd']", (), plain)).step == "determinism"


def test_further_checks_are_off_by_argument(plain):
    assert check_triplet("def f(x):\n    return x", "4", (), plain) == Pair(input="4", output="4")


def test_a_program_near_the_time_limit_is_refused():
    source = "def f(x):\n    t = 0\n    while t < 10**9:\n        t += 1\n    return t + x"

    class Slow:
        """Says what time it was given."""

        def run(self, program, inputs, *, limits, **_):
            return Failure("timeout", str(limits.seconds))

    made = check_triplet(source, "1", (), Rules(Slow(), Limits(seconds=4), ("slow",)))  # pyright: ignore[reportArgumentType]
    assert problem(made).detail == "timeout: 2.0"
    made = check_triplet(source, "1", (), Rules(Slow(), Limits(seconds=4), ()))  # pyright: ignore[reportArgumentType]
    assert problem(made).detail == "timeout: 4"


def test_helpers_classes_windows_lines_and_inputs_of_several_lines_are_fine(rules):
    source = (
        "class A:\n    def one(self):\n        return 1\ndef parse_input(s):\n    return len(s)\n"
        "def f(x):\n    return parse_input(x) + A().one()"
    )
    assert check_triplet(source, "[1,\n 2]", (), rules) == Pair(input="[1, 2]", output="3")
    assert bare_program("```python\r\ndef f(x):\r\n    return x\r\n```") == "def f(x):\n    return x"


def test_several_or_unclosed_fences_are_format_errors():
    assert problem(bare_program("```\na\n```\n```\nb\n```")).reason == "several_programs"
    assert problem(bare_program("```python\ndef f(x):")).reason == "unclosed_fence"
    assert problem(bare_program("  \n")).reason == "no_program"


def test_a_dict_is_given_to_the_program_in_the_order_that_solvers_see(rules):
    made = check_triplet("def f(d):\n    return list(d)", "{'b': 1, 'a': 2}", (), rules)
    assert made == Pair(input="{'a': 2, 'b': 1}", output="['a', 'b']")


def test_long_outputs_are_refused_and_never_cut(rules):
    made = check_triplet("def f(x):\n    return 'ab' * x", "300", (), rules)
    assert made == Pair(input="300", output=repr("ab" * 300))


BAD_CALLS = [
    (CALLS[:5], "A hint.", "wrong_count"),
    ([*CALLS, "7"], "A hint.", "wrong_count"),
    (CALLS, "  ", "no_message"),
    ([*CALLS[:5], "g(1)"], "A hint.", "bad_input"),
    ([*CALLS[:5], "None"], "A hint.", "error"),
    ([*CALLS[:5], "1"], "A hint.", "repeated_inputs"),
    (CALLS, "Write: for i in range(x): out.append(i // 2)", "code_in_message"),
    (CALLS, "def g(x): a thing", "code_in_message"),
]


@pytest.mark.parametrize(("calls", "message", "reason"), BAD_CALLS)
def test_each_fault_of_an_induction_task_is_found(rules, calls, message, reason):
    made = check_induction(HALVES, calls, message, 6, rules)
    assert isinstance(made, Problem) and made.reason == reason


def test_constant_outputs_are_no_induction_task(rules):
    assert problem(check_induction("def f(x):\n    return x * 0", CALLS, "A hint.", 6, rules)).reason == "few_outputs"


def test_calls_of_a_known_program_are_not_screened_for_imports_again(rules):
    banned = "import random\ndef f(x):\n    return x + 1"
    assert not isinstance(check_induction(banned, CALLS, "A hint.", 6, rules), Problem)


# Answers


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("6", "right"),
        (" 6\r\n", "right"),
        ("6.0", "wrong"),
        ("True", "wrong"),
        ("3 + 3", "wrong"),
        ("[6 for _ in range(1)][0]", "wrong"),
        ("type('E', (), {'__eq__': lambda s, o: True})()", "wrong"),
        ("", "wrong"),
    ],
)
def test_a_result_is_compared_by_type_and_value_and_never_evaluated(plain, answer, state):
    assert judge_answer(task(), answer, plain)[0] == state


@pytest.mark.parametrize(
    ("answer", "state"),
    [("3", "right"), ("f(3)", "right"), ("-3", "right"), ("2", "wrong"), ("3) == f(3) or (1", "wrong")],
)
def test_any_arguments_with_the_result_are_right_and_none_become_source(plain, answer, state):
    square = task("def f(x):\n    return x * x", "abduction", input="-3", output="9")
    assert judge_answer(square, answer, plain)[0] == state


def test_a_program_must_give_every_hidden_pair(plain):
    assert judge_answer(induction(), "```python\ndef f(n):\n    return n + n\n```", plain) == ("right", "")
    table = "def f(n):\n    return {1: 2, 2: 4, 3: 6, 4: 8}.get(n, 0)"
    state, detail = judge_answer(induction(), table, plain)
    assert state == "wrong" and detail == "hidden call 2 of 3, f(5): 0 instead of 10"
    assert judge_answer(induction(), "import os\ndef f(n):\n    return n + n", plain)[0] == "wrong"


def test_trouble_of_the_sandbox_is_no_wrong_answer(plain):
    class Broken:
        def run(self, *_, **__):
            return Failure("crashed", "the worker died")

    broken = Rules(Broken(), Limits(), ())  # pyright: ignore[reportArgumentType]
    assert judge_answer(task(kind="abduction"), "3", broken)[0] == "crashed"
    rate = measure(task(), attempts("right", "crashed", "wrong"))
    assert (rate.n, rate.correct, rate.rate) == (2, 1, 0.5)
    assert problem(check_triplet(DOUBLE, "3", (), broken)).step == "sandbox"
    assert measure(task(), attempts("crashed")).rate is None


def test_hidden_pairs_never_reach_the_solver_and_answers_no_prompt(tmp_path):
    secret = induction(hidden_pairs=(Pair(input="77777", output="155554"),))
    scripted = lm()
    generator = Only(**{**SMALL, "keep": "all"})
    record = secret.model_dump(mode="json", exclude={"id", "provenance"})
    generator.given = [{"stage": "solve", "task_type": "induction", "task": record}]
    run = sw.generate(generator, out=tmp_path, lms=scripted)
    sent = json.dumps([call.messages for call in scripted.calls])
    assert "77777" not in sent and "155554" not in sent and DOUBLE.replace("\n", "\\n") not in sent
    (row,) = run
    assert "77777" not in row.solver_prompt() and row.program not in row.solver_prompt()
    assert "f(1) returns 2" in row.solver_prompt()
    assert "6" not in task().solver_prompt() and "f(3)" not in task(kind="abduction").solver_prompt()


# Rewards


@pytest.mark.parametrize(("rate", "worth"), [(0, 0), (1 / 8, 0.875), (1 / 2, 0.5), (1, 0)])
def test_the_reward_of_a_proposal_is_exact(rate, worth):
    assert learnability(rate) == worth


def test_format_errors_and_wrong_ones_have_their_rewards():
    assert [solver_reward(s) for s in ("right", "wrong", "unreadable", "crashed")] == [1.0, -0.5, -1.0, None]
    assert [proposer_reward(s, 0.875) for s in ("valid", "invalid", "unreadable")] == [0.875, -0.5, -1.0]
    assert proposer_reward("valid", 0.0) == 0.0
    assert proposer_reward("valid", 0.0, zero=-0.5) == -0.5  # the released code


def test_half_is_an_extension_that_peaks_in_the_middle():
    assert [learnability(r, "half") for r in (0, 0.25, 0.5, 1)] == [0, 0.5, 1, 0]
    with pytest.raises(ConfigError, match="must be in"):
        learnability(1.2)


def test_intrinsic_rewards_count_half_a_point_at_most():
    values: dict[str, float] = {"cognitive": 0.9, "ast_distance": 0.2}
    assert intrinsic(0.5, values, {"cognitive": 1.0, "ast_distance": 0.5}) == pytest.approx(0.5 + 0.5 + 0.1)
    assert intrinsic(0.5, values, {"ast_distance": 0.5}, how="multiply") == pytest.approx(0.05)
    with pytest.raises(ConfigError, match="lines"):
        intrinsic(0.5, values, {"lines": 1.0})


def test_the_reward_function_verifies_every_completion_again():
    reward = reward_function(seconds=1)
    columns: dict[str, Any] = {
        "role": ["solver"] * 5 + ["proposer"],
        "task_type": ["deduction", "deduction", "abduction", "induction", "deduction", "deduction"],
        "program": [DOUBLE] * 6,
        "input": ["3"] * 6,
        "output": ["6"] * 6,
        "given_pairs": [[]] * 6,
        "hidden_pairs": [[], [], [], [{"input": "4", "output": "8"}], [], []],
    }
    program = "```python\ndef f(x):\n    return x + x\n```"
    said = [enveloped("r", a) for a in ("6", "7", "f(3)", program)] + ["The answer is 6.", enveloped("r", "6")]
    chats = [[{"role": "assistant", "content": text}] for text in said]
    assert reward(prompts=[None] * 6, completions=chats, **columns) == [1.0, -0.5, 1.0, 1.0, -1.0, None]
    assert reward(prompts=[None] * 6, completions=said, **columns) == [1.0, -0.5, 1.0, 1.0, -1.0, None]
    with pytest.raises(ConfigError, match="program"):
        reward(prompts=[""], completions=[enveloped("r", "6")], task_type=["deduction"])


@pytest.mark.parametrize("text", ["6", "<answer>6", "<answer></answer>", "<answer>6</answer><answer>7</answer>"])
def test_a_reply_without_exactly_one_answer_is_a_format_error(text):
    assert answer_of(text) is None


# Samples


def test_the_solve_rate_tells_n_and_distinct_answers(tmp_path):
    turns = cycle(["[0, 0, 1, 1, 2]", "1", "2", "1"])
    run = propose(tmp_path, {"solve_deduction": lambda c: {"reasoning": "r", "result": next(turns)}}, samples=4)
    (row,) = run
    assert (row.solve_rate, row.n_samples, row.distinct_answers, row.learnability) == (0.25, 4, 3, 0.75)
    assert not row.identical_samples


def test_samples_of_one_task_are_independent_draws(tmp_path):
    scripted = lm()
    generator = Only(**{**SMALL, "samples": 8, "keep": "all"})
    generator.given = [{"stage": "propose", "references": [dict(ZERO)]}]
    sw.generate(generator, out=tmp_path, lms=scripted)
    seeds = [call.seed for call in scripted.calls if call.predictor == "solve_deduction"]
    assert len(seeds) == 8 == len(set(seeds))


def test_identical_samples_are_flagged_and_not_kept(tmp_path):
    right = {"solve_deduction": {"reasoning": "r", "result": "[0, 0, 1, 1, 2]"}}
    (row,) = propose(tmp_path / "a", right)
    assert row.identical_samples and row.learnability == 0
    run = propose(tmp_path / "b", right, keep="informative")
    assert len(run) == 0 and [(r.stage, r.reason) for r in rejects(run)] == [("solvable", "identical_samples")]


def test_one_sample_is_refused():
    with pytest.raises(ConfigError, match="`samples` must be at least 2"):
        AbsoluteZero(samples=1)


def test_an_unreadable_reply_of_a_solver_is_a_format_error_and_kept(tmp_path):
    turns = cycle(["no json", {"reasoning": "r", "result": "[0, 0, 1, 1, 2]"}])
    (row,) = propose(tmp_path, {"solve_deduction": lambda c: next(turns)})
    assert row.solve_rate == 0.5 and row.rejected_response == "no json"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"solve_rate": 0.0}, "never_solved"),
        ({"solve_rate": 1.0}, "always_solved"),
        ({"solve_rate": 0.5, "n_samples": 1}, "too_few_samples"),
        ({"solve_rate": 0.5}, None),
    ],
)
def test_tasks_that_teach_nothing_are_dropped(fields, reason):
    row = SelfPlayRow(task_type="deduction", program=DOUBLE, **{"n_samples": 4, "distinct_answers": 2, **fields})
    verdict = Solvable().check(row)
    assert (verdict.split(":")[0] if verdict else None) == reason
    if reason == "always_solved":
        assert Solvable(above_zero_only=True).check(row) is None


# Proposals


@pytest.mark.parametrize(
    ("reply", "reason", "reward"),
    [
        ("garbage", "unparsable", -1.0),
        (proposal("```\na\n```\n```\nb\n```"), "several_programs", -1.0),
        (proposal(arguments="x + 1"), "bad_input", -1.0),
        (proposal("def f(x):\n    return 1 / 0"), "error", -0.5),
        (proposal("import time\ndef f(x):\n    return x + 1"), "forbidden", -0.5),
    ],
)
def test_an_invalid_proposal_is_kept_with_its_reason_and_reward(tmp_path, reply, reason, reward):
    run = propose(tmp_path, {"propose_deduction": reply})
    (reject,) = rejects(run)
    assert (reject.stage, reject.reason, reject.content["reward"]) == ("propose_deduction", reason, reward)
    assert not artifacts(run)


def test_a_valid_proposal_enters_the_buffer_whether_or_not_it_earns_a_reward(tmp_path):
    run = propose(tmp_path, keep="informative")
    (made,) = artifacts(run)
    assert len(run) == 0 and made.origin == "proposed" and made.learnability == 0 and made.output == "[0, 0, 1, 1, 2]"
    assert made.cognitive > 0 and 0 < made.halstead < 1 and 0 < made.ast_distance < 1 and len(made.attempts) == 2


def test_the_proposer_sees_the_references_and_the_forbidden_modules(tmp_path):
    scripted = lm()
    generator = Only(**SMALL)
    generator.given = [{"stage": "propose", "references": [{"program": DOUBLE, "input": "3", "output": "6"}]}]
    sw.generate(generator, out=tmp_path, lms=scripted)
    call = scripted.calls[0]
    assert call["reference_programs"] == f"{DOUBLE}\n# f(3) returns 6" and "subprocess" in call["forbidden_modules"]


def test_half_of_the_calls_of_induction_are_hidden(tmp_path):
    run = propose(tmp_path, kind="induction", references=[{"program": HALVES, "input": "1", "output": "[0]"}])
    (made,) = artifacts(run)
    assert [p.input for p in made.given_pairs] == ["1", "2", "3"] and len(made.hidden_pairs) == 3
    odd = propose(
        tmp_path / "odd",
        {"propose_induction": {"plan": "p", "calls": CALLS[:5], "message": "m"}},
        kind="induction",
        references=[{"program": HALVES, "input": "1", "output": "[0]"}],
        induction_inputs=5,
    )
    (made,) = artifacts(odd)
    assert (len(made.given_pairs), len(made.hidden_pairs)) == (2, 3)  # floor halves


def test_proposer_rows_pair_a_learnable_proposal_with_one_that_is_not(tmp_path):
    both = cycle([proposal(), proposal("def f(x):\n    return 1 / 0")])
    answers = {
        "propose_deduction": lambda c: next(both),
        "solve_deduction": half_right(
            {"reasoning": "a", "result": "[0, 0, 1, 1, 2]"}, {"reasoning": "b", "result": "0"}
        ),
    }
    run = propose(tmp_path, answers, proposals=2, proposer_rows=True)
    (row,) = [row for row in run if row.role == "proposer"]
    pair = row.to_preference()
    assert pair and HALVES in pair.chosen[0].content and "1 / 0" in pair.rejected[0].content
    assert "hello, world" in row.to_prompt()[1].content and (row.to_messages() or [])[-1].role == "assistant"
    assert row.learnability == 0.5


# The loop


def pool(tasks: Any = (), measured: Any = (), number=1, target=10) -> Pool[SelfPlayRow]:
    return Pool([], artifacts=[*tasks, *measured], target=target, round=number)


def many(count, kind="deduction", **fields):
    return [task(f"def f(x):\n    return x + {i}", kind, input="1", output=str(1 + i), **fields) for i in range(count)]


def test_a_step_proposes_and_solves_each_type_and_mixes_them():
    generator = AbsoluteZero(batch_size=2)
    tasks = many(5) + many(5, "abduction") + [induction(), induction(HALVES)]
    seeds = list(generator.plan(pool(tasks)))
    assert Counter((s["stage"], s["task_type"]) for s in seeds) == {
        (stage, kind): 2 for stage in ("propose", "solve") for kind in ("deduction", "abduction", "induction")
    }
    assert [s["stage"] for s in seeds[:4]] == ["solve", "propose", "solve", "propose"]
    assert list(generator.plan(pool(tasks))) == seeds


def test_references_are_drawn_from_the_buffer_of_the_type_and_one_program_for_induction():
    generator = AbsoluteZero(batch_size=3, references=6)
    tasks = many(9) + many(2, "abduction")
    seeds = [s for s in generator.plan(pool(tasks)) if s["stage"] == "propose"]
    shown = {kind: [len(s["references"]) for s in seeds if s["task_type"] == kind] for kind in generator.task_types}
    assert shown == {"deduction": [6] * 3, "abduction": [2] * 3, "induction": [1] * 3}  # K above the buffer's size
    ids = {t.id for t in tasks if t.task_type == "deduction"}
    assert all(r["id"] in ids for s in seeds if s["task_type"] == "deduction" for r in s["references"])


def test_an_empty_buffer_gives_the_zero_triplet_and_no_references_give_none():
    import random

    assert draw_references([], 6, random.Random(0), None) == [ZERO]
    assert draw_references(many(3), 0, random.Random(0), None) == []


def test_references_that_are_too_long_are_drawn_again_and_then_left_out():
    import random

    long = task("def f(x):\n    return x + 1\n" + "# " + "a" * 4000)
    drawn = draw_references([long, *many(3)], 3, random.Random(1), 100)
    assert all(len(each["program"]) < 100 for each in drawn) and len(drawn) == 3
    assert draw_references([long], 1, random.Random(1), 100) == [ZERO]


def test_the_oldest_tasks_are_evicted():
    tasks = many(5)
    assert Buffers(tasks, [], 3, deduplicate=True).of("deduction") == tasks[2:]


def test_programs_that_differ_in_comments_alone_count_once():
    twin = task("def f(x):  # twice\n    return x * 2", origin="proposed", input="9", output="18")
    assert unique([task(), twin]) == [task()]
    assert Buffers([task(), twin], [], 9, deduplicate=False).of("deduction") == [task(), twin]


def test_a_buffer_is_made_once_however_many_proposals_draw_from_it(monkeypatch):
    seen = []
    monkeypatch.setattr(absolute_zero_buffers, "normalise_program", lambda source: seen.append(source) or source)
    buffers = Buffers([task(), task(f"{DOUBLE}\n")], [], 9, deduplicate=True)
    assert [len(buffers.programs()) for _ in range(5)] == [2] * 5
    assert len(seen) == 2


def test_after_the_proposals_the_new_tasks_are_solved_first_and_the_batch_is_filled():
    generator = AbsoluteZero(
        batch_size=3, rollouts=1, solve_order="after", task_types=("deduction",), deduplicate=False
    )
    tasks = [*many(6), task(HALVES, origin="proposed", round=1, input="5", output="[0]")]
    assert {s["stage"] for s in generator.plan(pool(tasks, number=1))} == {"propose"}
    solved = [s["task"]["program"] for s in generator.plan(pool(tasks, number=2))]
    assert solved[0] == HALVES and len(solved) == 3 == len(set(solved))
    assert {s["step"] for s in generator.plan(pool(tasks, number=3))} == {2}


def test_before_the_proposals_the_additions_of_the_last_step_are_solved():
    generator = AbsoluteZero(batch_size=2, rollouts=1, task_types=("deduction",))
    tasks = [*many(6), task(HALVES, origin="proposed", round=1, input="5", output="[0]")]
    solve = [s["task"]["program"] for s in generator.plan(pool(tasks, number=2)) if s["stage"] == "solve"]
    assert solve[0] == HALVES and len(solve) == 2


def test_without_rollouts_only_tasks_that_nobody_tried_are_solved():
    generator = AbsoluteZero(batch_size=9, task_types=("deduction",))
    tasks = many(4)
    measured = [Measured(task_id=tasks[0].id, round=1, n_samples=4, correct=0)]
    tried = task(HALVES, origin="proposed", round=1, n_samples=4, solve_rate=0.5)
    left = [s["task"]["program"] for s in generator.plan(pool([*tasks, tried], measured, 2)) if s["stage"] == "solve"]
    assert sorted(left) == [t.program for t in tasks[1:]]


def test_a_solve_phase_fills_up_by_a_uniform_draw_or_from_the_oldest():
    tasks = many(30)

    def filled(fill):
        generator = AbsoluteZero(batch_size=4, task_types=("deduction",), fill=fill)
        return [s["task"]["program"] for s in generator.plan(pool(tasks)) if s["stage"] == "solve"]

    assert filled("in_order") == [t.program for t in tasks[:4]] != filled("uniform")
    assert set(filled("uniform")) < {t.program for t in tasks}


def test_the_solve_phase_adds_rollouts_to_the_samples_of_a_task(tmp_path):
    known = task(n_samples=2, solve_rate=0.5, learnability=0.5, attempts=tuple(attempts("wrong", "wrong")))
    generator = Only(**{**SMALL, "rollouts": 1, "keep": "all"})
    record = known.model_dump(mode="json", exclude={"id", "provenance"})
    generator.given = [{"stage": "solve", "task": record}]
    scripted = lm(solve_deduction={"reasoning": "new", "result": "6"})
    (row,) = sw.generate(generator, out=tmp_path, lms=scripted)
    assert len(scripted.calls) == 1 and row.solve_rate == 0.5 and row.task_id == known.id
    assert row.response == enveloped("new", "6") and row.rejected_response == enveloped("r0", "6")


def test_the_loop_grows_its_buffers_and_gives_rows(tmp_path):
    numbers = iter(range(1000))

    def new(call):
        return proposal(
            f"def f(x):\n    out = []\n    for i in range(x):\n        out.append(i * {next(numbers)})\n    return out",
            "2",
        )

    def sometimes(call):
        turn = next(numbers)
        program, text = call["program"], call["call"]
        found = shared_sandbox("monty").run(program, text)
        return {"reasoning": f"turn {turn}", "result": repr(found.value) if turn % 2 else "'no'"}  # pyright: ignore[reportAttributeAccessIssue]

    scripted = lm(propose_deduction=new, propose_abduction=new, solve_deduction=sometimes)
    generator = AbsoluteZero(batch_size=2, samples=4, references=2, task_types=("deduction",))
    run = sw.generate(generator, n=6, out=tmp_path, lms=scripted)
    assert len(run) == 6 and all(0 < row.solve_rate < 1 and row.n_samples == 4 for row in run)
    assert {row.origin for row in run} == {"seed", "proposed"}
    assert len({row.task_key for row in run}) == 6 and len({row.root_id for row in run}) == 6
    shown = [c["reference_programs"] for c in scripted.calls if c.predictor == "propose_deduction"]
    assert all(text.count("def f(") == 2 for text in shown)
    assert verified_again(artifacts(run), generator.rules) == 1.0


def test_the_dataset_is_the_same_at_any_concurrency_and_after_a_stop(tmp_path):
    def solved(call):
        found = shared_sandbox("monty").run(call["program"], call["call"])
        right = repr(found.value) if call.seed % 2 and isinstance(found, Value) else "'no'"
        return {"reasoning": str(call.seed), "result": right}

    def new(call):
        return proposal(
            f"def f(x):\n    out = []\n    for i in range(x):\n        out.append(i * {call.seed})\n    return out", "3"
        )

    def rows(name, n=8, **how):
        generator = AbsoluteZero(batch_size=3, references=2, task_types=("deduction",))
        scripted = lm(propose_deduction=new, solve_deduction=solved)
        return sw.generate(generator, n=n, out=tmp_path / name, lms=scripted, **how)

    once = [row.id for row in rows("once", concurrency=1)]
    assert [row.id for row in rows("many", concurrency=7)] == once
    rows("again", n=3)
    assert [row.id for row in rows("again")] == once


def test_the_second_backend_runs_what_the_first_lacks(tmp_path):
    halves = (
        "def f(x):\n    def parts():\n        for i in range(x):\n            yield i // 2\n    return list(parts())"
    )
    first = propose(tmp_path / "monty", {"propose_deduction": proposal(halves)})
    assert rejects(first)[0].reason == "unsupported"
    second = propose(tmp_path / "cpython", {"propose_deduction": proposal(halves)}, sandbox="subprocess")
    assert artifacts(second)[0].output == "[0, 0, 1, 1, 2]"


def test_without_a_target_there_is_one_step(tmp_path):
    run = sw.generate(AbsoluteZero(**SMALL), out=tmp_path, lms=lm())
    assert {t.round for t in artifacts(run)} == {0, 1}


def test_the_faithful_preset_runs_whole(tmp_path):
    counter = iter(range(1000))

    def new(call):
        return proposal(f"def f(x):\n    return [x, {next(counter)}]", "5")

    ten = {"plan": "p", "calls": [str(i) for i in range(10)], "message": "A pair."}
    generator = AbsoluteZero.preset("faithful", batch_size=1, seed_factor=2, steps=2)
    scripted = lm(propose_deduction=new, propose_abduction=new, propose_induction=ten)
    run = sw.generate(generator, out=tmp_path, lms=scripted)
    assert run.stopped == "the 2 steps of the loop are done"
    assert {row.step for row in run} == {1, 2} and {row.n_samples for row in run} == {8}
    assert {row.task_type for row in run} == {"deduction", "abduction", "induction"}


# Roles, optimizers, presets, forms


def test_solver_and_proposer_may_be_two_lms(tmp_path):
    proposes, solves = ScriptedLM(proposer()), ScriptedLM(solver())
    generator = Only(**SMALL)
    generator.given = [{"stage": "propose", "references": [dict(ZERO)]}]
    sw.generate(generator, out=tmp_path, lms={"generator": proposes, "solver": solves})
    assert [c.predictor for c in proposes.calls] == ["propose_deduction"]
    assert {c.predictor for c in solves.calls} == {"solve_deduction"}


def test_there_are_six_calls_and_optimizers_see_the_proposers():
    generator = AbsoluteZero()
    assert len(generator.all_predictors()) == 6
    assert set(generator.target_predictors()) == {"propose_deduction", "propose_abduction", "propose_induction"}


def test_presets_are_the_defaults_and_the_papers_numbers():
    assert AbsoluteZero.preset("practical").params() == AbsoluteZero().params()
    faithful = AbsoluteZero.preset("faithful").params()
    expected = {"batch_size": 64, "seed_factor": 4, "steps": 500, "references": 6, "induction_inputs": 10, "samples": 8}
    assert {name: faithful[name] for name in expected} == expected
    assert (faithful["capacity"], faithful["seconds"], faithful["temperature"]) == (16384, 10.0, 1.0)


@pytest.mark.parametrize(
    "bad",
    [
        {"task_types": ()},
        {"task_types": ("reduction",)},
        {"checks": ("nothing",)},
        {"batch_size": 0},
        {"temperature": 0},
        {"seeding": "leetcode"},
        {"keep": "some"},
        {"seconds": 0},
        {"capacity": 0},
        {"induction_inputs": 1},
    ],
)
def test_bad_arguments_are_named(bad):
    with pytest.raises(ConfigError, match=f"`{next(iter(bad))}`"):
        AbsoluteZero(**bad)


def test_rows_read_as_prompt_conversation_and_preference():
    shared: dict[str, Any] = {"task_type": "deduction", "program": DOUBLE, "input": "3", "output": "6"}
    row = SelfPlayRow(**shared, response=enveloped("r", "6"), rejected_response=enveloped("q", "7"))
    system, user = row.to_prompt()
    assert system.role == "system" and DOUBLE in user.content and "6" not in user.content
    assert row.to_messages() == [system, user, Message(role="assistant", content=row.response)]
    pair = row.to_preference()
    assert pair and "6" in pair.chosen[0].content and "7" in pair.rejected[0].content
    bare = SelfPlayRow(**shared)
    assert bare.to_messages() is None and bare.to_preference() is None and bare.to_prompt()


def test_rows_are_exported_with_what_the_reward_needs(tmp_path):
    answers = {
        "solve_deduction": half_right(
            {"reasoning": "a", "result": "[0, 0, 1, 1, 2]"}, {"reasoning": "b", "result": "0"}
        )
    }
    run = propose(tmp_path / "run", answers)
    columns = ("role", "task_type", "program", "input", "output", "given_pairs", "hidden_pairs", "solve_rate")
    data = run.dataset("prompt-only", columns=columns)
    scores = reward_function(seconds=1)(
        prompts=data["prompt"], completions=[enveloped("r", "[0, 0, 1, 1, 2]")], **{c: data[c] for c in columns}
    )
    assert scores == [1.0] and data["solve_rate"] == [0.5]
    assert len(run.dataset("sft")) == len(run.dataset("preference")) == 1


# Figures, data


def test_answer_diversity_is_the_surprise_of_each_answer():
    assert answer_diversity(["1", "1", "2", "1"]) == pytest.approx([1.0, 0.0, 1.0, 1 - 2 / 3])
    assert answer_diversity(["1", "'a'", "1"], hierarchical=True) == pytest.approx([1.0, 1.0, 0.25])


def test_the_summary_counts_what_the_paper_logs(tmp_path):
    answers = {
        "solve_deduction": half_right(
            {"reasoning": "a", "result": "[0, 0, 1, 1, 2]"}, {"reasoning": "b", "result": "0"}
        )
    }
    run = propose(tmp_path, answers)
    figures = summary(artifacts(run), [*rejects(run)])
    assert figures["valid_proposals"] == 1.0 and figures["mean_learnability"] == 0.5 and figures["informative"] == 1.0
    assert figures["answer_types"] == {"list": 1}
    json.dumps(figures)
    assert summary([])["valid_proposals"] is None


def test_verifying_again_finds_a_false_label(plain):
    assert verified_again([task(), task(output="7"), induction(), induction(HALVES)], plain) == 0.5


def test_shipped_seeds_and_demonstrations_are_disjoint_and_sound(rules):
    records = list(read_jsonl(TUNING))
    assert Counter(r["split"] for r in records) == {"train": 20, "val": 12, "test": 20}
    by_split = {
        s: {x["program"] for r in records if r["split"] == s for x in r["inputs"]["references"]}
        for s in ("train", "val", "test")
    }
    assert not by_split["train"] & by_split["test"] and not by_split["train"] & by_split["val"]
    demos = shipped("absolute_zero")
    assert set(demos) == set(AbsoluteZero().all_predictors()) and all(len(d) == 3 for d in demos.values())
    authored = {seed["program"] for seed in read_jsonl(data_path("absolute_zero.jsonl"))}
    assert not authored & {demo["program"] for group in demos.values() for demo in group}
    for name in ("propose_deduction", "propose_abduction"):
        for demo in demos[name]:
            assert isinstance(check_triplet(demo["program"], demo["arguments"], (), rules), Pair)
    for demo in demos["propose_induction"]:
        assert not isinstance(check_induction(demo["program"], demo["calls"], demo["message"], 6, rules), Problem)
    for demo in demos["solve_abduction"]:
        puzzle = Puzzle(task_type="abduction", program=demo["program"], output=demo["result"])
        assert judge_answer(puzzle, demo["arguments"], rules) == ("right", "")


@pytest.mark.embedded
def test_the_embedded_lm_solves_a_task_with_independent_samples(tmp_path, embedded):
    generator = Only(**{**SMALL, "samples": 4, "keep": "all"})
    shout = task("def f(text):\n    return text.upper()", input="'hello'", output="'HELLO'")
    generator.given = [{"stage": "solve", "task": shout.model_dump(mode="json", exclude={"id", "provenance"})}]
    (row,) = sw.generate(generator, out=tmp_path, lms=embedded)
    assert row.n_samples == 4 and not row.identical_samples
