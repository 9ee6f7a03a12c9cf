"""Mathematics: formulas read and compared by math-verify, in a process of its own with a time limit."""

import re
from dataclasses import dataclass, field
from fractions import Fraction

from synthwright.errors import ConfigError
from synthwright.verify.base import Unread, Verifier
from synthwright.verify.math_worker import shared_worker
from synthwright.verify.number import Number, Quantity
from synthwright.verify.places import boxes
from synthwright.verify.text import unwrapped

__all__ = ["Formula", "Math"]

MAX_FORMULA = 500
MAX_DEPTH = 30

_SYMBOLS = {
    "√": r"\sqrt ", "π": r"\pi ", "∞": r"\infty ", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ",
    "°": r"^\circ ", "²": "^2", "³": "^3", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "±": r"\pm ", "−": "-",
}  # fmt: skip
_ALLOWED = re.compile(r"[A-Za-z0-9\s+\-*/^_=<>!|%.,;:'()\[\]{}\\&$]*")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp sqrt pi gcd lcm mod det".split()
)
_SMALL_WORDS = frozenset("is so it the to we as be no of in if an at by on he me my us do go am".split())
_INLINE = re.compile(r"(?<![\\$])\$(?!\$)([^$\n]+)\$")


@dataclass(frozen=True)
class Formula:
    """A formula as LaTeX, and its exact value if it is a plain number."""

    latex: str
    number: Quantity | None = None


@dataclass(frozen=True)
class Math(Verifier[Formula]):
    r"""Formulas: numbers, roots, polynomials, equations, intervals, sets, tuples, matrices; `2\sqrt3` = `\sqrt{12}`.

    Plain numbers are compared by `number`. The rest goes to math-verify (Kydlicek et al., Hugging Face, 2025) in a
    process of its own: hostile LaTeX such as `9^{9^{9^9}}` costs the time limit and nothing else. Brackets of different
    kinds make different answers, so an interval or tuple is never a set. An equation stands for its right side if its
    left side is a name (`x = 3`) or equals it (`(x+1)^2 = x^2+2x+1`), and not otherwise (`x + y = 5`).

    Args:
        seconds: Time allowed for one comparison, more than 0.
        number: How plain numbers are compared.
    """

    seconds: float = 3.0
    number: Number = field(default_factory=lambda: Number(units=False))

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"`seconds` of Math must be more than 0, got {self.seconds!r}.")

    def read(self, text: str) -> Formula | Unread:
        latex = _latex(text)
        if not latex:
            return Unread("empty")
        if len(latex) > MAX_FORMULA or _depth(latex) > MAX_DEPTH:
            return Unread("too_long")
        number = self.number.read(text)
        if isinstance(number, Quantity) and "!" not in latex:
            return Formula(latex, number)
        if isinstance(number, Unread) and number.reason == "too_long":
            return number
        if not _is_math(latex):
            return Unread("no_answer")
        if latex[-1] in "+-*/^_=<>&":  # the parser would mend it
            return Unread("unreadable")
        return Formula(latex)

    def read_phrase(self, text: str) -> Formula | Unread:
        whole = self.read(text)
        if not isinstance(whole, Unread):
            return whole
        formulas = _INLINE.findall(text)
        if len(formulas) == 1 and not re.search(r"\bnot\b|n't\b", text.partition("$")[0]):
            return self.read(formulas[0])
        number = self.number.read_phrase(text)
        return Formula("", number) if isinstance(number, Quantity) else whole

    def equal(self, value: Formula, answer: Formula) -> bool | str:
        if value.number and answer.number:
            return self.number.equal(value.number, answer.number)
        if _bracket(value.latex) != _bracket(answer.latex) and _bracket(value.latex) and _bracket(answer.latex):
            return "other_brackets"
        first, second = _source(value), _source(answer)
        if first == second:
            return True
        for one, other in ((first, second), (second, first)):
            if (sides := _equation(one)) and "=" not in other:  # math-verify would take the right side of x + y = 5
                holds = self._ask(*sides)
                return self._ask(sides[1], other) if holds is True else holds
        return self._ask(first, second)

    def _ask(self, first: str, second: str) -> bool | str:
        return shared_worker().ask(self.seconds, do="equal", first=first, second=second)

    def show(self, value: Formula) -> str | None:
        if value.number:
            return str(value.number.value)
        shown = shared_worker().ask(self.seconds, do="show", first=value.latex)
        bracket = _bracket(value.latex).replace("{", "")  # a set is what a list without brackets is
        return f"{bracket}{shown[0]}" if isinstance(shown, list) else None


