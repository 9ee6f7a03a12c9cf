"""Typed LM calls, one file a method: their docstrings and field names are the prompts. `rows` holds the row types."""

if __name__ != "synthwright.signatures":
    raise ImportError("import synthwright.signatures, not signatures")
