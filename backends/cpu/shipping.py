"""What a library that was built has of this backend beside its kernels: the scheduler's code, and what levels need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import llvmlite.binding as llvm

from vmc.backends.cpu import cpuid, record, scheduler
from vmc.backends.cpu.levels import ARM, PORTABLE, X86, Level
from vmc.backends.cpu.pool import MOST
from vmc.backends.cpu.target import machine

LEVELS = (*PORTABLE, "amx")
"""The levels of x86-64 that a library has code for where none is asked for."""

LINUX = "unknown-linux-gnu"

HWCAP = {"dotprod": (0, 20), "fullfp16": (0, 10), "lse": (0, 8), "i8mm": (1, 13), "bf16": (1, 14)}
"""The word, AT_HWCAP or AT_HWCAP2, and the bit of each feature of aarch64 that a level may need (asm/hwcap.h)."""


def scheduler_object(level: Level) -> bytes:
    """The object file of `scheduler.py` for a level's architecture."""
    options = replace(level.options(opt_level=2), triple=f"{level.architecture}-{LINUX}")
    return bytes(machine(options).llvm_machine.emit_object(llvm.parse_assembly(scheduler.text_for(level.architecture))))


def leaves(architecture: str) -> tuple[tuple[int, int], ...]:
    """The leaves and subleaves of CPUID, four words each, whose bits `needs` tells; XCR0 is one word behind them."""
    return cpuid.LEAVES if architecture == X86 else ()


def needs(levels: Sequence[Level]) -> list[list[int]]:
    """For each level, the bits that must be set in each word that tells of the processor: of x86-64 those of CPUID and
    XCR0, of aarch64 AT_HWCAP and AT_HWCAP2.
    """
    return [needed_bits(level) for level in levels]


def needed_bits(level: Level) -> list[int]:
    if level.architecture == ARM:
        words = [0, 0]
        for name in level.needs:
            word, bit = HWCAP[name]
            words[word] |= 1 << bit
        return words
    masks = cpuid.masks(level.needs)
    return [masks.get(word, 0) for word in range(len(cpuid.WORDS) + 1)]


def record_constants() -> dict[str, int]:
    """The layout of a launch's record, by the names that C code uses."""
    words = {f"VMC_RECORD_{name.upper()}": place for place, name in enumerate(record.WORDS)}
    return {"VMC_LINE": record.LINE, "VMC_COUNTERS": record.COUNTERS, "VMC_MOST_THREADS": MOST, **words}
