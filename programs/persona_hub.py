"""Persona Hub: personas from texts and from each other, and an item of data for each."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Generator as Yields
from typing import Any, ClassVar, Literal, cast

import dspy

from synthwright.errors import ParseError
from synthwright.filters import (
    EmbeddingNovelty,
    ExactDuplicate,
    Filter,
    MinHashNovelty,
    Refusal,
    Repetition,
    SpecialTokens,
)
from synthwright.lms.embeddings import Embedder
from synthwright.pool import Pool, Seed
from synthwright.programs import persona_hub_answers as answering
from synthwright.programs import persona_hub_finding as finding
from synthwright.programs import persona_hub_plan as plans
from synthwright.programs.base import Frozen, Generator, as_is, reject, unparsable
from synthwright.programs.blocks.arguments import given
from synthwright.programs.persona_hub_arguments import check_arguments
from synthwright.programs.persona_hub_examples import DETAILS, blank, details, enhanced, text_of, worked_examples
from synthwright.programs.persona_hub_items import ITEM_CHECKS, item_fields, item_problem, repeats_example
from synthwright.programs.persona_hub_personas import CHECKS
from synthwright.retrieval import Corpus, neutralise
from synthwright.signatures import persona_hub as prompts
from synthwright.signatures.persona_hub import DATA_TYPES, DataType, Persona, PersonaRow

__all__ = ["WRITERS", "PersonaHub"]

WRITERS: dict[DataType, str] = {
    "math": "write_math",
    "logic": "write_riddle",
    "instruction": "write_prompt",
    "knowledge": "write_article",
    "npc": "write_character",
    "tool": "write_tool",
}
"""Predictor of each type of data."""

ANYBODY = "anybody"
"""What stands for the persona in the baseline without one."""

NOT_GIVEN = "not given"
"""What stands for the persona in the worked examples of `few_shot`: an adapter leaves out those without any input."""

SMALL_HUB = 64
"""Personas of a run without a target. Ours: the paper goes on to a billion."""

LEAST_HUB = 16
"""Personas of a run with a smaller target: some texts and relations give none, and a run must not end over that."""


class PersonaHub(Generator[PersonaRow]):
    """Finds personas in texts, then their colleagues, clients and rivals, and lets each one pull an item out of the LM.

    Round 0 asks who would write, read, like or dislike each text; the next `expansions` rounds ask for people in a
    relation to the personas of the round before; near-copies are dropped by words, and by meaning if there is an
    embedder. Then each persona gives one item a pass: the data types take turns.

    Source: Persona Hub (Ge et al., 2024, arXiv:2406.20094). Sections are named where they are used.

    Args:
        corpus: Where texts come from if no seeds are given: any `Corpus`, or paths of files and folders; None for
            thirty short passages of our own.
        texts: Calls about texts at most; None for half of the hub, all of it without expansions, or all seeds given.
        per_text: Personas asked for a text, each for another action, 1 to 4.
        personas: Size of the hub at which expansion ends; None for as many as rows are wanted, at least 16, or 64
            without a target.
        expansions: Rounds of persona-to-persona. The paper does 6, after six degrees of separation (section 2.2).
        children: Related personas asked for each one expanded. The paper does not say.
        relations: Relations with their inverses, or names only; None for our own 19; empty to leave it to the LM.
        minhash: Jaccard similarity of 1-grams from which personas are copies, in (0, 1]. The paper: 0.9, by MinHash of
            128 permutations (section 2.3).
        embedder: Takes n texts, returns n vectors, or `embedded` for all-MiniLM-L6-v2 in process (extra `embeddings`).
            None compares by words only, and the run says so.
        cosine: Cosine from which personas are copies, in (0, 1]. The paper: 0.9, and 0.5 where diversity counts more.
        checks: Names of our checks of personas, see `synthwright.programs.persona_hub_personas.CHECKS`. Names of people
            and private data are taken out in any case.
        min_specificity: Rating of the role `judge` from which a persona is kept, 1 to 5; None asks no judge.
        language: ISO 639-1 code that texts and personas must be in; None for any.
        data_types: What is made, in turn: `math`, `logic`, `instruction`, `knowledge`, `npc`, `tool`.
        mode: `zero_shot`; `few_shot` with worked examples; `persona_enhanced` with one persona each (section 3).
        examples: Worked examples by data type, with the output fields of its signature; None for our own. One with a
            `persona` keeps it.
        shown: Worked examples of a call, 1 or more.
        focus: What maths problems are about, such as `geometry` or `easy sums`; several take turns.
        puzzles: Kinds of logic puzzles; None for our own six.
        worlds: Game worlds of characters by name, with their lore; None for three of our own.
        item_checks: Names of our checks of items, see `synthwright.programs.persona_hub_items.ITEM_CHECKS`.
        answers: `one` solves problems and answers puzzles and prompts; `agreement` keeps a problem only if two of three
            solvers agree: `solver` in words, `solver` by a program, `second_solver` in words (section 4.1.2).
        same_solver: Let `solver` and `second_solver` be one LM.
        preferences: Also ask for a prompt without one of its requirements and answer it, which makes a pair.
        implement: Also ask for the code of tools. It is parsed, never run.
        passes: Passes over the hub without a target, 1 or more. With one, they go on as long as they give rows.
        baseline: Ask for the same items without any persona, to compare their diversity.
        temperature: Of everything but solving, 0 to 2. The released script uses 0.7.
        top_p: Nucleus, in (0, 1]; None for the LM's own.
        max_tokens: Longest reply in tokens; None for the LM's own limit. Cut replies are never used.
        seed: Fixes actions, relations and who is expanded.

    Raises:
        ConfigError: An argument is out of range or unknown.
    """

    roles = {"judge": ("rate",), "solver": ("solve", "write_program"), "second_solver": ("solve_again",)}
    targets = ("describe", "relate", *WRITERS.values())
    presets: ClassVar = {
        "practical": {
            "expansions": 2,
            "embedder": None,
            "data_types": DATA_TYPES,
            "item_checks": tuple(ITEM_CHECKS),
            "answers": "none",
            "language": "en",
        },
        "faithful": {
            "expansions": 6,
            "embedder": "embedded",
            "data_types": ("math",),
            "item_checks": (),
            "answers": "one",
            "language": None,
        },
    }

    def __init__(
        self,
        corpus: Corpus | str | Sequence[str] | None = None,
        texts: int | None = None,
        per_text: int = 1,
        personas: int | None = None,
        expansions: int = 2,
        children: int = 3,
        relations: Mapping[str, str] | Sequence[str] | None = None,
        minhash: float = 0.9,
        embedder: Callable[[list[str]], Any] | Literal["embedded"] | None = None,
        cosine: float = 0.9,
        checks: Sequence[str] = tuple(CHECKS),
        min_specificity: prompts.Specificity | None = None,
        language: str | None = "en",
        data_types: Sequence[DataType] = DATA_TYPES,
        mode: Literal["zero_shot", "few_shot", "persona_enhanced"] = "zero_shot",
        examples: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        shown: int = 3,
        focus: str | Sequence[str] = "",
        puzzles: Sequence[str] | None = None,
        worlds: Mapping[str, str] | None = None,
        item_checks: Sequence[str] = tuple(ITEM_CHECKS),
        answers: Literal["none", "one", "agreement"] = "none",
        same_solver: bool = False,
        preferences: bool = False,
        implement: bool = False,
        passes: int = 1,
        baseline: bool = False,
        temperature: float = 0.7,
        top_p: float | None = None,
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.corpus, self.texts, self.per_text, self.personas = corpus, texts, per_text, personas
        self.expansions, self.children, self.relations = expansions, children, relations
        self.minhash, self.embedder, self.cosine = minhash, embedder, cosine
        self.checks, self.language, self.data_types = tuple(checks), language, tuple(data_types)
        self.min_specificity: prompts.Specificity | None = min_specificity
        self.mode: Literal["zero_shot", "few_shot", "persona_enhanced"] = mode
        self.examples, self.shown, self.focus, self.puzzles, self.worlds = examples, shown, focus, puzzles, worlds
        self.item_checks, self.same_solver = tuple(item_checks), same_solver
        self.answers: Literal["none", "one", "agreement"] = answers
        self.preferences, self.implement, self.passes, self.baseline = preferences, implement, passes, baseline
        self.temperature, self.top_p, self.max_tokens, self.seed = temperature, top_p, max_tokens, seed
        check_arguments(self)
        sampling = given(temperature=temperature, top_p=top_p, max_tokens=max_tokens)
        self.describe = dspy.Predict(prompts.DescribeReader, **sampling)
        self.relate = dspy.Predict(prompts.FindRelated, **sampling)
        self.write_math = dspy.Predict(prompts.WriteMath, **sampling)
        self.write_riddle = dspy.Predict(prompts.WriteRiddle, **sampling)
        self.write_prompt = dspy.Predict(prompts.WritePrompt, **sampling)
        self.write_article = dspy.Predict(prompts.WriteArticle, **sampling)
        self.write_character = dspy.Predict(prompts.WriteCharacter, **sampling)
        self.write_tool = dspy.Predict(prompts.WriteTool, **sampling)
        if min_specificity is not None:
            self.rate = Frozen(prompts.RatePersona)
        if answers != "none":
            self.solve = Frozen(prompts.SolveProblem)
        if answers == "agreement":
            self.write_program = Frozen(prompts.WriteProgram)
            self.solve_again = Frozen(prompts.SolveProblem)
        if answers != "none" or preferences:
            self.respond = Frozen(prompts.AnswerPrompt, **sampling)
        if preferences:
            self.relax = Frozen(prompts.RelaxPrompt, **sampling)
        if implement:
            self.implement_tool = Frozen(prompts.ImplementTool, **sampling)
        self._worked = worked_examples(as_is(self))
        if mode == "few_shot":
            for data_type, found in self._worked.items():
                bare = ({**each, **blank(data_type), "persona": NOT_GIVEN} for each in found[:shown])
                self.writer(data_type).demos = [dspy.Example(**each) for each in bare]
        self.artifact_filters = {Persona: tuple(self._persona_filters())}
        self.filters = tuple(self._item_filters())

    # What to ask

    def plan(self, pool: Pool[PersonaRow]) -> Yields[Seed, None, str | None]:
        """Texts, then expansions, then passes over the hub until there is nothing more to ask.

        A pass is a round: with a target, they end when as many in a row as there are types gave nothing.
        """
        if self.baseline:
            return (yield from self._passes(plans.Hub(personas=[""] * self._size(pool)), pool, 0))
        if pool.round == 0:
            yield from self._beginning(pool)
            return None
        hub = plans.read_hub(pool)
        room = max(0, self._size(pool) - len(hub))
        if hub.deepest == pool.round - 1 < self.expansions and room:
            related = self._relations()
            yield from plans.expansion(
                hub,
                pool.round,
                rounds=self.expansions,
                room=room,
                children=self.children,
                relations=related,
                seed=self.seed,
            )
            return None
        if not len(hub):
            return "every seed was asked" if len(pool) else "no seed gave a persona; the rejects say why"
        return (yield from self._passes(hub, pool, plans.passes_begin(hub, self.expansions, room)))

    def _size(self, pool: Pool[PersonaRow]) -> int:
        return self.personas or max(pool.target or SMALL_HUB, LEAST_HUB)

    def _beginning(self, pool: Pool[PersonaRow]) -> Iterable[Seed]:
        """Round 0: the worked examples whose personas are to be found, then the texts."""
        if self.mode == "persona_enhanced":
            for data_type in self.data_types:
                for number, example in enumerate(self._worked[data_type]):
                    if not example.get("persona"):
                        yield {"text": text_of(example), "action": "write", "data_type": data_type, "example": number}
        if pool.seeds is not None:
            found = (plans.user_seed(seed, i, self.per_text, self.seed) for i, seed in enumerate(pool.seeds))
            yield from itertools.islice(itertools.chain.from_iterable(found), self.texts)
            return
        half = -(-self._size(pool) // 2) if self.expansions else self._size(pool)
        yield from itertools.islice(plans.text_seeds(self.corpus, self.per_text, self.seed), self.texts or half)

    def _passes(self, hub: plans.Hub, pool: Pool[PersonaRow], first: int) -> Yields[Seed, None, str | None]:
        number = max(0, pool.round - first)
        if pool.target is None and number >= self.passes:
            return self._said("every persona was asked as often as wanted")
        if number >= (turns := len(self.data_types)) and not plans.has_row_since(pool, number - turns):
            return self._said(f"every persona was asked {number} times" if number > 1 else "every persona was asked")
        yield from plans.items(
            hub.personas,
            hub.ids,
            number,
            data_types=self.data_types,
            details=details(as_is(self)),
            examples=enhanced(self._worked, hub.examples) if self.mode == "persona_enhanced" else {},
            shown=self.shown,
        )
        return None

    def _said(self, reason: str) -> str:
        if self.embedder is None and not self.baseline:
            return f"{reason}; personas were compared by their words only (MinHash), there is no embedder"
        return reason

    # How to ask

    async def aforward(
        self,
        text: str = "",
        persona: str = "",
        action: prompts.Action = "read",
        relation: str = "",
        data_type: DataType | None = None,
        detail: str = "",
        example: int | None = None,
        depth: int = 0,
        draw: int = 0,
        demonstrations: Sequence[Mapping[str, Any]] = (),
        parent_ids: Sequence[str] = (),
    ) -> dspy.Prediction:
        """One persona of a text, one related persona, one given persona, or one item.

        Args:
            text: A text to find a persona for.
            persona: A persona: to be expanded if there is a `relation`, to be asked for an item if there is a
                `data_type`, else to be taken into the hub.
            action: What the person does with the text.
            relation: The relation of the wanted persona to this one.
            data_type: Type of the wanted item, or of the worked example.
            detail: Focus of a maths problem, kind of a puzzle, or game world.
            example: Number of the worked example that the text is.
            depth: Expansions that led to the persona.
            draw: Number of the pass over the hub.
            demonstrations: Worked examples for this call, beside those of the predictor.
            parent_ids: Ids of the persona before, or of the row that a text or persona comes from.
        """
        hub, parents = as_is(self), tuple(parent_ids)
        if text.strip() or not (persona.strip() or data_type):
            if example is None:
                return await finding.of_text(hub, text, action, parents)
            assert data_type is not None
            return await finding.of_example(hub, text, action, data_type, example)
        if relation:
            return await finding.related(hub, persona, relation, max(1, depth), parents)
        if data_type is None:
            return await finding.given(hub, persona, parents)
        return await self._item(persona, data_type, detail, draw, demonstrations, parents)

    async def _item(
        self,
        persona: str,
        data_type: DataType,
        detail: str,
        draw: int,
        demonstrations: Sequence[Mapping[str, Any]],
        parent_ids: tuple[str, ...],
    ) -> dspy.Prediction:
        """Persona-driven data synthesis (sections 3 and 4)."""
        writer = self.writer(data_type)
        inputs: dict[str, Any] = {"persona": neutralise(persona) or ANYBODY}
        if field := DETAILS.get(data_type):
            inputs[field] = detail
        if demonstrations:
            inputs["demos"] = [
                *writer.demos,
                *(dspy.Example(**{**blank(data_type), **each}) for each in demonstrations),
            ]
        about = {"persona": persona, "data_type": data_type}
        try:
            reply = await writer.acall(**inputs)
        except ParseError as error:
            return dspy.Prediction(rows=[], rejected=[unparsable(WRITERS[data_type], error, **about)])
        row = PersonaRow(
            persona=persona,
            data_type=data_type,
            mode=self.mode,
            draw=draw,
            detail=detail.partition(":")[0] if data_type == "npc" else detail,  # a world's name, without its lore
            parent_ids=parent_ids,
            **item_fields(data_type, reply),
        )
        problem = item_problem(row, self.item_checks) if row.text else "empty"
        if not problem and self.item_checks:
            problem = repeats_example(row.text, inputs.get("demos", writer.demos))
        if problem:
            lost = reject(WRITERS[data_type], problem, **row.record())
            return dspy.Prediction(rows=[], rejected=[lost])
        made, rejected = await self._answered(row)
        return dspy.Prediction(rows=[made] if made else [], rejected=rejected)

    async def _answered(self, row: PersonaRow) -> answering.Outcome:
        """What is asked for about an item beside it; None if that fails."""
        if row.data_type == "math" and self.answers != "none":
            return await (answering.agreed if self.answers == "agreement" else answering.solved)(self, row)
        if row.data_type == "instruction" and self.preferences:
            return await answering.preferred(self, row)
        if row.data_type in ("logic", "instruction") and self.answers != "none":
            return await answering.replied(self, row)
        if row.data_type == "tool" and self.implement:
            return await answering.implemented(self, row)
        return row, []

    def writer(self, data_type: str) -> dspy.Predict:
        """The predictor of a type of data."""
        return getattr(self, WRITERS[cast(DataType, data_type)])

    # Settings

    def _relations(self) -> Mapping[str, str]:
        found = plans.settings()["relations"] if self.relations is None else self.relations
        return found if isinstance(found, Mapping) else {name: "" for name in found}

    def _persona_filters(self) -> Iterable[Filter]:
        yield MinHashNovelty("persona", threshold=self.minhash)
        if self.embedder is not None:
            embed = Embedder() if isinstance(self.embedder, str) else self.embedder
            yield EmbeddingNovelty("persona", embed, threshold=self.cosine, metric="cosine")

    def _item_filters(self) -> Iterable[Filter]:
        yield SpecialTokens(("text", "title", "interaction", "response", "rejected_response"))
        if self.item_checks:
            yield Refusal("text")
            yield Repetition("text")
        yield ExactDuplicate(("data_type", "text", "title"))
