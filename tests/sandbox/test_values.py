"""Values are read as data, compared by type and written in one way."""
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# A test that reads .value of a Failure fails, as it should.

import math

import pytest

from synthwright.sandbox import Failure, Value, canonical, equal, parse_arguments, parse_literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        (" -1 ", -1),
        ("True", True),
        ("None", None),
        ("'a\\n'", "a\n"),
        ("b'a'", b"a"),
        ("1_000", 1000),
        ("0xff", 255),
        ("1e3", 1000.0),
        ("1+2j", 1 + 2j),
        ("-1-2j", -1 - 2j),
        ("(1,)", (1,)),
        ("1, 2", (1, 2)),
        ("[1, [2, (3,)]]", [1, [2, (3,)]]),
        ("{1, 2}", {1, 2}),
        ("set()", set()),
        ("frozenset({1})", frozenset({1})),
        ("{'a': [1], (1, 2): None}", {"a": [1], (1, 2): None}),
        ("inf", math.inf),
        ("-inf", -math.inf),
        ("float('-Infinity')", -math.inf),
        ("'a' 'b'", "ab"),
    ],
)
def test_literals_are_read(text, value):
    assert parse_literal(text) == Value(value)
    assert type(parse_literal(text).value) is type(value)


@pytest.mark.parametrize("text", ["nan", "float('nan')", "[nan]"])
def test_nan_is_read(text):
    assert "nan" in canonical(parse_literal(text).value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "syntax"),
        ("1 +", "syntax"),
        ("x = 1", "syntax"),
        ("1\n2", "syntax"),
        ("“a”", "syntax"),
        ("x", "not_a_value"),
        ("1 + 1", "not_a_value"),
        ("'a' * 9", "not_a_value"),
        ("[x for x in [1]]", "not_a_value"),
        ("__import__('os').system('id')", "not_a_value"),
        ("open('/etc/passwd')", "not_a_value"),
        ("set([1], [2])", "not_a_value"),
        ("float('1')", "not_a_value"),
        ("f'{1}'", "not_a_value"),
        ("...", "not_a_value"),
        ("not True", "not_a_value"),
        ("-True", "not_a_value"),
        ("-'a'", "not_a_value"),
        ("{[]: 1}", "not_a_value"),
        ("{{1}}", "not_a_value"),
        ("{**{}}", "not_a_value"),
        ("lambda: 1", "not_a_value"),
        ("(x := 1)", "not_a_value"),
        ("[" * 60 + "]" * 60, "not_a_value"),
        ("[" * 5000 + "]" * 5000, "syntax"),
        ("'" + "a" * 200_000 + "'", "output_too_large"),
        ("9" * 5000, "syntax"),
        ("'\0'", "syntax"),
    ],
)
def test_everything_else_is_refused_unevaluated(text, kind):
    result = parse_literal(text)
    assert isinstance(result, Failure)
    assert result.kind == kind


@pytest.mark.parametrize("sign", ["-", "- ", "+-"])
def test_endless_signs_are_refused(sign):
    assert not parse_literal(sign * 40_000 + "1").ok


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", ()),
        ("1", (1,)),
        ("1, [2]", (1, [2])),
        ("f(1, [2])", (1, [2])),
        ("(1, 2)", ((1, 2),)),
        ("(1, 2), 3", ((1, 2), 3)),
        ("(1), (2)", (1, 2)),
        ("1,\n  2", (1, 2)),
        ("1,\r\n2", (1, 2)),
        ("1,", (1,)),
        ("1  # one", (1,)),
        ("'print(1)'", ("print(1)",)),
        ("'), f('", ("), f(",)),
        ("f()", ()),
    ],
)
def test_arguments_are_a_tuple(text, arguments):
    assert parse_arguments(text) == Value(arguments)


