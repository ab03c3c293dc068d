"""`view`: the bits of a thread's slots, one slot after the other, cut anew."""

from __future__ import annotations

from vmc.backends.cuda.arith import code_kind, from_code, to_code
from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.tir import Expr, binary, cast, const
from vmc.ir.core import Op


def lower_view(e: Emitter, op: Op) -> None:
    source = e.values[op.operands[0]]
    made = e.tile(op.result.tile, op.result.name)
    given, wanted = op.operands[0].tile.dtype, op.result.tile.dtype
    kind, target = code_kind(given), code_kind(wanted)
    for slot in range(made.registers.slots):
        total: Expr = None
        done = 0
        while done < wanted.width:
            number, shift = divmod(slot * wanted.width + done, given.width)
            taken = min(given.width - shift, wanted.width - done)
            part = to_code(given, e.held(source, number))
            part = part >> const(shift, kind) if shift else part
            if shift + taken < given.width:
                part = binary("BitwiseAnd", part, const((1 << taken) - 1, kind))
            part = cast(part, target)
            part = part << const(done, target) if done else part
            total = part if total is None else binary("BitwiseOr", total, part)
            done += taken
        e.put(made.buffer, slot, from_code(wanted, total))
    e.define(op.result, made)
