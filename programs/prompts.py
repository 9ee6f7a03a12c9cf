"""The state of prompts: versioned JSON keyed by predictor and field name. Never a pickle, never a secret."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import dspy
from dspy.adapters.utils import get_annotation_name, serialize_for_json

from synthwright.errors import ConfigError

__all__ = ["FORMAT", "digest", "dump", "hash_of", "load", "of_predictor", "signature_of"]

FORMAT = 2
"""Format 2 has what format 1 has, and what the prompts were tuned for and the hash of each predictor's signature."""

READABLE = (1, 2)


def of_predictor(predictor: dspy.Predict) -> dict[str, Any]:
    """Instructions, field descriptions and demonstrations of one predictor, with the signature they belong to."""
    signature = signature_of(predictor)
    return {
        "signature": shape(signature),
        "instructions": signature.instructions,
        "fields": {name: cast(Any, field.json_schema_extra)["desc"] for name, field in signature.fields.items()},
        "demos": [_plain(demo) for demo in predictor.demos],
    }


def signature_of(predictor: dspy.Predict) -> type[dspy.Signature]:
    """The signature class of a predictor (DSPy types the attribute more loosely)."""
    return cast(type[dspy.Signature], predictor.signature)


def shape(signature: type[dspy.Signature]) -> dict[str, str]:
    """The fields of a signature by name, each as `input str` or `output list[str]`."""
    inputs = {name: f"input {get_annotation_name(f.annotation)}" for name, f in signature.input_fields.items()}
    return {**inputs, **{n: f"output {get_annotation_name(f.annotation)}" for n, f in signature.output_fields.items()}}


def dump(
    method: str, predictors: Mapping[str, dspy.Predict], tuned_for: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The whole state of a generator's prompts.

    Args:
        method: Name of the method.
        predictors: Its predictors by name.
        tuned_for: What the prompts were tuned for, such as metric and LM; None if they were not.
    """
    versions = {package: _version(package) for package in ("synthwright", "dspy")}
    states = {name: of_predictor(predictor) for name, predictor in predictors.items()}
    return {
        "format": FORMAT,
        "method": method,
        "versions": versions,
        "tuned_for": None if tuned_for is None else dict(tuned_for),
        "predictors": {
            name: {"signature_hash": hash_of(state["signature"]), **state} for name, state in states.items()
        },
    }


def hash_of(shape: Mapping[str, str]) -> str:
    """First 12 hex digits of the SHA-256 of the fields of a signature."""
    return _sha256(shape)


def digest(predictors: Mapping[str, dspy.Predict]) -> str:
    """First 12 hex digits of the SHA-256 of the state of all predictors."""
    state = {name: of_predictor(predictor) for name, predictor in predictors.items()}
    return _sha256(state)


def load(path: str | Path, method: str, predictors: Mapping[str, dspy.Predict]) -> None:
    """Apply a saved state to predictors. Predictors that the file does not name keep their prompts.

    Raises:
        ConfigError: The file cannot be read, has another format, or does not fit; nothing was changed then.
    """
    try:
        state = json.loads(Path(path).read_text(encoding="utf-8"))
        if state["format"] not in READABLE:
            raise ConfigError(
                f"{path}: prompts of format {state['format']!r}; this version reads the formats "
                f"{', '.join(map(str, READABLE))}."
            )
        saved: dict[str, Any] = {**state["predictors"]}
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"Cannot read the prompts {str(path)!r}: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a file of prompts written by synthwright ({error!r}).") from error
    misfits = [f"it is for {state.get('method')!r}, not {method!r}"] if state.get("method") != method else []
    fitted: dict[str, tuple[type[dspy.Signature], list[dspy.Example]]] = {}
    for name, entry in saved.items():
        if name not in predictors:
            misfits.append(f"predictor {name!r} does not exist (there are: {', '.join(predictors)})")
            continue
        signature = signature_of(predictors[name])
        try:
            there, now = entry["signature"], shape(signature)
            if entry.get("signature_hash", hash_of(there)) != hash_of(there):
                misfits.append(f"{name}: its fields were edited by hand (their hash is another)")
                continue
            misfits += [f"{name}: {difference}" for difference in _differences(there, now)]
            if there == now:
                fitted[name] = _applied(signature, entry), [dspy.Example(**demo) for demo in entry["demos"]]
        except (KeyError, TypeError, AttributeError) as error:
            misfits.append(f"{name}: its entry is not one that synthwright wrote ({error!r})")
    if misfits:
        raise ConfigError(f"{path} does not fit: " + "; ".join(misfits) + ".")
    for name, (signature, demos) in fitted.items():
        predictors[name].signature, predictors[name].demos = signature, demos


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _differences(there: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """How the fields of two signatures differ, in words."""
    found = []
    for field in sorted({*there, *now}):
        if field not in now:
            found.append(f"the signature has no field {field!r} ({there[field]}) any more")
        elif field not in there:
            found.append(f"the file has no field {field!r} ({now[field]})")
        elif there[field] != now[field]:
            found.append(f"field {field!r} was {there[field]} and is {now[field]}")
    return found


def _applied(signature: type[dspy.Signature], entry: Mapping[str, Any]) -> type[dspy.Signature]:
    signature = signature.with_instructions(entry["instructions"])
    for field, description in entry["fields"].items():
        signature = signature.with_updated_fields(field, desc=description)
    return signature


def _plain(demo: Any) -> dict[str, Any]:
    return {name: serialize_for_json(value) for name, value in dict(demo).items()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout that was not installed
        return "unknown"
