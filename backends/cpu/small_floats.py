"""Small floats by way of f16, where the processor converts f16 to f32.

    f8e4m3   s eeee mmm 0000 0000   two bytes, the code above
             s 0eee emmm 0000 000   one place down, the sign kept: as f16, 2**-8 times the number, subnormals too

Fields move by shifts of words of 16 bits, all codes that f16 would read as something else get its NaN or infinity, and
what remains is a power of two. Whether a type can be read so is found by reading all of its codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from llvmlite import ir

from vmc.backends.cpu.elements import FLOAT, HALF, I16, like, number
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Tile
from vmc.backends.cpu.vectors import ROWS, Atom, Place, shifted, shuffle
from vmc.ir.types import DType, dtype

BYTE = 8
MANTISSA, SIGN, EXPONENT, QUIET = 10, 0x8000, 0x7C00, 0x0200
GROUP = 4
"""Columns of an atom of bytes that lie in 16 bytes, inside of which bytes move freely."""
F16 = dtype("f16")
Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Reading:
    """How the codes of a type are read as f16: the magnitude moves up by `move` places, the result is taken times
    `factor`. Of each of `marks`, moved magnitudes from a start on get bits that make them infinity or NaN.
    """

    dtype: DType
    move: int
    factor: float
    marks: tuple[tuple[int, int], ...]

    @property
    def most(self) -> int:
        """The largest moved magnitude."""
        return ((1 << self.dtype.magnitude_bits) - 1) << (BYTE + self.move)

    def place(self, b: ir.IRBuilder, words: ir.Value) -> ir.Value:
        """The bits of halves, of words of 16 bits whose upper byte is a code and whose lower one is 0."""
        type = words.type
        if self.dtype.has_sign and self.dtype.width == BYTE and self.move < 0:
            moved = b.and_(b.ashr(words, number(type, -self.move)), number(type, self.most | SIGN))
            magnitude = b.and_(moved, number(type, self.most)) if self.marks else moved
        elif self.dtype.has_sign:
            sign = bits_moved(b, words, BYTE - self.dtype.width)
            magnitude = b.and_(bits_moved(b, words, self.move), number(type, self.most))
            moved = b.or_(magnitude, b.and_(sign, number(type, SIGN)))
        else:
            moved = magnitude = bits_moved(b, words, self.move)
        for start, bits in self.marks:
            found = b.icmp_signed("==" if start == self.most else ">=", magnitude, number(type, start))
            moved = b.or_(moved, b.and_(b.sext(found, type), number(type, bits)))
        return moved

    def value(self, b: ir.IRBuilder, bits: ir.Value) -> ir.Value:
        """The numbers, as f32, of the bits of halves."""
        wide = b.fpext(b.bitcast(bits, like(bits.type, HALF)), like(bits.type, FLOAT))
        return b.fmul(wide, number(wide.type, self.factor)) if self.factor != 1.0 else wide

    def decoded(self) -> Numbers:
        """What `place` and `value` make of all codes."""
        codes = self.dtype.codes().astype(np.uint16)
        magnitude = (codes & ((1 << self.dtype.magnitude_bits) - 1)) << (BYTE + self.move)
        moved = np.where(codes >> self.dtype.magnitude_bits, magnitude | SIGN, magnitude)
        for start, bits in self.marks:
            moved = np.where(magnitude >= start, moved | bits, moved)
        with np.errstate(invalid="ignore"):
            return np.asarray(F16.decode(moved.astype(np.uint16)), np.float64) * self.factor


def bits_moved(b: ir.IRBuilder, words: ir.Value, distance: int) -> ir.Value:
    """Bits moved up."""
    if not distance:
        return words
    move = b.shl if distance > 0 else b.lshr
    return move(words, number(words.type, abs(distance)))


@lru_cache(maxsize=256)
def reading(type: DType) -> Reading | None:
    """How a type of at most 8 bits is read as f16; None where that is not so for each of its codes."""
    move = MANTISSA - type.mantissa_bits - BYTE
    if not type.is_float or type.width > BYTE or not type.has_zero or type.exponent_bits > F16.exponent_bits:
        return None
    bits = {type.inf_code: EXPONENT, type.nan_start: EXPONENT | QUIET}
    marks = tuple((start << (BYTE + move), bits) for start, bits in bits.items() if start is not None)
    values = np.asarray(type.decode(type.codes()), np.float64)
    for some in ((), marks[-1:], marks):
        found = Reading(type, move, 2.0 ** (F16.bias - type.bias), some)
        came = found.decoded()
        signs = np.signbit(came) == np.signbit(values)
        if np.array_equal(came, values, equal_nan=True) and bool((signs | np.isnan(values)).all()):
            return found
    return None


def words_of(e: Emitter, codes: ir.Value) -> ir.Value:
    """Codes, of 8 bits, as the upper bytes of words."""
    wide = e.b.zext(codes, like(codes.type, I16))
    return e.b.shl(wide, number(wide.type, BYTE))


def row_words(e: Emitter, atom: ir.Value, columns: int, row: int) -> ir.Value:
    """The same of one row of an atom of four rows of bytes.

    Bytes change places among 16 of them, so that a word for each of 4 columns of one row lies beside those of the next:
    both rows' fields then are moved at once.
    """
    pair = row // 2
    lanes = list[int]()
    for group in range(columns // GROUP):
        for each in (2 * pair, 2 * pair + 1):
            for column in range(GROUP * group, GROUP * (group + 1)):
                lanes += [columns * ROWS, column * ROWS + each]
    zeros = ir.Constant(atom.type, None)
    return e.b.bitcast(shuffle(e.b, atom, zeros, lanes), ir.VectorType(I16, 2 * columns))


def row_values(e: Emitter, form: Reading, atom: ir.Value, columns: int, row: int) -> ir.Value:
    """One row of an atom of four rows of codes, as f32."""
    bits = e.remembered(
        ("halves", form.dtype, atom, row // 2), lambda: form.place(e.b, row_words(e, atom, columns, row))
    )
    own = [2 * GROUP * (c // GROUP) + GROUP * (row % 2) + c % GROUP for c in range(columns)]
    return form.value(e.b, shuffle(e.b, bits, bits, own))


def by_rows(e: Emitter, tile: Tile, codes: Tile) -> None:
    """Gives a tile that is the numbers of another's codes, if they are f32, a recipe for rows of atoms of four."""
    form, recipe = reading(codes.dtype), tile.lanes
    if tile.dtype.name != "f32" or form is None or not e.has_half or recipe is None or codes.period % ROWS:
        return

    def lanes(place: Place, atom: Atom) -> ir.Value:
        if atom.rows > 1 or atom.columns % GROUP:
            return recipe(place, atom)
        row = place[-2][1] % ROWS
        whole = e.vector(codes, shifted(place, -2, -row), Atom(ROWS, atom.columns))
        return row_values(e, form, whole, atom.columns, row)

    tile.lanes = lanes
