"""What passes and executors ask of layouts: injectivity, tables, views, and the cost of memory accesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from vmc.ir.layout.digits import BIT, LANE, WARP, Digit, LayoutError, by_extents, merged
from vmc.ir.layout.layout import ENUMERABLE, Layout, coded, shifts
from vmc.ir.layout.swizzle import Array

BANK_BITS = 32
SECTOR_BITS = 256

# ---- injectivity -----------------------------------------------------------------------------------------------------


def is_injective(layout: Layout) -> bool:
    """Whether no place holds two elements, or two bits."""
    if counts_up(layout):
        return True
    box = prod(layout.cosize(axis) for axis in layout.axes)
    return prod(layout.domain) <= box and collision(layout) is None


def is_bijective(layout: Layout) -> bool:
    """Whether every place of the box of coordinates holds exactly one element, or bit."""
    box = prod(layout.cosize(axis) for axis in layout.axes)
    copies = prod(len(shifts(layout.replicas, axis)) for axis in layout.axes)
    return box == copies * prod(layout.domain) and is_injective(layout)


def counts_up(layout: Layout) -> bool:
    """Whether on every axis each digit steps over all that the lower ones reach: then no place is reached twice."""
    if len(layout.planes) > 1:
        return False
    for axis in layout.axes:
        reach = 0
        for digit in sorted((d for d in (*layout.digits, *layout.replicas) if d.axis == axis), key=lambda d: d.stride):
            if digit.stride <= reach:
                return False
            reach += digit.reach
    return True


def collision(layout: Layout) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, int]] | None:
    """Two indices of the domain that share a place, and the place; None if there are none. By enumeration."""
    codes = np.concatenate([code.reshape(-1) for code in coded(layout)])
    order = np.argsort(codes, kind="stable")
    elements = order % prod(layout.domain)
    same = (codes[order][1:] == codes[order][:-1]) & (elements[1:] != elements[:-1])
    if not same.any():
        return None
    n = int(np.argmax(same))
    one, two = (tuple(int(i) for i in np.unravel_index(elements[k], layout.domain)) for k in (n, n + 1))
    place = np.unravel_index(codes[order[n]], [layout.cosize(axis) for axis in layout.axes])
    return one, two, {axis: int(i) for axis, i in zip(layout.axes, place, strict=True)}


def check_injective(layout: Layout) -> None:
    """Raises LayoutError with two elements that share a place, if there are."""
    found = None if counts_up(layout) else collision(layout)
    if found is not None:
        one, two, place = found
        where = ", ".join(f"{axis} {at}" for axis, at in place.items())
        raise LayoutError(f"{one} and {two} share the place {where}")


# ---- tables ----------------------------------------------------------------------------------------------------------


def gather_bits(layout: Layout) -> Array:
    """The bit offset of every bit of every element of a memory layout: int64 [elements, element_bits].

    Raises LayoutError for a layout with other axes, with replicas, or without element bits.
    """
    if layout.axes != (BIT,) or layout.replicas or not layout.element_bits:
        raise LayoutError("expected a memory layout with element bits")
    return layout.apply_all()[BIT].reshape(layout.size, layout.element_bits)


def inverse_table(layout: Layout) -> Array:
    """What each place holds: the row-major index in the domain, -1 for nothing; int64, one dimension for each axis.

    Raises LayoutError with a counter-example where two elements share a place.
    """
    check_injective(layout)
    extents = [layout.cosize(axis) for axis in layout.axes]
    if prod(extents) > ENUMERABLE:
        raise LayoutError("the layout is too large to be enumerated")
    table = np.full(prod(extents), -1, np.int64)
    for code in coded(layout):
        table[code.reshape(-1)] = np.arange(code.size)
    return table.reshape(extents)


def pack_table(fragment: Layout, storage: Layout) -> dict[str, Array]:
    """`pack_map` by enumeration: where each place of a storage goes in a fragment, -1 for places that hold nothing.

    int64 for each axis of the fragment, of the shape of the storage's box of coordinates: for a memory, its bits.
    """
    if prod(fragment.domain) != prod(storage.domain):
        raise LayoutError(f"{list(fragment.domain)} and {list(storage.domain)} are not the same bits")
    held = inverse_table(storage)
    places = fragment.apply_flat(np.maximum(held, 0))
    return {axis: np.where(held < 0, -1, places[axis]) for axis in fragment.axes}


# ---- views -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a view is not legal, with a place that only one of the two layouts has, "" where none was looked for."""

    reason: str
    example: str = ""

    def __str__(self) -> str:
        return self.reason


def view_compatible(a: Layout, b: Layout) -> Mismatch | None:
    """None where a tile in layout `a` can be read in layout `b` without moving a bit: same lanes, same bits a lane."""
    for axis in sorted({*a.axes, *b.axes} - {BIT}):
        if a.cosize(axis) != b.cosize(axis):
            reason = f"one has {a.cosize(axis)} of the axis {axis}, the other {b.cosize(axis)}"
            return Mismatch(reason, lone_place(a, b))
    if a.cosize(BIT) != b.cosize(BIT):
        reason = f"one holds {a.cosize(BIT)} bits a lane, the other {b.cosize(BIT)}"
        return Mismatch(reason, lone_place(a, b))
    if is_bijective(a) and is_bijective(b):
        return None
    held, wanted = (np.unique(np.concatenate([code.reshape(-1) for code in coded(layout)])) for layout in (a, b))
    if np.array_equal(held, wanted):
        return None
    return Mismatch("one leaves places empty that the other fills", lone_place(a, b))


