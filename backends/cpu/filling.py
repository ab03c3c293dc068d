"""Writing a tile to memory an atom at a time, where elements alone would be decoded one by one."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from vmc.backends.cpu.elements import element_size
from vmc.backends.cpu.emitter import Emitter, can_vector
from vmc.backends.cpu.tiles import Buffer, Tile, chain
from vmc.backends.cpu.vectors import Atom, Place, spot

COLUMNS = 16
UNROLLED = 32
"""The most rows of one turn of the loop."""
MOST_VECTORS = 4
"""The same of plain vectors."""


def is_better_in_atoms(tile: Tile) -> bool:
    """Whether a tile comes from a storage that is decoded in atoms."""
    return tile.period > 1 and tile.product is None and is_liftable(tile) and tile.shape[-1] % COLUMNS == 0


def is_load_in_vectors(e: Emitter, tile: Tile) -> bool:
    """Whether a tile is a load whose rows are whole vectors of memory."""
    plain = tile.origin is not None and tile.lanes is not None and tile.period == 1
    return plain and len(tile.shape) == 2 and tile.shape[-1] % lanes_of(e, tile) == 0


def lanes_of(e: Emitter, tile: Tile) -> int:
    """Elements of a vector register."""
    return int(e.machine.vector_bytes) // element_size(tile.dtype)


def is_liftable(tile: Tile) -> bool:
    """Whether a whole chain can be had in atoms."""
    return all(map(can_vector, chain(tile)))


def fill(e: Emitter, buffer: Buffer, tile: Tile) -> None:
    """Writes a tile of two axes whose rows are whole atoms."""
    wherever_loads_lie(e, tile, lambda: rows(e, buffer, tile))


def wherever_loads_lie(e: Emitter, tile: Tile, write: Callable[[], None]) -> None:
    """Code for a tile in atoms, once without guards for where all of its loads lie inside, else with them."""
    from vmc.backends.cpu.products import conditions_of

    conditions = conditions_of(tile)
    if not conditions:
        with e.guard(False):
            write()
        return
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = e.b.and_(whole, condition)
    with e.b.if_else(whole) as (then, otherwise):
        with then, e.guard(False):
            write()
        with otherwise, e.guard(True):
            write()


def vectors(e: Emitter, buffer: Buffer, tile: Tile) -> None:
    """Writes a tile of two axes row after row."""
    (m, n), lanes = tile.shape, lanes_of(e, tile)
    count = next(count for count in range(MOST_VECTORS, 0, -1) if n // lanes % count == 0)

    def some(row: ir.Value, column: ir.Value) -> None:
        base, offset = spot(column)
        for number in range(count):
            write(e, buffer, tile, (spot(row), (base, offset + number * lanes)), Atom(1, lanes))

    def line(row: ir.Value) -> None:
        e.each(e.index(0), e.index(n), lambda column: some(row, column), count * lanes)

    e.each(e.index(0), e.index(m), line)


def write(e: Emitter, buffer: Buffer, tile: Tile, place: Place, atom: Atom) -> None:
    """Writes an atom of one row to where it belongs."""
    target = e.element(buffer, e.linear(tuple(map(e.spot, place)), tile.shape))
    e.store(buffer.scope, e.vector(tile, place, atom), target)


def rows(e: Emitter, buffer: Buffer, tile: Tile) -> None:
    m, n = tile.shape
    step = min(tile.period, UNROLLED)
    atom = Atom(1, COLUMNS)

    def block(row: ir.Value, column: ir.Value, count: int) -> None:
        base, offset = spot(row)
        for number in range(count):
            write(e, buffer, tile, ((base, offset + number), spot(column)), atom)

    def strip(column: ir.Value) -> None:
        whole = m // step * step
        e.each(e.index(0), e.index(whole), lambda row: block(row, column, step), step)
        with e.fresh_memo():
            block(e.index(whole), column, m - whole)

    e.each(e.index(0), e.index(n), strip, COLUMNS)
