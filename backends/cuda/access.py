"""Slices of tensors in and out of registers.

Neighbours that lie in neighbouring slots and in places of memory move in accesses as wide as both allow, up to
128 bits, where the slice is inside the tensor and the address is a multiple of the access; else element by element,
each under its own condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy as np

from vmc.backends.cuda.arith import code_kind, constant, from_code, to_code
from vmc.backends.cuda.emitter import Emitter, Scalar, Tile
from vmc.backends.cuda.memory import Memory, add, flat_index, mul, pieces, read, shifted, view, write
from vmc.backends.cuda.places import base, first_bits, led, stage_bits, staged
from vmc.backends.cuda.registers import contiguous, expression, plus, times
from vmc.backends.cuda.scaled import known_number
from vmc.backends.cuda.tir import I32, U32, Expr, binary, cast, const, tirx
from vmc.ir.core import Op, Value
from vmc.ir.passes.gpu.spread import holdings

WIDEST = 128
WORD = 32


@dataclass(frozen=True)
class Slice:
    """A slice of a memory: where it starts, and how its elements lie; `claims` are the dimensions known inside.

    `multiples`: what each start is known to be a multiple of, 0 for a start of 0; `known`: the starts that are known;
    `values`: the starts in the IR.
    """

    memory: Memory
    starts: tuple[Expr, ...]
    sizes: tuple[int | None, ...]
    steps: tuple[int, ...]
    claims: tuple[bool, ...]
    multiples: tuple[int, ...] = ()
    known: tuple[int | None, ...] = ()
    values: tuple[Value, ...] = ()

    def index(self, place: Sequence[Expr | int]) -> list[Expr]:
        """The tensor's index of an element of the tile."""
        lines, axis = [], iter(place)
        for start, size, step in zip(self.starts, self.sizes, self.steps, strict=True):
            if size is None:
                lines.append(start)
                continue
            along = times(next(axis), step)
            lines.append(add(start, cast(expression(along), self.memory.index_kind)) if along != 0 else start)
        return lines

    def inside(self, index: Sequence[Expr], run: int = 1) -> list[Expr]:
        """The conditions under which an element, and the `run - 1` behind it in the last dimension, exist."""
        conditions = []
        last = len(index) - 1
        for dim, (line, extent, claimed) in enumerate(zip(index, self.memory.extents, self.claims, strict=True)):
            if claimed:
                continue
            conditions.append(binary("GE", line, self.memory.number(0)))
            end = shifted(self.memory, line, run - 1) if dim == last else line
            conditions.append(binary("LT", end, extent))
        return conditions


def slice_of(e: Emitter, op: Op, memory: Memory, starts: Sequence[Value]) -> Slice:
    """The slice of a load or a store."""
    attrs = op.attrs
    lines = tuple(cast(e.scalar(start), memory.index_kind) for start in starts)
    multiples = tuple(e.multiple_of(start) for start in starts)
    known = tuple(known_number(e, start) for start in starts)
    return Slice(memory, lines, attrs["sizes"], attrs["steps"], attrs["inbounds"], multiples, known, tuple(starts))


def lower_load(e: Emitter, op: Op) -> None:
    memory = e.values[op.operands[0]]
    part = slice_of(e, op, memory, op.operands[1:])
    fill = constant(memory.type.dtype, op.attrs["fill"])
    if op.result.tile.rank == 0:
        e.define(op.result, load_scalar(e, part, fill, op.result))
        return
    made = e.tile(op.result.tile, op.result.name)
    load_tile(e, part, made, fill)
    e.define(op.result, made)


def load_scalar(e: Emitter, part: Slice, fill: Expr, result: Value) -> Scalar:
    held = e.buffer(e.kind(result.tile.dtype), 1, "s")
    index = part.index(())
    conditions = part.inside(index)
    if conditions:
        e.put(held, 0, fill)
    with e.when(conditions):
        e.put(held, 0, read(e, part.memory, index))
    return Scalar(result.tile.dtype, e.get(held, 0))


