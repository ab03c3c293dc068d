"""Operations that move no element from its thread: the same registers under another name, or copies of slots."""

from __future__ import annotations

from dataclasses import replace

from vmc.backends.cuda.emitter import Emitter, Scalar, Tile
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.registers import Registers, element_layout
from vmc.backends.cuda.shuffles import exchanged
from vmc.ir.core import Op
from vmc.ir.layout import Layout
from vmc.ir.passes.gpu.spread import slot_map
from vmc.ir.passes.gpu.swaps import exchange


def lower_renamed(e: Emitter, op: Op) -> None:
    """`transpose` and `reshape`: the layout says the rest."""
    source = e.values[op.operands[0]]
    if op.result.tile.rank == 0:
        if isinstance(source, Tile):
            source = Scalar(source.dtype, e.held(source, 0))
        e.define(op.result, source)
    elif isinstance(source, Scalar):
        e.uniform(op.result, source.value)
    else:
        layout = element_layout(op.result.tile)
        e.define(op.result, replace(source, registers=Registers(layout, e.threads, e.thread)))


def lower_broadcast(e: Emitter, op: Op) -> None:
    source = e.values[op.operands[0]]
    if isinstance(source, Scalar) or source.buffer is None:
        e.uniform(op.result, source.value if isinstance(source, Scalar) else source.uniform)
        return
    made = e.tile(op.result.tile, op.result.name)
    table = broadcast_slots(element_layout(op.operands[0].tile), element_layout(op.result.tile), op)
    for slot, origin in enumerate(table):
        e.put(made.buffer, slot, e.get(source.buffer, origin))
    e.define(op.result, made)


def broadcast_slots(source: Layout, result: Layout, op: Op) -> list[int]:
    """The slot of the operand that each slot of the result copies, the same in all threads."""
    import numpy as np

    from vmc.ir.layout import BIT

    own = result.apply_all()[BIT]
    held = np.broadcast_to(source.apply_all()[BIT], own.shape)
    table = [0] * result.cosize(BIT)
    for slot, origin in zip(own.reshape(-1).tolist(), held.reshape(-1).tolist(), strict=True):
        table[slot] = origin
    return table


def lower_relayout(e: Emitter, op: Op) -> None:
    """A permutation of slots, or an exchange within warps; what crosses warps has gone through shared memory before."""
    source = e.values[op.operands[0]]
    if source.buffer is None:
        e.uniform(op.result, source.uniform)
        return
    layout = element_layout(op.result.tile)
    table = slot_map(source.registers.layout, layout, e.threads)
    found = exchange(source.registers.layout, layout) if table is None else None
    if found is not None:
        e.define(op.result, exchanged(e, op, source, found))
        return
    made = e.tile(op.result.tile, op.result.name)
    if table is None:
        raise UnsupportedError("a relayout between threads was not expanded", op.span)
    for slot, origin in enumerate(table):
        e.put(made.buffer, slot, e.get(source.buffer, origin))
    e.define(op.result, made)
