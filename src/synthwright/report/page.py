"""Putting a page together: our templates, style and scripts, and data that a browser never takes for markup.

A page is one file without any reference to another. Its content security policy names the hashes of its scripts and
of its style sheet, so that nothing else runs, whatever a language model wrote. Data reaches the page in two ways: as
values of a template, escaped by Jinja, or as `data` blocks, which scripts read as JSON and show as text.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from synthwright.errors import StoreError

__all__ = ["asset", "json_block", "packed_block", "render_page", "write_page"]

_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def render_page(
    template: str,
    *,
    title: str,
    context: Mapping[str, Any],
    blocks: Iterable[tuple[str, str, str]] = (),
    scripts: Iterable[str] = (),
    charts: bool = False,
    styles: Iterable[str] = (),
) -> Iterator[str]:
    """The text of a page, piece by piece.

    Args:
        template: Name of a template in `report/templates`, such as `run.html.j2`, which extends `base.html.j2`; or the
            text of such a template if it holds a line break. Text that a model wrote never goes here.
        title: Title of the page.
        context: Values for the template; texts are escaped.
        blocks: (id, media type, content) of data blocks, made by `json_block` and `packed_block`; taken one by one.
        scripts: Text of scripts, run in order after `page.js`; one of them calls `page.start()`.
        charts: Whether Chart.js is part of the page; its scripts see it as `Chart`.
        styles: Further style sheets, after `page.css`.
    """
    sheet = "\n".join([asset("page.css"), *styles])
    code = [asset("page.js"), *scripts]
    if charts:
        code[:1] = [asset("chart.umd.min.js").partition("//# sourceMappingURL")[0], *code[:1], asset("charts.js")]
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, code))}; style-src {_hash(sheet)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = _environment()
    source = environment.from_string(template) if "\n" in template else environment.get_template(template)
    values = {"title": title, "policy": policy, "sheet": Markup(sheet), "code": [Markup(text) for text in code]}
    marked = ((name, media, Markup(content)) for name, media, content in blocks)
    yield from source.generate({**context, **values, "blocks": marked})


def write_page(path: Path, pieces: Iterable[str]) -> None:
    """Write a page beside its place and put it there at the end.

    Raises:
        StoreError: The file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(pieces)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StoreError(f"Cannot write the page {str(path)!r}: {error.strerror or error}.") from error


def json_block(name: str, data: Any) -> tuple[str, str, str]:
    """Data as a block that a page can read at once; no character of it can end the block."""
    return name, "application/json", json.dumps(data, ensure_ascii=False).translate(_ESCAPED)


def packed_block(name: str, data: Any) -> tuple[str, str, str]:
    """Data as a block that a page unpacks when it needs it: gzip in base64, about a quarter of the JSON."""
    content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    packed = gzip.compress(content, compresslevel=6, mtime=0)
    return name, "application/gzip", base64.b64encode(packed).decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache
def asset(name: str) -> str:
    """The text of a file in `report/assets`."""
    return (files("synthwright.report") / "assets" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("synthwright.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment


def _number(value: float | None) -> str:
    """A number for people: thousands apart, three digits of small ones."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
