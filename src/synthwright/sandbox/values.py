"""Values as data: read from text, compared by type, written in one canonical way. No text is executed."""

import ast
import cmath
import math
import warnings
from typing import Any

from synthwright.sandbox.results import Failure, Value

__all__ = ["canonical", "equal", "parse_arguments", "parse_literal"]

MAX_CHARS = 100_000
MAX_DEPTH = 50
_CONSTANTS = (str, bytes, bool, int, float, complex, type(None))
_CONTAINERS = (list, tuple, set, frozenset)
_FLOATS = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}


def parse_literal(text: str, *, max_chars: int = MAX_CHARS) -> Value | Failure:
    """The value of a Python literal, never evaluated.

    What `ast.literal_eval` accepts, less `...`, more the forms that `repr` prints for values without a literal: `nan`,
    `inf`, `float('nan')`, `set()`, `frozenset({1})`.

    Args:
        text: What an LM wrote. A call, a name, a comprehension or an operator is a Failure.
        max_chars: Longer text is refused unread.

    Returns:
        A Value, or a Failure of kind "syntax" (not Python), "not_a_value" (Python, but no literal) or
        "output_too_large".
    """
    parsed = _parse(text.strip(), max_chars)
    return parsed if isinstance(parsed, Failure) else _value(parsed)


def parse_arguments(text: str, function: str = "f", *, max_chars: int = MAX_CHARS) -> Value | Failure:
    """The arguments of a call as a tuple.

    Args:
        text: `1, [2]`, or the whole call `f(1, [2])`. "" are no arguments; `(1, 2)` is one argument, a tuple. Named
            arguments and unpacking are refused.
        function: The only name that a call may have.
        max_chars: Longer text is refused unread.
    """
    # Parsed, never executed. A call of the plain name `f` proves that its first bracket is closed by our last one:
    # `1), g(2`, `1)(2` and `1) + f(2` all parse to something else.
    parsed = _parse(f"f({text}\n)", max_chars + 4)
    if isinstance(parsed, Failure):
        return parsed
    if not isinstance(parsed, ast.Call) or _name(parsed.func) != "f":
        return Failure("syntax", "not a list of arguments")
    only = parsed.args[0] if len(parsed.args) == 1 else None
    if isinstance(only, ast.Call) and _name(only.func) == function and not parsed.keywords:
        parsed = only
    if parsed.keywords:
        return Failure("not_a_value", "named arguments are not accepted")
    return _value(ast.Tuple(elts=parsed.args, ctx=ast.Load()))


def _parse(text: str, max_chars: int) -> ast.expr | Failure:
    if len(text) > max_chars:
        return Failure("output_too_large", f"{len(text)} characters, the limit is {max_chars}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an escape such as "\d" warns
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Failure("syntax", str(error)[:200])


class _NoLiteral(Exception):
    pass


def _value(node: ast.expr) -> Value | Failure:
    try:
        return Value(_literal(node, MAX_DEPTH))
    except _NoLiteral as error:
        return Failure("not_a_value", str(error))
    except TypeError as error:  # {[]: 1}, {{1}}
        return Failure("not_a_value", str(error))


def _literal(node: ast.expr | None, depth: int) -> Any:
    if depth < 0:
        raise _NoLiteral("nested too deeply")
    match node:
        case ast.Constant(value=value) if type(value) in _CONSTANTS:
            return value
        case ast.Name(id="nan" | "inf" as name):
            return _FLOATS[name]
        case ast.Tuple(elts=elts):
            return tuple(_literal(part, depth - 1) for part in elts)
        case ast.List(elts=elts):
            return [_literal(part, depth - 1) for part in elts]
        case ast.Set(elts=elts):
            return {_literal(part, depth - 1) for part in elts}
        case ast.Dict(keys=keys, values=values):
            return {_literal(k, depth - 1): _literal(v, depth - 1) for k, v in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _literal(operand, depth - 1)
            if type(number) in (int, float, complex):
                return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=right):
            real, imaginary = _literal(left, depth - 1), _literal(right, depth - 1)
            if type(real) in (int, float) and type(imaginary) is complex:
                return real + imaginary if isinstance(sign, ast.Add) else real - imaginary
        case ast.Call(func=ast.Name(id="set" | "frozenset" as name), args=args, keywords=[]) if len(args) < 2:
            part = _literal(args[0], depth - 1) if args else ()
            if type(part) in _CONTAINERS:
                return frozenset(part) if name == "frozenset" else set(part)
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(word))], keywords=[]):
            number = _FLOATS.get(word.strip().lower().lstrip("+-"))
            if number is not None:
                return -number if word.strip().startswith("-") else number
    raise _NoLiteral(f"{type(node).__name__} is not a literal")


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def canonical(value: Any) -> str:
    """The one text of a value: equal values have equal texts, values of other types other texts.

    Sets and dicts are sorted, `-0.0` is `0.0`, integers of more than 4,000 digits are hexadecimal. The text is a
    literal that `parse_literal` reads back.

    Raises:
        TypeError: `value` holds something that is not a literal.
        RecursionError: It contains itself.
    """
    kind = type(value)
    if kind is bool or value is None or kind is str or kind is bytes:
        return repr(value)
    if kind is int:
        return repr(value) if value.bit_length() < 13_000 else hex(value)
    if kind is float:
        return repr(value + 0.0)  # -0.0 + 0.0 is 0.0
    if kind is complex:
        return repr(complex(value.real + 0.0, value.imag + 0.0))
    if kind is dict:
        pairs = sorted((canonical(k), canonical(v)) for k, v in value.items())
        return "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"
    if kind not in _CONTAINERS:
        raise TypeError(f"{kind.__name__} has no literal")
    parts = [canonical(part) for part in value]
    if kind is list:
        return "[" + ", ".join(parts) + "]"
    if kind is tuple:
        return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"
    text = "{" + ", ".join(sorted(parts)) + "}" if parts else "set()"
    if kind is frozenset:
        return f"frozenset({text})" if parts else "frozenset()"
    return text


