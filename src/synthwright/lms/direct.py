"""Plain calls of predictors without DSPy's machinery, which costs as much as the rest of a call together.

In a run, predictors that are exactly `dspy.Predict` or `dspy.ChainOfThought` become what is here. A call that nobody
observes, with the signature's inputs and nothing else, then goes from the predictor to the adapter and the engine at
once; its prompt, sampling seed, result and errors are those of DSPy's way. Every other call takes DSPy's way: that of
a subclass or a patched predictor, with callbacks, history, traces, usage tracking or streams, with arguments such as
`config`, with DSPy's own types, to an engine that may ask who calls.
"""

import sys
import types
from typing import Any, cast

import dspy
from dspy.predict import predict as _predict
from dspy.primitives.module import Module
from dspy.utils import callback as _callback

from synthwright.lms.adapters import AutoAdapter, SchemaAdapter
from synthwright.lms.metered import MeteredLM

__all__ = ["DirectChainOfThought", "DirectPredict", "take_shortcuts"]

_METHODS = ("acall", "aforward", "_forward_preprocess", "_forward_postprocess")


class DirectPredict(dspy.Predict):
    """A `dspy.Predict` that calls its LM directly where that makes no difference."""

    async def acall(self, *args: Any, **inputs: Any) -> dspy.Prediction:
        adapter = None if args else _adapter(self, inputs)
        if adapter is None:
            return await super().acall(*args, **inputs)
        signature, lm = self.signature, cast(MeteredLM, self.lm)
        options = dict(self.config) if self.config else {}
        made = await adapter.ask(lm, options, signature, self.demos, inputs, caller=id(self))
        return dspy.Prediction.from_completions(made, signature=signature)

    def __reduce__(self) -> Any:
        return _new, (dspy.Predict,), self.__getstate__()


class DirectChainOfThought(dspy.ChainOfThought):
    """A `dspy.ChainOfThought` whose predictor is called directly where that makes no difference."""

    async def acall(self, *args: Any, **inputs: Any) -> dspy.Prediction:
        predict = self.predict
        direct = not (args or self.callbacks or self.__dict__.keys() & _METHODS) and type(predict) is DirectPredict
        if direct and _adapter(predict, inputs) is not None:
            return await predict.acall(**inputs)
        return await super().acall(*args, **inputs)

    def __reduce__(self) -> Any:
        return _new, (dspy.ChainOfThought,), self.__getstate__()


_DIRECT: dict[type, type] = {dspy.Predict: DirectPredict, dspy.ChainOfThought: DirectChainOfThought}


def take_shortcuts(program: dspy.Module) -> None:
    """Let the plain predictors of a program call their LMs directly, in place."""
    if not _untouched():
        return
    for _, module in program.named_sub_modules():
        if (direct := _DIRECT.get(type(module))) is not None:
            # in place: `map_named_predictors` leaves out frozen ones, and others may hold the same predictor
            module.__class__ = direct


def _adapter(predict: dspy.Predict, inputs: dict[str, Any]) -> SchemaAdapter | None:
    """The adapter for a direct call; None if the call must take DSPy's way."""
    lm, settings = predict.lm, dspy.settings
    if type(lm) is not MeteredLM or not lm.takes(predict.config) or predict.callbacks or predict.fields:
        return None
    adapter = settings.adapter
    if type(adapter) is AutoAdapter:
        adapter = adapter.choose(lm)
    if type(adapter) is not SchemaAdapter or not adapter.takes(predict.signature, inputs):
        return None
    traced = settings.trace is not None and settings.max_trace_size > 0
    if traced or settings.track_usage or not lm.unobserved() or predict.__dict__.keys() & _METHODS:
        return None
    return adapter


def _untouched() -> bool:
    """Whether DSPy's methods are its own: tracing libraries wrap them, and want to see every call."""
    own: list[tuple[type, str, Any]] = [(dspy.Predict, name, _predict) for name in _METHODS]
    own += [
        (Module, "acall", _callback),
        (dspy.ChainOfThought, "aforward", sys.modules[dspy.ChainOfThought.__module__]),
    ]
    for cls, name, module in own:
        method = cls.__dict__.get(name)
        if not isinstance(method, types.FunctionType) or method.__code__.co_filename != module.__file__:
            return False
    return True


def _new(cls: type) -> Any:
    """An empty module for a copy, which is DSPy's own again: the shortcut is a matter of one run."""
    return object.__new__(cls)
