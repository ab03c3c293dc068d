"""Bulk copies of blocks from device to shared memory, cp.async.bulk, which mbarriers count in bytes.

PTX ISA, "cp.async.bulk", "mbarrier". One instruction copies all blocks of a slice, which lie side by side; where a
slice reaches past its tensor, its blocks are copied by `cp.async` instead. Groups of copies are numbered as they are
closed, and group g is counted by mbarrier g % 8: its first thread announces the bytes and arrives when the group is
closed. A thread that waits for groups waits for the mbarriers of those that it has not waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.memory import Memory, view
from vmc.backends.cuda.prelude import inline
from vmc.backends.cuda.scaled import Term, address_of_sum, scaled
from vmc.backends.cuda.target import Arch
from vmc.backends.cuda.tir import I32, I64, U32, Expr, binary, cast, const, tirx
from vmc.ir.core import Kernel, Op, Space, Value, walk
from vmc.ir.passes.gpu.pipelining import is_ring

OLDEST_ARCH = 90
COUNT, BYTES = 8, 8
"""How many mbarriers there are, and how large one is."""
MOST_STAGES = 5
"""Stages of a ring that has no more groups under way than there are mbarriers."""
CHUNK = 128
"""Bits that sizes and addresses of bulk copies are multiples of."""
SHARED = "unsigned s = (unsigned)__cvta_generic_to_shared(p);"


@dataclass(frozen=True)
class Arrivals:
    """The mbarriers at byte `place` of the arena, and two registers: how many groups are closed, and waited for."""

    arena: Any
    place: int
    closed: Any
    waited: Any

    def pointer(self, e: Emitter, group: Expr) -> Expr:
        """The address of the mbarrier that counts a group."""
        number = binary("BitwiseAnd", group, const(COUNT - 1, I32))
        at = binary("Add", binary("Mul", number, const(BYTES, I32)), const(self.place, I32))
        return tirx().address_of(tirx().BufferLoad(self.arena, [at]))


# ---- which copies ----------------------------------------------------------------------------------------------------


def uses_bulk(kernel: Kernel, arch: Arch) -> bool:
    """Whether a kernel makes bulk copies: one whose products are those of warpgroups, with slices of whole blocks.

    All copies must be to rings of few stages, so that there are mbarriers enough.
    """
    ops = list(walk(kernel.body))
    if arch.number < OLDEST_ARCH or not any(op.name == "dot_shared" for op in ops):
        return False
    copies = [op for op in ops if op.name == "copy_async"]
    return all(map(is_of_few_stages, copies)) and any(map(is_bulk, copies))


def is_of_few_stages(op: Op) -> bool:
    """Whether a copy is to a ring that never has more groups under way than there are mbarriers."""
    type = op.operands[0].tensor
    stages = type.shape[0] if type.shape else 0
    return is_ring(type) and isinstance(stages, int) and stages <= MOST_STAGES


def is_bulk(op: Op) -> bool:
    """Whether a copy is of whole blocks that lie side by side to a whole stage of the same blocks in the same order."""
    target, source = op.operands[0].tensor, op.operands[1].tensor
    a, b, sizes = source.storage, target.storage, op.attrs["sizes"]
    if a is None or b is None or op.attrs["fill"] or None in sizes or target.space is not Space.SHARED:
        return False
    same = b.block == (1, *a.block) and b.pitch == a.pitch and b.shuffle == a.shuffle
    same = same and b.layout.reshape(*a.block) == a.layout and b.dimensions == (0, *(dim + 1 for dim in a.dimensions))
    whole = all(size % block == 0 for size, block in zip(sizes, a.block, strict=True)) and target.shape[1:] == sizes
    whole = whole and all(sizes[dim] == a.block[dim] for dim in a.dimensions[:-1])
    return same and whole and a.pitch % CHUNK == 0 and all(step == 1 for step in op.attrs["steps"])


# ---- mbarriers -------------------------------------------------------------------------------------------------------


def arena_bytes(size: int) -> tuple[int, int]:
    """Where the mbarriers lie behind an arena of so many bytes, and how many there are then in all."""
    place = -(-size // BYTES) * BYTES
    return place, place + COUNT * BYTES


def start_counting(e: Emitter, arena: Any, place: int) -> Arrivals:
    """The mbarriers, set to count one arrival each, and shown to all."""
    made = Arrivals(arena, place, e.buffer(I32, 1, "closed"), e.buffer(I32, 1, "waited"))
    for register in (made.closed, made.waited):
        e.put(register, 0, const(0, I32))
    with e.when([binary("EQ", e.thread, const(0, I32))]):
        e.each(COUNT, lambda number: e.call(device(e, "vmc_arrivals_start"), made.pointer(e, number)))
    e.call("vmc_fence_proxy")
    e.call("__syncthreads")
    return made


def close_group(e: Emitter) -> None:
    """The copies since the last group was closed have been announced."""
    arrivals: Arrivals = e.arrivals
    group = e.get(arrivals.closed, 0)
    with e.when([binary("EQ", e.thread, const(0, I32))]):
        e.call(device(e, "vmc_arrive"), arrivals.pointer(e, group))
    e.put(arrivals.closed, 0, binary("Add", group, const(1, I32)))


def wait_groups(e: Emitter, pending: int) -> None:
    """Until at most the latest `pending` groups are under way."""
    arrivals: Arrivals = e.arrivals
    first = e.get(arrivals.waited, 0)

    def turn() -> None:
        parity = binary("BitwiseAnd", cast(first >> const(COUNT.bit_length() - 1, I32), U32), const(1, U32))
        e.call(device(e, "vmc_wait_arrivals"), arrivals.pointer(e, first), parity)
        e.put(arrivals.waited, 0, binary("Add", first, const(1, I32)))

    last = binary("Sub", e.get(arrivals.closed, 0), const(pending, I32))
    e.emit(tirx().While(binary("LT", first, last), e.block(turn)))


# ---- copies ----------------------------------------------------------------------------------------------------------


def copy_bulk(e: Emitter, op: Op, target: Memory, source: Memory, otherwise: Callable[[], None]) -> None:
    """All blocks of a slice by bulk copies where all of them exist, else by `otherwise`."""
    arrivals: Arrivals = e.arrivals
    storage, sizes = source.type.storage, op.attrs["sizes"]
    assert storage is not None
    counts = [size // block for size, block in zip(sizes, storage.block, strict=True)]
    pitch, rank = storage.pitch // 8, len(sizes)
    there = [
        binary("Div", binary("Add", extent, const(block - 1, I64)), const(block, I64))
        for extent, block in zip(source.extents, storage.block, strict=True)
    ]
    starts = op.operands[2 : 2 + rank]
    parts = zip(starts, storage.block, counts, there, op.attrs["inbounds"], strict=True)
    whole = [ends_inside(e, *part) for *part, claim in parts if not claim]
    bytes = prod(counts) * pitch
    stage = scaled(e, op.operands[2 + rank], bytes)
    terms, step = list[Term](), const(pitch, I64)
    for dim in reversed(storage.dimensions):
        terms.append(Term(starts[dim], lambda step=step: step, storage.block[dim]))  # type: ignore[misc]
        step = binary("Mul", step, there[dim])

    def copy() -> None:
        with e.when([binary("EQ", e.thread, const(0, I32))]):
            counted = arrivals.pointer(e, e.get(arrivals.closed, 0))
            e.call(device(e, "vmc_expect"), counted, const(bytes, U32))
            start = address_of_sum(e, view(e, source, "uint8"), terms, lambda: const(source.bit_offset // 8, I64))
            at = binary("Add", stage, const(target.bit_offset // 8, I32))
            to = tirx().address_of(e.get(view(e, target, "uint8"), at))
            e.call(device(e, "vmc_copy_bulk"), to, start, const(bytes, U32), counted)

    e.choose(whole, copy, otherwise)


def ends_inside(e: Emitter, value: Value, block: int, count: int, there: Expr) -> Expr:
    """Whether so many blocks from a start on are among those that there are."""
    first = binary("Div", cast(e.scalar(value), I64), const(block, I64))
    return binary("LE", binary("Add", first, const(count, I64)), there)


# ---- the instructions in CUDA C --------------------------------------------------------------------------------------


def on_mbarrier(name: str, parameters: str, steps: str, inputs: str = "") -> str:
    """A function of an mbarrier `p` that executes one instruction."""
    body = f'{SHARED} asm volatile("{steps}" :: "r"(s){inputs} : "memory"); return 0;'
    return inline("int", name, f"void* p{parameters}", body)


def waiting() -> str:
    question = "{ .reg .pred q; mbarrier.try_wait.parity.shared::cta.b64 q, [%1], %2; selp.u32 %0, 1, 0, q; }"
    asked = f'asm volatile("{question}" : "=r"(done) : "r"(s), "r"(parity) : "memory");'
    body = f"{SHARED} uint done; do {{ {asked} }} while (!done); return 0;"
    return inline("int", "vmc_wait_arrivals", "void* p, uint parity", body)


def copying() -> str:
    opcode = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
    body = (
        f"{SHARED} unsigned counted = (unsigned)__cvta_generic_to_shared(bar); "
        f'asm volatile("{opcode} [%0], [%1], %2, [%3];" :: "r"(s), "l"(from), "r"(size), "r"(counted) : "memory"); '
        "return 0;"
    )
    return inline("int", "vmc_copy_bulk", "void* p, uint64_t from, uint size, void* bar", body)


TEXTS = {
    "vmc_arrivals_start": on_mbarrier("vmc_arrivals_start", "", "mbarrier.init.shared::cta.b64 [%0], 1;"),
    "vmc_arrive": on_mbarrier("vmc_arrive", "", "mbarrier.arrive.shared::cta.b64 _, [%0];"),
    "vmc_expect": on_mbarrier(
        "vmc_expect", ", uint n", "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;", ', "r"(n)'
    ),
    "vmc_wait_arrivals": waiting(),
    "vmc_copy_bulk": copying(),
}


def device(e: Emitter, name: str) -> str:
    """The name of one of the functions above, which the kernel then has."""
    return e.text(name, TEXTS[name])
