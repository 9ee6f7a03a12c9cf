"""Bonito: a task, with its instruction and response, from a passage and a type of task."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import dspy

from synthwright.errors import ParseError
from synthwright.filters import ExactDuplicate, SpecialTokens
from synthwright.lms.raw import RawCompletion
from synthwright.pool import Pool, Seed
from synthwright.programs import bonito_passages as passages
from synthwright.programs.base import Frozen, Generator, reject, unparsable
from synthwright.programs.bonito_arguments import check_arguments
from synthwright.programs.bonito_checkpoint import STOP, checkpoint_prompt, parse_output
from synthwright.programs.bonito_checks import CHECKS, Draft, same_answer, task_problem
from synthwright.programs.bonito_templates import MetaTemplate, fill, meta_templates, put_in, shown_options
from synthwright.programs.bonito_types import TASK_TYPES, TaskType, type_named
from synthwright.retrieval import Corpus, InjectionEcho, Passage, read_injections
from synthwright.signatures.bonito import BonitoRow, Form, GenerateTask, JudgeResponse, NotApplicable, SolveTask
from synthwright.signatures.rows import Rejected, Row

__all__ = ["Bonito"]

MISSING = "(The text is missing.)"
"""What stands for the passage where a solver must do without it."""

OPEN_ANSWERS = ("exqa", "qa")
"""Types whose answer nobody guesses, so that answering without the passage means that it is not needed."""

AS_LONG = ("paraphrase", "paraphrase_id")
"""Types whose reply is as long as the passage."""

Verdict = Draft | Rejected


class Bonito(Generator[BonitoRow]):
    """Writes tasks of sixteen types about passages, so that a model learns what they say by instructions.

    A call gets one passage and one type. In the form `parts` it draws a meta-template of the type, and the LM writes
    what is missing: a question and its answer, options, a statement for a label that is fixed beforehand. In the form
    `template` the LM writes the whole instruction, with a placeholder for the passage. In the form `checkpoint` the
    original model does, as a raw completion. A passage that allows no task of the type is answered by `not_applicable`.

    Source: Nayak et al., 2024, arXiv:2402.18334; github.com/BatsResearch/bonito.

    Args:
        corpus: Where passages come from if no seeds are given: any `Corpus`, or paths of files and folders; None for
            the shipped passages, which are short and of many kinds.
        task_types: Short or full names of types, or `all`; passages take turns through them.
        form: `parts`, `template` or `checkpoint`. The last needs the role `generator` to be the original model on a
            server with raw completions.
        templates: YAML file of meta-templates that take the place of ours for the types in it.
        samples: Tasks drawn of one passage and type, 1 or more, each a row of its own.
        temperature: Of writing, 0 to 2. The README of the code says 0.5, its experiments 0.95 (the two numbers are
            swapped there, see `top_p`).
        top_p: Of writing, in (0, 1]. The README says 0.95, the experiments 0.5.
        max_tokens: Longest output in tokens; one that reaches it is dropped. A chat LM that puts the passage in other
            words (`paraphrase`, `paraphrase_id`) has room for as much besides.
        longest: Characters of a passage, at most; longer ones are cut between paragraphs.
        fewest_words: Words that a passage needs, 1 or more.
        language: ISO 639-1 code that a passage must be in; None for any. The checkpoints know English only.
        refuse_requests: Whether passages that speak to a model ("ignore all instructions") are left out.
        injections: JSONL file of passages of the corpus with planted instructions (`retrieval.read_injections`); rows
            that obey or repeat one are dropped.
        checks: Names of our checks of tasks, see `synthwright.programs.bonito_checks.CHECKS`.
        solver: Whether an LM in the role `solver` does each task, with the passage and without it.
        require_agreement: Whether rows are dropped whose solver gives another answer, for types with one right answer.
        require_passage: Whether rows of the types `exqa` and `qa` are dropped whose solver needs no passage.
        judge: Whether an LM in the role `judge` compares responses with the passage; what is not right is dropped.
        tune_judge: Let optimizers see the judge, and not the writing.
        seed: Fixes meta-templates, labels and the order of options.

    Raises:
        ConfigError: An argument is wrong.
    """

    roles: ClassVar = {"solver": ("solve",), "judge": ("judge_response",)}
    targets: ClassVar = (*TASK_TYPES, "write", "judge_response")
    presets: ClassVar = {
        "faithful": {
            "form": "checkpoint",
            "temperature": 0.5,
            "fewest_words": 1,
            "language": None,
            "refuse_requests": False,
            "checks": (),
        },
        "practical": {
            "form": "parts",
            "temperature": 0.7,
            "top_p": 0.95,
            "max_tokens": 256,
            "samples": 1,
            "longest": 3000,
            "fewest_words": 8,
            "language": "en",
            "refuse_requests": True,
            "checks": tuple(CHECKS),
            "solver": False,
            "judge": False,
        },
    }

    def __init__(
        self,
        corpus: Corpus | str | Sequence[str] | None = None,
        task_types: str | Sequence[str] = "all",
        form: Form = "parts",
        templates: str | None = None,
        samples: int = 1,
        temperature: float = 0.7,
        top_p: float = 0.95,
        max_tokens: int = 256,
        longest: int = 3000,
        fewest_words: int = 8,
        language: str | None = "en",
        refuse_requests: bool = True,
        injections: str | None = None,
        checks: Sequence[str] = tuple(CHECKS),
        solver: bool = False,
        require_agreement: bool = False,
        require_passage: bool = False,
        judge: bool = False,
        tune_judge: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.form: Form = form
        self.corpus, self.templates, self.samples = corpus, templates, samples
        self.task_types = task_types if isinstance(task_types, str) else tuple(task_types)
        self.temperature, self.top_p, self.max_tokens = temperature, top_p, max_tokens
        self.longest, self.fewest_words, self.language = longest, fewest_words, language
        self.refuse_requests, self.injections, self.checks = refuse_requests, injections, tuple(checks)
        self.solver, self.require_agreement, self.require_passage = solver, require_agreement, require_passage
        self.judge, self.tune_judge, self.seed = judge, tune_judge, seed
        self.kinds = check_arguments(self)
        self.meta = meta_templates(templates)

        sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        writer = Frozen if tune_judge else dspy.Predict
        if form == "parts":
            for kind in TASK_TYPES.values():  # seeds may name types that passages do not take turns through
                setattr(self, kind.short, writer(kind.signature, **sampling))
        elif form == "template":
            self.write = writer(GenerateTask, **sampling)
        else:
            self.complete = RawCompletion(**sampling)
        if solver:
            self.solve = Frozen(SolveTask, temperature=0.0, max_tokens=max_tokens)
        if judge:
            judging = dspy.Predict if tune_judge else Frozen
            self.judge_response = judging(JudgeResponse, temperature=0.0, max_tokens=max_tokens)
        own = (SpecialTokens(("instruction_template", "response")), ExactDuplicate(("instruction", "response")))
        watch = (InjectionEcho(read_injections(injections)),) if injections else ()
        self.filters = (*(own if checks else ()), *watch)

    # What to ask next

    def plan(self, pool: Pool[BonitoRow]) -> Iterator[Seed]:
        """Each passage with each type, once: the first pass gives neighbouring passages different types.

        A seed of the user with a `task_type` is asked for that type alone. Nothing is held in memory but a hash of
        each passage; a corpus is read once for each type.

        Raises:
            ConfigError: A seed cannot be read.
        """
        if pool.round:
            return "every passage was asked for every task type"
        corpus = passages.open_corpus(self.corpus, self.longest) if pool.seeds is None else None
        for turn in range(len(self.kinds)):
            if corpus is not None:
                found = passages.corpus_passages(corpus, self.longest)
            else:
                found = passages.seed_passages(pool.seeds or (), self.longest)
            for number, passage in enumerate(found):
                if "task_type" in passage:
                    if not turn:
                        yield passage
                elif not turn or "problem" not in passage:
                    yield {**passage, "task_type": self.kinds[(number + turn) % len(self.kinds)].short}
        return "every passage was asked for every task type"

    # How to ask

    async def aforward(
        self,
        passage: str,
        task_type: str,
        title: str = "",
        url: str = "",
        licence: str = "",
        source: str = "",
        problem: str = "",
        instruction_template: str | None = None,
        answer: str | None = None,
        parent_ids: Sequence[str] = (),
    ) -> dspy.Prediction:
        """The tasks of one passage and type.

        Args:
            passage: The passage.
            task_type: Short or full name of the type.
            title: Title of its document.
            url: Address of its document.
            licence: Licence of the passage.
            source: Corpus of the passage.
            problem: Why the passage is not used, if that is known already.
            instruction_template: A finished instruction with `{{context}}` in it, to be checked instead of written.
            answer: Its response.
            parent_ids: Ids of the rows of another run that the passage was taken from.
        """
        kind = type_named(task_type)
        text = Passage(text=passage.strip(), title=title, url=url, licence=licence, source=source)
        problem = problem or self._unfit(text) or ""
        if problem:
            return _prediction([_rejected("passage", problem, kind, text)])
        if instruction_template is not None:
            given = _written(kind, text, instruction_template, answer or "")
            return _prediction([await self._finished(given, text, tuple(parent_ids))])
        made = []
        for draw in range(self.samples):
            draft = await self._drafted(kind, text, draw)
            made.append(await self._finished(draft, text, tuple(parent_ids)) if isinstance(draft, Draft) else draft)
        return _prediction(made)

    def _unfit(self, text: Passage) -> str | None:
        return passages.passage_problem(
            text.text,
            fewest_words=self.fewest_words,
            language=self.language,
            refuse_requests=self.refuse_requests,
        )

    async def _drafted(self, kind: TaskType, text: Passage, draw: int) -> Verdict:
        rng = random.Random(f"{self.seed}:{text.id}:{kind.short}:{draw}")
        if self.form == "parts":
            return await self._from_parts(kind, text, rng)
        return await (self._from_template if self.form == "template" else self._from_checkpoint)(kind, text, rng)

    async def _from_parts(self, kind: TaskType, text: Passage, rng: random.Random) -> Verdict:
        """A meta-template with what the LM writes for it."""
        name, template = self._drawn(kind, rng)
        label = {"label": rng.choice(kind.labels)} if kind.asks_for_label else {}
        predictor = getattr(self, kind.short)
        try:
            reply = await predictor.acall(passage=text.prompt_text, **label, **self._room(kind, text))
        except ParseError as error:
            return unparsable(kind.short, error, **_about(kind, text))
        if _declined(reply, kind.parts):
            return _rejected(kind.short, "not_applicable", kind, text)
        parts = {part: str(reply[part]).strip() for part in kind.parts if part != kind.wrong}
        options = tuple(template.says.values())
        if kind.wrong:
            right, wrong = parts[kind.answer], [each.strip() for each in reply[kind.wrong].root if each.strip()]
            options = tuple(rng.sample([right, *wrong], len(wrong) + 1))  # no place is the right one more often
        said = label.get("label") or parts.get("sentiment", "")
        values = {**parts, "options": shown_options(options, template.lists)} if options else parts
        draft = Draft(
            kind,
            template=fill(template.text, values),
            instruction=fill(template.text, {**values, "context": text.prompt_text}),
            response=template.says[said] if said else parts[kind.answer],
            passage=text.prompt_text,
            parts=parts,
            options=options,
            label=said,
            meta_template=name,
        )
        demos = getattr(predictor, "predict", predictor).demos
        others = (demo for demo in demos if demo.get("passage") != text.prompt_text)
        if self.checks and (copied := _copied(parts, others)):
            return _rejected(kind.short, f"copies_demonstration: {copied[:80]!r}", kind, text, draft)
        return draft

    async def _from_template(self, kind: TaskType, text: Passage, rng: random.Random) -> Verdict:
        """An instruction that the LM writes whole, with a placeholder for the passage."""
        name, template = self._drawn(kind, rng)
        ask = {"task_type": kind.name, "what_it_asks": self.meta[kind.short].asks, "example": template.text}
        try:
            reply = await self.write.acall(**ask, passage=text.prompt_text, **self._room(kind, text))
        except ParseError as error:
            return unparsable("write", error, **_about(kind, text))
        if _declined(reply, ("instruction_template", "response")):
            return _rejected("write", "not_applicable", kind, text)
        return _written(kind, text, reply.instruction_template, reply.response, name)

    async def _from_checkpoint(self, kind: TaskType, text: Passage, rng: random.Random) -> Verdict:
        """What the original model continues its prompt with, if there is exactly one pipe in it."""
        output = await self.complete.acall(prefix=checkpoint_prompt(kind, text.text), stop=STOP)
        if output.truncated:
            return _rejected("complete", f"truncated: {output.text[-80:]!r}", kind, text)
        parsed = parse_output(output.text)
        if parsed is None:
            return _rejected("complete", f"no_single_pipe: {output.text[:200]!r}", kind, text)
        return _written(kind, text, *parsed)

    def _room(self, kind: TaskType, text: Passage) -> dict[str, Any]:
        """More tokens where the reply is as long as the passage: one for two characters."""
        if kind.short not in AS_LONG:
            return {}
        return {"config": {"max_tokens": self.max_tokens + len(text.text) // 2}}

    def _drawn(self, kind: TaskType, rng: random.Random) -> tuple[str, MetaTemplate]:
        """One of the type's meta-templates, and its name such as `exqa-1`."""
        number = rng.randrange(len(self.meta[kind.short].templates))
        return f"{kind.short}-{number + 1}", self.meta[kind.short].templates[number]

    async def _finished(self, draft: Draft, text: Passage, parent_ids: tuple[str, ...]) -> BonitoRow | Rejected:
        """The row of a task: the passage put in, checked, solved, judged."""
        kind = draft.kind
        if not draft.response:
            return _rejected("checks", "empty_response", kind, text, draft)
        if found := task_problem(draft, self.checks):
            return _rejected("checks", found, kind, text, draft)
        row = BonitoRow(
            instruction=draft.instruction,
            response=draft.response,
            task_type=kind.short,
            instruction_template=draft.template,
            passage=draft.passage,
            passage_id=text.id,
            title=text.title,
            url=text.url,
            licence=text.licence,
            source=text.source,
            form=self.form if draft.parts or self.form != "parts" else "template",
            meta_template=draft.meta_template,
            parts=dict(draft.parts),
            options=draft.options,
            label=draft.label,
            parent_ids=(text.id, *parent_ids),
        )
        solved = await self._solved(row, kind)
        return await self._judged(solved) if isinstance(solved, BonitoRow) else solved

    async def _solved(self, row: BonitoRow, kind: TaskType) -> BonitoRow | Rejected:
        """The row with what an independent solver answers, with the passage and without it."""
        if not self.solver or not kind.checkable:
            return row
        try:
            seen = (await self.solve.acall(instruction=row.instruction)).response.strip()
            blind = put_in(MISSING, row.instruction_template)
            unseen = (await self.solve.acall(instruction=blind)).response.strip()
        except ParseError as error:
            return unparsable("solve", error, **row.record()) if self.require_agreement else row
        row = row.model_copy(update={"solver_response": seen, "blind_response": unseen})
        if self.require_agreement and not same_answer(seen, row.response, row.options):
            return _dropped("solve", f"solver_disagrees: {seen[:80]!r}", row)
        needless = kind.short in OPEN_ANSWERS and same_answer(unseen, row.response)
        if self.require_passage and needless:
            return _dropped("solve", f"needs_no_passage: {unseen[:80]!r}", row)
        return row

    async def _judged(self, row: BonitoRow) -> BonitoRow | Rejected:
        """The row with the judge's verdict on its response; only right ones are kept."""
        if not self.judge:
            return row
        try:
            reply = await self.judge_response.acall(passage=row.passage, task=row.task, response=row.response)
        except ParseError as error:
            return unparsable("judge_response", error, **row.record())
        row = row.model_copy(update={"verdict": reply.verdict, "what_it_shows": reply.what_it_shows.strip()})
        return row if reply.verdict == "right" else _dropped("judge_response", reply.verdict, row)


