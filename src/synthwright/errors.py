"""Every error that synthwright raises on purpose.

```text
SynthwrightError
├── ConfigError               an argument, a preset, a seed or a file is wrong   (also a ValueError)
│   ├── UnknownMethodError    no generator of that name
│   └── RunMismatchError      the output directory holds a run made in another way
├── MissingExtraError         an optional dependency is not installed            (also an ImportError)
├── ModelFileError            the weights of the embedded LM are missing or damaged
├── RetrievalError            a source of passages cannot be reached or read
├── StoreError                the run directory cannot be read or written
├── UnrecordedCallError       a replayed run is asked what its record does not hold
├── UnusableLMError           the LM cannot be reached, or nothing it returns can be used
├── ProgramError              the generator's own code raises, seed after seed; the error is the cause
├── TruncatedResponseError    one reply hit its token limit                      (also a dspy LMError)
└── BudgetExhaustedError      a call would exceed the budget of the run          (also a dspy LMError)
```

Errors of an LM call itself (rate limits, timeouts, bad requests) keep DSPy's own types, `dspy.LMError` and below.
"""

import difflib
from collections.abc import Iterable

from dspy.utils.exceptions import AdapterParseError, LMError

__all__ = [
    "BudgetExhaustedError",
    "ConfigError",
    "MissingExtraError",
    "ModelFileError",
    "ParseError",
    "ProgramError",
    "RetrievalError",
    "RunMismatchError",
    "StoreError",
    "SynthwrightError",
    "TruncatedResponseError",
    "UnknownMethodError",
    "UnrecordedCallError",
    "UnusableLMError",
    "did_you_mean",
]


class SynthwrightError(Exception):
    """Base class of all errors raised by synthwright."""


class ConfigError(SynthwrightError, ValueError):
    """An argument, a preset, a seed or a task file is wrong; the message names it and says what would be right."""


class UnknownMethodError(ConfigError):
    """No generator has the given name; the message suggests the nearest ones."""


class RunMismatchError(ConfigError):
    """The output directory holds a run that was made with another configuration."""


class MissingExtraError(SynthwrightError, ImportError):
    """An optional dependency is not installed; the message is the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package!r}, which is not installed: pip install 'synthwright[{extra}]'")


class ModelFileError(SynthwrightError):
    """The weights of the embedded LM are missing, damaged, or cannot be loaded."""


class RetrievalError(SynthwrightError):
    """A source of passages cannot be reached, or what it holds cannot be read."""


class StoreError(SynthwrightError):
    """The run directory cannot be created, read or written, or is in use by another process."""


class UnrecordedCallError(SynthwrightError):
    """A `ReplayLM` was asked what its record does not hold; the message shows the nearest request."""


class UnusableLMError(SynthwrightError):
    """The LM cannot be reached, or nothing that it returns can be used. What was made before is kept."""


class ProgramError(SynthwrightError):
    """The generator's own code raised for seed after seed; the last error is the cause. What was made is kept."""


class TruncatedResponseError(SynthwrightError, LMError):
    """A reply ended at its token limit, so that its last field is cut.

    It is raised instead of parsing the stump: JSON repair would silently complete it.

    Attributes:
        text: What the LM had written.
    """

    def __init__(self, text: str, *, max_tokens: int | None = None, model: str | None = None) -> None:
        limit = f"the limit of {max_tokens} tokens" if max_tokens else "its token limit"
        super().__init__(f"the reply was cut at {limit}; raise `max_tokens`", model=model)
        self.text = text


class BudgetExhaustedError(SynthwrightError, LMError):
    """The next LM call would exceed the budget. The run stops, keeps everything, and can go on with a larger one."""


ParseError = (AdapterParseError, TruncatedResponseError)
"""What a predictor raises when a reply came but cannot be used; for `except` clauses in `aforward`."""


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest known names, or lists them all.

    Args:
        value: The name that was not found.
        known: The names that exist.
    """
    known = sorted(known)
    near = difflib.get_close_matches(value, known, n=3, cutoff=0.5)
    if near:
        return "Did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "Known: " + ", ".join(known) + "."
