"""A strip of a right factor, decoded once into memory for many blocks of rows.

    columns 32..63 of u4[128, 64]   -->   [32][2] atoms of 4 x 16 bytes, one after the other

Without it each block of rows decodes again what the one before had in registers. From `BLOCKS` blocks on that takes
longer than to store the decoded atoms and to read them back from the first-level cache. A large factor gains even
where there is nothing to decode: columns of rows that are far from one another share few sets of that cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu.elements import I8, element_size, element_type, step_to
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Buffer, Tile, chain
from vmc.backends.cpu.vectors import ROWS, Atom, Spot, spot

BLOCKS = 4
"""Blocks of rows from which on it pays."""
NEAREST_CACHE = 1 << 15
"""Bytes that the cache next to a processor holds."""


@dataclass(frozen=True, eq=False)
class Strip:
    """All rows of some columns of a tile, as atoms in memory, `vectors` of them side by side."""

    memory: Buffer
    atom: Atom
    vectors: int
    element: ir.Type
    bytes: int
    """Of an atom."""

    def address(self, e: Emitter, inner: Spot, vector: int) -> ir.Value:
        """Of the atom from row `inner` on, a multiple of the atom's rows."""
        base, offset = inner
        row = self.vectors * self.bytes // self.atom.rows
        start = self.memory.pointer
        if base is not None:
            start = step_to(e.b, start, e.mul(base, e.index(row)), I8, inbounds=True)
        return step_to(e.b, start, e.index(offset * row + vector * self.bytes), I8, inbounds=True)

    def vector(self, e: Emitter, inner: Spot, vector: int) -> ir.Value:
        """One of the atoms from row `inner` on."""
        type = ir.VectorType(self.element, self.atom.size) if self.atom.size > 1 else self.element
        return e.load(self.memory.scope, self.address(e, inner, vector), type, self.bytes)


def pays(b: Tile, depth: int) -> bool:
    """Whether a factor's atoms take more to decode than a load each."""
    if b.buffer is not None or depth == 1:
        return False
    loaded = [part.dtype.width for part in chain(b) if part.origin is not None]
    return not loaded or max(loaded) < 8 or depth < ROWS


def is_large(b: Tile) -> bool:
    """Whether a factor's rows, of which a strip is a few columns, would push the other factor out of the cache."""
    return element_size(b.dtype) * b.size >= NEAREST_CACHE


def strip_of(e: Emitter, b: Tile, atom: Atom, vectors: int) -> Strip:
    """Memory for a strip of a tile."""
    bytes = element_size(b.dtype) * atom.size
    memory = e.allocate_raw(I8, 1, b.shape[0] // atom.rows * vectors * bytes)
    return Strip(memory, atom, vectors, element_type(b.dtype), bytes)


def decode(e: Emitter, b: Tile, column: Spot, strip: Strip) -> None:
    """Fills a strip with the columns from one on."""
    k, rows, (base, offset) = b.shape[0], strip.atom.rows, column
    turn = b.period if k % b.period == 0 and b.period % rows == 0 else rows

    def some(inner: ir.Value) -> None:
        first, low = spot(inner)
        for row in range(low, low + turn, rows):
            for vector in range(strip.vectors):
                value = e.vector(b, ((first, row), (base, offset + vector * strip.atom.columns)), strip.atom)
                e.store(strip.memory.scope, value, strip.address(e, (first, row), vector), strip.bytes)

    e.each(e.index(0), e.index(k), some, turn)
