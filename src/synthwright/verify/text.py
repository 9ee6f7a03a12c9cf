"""Folding the many ways to type one character, before anything is read."""

import re
import unicodedata

__all__ = ["delimited", "plain", "unwrapped"]

_FRACTIONS = {char: unicodedata.normalize("NFKC", char).replace("\u2044", "/") for char in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_MINUS = "\u2212\ufe63\uff0d\u2010\u2011\u2012"
_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f"
_TABLE: dict[int, str | None] = {
    **{ord(char): "-" for char in _MINUS},
    **{ord(char): " " for char in _SPACES},
    **{ord(char): None for char in _INVISIBLE},
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if chr(code) != "\uff0d"},  # full-width ASCII
    **{ord(char): f" {fraction}" for char, fraction in _FRACTIONS.items()},
    0x2018: "'",
    0x2019: "'",
    0x201C: '"',
    0x201D: '"',
    0x2044: "/",
    0x2215: "/",
}
_NOT_ASCII_DIGIT = re.compile(r"(?![0-9])\d")
_DASH_BEFORE_DIGIT = re.compile(r"(?<![\w)\]}])\s?\u2013(?=[\d.(\\$])")
_WRAPS = (("**", "**"), ("__", "__"), ("`", "`"), ("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_QUOTES = (('"', '"'), ("'", "'"))


def plain(text: str) -> str:
    """The text with one form for minus signs, digits, spaces, quotes, full-width letters and vulgar fractions.

    An en dash is a minus sign only before a number that nothing precedes; an em dash never is.
    """
    if text.isascii():
        return text
    text = text.translate(_TABLE)
    text = _NOT_ASCII_DIGIT.sub(lambda found: str(unicodedata.decimal(found.group())), text)
    return _DASH_BEFORE_DIGIT.sub(" -", text)


def unwrapped(text: str, quotes: bool = False) -> str:
    """The text without white space, emphasis, code or formula marks around it."""
    pairs = (*_WRAPS, *_QUOTES) if quotes else _WRAPS
    while True:
        text = text.strip()
        for left, right in pairs:
            inner = text[len(left) : -len(right)]
            if delimited(text, left, right) and left not in inner and right not in inner:
                text = inner
                break
        else:
            return text


def delimited(text: str, left: str, right: str) -> bool:
    """True if the text starts with one mark and ends with the other."""
    return len(text) > len(left) + len(right) - 1 and text.startswith(left) and text.endswith(right)
