"""When an evolved instruction counts as failed: the rules of Evol-Instruct, and checks of ours beside them.

The paper's four rules (WizardLM, section 3, "elimination evolving") are a judge's verdict, which is an LM call, and
`sorry`, `empty_response` and `scaffold_words` here. The functions in `CHECKS` are ours, against failures that users
of the published code and data reported. Each returns None, or what it found as words for a person.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping

from synthwright.filters.language import language_of

__all__ = [
    "CHECKED",
    "CHECKS",
    "asks",
    "content_words",
    "data_blocks",
    "empty_response",
    "lost_blocks",
    "opens_with_request",
    "scaffold_words",
    "sorry",
    "word_growth",
]

SORRY_WORDS = 80
"""A response with "sorry" and fewer words than this is an excuse (WizardLM, section 3)."""

LEAST_KEPT = 0.25
"""Share of the parent's content words below which an evolution in depth has drifted to another task. Ours."""

LEAST_LETTERS = 40
"""Letters that both texts must have for their languages to be compared. Ours."""

MOST_ITEMS = 10
"""More list lines than this are a list of answers or of alternatives (as in h2oai/h2o-wizardlm)."""

STOP_WORDS = frozenset(
    "a about all also am an and any are as at be because been but by can could did do does for from had has have he "
    "her here him his how i if in into is it its just me more most my no not of on only or other our out over she "
    "should so some such than that the their them then there these they this those to too up us very was we were "
    "what when where which while who whom whose why will with would yes you your".split()
)

_VERBS = frozenset(
    "act add advise analyse analyze answer apply argue arrange assess assume brainstorm build calculate change "
    "check choose cite clarify classify collect combine compare complete compose compute conduct consider construct "
    "contrast convert correct count create critique debug decide deduce define delete demonstrate depict derive "
    "describe design determine develop devise diagnose discuss distinguish divide draft draw edit elaborate employ "
    "encode enumerate establish estimate evaluate examine expand explain explore express extend extract fill find "
    "finish fix forecast format formulate generalise generalize generate give group guess help highlight "
    "hypothesise hypothesize identify illustrate imagine implement improve incorporate infer inspect integrate "
    "interpret introduce invent investigate itemise itemize judge justify label let list locate look make match "
    "mention modify multiply name narrate negotiate normalise normalize optimise optimize order organise organize "
    "outline paraphrase parse perform pick plan plot predict prepare present pretend prioritise prioritize produce "
    "propose prove provide put quantify query rank rate read reason recall recite recommend reconstruct refactor "
    "reflect relate remove rename reorder rephrase replace report research resolve respond restate retell reverse "
    "review revise rewrite role round say schedule select separate shorten show simplify simulate sketch solve sort "
    "specify spell split state substitute subtract suggest sum summarise summarize tabulate take teach tell test "
    "think trace transcribe transform translate try turn unpack unscramble use validate verify visualise visualize "
    "weigh work write".split()
)
_QUESTIONS = frozenset("can could do does did how is are should what when where which who why will would".split())
_DEMANDS = frozenset(
    "answer assume avoid exactly given i least limit me most must my need needs only sentence sentences should suppose "
    "we without word words you your".split()
)
_ENGLISH = frozenset("the of and is to with for that".split())
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SCAFFOLD = re.compile(r"\b(?:given|rewritten|created)[ _]prompt\b|\b(?:evolved|rewritten)[ _]instruction\b", re.I)
_APOLOGY = re.compile(r"\bsorry\b|\bapolog", re.I)
_OPENING = re.compile(
    r"(?:sure|certainly|of course|absolutely|as an ai|the answer is|i(?: am|'m|’m) sorry|thank you|great question|"
    r"here(?: is| are|'s|’s) (?:the|your|a|an|my)?\s*(?:answer|new|rewritten|revised|evolved|improved))\b",
    re.I,
)
_ANSWER_LABEL = re.compile(r"^[^\S\n]*(?:answer|response|solution)[^\S\n]*:[^\S\n]*\S", re.I | re.M)
_SENTENCE = re.compile(r"[.!\n]\s+|^\W+")
_CLAUSE = re.compile(r"[,;:]\s+|\b(?:and|then|please|you to|is to|you must|you should)\s+")
_ITEM = re.compile(r"^[^\S\n]*(?:[-*•]|\(?\d{1,2}[.):])\s+(?=\S)", re.M)
_OPTION = re.compile(r"^[^\S\n]*(?:option|alternative|version|rewrite|or)\b[^\n:]{0,12}:", re.I | re.M)
_ECHO = re.compile(r"[{<\[]{1,2}[# ]*(?:evolved_|your_|new_)?(?:instruction|data_format|prompt)[# ]*[}>\]]{1,2}", re.I)
_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.S)
_TABLE_LINE = re.compile(r"^[^\S\n]*\|.*\|[^\S\n]*$", re.M)
_JSON = re.compile(r"\{(?=\s*[\"}])|\[(?=\s*[\]\[{\"\dtfnNI-])")
_ELEMENT = re.compile(r"<([A-Za-z][\w-]*)(?:\s[^<>]*)?>.*</\1>", re.S)
_NUMBERS = {word: n for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}
_LIMIT = re.compile(
    r"\b(exactly|at most|no more than|up to|fewer than|less than|under|within|at least|no fewer than|no less than|"
    rf"more than|over) (\d+|{'|'.join(_NUMBERS)}) (word|sentence|line|paragraph|step|example|item|point|page)s?\b",
    re.I,
)


