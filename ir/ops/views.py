"""Operations on the bits of a tile's layout: `view` re-reads them as another type, `relayout` moves values.

    view(a) {dtype, shape, layout}
    relayout(a) {layout}

Without layouts a view re-reads the bits of the last axis, the least significant bit of the first element first, so
u4[.., 2n] is u8[.., n]. With a layout on both sides each lane re-reads its own bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from vmc.ir.core import Op, TileType, Type
from vmc.ir.evaluate import Array, Evaluator, Operand
from vmc.ir.layout import BIT, Layout, view_compatible
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
            require(source.layout is not None, "view with a layout needs an operand with a layout")
            check_layout(source)
            check_layout(result)
            mismatch = view_compatible(wide(source), wide(result))
            require(mismatch is None, f"view of {source} as {result}: {mismatch}")
            bit_map(source, result)
        return (result,)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        source, result = op.operands[0].tile, op.result.tile
        bits = to_bits(source.dtype.to_codes(operands[0]), source.dtype.width)
        if op.attrs["layout"] is not None:
            bits = bits.reshape(-1)[bit_map(source, result)]
        bits = bits.reshape(*result.shape, result.dtype.width)
        return (result.dtype.from_codes(from_bits(bits, result.dtype)),)


def to_bits(codes: Array, width: int) -> Array:
    """The bits of codes as u8, least significant first, on a new last axis."""
    places = np.arange(width, dtype=codes.dtype)
    return np.asarray((codes[..., None] >> places) & codes.dtype.type(1)).astype(np.uint8)


def from_bits(bits: Array, type: DType) -> Array:
    """The inverse of `to_bits`."""
    places = np.arange(type.width, dtype=type.code_dtype)
    return np.asarray(np.bitwise_or.reduce(bits.astype(type.code_dtype) << places, axis=-1))


def check_layout(type: TileType) -> None:
    """Raises IRError unless a tile's layout, if it has one, is one of tiles of its shape and width."""
    layout = type.layout
    if layout is not None:
        require(
            layout.shape == type.shape,
            f"a layout of the shape {list(layout.shape)} on {type.dtype.name}{list(type.shape)}",
        )
        known = layout.element_bits in (0, type.dtype.width)
        require(known, f"a layout of elements of {layout.element_bits} bits on {type.dtype.name}")


@lru_cache(maxsize=256)
def bit_map(source: TileType, result: TileType) -> Array:
    """Which bit of the source each bit of the result is, both in row-major order: int64[bits].

    The two are the same bit where they have the same coordinates. Raises IRError where a coordinate of one does not
    exist in the other: a view moves nothing between lanes, and loses nothing.
    """
    axes = [*sorted({axis for type in (source, result) for axis in places(type)} - {BIT}), BIT]
    held, wanted = (coordinates(type, axes) for type in (source, result))
    extents = np.maximum(held.max(axis=(1, 2)), wanted.max(axis=(1, 2))) + 1
    have, need = (np.ravel_multi_index(tuple(each), tuple(extents)) for each in (held, wanted))
    same = set(have.ravel().tolist()) == set(need.ravel().tolist())
    require(same, f"view of {source} as {result}: the two do not hold the same bits in every lane")
    order = np.argsort(have.ravel(), kind="stable")
    found = order[np.searchsorted(have.ravel(), need[0], sorter=order)]
    return np.asarray(found % have.shape[1])


def wide(type: TileType) -> Layout:
    """The layout of a tile's bits."""
    layout = type.layout
    assert layout is not None
    return layout if layout.element_bits else layout.with_bits(type.dtype.width)


def places(type: TileType) -> dict[str, Array]:
    """The coordinates of every bit of a tile, row-major: int64[bits] per axis."""
    return {axis: line.reshape(-1) for axis, line in wide(type).apply_all().items()}


def coordinates(type: TileType, axes: Sequence[str]) -> Array:
    """The coordinates of every bit in every copy: int64[axes, copies, bits]."""
    base = places(type)
    lines = np.stack([base.get(axis, np.zeros_like(base[BIT])) for axis in axes])[:, None]
    for replica in wide(type).replicas:
        step = np.zeros((len(axes), replica.extent, 1, 1), np.int64)
        step[axes.index(replica.axis), :, 0, 0] = np.arange(replica.extent) * replica.stride
        lines = (lines[:, None] + step).reshape(len(axes), -1, lines.shape[-1])
    return lines


class Relayout(OpDef):
    """The same values, held in another layout."""

    name = "relayout"
    signature = "(a)"
    attrs = schema(layout=Layout)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        source = tile(types[0])
        result = TileType(source.dtype, source.shape, attrs["layout"])
        check_layout(result)
        return (result,)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (operands[0],)


DEFINITIONS: tuple[OpDef, ...] = (View(), Relayout())
