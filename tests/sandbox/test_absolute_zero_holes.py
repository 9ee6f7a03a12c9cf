"""What went wrong in the released executor of Absolute Zero, found by running it or in its data, goes right here."""
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import pytest

from synthwright.sandbox import (
    Limits,
    Value,
    check_deterministic,
    check_program,
    equal,
    get_sandbox,
    parse_arguments,
    parse_literal,
)


@pytest.fixture(scope="module", params=["monty", "subprocess"])
def sandbox(request):
    with get_sandbox(request.param, workers=2, limits=Limits(seconds=1)) as made:
        yield made


@pytest.mark.parametrize(
    "program",
    [
        "import random\ndef f(x):\n    return random.random()",
        "def f(x):\n    raise Exception",
        "def f(x):\n    exit()",
        "class A:\n    pass\ndef f(x):\n    return A()",
    ],
)
def test_no_unstable_or_failing_program_is_accepted_with_an_empty_output(sandbox, program):
    result = check_deterministic(sandbox, program, (1,))
    assert not result.ok
    assert str(result)


def test_state_that_survives_a_call_does_not_survive_a_session(sandbox):
    program = "COUNT = []\ndef f(x):\n    COUNT.append(x)\n    return len(COUNT)"
    assert [sandbox.run(program, (1,)) for _ in range(3)] == [Value(1)] * 3


def test_none_and_nan_are_told_apart_from_no_value(sandbox):
    assert check_deterministic(sandbox, "def f(x):\n    x + 1", (1,)) == Value(None)
    assert equal(check_deterministic(sandbox, "def f(x):\n    return float('nan')", (1,)).value, float("nan"))


def test_long_outputs_are_whole_or_refused(sandbox):
    program = "def f(n):\n    return 'ab' * n"
    assert sandbox.run(program, (300,)) == Value("ab" * 300)  # cut at 400 characters there
    assert sandbox.run(program, (6000,)).kind == "output_too_large"


@pytest.mark.parametrize(
    "statement", ["import os", "import sys", "import os.path", "import shutil", "from os import path"]
)
def test_dotted_names_in_the_list_ban_what_they_mean(statement):
    assert check_program(f"{statement}\ndef f(x):\n    return x").kind == "forbidden"


@pytest.mark.parametrize("answer", ["1) == f(1) or (1", "1) == 5 or True or f(1", "1) or True #", "1); True; (1"])
def test_an_answer_cannot_close_the_call_and_append_a_tautology(sandbox, answer):
    assert sandbox.run("def f(x):\n    return x", answer).kind in ("syntax", "not_a_value")


@pytest.mark.parametrize(
    "answer", ["__import__('os').getpid()", "[i for i in range(3)]", "type('E', (), {'__eq__': lambda s, o: True})()"]
)
def test_predictions_are_never_evaluated(answer):
    assert parse_literal(answer).kind == "not_a_value"


def test_equality_is_typed():
    assert not equal(True, 1)
    assert not equal((1, 2), [1, 2])
    assert not equal(0.3, 0.1 + 0.2) and equal(0.3, 0.1 + 0.2, tolerance=1e-9)


def test_inputs_of_several_lines_work(sandbox):
    assert sandbox.run("def f(a, b):\n    return a + b", "[1,\n 2],\n[3]") == Value([1, 2, 3])
    assert sandbox.run("def f(s):\n    return len(s)", "'''a\nb'''") == Value(3)


def test_an_argument_that_mentions_print_is_a_string(sandbox):
    assert sandbox.run("def f(s):\n    return s", "'print(1)'") == Value("print(1)")


def test_functions_whose_names_end_in_a_banned_word_are_fine(sandbox):
    program = "def parse_input(s):\n    return s\ndef f(s):\n    return parse_input(s)"
    assert check_program(program) is None
    assert sandbox.run(program, "'a'") == Value("a")


def test_helpers_classes_and_nested_functions_are_fine_and_the_helper_is_not_called(sandbox):
    program = (
        "class A:\n    def get(self):\n        return 1\n"
        "def helper(x):\n    return 'helper'\n"
        "def f(x):\n    def inner(y):\n        return y + A().get()\n    return inner(x)"
    )
    assert check_program(program) is None
    assert sandbox.run(program, "1") == Value(2)


def test_order_that_only_another_hash_seed_shows_is_seen(sandbox):
    program = "def f(words):\n    return list(set(words))"
    words = (["ab", "cd", "ef", "gh", "ij"],)
    assert sandbox.run(program, words) == sandbox.run(program, words)  # two runs with one seed agree
    assert check_deterministic(sandbox, program, words).kind == "nondeterministic"


@pytest.mark.parametrize("text", ["“a”", "‘a’", "1,,2", "(1", "1 2"])
def test_inputs_that_are_not_python_are_said_to_be(text):
    assert parse_arguments(text).kind == "syntax"


def test_windows_newlines_change_nothing(sandbox):
    assert sandbox.run("def f(x):\r\n    return x\r\n", "1,\r\n".rstrip(",\r\n")) == Value(1)
