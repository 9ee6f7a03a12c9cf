"""Generator: the one abstraction. What to ask next (`plan`), how to ask (`aforward`), what to keep (`filters`)."""

import asyncio
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args

import dspy
from dspy.utils.exceptions import AdapterParseError

from synthwright.errors import ConfigError, TruncatedResponseError, UnknownMethodError, did_you_mean
from synthwright.filters.base import Filter, RowCheck
from synthwright.pool import Pool, Seed
from synthwright.portal import run_coroutine
from synthwright.programs import prompts
from synthwright.signatures.rows import Rejected, Row

__all__ = [
    "Frozen",
    "Generator",
    "as_is",
    "data_path",
    "freeze",
    "get_generator",
    "list_generators",
    "read_jsonl",
    "reject",
    "unparsable",
]

RowT = TypeVar("RowT", bound=Row)
ModuleT = TypeVar("ModuleT", bound=dspy.Module)


class Generator(dspy.Module, Generic[RowT]):
    """A program that makes rows. Subclass it, build predictors in `__init__`, compose them in `aforward`.

    `aforward` (or a plain `forward`: write one, the other is given) takes one seed as keyword arguments and returns
    `dspy.Prediction(rows=[...], rejected=[...], artifacts=[...])`; the last two may be left out. `artifacts` are
    intermediate rows that later rounds plan with, such as topics; they are stored and are not part of the dataset.

    Every argument of `__init__` must be stored under its own name, as in scikit-learn, so that a run can record how
    its generator was made.

    Attributes:
        roles: Names of predictors by the LM role that they use. Predictors not named here use `generator`.
        targets: Names of the predictors that optimizers tune; empty for all that are not frozen.
        tuning_budget: LM calls that `optimize` may make if it is not told: enough to find and prove a gain.
        presets: Arguments of `__init__` by preset. `practical` holds the defaults, `faithful` the paper's numbers.
        filters: What to keep, in order. Per run copies are made, so they may hold an index.
        artifact_filters: The same for artifacts, by their type: those that a filter drops are kept as rejects, and no
            plan sees them. Artifacts of other types are not looked at.

    Example:
        >>> class Riddles(Generator[Riddle]):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.write = dspy.ChainOfThought(WriteRiddle)
        ...
        ...     def forward(self, word: str) -> dspy.Prediction:
        ...         return dspy.Prediction(rows=[Riddle(word=word, riddle=self.write(word=word).riddle)])
    """

    roles: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    targets: ClassVar[tuple[str, ...]] = ()
    tuning_budget: ClassVar[int] = 400
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    filters: Sequence[Filter | RowCheck] = ()
    artifact_filters: Mapping[type[Row], Sequence[Filter | RowCheck]] = {}

    def plan(self, pool: Pool[RowT]) -> Iterable[Seed]:
        """The seeds of the next round; none means that there is nothing more to ask.

        It is called once a round with what was kept so far, and must be a function of the pool and the generator's
        arguments alone. It may be endless: the run takes as many seeds as it needs. The default asks each seed that
        the user gave once. A plan that yields may return a sentence: why it has no more to ask, which the run reports.

        Args:
            pool: The run at the start of the round.

        Raises:
            ConfigError: No seeds were given to a generator that has none of its own.
        """
        if pool.seeds is None:
            raise ConfigError(
                f"{type(self).__name__} has no seeds of its own: pass `seeds=[{{...}}]`, a list of dictionaries with "
                f"the arguments {', '.join(self.seed_fields()) or 'of its forward'}."
            )
        return pool.seeds if pool.round == 0 else ()

    def forward(self, *args: Any, **seed: Any) -> dspy.Prediction:
        if type(self).aforward is Generator.aforward:
            raise ConfigError(f"{type(self).__name__} must define `async def aforward(self, ...)` or `forward`.")
        return run_coroutine(lambda: self.aforward(*args, **seed))

    async def aforward(self, *args: Any, **seed: Any) -> dspy.Prediction:
        if type(self).forward is Generator.forward:
            raise ConfigError(f"{type(self).__name__} must define `async def aforward(self, ...)` or `forward`.")
        return await asyncio.to_thread(type(self).forward, self, *args, **seed)

    @classmethod
    def stem(cls) -> str:
        """Name of the method: the class name in snake_case, which is the file stem of the built-in ones."""
        return cls.__module__.rpartition(".")[2] if _is_built_in(cls) else _snake_case(cls.__name__)

    @classmethod
    def row_type(cls) -> type[Row]:
        """The row class given in `Generator[...]`."""
        for base in inspect.getmro(cls):
            for origin in getattr(base, "__orig_bases__", ()):
                for argument in get_args(origin):
                    if isinstance(argument, type) and issubclass(argument, Row):
                        return argument
        return Row

    @classmethod
    def preset(cls, name: str = "practical", **arguments: Any) -> "Generator[RowT]":
        """A generator with the arguments of a preset, some of which may be replaced.

        Args:
            name: `practical` or `faithful`.
            **arguments: Arguments of the class that win over the preset's.

        Raises:
            ConfigError: No such preset, or no such argument.
        """
        presets = {"practical": {}, **cls.presets}
        if name not in presets:
            raise ConfigError(f"{cls.__name__} has no preset {name!r}. {did_you_mean(name, presets)}")
        known = _init_parameters(cls)
        for argument in arguments:
            if argument not in known:
                raise ConfigError(f"{cls.__name__} has no argument {argument!r}. {did_you_mean(argument, known)}")
        return cls(**{**presets[name], **arguments})

    @classmethod
    def seed_fields(cls) -> list[str]:
        """Names of the arguments of `aforward` (or `forward`), which are the fields of a seed."""
        parameters = cls.seed_signature().parameters.values()
        return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]

    @classmethod
    def seed_signature(cls) -> inspect.Signature:
        """What one seed gives to `aforward` (or `forward`)."""
        return _seed_signature(cls.forward if cls.aforward is Generator.aforward else cls.aforward)

    def params(self) -> dict[str, Any]:
        """The arguments that this generator was made with, by name.

        Raises:
            ConfigError: `__init__` did not store an argument under its own name.
        """
        values = {}
        for name in _init_parameters(type(self)):
            if not hasattr(self, name):
                raise ConfigError(
                    f"{type(self).__name__}.__init__ must store its argument as `self.{name} = {name}`: runs record it."
                )
            values[name] = getattr(self, name)
        return values

    def all_predictors(self) -> dict[str, dspy.Predict]:
        """Every predictor by name, frozen ones included; `ChainOfThought` goes by the name of its attribute."""
        found = {}
        for name, module in self.named_sub_modules(dspy.Predict):
            found[name.removeprefix("self.").removesuffix(".predict")] = cast(dspy.Predict, module)
        return found

    def target_predictors(self) -> dict[str, dspy.Predict]:
        """The predictors that an optimizer may tune, by name."""
        free = {id(predictor) for _, predictor in self.named_predictors()}
        names = type(self).targets or tuple(self.all_predictors())
        return {name: p for name, p in self.all_predictors().items() if name in names and id(p) in free}

    def role_of(self, predictor: str) -> str:
        """The LM role of a predictor (or other sub-module) by its name."""
        return next((role for role, names in type(self).roles.items() if predictor in names), "generator")

    def all_roles(self) -> tuple[str, ...]:
        """The LM roles of this generator, `generator` first."""
        return ("generator", *(role for role in type(self).roles if role != "generator"))

    def save_prompts(self, path: str | Path, tuned_for: Mapping[str, Any] | None = None) -> None:
        """Write instructions, field descriptions and demonstrations of all predictors as versioned JSON.

        Args:
            path: The file.
            tuned_for: What the prompts were tuned for, for the reader: metric, LMs and so on, JSON-ready.
        """
        state = prompts.dump(self.stem(), self.all_predictors(), tuned_for)
        text = json.dumps(state, ensure_ascii=False, indent=2)
        Path(path).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")  # half a character

    def load_prompts(self, path: str | Path) -> None:
        """Take over what `save_prompts` wrote.

        Raises:
            ConfigError: The file is not such a file, or was made for other signatures; the message lists what differs.
        """
        prompts.load(path, self.stem(), self.all_predictors())

    def prompts_hash(self) -> str:
        """First 12 hex digits of the SHA-256 of all instructions, field descriptions and demonstrations."""
        return prompts.digest(self.all_predictors())


