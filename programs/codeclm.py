"""CodecLM: encode instructions into metadata, decode new ones, keep those that two LMs answer unequally well."""

import logging
import random
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, get_args

import dspy

from synthwright.errors import ConfigError, ParseError, did_you_mean
from synthwright.filters import ExactDuplicate
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Frozen, Generator, data_path, read_jsonl, reject, unparsable
from synthwright.programs.blocks.arguments import check_names, check_ranges, given
from synthwright.programs.blocks.models import one_lm
from synthwright.programs.codeclm_checks import CHECKS, metadata_fault
from synthwright.programs.codeclm_lineages import Lineages
from synthwright.programs.codeclm_metadata import Material, Metadata, listed, mixed, read_seeds, tidy_skills
from synthwright.signatures import codeclm as prompts
from synthwright.signatures.codeclm import Encoding, Rubrics, Skills, TailoredRow, sized
from synthwright.signatures.listing import Listing
from synthwright.signatures.rows import Rejected

__all__ = ["CodecLM", "Contrast"]

Contrast = Literal["required", "if_two", "always", "never"]
"""Whether the answers of `strong` and `target` are contrasted, and what one LM in both roles means."""

LEAST_ENCODED = 8
"""Seed instructions encoded at least where not all are. Ours."""

_log = logging.getLogger("synthwright")


