"""Moves what a loop computes anew in every iteration, and always the same, in front of it."""

from __future__ import annotations

from dataclasses import replace

from vmc.ir.core import Module, Op, Region, Value
from vmc.ir.passes.effects import is_total, size
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel


def hoist(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: no counted loop's body holds, outside of nested regions, a pure
    operation on values from outside, unless it could fail where the loop has no iterations, reads memory that is
    written, or makes more elements than it takes (which would then wait in memory). Idempotent. Keeps: everything else,
    and the order of what it moves.
    """
    return each_kernel(module, lambda kernel: _Hoister().kernel(kernel))


class _Hoister(Rewriter):
    """Rewrites inner loops first, so that what leaves one can leave the next."""

    def __init__(self) -> None:
        super().__init__(lambda op, _: None)

    def append(self, op: Op) -> None:
        if op.name == "for":
            (body,) = op.regions
            moved = invariant(body)
            for inner in body.ops:
                if inner in moved:
                    super().append(inner)
            if moved:
                rest = tuple(inner for inner in body.ops if inner not in moved)
                op = replace(op, regions=(Region(body.args, rest),))
        super().append(op)


def invariant(body: Region) -> set[Op]:
    """The operations of a loop's body that may be executed once, in front of it."""
    inside: set[Value] = set(body.args)
    moved: set[Op] = set()
    for op in body.ops:
        if is_total(op) and is_worth_keeping(op) and inside.isdisjoint(op.operands):
            moved.add(op)
        else:
            inside.update(op.results)
    return moved


def is_worth_keeping(op: Op) -> bool:
    """Whether a result may wait outside the loop: it is no larger than what it is made from."""
    if op.definition.reads_memory or not op.operands:
        return True
    return sum(map(size, op.results)) <= max(1, *map(size, op.operands))


licm = Pass("licm", hoist)