def _equation(latex: str) -> tuple[str, str] | None:
    """Both sides of an equation whose left side is not just a name."""
    left, sign, right = (part.strip() for part in latex.partition("="))
    simple = re.fullmatch(r"[a-zA-Z](?:_\{?\w+\}?)?(?:\([a-z]\))?|\\[a-z]+", left)
    relation = left[-1:] in ("<", ">", "!") or "=" in right
    return (left, right) if sign and left and right and not simple and not relation else None


def _source(formula: Formula) -> str:
    """LaTeX of a formula; of a number its exact value."""
    if not formula.number:
        return formula.latex
    value: Fraction = formula.number.value
    sign = "-" if value < 0 else ""
    top = abs(value.numerator)
    return f"{sign}{top}" if value.denominator == 1 else rf"{sign}\frac{{{top}}}{{{value.denominator}}}"


def _latex(text: str) -> str:
    """The formula of a text that is nothing else, in one spelling."""
    inner = boxes(text)
    if inner and inner[-1][1] is not None:
        text = inner[-1][1]
    text = unwrapped(text, quotes=True)
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    text = re.sub(
        r"\\(?:left|right|big|Big|bigg|Bigg)(?![a-zA-Z])|(?<!\\)\\[,;:!> ]|\\displaystyle|\\q?quad|~", " ", text
    )
    text = text.replace(r"\lbrace", r"\{").replace(r"\rbrace", r"\}").replace("{,}", "")
    text = re.sub(
        r"(?<![\d,])(\d{1,3})((?:,\d{3})+)(?![\d])(?!\s*[,)\]}])", lambda n: n[1] + n[2].replace(",", ""), text
    )
    text = re.sub(
        r"\\(?:text|mathrm|textbf|mathbf|mbox)\s*\{\s*(?:or|and)\s*\}|(?<=[\d\w}) ])\b(?:or|and)\b", ",", text
    )
    text = re.sub(r"\*\*", "^", text)
    text = re.sub(r"\bsqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<![\\a-zA-Z])(pi|sin|cos|tan|log|ln|exp)\b", r"\\\1 ", text)
    text = re.sub(r"\\sqrt\s+([0-9a-zA-Z])", r"\\sqrt{\1}", text)
    return re.sub(r"\s+", " ", text).strip().rstrip(".,;").strip()


def _is_math(latex: str) -> bool:
    """True if nothing in it is prose; whether it is well formed is for the parser to say."""
    without = re.sub(r"\\(?:text|mathrm|textbf|mathbf|mbox|begin|end)\s*\{[^{}]*\}", " ", latex)
    if not _ALLOWED.fullmatch(without) or "$" in without.replace(r"\$", ""):
        return False
    return all(
        (len(word) <= 3 or word.lower() in _FUNCTIONS) and word.lower() not in _SMALL_WORDS
        for word in _WORD.findall(without)
    )


def _bracket(latex: str) -> str:
    """What kind of brackets hold the whole formula: `(`, `[`, `(]`, `[)`, `{`, or none."""
    latex = re.sub(r"^[a-zA-Z]\s*(?:=|\\in)\s*", "", latex.replace(r"\{", "{").replace(r"\}", "}"))
    left, right = latex[:1], latex[-1:]
    if "," not in latex or left not in "([{" or right not in ")]}":
        return ""
    return left if (left, right) in (("(", ")"), ("[", "]"), ("{", "}")) else left + right


def _depth(latex: str) -> int:
    depth = deepest = 0
    for char in latex:
        depth += (char in "{([") - (char in "})]")
        deepest = max(deepest, depth)
    return deepest
