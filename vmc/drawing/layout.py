"""The picture of a layout: its tile, every cell coloured by who holds it, and for packed memory the bytes, bit by bit.

In registers a cell says the lane and below it the slot, and lanes of a quad share a hue; heavy lines part warps. In
memory a cell says its offset: elements of whole bytes are coloured by the 16-byte chunk of a 128-byte line (what a
swizzle permutes), smaller ones each on their own, as are their bits in the bytes below, which are drawn bit 0 first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmc.drawing.cells import Index, Run, Sheet, runs, sheets
from vmc.drawing.colours import Colours
from vmc.drawing.stream import draw_stream
from vmc.drawing.svg import Drawing, letters
from vmc.ir.layout import LANE, WARP, Layout

MARGIN = 14
CELL = 26
MOST = 72
"""Rows and columns of a sheet."""

Held = Mapping[Index, Sequence[Run]]


def draw(layout: Layout, title: str | None = None) -> str:
    """The layout as an SVG document; `title` stands above it, its text form without."""
    drawing, colours = Drawing(), Colours(layout)
    name = layout.text() if title is None else title
    drawing.text(MARGIN, MARGIN + 10, name, 13, "b m s")
    drawing.text(MARGIN, MARGIN + 28, subtitle(colours), 10.5, "m s")
    y = MARGIN + 40.0
    for sheet in sheets(layout.shape, MOST, MOST):
        y = draw_sheet(drawing, layout, colours, sheet, y) + 14
    if colours.packed:
        draw_stream(drawing, layout, MARGIN, y + 8)
    return drawing.render(MARGIN, name)


def subtitle(colours: Colours) -> str:
    """What the cells say, and what their colours mean."""
    who, below, slot = colours.labels.legend.partition(":")
    return f"{who}{', and below it ' * bool(below)}{slot}; coloured by {colours.meaning}"


def draw_sheet(drawing: Drawing, layout: Layout, colours: Colours, sheet: Sheet, y: float) -> float:
    """Draws one sheet below y; the y at which it ends."""
    if sheet.title:
        y += 14
        drawing.text(MARGIN, y, sheet.title, 11, "m s")
    if not sheet.rows:
        return y
    held = {index: runs(layout, index) for row in sheet.indices for index in row if index is not None}
    left = MARGIN + max(letters(row, 9.5) for row in sheet.rows) + 8
    grid = Grid(drawing, colours, sheet, held, left, y + 16)
    grid.draw_names()
    grid.draw_cells()
    grid.draw_borders()
    return y + 16 + CELL * len(sheet.rows)


class Grid:
    """The cells of a sheet from the point (x, y) on."""

    def __init__(self, drawing: Drawing, colours: Colours, sheet: Sheet, held: Held, x: float, y: float) -> None:
        self.drawing, self.colours, self.sheet, self.held, self.x, self.y = drawing, colours, sheet, held, x, y
        self.two_lines = bool(colours.labels.holders)
        self.says = {index: colours.labels.parts(each) for index, each in held.items()}
        size = 9 if self.two_lines else 10
        widest = max(max(letters(holder, 10), letters(slot, size)) for holder, slot in self.says.values())
        self.width = max(CELL, round(widest) + 8)

    def draw_names(self) -> None:
        for c, column in enumerate(self.sheet.columns):
            self.drawing.text(self.x + (c + 0.5) * self.width, self.y - 5, column, 9.5, "m")
        for r, row in enumerate(self.sheet.rows):
            self.drawing.text(self.x - 7, self.y + (r + 0.5) * CELL + 3.5, row, 9.5, "m e")

    def draw_cells(self) -> None:
        for r, row in enumerate(self.sheet.indices):
            for c, index in enumerate(row):
                if index is not None:
                    self.draw_cell(r, c, index)

    def draw_cell(self, r: int, c: int, index: Index) -> None:
        """A cell; it stands off its neighbours, and less from those that it belongs to."""
        x, y = self.x + c * self.width, self.y + r * CELL
        around = ((r, c - 1), (r - 1, c), (r, c + 1), (r + 1, c))
        left, above, right, below = (0.4 if self.joined(index, self.at(*place)) else 1.6 for place in around)
        colour = self.colours.of(self.held[index], index)
        self.drawing.rect(x + left, y + above, self.width - left - right, CELL - above - below, colour)
        holder, slot = self.says[index]
        middle = x + self.width / 2
        if self.two_lines:
            self.drawing.text(middle, y + 11.5, holder, 10, "b")
            self.drawing.text(middle, y + 21.5, slot, 9)
        else:
            self.drawing.text(middle, y + CELL / 2 + 3.5, slot, 10)

    def at(self, r: int, c: int) -> Index | None:
        """The index at a row and a column; None outside of the sheet."""
        inside = 0 <= r < len(self.sheet.rows) and 0 <= c < len(self.sheet.columns)
        return self.sheet.indices[r][c] if inside else None

    def joined(self, one: Index, other: Index | None) -> bool:
        """Whether two neighbours are drawn as one."""
        if other is None:
            return False
        group = self.colours.group(self.held[one])
        return group is not None and group == self.colours.group(self.held[other])

    def draw_borders(self) -> None:
        """Heavy lines between the cells of different warps, where lanes have the colours."""
        holders = self.colours.labels.holders
        if WARP not in holders or LANE not in holders:
            return
        steps = ""
        for r, row in enumerate(self.sheet.indices):
            for c, index in enumerate(row):
                x, y = self.x + c * self.width, self.y + r * CELL
                steps += f"M{x:g} {y:g}v{CELL}" * self.apart(index, self.at(r, c - 1))
                steps += f"M{x:g} {y:g}h{self.width:g}" * self.apart(index, self.at(r - 1, c))
        self.drawing.path(steps, "w")

    def apart(self, one: Index | None, other: Index | None) -> bool:
        """Whether two neighbours are in different warps."""
        warp = self.colours.labels.holders.index(WARP)
        if one is None or other is None:
            return False
        return self.held[one][0].owner[warp] != self.held[other][0].owner[warp]
