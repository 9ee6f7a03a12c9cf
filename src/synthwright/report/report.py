"""report(): one page about one run."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from synthwright.errors import ConfigError, MissingExtraError
from synthwright.filters.diversity import label_entropy
from synthwright.lms.embeddings import Embedder, embedder_is_here
from synthwright.report.diversity import Diversity, Embed, diversity
from synthwright.report.fields import Field, Fields, main_text
from synthwright.report.page import asset, json_block, packed_block, render_page, write_page
from synthwright.report.tables import Table
from synthwright.runs.run import Run
from synthwright.runs.store import Store

__all__ = ["write_report"]

MOST_RECORDS = 100_000
MOST_BYTES = 300_000_000
"""Rows, and as many rejects, that a page holds: so many records of so much JSON. Of more, every k-th is shown."""

WINDOWS = 40
"""Points of the curve of acceptance."""

MOST_ARTIFACTS = 20_000
"""Intermediate rows that a page holds because a row was made from them."""

_LINEAGE = ("operator", "operation", "parent", "critique", "votes", "round", "iteration", "action", "criterion")


def write_report(
    run: Run[Any], to: str | Path | None = None, *, embed: Embed | bool = True, most: int = MOST_RECORDS
) -> Path:
    """Write the page of a run: one HTML file that needs no network.

    Args:
        run: The run; of one that is going on, the page shows what was there when it was loaded, and says when.
        to: The file; None for `report.html` in the directory of the run.
        embed: How texts are compared: an embedder; True for the embedded one if its files are on this machine (nothing
            is fetched), else by the words they share; False for the words they share.
        most: Rows, and as many rejects, that the page holds, 1 or more; of more, every k-th.

    Returns:
        The file.

    Raises:
        ConfigError: `most` is wrong.
        StoreError: The run cannot be read, or the file cannot be written.
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ConfigError(f"`most` must be at least 1 row, got {most!r}.")
    path = Path(to) if to is not None else run.out / "report.html"
    report = _Report(run, most)
    write_page(path, report.pieces(_embedder(embed)))
    return path


def _embedder(embed: Embed | bool) -> Embed | None:
    if not isinstance(embed, bool):
        return embed
    return Embedder() if embed and embedder_is_here() else None


