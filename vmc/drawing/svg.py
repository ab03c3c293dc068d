"""A small SVG document: rectangles and text, sized to what it holds, with ink that suits light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

FONT = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
LETTER = 0.602
"""The width of a letter of these fonts, in parts of their size."""

STYLE = f"""
text {{ font-family: {FONT}; text-anchor: middle; fill: #1c2733 }}
.b {{ font-weight: bold }}
.m {{ fill: #6e7781 }}
.s {{ text-anchor: start }}
.e {{ text-anchor: end }}
.o {{ fill: none; stroke: #8c959f }}
.t {{ stroke: #1c2733; stroke-opacity: 0.3 }}
.w {{ fill: none; stroke: #57606a; stroke-width: 2.5 }}
@media (prefers-color-scheme: dark) {{ .m {{ fill: #9198a1 }} .w {{ stroke: #d1d7e0 }} }}
"""
"""Letters on cells are dark, cells are light on every page; only what stands beside cells (.m, .w) follows the page."""


@dataclass
class Drawing:
    """Elements of an SVG in order, and the size that they need so far."""

    parts: list[str] = field(default_factory=list)
    width: float = 0
    height: float = 0

    def rect(self, x: float, y: float, w: float, h: float, fill: str | None = None, round: float = 2) -> None:
        """A filled rectangle, or with no colour an outline."""
        look = f'fill="{fill}"' if fill else 'class="o"'
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{round:g}" {look}/>')
        self.grow(x + w, y + h)

    def text(self, x: float, y: float, text: str, size: float, look: str = "") -> None:
        """Text with its baseline at y; `look` holds the classes: b(old), m(uted), s(tart), e(nd)."""
        if text:
            shown = f' class="{look}"' if look else ""
            self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size:g}"{shown}>{escape(text)}</text>')
            along = {"s": 1.0, "e": 0.0}.get(look[-1:], 0.5)
            self.grow(x + along * letters(text, size), y + size * 0.3)

    def path(self, steps: str, look: str) -> None:
        """Lines, given as the steps of a path: a heavy border (w), or ticks on a cell (t)."""
        if steps:
            self.parts.append(f'<path class="{look}" d="{steps}"/>')

    def grow(self, x: float, y: float) -> None:
        self.width, self.height = max(self.width, x), max(self.height, y)

    def render(self, margin: float, title: str) -> str:
        """The document; `title` is what a screen reader says."""
        w, h = round(self.width + margin), round(self.height + margin)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img">'
        body = "\n".join(self.parts)
        return f"{head}\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"


def letters(text: str, size: float) -> float:
    """The width of a text."""
    return len(text) * LETTER * size
