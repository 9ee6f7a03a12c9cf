"""Magpie: an aligned LM writes the queries that its chat template leads it to expect, then answers them."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import dspy

from synthwright.errors import ConfigError, ParseError
from synthwright.filters import EmbeddingNovelty, EndsWith, ExactDuplicate, Filter, MinHashNovelty
from synthwright.lms.embeddings import Embedder
from synthwright.lms.raw import RawCompletion
from synthwright.pool import Pool, Seed
from synthwright.programs.base import Generator, unparsable
from synthwright.programs.blocks.chat import Chat, plain
from synthwright.programs.blocks.instruction_seeds import is_row, seed_of_row
from synthwright.programs.blocks.models import one_lm
from synthwright.programs.magpie_arguments import check_arguments
from synthwright.programs.magpie_filters import LevelAtLeast, RewardAbove, RewardGain, Safe, SeekingShare
from synthwright.programs.magpie_queries import UsableQuery, sanitize
from synthwright.programs.magpie_recipes import NEAR
from synthwright.programs.magpie_templates import stop_strings, user_slot
from synthwright.signatures.magpie import DOMAINS, MULTI_ROUND, ClassifyQuery, MagpieRow, RateDifficulty, RateQuality
from synthwright.signatures.rows import Message, Rejected

__all__ = ["Magpie"]

SAME_WORDS = 0.8
"""Jaccard similarity of their words from which two queries are near-duplicates where there is no embedder. Ours."""


class Magpie(Generator[MagpieRow]):
    """Samples queries from the bare user slot of an LM's chat template, answers them, tags them, filters them.

    There are no seeds and no prompt for the queries. The LM of the role `generator` must be instruction-tuned and take
    raw completions; the tags use the role `judge`. A seed may give an `instruction`, which is then answered and tagged
    instead of a sampled one, and a `response` with it, which leaves only the tags (and further turns).

    Files named are those of the authors' repository, github.com/magpie-align/magpie.

    Args:
        turns: Exchanges of a conversation, 1 or more; the paper's multi-turn sets have 2.
        system: System message before the sampled user turns, to steer their domain; absent when they are answered
            (`configs/model_configs.json`).
        domain: `math`, `code` or `translation`: a system message of ours as `system`.
        turn_system: System message while the user turns after the first are sampled; absent when they are answered
            (`exp/gen_mt.py`). None for none, which LMs without a system turn need.
        family: Name of a family of models (`llama-3`, `qwen-2`, `qwen-2.5`, `gemma-2`, `phi-3`, `mistral`, `llama-2`,
            `yi-1.5`) whose chat template is known here, for servers that do not tell theirs.
        prefix: Text of the LM's chat template up to the user's first word, for servers that do not tell their
            template, where no family fits. For one turn, without `system`, and without BOS, which servers add.
        temperature: Of the queries, 0 or more. The paper: 1.0, in its released sets up to 1.25.
        top_p: Of the queries, in (0, 1].
        query_tokens: Longest query in tokens; one that reaches it is dropped.
        response_tokens: Longest answer in tokens; one that reaches it is dropped.
        tag_tokens: Longest reply of a tagger in tokens.
        early_stopping: Whether a query ends at its first newline. The paper's code stops there, as some LMs go on to
            answer; it cuts code, tables and letters to stumps.
        stop_words: Further stop strings of the first query, such as the role word `assistant` of the paper's code,
            which also cuts queries that mention one.
        sanitize: Whether labels, numbering, markdown and answers are stripped from queries.
        usable: Whether rows must pass `UsableQuery`.
        tags: Whether difficulty, quality and category are tagged, an LM call each.
        min_quality: Lowest quality kept, if tags are on; None keeps all.
        min_difficulty: Lowest difficulty kept, if tags are on; None keeps all.
        max_seeking: Largest share of rows that seek information or advice, in (0, 1], if tags are on.
        embedder: Takes n texts, returns n vectors, or `embedded` for all-MiniLM-L6-v2 in process (extra `embeddings`).
            With it, near-duplicates are queries within a squared distance of 0.05 (`exp/gen_dis.py`), and funnels say
            `embedding_novelty`. Without it, they are queries that share 0.8 of their words (Jaccard, by MinHash), which
            misses paraphrases, and funnels say `min_hash_novelty`.
        reward: Takes instruction and response, returns a number. Without it there is no reward and no filter on it.
        min_reward: Rewards must be above it; -10 in the paper's recipe, for its reward model.
        base_answers: Whether the role `base`, another LM than `generator`, answers each query too, so that `reward` can
            tell how much better the response is (the paper's reward difference).
        min_gain: That difference must be above it, if there are base answers; the paper: 0.
        safety: Takes instruction and response, returns `safe` or what is wrong. Without it nothing is checked.
        language: Takes the instruction, returns its language. Without it the field is None.
        preferences: Whether each query also gets a pair for preference tuning: of `samples` answers at temperature
            0.8 the best and the worst by `reward`. For one turn.
        samples: Answers of a pair, 2 or more; the paper: 5.
        total: Queries sampled in a run without a target; the paper's script: 1,000.

    Raises:
        ConfigError: An argument is out of range, or two of them exclude each other.
    """

    roles: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "judge": ("rate_difficulty", "rate_quality", "classify"),
        "base": ("respond_base",),
    }
    targets: ClassVar[tuple[str, ...]] = ("rate_difficulty", "rate_quality", "classify")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "practical": {
            "query_tokens": 192,
            "response_tokens": 512,
            "tag_tokens": 256,
            "early_stopping": False,
            "stop_words": (),
            "sanitize": True,
            "usable": True,
            "min_quality": "average",
            "embedder": None,
        },
        "faithful": {
            "query_tokens": 2048,
            "response_tokens": 4096,
            "tag_tokens": 1024,
            "early_stopping": True,
            "stop_words": ("assistant", "Assistant"),
            "sanitize": False,
            "usable": False,
            "min_quality": "good",
            "embedder": "embedded",
        },
    }

    def __init__(
        self,
        turns: int = 1,
        system: str | None = None,
        domain: str | None = None,
        turn_system: str | None = MULTI_ROUND,
        family: str | None = None,
        prefix: str | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        query_tokens: int = 192,
        response_tokens: int = 512,
        tag_tokens: int = 256,
        early_stopping: bool = False,
        stop_words: Sequence[str] = (),
        sanitize: bool = True,
        usable: bool = True,
        tags: bool = True,
        min_quality: str | None = "average",
        min_difficulty: str | None = None,
        embedder: Callable[[list[str]], Any] | Literal["embedded"] | None = None,
        reward: Callable[[str, str], float] | None = None,
        min_reward: float = -10.0,
        base_answers: bool = False,
        min_gain: float = 0.0,
        safety: Callable[[str, str], str] | None = None,
        language: Callable[[str], str] | None = None,
        preferences: bool = False,
        samples: int = 5,
        max_seeking: float = 1.0,
        total: int = 1000,
    ) -> None:
        super().__init__()
        self.turns, self.system, self.domain, self.turn_system = turns, system, domain, turn_system
        self.family, self.prefix = family, prefix
        self.temperature, self.top_p = temperature, top_p
        self.early_stopping, self.stop_words = early_stopping, stop_words
        self.query_tokens, self.response_tokens, self.tag_tokens = query_tokens, response_tokens, tag_tokens
        self.sanitize, self.usable, self.tags = sanitize, usable, tags
        self.min_quality, self.min_difficulty, self.max_seeking = min_quality, min_difficulty, max_seeking
        self.embedder, self.reward, self.min_reward = embedder, reward, min_reward
        self.base_answers, self.min_gain = base_answers, min_gain
        self.safety, self.language = safety, language
        self.preferences, self.samples, self.total = preferences, samples, total
        check_arguments(self)
        self.query = RawCompletion(temperature=temperature, top_p=top_p, max_tokens=query_tokens)
        self.respond = Chat(temperature=0.0, max_tokens=response_tokens)
        if base_answers:
            self.respond_base = Chat(temperature=0.0, max_tokens=response_tokens)
        self.resample = Chat(temperature=0.8, max_tokens=response_tokens)  # process_po.ipynb
        self.rate_difficulty = dspy.Predict(RateDifficulty, temperature=0.0, max_tokens=tag_tokens)
        self.rate_quality = dspy.Predict(RateQuality, temperature=0.0, max_tokens=tag_tokens)
        self.classify = dspy.Predict(ClassifyQuery, temperature=0.0, max_tokens=tag_tokens)
        self.filters = tuple(self._filters())

    def plan(self, pool: Pool[MagpieRow]) -> Iterable[Seed]:
        """Numbered draws, which all ask the same; or the instructions that the user gave.

        A seed may also be a row of another run (`row.record()`, a line of `rows.jsonl`) of any method whose rows have
        an instruction: it is answered, if it has no response yet, and tagged, and stays in `parent_ids`.
        """
        if pool.seeds is not None:
            seeds = super().plan(pool)
            return (seed_of_row(seed, i) if is_row(seed) else seed for i, seed in enumerate(seeds))
        draws = itertools.count() if pool.target is not None else range(self.total) if pool.round == 0 else ()
        return ({"draw": draw} for draw in draws)

    async def aforward(
        self,
        draw: int = 0,
        instruction: str | None = None,
        response: str | None = None,
        parent_ids: Sequence[str] = (),
    ) -> dspy.Prediction:
        """One conversation.

        Args:
            draw: Tells seeds apart that ask the same.
            instruction: The first query, given instead of sampled.
            response: Its answer, given instead of asked for.
            parent_ids: Ids of the rows of another run that the first query was taken from.
        """
        if response is not None and instruction is None:
            raise ConfigError(f"A seed with a `response` needs its `instruction` too, got {response!r} alone.")
        talk: list[Message] = []
        raw, rules = instruction or "", ()
        for turn in range(self.turns):
            query = instruction if turn == 0 else None
            if query is None:
                prefix, stop = await self._user_slot(talk)
                sampled = await self.query.acall(prefix=prefix, stop=stop)
                query, fired = sanitize(sampled.text) if self.sanitize else (sampled.text.strip(), ())
                raw, rules = (raw, rules) if turn else (sampled.text.strip(), fired)
                if sampled.truncated:
                    return _lost("query", "truncated", sampled.text, talk)
            if not query.strip():
                return _lost("query", "empty", query, talk)
            talk.append(Message(role="user", content=query))
            answer = response if turn == 0 else None
            if answer is None:
                try:
                    answer = (await self.respond.acall(messages=talk)).text
                except ParseError as error:
                    return dspy.Prediction(rows=[], rejected=[unparsable("respond", error, messages=plain(talk))])
                if not answer:
                    return _lost("respond", "empty", "", talk)
            talk.append(Message(role="assistant", content=answer))
        fields, rejected = await self._describe(talk[0].content, talk[1].content)
        if fields is None:
            return dspy.Prediction(rows=[], rejected=rejected)
        row = MagpieRow(
            instruction=talk[0].content,
            response=talk[1].content,
            messages=tuple(talk),
            raw_instruction=raw if rules else None,
            sanitized=rules,
            instruction_length=len(talk[0].content.split()),
            response_length=len(talk[1].content.split()),
            parent_ids=tuple(parent_ids),
            **fields,
        )
        return dspy.Prediction(rows=[row], rejected=rejected)

    async def _user_slot(self, talk: Sequence[Message]) -> tuple[str, tuple[str, ...]]:
        """The text that ends where the LM expects the user's next words, and the strings that end those."""
        if self.prefix is not None:
            before, stop = self.prefix, stop_strings(self.prefix)
        else:
            domain = self.system if self.domain is None else DOMAINS[self.domain]
            system = "\n\n".join(text for text in (domain, self.turn_system if talk else None) if text)
            before, stop = await user_slot(self.query, plain(talk), system, self.family)
        words = () if talk else tuple(self.stop_words)
        newline = ("\n",) if self.early_stopping else ()
        return before, (*stop, *words, *newline)

    async def _describe(self, query: str, answer: str) -> tuple[dict[str, Any] | None, list[Rejected]]:
        """Tags, rewards and pair of an exchange as fields of its row (None: there is no row), and what was dropped."""
        fields: dict[str, Any] = {}
        content = {"instruction": query, "response": answer}
        for name in ("rate_difficulty", "rate_quality", "classify") if self.tags else ():
            try:
                tags = await getattr(self, name).acall(query=query)
            except ParseError as error:
                return None, [unparsable(name, error, **content)]
            fields.update({field: tags[field] for field in MagpieRow.model_fields if field in tags})
        if self.tags:
            others = dict.fromkeys(fields["other_categories"])
            fields["other_categories"] = tuple(other for other in others if other != fields["category"])
        if self.reward is not None:
            fields["reward"] = await asyncio.to_thread(self.reward, query, answer)
        if self.base_answers and self.reward is not None:
            try:
                fields["base_response"] = await self._base_answer(query)
            except ParseError as error:
                return None, [unparsable("respond_base", error, **content)]
            fields["base_reward"] = await asyncio.to_thread(self.reward, query, fields["base_response"])
        if self.safety is not None:
            fields["safety"] = await asyncio.to_thread(self.safety, query, answer)
        if self.language is not None:
            fields["language"] = await asyncio.to_thread(self.language, query)
        if not (self.preferences and self.reward):
            return fields, []
        pair, rejected = await self._pair(query, self.reward)
        if pair is None:
            return None, [*rejected, Rejected(stage="resample", reason="no_preference", content=content)]
        return {**fields, **pair}, rejected

    async def _base_answer(self, query: str) -> str:
        if one_lm(self.respond, self.respond_base):
            raise ConfigError(
                "`base_answers` compares two LMs, and `base` is served by the LM of `generator`: pass "
                "`lms={'generator': lm, 'base': other}`."
            )
        return (await self.respond_base.acall(messages=[Message(role="user", content=query)])).text

    async def _pair(
        self, query: str, reward: Callable[[str, str], float]
    ) -> tuple[dict[str, Any] | None, list[Rejected]]:
        """The best and the worst of several answers; None if no answer is better than another."""
        scored: list[tuple[float, str]] = []
        rejected = []
        for _ in range(self.samples):
            try:
                answer = (await self.resample.acall(messages=[Message(role="user", content=query)])).text
            except ParseError as error:
                rejected.append(unparsable("resample", error, instruction=query))
                continue
            if not answer:
                rejected.append(Rejected(stage="resample", reason="empty", content={"instruction": query}))
                continue
            scored.append((await asyncio.to_thread(reward, query, answer), answer))
        best, worst = max(scored, default=(0.0, "")), min(scored, default=(0.0, ""))
        if best[0] <= worst[0]:
            return None, rejected
        pair = {"chosen": best[1], "chosen_reward": best[0], "rejected": worst[1], "rejected_reward": worst[0]}
        return pair, rejected

    def _filters(self) -> Iterable[Filter]:
        yield EndsWith("instruction")
        if self.usable:
            yield UsableQuery()
        if self.tags and self.min_quality is not None:
            yield LevelAtLeast("quality", self.min_quality)
        if self.tags and self.min_difficulty is not None:
            yield LevelAtLeast("difficulty", self.min_difficulty)
        if self.safety is not None:
            yield Safe()
        if self.reward is not None:
            yield RewardAbove(self.min_reward)
        if self.base_answers:
            yield RewardGain(self.min_gain)
        yield ExactDuplicate(("instruction",))
        if self.embedder is not None:
            embed = Embedder() if isinstance(self.embedder, str) else self.embedder
            yield EmbeddingNovelty("instruction", embed, threshold=NEAR)
        else:
            yield MinHashNovelty("instruction", threshold=SAME_WORDS)
        if self.tags and self.max_seeking < 1:
            yield SeekingShare(self.max_seeking)


def _lost(stage: str, reason: str, text: str, talk: Sequence[Message]) -> dspy.Prediction:
    content = {"reply": text, "messages": plain(talk)}
    return dspy.Prediction(rows=[], rejected=[Rejected(stage=stage, reason=reason, content=content)])
