"""Asynchronous copies of 16 bytes from device to shared memory, by cp.async, and the waits for them.

Rows of a dense tensor are copied so where their starts are multiples of 16 bytes, which is known at run time, else one
element after the other; blocks of a stored tensor whole, to the places of the same blocks. What lies outside is filled
with zeros by copying less. Every other copy is made at once, by registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from vmc.backends.cuda import bulk
from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.memory import Memory, pieces, view
from vmc.backends.cuda.registers import expression, plus, quotient, remainder, times
from vmc.backends.cuda.shared import lower_copy_async as copy_at_once
from vmc.backends.cuda.tir import I32, I64, Expr, binary, cast, const, select, tirx
from vmc.ir.core import Op, Storage
from vmc.ir.layout import Layout, contiguous_bits
from vmc.ir.passes.gpu.pipelining import is_ring

CHUNK = 128
BYTES = CHUNK // 8
MOST_PENDING = 7
"""Groups that a wait may leave: one that leaves fewer waits for more than it has to."""


def lower_copy_async(e: Emitter, op: Op) -> None:
    """By cp.async where the copy is of such a kind."""
    target, source = (e.values[operand] for operand in op.operands[:2])
    if is_of_blocks(op, target, source):
        if e.arrivals is not None and bulk.is_bulk(op):
            bulk.copy_bulk(e, op, target, source, lambda: copy_blocks(e, op, target, source))
        else:
            copy_blocks(e, op, target, source)
    elif is_of_rows(op, target, source):
        copy_rows(e, op, target, source)
    else:
        copy_at_once(e, op)


def lower_commit(e: Emitter, op: Op) -> None:
    e.call("vmc_commit_group")
    if e.arrivals is not None:
        bulk.close_group(e)


def lower_wait(e: Emitter, op: Op) -> None:
    e.call(f"vmc_wait_group_{min(op.attrs['pending'], MOST_PENDING)}")
    if e.arrivals is not None:
        bulk.wait_groups(e, op.attrs["pending"])


def starts_of(e: Emitter, op: Op, source: Memory) -> tuple[list[Expr], list[Expr]]:
    """Where the slices of source and target begin."""
    rank = len(source.type.shape)
    scalars = [e.scalar(value) for value in op.operands[2:]]
    return [cast(x, I64) for x in scalars[:rank]], [cast(x, I32) for x in scalars[rank:]]


def copy_chunk(e: Emitter, target: Memory, at: Expr, source: Memory, place: Expr, size: Expr, name: str) -> None:
    """16 bytes to a byte of the target, `size` of them from a byte of the source, the rest zeros."""
    to = tirx().address_of(e.get(view(e, target, "uint8"), at))
    start = tirx().address_of(e.get(view(e, source, "uint8"), place))
    e.call(name, to, start, size)


def chunks_each(e: Emitter, count: int) -> tuple[int, bool]:
    """How many chunks every thread copies, and whether all threads copy the last one."""
    return -(-count // e.threads), count % e.threads == 0


# ---- rows ------------------------------------------------------------------------------------------------------------


def is_of_rows(op: Op, target: Memory, source: Memory) -> bool:
    """Whether the slices are of whole chunks along the last dimension, the target's in aligned places."""
    attrs = op.attrs
    sizes, width = attrs["sizes"], source.width
    if source.type.storage is not None or attrs["fill"] or source.bit_offset or width not in (8, 16, 32):
        return False
    if len(sizes) != 2 or sizes[1] is None or any(step != 1 for step in attrs["steps"]) or sizes[1] * width % CHUNK:
        return False
    return target.bit_offset % CHUNK == 0 and (is_dense(target) or aligned(target.type.storage, width))


def is_dense(memory: Memory) -> bool:
    """Whether a target has rows of whole chunks, one after the other."""
    return memory.type.storage is None and shape_of(memory)[-1] * memory.width % CHUNK == 0


def aligned(storage: Storage | None, width: int) -> bool:
    """Whether chunks of the last dimension are side by side in a target's blocks."""
    if storage is None:
        return False
    layout: Layout = storage.layout if storage.layout.element_bits else storage.layout.with_bits(width)
    return storage.shuffle is None and storage.pitch % CHUNK == 0 and contiguous_bits(layout) >= CHUNK


