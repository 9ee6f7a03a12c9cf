"""A bar chart as SVG text, readable on white and on dark pages."""

from html import escape

ROW, LEFT, WIDTH, RIGHT, TOP = 34, 130, 440, 70, 62  # pixels
STYLE = """
  text { font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 16px }
  .quiet { fill: #59636e; font-size: 12px }
  .strong { font-weight: 600 }
  .bar { fill: #8c96a3 }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .bar { fill: #6e7681 }
    .ours { fill: #4493f8 }
  }
"""


def bars(title: str, subtitle: str, values: dict[str, float], strong: str = "") -> str:
    """Draw one horizontal bar a name, as long as its value, with the value behind it.

    Args:
        title: First line.
        subtitle: Second line, smaller.
        values: Name -> value, at least 0; drawn in this order.
        strong: The name whose bar stands out.
    """
    most = max(values.values(), default=0) or 1
    width, height = LEFT + WIDTH + RIGHT, TOP + ROW * len(values)
    spoken = ", ".join(f"{name} {value:,.0f}" for name, value in values.items())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(f"{title}: {spoken}")}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        f'<text class="quiet" x="12" y="44">{escape(subtitle)}</text>',
    ]
    for row, (name, value) in enumerate(values.items()):
        y, length = TOP + ROW * row, max(1.0, WIDTH * value / most)
        bar, weight = ("bar ours", ' class="strong"') if name == strong else ("bar", "")
        lines += [
            f'<text{weight} x="{LEFT - 10}" y="{y + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{bar}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 10}" rx="3"/>',
            f'<text{weight} x="{LEFT + length + 8:.1f}" y="{y + 17}">{value:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
