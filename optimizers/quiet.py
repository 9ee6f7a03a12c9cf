"""Keeping DSPy's optimizers off the terminal, while progress stays on it."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["audible", "quiet"]

_LOGGERS = ("dspy", "gepa", "optuna", "LiteLLM")
_STREAMS: list[tuple[TextIO, TextIO]] = []


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what DSPy, GEPA and Optuna print and log: progress bars, prompts, hundreds of INFO lines."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    streams = (sys.stdout, sys.stderr)
    _STREAMS.append(streams)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        _STREAMS.remove(streams)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def audible() -> Iterator[None]:
    """Give the terminal back inside of `quiet`, for a callback of the user."""
    if not _STREAMS:
        yield
        return
    out, err = _STREAMS[-1]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