def freeze(module: ModuleT) -> ModuleT:
    """Hide a predictor from optimizers, which must not tune their own judge.

    Args:
        module: A composed module such as `dspy.ChainOfThought(JudgeEvolution)`.

    Raises:
        TypeError: A bare `dspy.Predict`, on which DSPy's flag has no effect; wrap it in `dspy.ChainOfThought` or a
            module of your own.
    """
    if isinstance(module, dspy.Predict):
        fields = prompts.signature_of(module).signature
        raise TypeError(
            f"freeze() has no effect on a bare dspy.Predict ({fields}): use Frozen, or wrap it in a module."
        )
    module._compiled = True
    return module


class Frozen(dspy.Module):
    """A single predictor that optimizers do not see: `freeze` for a `dspy.Predict` without reasoning."""

    def __init__(self, signature: type[dspy.Signature], **config: Any) -> None:
        super().__init__()
        self.predict = dspy.Predict(signature, **config)
        self._compiled = True

    def forward(self, **inputs: Any) -> dspy.Prediction:
        return self.predict(**inputs)

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        return await self.predict.acall(**inputs)


def as_is(generator: Any) -> Any:
    """The generator as it is, for functions beside its class: type checkers see the class at two paths."""
    return generator


def reject(stage: str, verdict: str, /, **content: Any) -> Rejected:
    """The reject for the verdict of a check.

    Args:
        stage: Name of the predictor or step.
        verdict: The reason, or `reason: detail`, such as `too_long: 412 words`.
        **content: What was dropped.
    """
    reason, _, detail = verdict.partition(": ")
    return Rejected(stage=stage, reason=reason, detail=detail, content=content)


