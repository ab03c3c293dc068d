"""Matrix instructions of warps, and how the tiles of a product are laid out for them.

PTX ISA, mma.sync: a warp multiplies A [16, k] and B [k, 8] into C [16, 8]. The warps of a block share the result: as
many as can be stand side by side along N, since each then decodes weights that no other needs; the rest along M. What
a warp does not own of A or B it holds a copy of; warps for which there is no part of C hold copies of that, too.

wgmma.mma_async multiplies [64, k] in the registers of four warps by [k, 8 n] in shared memory. The decoded factor, B,
is the one in registers, so it is the transposed product that is computed: 64 columns of C by all of its rows.
Columns can stand in any order as long as C's are those of B's registers: each warp has a run of them, 16 for every
instruction. Lane and register of an element of B are those of two instructions m16n8k`k` side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from vmc.ir.core import Kernel, Op, TileType, walk
from vmc.ir.layout import WARP, Digit, Layout, local, mma_fragment, permute
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.gpu.spread import WARP_SIZE, power_of_two
from vmc.ir.types import DType

FEWEST_WARPS, MOST_WARPS = 4, 8
SUMS_OF_A_THREAD = 64
"""Accumulators that a thread holds before more warps are asked for."""
COLUMNS_OF_A_WARP = 16
"""Columns below which no more warps stand along N, as long as there are rows for them."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """mma.sync.m16n8k`k` of factors of `bits` bits."""

    k: int
    bits: int
    warpgroup: bool = False
    """Whether it is of four warps, wgmma: the transposed product of B in registers and A in shared memory."""

    @property
    def name(self) -> str:
        return f"m16n8k{self.k}"


INSTRUCTIONS: dict[tuple[str, str], Instruction] = {
    ("f16", "f16"): Instruction(16, 16),
    ("bf16", "bf16"): Instruction(16, 16),
    **{(a, b): Instruction(32, 8) for a in ("i8", "u8") for b in ("i8", "u8")},
}
"""By the types of A and B; the sums are f32 or i32."""
OF_FP8 = Instruction(32, 8)
"""Of f8e4m3 and f8e5m2, in any mixture, for `dot_fp8`: not every architecture has it."""
OF_WARPGROUPS = {16: Instruction(16, 16, warpgroup=True), 8: Instruction(32, 8, warpgroup=True)}
"""By the bits of the factors."""
WARPS = 4
"""The warps of a warpgroup."""
STRIP = 16
"""The columns of C that a warp has of an instruction of its warpgroup."""
MOST_ROWS = 256
"""The rows of C of an instruction of a warpgroup."""
MOST_SUMS = {2: 64, 1: 64, 4: 32}
"""How many accumulators a thread may hold, by warpgroups in a block; in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Product:
    """How a block computes C [m, n] += A [m, k] @ B [k, n]: in `warps` along M, along N, and so many copies of them."""

    m: int
    n: int
    k: int
    instruction: Instruction
    warps: tuple[int, int, int]

    @property
    def threads(self) -> int:
        return prod(self.warps) * WARP_SIZE

    def spread(self, along_m: bool, along_n: bool) -> Layout:
        """The warps of an operand that has the dimension M, or N, or both."""
        rows, columns, copies = self.warps
        parts = ((rows, columns, along_m), (columns, 1, along_n))
        digits = [Digit(count if present else 1, step, WARP) for count, step, present in parts]
        replicas = [Digit(count, step, WARP) for count, step, present in parts if not present and count > 1]
        if copies > 1:
            replicas.append(Digit(copies, rows * columns, WARP))
        return Layout.of((digits[0].extent, digits[1].extent), digits, replicas=replicas)

    @property
    def layouts(self) -> tuple[Layout | None, Layout, Layout]:
        """The layouts of A, B and C; None for A in shared memory."""
        rows, columns, _ = self.warps
        if self.instruction.warpgroup:
            strips = self.n // columns // STRIP
            fragment = mma_fragment(self.instruction.name, "b", self.instruction.bits)
            b = self.spread(False, True) * local(self.k // self.instruction.k, 2 * strips) * fragment
            sums = permute(mma_fragment("m16n8k16", "c"), (1, 0))
            return None, b, self.spread(True, True) * local(1, strips) * local(self.m // 8, 1) * sums
        fragments = [mma_fragment(self.instruction.name, operand, self.instruction.bits) for operand in "abc"]
        m, n, k = self.m // (16 * rows), self.n // (8 * columns), self.k // self.instruction.k
        a = self.spread(True, False) * local(m, k) * fragments[0]
        b = self.spread(False, True) * local(k, n) * fragments[1]
        c = self.spread(True, True) * local(m, n) * fragments[2]
        return a, b, c


def instruction_for(a: DType, b: DType) -> Instruction | None:
    return INSTRUCTIONS.get((a.name, b.name))


def is_matrix(op: Op) -> bool:
    """Whether matrix instructions compute a product."""
    return product_of(op) is not None


def product_of(op: Op, threads: int = 0) -> Product | None:
    """How matrix instructions compute a product with the threads of a block, or with as many as it asks for.

    None where they do not compute it.
    """
    if op.name in ("dot_warpgroup", "dot_shared"):
        b, m = op.operands[-2].tile, op.result.tile.shape[0]
        return warpgroup_product(m, b.shape[1], b.shape[0], threads, b.dtype.width)
    if op.name not in DOTS:
        return None
    a, b = (value.tile for value in op.operands[:2])
    found = OF_FP8 if op.name == "dot_fp8" else instruction_for(a.dtype, b.dtype)
    (m, k), n = a.shape, b.shape[1]
    if found is None or m % 16 or n % 8 or k % found.k:
        return None
    if threads:
        rows, columns = warps_for(m, n, power_of_two(threads // WARP_SIZE, threads))
        return Product(m, n, k, found, (rows, columns, threads // WARP_SIZE // rows // columns))
    return Product(m, n, k, found, (*warps_for(m, n, warps_wanted(m, n)), 1))


def warpgroup_product(m: int, n: int, k: int, threads: int = 0, bits: int = 16) -> Product | None:
    """How warpgroups compute a product of factors of so many bits, with `threads` or as many as it asks for; None where
    they do not."""
    instruction = OF_WARPGROUPS[bits]
    whole = m % 8 == 0 and m <= MOST_ROWS and n % (WARPS * STRIP) == 0 and k % instruction.k == 0
    if not whole or threads % (WARPS * WARP_SIZE):
        return None
    for groups, most in MOST_SUMS.items():
        warps = WARPS * groups
        held = threads // WARP_SIZE or warps
        if n % (STRIP * warps) == 0 and held % warps == 0 and m * n // (warps * WARP_SIZE) <= most:
            return Product(m, n, k, instruction, (1, warps, held // warps))
    return None


def warps_wanted(m: int, n: int) -> int:
    """How many warps a product of this size keeps busy."""
    wanted = FEWEST_WARPS
    while wanted < MOST_WARPS and m * n > wanted * WARP_SIZE * SUMS_OF_A_THREAD:
        wanted *= 2
    return wanted


def warps_for(m: int, n: int, wanted: int) -> tuple[int, int]:
    """The warps along M and along N, at most `wanted` in all."""
    columns = 1
    while columns < wanted and n % (2 * columns * COLUMNS_OF_A_WARP) == 0:
        columns *= 2
    rows = 1
    while rows * columns < wanted and m % (32 * rows) == 0:
        rows *= 2
    while rows * columns < wanted and n % (16 * columns) == 0:
        columns *= 2
    return rows, columns


def fragments(op: Op, threads: int) -> Sequence[Layout | None] | None:
    """What layout inference asks for: the layouts of A, B, C and the result; None for other operations."""
    product = product_of(op, threads)
    if product is None:
        return None
    a, b, c = product.layouts
    first = [a] * (len(op.operands) - 2)
    return *first, b, c, c


def threads_for(kernel: Kernel) -> int:
    """The threads that the products of a kernel ask for: the most; 0 without products, and where layouts are pinned."""
    ops = list(walk(kernel.body))
    tiles = (value.type for op in ops for value in op.results)
    if any(isinstance(type, TileType) and type.layout is not None for type in tiles):
        return 0
    return max((product.threads for op in ops if (product := product_of(op)) is not None), default=0)
