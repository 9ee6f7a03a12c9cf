"""The command line: every verb is a function of the library."""

from importlib import import_module

from synthwright.cli.app import app, main

__all__ = ["app", "main"]

# each of these adds its verbs to `app`, in the order in which the help shows them
for _verbs in ("methods", "generate", "optimize", "init", "export", "report", "runs", "lm"):
    import_module(f"synthwright.cli.{_verbs}")