def unparsable(stage: str, error: Exception, **content: Any) -> Rejected:
    """The reject for a reply that could not be used, with the reply kept.

    Args:
        stage: Name of the predictor.
        error: One of `synthwright.errors.ParseError`.
        **content: What the reply was about, such as the instruction it belongs to.
    """
    if isinstance(error, TruncatedResponseError):
        return Rejected(stage=stage, reason="truncated", detail=str(error), content={**content, "reply": error.text})
    reply = error.lm_response if isinstance(error, AdapterParseError) else None
    return Rejected(
        stage=stage,
        reason="unparsable",
        detail=str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
        content={**content, "reply": reply or ""},
    )


def list_generators() -> list[type[Generator[Any]]]:
    """The built-in generators, sorted by name: one in each file of `synthwright.programs` that defines one."""
    package = importlib.import_module("synthwright.programs")
    found = []
    for module in pkgutil.iter_modules(package.__path__, "synthwright.programs."):
        if module.name != __name__:
            found += _defined_in(importlib.import_module(module.name))
    return sorted(found, key=lambda cls: cls.stem())


def get_generator(name: str) -> type[Generator[Any]]:
    """A built-in generator by the name of its method, with dashes, underscores or capitals.

    Raises:
        UnknownMethodError: There is none; the message suggests the nearest.
    """
    known = {cls.stem(): cls for cls in list_generators()}
    wanted = name.strip().replace("-", "_")
    for stem, cls in known.items():
        if wanted.lower() in (stem, cls.__name__.lower()):
            return cls
    dashed = [stem.replace("_", "-") for stem in known]
    raise UnknownMethodError(f"No method {name!r}. {did_you_mean(name.lower().replace('_', '-'), dashed)}")


def data_path(name: str) -> Path:
    """A file of authored data in `programs/data`."""
    return Path(__file__).parent / "data" / name


def read_jsonl(path: str | Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file; blank lines are skipped.

    Raises:
        ConfigError: The file cannot be read, or a line is not a JSON object; the message names file and line.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except ValueError as error:
                    raise ConfigError(f"{path}, line {number}: not JSON: {error}") from error
                if not isinstance(value, dict):
                    raise ConfigError(f"{path}, line {number}: expected an object like {{...}}, got {line.strip()!r}")
                yield value
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {str(path)!r}: {error}") from error


def _defined_in(module: Any) -> list[type[Generator[Any]]]:
    classes = (value for name, value in vars(module).items() if not name.startswith("_") and isinstance(value, type))
    return [cls for cls in classes if issubclass(cls, Generator) and cls.__module__ == module.__name__]


@lru_cache(maxsize=256)
def _seed_signature(method: Any) -> inspect.Signature:
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[1:]
    return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


def _is_built_in(cls: type) -> bool:
    return cls.__module__.startswith("synthwright.programs.")


def _init_parameters(cls: type) -> list[str]:
    if cls.__init__ is dspy.Module.__init__:
        return []
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _snake_case(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))
