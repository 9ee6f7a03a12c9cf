"""What makes a text a source of personas and a sentence a persona: cleaning, names and private data, our checks.

The paper names "heuristic quality filters" (section 2.3) and tells none of them; these are ours.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from synthwright.filters.language import language_of
from synthwright.filters.minhash import jaccard
from synthwright.filters.words import ngrams, words
from synthwright.programs.backtranslation_segments import boilerplate, speaks_to_the_model
from synthwright.programs.persona_hub_privacy import private_data, without_private_data

__all__ = ["CHECKS", "clean_persona", "problem_of", "repeats", "stutter", "text_problem"]

FEWEST_WORDS = 12
"""Words of a text that can tell something about somebody. Ours."""

LONGEST = 60
"""Words of a persona at most: the paper asks for one or two sentences."""

SAME = 0.9
"""Jaccard similarity of their words from which a related persona is the one it was asked about; the paper's 0.9."""

COPIED = 8
"""Words in a row that a persona may not share with its text."""

_GENERIC = frozenset(
    "a an the of and or in on at to for with who whom whose that which is are was has have had he she they it his her "
    "their him them this someone somebody anyone person people persons individual individuals man woman men women "
    "human user adult guy lady character reader writer one likes like liked dislikes loves enjoys enjoy interested "
    "interest wants want things thing something many very lot not do does life everyday various different".split()
)
_THINGS = frozenset(
    "text passage article book story poem paper report document website site blog page post video film movie song "
    "image picture chart table chair desk machine device tool system software app application program function module "
    "class code library file database server computer phone car vehicle building house room company organisation "
    "organization corporation firm institution museum school university hospital city town country river mountain "
    "tree plant flower recipe dish food product service event festival idea concept theory law disease colony "
    "collection list set object item method process project problem question summary description".split()
)
_MINORS = frozenset(
    "child kid boy girl toddler baby infant teenager teen schoolboy schoolgirl schoolchild pupil preschooler tween "
    "adolescent kindergartner".split()
)
_DETERMINER = re.compile(r"^(?:an?|the|this|one|some)\s+", re.IGNORECASE)
_HEAD_ENDS = re.compile(
    r"[,;:.(]|\b(?:who|whose|whom|that|which|with|without|in|of|at|for|from|on|to|by|and|or|as|into|about|against|near"
    r"|is|was|are|has|working|living|running|specialising|specializing|studying|trying|looking|seeking|responsible)\b",
    re.IGNORECASE,
)
_YOUNG = re.compile(
    r"\b(?:[1-9]|1[0-7])[- ]years?[- ]old\b|\b(?:middle|high|primary|elementary)[- ]school student\b", re.I
)
_UNSAFE_ROLE = re.compile(
    r"\b(?:terrorist|extremist|jihadist|racist|neo-?nazi|nazi|supremacist|fascist|p(?:a)?edophile|child molester|rapist"
    r"|hitman|serial killer|murderer|drug (?:dealer|lord|trafficker)|human trafficker|pimp|stalker|incel|misogynist"
    r"|homophobe|anti-?semite|school shooter|bomb[- ]maker|scammer|fraudster|porn (?:star|actress|actor))\b",
    re.IGNORECASE,
)
_HATE = re.compile(
    r"\b(?:hates?|hating|despises?|loathes?) (?:all |every )?(?:women|men|immigrants?|foreigners|refugees|jews|muslims"
    r"|christians|blacks?|whites?|asians|gays?|lesbians|trans(?:gender)?)\b|\bwhite (?:supremac\w+|power)\b"
    r"|\b(?:superior|inferior) race\b|\bethnic cleansing\b|\bracial purity\b",
    re.IGNORECASE,
)
_META = re.compile(
    r"\b(?:data|text|image|content|corpus) (?:annotators?|label+ers?|curators?)\b|\bannotators?\b|\bprompt engineers?\b"
    r"|\blanguage models?\b|\b(?:AI|virtual|digital) (?:assistants?|models?|systems?|chatbots?|agents?)\b|\bchatbots?\b"
    r"|\bpersona\b|\b(?:this|the|that|given|provided|following|above) (?:\w+ )?"
    r"(?:texts?|passages?|excerpts?|paragraphs?|articles?|snippets?|sentences?|documents?|contents?)\b"
    r"|\bwho (?:wrote|writes|reads?|edits?|edited|likes?|dislikes?|summari[sz]es) (?:it|this|the text)\b",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^\W*(?:persona|related persona|answer|output|description)\W*[:\u2013-]\s*|^(?:\d+[.)]|[-*\u2022])\s+",
    re.IGNORECASE,
)
_QUOTES = "\"'`\u201c\u201d\u2018\u2019*_ \t\n"


