"""The interaction graph of a debate as a drawing: rounds from left to right, one line an agent."""

from html import escape

from synthwright.signatures.debate_reflect import Debate, Edge, Node

__all__ = ["draw"]

_COLUMN, _LINE, _LEFT, _TOP, _RADIUS = 190, 96, 120, 64, 22
_FILL = {"right": "#2e7d32", "wrong": "#c62828", "invalid": "#757575"}
_MARK = {"right": "\u2713", "wrong": "\u2717", "invalid": "?"}
_STROKE = {"context": "#c8c8c8", "reflection": "#ef6c00", "feedback": "#1565c0"}


def draw(debate: Debate) -> str:
    """The graph as an SVG document, with every text of the model escaped.

    Nodes show whether the answer is right; grey lines are answers read, blue arrows feedback from a right agent to a
    wrong one, orange loops reflections. The full texts are tooltips.
    """
    agents = (*debate.students, *debate.teachers)
    height = _TOP + _LINE * len(agents) + 48
    width = _LEFT + _COLUMN * debate.rounds
    places = {node.key: _place(node, agents) for node in debate.nodes}
    title = f"Debate: {_short(debate.question, 90)} (answer: {_short(debate.gold, 30)}; ended: {debate.stop})"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{_safe(title)}</title>",
        "<defs>",
        *(
            f'<marker id="{kind}" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
            f'<path d="M0,0 L8,4 L0,8 z" fill="{_STROKE[kind]}"/></marker>'
            for kind in ("reflection", "feedback")
        ),
        "</defs>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="12" y="20" font-size="13">{_safe(_short(title, 20 + width // 8))}</text>',
    ]
    for number in range(debate.rounds):
        lines.append(f'<text x="{_LEFT + _COLUMN * number}" y="42" text-anchor="middle">round {number}</text>')
    for index, agent in enumerate(agents):
        lines.append(f'<text x="12" y="{_TOP + _LINE * index + _LINE // 2 + 4}">{_safe(_short(agent, 14))}</text>')
    lines += [_edge(edge, places) for edge in sorted(debate.edges, key=lambda edge: edge.kind != "context")]
    lines += [_node(node, *places[node.key]) for node in debate.nodes]
    legend = "\u2713 right   \u2717 wrong   ? invalid   blue: feedback   orange: reflection   grey: read"
    lines += [f'<text x="12" y="{height - 14}" xml:space="preserve">{_safe(legend)}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _place(node: Node, agents: tuple[str, ...]) -> tuple[int, int]:
    return _LEFT + _COLUMN * node.round, _TOP + _LINE * agents.index(node.agent) + _LINE // 2


def _node(node: Node, x: int, y: int) -> str:
    tip = f"{node.key}, {node.state}: {node.answer}\n{node.reasoning}"
    return (
        f'<g><title>{_safe(tip)}</title><circle cx="{x}" cy="{y}" r="{_RADIUS}" fill="{_FILL[node.state]}"/>'
        f'<text x="{x}" y="{y + 5}" fill="#ffffff" text-anchor="middle" font-size="15">{_MARK[node.state]}</text>'
        f'<text x="{x}" y="{y + _RADIUS + 14}" text-anchor="middle">{_safe(_short(node.answer, 18))}</text></g>'
    )


def _edge(edge: Edge, places: dict[str, tuple[int, int]]) -> str:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    colour = _STROKE[edge.kind]
    if edge.kind == "context":
        return f'<line x1="{x1 + _RADIUS}" y1="{y1}" x2="{x2 - _RADIUS}" y2="{y2}" stroke="{colour}"/>'
    tip = f"<title>{_safe(edge.feedback.text() if edge.feedback else '')}</title>"
    if edge.kind == "reflection":
        path = f"M{x1 - 8},{y1 - _RADIUS} C{x1 - 30},{y1 - 52} {x1 + 30},{y1 - 52} {x1 + 8},{y1 - _RADIUS}"
    else:  # both ends are in one column: bow out to the right
        bow = x1 + 30 + abs(y2 - y1) // 6
        path = f"M{x1 + _RADIUS},{y1} C{bow},{y1} {bow},{y2} {x2 + _RADIUS},{y2}"
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6" marker-end="url(#{edge.kind})">{tip}</path>'
    )


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _safe(text: str) -> str:
    """Text for XML: escaped, and without the control characters and half characters that no XML may hold."""
    kept = "".join(
        c
        for c in text
        if c in "\t\n" or (ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF and ord(c) not in (0xFFFE, 0xFFFF))
    )
    return escape(kept, quote=True)
