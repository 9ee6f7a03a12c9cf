"""Questions of debates: reading seeds, and choosing the verifier that fits."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from synthwright.errors import ConfigError, did_you_mean
from synthwright.programs.blocks.instruction_seeds import first_given, parents_of
from synthwright.signatures.debate_reflect import ANSWER_FORMATS, AnswerKind
from synthwright.verify import Choice, Label, Math, Number, Value, Verifier, options_of

__all__ = ["KINDS", "answer_format", "question_seed", "verifier_for"]

KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
_QUESTION = ("question", "instruction", "problem")
_ANSWER = ("answer", "gold", "final_answer", "response")
_KNOWN = {*_QUESTION, *_ANSWER, "kind", "labels", "draw", "check", "id", "parent_ids"}


def question_seed(seed: Mapping[str, Any], index: int) -> dict[str, Any]:
    """The arguments of `aforward` from a seed.

    A seed has a question (also named `instruction` or `problem`) and a known answer (also named `gold`, `final_answer`
    or `response`), which may be a worked solution with its answer in a box. Rows of other methods fit: their other
    fields are left out, and their `id` becomes the parent.

    Raises:
        ConfigError: It has no question, no answer, or an unknown kind.
    """
    question = next((seed[name] for name in _QUESTION if seed.get(name)), None)
    answer = first_given(seed, _ANSWER)
    kind, labels = seed.get("kind", "auto"), seed.get("labels") or ()
    if not isinstance(question, str) or not isinstance(answer, str | int | float) or isinstance(answer, bool):
        raise ConfigError(
            f"Seed {index} is {dict(seed)!r}; a seed of DebateReflect has a `question` and an `answer`, both text."
        )
    if kind not in ("auto", *KINDS):
        raise ConfigError(f"Seed {index} has the kind {kind!r}. {did_you_mean(str(kind), ('auto', *KINDS))}")
    if "id" not in seed and (unknown := set(seed) - _KNOWN):
        raise ConfigError(
            f"Seed {index} has the unknown field {sorted(unknown)[0]!r}; known: {', '.join(sorted(_KNOWN))}."
        )
    parents = parents_of(seed)
    made = {"question": question, "answer": str(answer), "kind": kind, "draw": seed.get("draw", 0)}
    return {**made, **({"labels": list(labels)} if labels else {}), **({"parent_ids": parents} if parents else {})}


def verifier_for(
    question: str, answer: str, kind: str, labels: Sequence[str] = ()
) -> tuple[AnswerKind, Verifier[Any]] | None:
    """The kind of an answer and its verifier, or None if the known answer cannot be read as that kind.

    `auto` takes a choice if the question lists options and the answer names one, a label if there are labels, then a
    number, then a formula.

    Args:
        question: The question, with its options as lines such as `A) Paris`.
        answer: The known answer.
        kind: One of `KINDS`, or `auto`.
        labels: The labels, for the kind `label`.
    """
    options = options_of(question)
    made: dict[AnswerKind, Verifier[Any]] = {"number": Number(), "math": Math(), "value": Value()}
    made["choice"] = Choice("".join(options), tuple(options.values())) if options else Choice("ABCDEFGHIJ")
    if len(labels) > 1:
        made["label"] = Label(tuple(labels))
    if kind == "auto":
        order: tuple[AnswerKind, ...] = (*(("choice",) if options else ()), "label", "number", "math")
    else:
        order = (cast(AnswerKind, kind),)
    for each in order:
        if each in made and made[each].canonical(answer) is not None:
            return each, made[each]
    return None


def answer_format(kind: AnswerKind, labels: Sequence[str] = ()) -> str:
    """What agents are told about the form of the answer."""
    return ANSWER_FORMATS[kind].format(labels=", ".join(labels))
