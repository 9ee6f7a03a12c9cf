"""Ordinary programs of the kind that Absolute Zero proposes give CPython's value in both backends, or say "unsupported"."""
# ruff: noqa: E501 - programs read best on one line
# pyright: reportAttributeAccessIssue=false

import runpy
from pathlib import Path

import pytest

from synthwright.sandbox import equal, get_sandbox

ORDINARY, UNSUPPORTED = (
    runpy.run_path(str(Path(__file__).with_name("ordinary.py")))[name] for name in ("ORDINARY", "UNSUPPORTED")
)


@pytest.fixture(scope="module")
def monty():
    with get_sandbox("monty", workers=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def cpython():
    with get_sandbox("subprocess", workers=2) as sandbox:
        yield sandbox


@pytest.mark.parametrize("name", ORDINARY)
def test_monty_gives_cpythons_value(monty, name):
    program, arguments = ORDINARY[name]
    namespace: dict = {"__name__": "program"}
    exec(program, namespace)  # ours, not a model's
    expected = namespace["f"](*arguments)
    result = monty.run(program, arguments)
    assert result.ok, result
    assert equal(result.value, expected)


def test_the_subprocess_gives_the_same_values(monty, cpython):
    calls = [*ORDINARY.values()]
    for name, here, there in zip(ORDINARY, monty.run_many(calls), cpython.run_many(calls), strict=True):
        assert here.ok and there.ok, (name, here, there)
        assert equal(here.value, there.value), name


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_monty_lacks_is_called_unsupported(monty, name):
    result = monty.run(*UNSUPPORTED[name])
    assert getattr(result, "kind", None) == "unsupported", result


def test_the_subprocess_runs_what_monty_lacks(cpython):
    for name, result in zip(UNSUPPORTED, cpython.run_many(UNSUPPORTED.values()), strict=True):
        assert result.ok or result.exception == "KeyError", (name, result)
