"""Hypothesis strategies of storages: elements cut into planes, bits in any order with gaps, blocks in any order."""

from __future__ import annotations

from math import prod
from typing import Any

from hypothesis import strategies as st

from tests.generators.layouts import factors, swizzles
from vmc.ir.core import Storage
from vmc.ir.layout import BIT, Digit, Layout, Plane

Draw = Any


@st.composite
def cuts(draw: Draw, width: int) -> list[int]:
    """Numbers of bits that add up to `width`."""
    parts = []
    while width:
        parts.append(draw(st.integers(1, width)))
        width -= parts[-1]
    return parts


@st.composite
def planes(draw: Draw, block: tuple[int, ...], width: int, start: int) -> Plane:
    """A plane from the bit `start` on, whose digits lie in any order, some with gaps."""
    extents = [part for extent in (*block, width) for part in draw(factors(extent))]
    digits: list[Digit] = [Digit(1, 0, BIT)] * len(extents)
    reach = 1
    for place in draw(st.permutations(range(len(extents)))):
        stride = reach * draw(st.sampled_from([1, 1, 1, 2, 3]))
        digits[place] = Digit(extents[place], stride, BIT)
        reach = stride * extents[place]
    return Plane(width, tuple(digits), ((BIT, start),))


@st.composite
def memory_layouts(draw: Draw, block: tuple[int, ...], width: int) -> Layout:
    """An injective layout of a block on the axis `bit`."""
    found: list[Plane] = []
    start = draw(st.integers(0, 9))
    for bits in draw(cuts(width)):
        found.append(draw(planes(block, bits, start)))
        start = Layout(block, (found[-1],)).size_bits + draw(st.integers(0, 9))
    swizzle = draw(st.none() | swizzles)
    return Layout(block, tuple(found), (), swizzle)


@st.composite
def storages(draw: Draw, width: int, rank: int) -> Storage:
    """A storage of tensors of `rank` dimensions and `width` bits."""
    block = tuple(draw(st.lists(st.integers(1, 6), min_size=rank, max_size=rank)))
    layout = draw(memory_layouts(block, width))
    pitch = layout.size_bits + draw(st.sampled_from([0, 0, 1, 5, 64]))
    order = tuple(draw(st.sampled_from([(), tuple(draw(st.permutations(range(rank))))])))
    return Storage(block, layout, pitch, order)


def vectors_of_atoms(rows: int, columns: int, widths: tuple[int, ...]) -> Storage:
    """Planes of vectors of `4 * columns` bytes; byte 4*c + r of a vector holds rows 4*a + r of column c, a few atoms a.

    A plane of p bits has 8 / p atoms in a vector, each at its own p bits of every byte.
    """
    found, start = [], 0
    for bits in widths:
        atoms = 8 // bits
        vector = 32 * columns
        digits = [(rows // 4 // atoms, vector), (atoms, bits), (4, 8), (columns, 32), (bits, 1)]
        found.append(Plane(bits, tuple(Digit(n, stride, BIT) for n, stride in digits), ((BIT, start),)))
        start += rows * columns * bits
    return Storage((rows, columns), Layout((rows, columns), tuple(found)), start, (1, 0))


def positions(storage: Storage, width: int, shape: tuple[int, ...], index: tuple[int, ...]) -> list[int]:
    """The bit offset of every bit of one element, as `Storage` defines it."""
    counts = [-(-extent // size) for extent, size in zip(shape, storage.block, strict=True)]
    number = 0
    for dim in storage.dimensions:
        number = number * counts[dim] + index[dim] // storage.block[dim]
    inside = [i % size for i, size in zip(index, storage.block, strict=True)]
    return [storage.pitch * number + storage.layout.apply(*inside, bit)[BIT] for bit in range(width)]


def blocks_in(storage: Storage, shape: tuple[int, ...]) -> int:
    return prod(-(-extent // size) for extent, size in zip(shape, storage.block, strict=True))
