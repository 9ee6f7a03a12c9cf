"""Programs are judged, normalised and measured on their syntax tree, not on their words."""
# ruff: noqa: E501 - programs read best on one line
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

import pytest

from synthwright.sandbox import check_program, normalise_program
from synthwright.sandbox.programs import (
    ast_distance,
    complexity,
    halstead_composite,
    imported_modules,
    literals_of,
)


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    return x",
        "import math\nfrom collections import Counter\ndef f(x):\n    return Counter(x)",
        "from collections.abc import Iterable\ndef f(x):\n    return x",
        "def parse_input(x):\n    return x\ndef f(x):\n    return parse_input(x)",
        "def f(time, os, random):\n    return time",
        "def f(x):\n    return 'import os; eval(open(1)) subprocess'",
        "def f(x):\n    # import os\n    return x",
        "def f(input):\n    return input + 1",
        "class A:\n    def __init__(self, x):\n        self.id = x\n    def __eq__(self, o):\n        return self.id == o.id\ndef f(x):\n    return A(x).id",
        "class A:\n    pass\nclass B(A):\n    def __init__(self):\n        super().__init__()\ndef f(x):\n    def g(y):\n        return y\n    return g(x)",
        "import re\ndef f(x):\n    return re.compile('a').sub('b', x)",
        "def f(*x):\n    return x",
        "def helper(x):\n    return x\ndef f(x):\n    return helper(x)",
        "def f(x):\n    return '{0} {name}'.format(x, name=1)",
    ],
)  # fmt: skip
def test_ordinary_programs_pass(source):
    assert check_program(source) is None


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("import os\ndef f(x):\n    return x", "import of `os`"),
        ("import os.path\ndef f(x):\n    return x", "import of `os.path`"),
        ("import sys as s\ndef f(x):\n    return x", "import of `sys`"),
        ("from os import path\ndef f(x):\n    return x", "import of `os`"),
        ("import shutil\ndef f(x):\n    return x", "import of `shutil`"),
        ("import numpy\ndef f(x):\n    return x", "import of `numpy`"),
        ("def f(x):\n    import random\n    return x", "import of `random`"),
        ("from math import *\ndef f(x):\n    return x", "from math import *"),
        ("from . import a\ndef f(x):\n    return x", "relative import"),
        ("def f(x):\n    return __import__('os')", "use of `__import__`"),
        ("def f(x):\n    return open(x).read()", "use of `open`"),
        ("def f(x):\n    e = eval\n    return e(x)", "use of `eval`"),
        ("def f(x):\n    return list(map(eval, x))", "use of `eval`"),
        ("def f(x):\n    return input()", "use of `input`"),
        ("def f(x):\n    print(x)\n    return x", "use of `print`"),
        ("def f(x):\n    return x.__class__", "access to `.__class__`"),
        ("def f(x):\n    return f.__globals__", "access to `.__globals__`"),
        ("def f(x):\n    return __builtins__", "use of `__builtins__`"),
        ("def f(x):\n    return '{0.__class__}'.format(x)", "format string"),
        ("def f(x):\n    return getattr(x, 'a')", "use of `getattr`"),
        ("def f(x):\n    return hash(x)", "use of `hash`"),
        ("def g(x):\n    return x", "no top-level `def f`"),
        ("class A:\n    def f(x):\n        return x", "no top-level `def f`"),
        ("def f():\n    return 1", "takes no argument"),
        ("async def f(x):\n    return 1", "no top-level `def f`"),
        ("def f(x):\n    return 1\n" + "#" * 60_000, "characters"),
    ],
)
def test_others_are_refused_with_the_reason(source, detail):
    refused = check_program(source)
    assert refused is not None and refused.kind == "forbidden"
    assert detail in refused.detail


@pytest.mark.parametrize(
    "source", ["def f(:", "x = " + "(" * 900, "x = " + "-" * 40_000 + "1", "\0", "def f(x):\nreturn x"]
)
def test_what_does_not_parse_is_a_syntax_failure(source):
    assert check_program(source).kind == "syntax"


def test_the_lists_are_arguments():
    source = "import random\ndef f(x):\n    print(x)\n    return random.random()"
    assert check_program(source, allowed_imports=None).detail == "import of `random`"
    assert check_program(source, allowed_imports=None, banned_imports=()).detail == "use of `print`"
    assert check_program(source, allowed_imports=None, banned_imports=(), banned_names=()) is None


def test_normalised_programs_differ_in_what_runs_only():
    one = 'def f(x: int) -> int:\n    """Doc."""\n    # why\n    return (x\n        +   1)\n'
    assert normalise_program(one) == normalise_program("def f(x):\n\n  return x+1") == "def f(x):\n    return x + 1"
    assert normalise_program("def f(x):\n    'only a docstring'") == "def f(x):\n    pass"
    assert normalise_program("def f(x):\n    return 'a' \"b\"") == normalise_program("def f(x): return 'ab'")


@pytest.mark.parametrize(
    "other", ["def f(y):\n    return y + 1", "def f(x):\n    return x + 2", "def f(x):\n    return 1 + x", "def f(x:"]
)
def test_other_programs_stay_other(other):
    assert normalise_program("def f(x):\n    return x + 1") != normalise_program(other)


def test_imports_and_literals_are_listed():
    source = "import math, os.path\nfrom re import sub\ndef f(x):\n    return [1, 'a', None, sub]"
    assert imported_modules(source) == {"math", "os.path", "re"}
    assert literals_of(source) == [1, "a", None]
    assert imported_modules("(") == set() and literals_of("(") == []


def test_complexity_counts_paths_nesting_and_halstead():
    flat = complexity("def f(x):\n    return x")
    assert (flat.lines, flat.cyclomatic, flat.cognitive, flat.volume, flat.effort) == (2, 1, 0, 0.0, 0.0)
    source = """
def f(x):
    total = 0
    for i in range(x):        # +1, cognitive +1
        if i % 2 and i > 3:   # +2, cognitive +2 (nested) +1 (and)
            total += i
        else:                 # cognitive +1
            total -= 1
    return total
"""
    measured = complexity(source)
    assert measured.cyclomatic == 4
    assert measured.cognitive == 5
    # operators Mod And Gt Add Sub (5 kinds, 5 uses); operands: i i i, 2, i%2, i>3, 3, total total, 1
    assert measured.volume == pytest.approx(15 * 3.5849625, rel=1e-6)  # 15 uses of 12 kinds
    assert measured.effort == pytest.approx(measured.volume * 5 / 2 * 10 / 7)
    assert 0 < halstead_composite(measured) < 1
    assert complexity("def f(:") is None


def test_the_composite_is_capped_at_one():
    line = "    x = x * 3 + x // 7 - (x % 11 if x > 2 and x < 90 or x == 5 else -x)\n"
    assert halstead_composite(complexity("def f(x):\n" + line * 60 + "    return x")) == pytest.approx(1.0)


def test_distance_is_zero_for_the_same_and_grows():
    source = "def f(x):\n    return [i * 2 for i in x]"
    near = "def f(x):\n    return [i * 3 for i in x]"
    far = "class A:\n    pass\n\ndef f(s, t):\n    while s:\n        s = s[1:]\n    return {t: s}"
    assert ast_distance(source, [source + "  # same"]) == 0.0
    assert 0 < ast_distance(source, [near]) < ast_distance(source, [far]) <= 1
    assert ast_distance(source, [near, far]) == pytest.approx(
        (ast_distance(source, [near]) + ast_distance(source, [far])) / 2
    )
    assert ast_distance(source, []) == 0.0 and ast_distance("(", [source]) == 0.0
