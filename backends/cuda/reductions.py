"""Reductions along an axis: a thread's own slots first, then lanes of its warp, exchanging with lanes 1, 2, 4... away.

Layout inference has seen to it that nothing else is left: the layout of the result is what this leaves.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vmc.backends.cuda.arith import code_kind, from_code, step, to_code
from vmc.backends.cuda.emitter import Emitter, Scalar, Tile
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.registers import element_layout
from vmc.backends.cuda.tir import I32, U32, Expr, call, const, container
from vmc.ir.core import Op
from vmc.ir.layout import BIT, Layout
from vmc.ir.passes.gpu.spread import reduced, thread_steps
from vmc.ir.types import DType

STEPS = {"sum": "add", "prod": "mul", "min": "min", "max": "max", "and": "and", "or": "or", "xor": "xor"}
ALL_LANES = 0xFFFFFFFF


def lower_reduce(e: Emitter, op: Op) -> None:
    source, axis, name = e.values[op.operands[0]], op.attrs["axis"], STEPS[op.attrs["kind"]]
    dtype = source.dtype
    own = element_layout(op.operands[0].tile)
    left, steps = reduced(own, axis), thread_steps(own, axis)
    if left is None or steps is None:
        raise UnsupportedError("a reduction's layout does not reduce")
    groups = slot_groups(own, left, axis)
    sums = e.buffer(container(dtype), len(groups), op.result.name or "sum")
    for slot, members in enumerate(groups):
        combine_slots(e, source, sums, slot, members, name, dtype)
    for digit in steps:
        distance = digit.stride
        while distance < digit.stride * digit.extent:
            away = const(distance, I32)
            e.each(len(groups), lambda slot, away=away: exchange(e, sums, slot, away, name, dtype))  # type: ignore[misc]
            distance *= 2
    if op.result.tile.rank == 0:
        e.define(op.result, Scalar(dtype, e.get(sums, 0)))
        return
    made = e.tile_of(op.result.tile, sums)
    e.define(op.result, made)


def combine_slots(
    e: Emitter, source: Tile, sums: object, slot: int, members: tuple[int, ...], name: str, dtype: DType
) -> None:
    """A thread's own elements, by a loop where their slots are evenly spaced."""
    first, *rest = members
    e.put(sums, slot, e.held(source, first))
    pace = rest[0] - first if rest else 1
    if all(place == first + (n + 1) * pace for n, place in enumerate(rest)):

        def turn(number: Expr) -> None:
            place = number * const(pace, I32) + const(first + pace, I32)
            e.put(sums, slot, step(name, dtype, e.get(sums, slot), e.held(source, place)))

        if rest:
            e.each(len(rest), turn)
        return
    for place in rest:
        e.put(sums, slot, step(name, dtype, e.get(sums, slot), e.held(source, place)))


def exchange(e: Emitter, sums: object, slot: Expr, away: Expr, name: str, dtype: DType) -> None:
    """Combines a slot with that of the lane whose number differs in one bit."""
    kind = code_kind(dtype)
    code = to_code(dtype, e.get(sums, slot))
    other = e.let(call(kind, "__shfl_xor_sync", const(ALL_LANES, U32), code, away), kind, "other")
    e.put(sums, slot, step(name, dtype, e.get(sums, slot), from_code(dtype, other)))


@lru_cache(maxsize=256)
def slot_groups(source: Layout, result: Layout, axis: int) -> tuple[tuple[int, ...], ...]:
    """For every slot of the result, the slots that it combines."""
    own = source.apply_all()[BIT]
    left = np.broadcast_to(np.expand_dims(result.apply_all()[BIT], axis), own.shape)
    groups: list[dict[int, None]] = [{} for _ in range(result.cosize(BIT))]
    for slot, target in zip(own.reshape(-1).tolist(), left.reshape(-1).tolist(), strict=True):
        groups[target][slot] = None
    return tuple(tuple(sorted(group)) for group in groups)