def equal(a: Any, b: Any, *, tolerance: float | None = None, nan_is_nan: bool = True) -> bool:
    """Whether two literals are the same value of the same type. No method of the values is ever called.

    True is not 1, 1 is not 1.0, a tuple is not a list; the order of sets and dicts does not count, 0.0 is -0.0.

    Args:
        a: A value; anything but a literal is unequal to everything.
        b: Another.
        tolerance: With a number, floats may differ by this much, absolutely or relative to the larger, and an int may
            stand for a float (never a bool). Keys of dicts stay exact.
        nan_is_nan: Whether NaN equals NaN. False is Python's and IEEE's answer, by which a program that returns NaN
            agrees with nothing, not with itself.
    """
    try:
        if tolerance is None and nan_is_nan:
            return canonical(a) == canonical(b)
        return _close(a, b, tolerance or 0.0, tolerance is not None, nan_is_nan)
    except (TypeError, RecursionError):
        return False


def _close(a: Any, b: Any, tolerance: float, mixed: bool, nan: bool) -> bool:
    kind = type(a)
    if {kind, type(b)} <= {int, float} and (mixed or kind is type(b)) and float in (kind, type(b)):
        if a != a or b != b:
            return nan and a != a and b != b
        try:
            return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
        except OverflowError:  # an int beyond the floats
            return a == b
    if kind is not type(b):
        return False
    if kind is complex:
        if cmath.isnan(a) or cmath.isnan(b):
            return nan and canonical(a) == canonical(b)
        return cmath.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    if kind in (list, tuple):
        return len(a) == len(b) and all(_close(x, y, tolerance, mixed, nan) for x, y in zip(a, b, strict=True))
    if kind is dict:
        others = {canonical(key): (key, value) for key, value in b.items()}
        return len(a) == len(b) and all(
            (pair := others.get(canonical(key))) is not None
            and _close(key, pair[0], 0.0, False, nan)
            and _close(value, pair[1], tolerance, mixed, nan)
            for key, value in a.items()
        )
    if kind in (set, frozenset):
        if len(a) != len(b):
            return False
        # elements are paired in order: numbers by size, the rest by text, so that close numbers meet
        return all(
            _close(x, y, tolerance, mixed, nan) for x, y in zip(sorted(a, key=_rank), sorted(b, key=_rank), strict=True)
        )
    return canonical(a) == canonical(b)


def _rank(value: Any) -> tuple[int, float, str]:
    if type(value) in (int, float) and value == value and abs(value) < 1e300:
        return (0, value, "")
    return (1, 0.0, canonical(value))
