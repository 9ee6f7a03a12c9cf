"""The command line: every verb is a function of the library."""

from synthwright.cli.app import app, main

# each of these adds its verbs to `app`, in the order in which the help shows them
from synthwright.cli import methods, init, generate, optimize, export, report, runs, lm  # isort: skip

__all__ = ["app", "main"]

del methods, init, generate, optimize, export, report, runs, lm
