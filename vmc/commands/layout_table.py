"""The table that `vmc layout` prints: the tile as a grid, cut to the terminal, and the layout's properties."""

from __future__ import annotations

from vmc.commands.layout_facts import summary
from vmc.drawing.cells import Labels, Sheet, runs, sheets
from vmc.drawing.colours import Colours
from vmc.ir.layout import Layout

MOST_ROWS = 34
FEW_ROWS = 12
"""What is shown of a tile that has more than MOST_ROWS."""


def table(layout: Layout, width: int, color: bool) -> str:
    """Lines for a terminal of `width` columns; `color` adds ANSI colours, those of the picture."""
    parts = [grid(layout, sheet, color) for sheet in fitting(layout, width)]
    rows = [*summary(layout), ("cells say", Labels.of(layout).legend)]
    name = max(len(name) for name, _ in rows)
    return "\n\n".join(parts) + "\n\n" + "".join(f"{key:<{name}}  {value}\n" for key, value in rows)


def fitting(layout: Layout, width: int) -> list[Sheet]:
    """The sheets, of as many columns as fit."""
    most = width
    rows = MOST_ROWS if max(layout.shape[-2:-1], default=1) <= MOST_ROWS else FEW_ROWS
    while True:
        result = sheets(layout.shape, rows, most)
        wide = max(needed(layout, sheet) for sheet in result)
        if wide <= width or most <= 4:
            return result
        most = max(4, min(most - 1, most * width // wide))


def needed(layout: Layout, sheet: Sheet) -> int:
    """How wide a sheet is."""
    return row_width(sheet) + len(sheet.columns) * (cell_width(layout, sheet) + 1)


def row_width(sheet: Sheet) -> int:
    return max((len(row) for row in sheet.rows), default=0)


def cell_width(layout: Layout, sheet: Sheet) -> int:
    labels = Labels.of(layout)
    said = [labels.label(runs(layout, index)) for row in sheet.indices for index in row if index is not None]
    return max((len(text) for text in (*said, *sheet.columns)), default=0)


def grid(layout: Layout, sheet: Sheet, color: bool) -> str:
    """One sheet as lines."""
    if not sheet.rows:
        return sheet.title
    labels, colours, wide, first = Labels.of(layout), Colours(layout), cell_width(layout, sheet), row_width(sheet)
    lines = [sheet.title] * bool(sheet.title)
    lines.append((" " * first + "".join(f" {column:>{wide}}" for column in sheet.columns)).rstrip())
    for name, row in zip(sheet.rows, sheet.indices, strict=True):
        cells = []
        for column, index in zip(sheet.columns, row, strict=True):
            if index is None:
                cells.append(" " + ("..." if "..." in (name, column) else "").rjust(wide))
                continue
            held = runs(layout, index)
            text = labels.label(held).rjust(wide)
            cells.append(" " + (painted(text, colours.of(held, index)) if color else text))
        lines.append((name.rjust(first) + "".join(cells)).rstrip())
    return "\n".join(lines)


def painted(text: str, colour: str) -> str:
    """Dark letters on a colour given as #rrggbb."""
    r, g, b = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return f"\x1b[38;2;28;39;51;48;2;{r};{g};{b}m{text}\x1b[0m"
