"""How the codes of an atom are taken out of a storage: found from its layout, whatever made it.

In a storage that suits vectors, the bits of an atom's elements lie in consecutive bytes, at the same bits of each. Each
run of bits of an element is then a *field*: one load for the whole atom, a shift and a mask. An odd width has several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from llvmlite import ir

from vmc.backends.cpu.elements import I8, I16, from_code, step_to
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.memory import LINE
from vmc.backends.cpu.tiles import Tensor
from vmc.backends.cpu.vectors import ROWS, Atom, Place, Spot, rows_of, splat
from vmc.ir.core import Storage

COLUMNS = 16
"""The most columns of an atom, which narrower ones divide."""
AHEAD = 3072
"""How many bytes ahead codes are asked for, at least: what memory gives a core in the time that it takes to answer."""


@dataclass(frozen=True)
class Field:
    """Bits `low` to `low + bits` of each code lie from bit `shift` of a byte on; the first one's byte is `byte`."""

    byte: int
    shift: int
    bits: int
    low: int


@lru_cache(maxsize=4096)
def atom_fields(storage: Storage, width: int, row: int) -> tuple[Field, ...] | None:
    """The fields of the atom of ROWS rows from a row of a block on, and all of its columns; None if it has none."""
    from vmc.ir.storage import block_positions

    rows, columns = storage.block
    places = block_positions(storage, width).reshape(rows, columns, width)[row : row + ROWS]
    expected = 8 * (np.arange(columns)[None, :] * ROWS + np.arange(ROWS)[:, None])
    fields: list[Field] = []
    for bit in range(width):
        first = int(places[0, 0, bit])
        if not np.array_equal(places[:, :, bit] - first, expected):
            return None
        last = fields[-1] if fields else None
        if last and last.byte == first // 8 and last.shift + last.bits == first % 8:
            fields[-1] = Field(last.byte, last.shift, last.bits + 1, last.low)
        else:
            fields.append(Field(first // 8, first % 8, 1, bit))
    return tuple(fields)


def is_decodable(storage: Storage, width: int) -> bool:
    """Whether every atom of a block has fields, and no vector of columns reaches into another block."""
    if len(storage.block) != 2 or storage.block[0] % ROWS or storage.block[1] % COLUMNS or storage.pitch % 8:
        return False
    rows = range(0, storage.block[0], ROWS)
    return width <= 8 and all(atom_fields(storage, width, row) is not None for row in rows)


AFFINE = {16: "avx", 32: "avx", 64: "avx512f"}
"""Bytes of a vector whose bits a matrix can move, and what the processor needs for it besides GFNI."""


def bit_matrix(field: Field, count: int) -> ir.Constant:
    """The operand of GF2P8AFFINEQB that moves a field: bit i of a byte is the parity of the byte and row 7 - i."""
    rows = [0] * 8
    for bit in range(field.bits):
        rows[7 - field.low - bit] = 1 << (field.shift + bit)
    return ir.Constant(ir.VectorType(I8, count), rows * (count // 8))


@dataclass(frozen=True, eq=False)
class Blocks:
    """A slice of whole blocks of a decodable storage: numbers of its first blocks, and how many by dimension."""

    tensor: Tensor
    starts: tuple[ir.Value, ir.Value]
    counts: tuple[ir.Value, ir.Value]
    fill: int
    ahead: ir.Value | None = None
    """Bytes from what is loaded to what is loaded some turns later; None where that is not known."""

    def element(self, e: Emitter, place: Place, atom: Atom) -> ir.Value:
        """The elements of an atom of four rows, or of some of them."""
        row = place[0][1]
        if atom.rows == ROWS and row % ROWS == 0:
            return self.atom(e, place, atom)
        whole = e.remembered(
            ("atom", self, (place[0][0], row // ROWS * ROWS), place[1], atom.columns),
            lambda: self.atom(e, ((place[0][0], row // ROWS * ROWS), place[1]), Atom(ROWS, atom.columns)),
        )
        return rows_of(e.b, whole, ROWS, range(row % ROWS, row % ROWS + atom.rows))

    def atom(self, e: Emitter, place: Place, atom: Atom) -> ir.Value:
        storage, dtype = self.tensor.type.storage, self.tensor.type.dtype
        assert storage is not None
        (rows, row), (columns, column) = place
        fields = atom_fields(storage, dtype.width, row % storage.block[0])
        assert fields is not None
        inner: ir.Value = e.index(column % storage.block[1] * ROWS)
        if columns is not None and atom.columns < storage.block[1]:
            columns, column = e.spot((columns, column)), 0
            inner = e.mul(e.divmod(columns, storage.block[1])[1], e.index(ROWS))
        block = (self.number(e, (rows, row), 0), self.number(e, (columns, column), 1))
        bytes = ir.VectorType(I8, atom.size)
        code: ir.Value | None = None
        for field in fields:
            part = self.field(e, block, e.add(inner, e.index(field.byte)), bytes)
            part = taken(e, part, field)
            code = part if code is None else e.b.or_(code, part)
        assert code is not None
        if e.guarded:
            code = e.b.select(self.inside(e, block), code, splat(e.b, ir.Constant(I8, self.fill), atom.size))
        return from_code(e.b, dtype, code, exact=True)

    def number(self, e: Emitter, spot: Spot, axis: int) -> Spot:
        """The number of the block that a coordinate of the tile lies in: a value, and a constant beside it."""
        storage = self.tensor.type.storage
        assert storage is not None
        base, offset = spot
        size = storage.block[axis]
        if base is None:
            return self.starts[axis], offset // size
        key = ("block", self, axis, base)
        return e.remembered(key, lambda: e.add(self.starts[axis], e.divmod(base, size)[0])), offset // size

    def inside(self, e: Emitter, block: tuple[Spot, Spot]) -> ir.Value:
        """Whether the tensor has a block, as i1."""
        conditions = (
            e.b.icmp_unsigned("<", e.spot(number), count) for number, count in zip(block, self.counts, strict=True)
        )
        return e.remembered(("inside", self, *block), lambda: e.b.and_(*conditions))

    def field(self, e: Emitter, block: tuple[Spot, Spot], byte: ir.Value, type: ir.Type) -> ir.Value:
        """Bytes of a block; where guarded and there is no such block, of the first one."""

        def load() -> ir.Value:
            place = step_to(e.b, self.block(e, block), byte, I8, inbounds=True)
            self.ask(e, place, byte, type.count)
            return e.load(self.tensor.scope, place, type)

        return e.remembered(("bytes", self, *block, byte, str(type)), load)

    def ask(self, e: Emitter, place: ir.Value, byte: ir.Value, count: int) -> None:
        """Prefetches what is loaded some turns after a line. The processor does not see it coming: between two turns,
        other columns are read, and each run of lines is short.
        """
        starts_line = isinstance(byte, ir.Constant) and byte.constant % LINE == 0
        if self.ahead is not None and starts_line and count >= LINE // 2 and not e.guarded:
            e.prefetch(step_to(e.b, place, self.ahead, I8))

    def block(self, e: Emitter, block: tuple[Spot, Spot]) -> ir.Value:
        """The address of a block. Of those that follow each other in memory the first one's is computed, so that the
        others' are no terms of loops.
        """
        storage = self.tensor.type.storage
        assert storage is not None
        bytes = storage.pitch // 8
        outer, inner = storage.dimensions
        (first, further), row = block[inner], e.spot(block[outer])

        def address(inner_number: ir.Value) -> ir.Value:
            number = e.add(e.mul(row, self.counts[inner]), inner_number)
            offset = e.add(e.mul(number, e.index(bytes)), e.index(self.tensor.bit_offset // 8))
            if e.guarded:
                offset = e.b.select(self.inside(e, block), offset, e.index(0))
            return step_to(e.b, self.tensor.base, offset, I8, inbounds=True)

        if e.guarded:
            return e.remembered(("address", self, *block), lambda: address(e.spot(block[inner])))
        start = e.remembered(("address", self, block[outer], first, e.before), lambda: e.ordered(address(first)))
        return step_to(e.b, start, e.index(further * bytes), I8, inbounds=True) if further else start


def taken(e: Emitter, bytes: ir.Value, field: Field) -> ir.Value:
    """The bits of a field in each of the bytes, moved to where the code has them: by a matrix of bits where there is
    such an instruction, else by shifts of two bytes at a time, since vector units have none of single bytes, and a mask
    that takes off what comes in from the neighbour.
    """
    if field.bits == 8:
        return bytes
    count, distance = bytes.type.count, field.shift - field.low
    if distance and count in AFFINE and {"gfni", AFFINE[count]} <= e.machine.features:
        name = f"llvm.x86.vgf2p8affineqb.{8 * count}"
        return e.call(name, bytes.type, bytes, bit_matrix(field, count), ir.Constant(I8, 0))
    if distance:
        words = e.b.bitcast(bytes, ir.VectorType(I16, count // 2))
        amount = splat(e.b, ir.Constant(I16, abs(distance)), count // 2)
        words = e.b.lshr(words, amount) if distance > 0 else e.b.shl(words, amount)
        bytes = e.b.bitcast(words, bytes.type)
    return e.b.and_(bytes, splat(e.b, ir.Constant(I8, ((1 << field.bits) - 1) << field.low), count))
