"""Writing a tile to memory an atom at a time, where elements alone would be decoded one by one."""

from __future__ import annotations

from llvmlite import ir

from vmc.backends.cpu.emitter import Emitter, can_vector
from vmc.backends.cpu.tiles import Buffer, Tile, chain
from vmc.backends.cpu.vectors import Atom, spot

COLUMNS = 16
UNROLLED = 32
"""The most rows of one turn of the loop."""


def is_better_in_atoms(tile: Tile) -> bool:
    """Whether a tile comes from a storage that is decoded in atoms."""
    return tile.period > 1 and tile.product is None and is_liftable(tile) and tile.shape[-1] % COLUMNS == 0


def is_liftable(tile: Tile) -> bool:
    """Whether a whole chain can be had in atoms."""
    return all(map(can_vector, chain(tile)))


def fill(e: Emitter, buffer: Buffer, tile: Tile) -> None:
    """Writes a tile of two axes whose rows are whole atoms."""
    from vmc.backends.cpu.products import conditions_of

    conditions = conditions_of(tile)
    if not conditions:
        with e.guard(False):
            rows(e, buffer, tile)
        return
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = e.b.and_(whole, condition)
    with e.b.if_else(whole) as (then, otherwise):
        for arm, guarded in ((then, False), (otherwise, True)):
            with arm, e.guard(guarded):
                rows(e, buffer, tile)


def rows(e: Emitter, buffer: Buffer, tile: Tile) -> None:
    m, n = tile.shape
    step = min(tile.period, UNROLLED)
    atom = Atom(1, COLUMNS)

    def block(row: ir.Value, column: ir.Value, count: int) -> None:
        base, offset = spot(row)
        for number in range(count):
            place = ((base, offset + number), spot(column))
            target = e.element(buffer, e.linear(tuple(map(e.spot, place)), tile.shape))
            e.store(buffer.scope, e.vector(tile, place, atom), target)

    def strip(column: ir.Value) -> None:
        whole = m // step * step
        e.each(e.index(0), e.index(whole), lambda row: block(row, column, step), step)
        with e.fresh_memo():
            block(e.index(whole), column, m - whole)

    e.each(e.index(0), e.index(n), strip, COLUMNS)
