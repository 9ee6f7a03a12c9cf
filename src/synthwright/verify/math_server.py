"""The process that reads and compares formulas. Run as a script by `math_worker`, never imported by the library.

It reads one JSON line a request and writes one a reply. Only LaTeX is parsed, by a grammar: SymPy's `parse_expr`, which
evaluates Python, is not used.
"""

import json
import sys
from typing import Any


def main() -> None:
    """Answer requests until standard input ends."""
    setup = json.loads(sys.stdin.readline())
    sys.path[:] = setup["path"]
    _limit(setup["memory"])
    import logging

    logging.disable(logging.CRITICAL)
    import sympy
    from math_verify import LatexExtractionConfig, parse, verify

    sys.setrecursionlimit(3000)
    config = [LatexExtractionConfig(boxed_match_priority=-1)]

    def read(text: str) -> Any:
        found = parse(f"${text}$", config, fallback_mode="no_fallback", parsing_timeout=None)  # pyright: ignore[reportArgumentType]: None switches its signal off
        return found[0] if found and not isinstance(found[0], str) else None

    def answer(request: dict[str, str]) -> Any:
        first = read(request["first"])
        if first is None:
            return "unreadable"
        if request["do"] == "show":
            return _shown(sympy, first)
        second = read(request["second"])
        if second is None:
            return "unreadable_answer"
        return bool(verify(second, first, timeout_seconds=None)) or _same_expression(sympy, first, second)

    _reply("ready")
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except (Exception, RecursionError, MemoryError):
            reply = "unreadable"
        _reply(reply)


def _reply(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _same_expression(sympy: Any, first: Any, second: Any) -> bool:
    """True if the difference of two expressions simplifies to 0; math-verify compares `x^2/x` with `x` unevaluated."""
    if not (isinstance(first, sympy.Expr) and isinstance(second, sympy.Expr)):
        return False
    return sympy.simplify((first - second).doit()) == 0


def _shown(sympy: Any, value: Any) -> list[str]:
    """One text for equal values: decimals as fractions, expanded, simplified; a list, so that no text is a failure."""
    if isinstance(value, sympy.Basic):
        value = value.replace(lambda part: part.is_Float, lambda part: sympy.nsimplify(part, rational=True))
    try:
        value = sympy.expand(sympy.simplify(value.doit()))
    except (AttributeError, TypeError, NotImplementedError):
        pass  # sets and relations are shown as they are
    return [str(value)[:2000]]


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:
        return  # not on Windows: the time limit remains
    for kind in ("RLIMIT_AS", "RLIMIT_DATA"):
        resource.setrlimit(getattr(resource, kind), (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    main()
