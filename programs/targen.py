"""TarGEN: contexts, then instance seeds, then rows written for a label fixed beforehand, then self-correction."""

import contextlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import dspy

from synthwright.errors import ConfigError, ParseError, did_you_mean
from synthwright.filters import ExactDuplicate
from synthwright.pool import Pool, Seed
from synthwright.programs import targen_prompts as prompts
from synthwright.programs.base import Frozen, Generator, reject, unparsable
from synthwright.programs.blocks.texts import occurrences, restates, words
from synthwright.programs.targen_checks import problem
from synthwright.programs.targen_files import load_task
from synthwright.programs.targen_material import Material, folded, listed
from synthwright.programs.targen_tasks import Task
from synthwright.signatures.listing import Listing
from synthwright.signatures.rows import Rejected
from synthwright.signatures.targen import Contexts, InstanceSeeds, LabelledRow

__all__ = ["TarGEN"]

SHOWN = 0.7
"""ROUGE-L from which an instance seed is a copy of one that the prompt shows: the threshold of Self-Instruct."""

HIDDEN = "(not shown)"
"""What a solver sees in the place of the instance seed if it is hidden."""


class TarGEN(Generator[LabelledRow]):
    """Makes a labelled dataset for a task that is only described.

    A run makes a pool of contexts, asks for instance seeds in each, and writes one row from each instance seed. Label
    and way of asking are fixed before a row is written, so labels come out by quota; rows that are lost are asked for
    again under the label that lacks. The seeds of a run may be given: dictionaries with `context`, `seed` (the text of
    an instance seed) or both. A dictionary with a `step` is asked as it is, such as
    `{"step": "correct", "fields": {...}, "label": "entailment"}`, which re-checks the label of any instance.

    Source: Gupta et al., 2023, arXiv:2310.17876; steps and what is ours: `docs/methods/targen.md`.

    Args:
        task: Name of a shipped task (`list_tasks()`), path of a task file in YAML, or a `Task`.
        self_correct: Whether an LM re-checks the label of each row, once. The paper does.
        drop_corrected: Whether rows whose label was changed are dropped. The paper keeps them under the new label.
        solver: Whether an LM in the role `solver` labels each row without seeing its label. Ours.
        require_agreement: Whether rows are dropped if the solver gives another label than the final one. Ours.
        hide_seed: Whether the solver also labels each row without its instance seed. It should then do no better than
            chance: see `synthwright.programs.targen_artifacts`. Ours.
        checks: Whether the objective checks of the task and a filter of exact copies apply. Ours.
        illustrations: Steps whose prompts show the worked examples of the task file. The official prompts show some
            in `write`. `correct` and `instances` can have them too.
        contexts_per_call: Contexts asked for in one call, 1 or more.
        instances_per_context: Instance seeds asked for in one call, 1 or more. The official code asks for 1.
        patience: Calls for contexts or instance seeds without a row kept since, after which the run ends. Ours.
        tune_contexts: Let optimizers see the asking for contexts, and not the writing and correcting: what makes rows
            right says nothing about how different contexts are.
        seed: Fixes which label goes with which instance seed.
    """

    roles = {"solver": ("solve",)}
    targets = ("write", "correct", "contexts")
    presets = {
        "faithful": {
            "self_correct": True,
            "drop_corrected": False,
            "solver": False,
            "require_agreement": False,
            "checks": False,
            "illustrations": ("write",),
            "instances_per_context": 1,
        },
        "practical": {
            "self_correct": True,
            "drop_corrected": False,
            "solver": False,
            "require_agreement": False,
            "checks": True,
            "illustrations": ("write", "correct"),
            "instances_per_context": 2,
        },
    }

    def __init__(
        self,
        task: str | Path | Task = "rte",
        *,
        self_correct: bool = True,
        drop_corrected: bool = False,
        solver: bool = False,
        require_agreement: bool = False,
        hide_seed: bool = False,
        checks: bool = True,
        illustrations: Sequence[str] = ("write", "correct"),
        contexts_per_call: int = 8,
        instances_per_context: int = 2,
        patience: int = 50,
        tune_contexts: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        counts = {"contexts_per_call": contexts_per_call, "instances_per_context": instances_per_context}
        for name, value in {**counts, "patience": patience}.items():
            if value < 1:
                raise ConfigError(f"`{name}` must be at least 1, got {value!r}.")
        for step in illustrations:
            if step not in prompts.DEMOS:
                raise ConfigError(f"`illustrations` has no step {step!r}. {did_you_mean(step, prompts.DEMOS)}")
        if (require_agreement or hide_seed) and not solver:
            raise ConfigError("`require_agreement` and `hide_seed` need a solver: pass `solver=True` too.")
        self.task = load_task(task)
        self.self_correct, self.drop_corrected = self_correct, drop_corrected
        self.solver, self.require_agreement, self.hide_seed = solver, require_agreement, hide_seed
        self.checks, self.illustrations = checks, illustrations
        self.contexts_per_call, self.instances_per_context = contexts_per_call, instances_per_context
        self.patience, self.tune_contexts, self.seed = patience, tune_contexts, seed

        tuned, fixed = (Frozen, dspy.Predict) if tune_contexts else (dspy.Predict, Frozen)
        self.contexts = fixed(prompts.contexts_signature(contexts_per_call))
        self.instances = dspy.Predict(prompts.instances_signature(instances_per_context))
        self.write = tuned(prompts.write_signature(self.task))
        self.correct = tuned(prompts.correct_signature(self.task))
        self.solve = Frozen(prompts.solve_signature(self.task))
        for step in illustrations:
            self.all_predictors()[step].demos = prompts.DEMOS[step](self.task)
        self.filters = (ExactDuplicate(("fields",)),) if checks else ()

    # What to ask next

    def plan(self, pool: Pool[LabelledRow]) -> Iterable[Seed]:
        if any("step" in seed for seed in pool.seeds or ()):
            return super().plan(pool)
        if pool.missing == 0:
            return ()
        material = Material(pool)
        if instances := material.instances():
            return self._rows(pool, instances)
        one_pass_done = pool.target is None and (material.asked or material.texts)
        if one_pass_done or material.idle() >= self.patience:
            return ()
        fresh, used = material.contexts()
        needed = 1 if pool.missing is None else -(-pool.missing // self.instances_per_context)
        if len(fresh) < needed and material.may_draw():
            drawn, wanted = len(material.draws), -(-(needed - len(fresh)) // self.contexts_per_call)
            calls = min(wanted, max(4, drawn))  # doubled at most, so that an LM that has no more is soon found out
            return ({"step": "contexts", "draw": drawn + i, "round": pool.round} for i in range(calls))
        contexts = [*fresh, *used]  # without replacement as long as there are fresh ones
        count = needed if pool.target is not None else len(contexts)
        ask = {"step": "instances", "round": pool.round, "kept": len(pool)}
        return ({**ask, "context": contexts[i % len(contexts)]} for i in range(count if contexts else 0))

    def _rows(self, pool: Pool[LabelledRow], instances: Sequence[tuple[str, str]]) -> Iterator[Seed]:
        """A row seed for each instance seed needed, under the label and constraint that lack most."""
        count = len(instances) if pool.missing is None else min(len(instances), pool.missing)
        lacking = self.task.quota(pool.target or len(pool) + count)
        for row in pool:
            lacking[row.asked, row.variant] -= 1
        # shuffled, so that no label goes with the first seed of every context
        for context, text in random.Random(f"{self.seed}:{pool.round}").sample(instances, count):
            label, variant = max(lacking, key=lambda cell: lacking[cell])
            lacking[label, variant] -= 1
            yield {"step": "row", "context": context, "seed": text, "label": label, "variant": variant}

    # How to ask

    async def aforward(
        self,
        step: Literal["contexts", "instances", "row", "correct"] = "row",
        *,
        context: str = "",
        seed: str = "",
        label: str = "",
        variant: int = 0,
        fields: Mapping[str, str] | None = None,
        explanation: str = "",
        draw: int = 0,
        round: int = 0,
        kept: int = 0,
    ) -> dspy.Prediction:
        """One unit of work of one of the steps.

        Args:
            step: Which step.
            context: The setting (`instances`, `row`).
            seed: The instance seed (`row`).
            label: The label to write for (`row`) or to re-check (`correct`); the kind of instance of a structured task,
                by default the first.
            variant: Which constraint of the label to use, from 0 (`row`).
            fields: All fields of an instance (`correct`).
            explanation: Why the label is thought to be right (`correct`).
            draw: Number of the call for contexts, from 0.
            round: Round of the run (`contexts`, `instances`).
            kept: Rows kept when the step was planned (`instances`).
        """
        if step == "contexts":
            return await self._make_contexts(draw, round)
        if step == "instances":
            return await self._make_instances(context, round, kept)
        if step not in ("row", "correct"):
            raise ConfigError(
                f"TarGEN has no step {step!r}. {did_you_mean(step, ('contexts', 'instances', 'row', 'correct'))}"
            )
        known = self.task.read_label(label or (self.task.label_names[0] if self.task.answers else ""))
        if known is None:
            raise ConfigError(
                f"{self.task.name!r} has no label {label!r}. {did_you_mean(label, self.task.label_names)}"
            )
        if step == "row":
            return await self._make_row(context, seed, known, variant)
        if set(fields or {}) != set(self.task.fields):
            raise ConfigError(f"`fields` of {self.task.name!r} are {', '.join(self.task.fields)}; got {fields!r}.")
        return await self._recheck(self._row(dict(fields or {}), known, context, explanation))

    async def _make_contexts(self, draw: int, round: int) -> dspy.Prediction:
        theme = self.task.themes[draw % len(self.task.themes)]
        try:
            reply = await self.contexts.acall(theme=theme, how_many=self.contexts_per_call)
        except ParseError as error:
            return _dropped(unparsable("contexts", error, theme=theme))
        texts = listed(reply.contexts.root)
        return dspy.Prediction(rows=[], artifacts=[Contexts(contexts=tuple(texts), draw=draw, round=round)])

    async def _make_instances(self, context: str, round: int, kept: int) -> dspy.Prediction:
        ask = {"kind_of_text": self.task.seed, "context": context, "how_many": self.instances_per_context}
        try:
            reply = await self.instances.acall(**ask)
        except ParseError as error:
            return _dropped(unparsable("instances", error, context=context))
        seeds, rejected = [], []
        for text in listed(reply.texts.root)[: self.instances_per_context]:
            if self.checks and (found := self._unfit(text, context)):
                rejected.append(reject("instances", found, context=context, seed=text))
            else:
                seeds.append(text)
        artifact = InstanceSeeds(context=context, seeds=tuple(seeds), round=round, kept=kept)
        return dspy.Prediction(rows=[], rejected=rejected, artifacts=[artifact])

    def _unfit(self, text: str, context: str) -> str | None:
        """Why a text cannot be an instance seed: its length, a copy of the prompt, or a check on the field alone."""
        fewest, most = self.task.seed_words
        if not fewest <= len(words(text)) <= most:
            return f"wrong_length: {len(words(text))} words"
        if folded(text) == folded(context):
            return f"restates_context: {context[:60]!r}"
        shown = (shown for demo in self.instances.demos for shown in Listing.model_validate(demo["texts"]).root)
        if any(occurrences(other, text) or restates(text, other, SHOWN) for other in shown):
            return f"copies_demonstration: {text[:60]!r}"
        return problem(self.task.checks, {self.task.seed_field: text})

    async def _make_row(self, context: str, seed: str, label: str, variant: int) -> dspy.Prediction:
        constraints = self.task.label(label).constraints
        constraint = constraints[variant % len(constraints)]
        ask = {"task": self.task.definition, "context": context, self.task.seed_field: seed, **constraint.given}
        ask |= {"requirement": constraint.text}
        ask |= {} if self.task.slots or self.task.answers else {"label": label}
        try:
            reply = await self.write.acall(**ask)
        except ParseError as error:
            return _dropped(unparsable("write", error, context=context, seed=seed, label=label))
        written = self.task.place(label, {name: " ".join(reply[name].split()) for name in self.task.written})
        if empty := [name for name, text in written.items() if not text]:
            lost = reject("write", f"empty: {empty[0]}", context=context, seed=seed, label=label, fields=written)
            return _dropped(lost)
        texts = {self.task.seed_field: seed, **constraint.given, **written}
        row = self._row(texts, label, context, reply.explanation.strip(), variant)
        if self.checks and (found := problem(self.task.checks, row.fields, label)):  # before more calls are spent on it
            return _dropped(reject("checks", found, **row.record()))
        return await self._recheck(row) if self.self_correct else await self._solved(row)

    def _row(
        self, texts: Mapping[str, str], label: str, context: str, explanation: str, variant: int = 0
    ) -> LabelledRow:
        answer = self.task.answer_text(texts) if self.task.answers else label
        return LabelledRow(
            task=self.task.name,
            fields={name: texts[name] for name in self.task.fields},
            label=answer,
            initial_label=answer,
            kind=label if self.task.answers else "",
            context=context,
            instance_seed=texts[self.task.seed_field],
            variant=variant,
            explanation=explanation,
            definition=self.task.definition,
            options={} if self.task.answers else self.task.meanings,
            answers=self.task.answers,
        )

    async def _recheck(self, row: LabelledRow) -> dspy.Prediction:
        """Self-correction: one pass, which may change the label, or the answer fields, and never the other texts."""
        if self.task.answers:
            return await self._recheck_answer(row)
        ask = {"task": self.task.definition, **row.fields}
        text: str | None = None
        try:
            reply = await self.correct.acall(**ask, explanation=row.explanation, current_label=row.label)
            text, why = reply.corrected_label, reply.corrected_explanation.strip()
        except ParseError as error:
            text, why = prompts.read_again(error)
        label = self.task.read_label(text) if text else None
        if label is None:
            return await self._solved(row.model_copy(update={"flag": "label_not_checked"}))
        changes = {"label": label, "was_corrected": label != row.label, "corrected_explanation": why}
        checked = row.model_copy(update=changes)
        if checked.was_corrected and self.drop_corrected:
            return _dropped(reject("correct", f"label_corrected: {row.label} -> {label}: {why}", **checked.record()))
        return await self._solved(checked)

    async def _recheck_answer(self, row: LabelledRow) -> dspy.Prediction:
        """Self-correction of a structured task; an answer that breaks a check of the task is not taken."""
        answers = self.task.answers
        ask = {name: text for name, text in row.fields.items() if name not in answers}
        ask |= {f"current_{name}": row.fields[name] for name in answers}
        try:
            reply = await self.correct.acall(task=self.task.definition, explanation=row.explanation, **ask)
        except ParseError:
            return await self._solved(row.model_copy(update={"flag": "label_not_checked"}))
        fields = row.fields | {name: " ".join(reply[f"corrected_{name}"].split()) for name in answers}
        changed = any(folded(fields[name]) != folded(row.fields[name]) for name in answers)
        if changed and problem(self.task.checks, fields, row.kind):
            return await self._solved(row.model_copy(update={"flag": "label_not_checked"}))
        update: dict[str, Any] = {"corrected_explanation": reply.corrected_explanation.strip()}
        if changed:
            update |= {"fields": fields, "label": self.task.answer_text(fields), "was_corrected": True}
        checked = row.model_copy(update=update)
        if changed and self.drop_corrected:
            return _dropped(reject("correct", f"label_corrected: {row.label} -> {checked.label}", **checked.record()))
        return await self._solved(checked)

    async def _solved(self, row: LabelledRow) -> dspy.Prediction:
        """The row with the label of an independent solver, if there is one, with the instance seed and without it."""
        if not self.solver:
            return dspy.Prediction(rows=[row], rejected=[])
        shown = {name: text for name, text in row.fields.items() if name not in self.task.answers}
        try:
            row = row.model_copy(update={"solver_label": await self._answer(shown)})
        except ParseError as error:
            if self.require_agreement:
                return _dropped(unparsable("solve", error, **row.record()))
        if self.require_agreement and not self._agrees(row):
            found = f"solver_disagrees: {row.solver_label}, not {row.label}"
            return _dropped(reject("solve", found, **row.record()))
        if self.hide_seed:
            with contextlib.suppress(*ParseError):
                blind = await self._answer({**shown, self.task.seed_field: HIDDEN})
                row = row.model_copy(update={"blind_label": blind})
        return dspy.Prediction(rows=[row], rejected=[])

    async def _answer(self, shown: Mapping[str, str]) -> str:
        """The label, or the answer, of the solver for the fields that it sees."""
        reply = await self.solve.acall(task=self.task.definition, **shown)
        if not self.task.answers:
            return reply.label
        return self.task.answer_text({name: reply[f"solved_{name}"].strip() for name in self.task.answers})

    def _agrees(self, row: LabelledRow) -> bool:
        """Whether the solver's label is the final one; answers of structured tasks are compared by their words."""
        if not self.task.answers or row.solver_label is None:
            return row.solver_label == row.label
        return words(row.solver_label) == words(row.label)


def _dropped(rejected: Rejected) -> dspy.Prediction:
    return dspy.Prediction(rows=[], rejected=[rejected])
