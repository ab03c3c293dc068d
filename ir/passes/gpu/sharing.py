"""Relayouts between threads that no few shuffles make: written to shared memory in one layout, read in the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vmc.ir.builder import Builder
from vmc.ir.core import Access, Kernel, Module, Op, Space, TensorType, TileType, Value
from vmc.ir.layout import Layout
from vmc.ir.passes.gpu.carrying import carried, restored, stored_type
from vmc.ir.passes.gpu.relations import has_layout
from vmc.ir.passes.gpu.spread import slot_map
from vmc.ir.passes.gpu.swaps import exchange
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel


def share_relayouts(module: Module) -> Module:
    """Needs: a module at the access level. Guarantees: every `relayout` left permutes slots within each thread, alike
    in all, or exchanges them between lanes of warps by a few shuffles; the others are a store to shared memory and a
    load from it. Idempotent. Keeps: everything else.
    """
    return each_kernel(module, shared)


def shared(kernel: Kernel) -> Kernel:
    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        if op.name != "relayout" or not has_layout(op.result) or not has_layout(op.operands[0]):
            return None
        source, target = op.operands[0].tile.layout, op.result.tile.layout
        if source is None or target is None or slot_map(source, target, kernel.threads) is not None:
            return None
        if exchange(source, target) is not None:
            return None
        return [through_memory(op, rewriter, source, target)]

    return Rewriter(rule).kernel(kernel) if kernel.threads else kernel


def through_memory(op: Op, rewriter: Rewriter, source: Layout, target: Layout) -> Value:
    """The operand of a relayout, stored and loaded again."""
    type = op.result.tile
    before, after = Builder(op.span), Builder(op.span)
    value = carried(before, op.operands[0])
    memory = before("alloc", type=TensorType(stored_type(type.dtype), type.shape, Access.INOUT, Space.SHARED))
    zeros = [before.index(0) for _ in type.shape]
    slice: dict[str, Any] = {"sizes": type.shape, "steps": (1,) * type.rank, "inbounds": (True,) * type.rank}
    before.many("store", memory, value, *zeros, **slice)
    result = restored(after, after("load", memory, *zeros, fill=0, **slice), type.dtype)
    values: dict[Value, Value] = {}
    for build, layout in ((before, source), (after, target)):
        for inner in build.ops:
            rewriter.append(placed(inner, layout, values))
    return values.get(result, result)


def placed(op: Op, layout: Layout, values: dict[Value, Value]) -> Op:
    """The operation with its tiles in a layout; `values` says what stands for earlier results."""
    operands = tuple(values.get(operand, operand) for operand in op.operands)
    results = []
    for value in op.results:
        made = value
        if has_layout(value):
            made = Value(TileType(value.tile.dtype, value.tile.shape, layout), value.name)
            values[value] = made
        results.append(made)
    return replace(op, operands=operands, results=tuple(results))


sharing = Pass("share", share_relayouts)
