"""How much of what a text adds to a request asks or constrains, and how much only states something. English alone."""

import re

from synthwright.optimizers.metrics.blocks import content_words, words
from synthwright.programs.evol_instruct_checks import opens_with_request

__all__ = ["demand_share"]

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SUBJECT = (
    r"(?:the|it|this|that|these|those|they|he|she|we|i|you|there|all|every\w*|each|no\w*|my|our|your|his|her|their)"
)
_JOINED = re.compile(  # a whole statement that follows a comma or a dash
    r"(?:[,:;–—]|\s-)\s+(?:and |but |so |because |since |as |while |for |although |though |yet )?"
    rf"(?={_SUBJECT}\b(?:\s+(?!that\b|which\b|who\b|where\b)[\w'’]+){{0,4}}?"
    r"\s+(?:is|are|was|were|has|have|had|will|can|must|should)\b)",
    re.I,
)
_CLAUSE = re.compile(r"[,:;]\s+")
_LEAD = re.compile(
    r"(?:(?:and|then|also|but|please|next|finally|now|instead|do not|don['’]t|never|always|do|only|again|so)\s+)*", re.I
)
_IMPERATIVE = re.compile(
    r"(?:account|aim|avoid|be|begin|bear in mind|close|cover|end|ensure|exclude|focus|follow|ignore|include|keep|leave|"
    r"limit|mark|mind|note|open|point|quote|refer|remember|restrict|set|skip|start|stay|stick|treat)\b"
    r"(?! (?:is|are|was)\b)",
    re.I,
)
_QUESTION_WORD = re.compile(
    r"(?:when|where|which|who|is|are|did|will|would|can|could|do|does|what|how|why|should)\b", re.I
)
_OBLIGATION = re.compile(
    r"\b(?:must|mustn['’]t|should|shouldn['’]t|shall|ought|needs?|ha(?:s|ve) to|cannot|can['’]t|can not|may not|"
    r"may only|(?:is|are) to|required?|requires|allowed|forbidden|banned|permitted|supposed|wants?|would like|prefers?|"
    r"exactly|at (?:most|least)|(?:no|not) (?:more|fewer|less|longer|shorter) than|fewer than|less than|up to|maximum|"
    r"minimum|limit(?:ed)?|deadline|budget|not known|unknown)\b",
    re.I,
)
_PAST = re.compile(
    r"\b(?:was|were|had|did|came|went|gave|took|said|told|made|got|found|left|began|became|won|bought|sold|brought|"
    r"thought|sat|stood|saw|knew|met|ran|lost|lived|"
    r"(?:has|have|['’]ve|['’]s) (?:(?:also|already|just|now|all|recently|since) )*(?:been|gone|come|become|taken|given|"
    r"made|told|written|sent|found|won|said|seen|\w{2,}ed))\b|"
    r"(?<!\bis )(?<!\bare )(?<!\bbe )(?<!\ba )(?<!\ban )(?<!\bthe )\b(?!hundred)\w{2,}[^\We]ed\b",
    re.I,
)
_MOOD = re.compile(
    r"\b(?:hope|think|believe|enjoys?|loves?|feels?|happy|happily|glad|sad|excited|nice|lovely|beautiful|great|"
    r"wonderful|calm|proud|fun|perfect|amazing|popular|important|well|thanks?)\b",
    re.I,
)
_BOUND = re.compile(  # audience, form, exclusion, number
    r"\b(?:readers?|audience|listeners?|recipients?|viewers?|addressee|speaker|narrator|"
    r"(?:intended|meant|aimed|written) (?:for|at)|answers?|reply|response|lines?|sentences?|paragraphs?|verses?|"
    r"stanzas?|steps?|bullets?|tables?|titles?|headings?|tone|style|language|format|tense|rhymes?|words?|letters?|"
    r"only|never|without|none|no|nobody|nothing|neither|lacks?|"
    r"\d+|two|three|four|five|six|seven|eight|nine|ten|dozen|twenty|thirty|forty|fifty|hundred)\b",
    re.I,
)
_ASKER = re.compile(r"(?:i|i['’]m|i['’]ve|we|we['’]re|you|you['’]re|my|mine|our|your)\b", re.I)
_PERSON = re.compile(
    r"(?:he|she|they|(?:the|his|her|their|one|some|most|all|both)(?: \w+){0,2}? (?:friends?|child|children|boss|"
    r"colleagues?|neighbou?rs?|teachers?|students?|pupils?|class|mother|father|parents?|sisters?|brothers?|son|"
    r"daughters?|grand(?:mother|father|parents?)|guests?|patients?|clients?|customers?|users?|team|family|couple|person|"
    r"people|player|owner|buyer|visitors?))\b",
    re.I,
)
_ENGLISH = frozenset("the of and is to with for that are has i we it".split())


def demand_share(parent: str, evolved: str) -> tuple[float, str]:
    """Share of the added words that demand something, in [0, 1], and the first statement that does not; "" if none.

    A question, an imperative and any part that belongs to a request demand; so does a statement of obligation, limit,
    audience or form ("The reader is a child of six."). The circumstances of the asker or of a person ("My oven is
    broken.") count half: they bound an answer, yet are easily made up. Any other statement counts nothing. Words are
    content words that the parent does not have. A text that is not English is taken to demand.
    """
    if not _ENGLISH & set(words(evolved)):
        return 1.0, ""
    known = content_words(parent)
    given = [content_words(part) for part in _parts(parent) if _demand(part) < 1]
    demanded, added, plain = 0.0, 0, ""
    for part in _parts(evolved):
        said = content_words(part)
        new = len(said - known)
        if not new or any(len(said & old) >= len(said) / 2 for old in given):
            continue  # the parent's own words, or a statement of the parent that was revised
        demand = _demand(part)
        demanded, added = demanded + demand * new, added + new
        plain = plain or ("" if demand else part)
    return (demanded / added if added else 1.0), plain


def _parts(text: str) -> list[str]:
    """Sentences, and statements that are joined to a sentence."""
    parts = [part for sentence in _SENTENCE.split(text) for part in _JOINED.split(sentence)]
    return [stripped for part in parts if (stripped := part.strip())]


def _demand(part: str) -> float:
    if _requests(part) or _OBLIGATION.search(part):
        return 1.0
    if _PAST.search(part) or _MOOD.search(part):
        return 0.0
    if _BOUND.search(part):
        return 1.0
    return 0.5 if _ASKER.match(part) or _PERSON.match(part) else 0.0


def _requests(part: str) -> bool:
    """A question, or a clause that opens with an imperative."""
    if part.rstrip("\"'’”) ").endswith("?"):
        return True
    clauses = [_LEAD.sub("", clause, count=1) for clause in _CLAUSE.split(part)]
    return any(
        _IMPERATIVE.match(clause) or (opens_with_request(clause) and not _QUESTION_WORD.match(clause))
        for clause in clauses
    )
