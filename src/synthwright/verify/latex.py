"""LaTeX around numbers and words, taken away."""

import re

from synthwright.verify.places import boxes

__all__ = ["latex_to_text"]

_FRAC = re.compile(r"\\[dtc]?frac\s*(?:\{\s*([^{}]+?)\s*\}|(\d))\s*(?:\{\s*([^{}]+?)\s*\}|(\d))")
_DECIMAL = re.compile(r"[-+]?\s*(?:\d[\d,_' ]*(?:\.\d+)?|\.\d+)")


def latex_to_text(text: str) -> str:
    """Formula marks, spacing commands, text commands and emphasis taken away; fractions written with a slash."""
    inner = boxes(text)
    if inner and inner[-1][1] is not None:
        text = inner[-1][1]
    text = text.replace(r"\$", "$").replace(r"\%", "%").replace("{,}", ",").replace(r"\{", "{").replace(r"\}", "}")
    text = re.sub(r"\\[dtc]?frac", r"\\frac", text)
    text = re.sub(r"\\left|\\right|\\displaystyle|\\!|\\limits", "", text)
    text = re.sub(r"\\[,;:> ]|~|\\q?quad", " ", text)
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf|mbox|textit|operatorname)\s*\{([^{}]*)\}", r" \1 ", text)
    text = re.sub(r"\^\s*(?:\{\s*)?\\circ\s*\}?|\\degree", "°", text)
    text = _FRAC.sub(_slashed, text)
    text = re.sub(r"(?<=\d)\s*\*\*\s*(?=[-+]?\d)", "^", text)
    text = re.sub(r"\\[()\[\]]|(?<![\d])\$\$|\$(?!\s*-?\s*[\d.])|(?<=[\d\s.%°a-zA-Z)])\$|[*_`]{2}|`", "", text)
    return text.strip()


def _slashed(fraction: re.Match[str]) -> str:
    top, bottom = fraction.group(1) or fraction.group(2), fraction.group(3) or fraction.group(4)
    before = fraction.string[: fraction.start()].rstrip()[-1:]
    if not (_DECIMAL.fullmatch(top) and _DECIMAL.fullmatch(bottom)):
        return f"({top})/({bottom})"
    if bottom.startswith("-"):
        top, bottom = top.removeprefix("-") if top.startswith("-") else f"-{top}", bottom[1:].strip()
    return f" {top}/{bottom}" if before.isdigit() or not before else f"{top}/{bottom}"
