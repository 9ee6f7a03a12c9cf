"""The page of an optimizer run: one HTML file with its figures, its history and its prompts, and no script.

Everything that a model wrote is escaped; the chart is SVG in the page; nothing is loaded from elsewhere.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from synthwright.optimizers.candidates import Candidate, PromptState
from synthwright.optimizers.stats import Difference

__all__ = ["history_chart", "page"]

WIDTH, HEIGHT, MARGIN = 720, 260, 44

STYLE = """
:root { color-scheme: light dark; --line: #8885; --up: #2a7d4f; --down: #b3402a; --ink: #3465a4; }
@media (prefers-color-scheme: dark) { :root { --up: #6cc495; --down: #e58a76; --ink: #86aef0; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0;
border-bottom: 1px solid var(--line); vertical-align: top; } td.n, th.n { text-align: right; white-space: nowrap;
font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; overflow-wrap: normal; }
.seeds th:last-child { width: 100%; } .seeds details { border: 0; padding: 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: 13px/1.45 ui-monospace, monospace; }
.plus { color: var(--up); } .minus { color: var(--down); } .note { border-left: 3px solid var(--down);
padding-left: .7rem; } .dim { opacity: .7; }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
svg { width: 100%; min-width: 560px; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
"""


def page(tuned: Any) -> str:
    """The whole page as HTML.

    Args:
        tuned: A `Tuned`, which imports this module.
    """
    method = tuned.generator.stem()
    parts = [
        f"<h1>Prompts of {_text(method)}, tuned by {_text(tuned.optimizer)}</h1>",
        f"<p class=dim>{_text(_made(tuned))}</p>",
        *(f"<p class=note>{_text(warning)}</p>" for warning in tuned.warnings),
        "<h2>Before and after, on test seeds that the search never saw</h2>",
        _figures(tuned),
        "<h2>History of the search</h2>",
        history_chart(tuned.history),
        "<h2>Prompts</h2>",
        *(_prompt(name, tuned) for name in tuned.best.prompts),
        "<h2>Seeds</h2>",
        _seeds(tuned),
        "<h2>Candidates</h2>",
        *(_candidate(number, candidate) for number, candidate in enumerate(tuned.history, 1)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{_text(method)}: tuned prompts</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def history_chart(history: Sequence[Candidate]) -> str:
    """Mean scores of the candidates over the LM calls made, as SVG.

    Dots are candidates scored on the validation seeds; the line is the best of them so far; rings are candidates that
    an optimizer tried on other seeds.
    """
    if not history:
        return "<p>No candidate was scored.</p>"
    last = max(1, *(candidate.calls for candidate in history))

    def place(calls: float, score: float) -> tuple[float, float]:
        x = MARGIN + (WIDTH - 2 * MARGIN) * calls / last
        return round(x, 1), round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * score, 1)

    marks = []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        left, y = place(0, level)
        marks.append(f'<line x1="{left}" x2="{WIDTH - MARGIN}" y1="{y}" y2="{y}" stroke="var(--line)"/>')
        marks.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{level:g}</text>')
    best, steps = 0.0, []
    for candidate in sorted(history, key=lambda candidate: candidate.calls):
        x, y = place(candidate.calls, candidate.mean)
        title = f"<title>{_text(candidate.origin)}: {candidate.mean:.3f}, {candidate.calls} calls</title>"
        if candidate.validated:
            best = max(best, candidate.mean)
            steps.append(place(candidate.calls, best))
            marks.append(f'<circle cx="{x}" cy="{y}" r="4.5" fill="var(--ink)">{title}</circle>')
        else:
            marks.append(f'<circle cx="{x}" cy="{y}" r="4" fill="none" stroke="var(--ink)">{title}</circle>')
    if steps:
        line = " ".join(f"{x},{y}" for x, y in [*_stairs(steps), (WIDTH - MARGIN, steps[-1][1])])
        marks.append(f'<polyline points="{line}" fill="none" stroke="var(--ink)" stroke-width="1.5"/>')
    marks.append(f'<text x="{MARGIN}" y="{HEIGHT - 12}">0</text>')
    marks.append(f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 12}" text-anchor="end">{last} LM calls</text>')
    return (
        f'<div class=wide><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Mean score of candidates over LM calls">'
        + "".join(marks)
        + "</svg></div>\n<p class=dim>Dots: scored on the validation seeds, with the best so far as a line. "
        "Rings: tried on other seeds.</p>"
    )


def _stairs(steps: Sequence[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    for before, after in itertools.pairwise(steps):
        yield before
        yield after[0], before[1]
    yield steps[-1]


def _made(tuned: Any) -> str:
    lms = ", ".join(f"{role}: {model}" for role, model in tuned.lms.items())
    return (
        f"{lms}. {tuned.calls} LM calls, {tuned.tokens:,} tokens, {tuned.seconds:.0f} s; {tuned.draws} draws a seed. "
        f"Best candidate: {tuned.best.origin}."
    )


def _figures(tuned: Any) -> str:
    rows = [_figure(f"{tuned.names['metric']} (optimized)", tuned.metric)]
    if tuned.held_out is not None:
        rows.append(_figure(f"{tuned.names['held_out']} (not optimized)", tuned.held_out))
    head = "".join(f"<th class=n>{name}</th>" for name in ("before", "after", "difference", "95 % interval", "seeds"))
    return f"<div class=wide><table><tr><th>score</th>{head}<th></th></tr>{''.join(rows)}</table></div>"


def _figure(name: str, difference: Difference) -> str:
    cells = (
        f"{difference.before:.3f}",
        f"{difference.after:.3f}",
        f"{difference.gain:+.3f}",
        f"{difference.low:+.3f} to {difference.high:+.3f}",
        str(difference.seeds),
    )
    verdict = "" if difference.measurable else "no measurable gain"
    return f"<tr><td>{_text(name)}</td>{''.join(f'<td class=n>{c}</td>' for c in cells)}<td>{verdict}</td></tr>"


def _prompt(name: str, tuned: Any) -> str:
    old, new = tuned.before.prompts[name], tuned.best.prompts[name]
    lines = tuned.prompt_diffs(width=None).get(name)
    if not lines:
        return f"<h3>{_text(name)}</h3><p>Unchanged.</p>{_state('Prompt', new)}"
    shown = "\n".join(f"<span class={'plus' if line[0] == '+' else 'minus'}>{_text(line)}</span>" for line in lines)
    return f"<h3>{_text(name)}</h3><pre>{shown}</pre>{_state('Before', old)}{_state('After', new)}"


def _state(label: str, state: PromptState) -> str:
    demos = "".join(f"<pre class=dim>{_json(demo)}</pre>" for demo in state.demos)
    count = f"{len(state.demos)} demonstrations"
    return f"<details><summary>{label}, {count}</summary><pre>{_text(state.instructions)}</pre>{demos}</details>"


def _seeds(tuned: Any) -> str:
    a, b = tuned.proof.a, tuned.proof.b
    rows = []
    for index, inputs in enumerate(a.seeds):
        said = _text(b.feedback[index] or "")
        rows.append(
            f"<tr><td class=n>{a.scores[index]:.2f}</td><td class=n>{b.scores[index]:.2f}</td><td><details><summary>"
            f"{_text(_short(inputs))}</summary><pre>{_json(inputs)}</pre><pre>{said}</pre></details></td></tr>"
        )
    head = "<th class=n>before</th><th class=n>after</th><th>seed, and what the metric says of its rows after</th>"
    return f"<table class=seeds><tr>{head}</tr>{''.join(rows)}</table>"


def _candidate(number: int, candidate: Candidate) -> str:
    scores = ", ".join(f"{score:.2f}" for score in candidate.scores)
    where = "validation seeds" if candidate.validated else "other seeds"
    label = f"{number}. {candidate.origin}: {candidate.mean:.3f} on {len(candidate.scores)} {where}"
    states = "".join(_state(_text(name), state) for name, state in candidate.prompts.items())
    return f"<details><summary>{_text(label)}</summary><pre class=dim>{scores}</pre>{states}</details>"


def _short(inputs: Mapping[str, Any]) -> str:
    text = " ".join("; ".join(f"{name}: {value}" for name, value in inputs.items()).split())
    return text if len(text) <= 120 else text[:117] + "..."


def _json(value: Any) -> str:
    plain = dict(value) if isinstance(value, Mapping) else value
    return _text(json.dumps(plain, ensure_ascii=False, indent=1, default=str))


def _text(value: str) -> str:
    return escape(value, quote=True).encode("utf-8", "replace").decode()
