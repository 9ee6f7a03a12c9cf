"""What runs beside a program, inside the sandbox: call one function and turn its value into text.

Both backends hand this file to the sandbox as text (without docstrings and comments), so it uses only what
Monty and CPython have in common, and is short because it is compiled anew in every session. The program lives in a
namespace of its own and cannot reach these names. Its value leaves as JSON and its exceptions as two strings; nothing
else crosses, because a value such as `[[0] * 1000] * 1000000` is small inside and huge outside.

A list is a JSON array; what JSON lacks is an object with one tag: `t` tuple, `s` set, `f` frozenset, `d` dict (keys and
values in turn), `b` bytes in hexadecimal, `c` complex, `i` an integer that a float could not hold.
"""

from json import dumps

TAGS = {tuple: "t", set: "s", frozenset: "f"}


def encode(value, room, depth):  # noqa: ANN001, ANN201 - Monty compiles this in every session
    """The form of a value for JSON; LookupError if it is too large, TypeError if it has no literal."""
    kind = type(value)
    room[0] -= len(value) + 1 if kind is str else 1
    if room[0] < 0:
        raise LookupError
    if value is None or kind is str or kind is bool or kind is float:
        return value
    if kind is int:
        if -9007199254740992 < value < 9007199254740992:
            return value
        return {"i": hex(value)}
    if kind is bytes:
        return {"b": value.hex()}
    if kind is complex:
        return {"c": [value.real, value.imag]}
    if depth == 0:
        raise TypeError("the value is nested too deeply or contains itself")
    if kind is dict:
        out = []
        for key in value:
            out.append(encode(key, room, depth - 1))
            out.append(encode(value[key], room, depth - 1))
        return {"d": out}
    if kind is not list and kind not in TAGS:
        raise TypeError(kind.__name__ + " has no literal")
    out = [encode(part, room, depth - 1) for part in value]
    return out if kind is list else {TAGS[kind]: out}


def call(program, function, arguments, namespace, room, depth):  # noqa: ANN001, ANN201
    """Execute `program` and call its `function`: JSON of a pair of a stage and what it gave."""
    stage = "define"
    try:
        exec(program, namespace)
        if function not in namespace:
            return '["missing", null]'
        stage = "call"
        value = namespace[function](*arguments)
        stage = "encode"
        text = dumps(encode(value, [room], depth))
        if len(text) > room:
            raise LookupError
        return '["value", ' + text + "]"
    except BaseException as error:
        try:
            return dumps([stage, [type(error).__name__, str(error)[:500]]])
        except BaseException:
            return dumps([stage, ["Exception", ""]])
