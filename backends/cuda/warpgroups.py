"""Matrix products by wgmma: the factor in registers times a factor in shared memory, which a descriptor names.

PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions". The tensor cores work on one step of K while the next one
is decoded, and on the last ones until an operation takes the product. The instruction's result is the transpose of the
IR's: its 64 rows are columns of C, in strips of 16 for each warp.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.backends.cuda.emitter import Emitter
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.matrix import b_slots, registers, slot
from vmc.backends.cuda.memory import Memory
from vmc.backends.cuda.places import address, staged
from vmc.backends.cuda.prelude import inline
from vmc.backends.cuda.tir import F32, I32, U32, U64, Expr, binary, cast, const, float_const, tirx
from vmc.ir.core import Kernel, Op, walk
from vmc.ir.ops.memory import slice_shape
from vmc.ir.passes.gpu.matrix import STRIP, Product, product_of
from vmc.ir.passes.gpu.pipelining import is_ring
from vmc.ir.passes.gpu.warpgroups import panel, panels

SWIZZLES = {32: 3, 64: 2, 128: 1}
"""The code of a descriptor's swizzle, by the bytes in a line of its matrix."""
LINES = 8
IN_REGISTERS = 4
KINDS = {"i8": "s8", "u8": "u8", "f8e4m3": "e4m3", "f8e5m2": "e5m2"}
"""What PTX calls types, where it has another name."""


def uses_warpgroups(kernel: Kernel) -> bool:
    """Whether products read shared memory by themselves: what threads wrote there must be shown to them."""
    return any(op.name == "dot_shared" for op in walk(kernel.body))


def lower_dot_shared(e: Emitter, op: Op) -> None:
    """Raises UnsupportedError where the factors do not lie as the instructions take them."""
    found, factor = product_of(op, e.threads), e.values[op.operands[0]]
    b, c = (e.values[value] for value in op.operands[-2:])
    if found is None or not found.instruction.warpgroup or not in_panels(op, factor):
        raise UnsupportedError("no matrix instructions of warpgroups compute this product", op.span)
    if [held.registers.layout for held in (b, c)] != list(found.layouts[1:]):
        raise UnsupportedError("a factor of a matrix product is not laid out as its instruction takes it", op.span)
    made = e.tile(op.result.tile, op.result.name)
    fresh = c.buffer is None and (c.uniform is float_const(0, F32) or c.uniform is const(0, U32))
    if not fresh:
        e.each(made.registers.slots, lambda number: e.put(made.buffer, number, e.held(c, number)))
    kinds = (op.operands[-2].tile.dtype.name, op.operands[0].tensor.dtype.name)
    code = Instructions(found.m, found.instruction.k, *(KINDS.get(kind, kind) for kind in kinds))
    start = descriptor(e, op, factor, found)
    strips = found.n // found.warps[1] // STRIP
    firsts = [slot(made.registers.layout, 0, strip * STRIP) for strip in range(strips)]
    sums = [tirx().address_of(e.get(made.buffer, first)) for first in firsts]
    if not fresh:
        for target in sums:
            e.call(e.text(code.handing, code.on_sums(code.handing, "wgmma.fence.sync.aligned;")), target)
    for k in range(0, found.k, found.instruction.k):
        matrix = binary("Add", start, const(moved(found, k), U64))
        words = [e.buffer("uint32", IN_REGISTERS, "a") for _ in sums]
        for strip, held in enumerate(words):
            low, high = (b_slots(b.registers.layout, k, strip * STRIP + half, found) for half in (0, 8))
            packed = registers(e, b, [low[0], high[0], low[1], high[1]])
            for number, word in enumerate(packed):
                e.put(held, number, word)
            e.call(e.text(READY, ready()), tirx().address_of(e.get(held, 0)))
        for held, target in zip(words, sums, strict=True):
            name = code.name(fresh and k == 0)
            parts = [e.get(held, number) for number in range(IN_REGISTERS)]
            e.call(e.text(name, code.text(fresh and k == 0)), target, *parts, matrix)
    e.call(e.text(COMMIT, inline("int", COMMIT, "", f"{volatile('wgmma.commit_group.sync.aligned;')} return 0;")))
    e.define(op.result, made)

    def wait() -> None:
        for target in sums:
            e.call(e.text(code.wait, code.on_sums(code.wait, "wgmma.wait_group.sync.aligned 0;")), target)

    e.start(op.result, wait)


def in_panels(op: Op, memory: Memory) -> bool:
    """Whether a slice is a whole stage in panels, at a multiple of its swizzle's period."""
    shape, storage = slice_shape(op.attrs["sizes"]), memory.type.storage
    width = memory.width
    if storage is None or len(shape) != 2 or panel(shape[1], width) is None or memory.type.shape[-2:] != shape:
        return False
    swizzle = storage.layout.swizzle
    aligned = swizzle is None or memory.bit_offset % swizzle.period == 0
    return aligned and storage == panels(shape, width, stages=is_ring(memory.type))


