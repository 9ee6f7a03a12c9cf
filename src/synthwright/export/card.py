"""The dataset card: what was made, by which method, LM and filters, what was lost, what it may be used for."""

import importlib
import json
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel

from synthwright.errors import ConfigError
from synthwright.export.tables import clean
from synthwright.programs.base import Generator, get_generator
from synthwright.programs.fidelity import fidelity_card
from synthwright.runs.run import Run

if TYPE_CHECKING:
    from synthwright.export.records import Records

__all__ = ["dataset_card", "is_ours"]

_MARK = "<!-- written by synthwright export -->"

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def is_ours(text: str) -> bool:
    """Whether a README was written by `dataset_card`."""
    return _MARK in text


def dataset_card(
    run: Run[Any], records: "Records", *, title: str, license: str | None = None, kind: str | None = None
) -> str:
    """The card of an export as Markdown with a YAML header, as the Hugging Face hub reads it.

    Args:
        run: The run.
        records: The export; `look` was called.
        title: Name of the dataset.
        license: Licence by its identifier on the hub; None for unknown.
        kind: Suffix of the files in `data/`; None where the hub names them itself.
    """
    config = run.config()
    cls = _built_in(run.method)
    sections = [
        f"---\n{_header(run, records, title, license, kind)}---\n{_MARK}\n\n# {_line(title)}",
        _summary(run, cls, records),
        "## How it was made\n\n" + _made(config, cls),
        "## What was kept and lost\n\n" + _fenced(str(run.funnel)) + "\n\n" + _counts(records),
        "## LM calls\n\n" + _usage(run),
        "## How to load it\n\n" + _loading(records, title, kind),
        "## One record\n\n" + _example(records),
        "## Intended use and limits\n\n" + _limits(config, records),
        "## Licence\n\n" + _licence(config, license),
    ]
    return clean("\n\n".join(sections) + "\n")[0]


def _header(run: Run[Any], records: "Records", title: str, license: str | None, kind: str | None) -> str:
    total = sum(records.counts.values())
    cls = _built_in(run.method)
    papers = [f"arxiv:{number}" for number in re.findall(r"arXiv:(\d{4}\.\d{5})", _source(cls) if cls else "")]
    header: dict[str, Any] = {
        "pretty_name": title,
        "license": license or "unknown",
        "size_categories": [next((name for limit, name in _SIZES if total < limit), "n>1M")],
        "tags": ["synthetic", "synthwright", run.method.replace("_", "-"), records.format.name, *papers],
    }
    if records.format.columns:
        header["task_categories"] = ["text-generation"]
    if kind is not None:
        files = [{"split": split, "path": f"data/{split}.{kind}"} for split in records.counts]
        header["configs"] = [{"config_name": "default", "data_files": files}]
    return yaml.safe_dump(header, sort_keys=False, allow_unicode=True)


def _summary(run: Run[Any], cls: type[Generator[Any]] | None, records: "Records") -> str:
    counts = ", ".join(f"{count:,} in `{split}`" for split, count in records.counts.items())
    source = f" Source of the method: {_line(_source(cls))}" if cls else ""
    name = cls.__name__ if cls else run.method
    form = ", plain text" if records.standard else ""
    part = f" The run had not ended when they were taken ({run.stopped})." if run.as_of is not None else ""
    return (
        f"Synthetic data, written by a language model with the method {_line(name)} in Synthwright {_version()}. "
        f"Records: {counts}, in the format `{records.format.name}`{form}, which is read by: {records.format.read_by}."
        f"{part}{source}"
    )


def _made(config: dict[str, Any], cls: type[Generator[Any]] | None) -> str:
    facts = {
        "method": config.get("method"),
        "generator": config.get("generator"),
        "preset": _preset(config.get("arguments") or {}, cls),
        "created": config.get("created"),
        "prompts_sha256": config.get("prompts"),
        "lms": config.get("lms"),
        "random_seed": config.get("seed"),
        "seeds": config.get("seeds") or "the method's own",
        "filters": config.get("filters"),
        "arguments": config.get("arguments"),
    }
    text = yaml.safe_dump(clean(facts)[0], sort_keys=False, allow_unicode=True, width=110)
    return "`prompts_sha256` is the beginning of the hash of all prompts and demonstrations.\n\n" + _fenced(
        text, "yaml"
    )


def _preset(arguments: dict[str, Any], cls: type[Generator[Any]] | None) -> str:
    """The preset that is nearest to the arguments, and what differs from it."""
    if cls is None:
        return "none"
    best: tuple[str, list[str]] | None = None
    for name in ("practical", "faithful"):
        if name in cls.presets or name == "practical":
            preset = cls.preset(name).params()
            differs = [n for n, value in preset.items() if n in arguments and _plain(value) != _plain(arguments[n])]
            if best is None or len(differs) < len(best[1]):
                best = name, differs
    name, differs = best or ("none", [])
    return name + (f", but for: {', '.join(differs)}" if differs else "")