@pytest.mark.parametrize(
    "text",
    [
        "1), g(2",
        "1), (2",
        "1) or (1",
        "1)(2",
        "1) + f(2",
        "1) if 1 else f(2",
        "1); f(2",
        "1)\nf(2",
        "1) #",
        "g(1)",
        "f(f(1))",
        "f(1), f(2)",
        "x=1",
        "f(x=1)",
        "*[1]",
        "**{}",
        "x",
        "x for x in [1]",
        ",",
    ],
)
def test_arguments_that_are_not_literals_are_refused(text):
    assert not parse_arguments(text).ok


SAME = [
    (1, 1),
    (0.0, -0.0),
    ({1, 2, 3}, {3, 2, 1}),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ([{"a": {1, 2}}], [{"a": {2, 1}}]),
    (math.nan, math.nan),
    ([math.nan], [float("nan")]),
    ("é", "\u00e9"),
    (frozenset({(1, 2)}), frozenset({(1, 2)})),
    (complex(0.0, -0.0), 0j),
]
OTHER = [
    (True, 1),
    (1, 1.0),
    (False, None),
    ((1, 2), [1, 2]),
    ([1, 2], [2, 1]),
    ({1}, frozenset({1})),
    ({1: 2}, {True: 2}),
    ({1}, {1.0}),
    ("1", 1),
    ("a", b"a"),
    (0.1 + 0.2, 0.3),
    ([], ()),
    ({}, set()),
    ({"a": 1}, {"a": 1, "b": 2}),
    (1, 1 + 0j),
    ("e\u0301", "\u00e9"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_the_same_values_are_equal(a, b):
    assert equal(a, b) and equal(b, a)
    assert canonical(a) == canonical(b)


@pytest.mark.parametrize(("a", "b"), OTHER)
def test_values_of_other_types_or_contents_are_not(a, b):
    assert not equal(a, b) and not equal(b, a)


def test_nan_can_follow_ieee():
    assert not equal(math.nan, math.nan, nan_is_nan=False)
    assert not equal([1, {"a": math.nan}], [1, {"a": math.nan}], nan_is_nan=False)
    assert equal([1.0], [1.0], nan_is_nan=False)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        ([1, {"x": 2.0000001}], [1, {"x": 2.0}], True),
        (1, 1.0, True),
        (True, 1.0, False),
        (True, 1, False),
        ((1.0,), [1.0], False),
        ({0.1 + 0.2, 5.0}, {5.0, 0.3}, True),
        ({1.0, 2.0}, {1.0, 2.5}, False),
        ({0.1 + 0.2: 1}, {0.3: 1}, False),
        (1.0, 1.1, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.inf, 1e308, False),
        (math.nan, 1.0, False),
        (10**400, 1.0, False),
        (1 + 1e-9j, 1 + 0j, True),
        ("1.0", "1.00", False),
    ],
)
def test_a_tolerance_is_an_option(a, b, same):
    assert equal(a, b, tolerance=1e-6) is same
    assert equal(b, a, tolerance=1e-6) is same


class Agreeable:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash(1)

    def __repr__(self):
        return "1"


class AgreeableInt(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize("liar", [Agreeable(), AgreeableInt(3)])
@pytest.mark.parametrize("tolerance", [None, 0.1])
def test_an_object_that_says_it_is_equal_is_not(liar, tolerance):
    assert not equal(liar, 1, tolerance=tolerance)
    assert not equal(1, liar, tolerance=tolerance)
    assert not equal([liar], [1], tolerance=tolerance)
    assert not equal(liar, liar, tolerance=tolerance)


def test_a_cycle_is_equal_to_nothing():
    loop = []
    loop.append(loop)
    assert not equal(loop, loop)


@pytest.mark.parametrize("pair", SAME + OTHER)
def test_the_canonical_text_is_read_back(pair):
    for value in pair:
        assert equal(parse_literal(canonical(value)).value, value)


def test_integers_beyond_the_digits_that_python_prints_are_values_too():
    assert equal([10**5000], [10**5000])
    assert not equal(10**5000, 10**5000 + 1)
    assert parse_literal(canonical(-(10**5000))) == Value(-(10**5000))