def descriptor(e: Emitter, op: Op, memory: Memory, found: Product) -> Expr:
    """The descriptor of the first step: K-major, lines of a panel; groups of eight lines follow each other."""
    line = line_bytes(found)
    stage, _ = staged(e, memory, op.attrs["sizes"], op.operands[1:-2])
    at = address(e, memory, const(memory.bit_offset // 8, I32))
    at = at if stage is None else binary("Add", at, cast(stage, U32))
    fields = SWIZZLES[line] << 62 | (LINES * line >> 4) << 32 | 1 << 16
    place = tirx().call_extern(U64, "vmc_shared_place", at)
    return e.let(binary("BitwiseOr", place, const(fields, U64)), U64, "matrix")


def moved(found: Product, k: int) -> int:
    """How much further a descriptor's first address is, in 16 bytes, k elements along K."""
    line, at = line_bytes(found), k * found.instruction.bits // 8
    return (at // line * found.m * line + at % line) >> 4


def line_bytes(found: Product) -> int:
    """The bytes in a line of a panel."""
    columns = panel(found.k, found.instruction.bits)
    assert columns is not None
    return columns * found.instruction.bits // 8


# ---- the instructions in CUDA C --------------------------------------------------------------------------------------

READY, COMMIT = "vmc_wgmma_ready", "vmc_wgmma_commit"


def volatile(steps: str, operands: str = "::") -> str:
    return f'asm volatile("{steps}" {operands} : "memory");'


def ready() -> str:
    """Registers of the factor are written, and the instructions after it may use them and the sums."""
    held = ", ".join(f'"+r"(a[{n}])' for n in range(IN_REGISTERS))
    return inline("int", READY, "uint* a", f"{volatile('wgmma.fence.sync.aligned;', f': {held} :')} return 0;")


@dataclass(frozen=True)
class Instructions:
    """wgmma of `rows` rows of C, `depth` steps of K; `left` and `right` are the elements in registers and in memory."""

    rows: int
    depth: int
    left: str
    right: str

    @property
    def sums(self) -> int:
        """The accumulators of a thread."""
        return self.rows // 2

    @property
    def whole(self) -> bool:
        """Whether sums are integers."""
        return self.left in ("s8", "u8")

    @property
    def wait(self) -> str:
        """The wait for all products, behind which the sums are there."""
        return f"vmc_wgmma_wait_{self.sums}{'_s32' if self.whole else ''}"

    @property
    def handing(self) -> str:
        """The fence behind which products may add to sums."""
        return f"vmc_wgmma_hand_{self.sums}{'_s32' if self.whole else ''}"

    def name(self, first: bool) -> str:
        return f"vmc_wgmma_m64n{self.rows}k{self.depth}_{self.left}_{self.right}{'_first' if first else ''}"

    def text(self, first: bool) -> str:
        """The instruction; the first one of a sum starts it. Factors of 8 bits, which are K-major, and integers, which
        have no signs to turn, have fewer constants behind the operands."""
        numbered = [f"%{n}" for n in range(self.sums + IN_REGISTERS + 1)]
        shape = f"m64n{self.rows}k{self.depth}.{'s32' if self.whole else 'f32'}"
        opcode = f"wgmma.mma_async.sync.aligned.{shape}.{self.left}.{self.right}"
        d, a, b = numbered[: self.sums], numbered[self.sums : -1], numbered[-1]
        behind = ["0" if first else "1", *([] if self.whole else ["1", "1"] if self.depth > 16 else ["1", "1", "0"])]
        steps = f"{opcode} {{{', '.join(d)}}}, {{{', '.join(a)}}}, {b}, {', '.join(behind)};"
        inputs = ", ".join([*(f'"r"(a{n})' for n in range(IN_REGISTERS)), '"l"(b)'])
        body = volatile(steps, f": {self.held('=' if first else '+')} : {inputs}")
        own = f"{'uint' if self.whole else 'float'}* d"
        parameters = ", ".join([own, *(f"uint a{n}" for n in range(IN_REGISTERS)), "uint64_t b"])
        return inline("int", self.name(first), parameters, f"{body} return 0;")

    def on_sums(self, name: str, step: str) -> str:
        """An instruction that the sums are ready for, or ready behind."""
        body = volatile(step, f": {self.held('+')} :")
        return inline("int", name, f"{'uint' if self.whole else 'float'}* d", f"{body} return 0;")

    def held(self, mark: str) -> str:
        return ", ".join(f'"{mark}{"r" if self.whole else "f"}"(d[{n}])' for n in range(self.sums))
