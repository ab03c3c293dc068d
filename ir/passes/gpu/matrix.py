"""Matrix instructions of warps, and how the tiles of a product are laid out for them.

PTX ISA, mma.sync: a warp multiplies A [16, k] and B [k, 8] into C [16, 8]. The warps of a block share the result: as
many as can be stand side by side along N, since each then decodes weights that no other needs; the rest along M. What
a warp does not own of A or B it holds a copy of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vmc.ir.core import Kernel, Op, walk
from vmc.ir.layout import WARP, Digit, Layout, local, mma_fragment
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.gpu.spread import WARP_SIZE
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

    @property
    def name(self) -> str:
        return f"m16n8k{self.k}"


INSTRUCTIONS: dict[tuple[str, str], Instruction] = {
    ("f16", "f16"): Instruction(16, 16),
    ("bf16", "bf16"): Instruction(16, 16),
    **{(a, b): Instruction(32, 8) for a in ("i8", "u8") for b in ("i8", "u8")},
}
"""By the types of A and B; the sums are f32 or i32."""


@dataclass(frozen=True, slots=True)
class Product:
    """How a block of `warps` (along M, along N) computes C [m, n] += A [m, k] @ B [k, n]."""

    m: int
    n: int
    k: int
    instruction: Instruction
    warps: tuple[int, int]

    @property
    def threads(self) -> int:
        return self.warps[0] * self.warps[1] * WARP_SIZE

    def spread(self, along_m: bool, along_n: bool) -> Layout:
        """The warps of an operand that has the dimension M, or N, or both."""
        rows, columns = self.warps
        parts = ((rows, columns, along_m), (columns, 1, along_n))
        digits = [Digit(count if present else 1, step, WARP) for count, step, present in parts]
        copies = [Digit(count, step, WARP) for count, step, present in parts if not present and count > 1]
        if not along_n:
            digits[1] = Digit(1, 1, WARP)
        return Layout.of((digits[0].extent, digits[1].extent), digits, replicas=copies)

    @property
    def layouts(self) -> tuple[Layout, Layout, Layout]:
        """The layouts of A, B and C."""
        rows, columns = self.warps
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


def product_of(op: Op) -> Product | None:
    """How matrix instructions compute a product; None where they do not."""
    if op.name not in DOTS:
        return None
    a, b = (value.tile for value in op.operands[:2])
    found = instruction_for(a.dtype, b.dtype)
    (m, k), n = a.shape, b.shape[1]
    if found is None or m % 16 or n % 8 or k % found.k:
        return None
    return Product(m, n, k, found, warps_for(m, n))


def warps_for(m: int, n: int) -> tuple[int, int]:
    """The warps along M and along N."""
    wanted = FEWEST_WARPS
    while wanted < MOST_WARPS and m * n > wanted * WARP_SIZE * SUMS_OF_A_THREAD:
        wanted *= 2
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
    product = product_of(op)
    if product is None or product.threads != threads:
        return None
    a, b, c = product.layouts
    return a, b, c, c


def threads_for(kernel: Kernel) -> int:
    """The threads that the products of a kernel ask for; 0 where they ask for none, or disagree."""
    asked = {product.threads for op in walk(kernel.body) if (product := product_of(op)) is not None}
    return asked.pop() if len(asked) == 1 else 0