def _plain(value: Any) -> str:
    def default(part: Any) -> Any:
        return part.model_dump(mode="json") if isinstance(part, BaseModel) else repr(part)

    return json.dumps(value, default=default, sort_keys=True)


def _counts(records: "Records") -> str:
    lines = [f"- {split}: {count:,} records" for split, count in records.counts.items()]
    lines += [f"- left out: {count:,} rows ({_line(reason)})" for reason, count in records.skipped.items()]
    if records.repaired:
        lines.append(f"- {records.repaired:,} texts held halves of characters; U+FFFD stands in their place")
    if "test" in records.counts:
        lines.append("- split by lineage: no row of `test` shares a parent, seed, root or prompt with one of `train`")
    return "\n".join(lines)


def _usage(run: Run[Any]) -> str:
    rows = ["| role | predictor | calls | tokens in | tokens out | USD |", "|---|---|---:|---:|---:|---:|"]
    for (role, predictor), used in run.usage.items():
        name = _line(predictor) or "-"
        rows.append(
            f"| {_line(role)} | {name} | {used.calls:,} | {used.input_tokens:,} | {used.output_tokens:,} "
            f"| {used.usd:.4f} |"
        )
    return "\n".join(rows) + "\n\nUSD is 0 where no prices were given."


def _loading(records: "Records", title: str, kind: str | None) -> str:
    where = "PATH_OF_THIS_DIRECTORY" if kind else f"OWNER/{title}"
    code = f'from datasets import load_dataset\n\ndata = load_dataset("{_line(where)}")  # splits: ' + ", ".join(
        records.counts
    )
    note = ""
    if kind == "csv":
        note = (
            "\n\nCells with lists are JSON. Texts are as the LM wrote them: a cell that starts with `=`, `+`, `-` or "
            "`@` is run as a formula by spreadsheets, so do not open the files in one."
        )
    return _fenced(code, "python") + note


def _example(records: "Records") -> str:
    split = next((name for name, count in records.counts.items() if count), None)
    if split is None:
        return "There is none."
    text = json.dumps(next(records.stream(split)), ensure_ascii=False, indent=2)
    return _fenced(text if len(text) <= 2000 else text[:2000] + "\n...", "json")


def _limits(config: dict[str, Any], records: "Records") -> str:
    models = sorted({str(lm.get("model")) for lm in (config.get("lms") or {}).values()})
    points = [
        f"For: {records.format.read_by}.",
        "No person has checked the records. They carry the errors, gaps and prejudices of the language models that "
        f"wrote and judged them ({_line(', '.join(models))}); facts and code in them may be wrong.",
        "Only the filters listed above were applied. Overlap with benchmarks was tested only if a filter says so, and "
        "nothing was searched for personal data unless a filter says so.",
        "Texts are unedited output of a model: treat them as untrusted input, escape them in web pages, and do not run "
        "code from them outside a sandbox.",
    ]
    if any("embedded/" in model for model in models):
        points.append(
            "The embedded language model is a very small one. Its rows show how the method works and are not fit to "
            "train on."
        )
    return "\n".join(f"- {point}" for point in points)


def _licence(config: dict[str, Any], license: str | None) -> str:
    models = ", ".join(sorted({str(lm.get("model")) for lm in (config.get("lms") or {}).values()}))
    chosen = f"`{_line(license)}`, chosen by the publisher." if license else "Unknown: the publisher has named none."
    return (
        f"{chosen} A dataset inherits conditions from what it was made with: the licence or terms of the language "
        f"models ({_line(models)}), some of which restrict training on their output, and the licences of seeds, "
        "documents and task files that went in. Synthwright's own licence (Apache-2.0) says nothing about its output."
    )


def _built_in(method: str) -> type[Generator[Any]] | None:
    try:
        return get_generator(method)
    except ConfigError:
        return None


def _source(cls: type[Generator[Any]]) -> str:
    """The paper of a built-in method: from its fidelity card, else from the head of its signatures."""
    try:
        return fidelity_card(cls).source
    except ConfigError:
        module = importlib.import_module(f"synthwright.signatures.{cls.stem()}")
        return (module.__doc__ or "").strip().partition("\n\n")[0]


def _fenced(text: str, language: str = "text") -> str:
    """A code block that no text can close: its fence is longer than any in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _line(text: str) -> str:
    """Text in one line that is neither HTML nor a table cell's end."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _version() -> str:
    try:
        return version("synthwright")
    except PackageNotFoundError:
        return ""
