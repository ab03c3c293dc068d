"""Operations on each element alone, and what fills registers without looking at other elements."""

from __future__ import annotations

from vmc.backends.cuda.arith import cast_element, constant, divided, from_code, holds, step, to_code
from vmc.backends.cuda.emitter import Emitter, Scalar
from vmc.backends.cuda.registers import expression
from vmc.backends.cuda.tir import U32, U64, Expr, cast, select
from vmc.ir.core import Op, Value


def lower_step(e: Emitter, op: Op) -> None:
    dtype = op.operands[0].tile.dtype
    if op.name in ("floordiv", "mod") and (divisor := known(e, op.operands[1])) > 0:
        e.fill(op.result, lambda slot: divided(op.name, dtype, e.element(op.operands[0], slot), divisor))
        return
    e.fill(op.result, lambda slot: step(op.name, dtype, *(e.element(v, slot) for v in op.operands)))


def known(e: Emitter, value: Value) -> int:
    """The number of an integer constant; 0 for anything else."""
    held = e.values[value]
    return (held.known if isinstance(held, Scalar) else None) or 0


def lower_select(e: Emitter, op: Op) -> None:
    condition, a, b = op.operands
    e.fill(op.result, lambda slot: select(holds(e.element(condition, slot)), e.element(a, slot), e.element(b, slot)))


def lower_cast(e: Emitter, op: Op) -> None:
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    e.fill(op.result, lambda slot: cast_element(source, target, e.element(op.operands[0], slot)))


def lower_bitcast(e: Emitter, op: Op) -> None:
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    e.fill(op.result, lambda slot: from_code(target, to_code(source, e.element(op.operands[0], slot))))


def lower_constant(e: Emitter, op: Op) -> None:
    type = op.result.tile
    value = constant(type.dtype, op.attrs["code"])
    if type.rank == 0:
        number = int(type.dtype.decode(op.attrs["code"])[()]) if type.dtype.is_int else None
        e.define(op.result, Scalar(type.dtype, value, number))
        return
    e.uniform(op.result, value)


def lower_symbol(e: Emitter, op: Op) -> None:
    e.define_scalar(op.result, cast(e.symbols[op.attrs["name"]], U64))


def lower_iota(e: Emitter, op: Op) -> None:
    made = e.tile(op.result.tile, op.result.name)

    def number(slot: Expr) -> None:
        (index,) = made.registers.index(slot)
        e.put(made.buffer, slot, cast(expression(index), U32))

    e.each(made.registers.slots, number)
    e.define(op.result, made)