def lone_place(a: Layout, b: Layout) -> str:
    """In words, a place that `b` fills and `a` leaves empty, or else the other way round; "" where there is none, or it
    would take long to find.
    """
    if a.replicas or b.replicas or max(prod(a.domain), prod(b.domain)) > ENUMERABLE:
        return ""
    axes = [*sorted({*a.axes, *b.axes} - {BIT}), BIT]
    lines = [coordinates(layout, axes) for layout in (a, b)]
    extents = tuple(np.maximum(*(line.max(axis=1) for line in lines)) + 1)
    codes = [np.ravel_multi_index(tuple(line), extents) for line in lines]
    for here, other, layout, whose, whom in ((1, 0, b, "the view", "the tile"), (0, 1, a, "the tile", "the view")):
        lone = np.setdiff1d(codes[here], codes[other])
        if lone.size:
            place = dict(zip(axes, map(int, np.unravel_index(lone[0], extents)), strict=True))
            number = int(np.flatnonzero(codes[here] == lone[0])[0]) // max(1, layout.element_bits)
            index = ", ".join(map(str, map(int, np.unravel_index(number, layout.shape))))
            named = " of ".join(f"{axis} {place[axis]}" for axis in reversed(axes))
            return f"{named} is part of element [{index}] of {whose}, and of nothing in {whom}"
    return ""


def coordinates(layout: Layout, axes: Sequence[str]) -> Array:
    """The coordinates of every element, or bit, row-major: int64[axes, elements]; 0 on axes that a layout lacks."""
    found = layout.apply_all()
    nothing = np.zeros(prod(layout.domain), np.int64)
    return np.stack([found[axis].reshape(-1) if axis in found else nothing for axis in axes])


# ---- accesses --------------------------------------------------------------------------------------------------------


def contiguous_bits(layout: Layout, dim: int = -1) -> int:
    """The widest aligned access along a dimension, in bits, a power of two: 1 where neighbours are strangers.

    The largest width such that every run of so many bits of the dimension (an element's first, then its neighbours')
    lies side by side on the axis `bit`, at a multiple of the width. Of `compose(memory, inverse(registers))` it is how
    wide every lane can load. Under a swizzle, at least so wide. Raises LayoutError where digits span dimensions.
    """
    moving = [d.stride for d in layout.replicas if d.axis == BIT]
    runs = []
    for plane in layout.planes:
        parts = by_extents(plane.digits, (*layout.shape, plane.bits or 1))
        bits = parts.pop()
        along = parts.pop(dim) if parts else ()
        *rest, lowest = merged((*along, *bits)) or (Digit(1, 1, BIT),)
        runs.append(lowest.extent if (lowest.axis, lowest.stride) == (BIT, 1) else 1)
        moving += [dict(plane.offset).get(BIT, 0)]
        moving += [d.stride for d in (*rest, *(d for part in parts for d in part)) if d.axis == BIT]
    width = gcd(*runs, *moving)
    width &= -width
    return width if layout.swizzle is None else min(width, 1 << layout.swizzle.base)


def lane_addresses(registers: Layout, memory: Layout, width: int) -> Array:
    """The bit address that each lane accesses when all move `width` bits at a time: int64 [warps, accesses, lanes].

    Both layouts place the same tile with element bits. Raises LayoutError where an access is not side by side in memory
    (see `contiguous_bits`).
    """
    if registers.domain != memory.domain or memory.axes != (BIT,):
        raise LayoutError("expected a tile's registers and its memory, with element bits")
    held = inverse_table(registers)
    extents = [registers.cosize(axis) if axis in registers.axes else 1 for axis in (WARP, LANE, BIT)]
    places = memory.apply_flat(np.maximum(held, 0))[BIT].reshape(extents)
    if (held < 0).any() or extents[-1] % width:
        raise LayoutError(f"lanes with {extents[-1]} bits, all used, cannot be filled {width} at a time")
    accesses = places.reshape(*extents[:2], -1, width)
    if (accesses - accesses[..., :1] != np.arange(width)).any() or (accesses[..., 0] % width).any():
        raise LayoutError(f"not every access of {width} bits is aligned and side by side in memory")
    return np.moveaxis(accesses[..., 0], -1, 1)


def bank_conflicts(addresses: Array, width: int, banks: int = 32) -> int:
    """The passes over shared memory beyond the fewest possible, for accesses [..., lanes] of `width` bits.

    A pass serves one word of 32 bits in every bank, to all the lanes that want it. Accesses of 64 and 128 bits are made
    by 16 and 8 lanes at a time (as documented for compute capability 5 and later).
    """
    words = max(1, width // BANK_BITS)
    together = max(1, banks // words)
    extra = 0
    for row in addresses.reshape(-1, addresses.shape[-1]):
        for first in range(0, len(row), together):
            touched = np.unique(np.add.outer(row[first : first + together] // BANK_BITS, np.arange(words)))
            extra += int(np.bincount(touched % banks).max()) - 1
    return extra


def sectors(addresses: Array, width: int) -> int:
    """The sectors of 32 bytes that accesses [..., lanes] of `width` bits touch, each access on its own."""
    rows = addresses.reshape(-1, addresses.shape[-1])
    last = (rows + width - 1) // SECTOR_BITS
    first = rows // SECTOR_BITS
    steps = np.arange(int((last - first).max()) + 1)
    touched = np.minimum(first[..., None] + steps, last[..., None])
    return sum(len(np.unique(row)) for row in touched)
