"""Evol-Instruct: evolve an instruction round by round into harder and rarer ones, and answer what survives."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, cast

import dspy

from synthwright.errors import ConfigError, ParseError
from synthwright.filters import ExactDuplicate
from synthwright.pool import Pool, Seed
from synthwright.programs import evol_instruct_checks as rules
from synthwright.programs.base import Frozen, Generator, data_path, read_jsonl, unparsable
from synthwright.programs.blocks.arguments import check_names, check_ranges, given
from synthwright.programs.blocks.instruction_seeds import is_row, seed_of_row
from synthwright.programs.evol_instruct_lineage import root_id_of
from synthwright.signatures import evol_instruct as prompts
from synthwright.signatures.evol_instruct import DATA_FORMATS, OPERATORS, DataFormat, EvolvedRow, Operator
from synthwright.signatures.rows import Rejected

__all__ = ["EvolInstruct"]

SIGNATURES: dict[Operator, type[dspy.Signature]] = {
    "add_constraints": prompts.AddConstraints,
    "deepen": prompts.Deepen,
    "concretize": prompts.Concretize,
    "add_reasoning": prompts.AddReasoning,
    "complicate_input": prompts.ComplicateInput,
    "broaden": prompts.Broaden,
}


class EvolInstruct(Generator[EvolvedRow]):
    """Evolves instructions round by round into harder and rarer ones, and answers what survives.

    Each seed is one root instruction; its lineage of `rounds` evolutions grows inside `aforward`. A round draws an
    operator, evolves the last survivor, drops the result by rule or by the judge's verdict, and answers what is left.
    What survives is a row and the next parent; after a failed round the parent has another try.

    Source: WizardLM (Xu et al., 2024, arXiv:2304.12244), section 3. The order differs where it costs nothing: the
    text is checked before it is judged and judged before it is answered, so no call is spent on what is dropped.

    Args:
        operators: The operators that a round may draw.
        weights: How often each is drawn, in the order of `operators`; None for equally often, as in the paper.
        rounds: Evolutions tried for each root, 1 or more. The paper uses 4. With 2 rounds the mean difficulty rises
            by 82 % and the score by 77 % of what 4 rounds give (its rounds C0 to C4) for half the calls.
        judge: Ask the `judge` role whether an evolution adds information (the paper's first rule).
        answer: Answer the survivors. Without, rows have an empty response: for tuning the operators.
        rate_difficulty: Have the `judge` role rate each root and each row from 1 to 10, the paper's analysis.
        checks: Names of further checks of the evolved text, see `synthwright.programs.evol_instruct_checks.CHECKS`.
        max_added_words: Most words that an evolution may add to its parent; None for no limit. The paper's prompts
            ask for 10 to 20 and nothing enforces it.
        max_data_words: The same for `complicate_input`, whose words include the attached data.
        spare_parent_words: Let "sorry" and words about prompts pass if the task itself is about them.
        temperature: Of evolving and answering, 0 to 2. The paper uses 1.
        top_p: Nucleus of evolving and answering, in (0, 1]; None for the LM's own.
        max_tokens: Longest reply in tokens; None for the LM's own limit, which suits its context.
        judge_temperature: Of the judge, 0 to 2.
        seed: Fixes which operator each round draws.
    """

    roles = {"judge": ("equal", "rate")}
    targets = OPERATORS
    filters = (ExactDuplicate(("instruction",)),)
    presets: ClassVar = {
        "practical": {
            "operators": OPERATORS,
            "weights": None,
            "rounds": 2,
            "judge": True,
            "answer": True,
            "rate_difficulty": False,
            "checks": tuple(rules.CHECKS),
            "max_added_words": 40,
            "max_data_words": 120,
            "spare_parent_words": True,
            "temperature": 0.7,
            "top_p": None,
            "max_tokens": None,
            "judge_temperature": 0.0,
            "seed": 0,
        },
        "faithful": {
            "operators": OPERATORS,
            "weights": None,
            "rounds": 4,
            "judge": True,
            "answer": True,
            "checks": (),
            "max_added_words": None,
            "max_data_words": None,
            "spare_parent_words": False,
            "temperature": 1.0,
            "top_p": 0.9,
            "max_tokens": 2048,
            "judge_temperature": 1.0,
        },
    }

    def __init__(
        self,
        operators: Sequence[Operator] = OPERATORS,
        weights: Sequence[float] | None = None,
        rounds: int = 2,
        judge: bool = True,
        answer: bool = True,
        rate_difficulty: bool = False,
        checks: Sequence[str] = tuple(rules.CHECKS),
        max_added_words: int | None = 40,
        max_data_words: int | None = 120,
        spare_parent_words: bool = True,
        temperature: float = 0.7,
        top_p: float | None = None,
        max_tokens: int | None = None,
        judge_temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.operators, self.weights = tuple(operators), None if weights is None else tuple(weights)
        self.rounds, self.judge, self.answer, self.rate_difficulty = rounds, judge, answer, rate_difficulty
        self.checks, self.spare_parent_words = tuple(checks), spare_parent_words
        self.max_added_words, self.max_data_words = max_added_words, max_data_words
        self.temperature, self.top_p, self.max_tokens = temperature, top_p, max_tokens
        self.judge_temperature, self.seed = judge_temperature, seed
        self._validate()
        sampling = given(temperature=temperature, top_p=top_p, max_tokens=max_tokens)
        for operator in self.operators:  # only those in use, so that an optimizer spends nothing on the others
            setattr(self, operator, dspy.Predict(SIGNATURES[operator], **sampling))
        if "complicate_input" in self.operators:  # its worked examples belong to the method (appendix D)
            shown = read_jsonl(data_path("evol_instruct_complicate_input.jsonl"))
            cast(Any, self).complicate_input.demos = [dspy.Example(**example) for example in shown]
        if answer:
            self.respond = dspy.Predict(prompts.AnswerInstruction, **sampling)
        if judge:
            self.equal = Frozen(prompts.JudgeEquality, temperature=judge_temperature)
        if rate_difficulty:
            self.rate = Frozen(prompts.RateDifficulty, temperature=judge_temperature)

    def plan(self, pool: Pool[EvolvedRow]) -> Iterable[Seed]:
        """Every root instruction once, or pass after pass with a new `draw` if there is a target.

        User seeds have an `instruction`, an optional `input` that is put below it, an optional `draw`, and optional
        `parent_ids`, the ids of the rows of another run that they were taken from. A row of any method whose rows have
        an instruction (`row.record()`, a line of `rows.jsonl`) is a seed as it is.
        """
        shipped = pool.seeds is None
        seeds = read_jsonl(data_path("evol_instruct.jsonl")) if shipped else pool.seeds
        roots = [_root(seed, index) for index, seed in enumerate(seeds or ())]
        if pool.target is None:
            return roots if pool.round == 0 else ()
        return ({**root, "draw": root["draw"] + number} for number in itertools.count() for root in roots)

    async def aforward(self, instruction: str, draw: int = 0, parent_ids: Sequence[str] = ()) -> dspy.Prediction:
        """Evolve one root.

        Args:
            instruction: The root instruction, with its input if it has one.
            draw: Number of the pass over the roots; another one draws other operators.
            parent_ids: Ids of the rows of another run that the root was taken from: parents of its first evolution.
        """
        root = instruction.strip()
        if not root:
            empty = Rejected(stage="seed", reason="empty_seed", content={"instruction": instruction})
            return dspy.Prediction(rows=[], rejected=[empty])
        rows: list[EvolvedRow] = []
        rejected: list[Rejected] = []
        parent, parent_ids, rating = root, tuple(parent_ids), await self._rated(root)
        for number, (operator, data_format) in enumerate(self.drawn(root, draw), 1):
            about = {
                "operator": operator,
                "round": number,
                "root_id": root_id_of(root),
                "parent": parent,
                "parent_difficulty": rating,
            }
            made = await self._evolve(about, data_format, parent_ids)
            if isinstance(made, Rejected):
                rejected.append(made)  # the parent, unevolved, has another try in the next round
            else:
                rows.append(made)
                parent, parent_ids, rating = made.instruction, (made.id,), made.difficulty
        return dspy.Prediction(rows=rows, rejected=rejected)

    def drawn(self, root: str, draw: int) -> Iterator[tuple[Operator, DataFormat]]:
        """The operator of each round of a lineage, with the data format that `complicate_input` would attach."""
        for number in range(1, self.rounds + 1):
            rng = random.Random(f"{self.seed}:{draw}:{number}:{root}")
            yield rng.choices(self.operators, self.weights)[0], rng.choice(DATA_FORMATS)

    async def _evolve(
        self, about: dict[str, Any], data_format: DataFormat, parent_ids: tuple[str, ...]
    ) -> EvolvedRow | Rejected:
        """One round: evolve, check, judge, answer, check the answer, rate."""
        operator, parent = about["operator"], about["parent"]
        inputs = {"instruction": parent, **({"data_format": data_format} if operator == "complicate_input" else {})}
        try:
            evolved = (await getattr(self, operator).acall(**inputs)).evolved_instruction.strip()
        except ParseError as error:
            return unparsable(operator, error, **about)
        about = {**about, "instruction": evolved}
        if failure := self.failure_of_text(operator, parent, evolved):
            return Rejected(stage=operator, reason=failure[0], detail=failure[1], content=about)

        judged = False
        if self.judge:
            try:
                verdict = await self.equal.acall(first_instruction=parent, second_instruction=evolved)
            except ParseError:
                pass  # neither verdict counts as not eliminated; the row says that it was not judged
            else:
                if verdict.equal:
                    return Rejected(stage="equal", reason="no_information_gain", content=about)
                judged = True

        response = ""
        if self.answer:
            try:
                response = (await self.respond.acall(instruction=evolved)).response.strip()
            except ParseError as error:
                return unparsable("respond", error, **about)
            if failure := self.failure_of_response(f"{parent}\n{evolved}", response):
                content = {**about, "response": response}
                return Rejected(stage="respond", reason=failure[0], detail=failure[1], content=content)

        return EvolvedRow(
            **about, response=response, judged=judged, difficulty=await self._rated(evolved), parent_ids=parent_ids
        )

    def failure_of_text(self, operator: Operator, parent: str, evolved: str) -> tuple[str, str] | None:
        """(reason, detail) if a rule eliminates the evolved instruction, in the order of the rules; else None."""
        if not evolved:
            return "empty_instruction", ""
        if found := rules.scaffold_words(evolved, parent if self.spare_parent_words else ""):
            return "scaffold_words", found
        for name in self.checks:
            if operator in rules.CHECKED.get(name, OPERATORS) and (found := rules.CHECKS[name](parent, evolved)):
                return name, found
        limit = self.max_data_words if operator == "complicate_input" else self.max_added_words
        added = rules.word_growth(parent, evolved)
        return ("too_long", f"{added} words added") if limit is not None and added > limit else None

    def failure_of_response(self, task: str, response: str) -> tuple[str, str] | None:
        """(reason, detail) if a rule eliminates an evolution by its response, else None."""
        if found := rules.sorry(response, task if self.spare_parent_words else ""):
            return "sorry", found
        if found := rules.empty_response(response):
            return "empty_response", found
        return None

    async def _rated(self, instruction: str) -> int | None:
        if not self.rate_difficulty:
            return None
        try:
            return (await self.rate.acall(instruction=instruction)).difficulty
        except ParseError:
            return None

    def _validate(self) -> None:
        if not self.operators:
            raise ConfigError(f"`operators` is empty: name at least one of {', '.join(OPERATORS)}.")
        check_names("EvolInstruct", "operator", self.operators, OPERATORS)
        if len(set(self.operators)) < len(self.operators):
            raise ConfigError(f"`operators` names one twice: {self.operators!r}; use `weights` to draw it more often.")
        if self.weights is not None and (
            len(self.weights) != len(self.operators) or min(self.weights) < 0 or sum(self.weights) <= 0
        ):
            raise ConfigError(
                f"`weights` must be {len(self.operators)} numbers from 0 up, one for each operator and not all 0, "
                f"got {self.weights!r}."
            )
        check_names("EvolInstruct", "check", self.checks, rules.CHECKS)
        ranges = {
            "rounds": (1, None),
            "max_added_words": (0, None),
            "max_data_words": (0, None),
            "max_tokens": (1, None),
            "temperature": (0, 2),
            "judge_temperature": (0, 2),
            "top_p": (1e-6, 1),
        }
        check_ranges(self, ranges)


def _root(seed: Seed, index: int) -> dict[str, Any]:
    """The arguments of `aforward` from a seed; its input, if there is one, stands below the instruction.

    Raises:
        ConfigError: The seed has no instruction, or a field that is not known.
    """
    if is_row(seed):
        taken = seed_of_row(seed, index)
        return {"instruction": taken["instruction"], "draw": 0, "parent_ids": taken["parent_ids"]}
    instruction, data, draw = seed.get("instruction"), seed.get("input") or "", seed.get("draw", 0)
    parents = seed.get("parent_ids", ())
    unknown = set(seed) - {"instruction", "input", "draw", "parent_ids"}
    listed = isinstance(parents, list | tuple)
    if unknown or not (isinstance(instruction, str) and isinstance(data, str) and isinstance(draw, int) and listed):
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of EvolInstruct has an `instruction` and may have an `input`, "
            "both strings, a `draw`, a whole number, and `parent_ids`, a list."
        )
    root = {"instruction": "\n".join(part for part in (instruction.strip(), data.strip()) if part), "draw": draw}
    return {**root, "parent_ids": list(parents)} if parents else root
