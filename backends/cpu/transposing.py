"""Transposing a tile of two axes into memory: square blocks of vectors, whose halves change places stage by stage.

Element by element, one side or the other of a transpose is a gather or a scatter.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu import filling
from vmc.backends.cpu.elements import element_size, element_type
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.memory import natural
from vmc.backends.cpu.tiles import Buffer, Tile
from vmc.backends.cpu.vectors import Atom, shuffle, spot

SIZES = (4, 8)
"""Bytes of the elements that blocks are made of; of narrower ones a block would be long code."""


def fits(e: Emitter, tile: Tile) -> bool:
    """Whether a tile is the transpose of one that square blocks of vectors fill."""
    if tile.transposed is None or element_size(tile.dtype) not in SIZES:
        return False
    return all(extent % filling.lanes_of(e, tile) == 0 for extent in tile.shape)


def fill(e: Emitter, buffer: Buffer, tile: Tile) -> None:
    """Writes the transpose to a buffer."""
    source = tile.transposed
    assert source is not None
    if filling.is_liftable(source):
        filling.wherever_loads_lie(e, source, lambda: blocks(e, buffer, tile, source))
        return
    held = e.settled_tile(source.dtype, source.shape, e.settle(source))
    blocks(e, buffer, tile, held)


def blocks(e: Emitter, buffer: Buffer, tile: Tile, source: Tile) -> None:
    """Writes the transpose of a source that can be had in atoms."""
    lanes = filling.lanes_of(e, tile)
    align = natural(element_type(tile.dtype))
    rows, columns = source.shape

    def block(row: ir.Value, column: ir.Value) -> None:
        base, offset = spot(row)
        places = [((base, offset + i), spot(column)) for i in range(lanes)]
        turned = transposed(e.b, [e.vector(source, place, Atom(1, lanes)) for place in places])
        for i, line in enumerate(turned):
            target = e.element(buffer, e.linear((e.add(column, e.index(i)), row), tile.shape))
            e.store(buffer.scope, line, target, align)

    def strip(row: ir.Value) -> None:
        e.each(e.index(0), e.index(columns), lambda column: block(row, column), lanes)

    e.each(e.index(0), e.index(rows), strip, lanes)


def transposed(b: ir.IRBuilder, rows: Sequence[ir.Value]) -> list[ir.Value]:
    """The columns of as many rows as a row has lanes. At each stage, rows i and i + h exchange the upper h of every 2 h
    lanes of the one for the lower h of the other.
    """
    lines, count = list(rows), len(rows)
    half = count // 2
    while half:
        for i in range(count):
            if not i & half:
                a, c = lines[i], lines[i + half]
                low = [j if not j & half else count + j - half for j in range(count)]
                high = [j + half if not j & half else count + j for j in range(count)]
                lines[i], lines[i + half] = shuffle(b, a, c, low), shuffle(b, a, c, high)
        half //= 2
    return lines
