"""Unrolls counted loops: short ones whole, others by the factor that the kernel asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmc.ir.builder import argument
from vmc.ir.core import Module, Op, Region, TileType, Value, attributes, walk
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel
from vmc.ir.passes.rules.control import known_bounds
from vmc.ir.types import dtype

INDEX = TileType(dtype("i64"))

SHORT_LOOP = 4
"""Iterations of a loop that is unrolled whole without being asked."""
LARGEST_BODY = 64
"""Operations that unrolling a loop whole may leave, unless asked for more."""


def unroll_loops(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: no loop asks for unrolling any more; loops of few constant iterations
    and few operations are gone, those that ask for pipelining aside. Keeps: the order of all effects, the order in
    which carried values are computed, `stages`.
    """
    return each_kernel(module, lambda kernel: Rewriter(unroll_op).kernel(kernel))


def unroll_op(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
    if op.name != "for":
        return None
    factor, bounds = op.attrs["unroll"], known_bounds(op, rewriter)
    assert isinstance(factor, int)
    if bounds is not None and (len(bounds) <= factor or is_short(op, bounds)):
        return unroll_whole(op, bounds, rewriter)
    return unroll_partly(op, factor, rewriter) if factor > 1 else None


def is_short(op: Op, bounds: range) -> bool:
    """Whether a loop is worth unrolling whole though nobody asked."""
    operations = len(bounds) * sum(1 for _ in walk(op.regions[0]))
    return len(bounds) <= SHORT_LOOP and operations <= LARGEST_BODY and op.attrs["stages"] == 1


def unroll_whole(op: Op, bounds: range, rewriter: Rewriter) -> tuple[Value, ...]:
    carried = op.operands[3:]
    for number in bounds:
        carried = rewriter.inline(op.regions[0], (index(number, rewriter), *carried))
    return carried


def unroll_partly(op: Op, factor: int, rewriter: Rewriter) -> tuple[Value, ...]:
    """A loop over whole groups of `factor` iterations, then one over what is left."""
    low, high, step, *carried = op.operands
    emit = rewriter.emit
    zero, one = index(0, rewriter), index(1, rewriter)
    distance = emit("max", emit("sub", high, low), zero)
    trips = emit("floordiv", emit("add", distance, emit("sub", step, one)), step)
    stride = emit("mul", step, index(factor, rewriter))
    middle = emit("add", low, emit("mul", emit("floordiv", trips, index(factor, rewriter)), stride))
    grouped = loop(op, (low, middle, stride, *carried), group(op, factor, step, rewriter), rewriter)
    return loop(op, (middle, high, step, *grouped), copied(op.regions[0], rewriter), rewriter)


def index(number: int, rewriter: Rewriter) -> Value:
    return rewriter.emit("constant", type=INDEX, code=number & ((1 << 64) - 1))


def loop(op: Op, operands: Sequence[Value], body: Region, rewriter: Rewriter) -> tuple[Value, ...]:
    """A loop like `op`, which asks for no unrolling, around a finished body."""
    results = tuple(Value(result.type, result.name) for result in op.results)
    attrs = attributes(**{**op.attrs, "unroll": 1})
    rewriter.append(replace(op, operands=tuple(operands), results=results, attrs=attrs, regions=(body,)))
    return results


def copied(body: Region, rewriter: Rewriter) -> Region:
    """A rewritten copy of a loop's body, with values of its own."""
    return in_sequence(body, (None,), rewriter)


def group(op: Op, factor: int, step: Value, rewriter: Rewriter) -> Region:
    """A body that executes `factor` iterations, each `step` after the one before."""
    return in_sequence(op.regions[0], (None,) + (step,) * (factor - 1), rewriter)


def in_sequence(body: Region, steps: Sequence[Value | None], rewriter: Rewriter) -> Region:
    """A body that executes another once for each step, which says how far its index lies behind the one before."""
    args = tuple(argument(arg.type, arg.name) for arg in body.args)
    outer, rewriter.block = rewriter.block, []
    place, *carried = args
    values: Sequence[Value] = carried
    for step in steps:
        place = place if step is None else rewriter.emit("add", place, step)
        values = rewriter.inline(body, (place, *values))
    rewriter.append(replace(body.ops[-1], operands=tuple(values)))
    block, rewriter.block = rewriter.block, outer
    return Region(args, tuple(block))


unroll = Pass("unroll", unroll_loops)
