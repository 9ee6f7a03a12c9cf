"""Python values as data: literals parsed with limits, compared by type and value. Nothing is evaluated."""

import ast
import math
import warnings
from typing import Any

__all__ = ["ValueProblem", "parse_value", "same", "shown"]

MAX_TEXT = 20_000
MAX_DEPTH = 50
MAX_DIGITS = 4000

_NAMES = {"nan": math.nan, "inf": math.inf, "True": True, "False": False, "None": None}


class ValueProblem(ValueError):
    """A text is no literal, or exceeds a limit; the message is the reason code."""


def parse_value(text: str) -> Any:
    """The value of a Python literal, as `ast.literal_eval` reads it, plus `nan` and `inf`.

    Args:
        text: Source of the literal, at most `MAX_TEXT` characters, `MAX_DEPTH` levels, `MAX_DIGITS` digits a number.

    Raises:
        ValueProblem: `too_long` or `unreadable`.
    """
    if len(text) > MAX_TEXT:
        raise ValueProblem("too_long")
    depth = 0
    for char in text:  # before the parser, whose own stack is limited: brackets in strings count too, and do no harm
        depth += (char in "([{") - (char in ")]}")
        if depth > MAX_DEPTH * 4:
            raise ValueProblem("too_long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an escape such as "\\d" warns
            body = ast.parse(text.strip(), mode="eval").body
        return _value(body, 0)
    except ValueProblem:
        raise
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError, OverflowError) as error:
        raise ValueProblem("unreadable") from error


def _value(node: ast.AST, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueProblem("too_long")
    match node:
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.Tuple(elts=parts):
            return tuple(_value(part, depth + 1) for part in parts)
        case ast.List(elts=parts):
            return [_value(part, depth + 1) for part in parts]
        case ast.Set(elts=parts):
            return {_value(part, depth + 1) for part in parts}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return {_value(key, depth + 1): _value(value, depth + 1) for key, value in pairs if key is not None}
        case ast.Call(func=ast.Name(id="set" | "frozenset" as name), args=parts, keywords=[]) if len(parts) <= 1:
            held = [_value(part, depth + 1) for part in parts]
            if held and not isinstance(held[0], (set, list, tuple)):
                raise ValueProblem("unreadable")
            return (frozenset if name == "frozenset" else set)(*held)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
            value = _value(operand, depth + 1)
            if isinstance(value, bool) or not isinstance(value, (int, float, complex)):
                raise ValueProblem("unreadable")
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=ast.Constant(value=complex() as imaginary)):
            real = _value(left, depth + 1)
            if isinstance(real, bool) or not isinstance(real, (int, float)):
                raise ValueProblem("unreadable")
            return real + imaginary if isinstance(op, ast.Add) else real - imaginary
    raise ValueProblem("unreadable")


def same(a: Any, b: Any, tolerance: float = 0.0, nan_equal: bool = True) -> bool:
    """Equality by type and value: `True` is not 1, 1 is not 1.0, a tuple is not a list; sets and dicts have no order.

    Args:
        a: A value made of literals.
        b: Another.
        tolerance: Largest difference of two floats, relative above 1 and absolute below; 0 for exact equality.
        nan_equal: Whether `nan` equals `nan`.
    """
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        if math.isnan(a) or math.isnan(b):
            return nan_equal and math.isnan(a) and math.isnan(b)
        if a == b or math.isinf(a) or math.isinf(b):
            return a == b
        return abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))
    if isinstance(a, complex):
        parts = ((a.real, b.real), (a.imag, b.imag))
        return all(same(left, right, tolerance, nan_equal) for left, right in parts)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, tolerance, nan_equal) for x, y in zip(a, b, strict=True))
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and _paired(list(a), list(b), tolerance, nan_equal)
    if isinstance(a, dict):
        return len(a) == len(b) and _paired(list(a.items()), list(b.items()), tolerance, nan_equal)
    return a == b


def shown(value: Any) -> str:
    """One text for all values that are `same` without a tolerance: `repr` with sets and dicts sorted."""
    if isinstance(value, (set, frozenset)):
        name = type(value).__name__
        return f"{name}([{', '.join(sorted(shown(each) for each in value))}])"
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{shown(key)}: {shown(each)}" for key, each in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(shown(each) for each in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, float) and value == 0:
        return "0.0"  # -0.0 == 0.0
    return repr(value)


def _paired(left: list[Any], right: list[Any], tolerance: float, nan_equal: bool) -> bool:
    """True if each member of one has its own equal member in the other."""
    if sorted(map(shown, left)) == sorted(map(shown, right)):
        return nan_equal or not any("nan" in shown(each) for each in left)
    if not tolerance or len(left) > 200:  # pairing costs the square
        return False
    rest = list(right)
    for each in left:
        found = next((i for i, other in enumerate(rest) if same(each, other, tolerance, nan_equal)), None)
        if found is None:
            return False
        del rest[found]
    return True
