"""Layouts by name: memory orders in bits, register layouts in elements, and the fragments of matrix instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod

from vmc.ir.layout.digits import BIT, LANE, WARP, Digit, LayoutError
from vmc.ir.layout.layout import Layout, Swizzle


def strided(shape: Sequence[int], strides: Sequence[int], bits: int = 0) -> Layout:
    """Element i at sum(i * stride); strides count elements. Raises LayoutError where the lists differ in length."""
    if len(shape) != len(strides):
        raise LayoutError(f"{len(shape)} extents and {len(strides)} strides")
    layout = Layout(tuple(shape), tuple(Digit(n, s, BIT) for n, s in zip(shape, strides, strict=True)))
    return layout.with_bits(bits) if bits else layout


def row_strides(shape: Sequence[int]) -> list[int]:
    """1 for the last dimension, growing to the left."""
    return list(accumulate(reversed(shape[1:]), lambda a, b: a * b, initial=1))[::-1] if shape else []


def column_strides(shape: Sequence[int]) -> list[int]:
    """1 for the first dimension, growing to the right."""
    return list(accumulate(shape[:-1], lambda a, b: a * b, initial=1)) if shape else []


def row_major(*shape: int, bits: int = 0) -> Layout:
    """The last dimension runs fastest."""
    return strided(shape, row_strides(shape), bits)


def col_major(*shape: int, bits: int = 0) -> Layout:
    """The first dimension runs fastest."""
    return strided(shape, column_strides(shape), bits)


def packed(bits: int, *shape: int) -> Layout:
    """The dense bitstream: element number n of the row-major order at the bits [n * bits, (n + 1) * bits)."""
    return row_major(*shape, bits=bits)


def planes(shape: Sequence[int], widths: Sequence[int]) -> tuple[Layout, ...]:
    """One layout per range of an element's bits: plane p holds widths[p] bits of every element, after planes 0..p-1.

    u3 as planes (2, 1): all elements' two low bits, then all elements' high bits.
    """
    count, start, result = prod(shape), 0, []
    for width in widths:
        result.append(replace(packed(width, *shape), offset=((BIT, start),)))
        start += width * count
    return tuple(result)


def split(n: int, bits: int) -> Layout:
    """n elements of which i and i + n/2 are neighbours, as in GGUF's q4_0: low nibbles hold the first half."""
    if n % 2:
        raise LayoutError(f"{n} elements have no halves")
    return strided((2, n // 2), (1, 2), bits).reshape(n)


def local(*shape: int) -> Layout:
    """All elements in one lane, in row-major order."""
    return row_major(*shape)


def column_local(*shape: int) -> Layout:
    """All elements in one lane, in column-major order."""
    return col_major(*shape)


def spread(axis: str, shape: Sequence[int], strides: Sequence[int]) -> Layout:
    return Layout(tuple(shape), tuple(Digit(n, s, axis) for n, s in zip(shape, strides, strict=True)))


def spatial(*shape: int) -> Layout:
    """One element a lane, in row-major order."""
    return spread(LANE, shape, row_strides(shape))


def column_spatial(*shape: int) -> Layout:
    """One element a lane, in column-major order."""
    return spread(LANE, shape, column_strides(shape))


def warps(*shape: int) -> Layout:
    """One element a warp, in row-major order."""
    return spread(WARP, shape, row_strides(shape))


def replicated(*shape: int, lanes: int) -> Layout:
    """All elements in every one of `lanes` lanes."""
    return replace(local(*shape), replicas=(Digit(lanes, 1, LANE),))


def swizzle(layout: Layout, base: int, bits: int, shift: int) -> Layout:
    """The layout with its axis `bit` swizzled. Raises LayoutError where it is swizzled already."""
    if layout.swizzle is not None:
        raise LayoutError("a layout has one swizzle")
    return replace(layout, swizzle=Swizzle(base, bits, shift))


def mma_fragment(instruction: str, operand: str) -> Layout:
    """The register layout of an operand of a warp's matrix instruction: a [M, K], b [K, N], c [M, N], 32 lanes.

    m16n8k8 and m16n8k16 for 16-bit, m16n8k32 for 8-bit operands; `c` holds 32-bit accumulators. PTX ISA, "Matrix
    multiply-accumulate operation using mma instruction". Raises LayoutError for an unknown one.
    """
    fragments = {
        ("m16n8k8", "a"): lambda: local(2, 1).spatial(8, 4).local(1, 2),
        ("m16n8k8", "b"): lambda: column_spatial(4, 8).local(2, 1),
        ("m16n8k16", "a"): lambda: column_local(2, 2).spatial(8, 4).local(1, 2),
        ("m16n8k16", "b"): lambda: local(2, 1).column_spatial(4, 8).local(2, 1),
        ("m16n8k32", "a"): lambda: column_local(2, 2).spatial(8, 4).local(1, 4),
        ("m16n8k32", "b"): lambda: local(2, 1).column_spatial(4, 8).local(4, 1),
    }
    if operand == "c" and any(name == instruction for name, _ in fragments):
        return local(2, 1).spatial(8, 4).local(1, 2)
    make = fragments.get((instruction, operand))
    if make is None:
        raise LayoutError(f"no fragment {operand!r} of {instruction!r}")
    return make()


def wgmma_accumulator(n: int) -> Layout:
    """The accumulator [64, n] of a warpgroup's matrix instruction: 4 warps of 32 lanes. PTX ISA, "wgmma"."""
    if n % 8 or not 8 <= n <= 256:
        raise LayoutError(f"wgmma has accumulators of 8 to 256 columns in steps of 8, not {n}")
    return warps(4, 1) * local(1, n // 8) * local(2, 1).spatial(8, 4).local(1, 2)
