"""Prompt optimization: one entry, `optimize`, and the metrics of each method."""

if __name__ != "synthwright.optimizers":
    raise ImportError("import synthwright.optimizers, not optimizers")
