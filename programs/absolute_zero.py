"""Absolute Zero: one model proposes programs and solves them; running code makes the answers and checks them."""

import asyncio
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import dspy

from synthwright.errors import ConfigError, ParseError, did_you_mean
from synthwright.filters import ExactDuplicate, Filter
from synthwright.pool import Pool, Seed
from synthwright.programs.absolute_zero_buffers import ZERO, Buffers, draw_references, reference_of
from synthwright.programs.absolute_zero_checks import CHECKS, Problem, Rules
from synthwright.programs.absolute_zero_filters import Solvable
from synthwright.programs.absolute_zero_proposals import Proposal, admit, pairs_of_proposals, read_proposal
from synthwright.programs.absolute_zero_rewards import proposer_reward
from synthwright.programs.absolute_zero_rows import measured_task, self_play_row
from synthwright.programs.absolute_zero_sandbox import shared_sandbox
from synthwright.programs.absolute_zero_seeds import admitted_seed
from synthwright.programs.absolute_zero_solving import judge_answer, measure
from synthwright.programs.base import Generator, data_path, read_jsonl, unparsable
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
        self._validate()
        sampling = {"temperature": temperature, **({"max_tokens": max_tokens} if max_tokens else {})}
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
        buffers = Buffers(pool.artifacts(Task), pool.artifacts(Measured), self.capacity, self.deduplicate)
        number = pool.round
        if self.seeding == "authored" or pool.seeds is not None:
            if number == 0:
                given = read_jsonl(data_path("absolute_zero.jsonl")) if pool.seeds is None else pool.seeds
                yield from (admitted_seed(seed, index) for index, seed in enumerate(given))
                return None
            first = 1
        else:
            if (missing := self._missing_seeds(buffers)) is not None:
                yield from self._seeding(buffers, number, *missing)
                return None
            made = [task.round for task in pool.artifacts(Task) if task.origin == "seed"]
            first = max(made) + 1
        if pool.seeds is not None and not buffers.tasks:
            return "none of the seeds is a valid task"
        phases = 2 if self.solve_order == "after" else 1
        step, phase = (number - first) // phases + 1, (number - first) % phases
        last = self.steps or (1 if pool.target is None else None)
        if last is not None and step > last:
            return f"the {last} steps of the loop are done" if self.steps else None
        solve = list(self._solving(buffers, number, step)) if phases == 1 or phase == 1 else []
        propose = list(self._proposing(buffers, number, step)) if phase == 0 else []
        # in turn, so that a run that is stopped early has had something of both
        for index in range(max(len(solve), len(propose))):
            yield from solve[index : index + 1]
            yield from propose[index : index + 1]
        return None

    def _missing_seeds(self, buffers: Buffers) -> tuple[TaskType, int] | None:
        """The type of task that the seed buffers lack, and how many; None once they are full."""
        wanted = self.batch_size * self.seed_factor
        for task_type in ("deduction", "induction") if "induction" in self.task_types else ("deduction",):
            if (missing := wanted - len(buffers.seeds(task_type))) > 0:
                return task_type, missing
        return None

    def _seeding(self, buffers: Buffers, number: int, task_type: TaskType, missing: int) -> Iterator[Seed]:
        for index in range(min(missing, self.batch_size)):
            rng = random.Random(f"{self.seed}:{number}:{index}:seed")
            shown = self._shown(buffers, task_type, rng)
            yield {"stage": "seed", "task_type": task_type, "references": shown, "round": number, "draw": index}

    def _proposing(self, buffers: Buffers, number: int, step: int) -> Iterator[Seed]:
        for index in range(self.batch_size):
            for task_type in self.task_types:
                rng = random.Random(f"{self.seed}:{number}:{index}:{task_type}")
                shown = self._shown(buffers, task_type, rng)
                yield {
                    "stage": "propose",
                    "task_type": task_type,
                    "references": shown,
                    "round": number,
                    "step": step,
                    "draw": index,
                }

    def _shown(self, buffers: Buffers, task_type: TaskType, rng: random.Random) -> list[dict[str, str]]:
        """K references for a triplet; one program for induction, the zero program if there is none."""
        if task_type == "induction":
            programs = buffers.programs()
            return [reference_of(rng.choice(programs)) if programs else dict(ZERO)]
        return draw_references(buffers.of(task_type), self.references, rng, self.reference_tokens)

    def _solving(self, buffers: Buffers, number: int, step: int) -> Iterator[Seed]:
        batches = []
        for task_type in self.task_types:
            rng = random.Random(f"{self.seed}:{number}:{task_type}:solve")
            how = {"fresh": not self.rollouts, "in_order": self.fill == "in_order"}
            batches.append(buffers.batch(task_type, self.batch_size, number, rng, **how))
        for index in range(self.batch_size):
            for batch in batches:
                for task in batch[index : index + 1]:
                    record = task.model_dump(mode="json", exclude={"id", "provenance"})
                    yield {
                        "stage": "solve",
                        "task_type": task.task_type,
                        "task": record,
                        "round": number,
                        "step": step,
                    }

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

    def _validate(self) -> None:
        for name, known in (("task_types", TASK_TYPES), ("checks", CHECKS)):
            for each in getattr(self, name):
                if each not in known:
                    raise ConfigError(f"`{name}` has no {each!r}. {did_you_mean(str(each), known)}")
        if not self.task_types or len(set(self.task_types)) < len(self.task_types):
            raise ConfigError(
                f"`task_types` must name one or more of {TASK_TYPES}, each once, got {self.task_types!r}."
            )
        choices = {
            "seeding": ("authored", "proposed"),
            "solve_order": ("before", "after"),
            "fill": ("uniform", "in_order"),
            "keep": ("informative", "solved", "all"),
            "target": ("hardest", "half"),
            "sandbox": ("monty", "subprocess"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}.")
        if self.samples < 2:
            raise ConfigError(
                f"`samples` must be at least 2, got {self.samples!r}: with one sample the solve rate is 0 or 1, and "
                "the reward of every proposal 0."
            )
        if not 0 < self.temperature <= 2:
            raise ConfigError(
                f"`temperature` must be above 0 and at most 2, got {self.temperature!r}: at 0 all samples are one."
            )
        least = {"batch_size": 1, "seed_factor": 1, "steps": 1, "references": 0, "induction_inputs": 2, "rollouts": 0}
        least |= {"proposals": 1, "capacity": 1, "reference_tokens": 1, "max_tokens": 1, "output_chars": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
                raise ConfigError(f"`{name}` must be a whole number of at least {low}, got {value!r}.")
        if not 0 < self.seconds <= 600:
            raise ConfigError(f"`seconds` must be above 0 and at most 600, got {self.seconds!r}.")


def _reject(stage: str, problem: Problem, **content: Any) -> Rejected:
    return Rejected(
        stage=stage, reason=problem.reason, detail=problem.detail, content={**content, "step": problem.step}
    )