def words_of(text: str) -> list[str]:
    """The words of a text in any script, lower case."""
    return _WORD.findall(text.lower())


def content_words(text: str) -> set[str]:
    """The words of a text that are not stop words."""
    return set(words_of(text)) - STOP_WORDS


def word_growth(parent: str, evolved: str) -> int:
    """How many words, split at white space, the evolved text has more than its parent; negative if it is shorter."""
    return len(evolved.split()) - len(parent.split())


def asks(text: str) -> bool:
    """Whether an English text reads like a request: a question mark, or a clause that opens with a usual verb."""
    if any(mark in text for mark in "?？؟"):
        return True
    sentences = _SENTENCE.split(text.lower())
    clauses = [clause for sentence in sentences for clause in _CLAUSE.split(sentence)]
    return bool(_first_words(sentences) & _QUESTIONS or _first_words(clauses) & _VERBS)


def opens_with_request(text: str) -> bool:
    """Whether the first word of an English text is a usual verb of a request or a question word."""
    return bool(_first_words([text.strip().lower()]) & (_VERBS | _QUESTIONS))


def data_blocks(text: str) -> list[str]:
    """The parts of an instruction that are data: fenced code, table lines, JSON, markup; white space squeezed."""
    blocks = _FENCE.findall(text)
    text = _FENCE.sub("\n", text)
    blocks += _TABLE_LINE.findall(text)
    if "</" in text:
        blocks += [match.group() for match in _ELEMENT.finditer(text)]
    decoder, start = json.JSONDecoder(), 0
    while (match := _JSON.search(text, start)) is not None:
        try:
            value, start = decoder.raw_decode(text, match.start())
        except ValueError:
            start = match.end()
            continue
        except RecursionError:  # brackets without end are no data
            break
        if value:
            blocks.append(text[match.start() : start])
    return [squeezed for block in blocks if (squeezed := " ".join(block.split()))]


def lost_blocks(parent: str, evolved: str) -> list[str]:
    """The data blocks of the parent that the evolved text does not hold, white space aside."""
    there = "".join(evolved.split())
    return [block for block in data_blocks(parent) if "".join(block.split()) not in there]


# Rules of the paper


def sorry(response: str, spared: str = "") -> str | None:
    """The response apologises and is short, unless the spared text (the task) is about an apology itself."""
    words = len(response.split())
    if "sorry" not in response.lower() or words >= SORRY_WORDS or _APOLOGY.search(spared):
        return None
    return f"'sorry' in {words} words"


def empty_response(response: str) -> str | None:
    """The response is nothing but punctuation and stop words. Symbols of formulas and emoji count as content."""
    if content_words(response) or any(unicodedata.category(c)[0] == "S" and not c.isascii() for c in response):
        return None
    return f"only stop words and punctuation: {response[:60]!r}"


def scaffold_words(evolved: str, spared: str = "") -> str | None:
    """The evolved instruction talks about rewriting; words that the spared text (the parent) has too do not count."""
    known = {" ".join(words_of(found)) for found in _SCAFFOLD.findall(spared.replace("_", " "))}
    found = [f for f in _SCAFFOLD.findall(evolved) if " ".join(words_of(f.replace("_", " "))) not in known]
    return repr(found[0]) if found else None


# Checks of ours: (parent, evolved) -> what is wrong, or None


def unchanged(parent: str, evolved: str) -> str | None:
    """Equal after case, punctuation and white space are folded."""
    same = words_of(parent) == words_of(evolved) and bool(words_of(parent))
    return "equals its parent" if same else None


def answered(parent: str, evolved: str) -> str | None:
    """The evolver answered the task, in whole or beside the rewrite, instead of rewriting it."""
    if (found := _OPENING.match(evolved.lstrip())) and not _OPENING.match(parent.lstrip()):
        return f"opens like an answer: {found.group().strip()!r}"
    if (found := _ANSWER_LABEL.search(evolved)) and not _ANSWER_LABEL.search(parent):
        return f"has an answer in it: {found.group().strip()!r}"
    if asks(parent) and not asks(evolved) and _ENGLISH & set(words_of(evolved)):
        return "asks for nothing"
    start, rest = evolved[: len(parent)], evolved[len(parent) :]
    if words_of(start) == words_of(parent) and rest[:1].isspace() and parent[-1:] in ".?!" and not data_blocks(rest):
        if not asks(rest) and not _DEMANDS & set(words_of(rest)):
            return f"repeats the task and adds no demand: {rest.strip()[:60]!r}"
    return None


