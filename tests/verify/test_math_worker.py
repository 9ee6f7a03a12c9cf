import os
import threading
import time

import pytest

from synthwright.errors import ConfigError
from synthwright.verify import Math
from synthwright.verify.math_worker import MathWorker, shared_worker

HOSTILE = [
    "9^{9^{9^9}}",
    "2^{10^{10}}",
    "1000!^{1000!}",
    r"\prod_{k=1}^{10^9} (k^2+1)",
    r"x^{x^{x^{x^{x}}}}" * 12,
    r"\frac{" * 25 + "1" + "}{2}" * 25,
    r"\sqrt{" * 28 + "2" + "}" * 28,
    r"\begin{pmatrix}" + "&".join("9^{9^9}" for _ in range(9)) + r"\end{pmatrix}",
    "(" * 29 + "x" + ")^{99}" * 29,
    r"\input{/etc/passwd}",
    r"\write18{id}",
]


@pytest.fixture
def worker():
    made = MathWorker()
    yield made
    made.close()


@pytest.mark.parametrize("latex", HOSTILE)
def test_hostile_latex_costs_its_time_and_nothing_else(latex):
    started = time.monotonic()
    verdict = Math(seconds=0.5)(rf"\boxed{{{latex}}}", "7")
    assert not verdict.ok and verdict.reason in ("timeout", "unreadable", "too_long", "different", "no_answer")
    assert time.monotonic() - started < 30  # with a start of the process on a busy machine
    assert Math()(r"\sqrt{12}", r"2\sqrt{3}").ok


def test_one_process_serves_many_comparisons(worker):
    first = worker.ask(5, do="equal", first=r"\sqrt{12}", second=r"2\sqrt{3}")
    assert first is True
    assert [worker.ask(5, do="equal", first="x+1", second=f"x+{n}") for n in range(5)] == [n == 1 for n in range(5)]
    assert worker.starts == 1


def test_a_process_that_hangs_is_killed_and_replaced(worker):
    assert worker.ask(5, do="equal", first="x", second="x") is True
    process = worker._process
    assert worker.ask(0.3, do="show", first="9^{9^{9^9}}") == "timeout"
    assert process.poll() is not None
    assert worker.ask(5, do="equal", first="x", second="x") is True
    assert worker.starts == 2


def test_a_process_that_dies_is_replaced(worker):
    assert worker.ask(5, do="equal", first="x", second="x") is True
    worker._process.kill()
    worker._process.wait()
    assert worker.ask(5, do="equal", first="x", second="x") is True
    assert worker.starts == 2


def test_memory_is_limited(worker):
    small = MathWorker(memory=400 << 20)
    try:
        assert small.ask(20, do="show", first="2^{9999999999}") in ("unreadable", "timeout")
        assert small.ask(5, do="equal", first="x", second="x") is True
    finally:
        small.close()


def test_what_cannot_be_parsed_says_which_side_it_was(worker):
    assert worker.ask(5, do="equal", first=r"\frac{1", second="1") == "unreadable"
    assert worker.ask(5, do="equal", first="1", second=r"\frac{1") == "unreadable_answer"


def test_threads_share_the_process(worker):
    found = {}

    def compare(n):
        found[n] = worker.ask(20, do="equal", first=f"{n}x", second="3x")

    threads = [threading.Thread(target=compare, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: n == 3 for n in range(8)} and worker.starts == 1


def test_the_process_sees_no_environment(worker, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "1")
    worker.ask(5, do="equal", first="x", second="x")
    environ = f"/proc/{worker._process.pid}/environ"
    if not os.path.exists(environ):
        pytest.skip("needs /proc")
    with open(environ, "rb") as file:
        assert b"SECRET" not in file.read()


def test_numbers_need_no_process(monkeypatch):
    monkeypatch.setattr(shared_worker(), "ask", lambda *_, **__: pytest.fail("asked"))
    assert Math()(r"\boxed{\frac12}", "0.5").ok
    assert not Math()("0.33", "1/3").ok
    assert Math().canonical("1,000") == "1000"


@pytest.mark.parametrize(
    "forms",
    [
        (r"2\sqrt{3}", r"\sqrt{12}", "2√3"),
        ("(x+1)^2", "x^2+2x+1", "1+2x+x^2"),
        (r"\{1,2\}", r"\{2,1\}", "1, 2", "2 and 1"),
        ("0.5x", r"\frac{x}{2}", r"\frac12 x"),
        (r"\frac{x^2}{x}", "x"),
        ("x=3", "3", r"\boxed{x = 3}"),
        ("3<x", "x>3"),
        ("(-∞, 3]", r"\left(-\infty, 3\right]"),
        (r"\pi", "π", "pi"),
    ],
)
def test_equal_formulas_have_one_canonical_form(forms):
    assert len({Math().canonical(form) for form in forms}) == 1


def test_different_formulas_have_different_canonical_forms():
    forms = ["(1,2)", "[1,2]", r"\{1,2\}", "x^2", "x^2+1", "3", "x>3", "x<3", r"\pi", "3.14", "2", "-2"]
    assert len({Math().canonical(form) for form in forms}) == len(forms)


def test_a_formula_that_takes_too_long_has_no_canonical_form():
    assert Math(seconds=0.3).canonical("9^{9^{9^9}}") is None


def test_the_time_must_be_more_than_nothing():
    with pytest.raises(ConfigError, match="`seconds` of Math"):
        Math(seconds=0)