def copy_rows(e: Emitter, op: Op, target: Memory, source: Memory) -> None:
    """Where everything is a multiple of 16 bytes, chunks lie inside or outside as a whole."""
    alone = op.attrs["sizes"][0] is None
    rows, columns = op.attrs["sizes"][0] or 1, op.attrs["sizes"][1]
    each, bytes = CHUNK // source.width, source.width // 8
    starts, places = starts_of(e, op, source)
    extent, claims = source.extents, op.attrs["inbounds"]
    count, complete = chunks_each(e, rows * columns // each)
    rest = binary("BitwiseAnd", binary("BitwiseOr", extent[1], starts[1]), const(each - 1, I64))
    along = e.let(binary("Mul", starts[1], const(bytes, I64)), I64, "along")
    near, far = const(0, I64), const(columns, I64)
    left = binary("Sub", extent[1], starts[1])
    left = e.let(cast(tirx().Max(near, tirx().Min(left, far)), I32), I32, "left")
    stage = e.let(stage_start(target, places), I32, "stage")

    def chunks(name: str, whole: bool) -> None:
        def chunk(number: Expr) -> None:
            piece = plus(times(number, e.threads), e.thread) if count > 1 else e.thread
            row, column = quotient(piece, columns // each), times(remainder(piece, columns // each), each)
            line = binary("Add", starts[0], cast(expression(row), I64))
            own = binary("Mul", line, binary("Mul", extent[1], const(bytes, I64)))
            own = e.let(binary("Add", own, cast(expression(times(column, bytes)), I64)), I64, "own")
            inside = [] if claims[0] else [binary("LT", line, extent[0])]
            size: Expr = const(BYTES, I32)
            if whole and not claims[1]:
                inside.append(binary("LT", expression(column), left))
            elif not claims[1]:
                found = binary("Mul", binary("Sub", left, expression(column)), const(bytes, I32))
                size = tirx().Max(const(0, I32), tirx().Min(found, size))
            for condition in inside:
                size = select(condition, size, const(0, I32))
            moved = [expression(column)] if alone else [expression(row), expression(column)]
            at = e.let(in_stage(target, places, moved), I32, "to")
            with e.when([] if complete else [binary("LT", expression(piece), const(rows * columns // each, I32))]):
                copy_chunk(e, target, binary("Add", stage, at), source, binary("Add", own, along), size, name)

        e.each(count, chunk, "c")

    e.choose(
        [binary("EQ", rest, const(0, I64))],
        lambda: chunks("vmc_copy16", True),
        lambda: chunks(f"vmc_copy16_by_{source.width}", False),
    )


def stage_start(memory: Memory, places: Sequence[Expr]) -> Expr:
    """The byte at which the stage begins that the leading index chooses; of other tensors, 0."""
    if not is_ring(memory.type):
        return const(0, I32)
    return binary("Mul", places[0], const(stage_bytes(memory), I32))


def stage_bytes(memory: Memory) -> int:
    """The bytes of one stage of a ring."""
    storage = memory.type.storage
    assert storage is not None
    extents = [int(extent) for extent in memory.type.shape[1:] if isinstance(extent, int)]
    blocks = prod(extent // block for extent, block in zip(extents, storage.block[1:], strict=True))
    return blocks * storage.pitch // 8


def in_stage(memory: Memory, places: Sequence[Expr], by: Sequence[Expr]) -> Expr:
    """The byte of an element, `by` further on in the last dimensions; in a ring, counted from the stage's first."""
    first = len(places) - len(by)
    lines = [binary("Add", place, moved) for place, moved in zip(places[first:], by, strict=True)]
    leading = list(places[:first])
    if is_ring(memory.type):
        leading[0] = const(0, I32)
    return pieces(memory, [*leading, *lines])[0][0] >> const(3, I32)


# ---- blocks ----------------------------------------------------------------------------------------------------------


def is_of_blocks(op: Op, target: Memory, source: Memory) -> bool:
    """Whether the slices are whole blocks of storages that differ in leading dimensions of one only."""
    a, b = source.type.storage, target.type.storage
    if a is None or b is None or op.attrs["fill"] or None in op.attrs["sizes"]:
        return False
    extra = len(b.block) - len(a.block)
    same = b.block == (1,) * extra + a.block and b.pitch == a.pitch and b.shuffle == a.shuffle
    same = same and b.layout.reshape(*a.block) == a.layout
    whole = all(size % block == 0 for size, block in zip(op.attrs["sizes"], a.block, strict=True))
    return extra >= 0 and same and whole and a.pitch % CHUNK == 0 and all(step == 1 for step in op.attrs["steps"])


def copy_blocks(e: Emitter, op: Op, target: Memory, source: Memory) -> None:
    """Along K, a block is a pitch further; what the other dimension adds does not change in a loop along K."""
    storage, inner_storage = source.type.storage, target.type.storage
    assert storage is not None and inner_storage is not None
    counts = [size // block for size, block in zip(op.attrs["sizes"], storage.block, strict=True)]
    starts, places = starts_of(e, op, source)
    first = [
        e.let(binary("Div", start, const(size, I64)), I64, "block")
        for start, size in zip(starts, storage.block, strict=True)
    ]
    there = [
        e.let(binary("Div", binary("Add", extent, const(size - 1, I64)), const(size, I64)), I64, "blocks")
        for extent, size in zip(source.extents, storage.block, strict=True)
    ]
    in_block, pitch = storage.pitch // CHUNK, storage.pitch // 8
    total = prod(counts) * in_block
    count, complete = chunks_each(e, total)
    strides = byte_strides(e, storage, there)
    base: Expr = const(source.bit_offset // 8, I64)
    for start, stride in zip(first, strides, strict=True):
        base = binary("Add", base, binary("Mul", start, stride))
    base = e.let(base, I64, "base")
    left = [e.let(binary("Sub", n, start), I64, "left") for n, start in zip(there, first, strict=True)]
    held = [size // block for size, block in zip(shape_of(target), inner_storage.block, strict=True)]
    extra = len(places) - len(first)
    lines = [
        *places[:extra],
        *(binary("Div", start, const(size, I32)) for start, size in zip(places[extra:], storage.block, strict=True)),
    ]
    stage = numbered(inner_storage, lines, [const(n, I32) for n in held])
    stage = e.let(binary("Mul", stage, const(pitch, I32)), I32, "stage")
    steps = {
        dim: prod(held[d] for d in inner_storage.dimensions[place + 1 :])
        for place, dim in enumerate(inner_storage.dimensions)
    }

    def chunk(number: Expr) -> None:
        piece = plus(times(number, e.threads), e.thread) if count > 1 else e.thread
        inside, rest = remainder(piece, in_block), quotient(piece, in_block)
        along: dict[int, Expr | int] = {}
        for dim in reversed(storage.dimensions):
            along[dim] = remainder(rest, counts[dim])
            rest = quotient(rest, counts[dim])
        own = cast(expression(times(inside, BYTES)), I64)
        at = expression(plus(times(inside, BYTES), target.bit_offset // 8))
        size: Expr = const(BYTES, I32)
        for dim, claim in enumerate(op.attrs["inbounds"]):
            own = binary("Add", own, binary("Mul", cast(expression(along[dim]), I64), strides[dim]))
            at = binary("Add", at, expression(times(along[dim], steps[dim + extra] * pitch)))
            if not claim:
                size = select(binary("LT", cast(expression(along[dim]), I64), left[dim]), size, const(0, I32))
        own, at = e.let(own, I64, "own"), e.let(at, I32, "to")
        with e.when([] if complete else [binary("LT", expression(piece), const(total, I32))]):
            copy_chunk(e, target, binary("Add", stage, at), source, binary("Add", own, base), size, "vmc_copy16")

    e.each(count, chunk, "c")


def shape_of(memory: Memory) -> list[int]:
    return [extent for extent in memory.type.shape if isinstance(extent, int)]


def byte_strides(e: Emitter, storage: Storage, counts: Sequence[Expr]) -> list[Expr]:
    """How many bytes a block further along each dimension is."""
    strides: dict[int, Expr] = {}
    step: Expr = const(storage.pitch // 8, I64)
    for dim in reversed(storage.dimensions):
        strides[dim] = step
        step = e.let(binary("Mul", step, counts[dim]), I64, "stride")
    return [strides[dim] for dim in range(len(strides))]


def numbered(storage: Storage, blocks: Sequence[Expr], counts: Sequence[Expr]) -> Expr:
    """The number of a block."""
    total: Expr | None = None
    for dim in storage.dimensions:
        total = blocks[dim] if total is None else binary("Add", binary("Mul", total, counts[dim]), blocks[dim])
    return total
