"""The named processors to compile for: levels of x86-64 and of aarch64, each with what a processor must have for it.

`Level.options()` compiles for one of them, on any host; `target.missing` tells what the host lacks to execute it.
`PORTABLE` are the levels whose code lies beside each other in the object for the target `cpu:portable` (`dispatch`).
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm

from vmc.backends.cpu.features import architecture
from vmc.backends.cpu.options import Options

X86, ARM = "x86_64", "aarch64"

V2 = ("cx16", "popcnt", "sahf", "sse3", "ssse3", "sse4.1", "sse4.2")
V3 = (*V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
V4 = (*V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
VNNI = ("avx512vnni",)
VBMI = (*VNNI, "avx512bitalg", "avx512ifma", "avx512vbmi", "avx512vbmi2", "avx512vpopcntdq", "gfni")
BF16 = (*VBMI, "avx512bf16")
TILES = (*BF16, "avxvnni", "avx512fp16", "amx-tile", "amx-int8", "amx-bf16")
ARM_V82 = ("lse", "dotprod", "fullfp16")
ARM_V86 = (*ARM_V82, "i8mm", "bf16")


@dataclass(frozen=True, slots=True)
class Level:
    """`cpu` is LLVM's name of a processor, which has `base`; to it come the features `added`. `example`: who has it."""

    name: str
    architecture: str
    cpu: str
    base: tuple[str, ...]
    added: tuple[str, ...]
    example: str

    @property
    def needs(self) -> frozenset[str]:
        """The features that a processor must have to execute the level's code, by LLVM's names."""
        return frozenset((*self.base, *self.added))

    @property
    def flags(self) -> str:
        """LLVM's list of what is added."""
        return ",".join(f"+{name}" for name in self.added)

    def options(self, opt_level: int = 3) -> Options:
        """The options that compile for the level: for this process's kind of system where that fits, else for Linux."""
        process = llvm.get_process_triple()
        triple = None if architecture(process) == self.architecture else f"{self.architecture}-unknown-linux-gnu"
        return Options(self.cpu, self.flags, opt_level, triple)


TABLE = (
    Level("x86-64", X86, "x86-64", (), (), "every x86-64 processor"),
    Level("x86-64-v2", X86, "x86-64-v2", V2, (), "Nehalem"),
    Level("x86-64-v3", X86, "x86-64-v3", V3, (), "Haswell, Zen"),
    Level("avx2vnni", X86, "x86-64-v3", V3, ("avxvnni",), "Alder Lake"),
    Level("x86-64-v4", X86, "x86-64-v4", V4, (), "Skylake-SP"),
    Level("avx512vnni", X86, "x86-64-v4", V4, VNNI, "Cascade Lake"),
    Level("avx512vbmi", X86, "x86-64-v4", V4, VBMI, "Ice Lake"),
    Level("avx512bf16", X86, "x86-64-v4", V4, BF16, "Zen 4"),
    Level("amx", X86, "x86-64-v4", V4, TILES, "Sapphire Rapids"),
    Level("aarch64", ARM, "generic", (), ARM_V82, "Armv8.2 with dot products: Neoverse N1, Cortex-A76"),
    Level("aarch64-v8.6", ARM, "generic", (), ARM_V86, "Armv8.6: Neoverse V1 and N2, Apple M2"),
)
"""From the least to the most of an architecture. The first four of x86-64 by that name are the psABI's."""

LEVELS = {level.name: level for level in TABLE}

PORTABLE = ("x86-64", "x86-64-v3", "x86-64-v4", "avx512vnni", "avx512vbmi")


def portable(opt_level: int = 3) -> Options:
    """The options that compile for all levels of `PORTABLE` at once."""
    least = LEVELS[PORTABLE[0]].options(opt_level)
    return Options(least.cpu, least.features, opt_level, least.triple, PORTABLE)


def level_of(options: Options, triple: str) -> Level | None:
    """The level that options name, if they name one."""
    wanted = (architecture(triple), options.cpu, options.features)
    return next((level for level in TABLE if (level.architecture, level.cpu, level.flags) == wanted), None)
