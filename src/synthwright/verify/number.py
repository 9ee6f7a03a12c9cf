"""Numbers: read exactly, compared as fractions."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from synthwright.errors import ConfigError
from synthwright.verify.base import Unread, Verifier
from synthwright.verify.latex import latex_to_text
from synthwright.verify.text import unwrapped
from synthwright.verify.units import read_unit

__all__ = ["Number", "Quantity", "quantities"]

MAX_DIGITS = 1000
MAX_EXPONENT = 400


def _unsigned(n: int) -> str:
    """A pattern of an unsigned decimal number; `n` keeps the names of its groups apart."""
    grouped = rf"\d{{1,3}}(?P<sep{n}>[,_' ])\d{{3}}(?:(?P=sep{n})\d{{3}})*(?!\d)"
    return rf"(?:(?:{grouped}|\d+)(?:\.\d+)?|\.\d+)"


_SIGN = r"(?:[-+]\s*)?"
_TIMES_TEN = r"\s*(?:\\times|\\cdot|×|⋅|·|\*|x)\s*10\s*\^\s*(?:\{\s*(?P<ten1>[-+]?\d+)\s*\}|(?P<ten2>[-+]?\d+))"
_PLAIN = (
    rf"(?P<sign>{_SIGN})(?:[$€£¥]\s*(?P<sign2>{_SIGN}))?"
    rf"(?:(?P<whole>\d+)\s+(?=\d+\s*/))?"
    rf"(?P<top>{_unsigned(1)})(?:[eE](?P<e>[-+]?\d+)|{_TIMES_TEN})?"
    rf"(?:\s*/\s*(?P<bottom>{_unsigned(2)}))?"
)
_NUMBER = re.compile(_PLAIN)
_OPERATOR_AFTER = re.compile(r"\s*(?:[-+*/^×÷·⋅!]\s*[\w(\\.]|\\|:\d|[√π∞²³])")
_OPERATOR_BEFORE = re.compile(r"(?:[*/^×÷·√(\[{<>≤≥~\d,][ ]*|[a-zA-Z]|\\\w+\s*)$")
_SUM = re.compile(r"[\d\s+\-*/^()×·÷.]*=\s*(?=[^=]*$)")
_NAME = re.compile(r"(?:pi|sqrt|root|log|ln|sin|cos|tan|exp|[a-zA-Z])\b|\d")
_JOINED = re.compile(r"[^.;]{0,20}?(?:,|;|/|&|\b(?:or|and|to)\b)\s*(?:[-+$€£]\s*)*\d")
_NEGATED = re.compile(r"\b(?:not|never|neither|nor|unlike|no)\b|n't\b", re.IGNORECASE)
_CORRECTION = re.compile(r"\s*[,;(]?\s*(?:and\s+)?(?:not|rather than|instead of|because|since|as)\b")

_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


@dataclass(frozen=True)
class Quantity:
    """A number as it was written.

    Attributes:
        value: The exact value; a percentage is a hundredth.
        percent: It had a percent sign.
        unit: Its unit if it is a known one, such as `cm` or `km/h`, else an empty text.
    """

    value: Fraction
    percent: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Number(Verifier[Quantity]):
    r"""Numbers of any form: 1/2 = 0.5 = 50% = \frac12, 1,000 = 10^3 written as 1e3, and 0.33 is not 1/3.

    Values are exact fractions. Two that differ are equal within `tolerance` times their size, but at most within
    `tolerance` itself, so whole numbers are never rounded. A decimal comma is not guessed: `1,5` is ambiguous.

    Args:
        tolerance: Largest difference, relative below 1 and absolute above; 0 for exact equality.
        percent: `either` lets 50 stand for 50%, as an answer to "what percentage"; `exact` does not.
        units: Different known units make different answers; nothing is converted. False ignores units.
        anywhere: Where no place is named, take the last number of the reply, as GSM8K's lenient scorers do. It finds
            more answers, and numbers that are none.
    """

    tolerance: float = 1e-6
    percent: Literal["either", "exact"] = "either"
    units: bool = True
    anywhere: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise ConfigError(f"`tolerance` of Number must be in [0, 1), got {self.tolerance!r}.")

    def read(self, text: str) -> Quantity | Unread:
        return _strict(latex_to_text(text))

    def read_phrase(self, text: str) -> Quantity | Unread:
        text = latex_to_text(text)
        whole = _strict(text)
        if not isinstance(whole, Unread):
            return whole
        return _first(text.rpartition("=")[2])

    def read_whole(self, text: str) -> Quantity | Unread:
        if len(text) <= 300 and "\n" not in text:
            whole = self.read(text)
            if not isinstance(whole, Unread) or whole.reason != "no_answer":
                return whole
        return _last(latex_to_text(text)) if self.anywhere else Unread("no_answer")

    def equal(self, value: Quantity, answer: Quantity) -> bool | str:
        if self.units and value.unit and answer.unit and value.unit != answer.unit:
            return "other_unit"
        if self._near(value.value, answer.value):
            return True
        if self.percent == "either" and value.percent != answer.percent:
            shares = (value, answer) if value.percent else (answer, value)
            return self._near(shares[0].value * 100, shares[1].value)
        return False

    def show(self, value: Quantity) -> str | None:
        return str(value.value)

    def _near(self, a: Fraction, b: Fraction) -> bool:
        return a == b or abs(a - b) <= Fraction(self.tolerance).limit_denominator(10**15) * min(1, max(abs(a), abs(b)))


def _strict(text: str) -> Quantity | Unread:
    """The quantity that is the whole text, but for a name or a sum in front (`x = 5`, `2 + 3 = 5`) and a few words."""
    text = unwrapped(text, quotes=True)
    named = re.match(r"[a-zA-Z]\w{0,3}(?:\([a-z]\))?\s*=\s*", text)
    if named:
        text = text[named.end() :]
    elif sums := _SUM.match(text):
        text = text[sums.end() :]
    text = re.sub(r"^\(([^()]*)\)$", r"\1", text.strip())
    text = unwrapped(re.sub(r"^(?:=|≈|approximately|about|exactly)\s*", "", text.rstrip(" .;")))
    number = _NUMBER.match(text)
    if number is None:
        return Unread("no_answer")
    return _quantity(number, text[number.end() :], most_words=4)


def _first(text: str) -> Quantity | Unread:
    """The first number of a sentence, if nothing makes another of it."""
    text = text.strip()
    number = _NUMBER.search(text)
    if number is None or _NEGATED.search(text[: number.start()]):
        return Unread("no_answer")
    if _OPERATOR_BEFORE.search(text[: number.start()]):
        return Unread("unreadable")
    return _quantity(number, text[number.end() :], most_words=None)


def _last(text: str) -> Quantity | Unread:
    found: Quantity | Unread = Unread("no_answer")
    for number in _NUMBER.finditer(text):
        if not _OPERATOR_BEFORE.search(text[max(0, number.start() - 20) : number.start()]):
            value = _quantity(number, text[number.end() : number.end() + 40].partition("\n")[0], most_words=None)
            found = found if isinstance(value, Unread) and value.reason != "too_long" else value
    return found


def _quantity(number: re.Match[str], rest: str, most_words: int | None) -> Quantity | Unread:
    value = _value(number)
    if isinstance(value, Unread):
        return value
    unit, percent, rest = read_unit(rest)
    if unit is None:
        return Unread("unreadable")
    scale = re.match(r"\s*(hundred|thousand|million|billion|trillion)\b", rest)
    if scale:
        value, rest = value * _SCALES[scale.group(1)], rest[scale.end() :]
        unit, percent, rest = read_unit(rest)
    if _OPERATOR_AFTER.match(rest) and not _CORRECTION.match(rest):
        return Unread("unreadable")
    if not _CORRECTION.match(rest) and _JOINED.match(rest):
        return Unread("ambiguous")
    if rest.lstrip()[:1] == "=" or _NAME.match(rest.strip()):
        return Unread("unreadable")
    if most_words is not None and (len(rest.split()) > most_words or re.search(r"[\d\\^=<>]|^\s*[-+*/|]", rest)):
        return Unread("no_answer" if len(rest.split()) > most_words else "unreadable")
    return Quantity(value / 100 if percent else value, percent, unit or "")


def _value(number: re.Match[str]) -> Fraction | Unread:
    exponent = number["e"] or number["ten1"] or number["ten2"] or "0"
    if len(number.group()) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent)) > MAX_EXPONENT:
        return Unread("too_long")
    bottom = Fraction(_digits(number["bottom"])) if number["bottom"] else Fraction(1)
    if not bottom:
        return Unread("unreadable")
    value = Fraction(_digits(number["top"])) * Fraction(10) ** int(exponent) / bottom + int(number["whole"] or 0)
    negative = (number["sign"] + (number["sign2"] or "")).count("-") % 2
    return -value if negative else value


def _digits(text: str) -> str:
    return re.sub(r"[,_' ]", "", text)


def quantities(text: str) -> list[tuple[int, int, Fraction]]:
    """Every number that stands in a text on its own, as (start, end, value); a percentage is a hundredth.

    Args:
        text: Prose, of which at most 20,000 characters are read.
    """
    found: list[tuple[int, int, Fraction]] = []
    for number in _NUMBER.finditer(text[:20_000]):
        value = _value(number)
        before, after = text[: number.start()][-1:], text[number.end() : number.end() + 1]
        if not isinstance(value, Unread) and not before.isalnum() and before != "." and not after.isalnum():
            percent = re.match(r"\s*%", text[number.end() :])
            end = number.end() + (percent.end() if percent else 0)
            found.append((number.start(), end, value / 100 if percent else value))
    return found
