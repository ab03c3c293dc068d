"""Layouts by name: memory orders, in bits if given those of an element, and register layouts, in elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Protocol

from vmc.ir.layout.digits import BIT, LANE, WARP, Digit, LayoutError, combined
from vmc.ir.layout.layout import Layout, column_strides, dense, row_strides


class Numeric(Protocol):
    """Anything with a width in bits, such as `vmc.ir.types.DType`."""

    @property
    def width(self) -> int: ...


def strided(shape: Sequence[int], strides: Sequence[int], bits: int = 0) -> Layout:
    """Element i at sum(i * stride); strides count elements. Raises LayoutError where the lists differ in length."""
    if len(shape) != len(strides):
        raise LayoutError(f"{len(shape)} extents and {len(strides)} strides")
    layout = dense(BIT, tuple(shape), tuple(strides))
    return layout.with_bits(bits) if bits else layout


def row_major(*shape: int, bits: int = 0) -> Layout:
    """The last dimension runs fastest."""
    return strided(shape, row_strides(shape), bits)


def col_major(*shape: int, bits: int = 0) -> Layout:
    """The first dimension runs fastest."""
    return strided(shape, column_strides(shape), bits)


def packed(type: Numeric | int, *shape: int) -> Layout:
    """The dense bitstream: element number n of the row-major order at the bits [n * width, (n + 1) * width)."""
    return row_major(*shape, bits=type if isinstance(type, int) else type.width)


def planes(shape: int | Sequence[int], widths: Sequence[int] = (2, 1)) -> Layout:
    """All elements' lowest widths[0] bits, then all elements' next widths[1] bits, and so on; each plane is dense."""
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    start, parts = 0, []
    for width in widths:
        plane = packed(width, *extents).plane
        parts.append(replace(plane, offset=combined(plane.offset, ((BIT, start),))))
        start += width * prod(extents)
    return Layout(extents, tuple(parts))


def split(n: int, bits: int) -> Layout:
    """n elements of which i and i + n/2 are neighbours, as in GGUF's four-bit blocks: low nibbles hold the first half.

    Raises LayoutError for an odd n.
    """
    if n % 2:
        raise LayoutError(f"{n} elements have no halves")
    return strided((2, n // 2), (1, 2), bits).reshape(n)


def local(*shape: int) -> Layout:
    """All elements in one lane, in row-major order."""
    return dense(BIT, shape)


def spatial(*shape: int) -> Layout:
    """One element a lane, in row-major order."""
    return dense(LANE, shape)


def warps(*shape: int) -> Layout:
    """One element a warp, in row-major order."""
    return dense(WARP, shape)


def column_local(*shape: int) -> Layout:
    """All elements in one lane, in column-major order."""
    return dense(BIT, shape, column_strides(shape))


def column_spatial(*shape: int) -> Layout:
    """One element a lane, in column-major order."""
    return dense(LANE, shape, column_strides(shape))


def replicated(*shape: int, lanes: int, warps: int = 1) -> Layout:
    """All elements in every one of so many lanes, of so many warps."""
    return replace(local(*shape), replicas=(Digit(lanes, 1, LANE), Digit(warps, 1, WARP)))


def swizzle(layout: Layout, base: int, bits: int, shift: int) -> Layout:
    """The layout with its axis `bit` swizzled, counted as the layout counts it. Raises LayoutError for a second one."""
    return layout.swizzled(base, bits, shift)
