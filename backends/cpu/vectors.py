"""Tiles evaluated many elements at a time: atoms, places, and the vectors that memory gives.

An *atom* is rows x columns elements of a tile's last two axes, as one LLVM vector: element (i, j) is its lane
j * rows + i. Atoms of one row are runs of a row; those of four rows are the order in which dot product instructions
take bytes. A *place* is the index of an atom's first element; each coordinate is a value and a constant beside it, so
that what is the same is found again, and where an atom lies in a block of memory is known while code is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from llvmlite import ir

from vmc.backends.cpu.elements import I32

ROWS = 4
"""The rows of the atoms that codes are decoded in."""

Spot = tuple[ir.Value | None, int]
Place = tuple[Spot, ...]


@dataclass(frozen=True)
class Atom:
    """rows x columns elements; see the module's description."""

    rows: int
    columns: int

    @property
    def size(self) -> int:
        return self.rows * self.columns

    @property
    def line(self) -> Atom:
        """One row of the atom."""
        return Atom(1, self.columns)


def spot(value: ir.Value) -> Spot:
    """An i64 as a coordinate."""
    return (None, value.constant) if isinstance(value, ir.Constant) else (value, 0)


def shifted(place: Place, axis: int, distance: int) -> Place:
    """The place `distance` further along an axis, counted from the last if negative."""
    if not distance:
        return place
    axis %= len(place)
    base, offset = place[axis]
    return (*place[:axis], (base, offset + distance), *place[axis + 1 :])


def shuffle(b: ir.IRBuilder, one: ir.Value, other: ir.Value, lanes: Sequence[int]) -> ir.Value:
    """Lanes of two vectors side by side."""
    return b.shuffle_vector(one, other, ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes)))


def undefined(type: ir.Type) -> ir.Constant:
    return ir.Constant(type, ir.Undefined)


def splat(b: ir.IRBuilder, element: ir.Value, count: int) -> ir.Value:
    """A vector of one element; the element itself for a count of 1."""
    if count == 1:
        return element
    if not isinstance(element, ir.Constant):
        return _spread(b, element, ir.VectorType(element.type, count))
    if is_expression(element):
        return ir.Constant(ir.VectorType(element.type, count), [element] * count)
    return filled(element, count)


@lru_cache(maxsize=1024)
def filled(element: ir.Constant, count: int) -> ir.Constant:
    """A vector of one number. One object for all uses, since llvmlite takes long to write vectors, and does it once."""
    return ir.Constant(ir.VectorType(element.type, count), [element.constant] * count)


def is_expression(constant: ir.Constant) -> bool:
    """Whether a constant is more than a number: a bit cast of one, say."""
    return isinstance(constant, ir.FormattedConstant) or constant.constant is ir.Undefined


def _spread(b: ir.IRBuilder, element: ir.Value, type: ir.VectorType) -> ir.Value:
    first = b.insert_element(undefined(type), element, ir.Constant(I32, 0))
    return shuffle(b, first, undefined(type), [0] * type.count)


def joined(b: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    """Two vectors one after the other."""
    return shuffle(b, one, other, range(one.type.count + other.type.count))


def interleaved(b: ir.IRBuilder, rows: Sequence[ir.Value]) -> ir.Value:
    """The atom of rows, each a vector: lane j * len(rows) + i is lane j of row i. The number of rows is 1, 2 or 4."""
    if len(rows) == 1:
        return rows[0]
    count, half = rows[0].type.count, len(rows) // 2
    low, high = (part[0] if half == 1 else joined(b, *part) for part in (rows[:half], rows[half:]))
    return shuffle(b, low, high, [i * count + j for j in range(count) for i in range(len(rows))])


def repeated(b: ir.IRBuilder, line: ir.Value, rows: int) -> ir.Value:
    """The atom all of whose rows are one line."""
    if rows == 1:
        return line
    return shuffle(b, line, undefined(line.type), [j for j in range(line.type.count) for _ in range(rows)])


def row_of(b: ir.IRBuilder, atom: ir.Value, rows: int, row: int) -> ir.Value:
    """One row of an atom. Of four rows of bytes: a shift inside each lane of 32 bits."""
    count = atom.type.count // rows
    element = atom.type.element
    if rows * element.width == 32:
        words = b.bitcast(atom, ir.VectorType(I32, count)) if count > 1 else b.bitcast(atom, I32)
        if row:
            words = b.lshr(words, splat(b, ir.Constant(I32, row * element.width), count))
        return b.trunc(words, ir.VectorType(element, count) if count > 1 else element)
    return shuffle(b, atom, undefined(atom.type), [j * rows + row for j in range(count)])


def rows_of(b: ir.IRBuilder, atom: ir.Value, rows: int, wanted: range) -> ir.Value:
    """The atom of some of the rows of an atom, which move as words where they lie so."""
    if len(wanted) == 1:
        return row_of(b, atom, rows, wanted[0])
    columns = atom.type.count // rows
    width, parts = len(wanted) * atom.type.element.width, rows // len(wanted)
    if rows % len(wanted) or wanted[0] % len(wanted) or width > 32:
        return shuffle(b, atom, undefined(atom.type), [j * rows + i for j in range(columns) for i in wanted])
    words = b.bitcast(atom, ir.VectorType(ir.IntType(width), columns * parts))
    part = wanted[0] // len(wanted)
    taken = shuffle(b, words, undefined(words.type), [j * parts + part for j in range(columns)])
    return b.bitcast(taken, ir.VectorType(atom.type.element, columns * len(wanted)))
