"""The result of an optimizer run: a tuned generator, and the proof of what it gained."""

import difflib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from synthwright.errors import StoreError
from synthwright.optimizers.candidates import Candidate
from synthwright.optimizers.evaluate import Comparison, spent
from synthwright.optimizers.page import page
from synthwright.optimizers.stats import Difference
from synthwright.programs.base import Generator
from synthwright.signatures.rows import Row

__all__ = ["Tuned"]

RowT = TypeVar("RowT", bound=Row)


@dataclass
class Tuned(Generic[RowT]):
    """A tuned generator with its scores before and after on test seeds that the search never saw.

    Attributes:
        generator: The generator with the tuned prompts.
        proof: The test seeds scored with the prompts as given (`a`) and as tuned (`b`).
        best: The prompts found.
        before: The prompts as they were given.
        history: Candidates in the order in which they were scored.
        optimizer: Which optimizer ran.
        calls: LM calls spent, all phases together.
        tokens: Input plus output tokens of those calls.
        seconds: Wall time.
        lms: Model name by role.
        draws: Draws a seed when scores were taken.
        warnings: What was noticed on the way.
        interrupted: Whether Ctrl-C ended the search; the proof is of the best until then.
        usd: US dollars that the calls cost; 0 where no price is known.
    """

    generator: Generator[RowT]
    proof: Comparison
    best: Candidate
    before: Candidate
    history: list[Candidate]
    optimizer: str
    calls: int
    tokens: int
    seconds: float
    lms: dict[str, str]
    draws: int
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    usd: float = 0.0

    @property
    def metric(self) -> Difference:
        """Score of the optimized metric on the test seeds, before and after."""
        return self.proof.metric

    @property
    def held_out(self) -> Difference | None:
        """The same for a check that was not optimized; None if there is none."""
        return self.proof.held_out

    @property
    def names(self) -> dict[str, str]:
        """Names of the `metric` and of the `held_out` check."""
        return self.proof.a.names

    def report(self) -> str:
        """The outcome in words and numbers, with the difference of every prompt."""
        lines = [
            f"{type(self.generator).__name__}: {self.optimizer} on {self.lms['generator']}, "
            + spent(self.calls, self.tokens, self.usd, self.seconds),
            f"  {self.names.get('metric', 'metric')} (optimized), test seeds: {self.metric}",
        ]
        if self.held_out is not None:
            lines.append(f"  {self.names.get('held_out', 'held-out check')} (not optimized):  {self.held_out}")
        lines.append(f"  best candidate: {self.best.origin}; draws a seed: {self.draws}")
        lines += [f"  note: {warning}" for warning in self.warnings]
        for name, difference in self.prompt_diffs().items():
            lines += [f"  prompt of {name}:", *("    " + line for line in difference)]
        return "\n".join(lines)

    def prompt_diffs(self, width: int | None = 160) -> dict[str, list[str]]:
        """For each predictor whose prompt changed, the lines removed (-) and added (+).

        Args:
            width: Characters shown of a demonstration; None for all.
        """
        changes = {}
        for name, state in self.best.prompts.items():
            old = self.before.prompts[name]
            difference = [
                line
                for line in difflib.ndiff(old.instructions.splitlines(), state.instructions.splitlines())
                if line[0] in "+-"
            ]
            difference += ["- " + _one_line(demo, width) for demo in old.demos if demo not in state.demos]
            difference += ["+ " + _one_line(demo, width) for demo in state.demos if demo not in old.demos]
            if difference:
                changes[name] = difference
        return changes

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON-ready data."""
        return {
            "method": self.generator.stem(),
            "optimizer": self.optimizer,
            "lms": self.lms,
            "metric": {**asdict(self.metric), "name": self.names.get("metric")},
            "held_out": None
            if self.held_out is None
            else {**asdict(self.held_out), "name": self.names.get("held_out")},
            "measurable": self.metric.measurable,
            "best": self.best.origin,
            "candidates": len(self.history),
            "warnings": self.warnings,
            "interrupted": self.interrupted,
            "draws": self.draws,
            "calls": self.calls,
            "tokens": self.tokens,
            "usd": self.usd,
            "seconds": round(self.seconds, 1),
        }

    def tuned_for(self) -> dict[str, Any]:
        """What the prompts belong to, as `prompts.json` records it."""
        return {
            "optimizer": self.optimizer,
            "metric": self.names["metric"],
            "lms": self.lms,
            "before": round(self.metric.before, 4),
            "after": round(self.metric.after, 4),
            "interval": [round(self.metric.low, 4), round(self.metric.high, 4)],
            "test_seeds": self.metric.seeds,
            "draws": self.draws,
        }

    def save(self, directory: str | Path) -> None:
        """Write `prompts.json` (for `load_prompts` and `--prompts`) and the report.

        The report is `report.html` to look at, `report.txt`, `report.json`, and `history.jsonl` with the prompts and
        scores of every candidate.

        Raises:
            StoreError: The directory cannot be written.
        """
        out = Path(directory)
        report = {
            **self.as_dict(),
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "proof": {"before": self.proof.a.as_dict(), "after": self.proof.b.as_dict()},
            "prompts": {"before": self.before.as_dict()["prompts"], "after": self.best.as_dict()["prompts"]},
        }
        texts = {
            "report.json": json.dumps(report, indent=2, default=str) + "\n",
            "report.txt": self.report() + "\n",
            "report.html": page(self),
            "history.jsonl": "".join(json.dumps(c.as_dict(), default=str) + "\n" for c in self.history),
        }
        try:
            out.mkdir(parents=True, exist_ok=True)
            self.generator.save_prompts(out / "prompts.json", self.tuned_for())
            for name, text in texts.items():
                (out / name).write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            raise StoreError(f"Cannot write to {str(out)!r}: {error.strerror or error}.") from error


def _one_line(demo: Any, width: int | None) -> str:
    text = "; ".join(f"{name}: {value}" for name, value in dict(demo).items() if name not in ("augmented", "dspy_uuid"))
    text = " ".join(text.split())
    return text if width is None or len(text) <= width else text[: width - 3] + "..."
