"""Accesses at computed places: gather, scatter, atomics."""

from __future__ import annotations

from collections.abc import Sequence

from vmc.backends.cuda.arith import as_signed, constant, holds, is_signed
from vmc.backends.cuda.emitter import Emitter, Scalar, Tile
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.memory import Memory, flat_index, read, view, write
from vmc.backends.cuda.registers import Registers
from vmc.backends.cuda.tir import F32, F64, I32, I64, U32, Expr, binary, cast, const, container, tirx
from vmc.ir.core import Op, Value

CARRIERS = {"u32": U32, "i32": I32, "u64": "unsigned long long", "i64": I64, "f32": F32, "f64": F64}


def indices(e: Emitter, memory: Memory, values: Sequence[Value], slot: Expr) -> list[Expr]:
    """The tensor's index of a slot, computed once."""
    kind = memory.index_kind
    return [e.let(cast(as_signed(v.tile.dtype, e.element(v, slot)), kind), kind, "i") for v in values]


def conditions(
    e: Emitter, memory: Memory, index: Sequence[Expr], mask: Sequence[Value], slot: Expr, holder: Sequence[Expr]
) -> list[Expr]:
    """When an element is accessed: its thread holds it, the mask leaves it, and it exists."""
    found = [*holder, *(holds(e.element(value, slot)) for value in mask)]
    for line, extent in zip(index, memory.extents, strict=True):
        found += [binary("GE", line, memory.number(0)), binary("LT", line, extent)]
    return found


def holder_of(e: Emitter, value: Value, slot: Expr, single: bool) -> list[Expr]:
    held = e.values[value]
    if isinstance(held, Scalar):
        return [binary("EQ", e.thread, const(0, I32))] if single else []
    registers: Registers = held.registers
    return registers.holder(slot, single)


def each_slot(e: Emitter, value: Value, body: object) -> None:
    held = e.values[value]
    e.each(held.registers.slots if isinstance(held, Tile) else 1, body)  # type: ignore[arg-type]


def lower_gather(e: Emitter, op: Op) -> None:
    memory = e.values[op.operands[0]]
    rank = memory.type.rank
    lines, mask = op.operands[1 : 1 + rank], op.operands[1 + rank :]
    type = op.result.tile
    fill = constant(type.dtype, op.attrs["fill"] or 0)
    if type.rank:
        made = e.tile(type, op.result.name)
        buffer, slots = made.buffer, made.registers.slots
    else:
        buffer, slots = e.buffer(container(type.dtype), 1, "s"), 1

    def element(slot: Expr) -> None:
        index = indices(e, memory, lines, slot)
        holder = made.registers.holder(slot, single=False) if type.rank else []
        e.put(buffer, slot, fill)
        with e.when(conditions(e, memory, index, mask, slot, holder)):
            e.put(buffer, slot, read(e, memory, index))

    e.each(slots, element)
    e.define(op.result, made if type.rank else Scalar(type.dtype, e.get(buffer, 0)))


def lower_scatter(e: Emitter, op: Op) -> None:
    memory, value = e.values[op.operands[0]], op.operands[1]
    rank = memory.type.rank
    lines, mask = op.operands[2 : 2 + rank], op.operands[2 + rank :]

    def element(slot: Expr) -> None:
        index = indices(e, memory, lines, slot)
        holder = holder_of(e, value, slot, single=True)
        with e.when(conditions(e, memory, index, mask, slot, holder)):
            write(e, memory, index, e.element(value, slot))

    each_slot(e, value, element)


def lower_atomic(e: Emitter, op: Op) -> None:
    memory, value = e.values[op.operands[0]], op.operands[1]
    rank = memory.type.rank
    lines, mask = op.operands[2 : 2 + rank], op.operands[2 + rank :]
    if not op.result.tile.rank:
        raise UnsupportedError("an atomic on one element was not expanded")
    made = e.tile(op.result.tile, op.result.name)

    def element(slot: Expr) -> None:
        index = indices(e, memory, lines, slot)
        holder = made.registers.holder(slot, single=True)
        e.put(made.buffer, slot, constant(made.dtype, 0))
        with e.when(conditions(e, memory, index, mask, slot, holder)):
            e.put(made.buffer, slot, update(e, memory, op.attrs["kind"], index, e.element(value, slot)))

    e.each(made.registers.slots, element)
    e.define(op.result, made)


FUNCTIONS = {
    "add": "atomicAdd",
    "min": "atomicMin",
    "max": "atomicMax",
    "and": "atomicAnd",
    "or": "atomicOr",
    "xor": "atomicXor",
    "exchange": "atomicExch",
}


def update(e: Emitter, memory: Memory, kind: str, index: Sequence[Expr], value: Expr) -> Expr:
    """The element before an atomic update, which it makes."""
    dtype = memory.type.dtype
    place = flat_index(memory, index)
    if memory.bit_offset:
        place = binary("Add", place, memory.number(memory.bit_offset // memory.width))
    if dtype.is_float:
        address = tirx().address_of(e.get(view(e, memory, F32 if dtype.width == 32 else F64), place))
        return tirx().call_extern(container(dtype), f"vmc_atomic_{kind}_{dtype.name}", address, value)
    signed = is_signed(dtype) and kind in ("min", "max")
    machine = f"{'' if signed else 'u'}int{dtype.width}"
    address = tirx().address_of(e.get(view(e, memory, machine), place))
    operand = cast(value, machine) if signed else value
    return cast(tirx().call_extern(machine, FUNCTIONS[kind], address, operand), container(dtype))
