"""Where products by warpgroups find their first factor: in shared memory, in panels, which the instructions read.

copies for a later turn                    %d = dot_shared ring, %slot, %b, %c
%a = load ring, %slot            -->       copies for a later turn, made while it is computed
%d = dot_warpgroup %a, %b, %c
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmc.ir.builder import Builder, make_op
from vmc.ir.core import Access, Attr, Kernel, Module, Op, Region, Space, TensorType, Value, walk
from vmc.ir.passes.gpu.pipelining import is_ring
from vmc.ir.passes.gpu.warpgroups import panels
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel


def place_factors(module: Module) -> Module:
    """Needs: rings, where loops have stages. Guarantees: the first factor of every `dot_warpgroup` lies in shared
    memory, in panels, and the product is a `dot_shared`; copies to rings that were started before it, with nothing
    between that could tell, are started behind it, while it is computed. Idempotent. Keeps: everything else.
    """
    return each_kernel(module, placed)


def placed(kernel: Kernel) -> Kernel:
    if not any(op.name == "dot_warpgroup" for op in walk(kernel.body)):
        return kernel

    def region(old: Region) -> Region:
        ops: list[Op] = []
        for op in old.ops:
            if op.name == "dot_warpgroup":
                ops += in_shared_memory(op, ops)
            else:
                ops.append(replace(op, regions=tuple(map(region, op.regions))) if op.regions else op)
        return Region(old.args, tuple(copies_behind(ops)))

    return kernel.with_body(region(kernel.body))


def copies_behind(ops: list[Op]) -> list[Op]:
    """The operations of a region, copies to rings behind the products that they stand right before."""
    products = [place for place, op in enumerate(ops) if op.name == "dot_shared"]
    if not products:
        return ops
    last = products[-1]
    first = next((n + 1 for n in reversed(range(last)) if not may_pass(ops[n])), 0)
    moved = [op for op in ops[first:last] if is_copy(op)]
    kept = [op for op in ops[first:last] if not is_copy(op)]
    return [*ops[:first], *kept, ops[last], *moved, *ops[last + 1 :]]


def is_copy(op: Op) -> bool:
    return op.name in ("copy_async", "commit_group") or is_conditional_copy(op)


def is_conditional_copy(op: Op) -> bool:
    """Whether a branch does nothing but start copies to rings."""
    inner = [one for region in op.regions for one in region.ops[:-1]]
    copies = [one for one in inner if one.name == "copy_async"]
    return op.name == "if" and not op.results and bool(copies) and all(map(may_pass, inner))


def may_pass(op: Op) -> bool:
    """Whether copies to rings may start after an operation instead of before it, or are such copies themselves."""
    if op.name == "copy_async":
        return is_ring(op.operands[0].tensor)
    return op.name == "commit_group" or is_conditional_copy(op) or (op.definition.pure and not op.regions)


def in_shared_memory(op: Op, before: Sequence[Op]) -> list[Op]:
    """The product, on a stage where its factor comes from one that still holds it, else on a copy of the factor."""
    source = stage_of(op.operands[0], before)
    build = Builder(op.span)
    if source is None:
        a = op.operands[0].tile
        type = TensorType(a.dtype, a.shape, Access.INOUT, Space.SHARED, panels(a.shape, a.dtype.width))
        memory, zeros, sizes = build("alloc", type=type), [build.index(0)] * 2, a.shape
        build.many("store", memory, op.operands[0], *zeros, sizes=sizes, steps=(1, 1), inbounds=(True, True))
        operands: Sequence[Value] = (memory, *zeros)
    else:
        operands, sizes = source.operands, source.attrs["sizes"]
    attrs: dict[str, Attr] = {"sizes": sizes, "run": op.attrs["run"]}
    made = make_op("dot_shared", (*operands, *op.operands[1:]), attrs, (), op.span)
    build.append(replace(made, results=op.results))
    return build.ops


def stage_of(factor: Value, before: Sequence[Op]) -> Op | None:
    """The load of a stage in panels that made a factor, with nothing since that writes memory."""
    for op in reversed(before):
        if factor in op.results:
            wanted = panels(factor.tile.shape, factor.tile.dtype.width, stages=True)
            shared = op.name == "load" and op.operands[0].tensor.space is Space.SHARED
            return op if shared and op.operands[0].tensor.storage == wanted else None
        if not op.definition.pure or op.regions:
            return None
    return None


placing = Pass("factors", place_factors)
