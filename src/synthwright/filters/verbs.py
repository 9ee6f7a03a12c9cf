"""Which verbs and objects a set of instructions asks for: the coverage that Self-Instruct plots, without a parser."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["VerbNouns", "verb_noun", "verb_noun_coverage"]

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[.!?;:,()\[\]\"\n]|\d+")

_VERBS = frozenset(
    "add adapt adjust analyze analyse annotate answer apply argue arrange ask assess assign assume balance "
    "brainstorm build calculate categorize change check choose cite clarify classify clean code collect combine "
    "comment compare compile complete compose compress compute conduct connect consider construct contrast convert "
    "correct count craft create critique debate debug decide decode deduce define delete demonstrate derive "
    "describe design detect determine develop devise differentiate discover discuss display distinguish divide "
    "draft draw edit elaborate eliminate encode enumerate estimate evaluate examine execute expand explain explore "
    "express extend extract factor fill filter find fix format formulate gather generate give group guess highlight "
    "hypothesize identify illustrate imagine implement improve include infer insert integrate interpret introduce "
    "invent investigate join judge justify label list locate make map mark match measure mention merge minimize "
    "model modify multiply name offer optimize order organize outline parse paraphrase perform plan plot point "
    "predict prepare present prioritize produce propose prove provide quote rank rate read rearrange recommend "
    "record reduce refactor refine remove rename reorder rephrase replace reply report represent research respond "
    "restate retrieve reverse review revise rewrite round sample search select separate show simplify simulate "
    "sketch solve sort specify split spot state structure subtract suggest summarize summarise supply support "
    "survey swap tag take teach tell test think trace transcribe transform translate turn update use validate "
    "verify visualize weigh write".split()
)
_AUXILIARY = frozenset(
    "please kindly can could would will you i we want need like to help me let us let's your task is".split()
)
_BEFORE_NOUN = frozenset(
    "a an the this that these those my your our their his her its some any all each every both another other no me "
    "us them him it one two three four five six seven eight nine ten several many few more most least less".split()
)
_ENDS_NOUN = frozenset(
    "about above according across after against along among and are around as at based because been before being "
    "below between but by can could describing do does down during explaining for from given has have how if in "
    "including inside into is like may might must near not of off on onto or out over per regarding should showing "
    "since so such than that then through to toward under until up upon using was were what when where whether "
    "which while who whose you why will with within without would".split()
)
_SKIPPED = frozenset("very really quite also then only just not clearly briefly carefully concisely".split())


@dataclass(frozen=True)
class VerbNouns:
    """Verbs with their objects in a set of instructions.

    Attributes:
        counts: How often each (verb, noun) stands.
        total: Instructions read.
    """

    counts: Counter[tuple[str, str]]
    total: int

    @property
    def found(self) -> int:
        """Instructions in which a verb with an object was found; Self-Instruct: 26,559 of 52,445."""
        return self.counts.total()

    @property
    def distinct(self) -> int:
        """Different pairs of verb and noun."""
        return len(self.counts)

    @property
    def verbs(self) -> Counter[str]:
        """How often each verb stands."""
        total: Counter[str] = Counter()
        for (verb, _), count in self.counts.items():
            total[verb] += count
        return total

    def top(self, verbs: int = 20, nouns: int = 4) -> dict[str, list[tuple[str, int]]]:
        """The most frequent verbs with their most frequent objects, as in figure 3 of Self-Instruct."""
        table = {}
        for verb, _ in self.verbs.most_common(verbs):
            objects = Counter({noun: count for (other, noun), count in self.counts.items() if other == verb})
            table[verb] = objects.most_common(nouns)
        return table


def verb_noun(instruction: str) -> tuple[str, str] | None:
    """The verb of an English instruction and the head noun of its object, or None.

    A heuristic, no parser: the verb is the first of some 200 verbs of instructions in the first clause that has one
    at its beginning, after courtesies; the object is the last word before a preposition, conjunction or mark, since
    English noun phrases end with their head. "Write a short poem about the sea" gives (write, poem).
    """
    tokens = _TOKEN.findall(instruction.lower().replace("\u2019", "'"))
    for place, token in enumerate(tokens):
        if token not in _VERBS or not _begins_clause(tokens[:place]):
            continue
        head = None
        for word in tokens[place + 1 :]:
            if word in _BEFORE_NOUN or word in _SKIPPED or word.isdigit():
                if head is not None and word not in _SKIPPED and not word.isdigit():
                    break
                continue
            if word in _ENDS_NOUN or not word[0].isalpha():
                if head is None and word in ('"', "(", "["):
                    continue
                break
            head = word.removesuffix("'s")
        if head is not None:
            return token, head
    return None


def _begins_clause(before: list[str]) -> bool:
    """Whether the words since the last mark are courtesies only."""
    for token in reversed(before):
        if not token[0].isalnum():
            return True
        if token not in _AUXILIARY and token not in _SKIPPED and not token.isdigit():
            return False
    return True


def verb_noun_coverage(instructions: Iterable[str]) -> VerbNouns:
    """Verbs and objects of a set of instructions, by the heuristic of `verb_noun`.

    Source: Self-Instruct (Wang et al., 2023, figure 3), which uses a parser; counts are not comparable with its.
    """
    pairs = [verb_noun(instruction) for instruction in instructions]
    return VerbNouns(Counter(pair for pair in pairs if pair is not None), len(pairs))
