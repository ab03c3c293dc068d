"""What passes ask of layouts: width of accesses, bijectivity, views, bank conflicts, coalescing."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from vmc.ir.layout.algebra import inverse
from vmc.ir.layout.digits import BIT, LANE, LayoutError
from vmc.ir.layout.layout import Layout

Array = np.ndarray[Any, Any]
SECTOR_BYTES = 32
BANK_BYTES = 4


def contiguous_bits(layout: Layout) -> int:
    """The widest aligned access: the largest power of two such that every run of so many bits, in index order, lies
    side by side at a multiple of its length. 1 at least, on the axis `bit`.
    """
    run, outer = 1, 0
    inner = True
    for digit in reversed(layout.digits):
        if inner and digit.axis == BIT and digit.stride == run:
            run *= digit.extent
            continue
        inner = False
        outer = gcd(outer, digit.stride if digit.axis == BIT else 0)
    for replica in layout.replicas:
        outer = gcd(outer, replica.stride if replica.axis == BIT else 0)
    limit = gcd(gcd(outer, layout.offset_on(BIT)), run)
    width = limit & -limit
    return min(width, 1 << layout.swizzle.base) if layout.swizzle else width


def is_injective(layout: Layout) -> bool:
    """Whether no two indices have one place."""
    places = layout.apply_all()
    key = np.zeros(layout.domain, np.int64)
    for axis in layout.axes:
        key = key * (int(places[axis].max()) + 1) + places[axis]
    return np.unique(key).size == key.size


def is_bijective(layout: Layout) -> bool:
    """Whether every place of the box of coordinates belongs to exactly one index."""
    if layout.swizzle is not None:
        box = int(np.prod([layout.cosize(axis) for axis in layout.axes]))
        return is_injective(layout) and box == int(np.prod(layout.domain)) and not layout.replicas
    try:
        inverse(layout)
    except LayoutError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a view is not legal."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def view_compatible(a: Layout, b: Layout) -> Mismatch | None:
    """None where a tile in layout `a` can be read in layout `b` without moving a bit: same lanes, same bits a lane."""
    for axis in sorted({*a.axes, *b.axes} - {BIT}):
        if a.cosize(axis) != b.cosize(axis):
            return Mismatch(f"one has {a.cosize(axis)} of the axis {axis}, the other {b.cosize(axis)}")
    if a.bits_per_lane != b.bits_per_lane:
        return Mismatch(f"one holds {a.bits_per_lane} bits a lane, the other {b.bits_per_lane}")
    if a.replicas != b.replicas:
        return Mismatch("they are replicated differently")
    return None


def gather_bits(layout: Layout) -> Array:
    """The bit offset of every bit of every element of a memory layout: int64 [elements, element_bits].

    Raises LayoutError for a layout with other axes, or without element bits.
    """
    if layout.axes != (BIT,) or not layout.element_bits:
        raise LayoutError("expected a memory layout with element bits")
    return layout.apply_all()[BIT].reshape(layout.size, layout.element_bits)


def lane_addresses(registers: Layout, memory: Layout, width_bits: int) -> Array:
    """The bit addresses that the lanes access when each moves `width_bits` at a time between registers and memory.

    int64 [accesses, lanes]. Both layouts have one shape and element bits. Raises LayoutError.
    """
    if registers.domain != memory.domain:
        raise LayoutError("registers and memory hold different tiles")
    held, placed = registers.apply_all(), memory.apply_all()[BIT]
    lanes, bits = registers.lanes, registers.bits_per_lane
    table = np.full((lanes, bits), -1, np.int64)
    lane = held.get(LANE, np.zeros(registers.domain, np.int64))
    table[lane.ravel(), held[BIT].ravel()] = placed.ravel()
    return table[:, ::width_bits].T


def bank_conflicts(addresses: Array, width_bits: int, banks: int = 32) -> int:
    """The shared-memory transactions beyond the least possible, over all accesses of `lane_addresses`.

    A transaction serves every bank once; lanes that want the same word share it. Accesses of 64 and 128 bits are served
    in 2 and 4 parts of the lanes.
    """
    extra = 0
    parts = max(1, width_bits // 32)
    for row in addresses // 8:
        for part in np.array_split(row, parts):
            words = {int(address) // BANK_BYTES + w for address in part for w in range(parts)}
            load = np.bincount([word % banks for word in words], minlength=banks)
            extra += int(load.max()) - 1
    return extra


def sectors(addresses: Array, width_bits: int) -> int:
    """The 32-byte sectors of global memory that the accesses of `lane_addresses` touch, one access after the other."""
    count = 0
    for row in addresses:
        first, last = row // 8 // SECTOR_BYTES, (row + width_bits - 1) // 8 // SECTOR_BYTES
        count += len({s for a, b in zip(first, last, strict=True) for s in range(int(a), int(b) + 1)})
    return count
