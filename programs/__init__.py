"""Generators, one file a method: what to ask next, how to ask, what to keep."""

if __name__ != "synthwright.programs":
    raise ImportError("import synthwright.programs, not programs")