def text_problem(text: str, language: str | None) -> str | None:
    """Why no persona is made of a text, as `reason` or `reason: detail`; None if one can be.

    Args:
        text: The text.
        language: ISO 639-1 code that it must be in; None for any.
    """
    size = len(words(text))
    if not size:
        return "empty_text"
    if size < FEWEST_WORDS:
        return f"short_text: {size} words"
    if (found := boilerplate(text, "")) is not None:
        return f"boilerplate: {found}"
    if (found := speaks_to_the_model(text, "")) is not None:
        return f"speaks_to_the_model: {found}"
    if language and (found := language_of(text)) != language:
        return f"other_language: {found}"
    return None


def clean_persona(reply: str) -> str:
    """A reply as a persona: one line, without label, numbering and quotes, and without names and private data."""
    text = " ".join(reply.encode("utf-8", "replace").decode().split())  # half characters, which LMs can escape
    while (shorter := _LABEL.sub("", text.strip(_QUOTES))) != text:
        text = shorter
    return without_private_data(text)


def problem_of(persona: str, source: str, checks: Iterable[str], language: str | None) -> str | None:
    """The first fault of a persona, as `reason` or `reason: detail`; None if it has none.

    Args:
        persona: The cleaned persona.
        source: What it was made of, text or persona; empty for a given one.
        checks: Names of checks, see `CHECKS`.
        language: ISO 639-1 code that it must be in; None for any.
    """
    for name in checks:
        if (found := CHECKS[name](persona, source)) is not None:
            return f"{name}: {found}" if found else name
    if language and len(words(persona)) >= 8 and (found := language_of(persona)) != language:
        return f"other_language: {found}"
    return None


def repeats(persona: str, parent: str) -> str | None:
    """A related persona that is the one that it was asked about, up to order, case and punctuation."""
    score = jaccard(frozenset(words(persona)), frozenset(words(parent)))
    if score < SAME and " ".join(words(parent)) not in " ".join(words(persona)):
        return None
    return f"Jaccard {score:.2f}"


def stutter(text: str) -> str | None:
    """The word pair that comes most often, if fewer than seven in ten pairs of a text are new; None if more are."""
    pairs = Counter(ngrams(words(text), 2))
    if pairs.total() < 10 or len(pairs) >= 0.7 * pairs.total():
        return None
    return repr(" ".join(pairs.most_common(1)[0][0]))


def generic(persona: str, source: str) -> str | None:
    """Fewer than three words that say something of a particular person."""
    said = [word for word in dict.fromkeys(words(persona)) if word not in _GENERIC]
    return f"only {', '.join(map(repr, said)) or 'nothing'} is particular" if len(said) < 3 else None


def too_long(persona: str, source: str) -> str | None:
    """More words than two sentences have."""
    size = len(persona.split())
    return f"{size} words" if size > LONGEST else None


def not_a_person(persona: str, source: str) -> str | None:
    """A thing, an organisation, or data in place of a sentence."""
    if re.match(r"""[{\[<]\s*["'{\[<\w]+\s*[":=>]""", persona):
        return "data instead of a sentence"
    noun = (words(_head(persona)) or [""])[-1]
    return repr(noun) if noun in _THINGS else None


def meta_persona(persona: str, source: str) -> str | None:
    """Somebody whose work is the text itself, or a language model."""
    found = _META.search(persona)
    return repr(found.group()) if found else None


def minor(persona: str, source: str) -> str | None:
    """A child or an adolescent; adults who have to do with them are fine."""
    head = _head(persona)
    found = _YOUNG.search(head)
    noun = (words(head) or [""])[-1]
    return repr(found.group()) if found else repr(noun) if noun in _MINORS else None


def unsafe_persona(persona: str, source: str) -> str | None:
    """A role that harms others, or hatred of a group."""
    found = _UNSAFE_ROLE.search(_head(persona)) or _HATE.search(persona)
    return repr(found.group()) if found else None


def names_somebody(persona: str, source: str) -> str | None:
    """A name or private data that could not be taken out."""
    return private_data(persona)


def stutters(persona: str, source: str) -> str | None:
    """A sentence that says the same over and over, as weak LMs do."""
    return stutter(persona)


def copies_source(persona: str, source: str) -> str | None:
    """Eight words in a row that its text has: a quotation, no description."""
    said = set(ngrams(words(source), COPIED))
    found = next((gram for gram in ngrams(words(persona), COPIED) if gram in said), None)
    return repr(" ".join(found)) if found else None


CHECKS: Mapping[str, Callable[[str, str], str | None]] = {
    check.__name__: check
    for check in (
        not_a_person,
        meta_persona,
        generic,
        too_long,
        minor,
        unsafe_persona,
        names_somebody,
        stutters,
        copies_source,
    )
}
"""Our checks of a persona by name; each takes the persona and what it was made of."""


def _head(persona: str) -> str:
    """The words that say who it is: what stands before the first relative clause, preposition or comma."""
    return _HEAD_ENDS.split(_DETERMINER.sub("", persona.strip()), maxsplit=1)[0].strip()
