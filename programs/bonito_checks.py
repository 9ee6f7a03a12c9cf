"""What a task of each of Bonito's types must be, checked without an LM. The original has no such checks.

All of them read the instruction without its passage, so that options which happen to stand in the passage do not count.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from synthwright.programs.blocks.texts import occurrences, restates, words
from synthwright.programs.bonito_templates import meta_templates, shows_passage
from synthwright.programs.bonito_types import TaskType

__all__ = ["CHECKS", "Draft", "chosen", "same_answer", "task_problem", "token_f1"]

SAME = 0.5
"""Token F1 (Rajpurkar et al., 2016) from which two free answers count as the same. Ours."""

LONGEST = 50
"""Words of a question, an answer, a statement or an option, at most. Ours."""

FEWEST = 3
"""Options of a task that has some, at least; four are asked for. Ours."""

NOVEL = 0.75
"""Share of the pairs of neighbouring words that must differ from each other. Ours."""

_LONG = ("paraphrase", "second_text", "written_text", "summary")
_PRONOUNS = frozenset(
    "he him his himself she her hers herself it its itself they them their theirs themselves this that these those who "
    "whom whose which one ones".split()
)
_GAP = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_QUOTED = re.compile(r"[\"'“‘`*]++([\w-]+)[\"'”’`*]+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_SMALL = frozenset(
    "a about all also an and are as at be by can did do does for from had has have he her his how i if in into is it "
    "its more most no not of on one only or other our say she so some such text than that the their them then there "
    "these they this those to two used was we were what when where which who will with word words would yes you your "
    "passage same different meaning sense senses true false sentence first second both mean means".split()
)
_YES_NO = ({"yes", "no"}, {"true", "false"}, {"correct", "incorrect"})
_VOCABULARIES: Mapping[str, tuple[set[str], ...]] = {
    "ynqa": ({"yes", "no", "maybe"}, {"true", "false"}),
    "te": (*_YES_NO, {"entailment", "not entailment"}),
    "nli": (
        {"yes", "no", "maybe"},
        {"true", "false", "neither"},
        {"entailment", "neutral", "contradiction"},
        {"always", "sometimes", "never"},
        {"correct", "inconclusive", "incorrect"},
        {"guaranteed", "possible", "impossible"},
    ),
    "wsd": (*_YES_NO, {"same", "different"}, {"similar", "different"}),
    "paraphrase_id": (*_YES_NO, {"same", "different"}, {"paraphrase", "not a paraphrase"}),
}
"""Answers that a type takes, if the instruction does not come from a meta-template that names its own."""


@dataclass(frozen=True)
class Draft:
    """A task before it is a row.

    Attributes:
        kind: Its type.
        template: The instruction with a placeholder for the passage.
        instruction: The instruction with the passage.
        response: The response.
        passage: The passage as the LM saw it.
        parts: What the LM wrote for a meta-template, by gap; empty for other forms.
        options: Options or words of the labels, in their order; empty if they are not known.
        label: The label that was asked for or given; empty if there is none.
        meta_template: Name of the meta-template; empty for the checkpoint.
    """

    kind: TaskType
    template: str
    instruction: str
    response: str
    passage: str
    parts: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    label: str = ""
    meta_template: str = ""

    @property
    def task(self) -> str:
        """The instruction without its passage."""
        return _GAP.sub(lambda gap: " " if gap[1] == "context" else gap[0], self.template)


def shows_the_passage(draft: Draft) -> str | None:
    """The passage stands in the instruction, once."""
    count = shows_passage(draft.template)
    return None if count == 1 else f"passage_shown_{count}_times: {draft.template[:80]!r}"


def no_open_gap(draft: Draft) -> str | None:
    """No gap of a template was left open."""
    gaps = [] if draft.parts else [gap[0] for gap in _GAP.finditer(draft.task)]
    return f"open_gap: {gaps[0]}" if gaps else None


def asks_something(draft: Draft) -> str | None:
    """There are words around the passage, and in all that the LM wrote."""
    if lacking := next((name for name, text in draft.parts.items() if not words(text)), None):
        return f"empty: {lacking}"
    return None if words(draft.task) else "no_task: nothing is asked"


def no_rambling(draft: Draft) -> str | None:
    """What the LM wrote has the length of its kind, and does not go in circles."""
    for name, text in draft.parts.items() or {"response": draft.response}.items():
        found = words(text)
        if name not in _LONG and len(found) > LONGEST and draft.parts:
            return f"too_long: {name} has {len(found)} words"
        pairs = list(itertools.pairwise(found))
        if len(pairs) >= 12 and len(set(pairs)) < NOVEL * len(pairs):
            return f"goes_in_circles: {text[:80]!r}"
    return None


def not_the_passage(draft: Draft) -> str | None:
    """The response is not merely the whole passage, or the task itself."""
    if words(draft.response) == words(draft.passage):
        return "response_is_the_passage"
    repeated = len(words(draft.response)) > 3 and words(draft.response) == words(draft.task)
    return "response_is_the_task" if repeated else None


def form_of_the_type(draft: Draft) -> str | None:
    """The response has the form of its type; see `FORMS`."""
    for rule in FORMS[draft.kind.short]:
        if found := rule(draft):
            return found
    return None


def a_span(draft: Draft) -> str | None:
    found = occurrences(draft.response, draft.passage)
    if not found and _UNSPACED.search(draft.response):  # scripts without spaces between words
        found = draft.response.strip() in draft.passage
    return None if found else f"not_in_the_passage: {draft.response[:80]!r}"


def not_given_away(draft: Draft) -> str | None:
    question = draft.parts.get("question", "")
    return f"answer_in_the_question: {draft.response[:60]!r}" if occurrences(draft.response, question) else None


def a_question(draft: Draft) -> str | None:
    question = draft.parts.get("question")
    if question is None and draft.kind.short == "qg":
        question = draft.response
    if question is None:
        return None
    return None if question.strip().endswith("?") and question.count("?") == 1 else f"no_question: {question[:80]!r}"


def from_the_passage(draft: Draft) -> str | None:
    """What the question asks for stands in the passage, if it is known, and not in the question."""
    answer = draft.parts.get("answer")
    if answer is not None and not occurrences(answer, draft.passage):
        return f"not_in_the_passage: {answer[:80]!r}"
    if answer is not None and occurrences(answer, draft.response):
        return f"answer_in_the_question: {answer[:60]!r}"
    return None


def an_option(draft: Draft) -> str | None:
    if draft.options:
        folded = [" ".join(words(option)) for option in draft.options]
        if len(folded) < FEWEST:
            return f"too_few_options: {len(folded)}"
        if len(set(folded)) < len(folded) or not all(folded):
            return f"options_not_distinct: {', '.join(draft.options)[:80]}"
        return None if " ".join(words(draft.response)) in folded else f"not_an_option: {draft.response[:80]!r}"
    count = occurrences(draft.response, draft.task)
    if count != 1:
        return f"not_an_option: {draft.response[:80]!r}" if not count else f"ambiguous_option: {draft.response[:80]!r}"
    return None


def offered(draft: Draft) -> str | None:
    named = occurrences(draft.response, draft.task)
    return None if named else f"not_offered: {draft.response[:80]!r}"


def of_the_vocabulary(draft: Draft) -> str | None:
    known = [{" ".join(words(option)) for option in draft.options}] if draft.options else vocabularies(draft.kind.short)
    said = " ".join(words(draft.response))
    if any(said in words_of for words_of in known):
        return None
    return f"not_a_label: {draft.response[:60]!r}"


def names_the_pronoun(draft: Draft) -> str | None:
    pronoun = draft.parts.get("pronoun")
    if pronoun is None:
        named = [word for word in words(draft.task) if word in _PRONOUNS - {"this", "that", "which", "who", "whom"}]
        return None if any(occurrences(word, draft.passage) for word in named) else "no_pronoun"
    if " ".join(words(pronoun)) not in _PRONOUNS or not occurrences(pronoun, draft.passage):
        return f"no_pronoun: {pronoun[:40]!r}"
    return f"points_at_itself: {draft.response[:40]!r}" if set(words(draft.response)) <= _PRONOUNS else None


def names_a_word(draft: Draft) -> str | None:
    """The word stands in the passage, and in the second sentence if that is known."""
    word = draft.parts.get("word")
    if word is None:
        named = _QUOTED.findall(draft.task) or [found for found in words(draft.task) if found not in _SMALL]
        return None if any(occurrences(found, draft.passage) for found in named) else "no_word_of_the_passage"
    if len(words(word)) != 1 or words(word)[0] in _SMALL or not occurrences(word, draft.passage):
        return f"no_word_of_the_passage: {word[:40]!r}"
    if not occurrences(word, draft.parts["sentence"]):
        return f"word_missing: {word[:40]!r}"
    return "sentence_from_the_passage" if occurrences(draft.parts["sentence"], draft.passage) else None


def shorter(draft: Draft) -> str | None:
    size, whole = len(words(draft.response)), len(words(draft.passage))
    return None if size < whole else f"not_shorter: {size} words of {whole}"


def reworded(draft: Draft) -> str | None:
    size, whole = len(words(draft.response)), len(words(draft.passage))
    if restates(draft.response, draft.passage):
        return "copy_of_the_passage"
    return None if 0.4 * whole <= size <= 2.5 * whole else f"other_length: {size} words for {whole}"


def on_the_subject(draft: Draft) -> str | None:
    """A content word is shared with the passage."""
    shared = (set(words(draft.response)) & set(words(draft.passage))) - _SMALL
    return None if shared else f"off_topic: {draft.response[:80]!r}"


def new_statement(draft: Draft) -> str | None:
    """What is compared with the passage is not the passage; a second text says it otherwise, or says something else."""
    text = draft.parts.get("hypothesis") or draft.parts.get("second_text") or ""
    if not text:
        return None
    near = "second_text" in draft.parts and restates(text, draft.passage)
    if words(text) == words(draft.passage) or (near and draft.label == "same"):
        return "copy_of_the_passage"
    nothing_new = near and set(words(text)) <= set(words(draft.passage))
    return f"no_difference: {text[:80]!r}" if nothing_new and draft.label == "different" else None


def new_ending(draft: Draft) -> str | None:
    return "ending_from_the_passage" if occurrences(draft.response, draft.passage) else None


def own_text(draft: Draft) -> str | None:
    return "copy_of_the_passage" if restates(draft.response, draft.passage) else None


Rule = Callable[[Draft], str | None]
FORMS: Mapping[str, tuple[Rule, ...]] = {
    "exqa": (a_question, a_span, not_given_away),
    "mcqa": (a_question, an_option, not_given_away),
    "qg": (a_question, on_the_subject, from_the_passage),
    "qa": (a_question, not_given_away),
    "ynqa": (a_question, of_the_vocabulary),
    "coref": (names_the_pronoun, a_span),
    "paraphrase": (reworded, on_the_subject),
    "paraphrase_id": (of_the_vocabulary, new_statement),
    "sent_comp": (an_option, new_ending),
    "sentiment": (offered,),
    "summarization": (shorter,),
    "text_gen": (on_the_subject, own_text),
    "topic_class": (an_option,),
    "wsd": (names_a_word, of_the_vocabulary),
    "te": (of_the_vocabulary, new_statement),
    "nli": (of_the_vocabulary, new_statement),
}
"""What the response of each type must be, by its short name."""

CHECKS: Mapping[str, Rule] = {
    check.__name__: check
    for check in (shows_the_passage, no_open_gap, asks_something, no_rambling, not_the_passage, form_of_the_type)
}
"""Our checks by name, in the order in which they are made."""


def task_problem(draft: Draft, checks: Iterable[str]) -> str | None:
    """What is wrong with a task by some checks, as `reason` or `reason: detail`; None if nothing is."""
    return next((found for name in checks if (found := CHECKS[name](draft))), None)


def vocabularies(short: str) -> list[set[str]]:
    """The sets of answers that a type of labels takes: the usual ones and those of its meta-templates."""
    shipped = [{" ".join(words(word)) for word in t.says.values()} for t in meta_templates()[short].templates]
    return [*_VOCABULARIES.get(short, ()), *shipped]


def same_answer(answer: str, response: str, options: Iterable[str] = ()) -> bool:
    """Whether a solver's answer is the response: the same option, or words in common for free answers.

    Args:
        answer: What the solver said.
        response: The response of the task.
        options: The options or labels, if there are some.
    """
    if choices := tuple(options):
        return chosen(answer, choices) == " ".join(words(response))
    return token_f1(answer, response) >= SAME


def chosen(answer: str, options: Iterable[str]) -> str | None:
    """The one option that an answer names, as lower-case words; None if it names none or several.

    An option inside a longer one that is named too, such as `entailment` in `not entailment`, does not count.
    """
    named = [" ".join(words(option)) for option in options if occurrences(option, answer)]
    longest = [each for each in named if not any(each != other and occurrences(each, other) for other in named)]
    return longest[0] if len(longest) == 1 else None


def token_f1(answer: str, response: str) -> float:
    """F1 of the words of two answers without articles, in [0, 1] (Rajpurkar et al., 2016)."""
    ours, theirs = ([w for w in words(text) if w not in ("a", "an", "the")] for text in (response, answer))
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0
