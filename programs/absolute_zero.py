"""Absolute Zero: one model proposes programs and solves them; running code makes the answers and checks them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import dspy

from synthwright.errors import ConfigError, ParseError
from synthwright.filters import ExactDuplicate, Filter
from synthwright.pool import Pool, Seed
from synthwright.programs.absolute_zero_arguments import check_arguments
from synthwright.programs.absolute_zero_checks import CHECKS, Problem, Rules
from synthwright.programs.absolute_zero_filters import Solvable
from synthwright.programs.absolute_zero_plan import planned
from synthwright.programs.absolute_zero_proposals import Proposal, admit, pairs_of_proposals, read_proposal
from synthwright.programs.absolute_zero_rewards import proposer_reward
from synthwright.programs.absolute_zero_rows import measured_task, self_play_row
from synthwright.programs.absolute_zero_sandbox import shared_sandbox
from synthwright.programs.absolute_zero_solving import judge_answer, measure
from synthwright.programs.base import Generator, as_is, unparsable
from synthwright.programs.blocks.arguments import given
from synthwright.sandbox import Limits
from synthwright.sandbox.programs import BANNED_IMPORTS
from synthwright.signatures import absolute_zero as prompts
from synthwright.signatures.absolute_zero import (
    STAGES,
    TASK_TYPES,
    Attempt,
    Measured,
    Pair,
    SelfPlayRow,
    Stage,
    Task,
    TaskType,
    call_text,
    reference_text,
)
from synthwright.signatures.rows import Rejected

__all__ = ["AbsoluteZero"]

FORBIDDEN = ", ".join(sorted(BANNED_IMPORTS))


class AbsoluteZero(Generator[SelfPlayRow]):
    """Grows a curriculum of programs with calls: deduction, abduction and induction tasks, proposed, checked, solved.

    A proposer, shown programs of a buffer, writes a new program with a call (deduction, abduction), or calls and a hint
    for a known program (induction). The sandbox validates it and makes the gold answer. A solver tries it `samples`
    times; the share of right samples is its solve rate and gives the proposer's reward. Every valid proposal enters its
    buffer. A solve phase then takes new tasks and fills up from the buffers. Weights are never updated: the rows are
    for training elsewhere, by GRPO, SFT or DPO.

    A task of the buffers is a `Task`, an intermediate result of the run; the buffers are read from these each round.

    Source: Absolute Zero (Zhao et al., 2025, arXiv:2505.03335), section 3.

    Args:
        task_types: Which of `deduction`, `abduction`, `induction`. Induction always needs one of the others' programs.
        seeding: `authored` fills the seed buffers with our own programs (or with the seeds given to the run);
            `proposed` has the LM write them, from the zero triplet on, as the paper does.
        batch_size: Proposals, and tasks of a solve phase, of each type in a step, 1 or more. The paper has 64.
        seed_factor: Seeds of each type in batches, with `proposed`. The paper has 4.
        steps: Steps of the loop; None for as many as the rows asked for need, and one if no number is asked for.
        references: Programs that a proposer is shown, 0 or more. The paper has 6.
        induction_inputs: Calls of an induction task, 2 or more; the second half is hidden. The paper has 10.
        samples: Solver samples that measure a task, 2 or more. The paper has 8.
        rollouts: Samples of a task in the solve phase, 0 or more. The paper has 1. With 0 there are no more than those
            that measured it, a proposal is a row at once, and the solve phase takes seeds that nobody tried.
        proposals: Proposals for one set of references, 1 or more; with 2 there are preference pairs of proposers.
        solve_order: `after` the proposals of the step (the paper), or `before`, on those of the step before (the code).
        fill: How a solve phase is filled up from the buffer: by a `uniform` draw (the paper), or `in_order`, the oldest
            first. Our own programs go from easy to hard, so a weak LM meets first what it has a chance to solve.
        proposer_rows: Make rows of the proposer role too.
        keep: Rows of the solver role to keep: `informative` with a solve rate between 0 and 1, `solved` above 0, `all`.
        target: Solve rate at which a proposal is worth most: `hardest` (the paper) or `half` (ours).
        zero_reward: Reward of a valid proposal that all or none solve. The paper has 0, the code -0.5.
        checks: Names of further checks of proposals, see `synthwright.programs.absolute_zero_checks.CHECKS`.
        allow_list: Programs import only harmless modules, instead of anything that is not banned.
        capacity: Tasks that each buffer holds, 1 or more; the oldest are evicted. The paper has 16,384.
        deduplicate: Count equal programs in the buffers once, not among seeds alone.
        reference_tokens: Most tokens of all references together; None for any. The code has 5,600.
        sandbox: `monty` or `subprocess`, see `docs/sandbox.md`.
        seconds: Time of one run of a program. The paper has 10.
        output_chars: Longest result; longer ones are refused, never cut.
        temperature: Of all six calls, above 0 up to 2. The paper has 1.
        max_tokens: Longest reply in tokens; None for the LM's own limit.
        seed: Fixes references and batches.
    """

    roles: ClassVar = {"solver": ("solve_deduction", "solve_abduction", "solve_induction")}
    targets: ClassVar = ("propose_deduction", "propose_abduction", "propose_induction")
    presets: ClassVar = {
        "practical": {
            "task_types": TASK_TYPES,
            "seeding": "authored",
            "batch_size": 8,
            "seed_factor": 4,
            "steps": None,
            "references": 3,
            "induction_inputs": 6,
            "samples": 4,
            "rollouts": 0,
            "proposals": 1,
            "solve_order": "before",
            "fill": "in_order",
            "proposer_rows": False,
            "keep": "informative",
            "target": "hardest",
            "zero_reward": 0.0,
            "checks": CHECKS,
            "allow_list": True,
            "capacity": 16384,
            "deduplicate": True,
            "reference_tokens": 1200,
            "sandbox": "monty",
            "seconds": 5.0,
            "output_chars": 2000,
            "temperature": 0.7,
            "max_tokens": None,
            "seed": 0,
        },
        "faithful": {
            "seeding": "proposed",
            "batch_size": 64,
            "seed_factor": 4,
            "steps": 500,
            "references": 6,
            "induction_inputs": 10,
            "samples": 8,
            "rollouts": 1,
            "solve_order": "after",
            "fill": "uniform",
            "keep": "all",
            "checks": (),
            "allow_list": False,
            "deduplicate": False,
            "reference_tokens": 5600,
            "seconds": 10.0,
            "output_chars": 100000,
            "temperature": 1.0,
            "max_tokens": 8096,
        },
    }

    def __init__(
        self,
        task_types: Sequence[TaskType] = TASK_TYPES,
        seeding: Literal["authored", "proposed"] = "authored",
        batch_size: int = 8,
        seed_factor: int = 4,
        steps: int | None = None,
        references: int = 3,
        induction_inputs: int = 6,
        samples: int = 4,
        rollouts: int = 0,
        proposals: int = 1,
        solve_order: Literal["before", "after"] = "before",
        fill: Literal["uniform", "in_order"] = "in_order",
        proposer_rows: bool = False,
        keep: Literal["informative", "solved", "all"] = "informative",
        target: Literal["hardest", "half"] = "hardest",
        zero_reward: float = 0.0,
        checks: Sequence[str] = CHECKS,
        allow_list: bool = True,
        capacity: int = 16384,
        deduplicate: bool = True,
        reference_tokens: int | None = 1200,
        sandbox: Literal["monty", "subprocess"] = "monty",
        seconds: float = 5.0,
        output_chars: int = 2000,
        temperature: float = 0.7,
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.task_types, self.checks = tuple(task_types), tuple(checks)
        self.seeding, self.solve_order, self.fill, self.keep = seeding, solve_order, fill, keep
        self.target: Literal["hardest", "half"] = target
        self.sandbox: Literal["monty", "subprocess"] = sandbox
        self.batch_size, self.seed_factor, self.steps = batch_size, seed_factor, steps
        self.references, self.induction_inputs = references, induction_inputs
        self.samples, self.rollouts, self.proposals = samples, rollouts, proposals
        self.proposer_rows, self.zero_reward, self.allow_list = proposer_rows, zero_reward, allow_list
        self.capacity, self.deduplicate, self.reference_tokens = capacity, deduplicate, reference_tokens
        self.seconds, self.output_chars = seconds, output_chars
        self.temperature, self.max_tokens, self.seed = temperature, max_tokens, seed
        check_arguments(as_is(self))
        sampling = given(temperature=temperature, max_tokens=max_tokens)
        self.propose_deduction = dspy.Predict(prompts.ProposeDeduction, **sampling)
        self.propose_abduction = dspy.Predict(prompts.ProposeAbduction, **sampling)
        self.propose_induction = dspy.Predict(prompts.ProposeInduction, **sampling)
        self.solve_deduction = dspy.Predict(prompts.SolveDeduction, **sampling)
        self.solve_abduction = dspy.Predict(prompts.SolveAbduction, **sampling)
        self.solve_induction = dspy.Predict(prompts.SolveInduction, **sampling)
        # the paper trains on every task; copies and tasks that teach nothing are dropped by choice
        filters: list[Filter] = [] if keep == "all" else [Solvable(above_zero_only=keep == "solved")]
        self.filters = (*filters, *([ExactDuplicate(("task_key",))] if deduplicate else []))

    @property
    def rules(self) -> Rules:
        """How proposals and answers are run and checked."""
        limits = Limits(seconds=self.seconds, output_chars=self.output_chars)
        return Rules(shared_sandbox(self.sandbox), limits, self.checks, self.allow_list)

    # What to ask next

    def plan(self, pool: Pool[SelfPlayRow]) -> Iterable[Seed]:
        """Fill the seed buffers, then step after step of the loop.

        User seeds are programs with a call, `{"program": ..., "input": ...}`; or with calls and a hint,
        `{"program": ..., "inputs": [...], "message": ...}`; each may have `parent_ids`. They take the place of our own
        programs, and of seeding.
        """
        return planned(as_is(self), pool)

    # How to ask

    async def aforward(
        self,
        stage: Stage,
        task_type: TaskType = "deduction",
        references: Sequence[Mapping[str, str]] = (),
        task: Mapping[str, Any] | None = None,
        round: int = 0,
        step: int = 0,
        draw: int = 0,
    ) -> dspy.Prediction:
        """One unit of work.

        Args:
            stage: `admit` checks a given program; `seed` proposes without measuring; `propose` proposes, checks and
                measures; `solve` solves a task.
            task_type: The type of task.
            references: What the proposer is shown: `program`, `input`, `output`, and `id` if there is one.
            task: `admit`: the seed of the user; `solve`: a `Task` as data.
            round: Number of the round.
            step: Number of the step of the loop, from 1; 0 before it.
            draw: Tells equal units apart.
        """
        if stage not in STAGES or task_type not in TASK_TYPES:
            raise ConfigError(f"No stage {stage!r} for {task_type!r}: stages are {STAGES}, types {TASK_TYPES}.")
        if stage == "admit":
            found = await asyncio.to_thread(admit, dict(task or {}), self.induction_inputs, round, self.rules)
            if isinstance(found, Problem):
                return dspy.Prediction(rows=[], rejected=[_reject("seed", found, **dict(task or {}))])
            return dspy.Prediction(
                rows=[], artifacts=[t for t in found if t.task_type in (*self.task_types, "deduction")]
            )
        if stage == "solve":
            return await self._solve_known(Task.model_validate(task), round, step)
        made = await asyncio.gather(
            *(self._propose(task_type, references, round, measured=stage == "propose") for _ in range(self.proposals))
        )
        tasks = [each.task for each in made if each.task is not None]
        rejected = [each.rejected for each in made if each.rejected is not None]
        if stage == "seed":  # one triplet is a task of both types (section 3.3.1)
            twins = [t.model_copy(update={"task_type": "abduction"}) for t in tasks if t.task_type == "deduction"]
            return dspy.Prediction(rows=[], rejected=rejected, artifacts=[*tasks, *twins])
        rows = [] if self.rollouts else [self_play_row(t, t.attempts, step) for t in tasks if t.n_samples]
        if self.proposer_rows:
            rows += [
                self_play_row(cast(Task, better.task), (), step).model_copy(
                    update={
                        "role": "proposer",
                        "response": better.text,
                        "rejected_response": worse.text if worse else "",
                        "references": tuple(self._texts(task_type, references)),
                    }
                )
                for better, worse in pairs_of_proposals(made)
            ]
        return dspy.Prediction(rows=rows, rejected=rejected, artifacts=tasks)

    async def _propose(
        self, task_type: TaskType, references: Sequence[Mapping[str, str]], number: int, *, measured: bool
    ) -> Proposal:
        """One proposal: asked, validated, and measured if it is valid."""
        name = f"propose_{task_type}"
        about = {"task_type": task_type, "references": [dict(each) for each in references]}
        try:
            if task_type == "induction":
                reply = await self.propose_induction.acall(
                    program=references[0]["program"], count=self.induction_inputs
                )
            else:
                shown = "\n\n".join(self._texts(task_type, references)) or "(none)"
                predict = self.propose_deduction if task_type == "deduction" else self.propose_abduction
                reply = await predict.acall(reference_programs=shown, forbidden_modules=FORBIDDEN)
        except ParseError as error:
            reject = unparsable(name, error, **about, reward=proposer_reward("unreadable"))
            return Proposal(None, str(reject.content.get("reply") or ""), "unreadable", reject, -1.0)
        origin: Literal["seed", "proposed"] = "proposed" if measured else "seed"
        proposal = await asyncio.to_thread(
            read_proposal, reply, task_type, references, origin, number, self.induction_inputs, self.rules, about
        )
        if proposal.task is None or not measured:
            return proposal
        attempts = await self._attempts(proposal.task, self.samples)
        task = measured_task(proposal.task, attempts, self.target)
        reward = proposer_reward("valid", task.learnability or 0.0, self.zero_reward)
        return Proposal(task, proposal.text, "valid", None, reward)

    def _texts(self, task_type: TaskType, references: Sequence[Mapping[str, str]]) -> list[str]:
        if task_type == "induction":
            return [references[0]["program"]]
        return [reference_text(r["program"], Pair(input=r["input"], output=r["output"])) for r in references]

    async def _solve_known(self, task: Task, number: int, step: int) -> dspy.Prediction:
        """The solve phase of one task. One that nobody tried is measured first: its row needs a solve rate."""
        if not task.n_samples:
            attempts = await self._attempts(task, self.samples)
            solved = measured_task(task, attempts, self.target)
        else:
            solved = task
            attempts = (await self._attempts(task, self.rollouts)) + task.attempts
        rate = measure(task, attempts)
        mark = Measured(task_id=task.id, round=number, n_samples=rate.n, correct=rate.correct)
        if not solved.n_samples:
            crash = Problem("sandbox", "crashed", attempts[0].detail if attempts else "")
            return dspy.Prediction(rows=[], rejected=[_reject("solve", crash, program=task.program)], artifacts=[mark])
        return dspy.Prediction(rows=[self_play_row(solved, attempts, step, task.id)], artifacts=[mark])

    async def _attempts(self, task: Task, count: int) -> tuple[Attempt, ...]:
        """Independent samples of the solver: each call has a sampling seed of its own."""
        return tuple(await asyncio.gather(*(self._attempt(task) for _ in range(count))))

    async def _attempt(self, task: Task) -> Attempt:
        try:
            if task.task_type == "deduction":
                reply = await self.solve_deduction.acall(program=task.program, call=f"f({task.input})")
                answer = reply.result
            elif task.task_type == "abduction":
                reply = await self.solve_abduction.acall(program=task.program, result=task.output)
                answer = reply.arguments
            else:
                calls = [call_text(pair) for pair in task.given_pairs]
                reply = await self.solve_induction.acall(calls=calls, message=task.message)
                answer = reply.program
        except ParseError as error:
            text = str(unparsable("solve", error).content.get("reply") or "")
            return Attempt(reasoning="", answer=text, state="unreadable", detail=str(error)[:300])
        state, detail = await asyncio.to_thread(judge_answer, task, answer, self.rules)
        return Attempt(reasoning=reply.reasoning, answer=answer, state=state, detail=detail)


def _reject(stage: str, problem: Problem, **content: Any) -> Rejected:
    return Rejected(
        stage=stage, reason=problem.reason, detail=problem.detail, content={**content, "step": problem.step}
    )
