"""Emits products of bytes: the factors as i8 and u8, and their exact sums in i32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Op, Table, TileType, Value
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.integers.exact import holds
from vmc.ir.passes.integers.factors import Form, Unsigned
from vmc.ir.passes.integers.facts import Facts
from vmc.ir.passes.integers.functions import Function
from vmc.ir.passes.narrow import MOVING
from vmc.ir.passes.rewrite import Rewriter
from vmc.ir.types import DType, dtype

I8, U8, I32, F32 = map(dtype, ("i8", "u8", "i32", "f32"))


class Emission:
    """Emits into the block in front of the product that is being rewritten."""

    def __init__(self, rewriter: Rewriter, facts: Facts) -> None:
        self.rewriter = rewriter
        self.facts = facts

    # Products

    def product(
        self, left: Value, right: Sequence[Value], low: int | Value, start: Value | None = None, weight: int = 1
    ) -> Value:
        """start + left @ (low + right) of an i8 tile and the bytes of a right factor, modulo 2**32; a second one counts
        `weight` times. `low` is a number or an i32 tile [1, N].
        """
        emit, first = self.rewriter.emit, right[0]
        zero = self.constant(I32, 0, (left.tile.shape[0], first.tile.shape[1]))
        sums = start
        if isinstance(low, Value) or low:
            correction = self.row_sums(left, low, zero.tile.shape)
            sums = correction if start is None else emit("add", start, correction)
        total = emit("dot", left, first, zero if sums is None else sums)
        for upper in right[1:]:
            part = emit("dot", left, upper, zero)
            total = emit("add", total, emit("mul", part, self.constant(I32, weight, part.tile.shape)))
        return total

    def row_sums(self, left: Value, factor: int | Value, shape: tuple[int, ...]) -> Value:
        """A multiple of the sum of each row, in every column; the factor is a number or a tile [1, N]."""
        emit = self.rewriter.emit
        sums = emit("reduce", self.cast(left, I32), kind="sum", axis=1)
        if not isinstance(factor, Value):
            sums = emit("mul", sums, self.constant(I32, factor, sums.tile.shape))
        spread = emit("broadcast", emit("reshape", sums, shape=(shape[0], 1)), shape=shape)
        return emit("mul", spread, emit("broadcast", factor, shape=shape)) if isinstance(factor, Value) else spread

    def low(self, factor: Unsigned) -> int | Value:
        """The least number of the right factor, of each column where these differ."""
        if factor.column is None:
            return factor.low
        row = self.cast(factor.column.value, I32)
        row = self.rewriter.emit("reshape", row, shape=(1, row.tile.size)) if row.tile.rank != 2 else row
        low = self.constant(I32, factor.low, row.tile.shape)
        return self.rewriter.emit("add" if factor.column.sign > 0 else "sub", low, row)

    # Factors

    def signed_bytes(self, value: Value, shift: int) -> Value:
        """The left factor: the integers value * 2**shift, which i8 has."""
        return self.integers(value, shift, I8)

    def unsigned_bytes(self, factor: Unsigned) -> list[Value]:
        """The right factor's n: its bytes, the lighter one first."""
        if factor.function is None:
            return self.computed(factor)
        codes = self.codes(factor.function.source)
        if factor.form is Form.TABLE:
            return [self.moved(self.look_up(U8, plane, codes), factor.function) for plane in factor.planes]
        wide = self.cast(codes, U8)
        if factor.form is Form.FLIPPED:
            wide = self.rewriter.emit("xor", wide, self.constant(U8, len(factor.planes[0]) // 2, wide.tile.shape))
        return [self.moved(wide, factor.function)]

    def computed(self, factor: Unsigned) -> list[Value]:
        emit, whole = self.rewriter.emit, self.integers(factor.value, factor.shift, I32)
        above = emit("add", whole, self.constant(I32, -factor.low, whole.tile.shape)) if factor.low else whole
        upper = [emit("shr", above, self.constant(I32, 8, above.tile.shape))] if factor.bytes == 2 else []
        return [self.cast(part, U8) for part in (above, *upper)]

    def integers(self, value: Value, shift: int, type: DType) -> Value:
        """The integers value * 2**shift as a tile of an integer type that has them, in the cheapest way."""
        if value.tile.dtype.is_int:
            return self.cast(value, type)
        producer, function = self.rewriter.producer(value), self.facts.function(value)
        if producer is not None and not is_pinned(producer):
            if producer.name in MOVING:
                inner = self.integers(producer.operands[0], shift, type)
                return self.rewriter.emit(producer.name, inner, **producer.attrs)
            if self.keeps_integers(producer):
                return self.cast(producer.operands[0], type)
        if function is not None:
            numbers = np.ldexp(value.tile.dtype.to_values(function.table), shift)
            codes = self.codes(function.source)
            return self.moved(self.look_up(type, [int(number) for number in numbers], codes), function)
        return self.cast(self.scaled(value, shift), type)

    def keeps_integers(self, op: Op) -> bool:
        """Whether an operation is a cast of integers to a float that has all of them."""
        if op.name != "cast" or not op.operands[0].tile.dtype.is_int:
            return False
        exact = self.facts.exact(op.operands[0])
        return exact is not None and holds(op.result.tile.dtype, exact)

    def scaled(self, value: Value, shift: int) -> Value:
        """A float times a power of two; f32 has the results that a narrower float may not have."""
        if not shift:
            return value
        wide = value if value.tile.dtype.width > F32.width else self.cast(value, F32)
        return self.rewriter.emit("mul", wide, self.constant(wide.tile.dtype, 2.0**shift, wide.tile.shape))

    # Small steps

    def codes(self, value: Value) -> Value:
        """The bit patterns of a small tile as unsigned integers."""
        type = value.tile.dtype
        return value if type.is_uint else self.rewriter.emit("bitcast", value, dtype=dtype(f"u{type.width}"))

    def look_up(self, type: DType, numbers: Sequence[int], codes: Value) -> Value:
        table = self.rewriter.emit("table", table=Table.of(type, type.encode(np.array(numbers))))
        return self.rewriter.emit("take", table, codes, axis=0)

    def moved(self, value: Value, function: Function) -> Value:
        """The moves of a function, on a tile that was made from its source."""
        for op in function.moves:
            value = self.rewriter.emit(op.name, value, **op.attrs)
        return value

    def cast(self, value: Value, type: DType) -> Value:
        if value.tile.dtype == type:
            return value
        return self.rewriter.emit("cast", value, dtype=type, rounding="nearest_even", saturate=None)

    def constant(self, type: DType, number: int | float, shape: tuple[int, ...]) -> Value:
        code = int(type.encode(np.array(number))[()])
        return self.rewriter.emit("constant", type=TileType(type, shape), code=code)
