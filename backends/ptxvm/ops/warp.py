"""Exchange among the lanes of a warp: shuffles, votes, matches, reductions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.arrays import Array, Bools
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.errors import BarrierError
from vmc.backends.ptxvm.ops.integer import is_signed, signed, unsigned
from vmc.backends.ptxvm.state import Cohort

LANES = np.arange(32)


def members(m: Cohort, slot: int) -> Array:
    """The member masks [warps, 32] of the lanes. Raises BarrierError for a thread that is not in its own mask."""
    masks = np.ascontiguousarray(m.wide(slot)).reshape(-1, 32)
    own = (masks >> LANES.astype(np.uint32)) & np.uint32(1)
    outside = m.mask & (own.reshape(-1) == 0)
    if outside.any():
        block, thread = divmod(int(np.flatnonzero(outside)[0]), m.per_block)
        raise BarrierError(
            f"thread {thread} of block {block + m.first_block} is not in the member mask it gives",
            threads=((block + m.first_block, thread),),
        )
    return masks


def words(flags: Bools) -> Array:
    """Flags [warps * 32] as a word for each warp, lane 0 lowest."""
    return np.packbits(flags.reshape(-1, 32), axis=1, bitorder="little").view(np.uint32).reshape(-1)


def shfl(e: Emitter) -> Step:
    mode = next(m for m in e.modifiers if m in ("up", "down", "bfly", "idx"))
    destination = e.operands[0]
    pair = isinstance(destination, syntax.Pair)
    value_result = e.result(destination.first if isinstance(destination, syntax.Pair) else destination)
    predicate_result = e.result(destination.second) if isinstance(destination, syntax.Pair) else 0
    a, b, c, mask = (e.source(i, 32, "b32") for i in (1, 2, 3, 4))

    def run(m: Cohort) -> None:
        members(m, mask)
        for slot in (b, c):
            m.require(slot, "the lane of a shuffle")
        source, valid = _source_lane(mode, m.wide(b).reshape(-1, 32), m.wide(c).reshape(-1, 32))
        rows = np.arange(len(source))[:, None]
        value = np.ascontiguousarray(m.wide(a)).reshape(-1, 32)[rows, source].reshape(-1)
        present = m.mask.reshape(-1, 32)[rows, source].reshape(-1)
        unset = np.where(present, np.uint32(0), np.uint32(0xFFFFFFFF))
        found = m.taint.get(a)
        if found is not None:
            unset |= np.broadcast_to(found[0], (m.size,)).reshape(-1, 32)[rows, source].reshape(-1)
        unset = np.where(m.mask, unset, np.uint32(0))
        origin = e.number if found is None else found[1]
        m.put(value_result, value, unset if unset.any() else None, origin)
        if pair:
            m.put(predicate_result, valid.reshape(-1))

    return run


def _source_lane(mode: str, b: Array, c: Array) -> tuple[Array, Array]:
    """The lane each lane reads, and whether it lies within the segment (PTX ISA, shfl.sync)."""
    amount = (b & np.uint32(31)).astype(np.int64)
    clamp = (c & np.uint32(31)).astype(np.int64)
    segment = ((c >> np.uint32(8)) & np.uint32(31)).astype(np.int64)
    lane = np.broadcast_to(LANES, b.shape)
    highest = (lane & segment) | (clamp & ~segment)
    lowest = lane & segment
    match mode:
        case "up":
            wanted = lane - amount
            valid = wanted >= highest
        case "down":
            wanted = lane + amount
            valid = wanted <= highest
        case "bfly":
            wanted = lane ^ amount
            valid = wanted <= highest
        case _:
            wanted = lowest | (amount & ~segment)
            valid = wanted <= highest
    return np.where(valid, wanted, lane), valid


def vote(e: Emitter) -> Step:
    mode = next(m for m in e.modifiers if m in ("all", "any", "uni", "ballot"))
    slot, negated = e.predicate(e.operands[1])
    mask, destination = e.source(2, 32, "b32"), e.result()

    def run(m: Cohort) -> None:
        masks = members(m, mask)
        m.require(slot, "a vote")
        flags = m.wide(slot) ^ negated
        cast = words(flags & m.mask)[:, None] & masks
        voters = words(m.mask)[:, None] & masks
        match mode:
            case "ballot":
                result = cast
            case "all":
                result = cast == voters
            case "any":
                result = cast != 0
            case _:
                result = (cast == voters) | (cast == 0)
        m.put(destination, result.reshape(-1))

    return run


def activemask(e: Emitter) -> Step:
    destination = e.result()
    return lambda m: m.put(destination, np.repeat(words(m.mask), 32))


def match_(e: Emitter) -> Step:
    every = e.has("all")
    destination = e.operands[0]
    first = destination.first if isinstance(destination, syntax.Pair) else destination
    value_result = e.result(first)
    predicate_result = e.result(destination.second) if isinstance(destination, syntax.Pair) else None
    a, mask = e.source(1), e.source(2, 32, "b32")

    def run(m: Cohort) -> None:
        masks = members(m, mask)
        m.require(a, "a match")
        values = np.ascontiguousarray(m.wide(a)).reshape(-1, 32)
        active = m.mask.reshape(-1, 32)
        equal = (values[:, :, None] == values[:, None, :]) & active[:, None, :]
        found = words(equal.reshape(-1)).reshape(-1, 32) & masks
        if every:
            voters = words(m.mask)[:, None] & masks
            same = found == voters
            m.put(value_result, np.where(same, voters, np.uint32(0)).reshape(-1))
            if predicate_result is not None:
                m.put(predicate_result, same.reshape(-1))
        else:
            m.put(value_result, found.reshape(-1))

    return run


REDUCTIONS: dict[str, Callable[[Array], Array]] = {
    "add": lambda v: np.add.reduce(v, dtype=v.dtype), "min": np.minimum.reduce, "max": np.maximum.reduce,
    "and": np.bitwise_and.reduce, "or": np.bitwise_or.reduce, "xor": np.bitwise_xor.reduce,
}  # fmt: skip


def redux(e: Emitter) -> Step:
    name = next(m for m in e.modifiers if m in REDUCTIONS)
    reduce = _extreme_float(e, name) if e.type == "f32" else REDUCTIONS[name]
    sign = is_signed(e.type)
    a, mask, destination = e.source(1), e.source(2, 32, "b32"), e.result()

    def run(m: Cohort) -> None:
        masks = members(m, mask)
        m.require(a, "a reduction of a warp")
        values = np.ascontiguousarray(m.wide(a)).reshape(-1, 32)
        active = m.mask.reshape(-1, 32)
        result = np.zeros_like(values)
        for warp in np.flatnonzero(active.any(axis=1)):
            for member in np.unique(masks[warp][active[warp]]):
                lanes = np.flatnonzero(active[warp] & (masks[warp] == member))
                part = values[warp][lanes]
                reduced = unsigned(np.atleast_1d(reduce(signed(part)))) if sign else np.atleast_1d(reduce(part))
                result[warp, lanes] = reduced[0]
        m.put(destination, result.reshape(-1))

    return run


def _extreme_float(e: Emitter, name: str) -> Callable[[Array], Array]:
    """min or max of bits of f32: -0 is below +0; NaNs are passed over, but for `.NaN`, if there is anything else."""
    if name not in ("min", "max"):
        e.mistake("redux of f32 is min or max")
    magnitudes, infectious = e.has("abs"), e.has("NaN")

    def reduce(bits: Array) -> Array:
        bits = bits & np.uint32(0x7FFFFFFF) if magnitudes else bits
        nans = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
        if nans.all() or (infectious and nans.any()):
            return np.array(0x7FFFFFFF, np.uint32)
        bits = bits[~nans]
        order = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))
        place = np.argmin(order) if name == "min" else np.argmax(order)
        return np.asarray(bits[place])

    return reduce


def elect(e: Emitter) -> Step:
    destination = e.operands[0]
    if not isinstance(destination, syntax.Pair):
        e.mistake("elect.sync has two results")
    lane_result, predicate_result = e.result(destination.first), e.result(destination.second)
    mask = e.source(1, 32, "b32")

    def run(m: Cohort) -> None:
        voters = words(m.mask)[:, None] & members(m, mask)
        lowest = voters & (~voters + np.uint32(1))
        leader = np.log2(np.maximum(lowest, 1).astype(np.float64)).astype(np.uint32)
        m.put(lane_result, leader.reshape(-1))
        m.put(predicate_result, (leader == LANES.astype(np.uint32)).reshape(-1))

    return run
