"""Self-Instruct: grow a pool of tasks from a few written by people, with the LM's own proposals."""

from collections.abc import Generator as PythonGenerator
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import dspy

from synthwright.errors import ConfigError, ParseError
from synthwright.filters import ExactDuplicate, RougeNovelty
from synthwright.pool import Pool, Seed
from synthwright.programs import self_instruct_checks as rules
from synthwright.programs import self_instruct_rounds as rounds
from synthwright.programs.base import Generator, as_is, data_path, read_jsonl, unparsable
from synthwright.programs.blocks.arguments import given
from synthwright.programs.self_instruct_arguments import check_arguments
from synthwright.programs.self_instruct_instances import Admission, instances, settled
from synthwright.programs.self_instruct_seeds import SeedTask, seed_tasks
from synthwright.signatures import self_instruct as prompts
from synthwright.signatures.rows import Rejected
from synthwright.signatures.self_instruct import Proposed, Settled, Similar, TaskRow

__all__ = ["Admission", "SelfInstruct"]


class SelfInstruct(Generator[TaskRow]):
    """Grows a pool of tasks: the LM proposes instructions like those it is shown, then writes their instances.

    Rounds take turns. A round of requests shows eight tasks each, six by people and two by the machine (all by people
    while there are none), and keeps the proposals that pass the text rules. The next round settles every proposal: one
    too similar to the pool is dropped without a call; the others are classified and given instances, input first, or
    for a classification label first. A task with a valid instance joins the pool that later requests are drawn from.

    Source: Wang et al., 2023, arXiv:2212.10560, section 2.2, and its released code.

    Args:
        shown: Tasks that a request shows, 1 or more. The paper shows 8.
        machine_shown: How many of them are machine-made where there are that many, 0 to `shown`. The paper shows 2.
        classification_only: Show only seeds that are classifications, and ask for such (a mode of the released code).
        requests_per_round: Requests of one round, 1 or more; the released code sends 5.
        growth: Requests of a round as a share of the machine-made tasks, where that is more; 0 for never. Rounds that
            grow with the pool keep a large run from being planned thousands of times.
        patience: Rounds of requests in a row without a new task after which the run ends, 1 or more.
        admit: When an instruction joins the pool.
        threshold: ROUGE-L with the pool from which an instruction is not new, in (0, 1].
        keep_boundary: Keep an instruction whose ROUGE-L is exactly the threshold, as the released code does; the paper
            keeps only what is below.
        neighbours: Nearest instructions that a row records, 10 in the released code; 0 for none, which saves a scan of
            the whole pool for every proposal.
        min_words: Fewest words of an instruction.
        max_words: Most words of an instruction.
        blacklist: Words and phrases that drop an instruction, matched whole.
        banned_openings: Openings that drop an instruction.
        ascii_first: Drop instructions whose first character is not ASCII, which is all of some languages.
        checks: Names of our own checks of instructions and instances, see
            `synthwright.programs.self_instruct_checks.CHECKS`.
        tidy_inputs: Take inputs such as "N/A", or that stand in the instruction, for no input.
        exemplars: Show the method's worked examples: 31 verdicts, 11 tasks input first, 16 label first.
        rewrite_output: Have the `strong` role write every output anew (the paper's section 4.5).
        temperature: Of proposing, 0 to 2. The paper uses 0.7.
        top_p: Nucleus of proposing, in (0, 1]; None for the LM's own.
        presence_penalty: Of proposing, -2 to 2; None for none, as not every LM takes one.
        max_tokens: Longest list of proposals in tokens; None for the LM's own limit.
        instance_temperature: Of verdicts and instances, 0 to 2. The paper uses 0.
        instance_presence_penalty: Of instances, -2 to 2; None for none.
        instance_max_tokens: Longest reply with instances in tokens; None for the LM's own limit.
        seed: Fixes which tasks each request shows.
    """

    roles = {"strong": ("rewrite",)}
    targets = ("propose", "identify", "input_first", "output_first")
    filters = (ExactDuplicate(("instruction", "input", "output")),)
    presets: ClassVar = {
        "practical": {
            "shown": 8,
            "machine_shown": 2,
            "classification_only": False,
            "requests_per_round": 5,
            "growth": 0.05,
            "patience": 5,
            "admit": "with_instance",
            "threshold": 0.7,
            "keep_boundary": False,
            "neighbours": 10,
            "min_words": 4,
            "max_words": 150,
            "blacklist": rules.BLACKLIST,
            "banned_openings": ("Write a program",),
            "ascii_first": False,
            "checks": rules.CHECKS,
            "tidy_inputs": True,
            "exemplars": False,
            "rewrite_output": False,
            "temperature": 0.7,
            "top_p": None,
            "presence_penalty": None,
            "max_tokens": None,
            "instance_temperature": 0.0,
            "instance_presence_penalty": None,
            "instance_max_tokens": None,
            "seed": 0,
        },
        "faithful": {
            "growth": 0.0,
            "ascii_first": True,
            "checks": (),
            "tidy_inputs": False,
            "exemplars": True,
            "top_p": 0.5,
            "presence_penalty": 2.0,
            "max_tokens": 1024,
            "instance_presence_penalty": 1.5,
            "instance_max_tokens": 300,
        },
    }
    presets["code"] = {**presets["faithful"], "admit": "at_once", "keep_boundary": True}

    def __init__(
        self,
        shown: int = 8,
        machine_shown: int = 2,
        classification_only: bool = False,
        requests_per_round: int = 5,
        growth: float = 0.05,
        patience: int = 5,
        admit: Admission = "with_instance",
        threshold: float = 0.7,
        keep_boundary: bool = False,
        neighbours: int = 10,
        min_words: int = 4,
        max_words: int = 150,
        blacklist: Sequence[str] = rules.BLACKLIST,
        banned_openings: Sequence[str] = ("Write a program",),
        ascii_first: bool = False,
        checks: Sequence[str] = rules.CHECKS,
        tidy_inputs: bool = True,
        exemplars: bool = False,
        rewrite_output: bool = False,
        temperature: float = 0.7,
        top_p: float | None = None,
        presence_penalty: float | None = None,
        max_tokens: int | None = None,
        instance_temperature: float = 0.0,
        instance_presence_penalty: float | None = None,
        instance_max_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.shown, self.machine_shown, self.classification_only = shown, machine_shown, classification_only
        self.requests_per_round, self.growth, self.patience = requests_per_round, growth, patience
        self.admit: Admission = admit
        self.threshold, self.keep_boundary, self.neighbours = threshold, keep_boundary, neighbours
        self.min_words, self.max_words, self.ascii_first = min_words, max_words, ascii_first
        self.blacklist, self.banned_openings = tuple(blacklist), tuple(banned_openings)
        self.checks, self.tidy_inputs, self.exemplars = tuple(checks), tidy_inputs, exemplars
        self.rewrite_output, self.temperature, self.top_p = rewrite_output, temperature, top_p
        self.presence_penalty, self.max_tokens = presence_penalty, max_tokens
        self.instance_temperature = instance_temperature
        self.instance_presence_penalty, self.instance_max_tokens = instance_presence_penalty, instance_max_tokens
        self.seed = seed
        check_arguments(as_is(self))
        proposing = given(
            temperature=temperature, top_p=top_p, presence_penalty=presence_penalty, max_tokens=max_tokens
        )
        writing = given(
            temperature=instance_temperature,
            presence_penalty=instance_presence_penalty,
            max_tokens=instance_max_tokens,
        )
        kind = prompts.ProposeClassifications if classification_only else prompts.ProposeInstructions
        self.propose = dspy.Predict(kind, **proposing)
        self.identify = dspy.Predict(prompts.IdentifyClassification, temperature=instance_temperature)
        self.input_first = dspy.Predict(prompts.WriteInstances, **writing)
        self.output_first = dspy.Predict(prompts.WriteLabelledInstances, **writing)
        if rewrite_output:
            self.rewrite = dspy.Predict(prompts.RewriteOutput, temperature=instance_temperature)
        if exemplars:
            for predictor in ("identify", "input_first", "output_first"):
                examples = read_jsonl(data_path(f"self_instruct/exemplars_{predictor}.jsonl"))
                getattr(self, predictor).demos = [dspy.Example(**example) for example in examples]

    def plan(self, pool: Pool[TaskRow]) -> PythonGenerator[Seed, None, str | None]:
        """A round that settles the proposals that wait, or a round of requests if none does.

        Without a target there is one round of each. With one, rounds follow until it is reached or until `patience`
        rounds of requests brought no new task; the run then ends with that reason.

        User seeds are read by `synthwright.programs.self_instruct_seeds.seed_tasks`.

        Raises:
            ConfigError: A seed cannot be read, or `classification_only` and no seed is a classification.
        """
        seeds = seed_tasks(pool.seeds)
        proposed, done = pool.artifacts(Proposed), pool.artifacts(Settled)
        first = 1 + max((each.number for each in done), default=-1)
        machine = [each for each in done if each.accepted]
        if first < len(proposed):
            yield from rounds.to_settle(proposed, first, self._novelty(seeds, machine), self.neighbours)
        elif pool.target is None and pool.round > 0:
            return None
        elif (barren := rounds.barren_rounds(pool.round, done)) >= self.patience:
            return f"{barren} rounds of requests in a row brought no new task ({len(machine)} are in the pool)"
        else:
            people = [seed for seed in seeds if seed.is_classification] if self.classification_only else seeds
            if not people:
                raise ConfigError("`classification_only` needs seeds with `is_classification`: true; there are none.")
            yield from rounds.requests(
                people,
                machine,
                count=max(self.requests_per_round, int(self.growth * len(machine))),
                shown=self.shown,
                machine_shown=self.machine_shown,
                round=pool.round,
                seed=self.seed,
            )
        return None

    async def aforward(
        self,
        instruction: str | None = None,
        existing_instructions: Sequence[str] | None = None,
        round: int = 0,
        request: int = 0,
        number: int = 0,
        parent_ids: Sequence[str] = (),
        most_similar: Sequence[Sequence[Any]] = (),
        not_novel: str | None = None,
    ) -> dspy.Prediction:
        """Propose instructions from existing ones, or settle one proposed instruction.

        Args:
            instruction: A proposed instruction to settle.
            existing_instructions: Tasks to show in a request; instead of `instruction`.
            round: Round of the request.
            request: Number of the request in its round.
            number: Number of the proposal in its run, from 0.
            parent_ids: Ids of the tasks shown.
            most_similar: (score, instruction) of the nearest in the pool, nearest first.
            not_novel: Why the instruction is not new; None if it is.
        """
        if existing_instructions is not None:
            return await self._propose(list(existing_instructions), round, request, tuple(parent_ids))
        text = (instruction or "").strip()
        about = {"instruction": text, "round": round, "request": request}
        if not text or not_novel is not None:
            stage, reason = ("novelty", "not_novel") if text else ("seed", "empty_seed")
            rejected = [Rejected(stage=stage, reason=reason, detail=not_novel or "", content=about)]
            return dspy.Prediction(rows=[], rejected=rejected, artifacts=[settled(number, about)])
        rejected = []
        is_classification, class_labels, made = await instances(as_is(self), about, rejected)
        nearest = tuple(Similar(instruction=other, score=score) for score, other in most_similar)
        shared: dict[str, Any] = {
            **about,
            "is_classification": is_classification,
            "class_labels": class_labels,
            "most_similar": nearest,
            "mean_similarity": sum(each.score for each in nearest) / len(nearest) if nearest else 0.0,
            "parent_ids": tuple(parent_ids),
        }
        rows = [TaskRow(**shared, **instance.model_dump()) for instance in made]
        return dspy.Prediction(rows=rows, rejected=rejected, artifacts=[settled(number, about, rows, self.admit)])

    def _novelty(self, seeds: Sequence[SeedTask], machine: Sequence[Settled]) -> RougeNovelty:
        known = (*(seed.instruction for seed in seeds), *self._demonstrated())
        novelty = RougeNovelty("instruction", self.threshold, strict=self.keep_boundary, seeds=known)
        for task in machine:
            novelty.add(task)
        return novelty

    def _demonstrated(self) -> Iterator[str]:
        """Instructions in the demonstrations of `propose`: one that comes back from there is not new."""
        if "copied_example" in self.checks:
            for demo in self.propose.demos:
                yield from demo.get("new_instructions") or ()

    async def _propose(
        self, existing: list[str], number: int, request: int, parent_ids: tuple[str, ...]
    ) -> dspy.Prediction:
        about = {"round": number, "request": request}
        try:
            reply = await self.propose.acall(existing_instructions=existing)
        except ParseError as error:  # a cut list is dropped whole
            rejected = [unparsable("propose", error, existing_instructions=existing, **about)]
            return dspy.Prediction(rows=[], rejected=rejected)
        artifacts, rejected = [], []
        for text in rules.split_proposals(reply.new_instructions):
            failure = self.failure_of_instruction(text)
            if failure is None and len(artifacts) == prompts.MAX_PROPOSALS:
                failure = "too_many", f"more than {prompts.MAX_PROPOSALS} proposals"
            if failure is None:
                artifacts.append(Proposed(instruction=text, round=number, request=request, parent_ids=parent_ids))
            else:
                content = {"instruction": text, **about}
                rejected.append(Rejected(stage="instruction", reason=failure[0], detail=failure[1], content=content))
        if not (artifacts or rejected):
            rejected.append(Rejected(stage="propose", reason="no_proposals", content=about))
        return dspy.Prediction(rows=[], rejected=rejected, artifacts=artifacts)

    def failure_of_instruction(self, instruction: str) -> tuple[str, str] | None:
        """(reason, detail) of the first text rule that an instruction breaks, else None."""
        failure = rules.instruction_failure(
            instruction,
            min_words=self.min_words,
            max_words=self.max_words,
            blacklist=self.blacklist,
            banned_openings=self.banned_openings,
            ascii_first=self.ascii_first,
        )
        if failure is None and "asks_nothing" in self.checks and rules.asks_nothing(instruction):
            return "asks_nothing", ""
        return failure