class _Report:
    """What is gathered for one page."""

    def __init__(self, run: Run[Any], most: int) -> None:
        self.run = run
        self.lost = run.funnel.dropped
        with Store.to_read(run.out) as store:
            self.step = _step(len(run), store.size("rows", "body"), most)
            self.reject_step = _step(self.lost, store.size("rejected", "content"), most)
        self.fields, self.texts = Fields(), []
        self.per_seed: dict[int, list[int]] = {}

    def pieces(self, embed: Embed | None) -> Iterator[str]:
        """The text of the page."""
        for number, record in enumerate(self.run.records()):
            self.fields.look(record)
            self._count(int((record.get("provenance") or {}).get("seed") or 0), 0)
            if number % self.step == 0:
                self.texts.append(main_text(record))
        varied = self._diversity(embed)
        with Store.to_read(self.run.out) as store:
            for seed, _ in store.rejects(self.lost):
                self._count(seed, 1)
            config = store.meta("config") or {}
            created, settings, prompts = (store.meta(name) for name in ("created", "settings", "prompts"))
            failures = [error for _, error in islice(store.failures(), min(50, self.run.funnel.failed))]
            context = {
                "run": self.run,
                "name": self.run.out.resolve().name,
                "created": created,
                "usage": self._usage(),
                "total": self.run.total_usage,
                "steps": self._funnel(),
                "constants": self.fields.of_kind("constant"),
                "varied": varied,
                "measures": [*(varied.measures if varied else ()), *self._evenness()],
                "copies": self.fields.copies,
                "config": _yaml(config),
                "settings": _yaml(settings or {}),
                "lms": config.get("lms") or {},
                "prompts": (prompts or {}).get("predictors") or {},
                "failures": failures,
                "step": self.step,
                "reject_step": self.reject_step,
                "lost": self.lost,
            }
            title = f"{self.run.method.replace('_', '-')}: {len(self.run):,} rows"
            blocks = self._blocks(store, varied)
            scripts = [asset("explorer.js"), asset("run.js")]
            yield from render_page(
                "run.html.j2", title=title, context=context, blocks=blocks, scripts=scripts, charts=True
            )

    def _blocks(self, store: Store, varied: Diversity | None) -> Iterator[tuple[str, str, str]]:
        facets = {found.name: [value for value, _ in found.bars()] for found in self.fields.facets()}
        rows = Table("rows", facets, [found.name for found in self.fields.of_kind("number") if not found.facet])
        yield from rows.blocks(islice(self.run.records(), 0, None, self.step))
        yield packed_block("rows-index", rows.index())
        yield packed_block("artifacts", dict(self._artifacts(store, rows.unknown_parents())))
        stages = dict.fromkeys(stage for stage, _, _ in self.run.funnel.lost)
        reasons = dict.fromkeys(reason for _, reason, _ in self.run.funnel.lost)
        rejects = Table("rejects", {"stage": stages, "reason": reasons} if stages else {}, ())
        yield from rejects.blocks(islice(_rejects(store, self.lost), 0, None, self.reject_step))
        yield packed_block("rejects-index", rejects.index())
        yield json_block("report", {"charts": self._charts(varied), "map": self._map(varied), "lineage": _LINEAGE})

    def _artifacts(self, store: Store, wanted: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The intermediate rows that rows were made from."""
        if not wanted:
            return
        left = MOST_ARTIFACTS
        for record in store.records("artifacts", store.count("artifacts")):
            if record.get("id") in wanted and left > 0:
                left -= 1
                yield record["id"], {name: v for name, v in record.items() if name not in ("id", "provenance")}

    def _count(self, seed: int, lost: int) -> None:
        self.per_seed.setdefault(seed, [0, 0])[lost] += 1

    def _diversity(self, embed: Embed | None) -> Diversity | None:
        try:
            return diversity(self.texts, embed)
        except MissingExtraError:
            return diversity(self.texts)

    def _usage(self) -> list[dict[str, Any]]:
        """Calls, tokens and money by predictor, the dearest first."""
        kept = len(self.run)
        entries = [
            {
                "role": role,
                "predictor": predictor or "(direct)",
                "calls": used.calls,
                "input": used.input_tokens,
                "output": used.output_tokens,
                "usd": used.usd,
                "per_row": used.tokens / kept if kept else None,
            }
            for (role, predictor), used in self.run.usage.items()
        ]
        return sorted(entries, key=lambda entry: (-entry["input"] - entry["output"], entry["predictor"]))

    def _funnel(self) -> list[dict[str, Any]]:
        """The steps of the funnel with the share of what was made."""
        made = max(1, self.run.funnel.made)
        return [
            {"label": name.strip(), "count": abs(count), "note": note, "loss": count < 0, "share": abs(count) / made}
            for name, count, note in self.run.funnel.steps()
        ]

    def _evenness(self) -> list[tuple[str, float, str]]:
        """How evenly labels are spread."""
        return [
            (
                f"evenness of {found.name}",
                label_entropy(found.counts.elements(), normalized=True),
                f"1 if its {len(found.counts)} values are equally frequent",
            )
            for found in self.fields.facets()
            if found.kind == "label" and self.fields.rows >= 2 * len(found.counts)
        ][:6]

    def _charts(self, varied: Diversity | None) -> list[dict[str, Any]]:
        """Data of the charts, in the order in which they are shown."""
        charts = [self._acceptance()] if self.per_seed else []
        for found in self.fields.of_kind("text"):
            bars = found.lengths()
            if bars:
                charts.append(_bars("lengths", found, bars, f"Words in {found.name}", found.summary()))
        for found in self.fields.of_kind("label", "number"):
            bars = found.bars()
            if len(bars) > 1:
                summary = found.summary() if found.kind == "number" else {}
                charts.append(_bars("values", found, bars, found.name.replace("_", " "), summary))
        if varied is not None:
            bins = [0] * 20
            for cosine in varied.similarity:
                bins[min(19, int(cosine * 20))] += 1
            charts.append(
                {
                    "group": "diversity",
                    "title": "Similarity to the nearest other row",
                    "labels": [f"{b / 20:.2f}–{(b + 1) / 20:.2f}" for b in range(20)],
                    "values": bins,
                    "note": "cosine; a peak at the right end means near copies",
                }
            )
        if self.run.usage:
            usage = self._usage()[:12]
            charts.append(
                {
                    "group": "cost",
                    "title": "Tokens by predictor",
                    "labels": [entry["predictor"] for entry in usage],
                    "series": [
                        {"name": "input", "values": [entry["input"] for entry in usage]},
                        {"name": "output", "values": [entry["output"] for entry in usage]},
                    ],
                    "flat": True,
                }
            )
        return charts

    def _acceptance(self) -> dict[str, Any]:
        """Share kept in windows of seeds, and of all seeds so far."""
        seeds = sorted(self.per_seed)
        width = max(1, math.ceil(len(seeds) / WINDOWS))
        labels, window, so_far = [], [], []
        total = [0, 0]
        for start in range(0, len(seeds), width):
            part = [self.per_seed[seed] for seed in seeds[start : start + width]]
            kept, lost = (sum(column) for column in zip(*part, strict=True))
            total = [total[0] + kept, total[1] + lost]
            labels.append(str(seeds[min(start + width, len(seeds)) - 1] + 1))
            window.append(round(kept / (kept + lost), 4))
            so_far.append(round(total[0] / sum(total), 4))
        every = "each seed" if width == 1 else f"each {width} seeds"
        return {
            "group": "acceptance",
            "title": "Acceptance over the run",
            "labels": labels,
            "series": [{"name": every, "values": window}, {"name": "so far", "values": so_far}],
            "line": True,
            "note": "share of what came back that was kept, by seeds asked",
        }

    def _map(self, varied: Diversity | None) -> dict[str, Any] | None:
        if varied is None:
            return None
        return {
            "places": varied.indexes,
            "points": varied.points,
            "pairs": varied.pairs,
            "by": varied.by,
        }


def _bars(
    group: str, found: Field, bars: list[tuple[str, int]], title: str, summary: Mapping[str, float]
) -> dict[str, Any]:
    most = 20
    rest = sum(count for _, count in bars[most:]) if found.kind == "label" else 0
    shown = bars[:most] if found.kind == "label" else bars
    note = ", ".join(f"{name} {value:.3g}" for name, value in summary.items())
    if rest:
        note = f"{len(bars) - most:,} other values: {rest:,}"
    return {
        "group": group,
        "title": title,
        "labels": [name for name, _ in shown],
        "values": [count for _, count in shown],
        "flat": found.kind == "label",
        "facet": found.name if found.facet else None,
        "note": note,
    }


def _rejects(store: Store, count: int) -> Iterator[dict[str, Any]]:
    for seed, reject in store.rejects(count):
        yield {"seed": seed, **reject.model_dump(mode="json")}


def _step(count: int, size: int, most: int) -> int:
    """1 if all records, of `size` bytes together, fit into a page, else k for every k-th."""
    return max(1, math.ceil(count / most), math.ceil(size / MOST_BYTES))


def _yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100) if data else ""
