"""Lineages of CodecLM: each basic instruction is tried, and improved until the answers of two LMs differ."""

import random
from typing import TYPE_CHECKING, Any

from synthwright.errors import ParseError
from synthwright.programs.base import reject, unparsable
from synthwright.programs.codeclm_checks import refusal
from synthwright.programs.codeclm_contrast import verdict
from synthwright.programs.codeclm_metadata import Metadata
from synthwright.signatures.codeclm import Rubric, TailoredRow, Trial
from synthwright.signatures.rows import Rejected

if TYPE_CHECKING:
    from synthwright.programs.codeclm import CodecLM

__all__ = ["Lineages"]


class Lineages:
    """The instructions of one use case with its skills, which share their rubrics.

    Source: CodecLM, sections 4.2 and 4.3.

    Args:
        program: The generator, whose predictors are called.
        metadata: The use case and skills.

    Attributes:
        rows: The rows made so far.
        rejected: What was dropped so far.
    """

    def __init__(self, program: "CodecLM", metadata: Metadata) -> None:
        self.program, self.metadata = program, metadata
        self.about: dict[str, Any] = {"use_case": metadata.use_case, "skills": list(metadata.skills)}
        self.contrasted = program.contrasts()
        self.rows: list[TailoredRow] = []
        self.rejected: list[Rejected] = []
        self._rubrics: list[Rubric] | None = None

    async def grow(self, instruction: str) -> None:
        """Try one basic instruction, and improve it until it is kept or dropped."""
        program = self.program
        rng = random.Random(f"{program.seed}:{self.metadata.use_case}:{instruction}")
        last = program.iterations if self.contrasted else rng.randint(1, program.iterations)
        made: dict[str, Any] = {"instruction": instruction, "iteration": 1}
        trace: list[Trial] = []
        order: list[Rubric] = []
        for iteration in range(1, last + 1):
            if iteration > 1:
                order = order or rng.sample(rubrics := await self._all_rubrics(), len(rubrics))
                if iteration - 2 >= len(order):
                    break  # every action was drawn once
                better = await self._improved(made, order[iteration - 2], iteration)
                if better is None:
                    continue  # the instruction before it has another try with the next action
                made = better
            if self.contrasted:
                trial = await self._contrasted(made, trace)
                if trial is None:
                    return
                if abs(trial.gap) > program.threshold:
                    return self._settle(made, trial, trace, accepted=True)
                trace.append(trial)
        if not self.contrasted:
            return await self._answer(made)
        *before, trial = trace
        if program.keep_unaccepted:
            return self._settle(made, trial, before, accepted=False)
        detail = f"{trial.gap:+g} of {program.threshold:g} points after {last} tries"
        self._drop("contrast", f"gap_too_small: {detail}", made, _scored(trial), before)

    async def _all_rubrics(self) -> list[Rubric]:
        """The rubrics of the metadata with their actions, written when they are first needed, and once."""
        if self._rubrics is None:
            self._rubrics = []
            try:
                reply = await self.program.devise.acall(**self.about, how_many=self.program.rubrics)
            except ParseError as error:
                self.rejected.append(unparsable("devise", error, **self.about))
            else:
                actions = {rubric.action.strip().casefold(): rubric for rubric in reply.rubrics.root}
                self._rubrics = [rubric for action, rubric in actions.items() if action][: self.program.rubrics]
                if not self._rubrics:
                    self.rejected.append(reject("devise", "no_actions", **self.about))
        return self._rubrics

    async def _improved(self, made: dict[str, Any], rubric: Rubric, iteration: int) -> dict[str, Any] | None:
        """The instruction after one action, or None if the result was dropped."""
        parent, action = made["instruction"], rubric.action.strip()
        content = {"parent": parent, "criterion": rubric.criterion.strip(), "action": action, "iteration": iteration}
        try:
            improved = (
                await self.program.improve.acall(instruction=parent, action=action)
            ).improved_instruction.strip()
        except ParseError as error:
            self.rejected.append(unparsable("improve", error, **self.about, **content))
            return None
        if fault := self.program.fault(improved, parent, action):
            self._drop("improve", fault, {"instruction": improved, **content})
            return None
        return {"instruction": improved, **content}

    async def _contrasted(self, made: dict[str, Any], trace: list[Trial]) -> Trial | None:
        """Both answers with their scores, or None if the instruction was dropped."""
        program, answers = self.program, {}
        for who, predictor in (("strong", program.answer_strong), ("target", program.answer_target)):
            try:
                reply = await predictor.acall(instruction=made["instruction"])
            except ParseError as error:
                self.rejected.append(unparsable(f"answer_{who}", error, **self.about, **made))
                return None
            answers[who] = reply.response.strip()
        strong, target = answers["strong"], answers["target"]
        content = {"strong_response": strong, "target_response": target}
        if not (strong or target):
            return self._drop("contrast", "both_empty", made, content, trace)
        if program.drop_refusals and (found := refusal(strong)) and refusal(target):
            return self._drop("contrast", f"both_refuse: {found}", made, content, trace)
        try:
            first = await self._scores(made["instruction"], strong, target)
            second = await self._scores(made["instruction"], target, strong)
        except ParseError as error:  # a gap from one order alone would prefer the first place, or the second
            self.rejected.append(unparsable("score", error, **self.about, **made, **content))
            return None
        scores = verdict(first, (second[1], second[0]))
        return Trial(
            **{name: made[name] for name in ("instruction", "iteration", "criterion", "action") if name in made},
            **content,
            strong_score=scores.strong,
            target_score=scores.target,
            orders_agree=scores.orders_agree,
        )

    async def _scores(self, instruction: str, first: str, second: str) -> tuple[int, int]:
        reply = await self.program.score.acall(instruction=instruction, first_answer=first, second_answer=second)
        return reply.first_score, reply.second_score

    def _settle(self, made: dict[str, Any], trial: Trial, trace: list[Trial], *, accepted: bool) -> None:
        """Make a row of an instruction with its better answer, unless that answer is unfit."""
        strong_wins = trial.gap >= 0
        answers = (trial.strong_response, trial.target_response)
        response, other = answers if strong_wins else answers[::-1]
        best, least = max(trial.strong_score, trial.target_score), self.program.min_score
        fault = self._unfit(response)
        if accepted and least is not None and best < least:
            fault = fault or f"low_score: {best:g} of 10 for the better answer, {least:g} wanted"
        if fault:
            return self._drop("contrast", fault, made, _scored(trial), trace)
        row = TailoredRow(
            **{name: value for name, value in made.items()},
            response=response,
            response_by="strong" if strong_wins else "target",
            other_response=other,
            accepted=accepted,
            use_case=self.metadata.use_case,
            skills=self.metadata.skills,
            **{name: getattr(trial, name) for name in ("strong_score", "target_score", "gap", "orders_agree")},
            trace=tuple(trace),
            parent_ids=self.metadata.sources,
        )
        self.rows.append(row)

    async def _answer(self, made: dict[str, Any]) -> None:
        """Make a row of an instruction without contrast: with the strong LM's answer, or none if none is wanted."""
        response = ""
        if self.program.answer:
            try:
                response = (await self.program.answer_strong.acall(instruction=made["instruction"])).response.strip()
            except ParseError as error:
                self.rejected.append(unparsable("answer_strong", error, **self.about, **made))
                return
            if fault := self._unfit(response):
                return self._drop("answer_strong", fault, made, {"response": response})
        metadata = self.metadata
        self.rows.append(
            TailoredRow(
                **made,
                response=response,
                response_by="strong",
                use_case=metadata.use_case,
                skills=metadata.skills,
                parent_ids=metadata.sources,
            )
        )

    def _unfit(self, response: str) -> str | None:
        if not response:
            return "empty_response"
        found = refusal(response) if self.program.drop_refusals else None
        return f"refused: {found}" if found else None

    def _drop(
        self,
        stage: str,
        fault: str,
        made: dict[str, Any],
        content: dict[str, Any] | None = None,
        trace: list[Trial] | None = None,
    ) -> None:
        tried = {"trace": [trial.model_dump(mode="json") for trial in trace]} if trace else {}
        self.rejected.append(reject(stage, fault, **{**self.about, **made, **(content or {}), **tried}))


def _scored(trial: Trial) -> dict[str, Any]:
    return {**trial.model_dump(mode="json"), "gap": trial.gap}
