"""Instruction Backtranslation: write the instruction that a text answers, and keep the best pairs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Any, ClassVar, get_args

import dspy

from synthwright.errors import ConfigError, ParseError
from synthwright.filters import ExactDuplicate, SpecialTokens
from synthwright.pool import Pool, Seed
from synthwright.programs import backtranslation_checks as rules
from synthwright.programs import backtranslation_rounds as rounds
from synthwright.programs import backtranslation_segments as texts
from synthwright.programs.backtranslation_pairs import read_pairs
from synthwright.programs.base import Frozen, Generator, freeze, reject, unparsable
from synthwright.programs.blocks.arguments import check_names, check_ranges, given
from synthwright.retrieval import Corpus, neutralise
from synthwright.signatures import backtranslation as prompts
from synthwright.signatures.backtranslation import (
    AUGMENTED_TAG,
    SEED_TAG,
    BacktranslatedRow,
    Candidate,
    Passed,
    Scored,
    TagPlacement,
)
from synthwright.signatures.rows import Rejected, Row

__all__ = ["Backtranslation"]


class Backtranslation(Generator[BacktranslatedRow]):
    """Writes the instruction that a text answers, and keeps the pairs that its own judge rates best.

    The response is the text, whatever the LM says; only the instruction is synthetic. Rounds take turns: one writes
    the instructions of a batch of segments; each of the next `iterations` rates all of them anew, with the judge's most
    confident verdicts of the round before as worked examples. The last one decides. Nothing is written twice.

    Source: Humpback (Li et al., 2024, arXiv:2308.06259), sections 2 and 3. The paper trains the LM between iterations;
    here its prompts take the place of its weights.

    Args:
        corpus: What segments are taken from if no seeds are given: a `Corpus`, or paths of files and folders, cut by
            the paper's rules; None for `PythonDocs`.
        pairs: The seed set: pairs of `instruction` and `response`, or the path of a JSONL file of such; None for the
            twelve shipped ones. Reversed they are worked examples of writing. One with a `score` (and a `reasoning`)
            is a worked example of the judge, too.
        shown: Pairs that each predictor shows at most, 0 or more.
        mix_pairs: Begin the dataset with the pairs themselves, as rows of the source `seed`. The paper trains on both.
        first_batch: Segments of the first batch if there is a target, 1 or more; each later batch takes as many as all
            before. None for all segments at once, as in the paper. Without a target there is one batch anyway.
        iterations: How often each candidate is rated, 0 or more. The paper uses 2; with 0 all candidates are rows.
        samples: Ratings averaged for one score, 1 or more.
        threshold: Mean rating from which a pair is kept, 1 to 5: 4.5 is the paper's A5, 4 its A4.
        demonstrations: Confident pairs that the judge is shown from the second iteration on, 0 or more.
        shortest: Characters of a segment, at least. The paper uses 600.
        longest: Characters of a segment, at most. The paper uses 3,000.
        language: ISO 639-1 code that a segment must be in; None for any language.
        segment_checks: Names of our checks, see `synthwright.programs.backtranslation_segments.CHECKS`.
        checks: Names of our checks of instructions, see `synthwright.programs.backtranslation_checks.CHECKS`.
        max_instruction_chars: Most characters of an instruction; None for no limit.
        rewrite: Have the `strong` role rewrite the responses that are kept, which changes what the method is.
        seed_tag: Sentence that marks rows of the seed set; empty for none.
        augmented_tag: Sentence that marks the other rows; empty for none.
        tag_placement: Export tags as a `system` message, or below the instruction (`user`), as in the paper.
        tune_judge: Let optimizers see the judge, and not the writing. They must not see both at once, or the two drift
            together.
        temperature: Of writing, 0 to 2. The paper uses 0.7.
        top_p: Nucleus of writing, in (0, 1]; None for the LM's own.
        judge_temperature: Of the ratings, 0 to 2; above 0 if several are to differ.
        judge_top_p: Nucleus of the ratings, in (0, 1]; None for the LM's own.
    """

    roles = {"judge": ("score",), "strong": ("polish",)}
    targets = ("write", "score")
    filters = (SpecialTokens(("instruction", "response")), ExactDuplicate(("response",)))
    presets: ClassVar = {
        "practical": {
            "corpus": None,
            "pairs": (),
            "shown": 4,
            "mix_pairs": False,
            "first_batch": 8,
            "iterations": 1,
            "samples": 2,
            "threshold": 4.5,
            "demonstrations": 2,
            "shortest": 600,
            "longest": 3000,
            "language": "en",
            "segment_checks": tuple(texts.CHECKS),
            "checks": tuple(rules.CHECKS),
            "max_instruction_chars": 500,
            "rewrite": False,
            "seed_tag": SEED_TAG,
            "augmented_tag": AUGMENTED_TAG,
            "tag_placement": "system",
            "tune_judge": False,
            "temperature": 0.7,
            "top_p": None,
            "judge_temperature": 0.7,
            "judge_top_p": None,
        },
        "faithful": {
            "pairs": None,
            "mix_pairs": True,
            "first_batch": None,
            "iterations": 2,
            "samples": 1,
            "demonstrations": 4,
            "segment_checks": (),
            "checks": (),
            "max_instruction_chars": None,
            "tag_placement": "user",
            "top_p": 0.9,
            "judge_top_p": 0.9,
        },
    }

    def __init__(
        self,
        corpus: Corpus | str | Sequence[str] | None = None,
        pairs: Sequence[Mapping[str, Any]] | str | None = (),
        shown: int = 4,
        mix_pairs: bool = False,
        first_batch: int | None = 8,
        iterations: int = 1,
        samples: int = 2,
        threshold: float = 4.5,
        demonstrations: int = 2,
        shortest: int = 600,
        longest: int = 3000,
        language: str | None = "en",
        segment_checks: Sequence[str] = tuple(texts.CHECKS),
        checks: Sequence[str] = tuple(rules.CHECKS),
        max_instruction_chars: int | None = 500,
        rewrite: bool = False,
        seed_tag: str = SEED_TAG,
        augmented_tag: str = AUGMENTED_TAG,
        tag_placement: TagPlacement = "system",
        tune_judge: bool = False,
        temperature: float = 0.7,
        top_p: float | None = None,
        judge_temperature: float = 0.7,
        judge_top_p: float | None = None,
    ) -> None:
        super().__init__()
        self.corpus, self.shown, self.mix_pairs, self.first_batch = corpus, shown, mix_pairs, first_batch
        self.pairs = pairs if pairs is None or isinstance(pairs, str) else tuple(pairs)
        self.iterations, self.samples, self.threshold = iterations, samples, threshold
        self.demonstrations, self.shortest, self.longest = demonstrations, shortest, longest
        self.language, self.segment_checks, self.checks = language, tuple(segment_checks), tuple(checks)
        self.max_instruction_chars, self.rewrite = max_instruction_chars, rewrite
        self.seed_tag, self.augmented_tag = seed_tag, augmented_tag
        self.tag_placement: TagPlacement = tag_placement
        self.tune_judge, self.temperature, self.top_p = tune_judge, temperature, top_p
        self.judge_temperature, self.judge_top_p = judge_temperature, judge_top_p
        self._validate()
        known = read_pairs(self.pairs)
        writing = given(temperature=temperature, top_p=top_p)
        rating = given(temperature=judge_temperature, top_p=judge_top_p)
        self.write = (Frozen if tune_judge else dspy.Predict)(prompts.WriteInstruction, **writing)
        if iterations:
            rate = dspy.ChainOfThought(prompts.JudgePair, **rating)
            self.score = rate if tune_judge else freeze(rate)
        if rewrite:
            self.polish = Frozen(prompts.RewriteResponse, **writing)
        predictors = self.all_predictors()
        predictors["write"].demos = [dspy.Example(**each.reversed()) for each in known if each.good][:shown]
        if iterations:
            predictors["score"].demos = [dspy.Example(**each.rated()) for each in known if each.score][:shown]

    def plan(self, pool: Pool[BacktranslatedRow]) -> Iterator[Seed]:
        """The next rating of the candidates that wait for one, or the writing of the next batch of segments.

        User seeds are texts, or pairs to be rated: see `synthwright.programs.backtranslation_segments.user_segments`.

        Raises:
            ConfigError: A seed cannot be read.
        """
        found = rounds.progress(pool.artifacts(Row), self.iterations)
        return self._to_rate(found, pool.round) if found.waiting else self._to_write(found.taken, pool)

    def _to_write(self, taken: int, pool: Pool[BacktranslatedRow]) -> Iterator[Seed]:
        if self.mix_pairs and pool.round == 0:
            for pair in read_pairs(self.pairs):
                if pair.good:
                    yield {"text": pair.response, "instruction": pair.instruction, "source": "seed"}
        split = texts.Segments(self.shortest, self.longest)
        if pool.seeds is None:
            segments = texts.corpus_segments(self.corpus, split)
        else:
            segments = texts.user_segments(pool.seeds, split)
        whole = self.first_batch is None or pool.target is None
        last = None if whole or self.first_batch is None else taken + max(self.first_batch, taken)
        for number, segment in islice(enumerate(segments), taken, last):
            yield {**segment, "number": number, "iteration": 0}

    def _to_rate(self, found: rounds.Progress, round: int) -> Iterator[Seed]:
        good = [each.rated() for each in read_pairs(self.pairs) if each.good]
        examples = rounds.confident(found, good, samples=self.samples, count=self.demonstrations + 2)
        for candidate in found.waiting:
            shown = rounds.others(examples, candidate.id, self.demonstrations)
            about = {name: getattr(candidate, name) for name in ("title", "url", "licence") if getattr(candidate, name)}
            yield {
                "text": candidate.text,
                "instruction": candidate.instruction,
                **about,
                "number": candidate.number,
                "iteration": found.iteration,
                "round": round,
                **({"demonstrations": shown} if shown else {}),
                **({"parent_ids": list(candidate.parent_ids)} if candidate.parent_ids else {}),
            }

    async def aforward(
        self,
        text: str,
        instruction: str | None = None,
        title: str = "",
        url: str = "",
        licence: str = "",
        source: str = "augmented",
        problem: str = "",
        number: int | None = None,
        iteration: int | None = None,
        round: int = 0,
        demonstrations: Sequence[Mapping[str, Any]] = (),
        parent_ids: Sequence[str] = (),
        rate: bool = True,
    ) -> dspy.Prediction:
        """Write the instruction of a text, or rate a pair, or both.

        Args:
            text: The segment.
            instruction: Its instruction; None to have it written.
            title: Heading of the segment.
            url: Address of its document.
            licence: Licence of the text.
            source: `seed` for a pair of the seed set, which becomes a row as it is.
            problem: Why the segment is not used, if that is known already.
            number: Number of the segment in its source.
            iteration: 0 to write only, 1 or more for that rating, the last of which decides; None for everything at
                once, rated as in the last iteration.
            round: Round of the run.
            demonstrations: Worked examples of the judge beside its own.
            parent_ids: Ids of the rows of another run that the text was taken from.
            rate: False to make an unrated row of what is written: one call a draw, for tuning the writing.
        """
        about: dict[str, Any] = {"title": title, "url": url, "licence": licence}
        if source == "seed" and instruction is not None:
            row = BacktranslatedRow(
                instruction=instruction,
                response=text,
                source="seed",
                tag=self.seed_tag,
                tag_placement=self.tag_placement,
            )
            return dspy.Prediction(rows=[row])
        made: Candidate | Rejected
        if instruction is not None:
            made = Candidate(
                text=text, instruction=instruction, number=number or 0, parent_ids=tuple(parent_ids), **about
            )
        else:
            made = await self._written(text, problem, number or 0, tuple(parent_ids), about)
        if isinstance(made, Rejected):
            return self._passed(number, [made])
        if iteration == 0 and self.iterations:
            return dspy.Prediction(rows=[], artifacts=[made])
        if not self.iterations or not rate:
            return self._passed(number, [await self._finished(made, None, 0)])
        scored, failure = await self._rated(made, iteration or self.iterations, round, demonstrations)
        outcome = (
            [] if (iteration or self.iterations) < self.iterations else [await self._decided(made, scored, failure)]
        )
        artifacts = [] if iteration is None else [scored]
        return _prediction(outcome, artifacts)

    def _passed(self, number: int | None, outcome: Sequence[BacktranslatedRow | Rejected]) -> dspy.Prediction:
        """The outcome of a segment that is not rated, with the mark that it was taken."""
        return _prediction(outcome, [] if number is None else [Passed(number=number)])

    async def _written(
        self, text: str, problem: str, number: int, parent_ids: tuple[str, ...], about: dict[str, Any]
    ) -> Candidate | Rejected:
        content = {"text": text, **about}
        problem = (
            problem
            or texts.segment_problem(
                text,
                about["title"],
                shortest=self.shortest,
                longest=self.longest,
                language=self.language,
                checks=self.segment_checks,
            )
            or ""
        )
        if problem:
            return reject("segment", problem, **content)
        try:
            instruction = (await self.write.acall(text=neutralise(text))).instruction.strip()
        except ParseError as error:
            return unparsable("write", error, **content)
        shown = [str(demo.get("instruction", "")) for demo in self.all_predictors()["write"].demos]
        if failure := rules.instruction_problem(instruction, text, self.checks, self.max_instruction_chars, shown):
            return reject("write", failure, **content, instruction=instruction)
        return Candidate(text=text, instruction=instruction, number=number, parent_ids=parent_ids, **about)

    async def _rated(
        self, candidate: Candidate, iteration: int, round: int, demonstrations: Sequence[Mapping[str, Any]]
    ) -> tuple[Scored, Exception | None]:
        """The ratings of a candidate, with the error of the last draw that could not be read."""
        failure: Exception | None = None
        draws: list[tuple[Any, str]] = []
        inputs: dict[str, Any] = {
            "instruction": neutralise(candidate.instruction),
            "response": neutralise(candidate.text),
        }
        if demonstrations:
            shown = [dspy.Example(**{**each, "response": neutralise(each["response"])}) for each in demonstrations]
            inputs["demos"] = [*self.all_predictors()["score"].demos, *shown]
        for _ in range(self.samples):
            try:
                reply = await self.score.acall(**inputs)
            except ParseError as error:
                failure = error
            else:
                draws.append((reply.score, reply.reasoning))
        scores = tuple(score for score, _ in draws)
        near = min(draws, key=lambda draw: abs(draw[0] - fmean(scores)))[1] if draws else ""
        scored = Scored(candidate_id=candidate.id, iteration=iteration, round=round, scores=scores, reasoning=near)
        return scored, failure

    async def _decided(
        self, candidate: Candidate, scored: Scored, failure: Exception | None
    ) -> BacktranslatedRow | Rejected:
        """The row of a pair whose mean rating reaches the threshold."""
        content = {"instruction": candidate.instruction, "text": candidate.text, "title": candidate.title}
        if not scored.scores:
            return unparsable("score", failure or ValueError("no rating"), **content)
        mean = fmean(scored.scores)
        if mean < self.threshold:
            given = " and ".join(map(str, scored.scores))
            content |= {"score": mean, "scores": list(scored.scores), "reasoning": scored.reasoning}
            return Rejected(stage="score", reason="low_score", detail=f"{given}: {scored.reasoning}", content=content)
        return await self._finished(candidate, scored, scored.iteration)

    async def _finished(
        self, candidate: Candidate, scored: Scored | None, iteration: int
    ) -> BacktranslatedRow | Rejected:
        """The row of a pair that is kept, rewritten if that is asked for."""
        response, original = candidate.text, ""
        content = {"instruction": candidate.instruction, "text": candidate.text, "title": candidate.title}
        if self.rewrite:
            try:
                reply = await self.polish.acall(instruction=candidate.instruction, text=neutralise(candidate.text))
            except ParseError as error:
                return unparsable("polish", error, **content)
            response, original = reply.response.strip(), candidate.text
            content["response"] = response
            if not response:
                return Rejected(stage="polish", reason="empty_response", content=content)
            if added := rules.new_numbers(response, f"{candidate.text}\n{candidate.instruction}"):
                return Rejected(stage="polish", reason="added_numbers", detail=", ".join(added), content=content)
        return BacktranslatedRow(
            instruction=candidate.instruction,
            response=response,
            original=original,
            tag=self.augmented_tag,
            tag_placement=self.tag_placement,
            score=fmean(scored.scores) if scored else None,
            scores=scored.scores if scored else (),
            reasoning=scored.reasoning if scored else "",
            iteration=iteration,
            title=candidate.title,
            url=candidate.url,
            licence=candidate.licence,
            parent_ids=candidate.parent_ids,
        )

    def _validate(self) -> None:
        check_names("Backtranslation", "segment check", self.segment_checks, texts.CHECKS)
        check_names("Backtranslation", "check", self.checks, rules.CHECKS)
        if self.tag_placement not in get_args(TagPlacement):
            raise ConfigError(f"`tag_placement` must be `system` or `user`, got {self.tag_placement!r}.")
        if self.tune_judge and not self.iterations:
            raise ConfigError("`tune_judge` needs a judge: set `iterations` to 1 or more.")
        ranges = {
            "shown": (0, None),
            "first_batch": (1, None),
            "iterations": (0, None),
            "samples": (1, None),
            "threshold": (1, 5),
            "demonstrations": (0, None),
            "shortest": (1, self.longest),
            "max_instruction_chars": (1, None),
            "temperature": (0, 2),
            "top_p": (1e-6, 1),
            "judge_temperature": (0, 2),
            "judge_top_p": (1e-6, 1),
        }
        check_ranges(self, ranges)


def _prediction(outcome: Sequence[BacktranslatedRow | Rejected], artifacts: Sequence[Row]) -> dspy.Prediction:
    rows = [each for each in outcome if isinstance(each, BacktranslatedRow)]
    rejected = [each for each in outcome if isinstance(each, Rejected)]
    return dspy.Prediction(rows=rows, rejected=rejected, artifacts=list(artifacts))
