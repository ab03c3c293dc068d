"""Gather, scatter, atomics and asynchronous copies. An index outside the extents reads zero bits and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llvmlite import ir

from vmc.backends.cpu import access, address, arith
from vmc.backends.cpu.elements import I1, I64, code_type, constant, element_type, resize
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Index, Origin, Tensor, Tile
from vmc.ir.core import Op, Value

ATOMIC = {"add": "add", "and": "and", "or": "or", "xor": "xor", "exchange": "xchg"}


def indices(e: Emitter, tensor: Tensor, operands: Sequence[Value]) -> tuple[list[Tile], Tile | None]:
    """The index tiles and the mask."""
    tiles = [e.tile(operand) for operand in operands]
    rank = len(tensor.extents)
    return tiles[:rank], tiles[rank] if len(tiles) > rank else None


def target_index(e: Emitter, tiles: Sequence[Tile], place: Index) -> Index:
    """The tensor's index that an element of the index tiles names."""
    return tuple(resize(e.b, e.at(tile, place), I64, signed=True) for tile in tiles)


def is_inside(e: Emitter, tensor: Tensor, index: Index, mask: ir.Value | None) -> ir.Value:
    """Whether an element is to be accessed: inside the extents, and not masked off; as i1."""
    inside: ir.Value = ir.Constant(I1, 1) if mask is None else e.truth(mask)
    for place, extent in zip(index, tensor.extents, strict=True):
        inside = e.b.and_(inside, access.within(e, place, extent))
    return inside


def lower_gather(e: Emitter, op: Op) -> tuple[Tile]:
    tensor = e.tensor(op.operands[0])
    tiles, mask = indices(e, tensor, op.operands[1:])
    code = op.attrs["fill"]
    fill = constant(tensor.type.dtype, code if isinstance(code, int) else 0)
    shape = op.result.tile.shape

    def at(place: Index) -> ir.Value:
        index = target_index(e, tiles, place)
        wanted = is_inside(e, tensor, index, None if mask is None else e.at(mask, place))
        return e.choose(wanted, fill.type, lambda: address.read_element(e, tensor, index), lambda: fill)

    result = Tile(tensor.type.dtype, shape, at)
    if shape:
        e.settle(result)
    return (result,)


def lower_scatter(e: Emitter, op: Op) -> tuple[()]:
    tensor, value = e.tensor(op.operands[0]), e.tile(op.operands[1])
    tiles, mask = indices(e, tensor, op.operands[2:])
    for tile in e.pending_loads(tensor.scope):
        e.settle(tile)

    def element(place: Index) -> None:
        index = target_index(e, tiles, place)
        stored = e.at(value, place)
        with e.when(is_inside(e, tensor, index, None if mask is None else e.at(mask, place))):
            address.write_element(e, tensor, index, stored)

    e.nest(e.box(value.shape), element)
    return ()


def lower_atomic(e: Emitter, op: Op) -> tuple[Tile]:
    tensor, value, kind = e.tensor(op.operands[0]), e.tile(op.operands[1]), str(op.attrs["kind"])
    tiles, mask = indices(e, tensor, op.operands[2:])
    dtype, result = tensor.type.dtype, op.result.tile
    for tile in e.pending_loads(tensor.scope):
        e.settle(tile)
    buffer = e.allocate(dtype, result.size)
    zero = constant(dtype, 0)

    def element(place: Index) -> None:
        index = target_index(e, tiles, place)
        wanted = is_inside(e, tensor, index, None if mask is None else e.at(mask, place))
        operand = e.at(value, place)
        old = e.choose(wanted, zero.type, lambda: combine(e, kind, tensor, index, operand), lambda: zero)
        e.write(buffer, e.linear(place, result.shape), old)

    e.nest(e.box(result.shape), element)
    return (e.settled_tile(dtype, result.shape, buffer),)


def combine(e: Emitter, kind: str, tensor: Tensor, index: Index, operand: ir.Value) -> ir.Value:
    """One atomic step; the old element."""
    dtype, b = tensor.type.dtype, e.b
    place = address.plain_address(e, tensor, index)
    if dtype.is_int and kind in ATOMIC:
        return b.atomic_rmw(ATOMIC[kind], place, operand, "monotonic")
    if dtype.is_int:
        return b.atomic_rmw(kind if not dtype.is_uint else f"u{kind}", place, operand, "monotonic")
    bits = code_type(dtype)
    if kind == "exchange":
        old = b.atomic_rmw("xchg", place, b.bitcast(operand, bits), "monotonic")
        return b.bitcast(old, element_type(dtype))
    return exchange_until(e, kind, tensor, place, operand)


def exchange_until(e: Emitter, kind: str, tensor: Tensor, place: ir.Value, operand: ir.Value) -> ir.Value:
    """A float's atomic step by compare and exchange, repeated until no other thread came between."""
    dtype, b = tensor.type.dtype, e.b
    bits = code_type(dtype)
    first = b.load_atomic(place, "monotonic", bits.width // 8, typ=bits)
    before, again, done = b.block, e.function.append_basic_block("again"), e.function.append_basic_block("swapped")
    b.branch(again)
    b.position_at_end(again)
    old = b.phi(bits)
    new = arith.step(e, kind, dtype, b.bitcast(old, element_type(dtype)), operand)
    pair = b.cmpxchg(place, old, b.bitcast(new, bits), "monotonic")
    seen, swapped = b.extract_value(pair, 0), b.extract_value(pair, 1)
    old.add_incoming(first, before)
    old.add_incoming(seen, b.block)
    b.cbranch(swapped, done, again)
    b.position_at_end(done)
    return b.bitcast(old, element_type(dtype))


def lower_copy_async(e: Emitter, op: Op) -> tuple[()]:
    """A load and a store at once: nothing may look at the target before the copy is waited for."""
    target, source = e.tensor(op.operands[0]), e.tensor(op.operands[1])
    rank = len(source.extents)
    from_, to = op.operands[2 : 2 + rank], op.operands[2 + rank :]
    taken = access.make_slice(e, source, [e.scalar(start) for start in from_], op.attrs)
    fill = constant(source.type.dtype, int(str(op.attrs["fill"])))
    value = access.load_slice(e, taken, fill, from_, op.attrs)
    sizes = op.attrs["target_sizes"]
    ones, claimed = (1,) * len(to), (True,) * len(to)
    attrs = {"sizes": sizes, "steps": ones, "inbounds": claimed}
    given = access.make_slice(e, target, [e.scalar(start) for start in to], attrs)
    access.settle_loads(e, target, value, Origin(target.scope, to, sizes, ones))
    access.store_slice(e, replace(given), value)
    return ()
