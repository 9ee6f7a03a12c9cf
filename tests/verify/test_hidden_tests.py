"""Programs of replies, run for real in pydantic-monty, against tests given as literals."""

import json
from types import SimpleNamespace

import pydantic_monty
import pytest

from synthwright.verify import HiddenTests

TESTS = json.dumps([["(2, 3)", "5"], ["(0, 0)", "0"], ["(-1, 1)", "0"]])
ADD = "def f(a, b):\n    return a + b"


@pytest.fixture(scope="module")
def verifier():
    with pydantic_monty.Monty() as pool:

        def run(program, inputs):
            try:
                with pool.checkout(limits={"max_feed_duration_secs": 0.3}) as session:
                    return SimpleNamespace(value=session.feed_run(f"{program}\nf(*args)", inputs={"args": inputs}))
            except pydantic_monty.MontyError as error:
                return SimpleNamespace(kind=type(error).__name__)

        yield HiddenTests(run)


def fenced(program, language="python"):
    return f"Here it is:\n```{language}\n{program}\n```\nIt adds."


RIGHT = [
    ADD,
    fenced(ADD),
    fenced(ADD, "py"),
    fenced(ADD, ""),
    fenced("def f(b, a):\n    return a + b"),
    fenced("def f(*numbers):\n    return sum(numbers)"),
    fenced("def g(x):\n    return x\ndef f(a, b):\n    return g(a) + g(b)"),
    fenced("f = lambda a, b: a + b"),
    fenced("def f(a, b):\n    return b - -a  # adds"),
    fenced("def f(a, b):\n    return a - b") + "\nNo:\n" + fenced(ADD),
    fenced(ADD) + "\nFor example:\n```\nf(2, 3) -> 5\n```",
    fenced(ADD) + "\n```text\n5\n```",
]
WRONG = [
    (fenced("def f(a, b):\n    return a - b"), "different: test 1 of 3"),
    (fenced("def f(a, b):\n    return 5 if a == 2 else 0.0"), "different: test 2 of 3"),
    (fenced("def f(a, b):\n    return abs(a) + abs(b)"), "different: test 3 of 3"),
    (fenced("def f(a, b):\n    return str(a + b)"), "different: test 1 of 3"),
    (fenced("def f(a, b):\n    return (a + b) == 5"), "different: test 1 of 3"),
    (fenced("def f(a, b):\n    return None"), "different: test 1 of 3"),
    (fenced("def f(a):\n    return a"), "test_MontyRuntimeError: test 1"),
    (fenced("def f(a, b):\n    raise ValueError"), "test_MontyRuntimeError: test 1"),
    (fenced("def f(a, b):\n    while True:\n        pass"), "test_MontyRuntimeError: test 1"),
    (fenced("def g(a, b):\n    return a + b"), "test_MontyRuntimeError: test 1"),
    (fenced("def f(a, b)\n    return a"), "no_answer"),
    (fenced(""), "no_answer"),
    ("I cannot write this program.", "no_answer"),
    ("", "no_answer"),
    (fenced(ADD) + fenced("def f(a, b):\n    return a - b"), "different: test 1 of 3"),
    (fenced("#" * 30_000 + "\n" + ADD), "no_answer"),
    ("```python\n" + ADD, "no_answer"),
]


@pytest.mark.parametrize("reply", RIGHT)
def test_a_program_that_passes_every_test_is_right(reply, verifier):
    assert verifier(reply, TESTS).reason == "equal"


@pytest.mark.parametrize(("reply", "reason"), WRONG)
def test_the_first_test_that_fails_is_the_reason(reply, reason, verifier):
    verdict = verifier(reply, TESTS)
    assert not verdict.ok and verdict.reason == reason


@pytest.mark.parametrize(
    "answer", ["", "[]", "5", "{}", "[[]]", '[["2, 3"]]', '[["[2]", "5"]]', '[["(open(1),)", "5"]]', None]
)
def test_tests_that_cannot_be_read_are_no_tests_that_pass(answer, verifier):
    assert verifier(fenced(ADD), answer).reason == "unreadable_answer"


def test_inputs_and_outputs_cross_as_data_and_are_compared_by_type(verifier):
    identity = fenced("def f(x):\n    return x")
    for literal in ("1", "True", "'a'", "[1, (2, None)]", "{'a': {1, 2}}", "1.5", "b'x'", "()"):
        assert verifier(identity, json.dumps([[f"({literal},)", literal]])).ok
    assert not verifier(identity, json.dumps([["(1,)", "True"]])).ok
    assert not verifier(identity, json.dumps([["((1, 2),)", "[1, 2]"]])).ok


def test_a_program_has_one_canonical_form_whatever_its_layout(verifier):
    assert verifier.canonical(fenced(ADD)) == verifier.canonical("def f(a,b): return a+b # adds")
    assert verifier.canonical(fenced(ADD)) != verifier.canonical("def f(a, b): return b + a")
    assert verifier.canonical("no program here!") is None and verifier.extract(None) is None


# Trouble of the sandbox


def crashing(*kinds):
    """A sandbox that has these failures one after another (None for none), and then none."""
    left, runs = list(kinds), []

    def run(program, inputs):
        runs.append(inputs)
        kind = left.pop(0) if left else None
        return SimpleNamespace(kind=kind) if kind else SimpleNamespace(value=sum(inputs))

    return HiddenTests(run), runs


def test_a_test_in_which_the_sandbox_crashed_is_run_again():
    verifier, runs = crashing("crashed")
    assert verifier(ADD, TESTS).ok and runs[:2] == [(2, 3), (2, 3)] and len(runs) == 4


def test_a_sandbox_that_crashes_decides_nothing():
    verdict = crashing("crashed", "crashed")[0](ADD, TESTS)
    assert (verdict.ok, verdict.undecided, verdict.reason) == (False, True, "crashed: test 1")


def test_a_failed_test_decides_whatever_crashed_before():
    verdict = crashing("crashed", "crashed", "timeout")[0](ADD, TESTS)
    assert (verdict.undecided, verdict.reason) == (False, "test_timeout: test 2")
