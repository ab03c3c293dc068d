"""Operations on the bits of a tile's layout: `view` re-reads them as another type, `relayout` moves values.

    view(a) {dtype, shape, layout}
    relayout(a) {layout}

Without layouts a view re-reads the bits of the last axis, the least significant bit of the first element first, so
u4[.., 2n] is u8[.., n]. With a layout on both sides each lane re-reads its own bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Op, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Operand
from vmc.ir.layout import Layout
from vmc.ir.opdef import Attrs, OpDef, operands, require, schema, tile
from vmc.ir.types import DType


class View(OpDef):
    """The bits of a tile as another dtype and shape. With `layout`, which needs one on the operand, lane by lane."""

    name = "view"
    signature = "(a)"
    attrs = schema(dtype=DType, shape=tuple, layout=(Layout, type(None)))

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source, result = tile(types[0]), TileType(attrs["dtype"], attrs["shape"], attrs["layout"])
        before, after = source.size * source.dtype.width, result.size * result.dtype.width
        require(before == after, f"view of {source} as {result}: {before} bits are not {after} bits")
        if result.layout is None:
            require(source.rank >= 1, "view without a layout needs a tile with axes")
            kept = source.shape[:-1] == result.shape[:-1] and source.rank == result.rank
            require(kept, f"view without a layout changes the last axis only, not {source} to {result}")
        else:
            check_layouts(source, result)
        return (result,)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        source, result = op.operands[0].tile, op.result.tile
        bits = to_bits(source.dtype.to_codes(operands[0]), source.dtype.width)
        if op.attrs["layout"] is None:
            bits = bits.reshape(*result.shape, result.dtype.width)
        else:
            raise NotImplementedError
        return (result.dtype.from_codes(from_bits(bits, result.dtype)),)


def to_bits(codes: Array, width: int) -> Array:
    """The bits of codes as u8, least significant first, on a new last axis."""
    places = np.arange(width, dtype=codes.dtype)
    return np.asarray((codes[..., None] >> places) & codes.dtype.type(1)).astype(np.uint8)


def from_bits(bits: Array, type: DType) -> Array:
    """The inverse of `to_bits`."""
    places = np.arange(type.width, dtype=type.code_dtype)
    return np.asarray(np.bitwise_or.reduce(bits.astype(type.code_dtype) << places, axis=-1))


def check_layouts(source: TileType, result: TileType) -> None:
    """Raises IRError unless each lane holds the same bits under both layouts."""


class Relayout(OpDef):
    """The same values, held in another layout."""

    name = "relayout"
    signature = "(a)"
    attrs = schema(layout=Layout)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source = tile(types[0])
        return (TileType(source.dtype, source.shape, attrs["layout"]),)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (operands[0],)


DEFINITIONS: tuple[OpDef, ...] = (View(), Relayout())
