"""Units behind a number: known ones have one name, unknown words are not units."""

import re

__all__ = ["read_unit"]

_UNITS = {
    alias: unit
    for unit, aliases in {
        "%": "% percent pct",
        "m": "m meter metre",
        "cm": "cm centimeter centimetre",
        "mm": "mm millimeter millimetre",
        "km": "km kilometer kilometre",
        "inch": "inch inches",
        "ft": "ft foot feet",
        "yd": "yd yard",
        "mi": "mi mile",
        "g": "g gram gramme",
        "mg": "mg milligram",
        "kg": "kg kilogram kilo",
        "t": "t tonne",
        "lb": "lb lbs pound",
        "oz": "oz ounce",
        "s": "s sec second",
        "ms": "ms millisecond",
        "min": "min minute",
        "h": "h hr hour",
        "day": "d day",
        "week": "week wk",
        "month": "month",
        "year": "year yr",
        "l": "l liter litre",
        "ml": "ml milliliter millilitre",
        "°": "° degree deg",
        "°C": "°c celsius",
        "°F": "°f fahrenheit",
        "K": "kelvin",
        "J": "j joule",
        "kJ": "kj kilojoule",
        "W": "w watt",
        "kW": "kw kilowatt",
        "N": "n newton",
        "V": "v volt",
        "A": "amp ampere",
        "Hz": "hz hertz",
        "Pa": "pa pascal",
        "mol": "mol mole",
        "$": "usd dollar",
        "€": "eur euro",
        "cent": "cent",
    }.items()
    for alias in aliases.split()
}
_UNIT = re.compile(
    r"\s*(?P<unit>%|°?[a-zA-Z]+|°)(?P<power>\^?\{?[-0-9]\}?|[²³])?(?P<per>\s*(?:/|per)\s*[a-zA-Z]+(?:\^?\d|[²³])?)?"
)


def read_unit(rest: str) -> tuple[str | None, bool, str]:
    """(unit, percent, what follows); the unit is empty if it is no known one, None if letters touch the number."""
    found = _UNIT.match(rest)
    if not found:
        return "", False, rest
    name = found["unit"]
    unit = _UNITS.get(name.lower()) or _UNITS.get(name.lower().rstrip("s"))
    touching = rest[:1].isalpha()
    if unit is None or (len(name) == 1 and name.isalpha() and name.isupper() and not touching):
        return ("", False, rest) if not touching else (None, False, rest)
    if unit == "%":
        return "", True, rest[found.end("unit") :]
    power = re.sub(r"[\^{}]", "", found["power"] or "").replace("²", "2").replace("³", "3")
    per = re.sub(r"\s|per|\^", "", found["per"] or "").lstrip("/")
    per = _UNITS.get(per.lower().rstrip("s"), _UNITS.get(per.lower(), per))
    return unit + power + (f"/{per}" if per else ""), False, rest[found.end() :]