class CodecLM(Generator[TailoredRow]):
    """Tailors instructions to your use cases, and keeps those that your target LM answers worse than a strong one.

    Seed instructions are encoded into a use case and skills; new mixes of these are decoded into new instructions. Both
    LMs answer each. If their answers score alike, an action written for the metadata makes the instruction harder, and
    so on; an instruction on which the answers differ becomes a row with the better answer, even if that is the
    target's. Seeds that have a `use_case` and `skills` instead of an `instruction` enter after the encoder.

    Source: Wang et al., 2024, arXiv:2404.05875; steps and what is ours: `docs/methods/codeclm.md`. Give the model that
    you want to train as the role `target` and the model it should learn from as `strong` (or for all other roles).

    Args:
        contrast: `required` contrasts the two LMs and refuses one LM in both roles, as the gap is chance then;
            `if_two` makes rows without contrast in that case (the paper's ablation), which say so; `always` contrasts
            in that case too; `never` does not contrast.
        threshold: Gap of the mean scores, in points of the scale from 1 to 10, above which an instruction is kept.
        iterations: Times an instruction is tried, the basic one included, 1 or more. Without contrast nothing tells
            when to stop, so as many are drawn for each instruction, from 1 to this.
        instructions_per_metadata: Instructions decoded from one use case with its skills, 1 or more.
        rubrics: Rubrics, each with an action, written for one use case with its skills, 1 or more.
        mix: Whether new mixes are drawn from the metadata of all seed instructions. Otherwise each instruction is
            decoded from the metadata of one seed.
        mixes: Mixes drawn, 1 or more; later passes come back to them.
        max_skills: Most skills of an instruction, 1 or more.
        encode_all: Whether all seed instructions are encoded. Otherwise as many as rows are wanted, 8 at least.
        use_cases: The use cases that the encoder may name; empty for any.
        skills: The skills that the encoder may name; empty for any.
        check_metadata: Whether encodings that are no metadata are dropped, and mixes that the judge finds implausible.
        checks: Names of checks of the instructions, see `synthwright.programs.codeclm_checks.CHECKS`.
        max_words: Most words of an instruction; None for no limit.
        drop_refusals: Whether instructions are dropped if the answer that would be kept declines.
        min_score: Least mean score of the answer that is kept, 1 to 10; None for no bound.
        keep_unaccepted: Whether instructions that stay within the threshold are rows too, with `accepted` false.
        answer: Whether instructions are answered; without, there is no contrast, and rows have an empty response: for
            tuning the prompts.
        temperature: Of encoding, decoding, rubrics, improving and answering, 0 to 2. The paper uses 0.7.
        max_tokens: Longest answer in tokens, 1 or more; None for the LM's own limit.
        judge_temperature: Of scoring and of the plausibility check, 0 to 2.
        seed: Fixes the mixes and the order of the actions.
    """

    roles = {"strong": ("answer_strong",), "target": ("answer_target",), "judge": ("vet", "score")}
    targets = ("encode", "decode", "devise", "improve")
    filters = (ExactDuplicate(("instruction",)),)
    presets: ClassVar = {
        "practical": {
            "contrast": "if_two",
            "threshold": 3.0,
            "iterations": 4,
            "instructions_per_metadata": 3,
            "rubrics": 4,
            "mix": True,
            "mixes": 200,
            "max_skills": 3,
            "encode_all": False,
            "use_cases": (),
            "skills": (),
            "check_metadata": True,
            "checks": tuple(CHECKS),
            "max_words": 150,
            "drop_refusals": True,
            "min_score": 5.0,
            "keep_unaccepted": False,
            "answer": True,
            "temperature": 0.7,
            "max_tokens": None,
            "judge_temperature": 0.0,
            "seed": 0,
        },
        "faithful": {
            "contrast": "required",
            "threshold": 3.0,
            "iterations": 4,
            "instructions_per_metadata": 10,
            "rubrics": 4,
            "mix": True,
            "mixes": 200,
            "max_skills": 3,
            "encode_all": True,
            "check_metadata": False,
            "checks": (),
            "max_words": None,
            "drop_refusals": False,
            "min_score": None,
            "keep_unaccepted": False,
            "temperature": 0.7,
            "max_tokens": 2048,
            "judge_temperature": 0.0,
        },
    }

    def __init__(
        self,
        contrast: Contrast = "if_two",
        threshold: float = 3.0,
        iterations: int = 4,
        instructions_per_metadata: int = 3,
        rubrics: int = 4,
        mix: bool = True,
        mixes: int = 200,
        max_skills: int = 3,
        encode_all: bool = False,
        use_cases: Sequence[str] = (),
        skills: Sequence[str] = (),
        check_metadata: bool = True,
        checks: Sequence[str] = tuple(CHECKS),
        max_words: int | None = 150,
        drop_refusals: bool = True,
        min_score: float | None = 5.0,
        keep_unaccepted: bool = False,
        answer: bool = True,
        temperature: float = 0.7,
        max_tokens: int | None = None,
        judge_temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.contrast: Contrast = contrast
        self.threshold, self.iterations = threshold, iterations
        self.instructions_per_metadata, self.rubrics = instructions_per_metadata, rubrics
        self.mix, self.mixes, self.max_skills, self.encode_all = mix, mixes, max_skills, encode_all
        self.use_cases, self.skills, self.check_metadata = tuple(use_cases), tuple(skills), check_metadata
        self.checks, self.max_words, self.drop_refusals = tuple(checks), max_words, drop_refusals
        self.min_score, self.keep_unaccepted, self.answer = min_score, keep_unaccepted, answer
        self.temperature, self.max_tokens = temperature, max_tokens
        self.judge_temperature, self.seed = judge_temperature, seed
        self._validate()

        count = instructions_per_metadata
        warm: dict[str, Any] = {"temperature": temperature}
        length = given(max_tokens=max_tokens)
        self.encode = dspy.Predict(self._encoder(), **warm)
        shown = read_jsonl(data_path("codeclm_encode.jsonl"))  # its three examples belong to the method (figure 7)
        fits = not (self.use_cases or self.skills)  # they name other use cases than a closed list allows
        self.encode.demos = [dspy.Example(**example) for example in shown] if fits else []
        instructions = sized(Listing, count, count)
        self.decode = dspy.Predict(prompts.DecodeMetadata.with_updated_fields("new_instructions", instructions), **warm)
        written = prompts.WriteRubrics.with_updated_fields("rubrics", sized(Rubrics, rubrics, rubrics))
        self.devise = dspy.Predict(written, **warm)
        self.improve = dspy.Predict(prompts.ImproveInstruction, **warm)
        if check_metadata:
            self.vet = Frozen(prompts.JudgeMetadata, temperature=judge_temperature)
        if answer:
            self.answer_strong = dspy.Predict(prompts.AnswerInstruction, **warm, **length)
        if answer and contrast != "never":
            self.answer_target = dspy.Predict(prompts.AnswerInstruction, **warm, **length)
            self.score = Frozen(prompts.ScoreAnswers, temperature=judge_temperature)

    # What to ask next

    def plan(self, pool: Pool[TailoredRow]) -> Iterable[Seed]:
        """Even rounds encode seed instructions that are not encoded yet; the others decode what is known, once.

        Raises:
            ConfigError: `contrast="required"` and one LM in both roles, or a seed that says too little.
        """
        if not self.contrasts() and self.contrast == "if_two" and self.answer and pool.round == 0:
            _log.warning(
                "CodecLM: `strong` and `target` are one LM, so rows are made without the contrastive filter. Give the "
                "model that you want to train as the role `target`."
            )
        shipped = read_jsonl(data_path("codeclm.jsonl")) if pool.seeds is None else pool.seeds
        material = read_seeds(shipped)
        done = {encoding.instruction: encoding for encoding in pool.artifacts(Encoding)}
        missing = [seed for seed in self._chosen(material, pool.target) if seed["instruction"] not in done]
        if self.mix and missing and pool.round % 2 == 0 and (pool.round == 0 or pool.target is not None):
            return missing
        if pool.target is None and pool.round > (1 if self.mix and material.instructions else 0):
            return ()
        known = [*material.known, *(Metadata(e.use_case, e.skills, e.parent_ids) for e in done.values())]
        if self.mix:
            asked = mixed(known, self.mixes, self.max_skills, random.Random(f"{self.seed}:mix"))
        else:
            asked = known
        written = [metadata.seed() for metadata in (*material.written, *asked)]
        return [*written, *(() if self.mix else missing)]

    def _chosen(self, material: Material, target: int | None) -> list[dict[str, Any]]:
        """The instructions that are encoded, in the order of the seeds."""
        everything = list(material.instructions)
        if self.encode_all or target is None or len(everything) <= max(LEAST_ENCODED, target):
            return everything
        order = random.Random(f"{self.seed}:encode").sample(range(len(everything)), len(everything))
        return [everything[index] for index in sorted(order[: max(LEAST_ENCODED, target)])]

    # How to ask

    async def aforward(
        self, instruction: str = "", use_case: str = "", skills: Sequence[str] = (), sources: Sequence[str] = ()
    ) -> dspy.Prediction:
        """Encode an instruction, or make rows for a use case and its skills; both, one after the other, without mixing.

        Args:
            instruction: A seed instruction, if its metadata is not known.
            use_case: Kind of task of the rows.
            skills: Skills that they take.
            sources: Ids of rows of other runs that the seed comes from.
        """
        if not use_case:
            made = await self._encoded(instruction, tuple(sources))
            if isinstance(made, Rejected):
                return dspy.Prediction(rows=[], rejected=[made])
            if self.mix:
                return dspy.Prediction(rows=[], artifacts=[made])
            return await self._tailored(Metadata(made.use_case, made.skills, made.parent_ids))
        return await self._tailored(Metadata(use_case, tuple(skills), tuple(sources)))

    async def _encoded(self, instruction: str, sources: tuple[str, ...]) -> Encoding | Rejected:
        if not instruction.strip():
            return Rejected(stage="seed", reason="empty_seed", content={"instruction": instruction})
        try:
            reply = await self.encode.acall(instruction=instruction)
        except ParseError as error:
            return unparsable("encode", error, instruction=instruction)
        use_case = " ".join(reply.use_case.split())
        skills = tidy_skills(reply.skills if self.skills else reply.skills.root, self.max_skills)
        fault = None if use_case else "no_use_case"
        fault = fault or (None if skills else "no_skills")
        fault = fault or (metadata_fault(use_case, skills, instruction) if self.check_metadata else None)
        if fault:
            return reject("encode", fault, instruction=instruction, use_case=use_case, skills=list(skills))
        return Encoding(instruction=instruction, use_case=use_case, skills=skills, parent_ids=sources)

    async def _tailored(self, metadata: Metadata) -> dspy.Prediction:
        """The rows of one use case with its skills."""
        about = {"use_case": metadata.use_case, "skills": list(metadata.skills)}
        if self.check_metadata:
            try:
                if not (await self.vet.acall(**about)).plausible:
                    return dspy.Prediction(rows=[], rejected=[reject("vet", "implausible", **about)])
            except ParseError:
                pass  # no verdict rules out nothing; the decoder may still make sense of the mix
        try:
            reply = await self.decode.acall(**about, how_many=self.instructions_per_metadata)
        except ParseError as error:
            return dspy.Prediction(rows=[], rejected=[unparsable("decode", error, **about)])
        lineages = Lineages(self, metadata)  # pyright: ignore[reportArgumentType]  one class, seen at two paths
        rejected: list[Rejected] = []
        seen: set[str] = set()
        for number, text in enumerate(listed(reply.new_instructions.root), 1):
            folded = " ".join(text.casefold().split())
            surplus = number > self.instructions_per_metadata  # each metadata gives equally many, as in the paper
            fault = "surplus" if surplus else "repeated" if folded in seen else self.fault(text)
            seen.add(folded)
            if fault:
                rejected.append(reject("decode", fault, **about, instruction=text))
            else:
                await lineages.grow(text)
        if not seen:
            rejected.append(reject("decode", "no_instructions", **about))
        return dspy.Prediction(rows=lineages.rows, rejected=[*rejected, *lineages.rejected])

    def fault(self, instruction: str, parent: str = "", action: str = "") -> str | None:
        """Why an instruction is dropped, as `reason: detail`, or None.

        Args:
            instruction: A basic or an improved instruction.
            parent: What it was improved from, if it was.
            action: The action that was applied, if one was.
        """
        if not instruction:
            return "empty_instruction"
        for name in self.checks:
            if found := CHECKS[name](instruction, parent, action):
                return f"{name}: {found}"
        words = len(instruction.split())
        return f"too_long: {words} words" if self.max_words is not None and words > self.max_words else None

    def contrasts(self) -> bool:
        """Whether answers are contrasted, given the LMs that serve `strong` and `target`.

        Raises:
            ConfigError: `contrast="required"`, and one LM serves both.
        """
        if self.contrast == "never" or not self.answer:
            return False
        same = one_lm(self.answer_strong, self.answer_target)
        if same and self.contrast == "required":
            raise ConfigError(
                f"`strong` and `target` are one LM ({same!r}): its answers differ by chance, so that the gap says "
                "nothing. Give the model that you want to train as the role `target` (lms={'target': lm}, or --role "
                "target=MODEL); or pass contrast='if_two' for rows without the contrastive filter."
            )
        return not same or self.contrast == "always"

    def _encoder(self) -> type[dspy.Signature]:
        """The encoder's signature, its outputs limited to the use cases and skills that are allowed."""
        signature = prompts.EncodeInstruction.with_updated_fields("skills", sized(Skills, 1, self.max_skills))
        if self.use_cases:
            one_of: Any = Literal[self.use_cases]  # pyright: ignore[reportInvalidTypeForm]  given at run time
            signature = signature.with_updated_fields("use_case", one_of)
        if self.skills:
            some_of: Any = list[Literal[self.skills]]  # pyright: ignore[reportInvalidTypeForm]  given at run time
            signature = signature.with_updated_fields("skills", some_of)
        return signature

    def _validate(self) -> None:
        if self.contrast not in get_args(Contrast):
            raise ConfigError(f"No `contrast` {self.contrast!r}. {did_you_mean(self.contrast, get_args(Contrast))}")
        if not self.answer and self.contrast in ("required", "always"):
            raise ConfigError(f"`contrast={self.contrast!r}` needs answers: leave out `answer=False`.")
        check_names("CodecLM", "check", self.checks, CHECKS)
        ranges = {
            "threshold": (0, 9),
            "iterations": (1, None),
            "instructions_per_metadata": (1, None),
            "rubrics": (1, None),
            "mixes": (1, None),
            "max_skills": (1, None),
            "max_words": (1, None),
            "min_score": (1, 10),
            "temperature": (0, 2),
            "max_tokens": (1, None),
            "judge_temperature": (0, 2),
        }
        check_ranges(self, ranges)
