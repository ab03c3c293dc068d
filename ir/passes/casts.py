"""Expands casts into the few that every machine has, for targets without the others."""

from __future__ import annotations

from collections.abc import Sequence

from vmc.ir.builder import Builder
from vmc.ir.core import Module, Op, Value
from vmc.ir.math.casts import expand_cast
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel


def expand_casts(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: every cast is one of the primitive ones that `vmc.ir.math.casts` lists.
    Idempotent. Keeps: everything else, and the bits of every result; layouts of casts that are pinned.
    """
    return each_kernel(module, lambda kernel: Rewriter(expanded).kernel(kernel))


def expanded(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
    if op.name != "cast":
        return None
    build = Builder(op.span)
    value = expand_cast(build, op)
    if value is None:
        return None
    rewriter.splice(build.ops)
    found = rewriter.value(value)
    layout = op.result.tile.layout
    return [found if layout is None else rewriter.emit("relayout", found, layout=layout)]


casts = Pass("casts", expand_casts)
