"""Layouts that spread a tile over the threads of a block, and what is asked of register layouts.

The axis `lane` counts threads: a layout that also has the axis `warp` counts 32 of them in each warp, one without
counts on past 32. `bit` counts a thread's elements, its *slots*.

    spread((64, 64), threads=128, vector=8)      8 neighbours of a row in a thread, rows over lanes, the rest in slots
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np

from vmc.ir.layout import BIT, LANE, WARP, Digit, Layout, LayoutError, reduce
from vmc.ir.layout.swizzle import Array

WARP_SIZE = 32
MAX_THREADS = 1024


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number that is at most `limit`."""
    return next(n for n in range(min(number, limit), 0, -1) if number % n == 0)


def power_of_two(number: int, limit: int) -> int:
    """The largest power of two that divides a number and is at most `limit`."""
    found = number & -number
    while found > max(1, limit):
        found //= 2
    return found


@lru_cache(maxsize=4096)
def spread(shape: tuple[int, ...], threads: int, vector: int = 1, axis: int | None = None) -> Layout:
    """A layout of a tile over all threads: `vector` neighbours of the last dimension in a thread, then lanes from the
    last dimension to the first, then slots; what is left of the threads holds copies.

    Along `axis`, if given, lanes are a power of two within a warp, so that shuffles combine them.
    """
    digits: list[list[Digit]] = [[] for _ in shape]
    left = list(shape)
    slot = lane = 1
    if vector > 1:
        digits[-1].append(Digit(vector, 1, BIT))
        left[-1] //= vector
        slot = vector
    for dim in reversed(range(len(shape))):
        count = largest_divisor(left[dim], threads // lane)
        if dim == axis:
            in_warp = WARP_SIZE // lane if lane & (lane - 1) == 0 else 1
            count = power_of_two(left[dim], min(in_warp, threads // lane))
        if count > 1:
            digits[dim].append(Digit(count, lane, LANE))
            left[dim] //= count
            lane *= count
    for dim in reversed(range(len(shape))):
        if left[dim] > 1:
            digits[dim].append(Digit(left[dim], slot, BIT))
            slot *= left[dim]
    copies = threads // lane
    replicas = (Digit(copies, lane, LANE),) if copies > 1 else ()
    return Layout.of(shape, [d for part in digits for d in reversed(part)], replicas=replicas)


def everywhere(shape: tuple[int, ...], threads: int) -> Layout:
    """All elements in every thread."""
    return spread_local(shape, Digit(threads, 1, LANE))


def spread_local(shape: tuple[int, ...], copies: Digit) -> Layout:
    digits = []
    slot = 1
    for extent in reversed(shape):
        digits.append(Digit(extent, slot, BIT))
        slot *= extent
    return Layout.of(shape, digits[::-1], replicas=(copies,) if copies.extent > 1 else ())


def threads_of(layout: Layout) -> int:
    """How many threads a layout takes."""
    warps = layout.cosize(WARP) if WARP in layout.axes else 1
    lanes = layout.cosize(LANE) if LANE in layout.axes else 1
    return lanes if warps == 1 else (warps - 1) * WARP_SIZE + lanes


def without_copies(layout: Layout) -> Layout:
    """The layout with one holder for each element."""
    return replace(layout, replicas=tuple(d for d in layout.replicas if d.axis == BIT))


def reduced(layout: Layout, axis: int) -> Layout | None:
    """The layout of what remains of a tile after its axis was reduced in place; None where digits resist."""
    try:
        return reduce(layout, [axis])
    except LayoutError:
        return None


def thread_steps(layout: Layout, axis: int) -> tuple[Digit, ...] | None:
    """The digits on threads along an axis, `warp` as 32 lanes; None where digits resist."""
    try:
        part = layout.dimensions(layout.plane)[axis]
    except LayoutError:
        return None
    unit = {WARP: WARP_SIZE, LANE: 1}
    return tuple(Digit(d.extent, d.stride * unit[d.axis], LANE) for d in part if d.axis in unit)


def reducible(layout: Layout, axis: int) -> bool:
    """Whether lanes can be combined along an axis by exchanging within warps: powers of two, all held."""
    steps = thread_steps(layout, axis)
    if steps is None or reduced(layout, axis) is None:
        return False
    return all(is_power(d.extent) and is_power(d.stride) and d.stride * d.extent <= WARP_SIZE for d in steps)


def in_all_threads(layout: Layout, threads: int) -> bool:
    """Whether every thread holds something."""
    return bool((holdings(layout, threads) >= 0).any(axis=1).all())


def is_local(layout: Layout, axis: int) -> bool:
    """Whether every thread holds whole lines along an axis."""
    return thread_steps(layout, axis) == ()


def is_power(number: int) -> bool:
    return number & (number - 1) == 0


@lru_cache(maxsize=1024)
def holdings(layout: Layout, threads: int) -> Array:
    """Which element each thread holds in each slot, -1 for none: int64 [threads, slots]."""
    table = np.full((threads, layout.cosize(BIT)), -1, np.int64)
    for places in layout.copies():
        shape = places[BIT].shape
        lanes = np.broadcast_to(places.get(LANE, np.zeros((), np.int64)), shape)
        warps = np.broadcast_to(places.get(WARP, np.zeros((), np.int64)), shape)
        table[(warps * WARP_SIZE + lanes).reshape(-1), places[BIT].reshape(-1)] = np.arange(prod(shape))
    return table


@lru_cache(maxsize=1024)
def slot_map(source: Layout, target: Layout, threads: int) -> tuple[int, ...] | None:
    """From which slot each slot of `target` is copied, where no element leaves its thread and all threads do alike."""
    held, wanted = holdings(source, threads), holdings(target, threads)
    found = []
    for column in wanted.T:
        used = column >= 0
        fits = np.flatnonzero((held[used] == column[used, None]).all(axis=0))
        if not len(fits):
            return None
        found.append(int(fits[0]))
    return tuple(found)
