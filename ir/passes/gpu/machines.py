"""What the architectures of NVIDIA's GPUs differ in, as far as passes choose by it.

How matrix instructions add up products of 8-bit floats is in none of NVIDIA's documents. It was found on GPUs by
others: Xie et al., MMA-Sim: Bit-Accurate Reference Model of Tensor Cores and Matrix Cores (arXiv 2511.10909, 2025),
Zhang et al., SageAttention2 (arXiv 2411.10958, 2024), DeepSeek-V3 Technical Report (arXiv 2412.19437, 2024). Products
and the sum so far are shifted to the largest exponent among them and cut off behind so many bits; so is the result. For
sm_90a and sm_100a there is no such instruction of warps (the assembler makes f16 of the factors, as its SASS shows),
but a conversion of two factors at once, so that products of f16 compute it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fp8:
    """Conversions of f8e4m3 and f8e5m2 to f16, and mma.sync of them: `fraction`, the bits behind the point that its
    sums keep, None where there is no such instruction. `steps`: the products that are added at once.
    """

    fraction: int | None
    steps: int = 32


@dataclass(frozen=True, slots=True)
class Machine:
    """`warpgroups`: has wgmma. `fp8`: None without instructions for 8-bit floats."""

    warpgroups: bool = False
    fp8: Fp8 | None = None


MACHINES: dict[str, Machine] = {
    "sm_89": Machine(fp8=Fp8(13, 16)),
    "sm_90a": Machine(warpgroups=True, fp8=Fp8(None)),
    "sm_100a": Machine(fp8=Fp8(None)),
    "sm_120a": Machine(fp8=Fp8(25)),
}
"""By architecture; all others have nothing beyond sm_80."""


def machine(arch: str) -> Machine:
    return MACHINES.get(arch, Machine())