def _declined(reply: dspy.Prediction, parts: Sequence[str]) -> bool:
    """Whether an LM says that the passage allows no such task; a weak one says it in another field, too."""
    return "not_applicable" in (reply.fit, *(reply[part] for part in parts if isinstance(reply[part], str)))


def _written(kind: TaskType, text: Passage, template: str, response: str, meta_template: str = "") -> Draft:
    """A task whose instruction was written whole; the passage goes into both of its parts, as in the original."""
    shown = text.prompt_text
    whole = put_in(shown, template.strip())
    return Draft(
        kind,
        template=template.strip(),
        instruction=whole,
        response=put_in(shown, response.strip()),
        passage=shown,
        meta_template=meta_template,
    )


def _copied(parts: dict[str, str], demos: Iterable[Any]) -> str | None:
    """A part of several words that a demonstration has, too."""
    known = {" ".join(str(value).lower().split()) for demo in demos for value in dict(demo).values()}
    long = (text for text in parts.values() if len(text.split()) > 2)
    return next((text for text in long if " ".join(text.lower().split()) in known), None)


def _about(kind: TaskType, text: Passage) -> dict[str, Any]:
    return {"task_type": kind.short, "passage": text.text, "passage_id": text.id, "title": text.title}


def _rejected(stage: str, found: str, kind: TaskType, text: Passage, draft: Draft | None = None) -> Rejected:
    """The reject for a verdict such as `too_few_words: 3`."""
    content = _about(kind, text)
    if draft is not None:
        content |= {"instruction_template": draft.template, "response": draft.response, "parts": dict(draft.parts)}
    return reject(stage, found, **content)


def _dropped(stage: str, found: str, row: BonitoRow) -> Rejected:
    dropped = reject(stage, found, **row.record())
    return dropped if dropped.detail else dropped.model_copy(update={"detail": row.what_it_shows})


def _prediction(made: Sequence[BonitoRow | Rejected]) -> dspy.Prediction:
    rejected = [each for each in made if isinstance(each, Rejected)]
    artifacts: list[Row] = [
        NotApplicable(task_type=each.content["task_type"], passage_id=each.content["passage_id"])
        for each in rejected
        if each.reason == "not_applicable"
    ]
    rows = [each for each in made if isinstance(each, BonitoRow)]
    return dspy.Prediction(rows=rows, rejected=rejected, artifacts=artifacts)
