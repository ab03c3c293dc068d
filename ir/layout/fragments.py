"""The register layouts of the operands of matrix instructions, in elements: A [M, K], B [K, N], C and D [M, N].

PTX ISA, "Warp-level matrix instructions", the fragment tables of mma.sync and of wgmma. They follow one pattern: lanes
stand in an 8 x 4 grid, a lane's 32-bit register holds 32 / bits neighbours of K, and the registers count down M first.
"""

from __future__ import annotations

import re

from vmc.ir.layout.constructors import column_local, column_spatial, local, spatial, warps
from vmc.ir.layout.digits import LayoutError
from vmc.ir.layout.layout import Layout

OPERAND_BITS = {4: 32, 8: 16, 16: 16, 32: 8, 64: 4}
"""The operand's width of m16n8k*, by K, where it is not named: tf32, f16 or bf16, f16 or bf16, 8 bits, 4 bits."""


def mma_fragment(instruction: str, operand: str, bits: int | None = None) -> Layout:
    """The layout of operand "a", "b" or "c" of m16n8k4, k8, k16, k32, k64, of m8n8k4 (f64) or of m64nNk* (wgmma).

    `bits` is the width of the elements of A and B where K alone does not tell: m16n8k8 takes 16 bits unless 32 are
    asked for (tf32), m16n8k16 takes 16 unless 8 are. Raises LayoutError for what does not exist.
    """
    named = re.fullmatch(r"m(\d+)n(\d+)k(\d+)", instruction)
    shape = tuple(map(int, named.groups())) if named else ()
    match shape, operand:
        case (16, 8, k), "a" | "b":
            return sixteen_by_eight(k, operand, bits or OPERAND_BITS.get(k, 0), instruction)
        case (16, 8, k), "c" | "d" if k in OPERAND_BITS:
            return local(2, 1).spatial(8, 4).local(1, 2)
        case (8, 8, 4), "a":
            return spatial(8, 4)
        case (8, 8, 4), "b":
            return column_spatial(4, 8)
        case (8, 8, 4), "c" | "d":
            return spatial(8, 4).local(1, 2)
        case (64, n, _), "c" | "d":
            return wgmma_accumulator(n)
        case (64, _, k), "a":
            return warps(4, 1) * sixteen_by_eight(k, "a", bits or OPERAND_BITS.get(k, 0), instruction)
    raise LayoutError(f"no fragment {operand!r} of {instruction!r}")


def sixteen_by_eight(k: int, operand: str, bits: int, instruction: str) -> Layout:
    """A or B of m16n8k*: `k` is 4 * (elements in a register) times one or two registers."""
    in_register = 32 // bits if bits in (4, 8, 16, 32) else 0
    if in_register == 0 or k not in (4 * in_register, 8 * in_register):
        raise LayoutError(f"no fragment {operand!r} of {instruction!r} with elements of {bits} bits")
    halves = k // (4 * in_register)
    if operand == "a":
        return column_local(2, halves).spatial(8, 4).local(1, in_register)
    return local(halves, 1).column_spatial(4, 8).local(in_register, 1)


def wgmma_accumulator(n: int) -> Layout:
    """The accumulator [64, n] of a warpgroup's matrix instruction, in four warps. Raises LayoutError."""
    if n % 8 or not 8 <= n <= 256:
        raise LayoutError(f"wgmma has accumulators of 8 to 256 columns in steps of 8, not {n}")
    return warps(4, 1) * local(1, n // 8) * local(2, 1).spatial(8, 4).local(1, 2)
