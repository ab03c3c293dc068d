"""Changes of type: `cast` converts values, `bitcast` keeps the bits, `decode` looks codes up.

    cast(a [, random u32]) {dtype, rounding, saturate}
    bitcast(a) {dtype}          between types of one width
    decode(a) {values}          values[code] for codes of at most 8 bits

`rounding`: nearest_even, toward_zero, floor, or stochastic, which takes a second operand of random bits. `saturate` is
True, False, or None for the default: floats as the target type says, float to integer saturates, integer to integer
wraps. NaN becomes 0 in an integer. False is refused where clamping is the only way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmc.ir.core import Op, Table, TileType, Type, Value
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, filtered, require, schema, tile
from vmc.ir.types import DType, dtype

if TYPE_CHECKING:
    from vmc.ir.builder import Builder

ROUNDINGS = ("nearest_even", "toward_zero", "floor", "stochastic")


class Cast(OpDef):
    """Converts values to another dtype."""

    name = "cast"
    signature = "(a, random?)"
    elementwise = True
    attrs = schema(dtype=DType, rounding=str, saturate=(bool, type(None)))

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source = tile(types[0])
        require(attrs["rounding"] in ROUNDINGS, f"unknown rounding {attrs['rounding']!r}")
        stochastic = attrs["rounding"] == "stochastic"
        require(len(types) == 1 + stochastic, "cast takes random bits exactly when it rounds stochastically")
        if stochastic:
            bits = tile(types[1])
            expected = TileType(dtype("u32"), source.shape)
            require((bits.dtype, bits.shape) == (expected.dtype, expected.shape), f"random bits must be {expected}")
        target = attrs["dtype"]
        wraps = target.has_nan or (target.is_int and source.dtype.is_int)
        require(
            attrs["saturate"] is not False or wraps,
            f"cast from {source.dtype.name} to {target.name} must saturate: {target.name} has neither infinity nor NaN",
        )
        return (TileType(target, source.shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        source, target = op.operands[0].tile.dtype, op.result.tile.dtype
        values = source.to_values(operands[0])
        random_bits = operands[1] if len(operands) == 2 else None
        codes = target.encode(values, op.attrs["rounding"], saturate=op.attrs["saturate"], random_bits=random_bits)
        return (target.from_codes(codes),)


class Bitcast(OpDef):
    """The same bits, as another dtype of the same width."""

    name = "bitcast"
    signature = "(a)"
    elementwise = True
    attrs = schema(dtype=DType)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source, target = tile(types[0]), attrs["dtype"]
        same = source.dtype.width == target.width
        require(same, f"bitcast from {source.dtype.name} to {target.name} changes the width")
        return (TileType(target, source.shape),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (op.result.tile.dtype.from_codes(op.operands[0].tile.dtype.to_codes(operands[0])),)


class Decode(OpDef):
    """The entry of the table `values` for the code of every element: any function of codes of at most 8 bits.

    `conversions`: by a decoder that may use instructions for conversions of 8-bit floats.
    """

    name = "decode"
    signature = "(a)"
    elementwise = True
    composite = True
    attrs = schema(values=Table, conversions=bool)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        source, values = tile(types[0]), attrs["values"]
        require(source.dtype.width <= 8, f"decode takes codes of at most 8 bits, not {source.dtype.name}")
        wanted = (1 << source.dtype.width,)
        require(values.shape == wanted, f"decode of {source.dtype.name} takes a table of {wanted[0]} values")
        return (TileType(values.dtype, source.shape),)

    def legal_types(self) -> tuple[DType, ...]:
        return filtered(lambda type: type.width <= 8)

    def expand(self, build: Builder, op: Op) -> tuple[Value, ...]:
        (source,) = op.operands
        width = source.tile.dtype.width
        code = source if source.tile.dtype.is_uint else build("bitcast", source, dtype=dtype(f"u{width}"))
        return (build("take", build("table", table=op.attrs["values"]), code, axis=0),)


DEFINITIONS: tuple[OpDef, ...] = (Cast(), Bitcast(), Decode())
