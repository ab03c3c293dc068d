"""How many blocks of a kernel share a multiprocessor, and what limits them.

CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": registers are given to warps in units of
256, shared memory to blocks in units of 128 bytes, of which the system takes 1 KiB for each.
"""

from __future__ import annotations

from dataclasses import dataclass

WARP = 32
REGISTER_UNIT, SHARED_UNIT, SYSTEM_SHARED = 256, 128, 1024
REGISTERS = 65536


@dataclass(frozen=True, slots=True)
class Multiprocessor:
    """What a multiprocessor holds at most: warps, blocks, bytes of shared memory."""

    warps: int
    blocks: int
    shared: int


MULTIPROCESSORS: dict[int, Multiprocessor] = {
    80: Multiprocessor(64, 32, 164 << 10),
    86: Multiprocessor(48, 16, 100 << 10),
    89: Multiprocessor(48, 24, 100 << 10),
    90: Multiprocessor(64, 32, 228 << 10),
    100: Multiprocessor(64, 32, 228 << 10),
    120: Multiprocessor(48, 24, 100 << 10),
}
"""By compute capability times ten."""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Blocks and warps on a multiprocessor, the share of its warps, and what limits the blocks."""

    blocks: int
    warps: int
    share: float
    limit: str


def occupancy(capability: int, threads: int, registers: int, shared: int) -> Occupancy:
    """For blocks of so many threads, registers each, and bytes of shared memory. KeyError: an unknown chip."""
    chip = MULTIPROCESSORS[capability]
    warps = -(-threads // WARP)
    each = -(-registers * WARP // REGISTER_UNIT) * REGISTER_UNIT
    bytes = -(-(shared + SYSTEM_SHARED) // SHARED_UNIT) * SHARED_UNIT
    limits = {
        "warps": chip.warps // warps,
        "blocks": chip.blocks,
        "registers": REGISTERS // each // warps if each else chip.blocks,
        "shared memory": chip.shared // bytes,
    }
    limit = min(limits, key=lambda name: limits[name])
    blocks = limits[limit]
    return Occupancy(blocks, blocks * warps, blocks * warps / chip.warps, limit)