def load_tile(e: Emitter, part: Slice, made: Tile, fill: Expr) -> None:
    if whole := whole_runs(part, made):
        load_runs(e, part, made, whole)
        return
    run = run_length(part, made)

    def unit(number: Expr) -> None:
        first = plus(times(number, run), 0) if run > 1 else number

        def slow() -> None:
            load_elements(e, part, made, first, run, fill)

        if run == 1:
            slow()
            return
        index = held_index(e, part, made, first)
        conditions = [*made.registers.holder(first, single=False), *part.inside(index, run)]
        aligned = alignment(part, index, run)
        e.choose([*conditions, *aligned], lambda: load_run(e, part, made, first, run, index), slow)

    e.each(made.registers.slots // run, unit, "u")


def held_index(e: Emitter, part: Slice, made: Tile, slot: Expr | int) -> list[Expr]:
    """The tensor's index of what a slot holds, computed once."""
    return [e.let(line, part.memory.index_kind, "i") for line in part.index(made.registers.index(slot))]


def load_elements(e: Emitter, part: Slice, made: Tile, first: Expr | int, run: int, fill: Expr) -> None:
    """A run of slots, one element after the other."""

    def element(number: Expr) -> None:
        slot = plus(first, number) if run > 1 else first
        index = held_index(e, part, made, slot)
        conditions = [*made.registers.holder(slot, single=False), *part.inside(index)]
        if conditions:
            e.put(made.buffer, slot, fill)
        with e.when(conditions):
            e.put(made.buffer, slot, read(e, part.memory, index))

    e.each(run, element, "k")


def whole_runs(part: Slice, made: Tile) -> int:
    """The slots of a run, where shared memory is read in runs of whole bytes, alike in all threads; else 0."""
    memory, storage = part.memory, part.memory.type.storage
    if not memory.is_shared or (storage is not None and storage.shuffle is not None) or not all(part.claims):
        return 0
    if any(step != 1 for step in part.steps) or made.registers.holder(const(0, I32), single=False):
        return 0
    first = 1 if part.sizes[0] is None and len(part.sizes) > 1 else 0
    if None in part.sizes[first:] or any(start != 0 for start in part.known[first:]):
        return 0
    if (first or storage is not None) and stage_bits(memory) % WIDEST:
        return 0
    bits = first_bits(memory, held_numbers(part, made)) + memory.bit_offset
    run = contiguous(made.registers.layout)
    while run * memory.width in (8, 16) or run * memory.width >= WORD:
        together = bits.reshape(len(bits), -1, run)
        rising = (together == together[:, :, :1] + np.arange(run) * memory.width).all()
        aligned = not (together[:, :, 0] % (run * memory.width)).any()
        if run * memory.width in (8, 16, WORD, 64, WIDEST) and rising and aligned:
            return run
        run = next((n for n in range(run // 2, 0, -1) if run % n == 0), 0)
    return 0


def held_numbers(part: Slice, made: Tile) -> list[np.ndarray[Any, Any]]:
    """The index in the memory of what each thread holds in each slot, in the first stage."""
    held = holdings(made.registers.layout, made.registers.threads)
    index = list(np.unravel_index(held, made.registers.layout.shape))
    return [np.zeros_like(held)] * (len(part.sizes) - len(index)) + index


def load_runs(e: Emitter, part: Slice, made: Tile, run: int) -> None:
    """Runs whose places differ by constants are loaded from one base."""
    memory, dtype = part.memory, part.memory.type.dtype
    bits = run * memory.width
    words = max(1, bits // WORD)
    load = f"vmc_load_shared{words}" if bits >= WORD else f"vmc_load_shared_u{bits}"
    stage, starts = staged(e, memory, part.sizes, part.values)
    table = first_bits(memory, held_numbers(part, made))[:, ::run] // 8
    inner, bases = replace(part, starts=tuple(starts)), dict[int, Expr]()
    for first_slot, (leader, distance) in zip(range(0, made.registers.slots, run), led(table), strict=True):
        if leader not in bases:

            def place(slot: int = leader * run) -> Expr:
                return pieces(memory, inner.index(made.registers.index(slot)))[0][0] >> const(3, I32)

            own = base(e, memory, table[:, leader], place)
            bases[leader] = own if stage is None else add(own, cast(stage, U32))
        buffer = e.buffer(U32, words, "w")
        to = [tirx().address_of(e.get(buffer, word)) for word in range(words)]
        e.call(load, *to, add(bases[leader], const(distance, U32)))
        for part_of_run in range(run):
            code = cut(e, buffer, WORD, part_of_run * memory.width, memory.width, code_kind(dtype))
            e.put(made.buffer, first_slot + part_of_run, from_code(dtype, code))


def run_length(part: Slice, made: Tile) -> int:
    """How many elements move in wide accesses: neighbours in slots and in memory, whole bytes of them."""
    memory = part.memory
    if memory.type.storage is not None or not part.sizes or part.sizes[-1] is None or part.steps[-1] != 1:
        return 1
    run = contiguous(made.registers.layout)
    while run > 1 and (run * memory.width > WIDEST or memory.bit_offset % chunk_bits(run * memory.width)):
        run = next((n for n in range(run // 2, 0, -1) if run % n == 0), 1)
    if run * memory.width % 8:
        return 1
    if memory.shares_words and chunk_bits(run * memory.width) < WORD:
        return 1
    return run


def chunk_bits(bits: int) -> int:
    """The widest access that a run of bits is made of."""
    return min(bits & -bits, WIDEST)


def alignment(part: Slice, index: Sequence[Expr], run: int) -> list[Expr]:
    """The condition under which a run starts at a multiple of its access."""
    memory = part.memory
    chunk = chunk_bits(run * memory.width)
    low = memory.width & -memory.width
    needed = max(1, chunk // low)
    if known_multiple(part, run) % needed == 0:
        return []
    number = cast(flat_index(memory, index), U32)
    return [binary("EQ", binary("BitwiseAnd", number, const(needed - 1, U32)), const(0, U32))]


def known_multiple(part: Slice, run: int) -> int:
    """What the number of every run's first element is known to be a multiple of; 0 where it is 0."""
    if not part.multiples:
        return 1
    found, stride = gcd(part.multiples[-1], run), 1
    shape = part.memory.type.shape
    for dim in reversed(range(len(shape) - 1)):
        extent = shape[dim + 1]
        stride *= extent if isinstance(extent, int) else 1
        step = 1 if part.sizes[dim] is not None else 0
        found = gcd(found, stride * gcd(part.multiples[dim], step * part.steps[dim]))
    return found


def access_kind(chunk: int) -> tuple[str, int]:
    """The machine type and how many of it an access of so many bits moves."""
    return (f"uint{chunk}", 1) if chunk <= 32 else (U32, chunk // 32)


def vector_place(memory: Memory, access: Expr, count: int) -> Expr:
    """The place of an access by its number. TVM makes one access of it only if it sees the multiple of `count`."""
    return access if count == 1 else tirx().Ramp(mul(access, memory.number(count)), memory.number(1), count)


def register_place(start: int, count: int) -> Expr:
    place = const(start, I32)
    return place if count == 1 else tirx().Ramp(place, const(1, I32), count)


def chunks(part: Slice, index: Sequence[Expr], run: int) -> tuple[str, int, int, Expr]:
    """Machine type and count of an access, how many accesses make a run, and the number of the first in memory."""
    memory = part.memory
    bits = run * memory.width
    chunk = chunk_bits(bits)
    kind, count = access_kind(chunk)
    address = mul(flat_index(memory, index), memory.number(memory.width))
    place = binary("Div", shifted(memory, address, memory.bit_offset), memory.number(chunk))
    return kind, count, bits // chunk, place


def load_run(e: Emitter, part: Slice, made: Tile, first: Expr | int, run: int, index: Sequence[Expr]) -> None:
    """A run of slots by wide accesses, then cut into elements."""
    memory = part.memory
    kind, count, accesses, place = chunks(part, index, run)
    place = e.let(place, memory.index_kind, "at")
    unit = int(kind[4:])
    data = view(e, memory, kind)
    words = e.buffer(kind, max(1, accesses * count) + 1, "w")
    for number in range(accesses):
        at = vector_place(memory, shifted(memory, place, number), count)
        to = register_place(number * count, count)
        e.emit(tirx().BufferStore(words, tirx().BufferLoad(data, [at]), [to]))
    dtype = memory.type.dtype
    for number in range(run):
        code = cut(e, words, unit, number * memory.width, memory.width, code_kind(dtype))
        e.put(made.buffer, plus(first, number), from_code(dtype, code))


def cut(e: Emitter, words: Any, unit: int, offset: int, width: int, kind: str) -> Expr:
    """The bits [offset, offset + width) of machine words of `unit` bits, with zeros above."""
    total = None
    done = 0
    while done < width:
        word, shift = divmod(offset + done, unit)
        taken = min(unit - shift, width - done)
        part = cast(e.get(words, word), kind)
        part = part >> const(shift, kind) if shift else part
        if shift + taken < unit or unit > taken:
            part = binary("BitwiseAnd", part, const((1 << taken) - 1, kind)) if shift + taken < unit else part
        part = part << const(done, kind) if done else part
        total = part if total is None else binary("BitwiseOr", total, part)
        done += taken
    return total


def lower_store(e: Emitter, op: Op) -> None:
    memory = e.values[op.operands[0]]
    part = slice_of(e, op, memory, op.operands[2:])
    value = e.values[op.operands[1]]
    if isinstance(value, Scalar):
        index = [e.let(line, memory.index_kind, "i") for line in part.index(())]
        first = binary("EQ", e.thread, const(0, I32))
        with e.when([first, *part.inside(index)]):
            write(e, memory, index, value.value)
        return
    store_tile(e, part, value)


def store_tile(e: Emitter, part: Slice, value: Tile) -> None:
    run = run_length(part, value)

    def unit(number: Expr) -> None:
        first = times(number, run) if run > 1 else number

        def slow() -> None:
            store_elements(e, part, value, first, run)

        if run == 1:
            slow()
            return
        index = held_index(e, part, value, first)
        holder = value.registers.holder(first, single=True)
        with e.when(holder):
            conditions = [*part.inside(index, run), *alignment(part, index, run)]
            e.choose(conditions, lambda: store_run(e, part, value, first, run, index), slow)

    e.each(value.registers.slots // run, unit, "u")


def store_elements(e: Emitter, part: Slice, value: Tile, first: Expr | int, run: int) -> None:
    def element(number: Expr) -> None:
        slot = plus(first, number) if run > 1 else first
        index = held_index(e, part, value, slot)
        with e.when([*value.registers.holder(slot, single=True), *part.inside(index)]):
            write(e, part.memory, index, e.held(value, slot))

    e.each(run, element, "k")


def store_run(e: Emitter, part: Slice, value: Tile, first: Expr | int, run: int, index: Sequence[Expr]) -> None:
    """A run of slots packed into machine words, by wide accesses."""
    memory = part.memory
    kind, count, accesses, place = chunks(part, index, run)
    place = e.let(place, memory.index_kind, "at")
    unit, dtype = int(kind[4:]), memory.type.dtype
    words = e.buffer(kind, accesses * count, "w")
    parts: dict[int, Expr] = {}
    for number in range(run):
        code = e.let(to_code(dtype, e.held(value, plus(first, number))), code_kind(dtype), "code")
        paste(parts, code, code_kind(dtype), unit, number * memory.width, memory.width)
    for word in range(accesses * count):
        e.put(words, word, cast(parts[word], kind))
    data = view(e, memory, kind)
    for number in range(accesses):
        at = vector_place(memory, shifted(memory, place, number), count)
        source = register_place(number * count, count)
        e.emit(tirx().BufferStore(data, tirx().BufferLoad(words, [source]), [at]))


def paste(parts: dict[int, Expr], code: Expr, kind: str, unit: int, offset: int, width: int) -> None:
    """Adds a code of `width` bits at a bit offset to words of `unit` bits, held in 32."""
    done = 0
    while done < width:
        word, shift = divmod(offset + done, unit)
        taken = min(unit - shift, width - done)
        part = cast(code >> const(done, kind) if done else code, U32)
        if done + taken < width:
            part = binary("BitwiseAnd", part, const((1 << taken) - 1, U32)) if taken < 32 else part
        part = part << const(shift, U32) if shift else part
        parts[word] = part if word not in parts else binary("BitwiseOr", parts[word], part)
        done += taken