def alternatives(parent: str, evolved: str) -> str | None:
    """Several rewrites, or a long list, instead of one instruction."""
    lines = [line[match.end() :] for line in evolved.splitlines() if (match := _ITEM.match(line))]
    if _ITEM.search(parent) is None:
        if len(lines) > MOST_ITEMS:
            return f"a list of {len(lines)} items"
        if len(lines) > 1 and all(len(line.split()) > 4 and asks(line) for line in lines):
            return f"{len(lines)} numbered instructions"
    if len(_OPTION.findall(evolved)) > 1 and not _OPTION.search(parent):
        return "several options"
    return None


def mostly_blank(parent: str, evolved: str) -> str | None:
    """More line breaks than words: a degenerate text (as in h2oai/h2o-wizardlm)."""
    breaks, words = evolved.count("\n"), len(evolved.split())
    return f"{breaks} line breaks for {words} words" if breaks > max(5, words) else None


def input_lost(parent: str, evolved: str) -> str | None:
    """Code, a table, JSON or markup of the parent is missing or changed."""
    lost = lost_blocks(parent, evolved)
    return f"{lost[0][:60]!r} is missing" if lost else None


def no_data(parent: str, evolved: str) -> str | None:
    """A question about data that is not there. It is asked of `complicate_input` alone."""
    return None if set(data_blocks(evolved)) - set(data_blocks(parent)) else "no data attached"


def not_new(parent: str, evolved: str) -> str | None:
    """The whole parent stands in what should be a brand-new instruction. It is asked of `broaden` alone."""
    words = words_of(parent)
    held = f" {' '.join(words)} " in f" {' '.join(words_of(evolved))} "
    return "holds its parent" if words and held else None


def drifted(parent: str, evolved: str) -> str | None:
    """Hardly any content word of the parent is left."""
    wanted = content_words(parent)
    kept = len(wanted & set(words_of(evolved)))
    return f"{kept} of {len(wanted)} content words kept" if wanted and kept < LEAST_KEPT * len(wanted) else None


def language_switch(parent: str, evolved: str) -> str | None:
    """Most letters are of another script, or few words are shared and the language is another one.

    Languages of one script are told apart in texts of `LEAST_LETTERS` or more each.
    """
    before, after = _script(parent), _script(evolved)
    if before and after and before != after:
        return f"{before} to {after}"
    wanted = set(words_of(parent))
    if len(wanted & set(words_of(evolved))) >= LEAST_KEPT * len(wanted) or _letters(parent, evolved) < LEAST_LETTERS:
        return None
    was, now = language_of(parent), language_of(evolved)
    return f"{was} to {now}" if was != now else None


def template_echo(parent: str, evolved: str) -> str | None:
    """A placeholder of the prompt stands in the text, such as {evolved_instruction}."""
    found = _ECHO.search(evolved)
    return repr(found.group()) if found and not _ECHO.search(parent) else None


def contradiction(parent: str, evolved: str) -> str | None:
    """A new limit excludes one that the parent set and the evolved text still has, such as on the number of words."""
    old, new = _limits(parent), _limits(evolved)
    for limit, (low, high, unit) in new.items():
        if limit in old:
            continue
        for kept, (other_low, other_high, other_unit) in old.items():
            if kept in new and unit == other_unit and max(low, other_low) > min(high, other_high):
                return f"{kept!r} against {limit!r}"
    return None


CHECKS: Mapping[str, Callable[[str, str], str | None]] = {
    check.__name__: check
    for check in (
        unchanged,
        template_echo,
        language_switch,
        answered,
        alternatives,
        mostly_blank,
        input_lost,
        no_data,
        not_new,
        drifted,
        contradiction,
    )
}
"""Our checks of the evolved text by name, in the order in which they are made."""

DEPTH = ("add_constraints", "deepen", "concretize", "add_reasoning", "complicate_input")
CHECKED: Mapping[str, tuple[str, ...]] = {
    "input_lost": DEPTH,
    "drifted": DEPTH,
    "contradiction": DEPTH,
    "no_data": ("complicate_input",),
    "not_new": ("broaden",),
}
"""Operators that a check is for, where it is not for all: a new instruction in breadth owes nothing to its parent."""


def _first_words(parts: list[str]) -> set[str]:
    return {found.group() for part in parts if (found := _WORD.match(part))}


def _letters(*texts: str) -> int:
    """Letters of the shortest text."""
    return min(sum(character.isalpha() for character in text) for text in texts)


def _script(text: str) -> str:
    scripts = Counter(unicodedata.name(c, "?").split()[0] for c in text if c.isalpha())
    return scripts.most_common(1)[0][0].lower() if scripts else ""


def _limits(text: str) -> dict[str, tuple[float, float, str]]:
    """(least, most, unit) of each limit by its words."""
    limits = {}
    for words, number, unit in _LIMIT.findall(text.lower()):
        n = _NUMBERS[number] if number in _NUMBERS else int(number)
        low, high = {
            "exactly": (n, n),
            "at least": (n, float("inf")),
            "no fewer than": (n, float("inf")),
            "no less than": (n, float("inf")),
            "more than": (n + 1, float("inf")),
            "over": (n + 1, float("inf")),
            "under": (0, n - 1),
            "fewer than": (0, n - 1),
            "less than": (0, n - 1),
        }.get(words, (0, n))
        limits[f"{words} {number} {unit}s"] = (low, high, unit)
    return limits
