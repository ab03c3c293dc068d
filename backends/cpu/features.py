"""What a processor has, by LLVM's names of features: those of the host, and those of a processor that LLVM knows.

The host is asked through LLVM. LLVM's C interface lists no features of a processor that is only named, so a tiny
function is compiled for it for every feature in question, and its assembly shows the answer.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm

AMX = ("amx-tile", "amx-int8", "amx-bf16")
AMX_PROCESSORS = frozenset({"sapphirerapids", "emeraldrapids", "graniterapids", "graniterapids-d", "diamondrapids"})
"""No function without intrinsics becomes AMX code, and intrinsics without the feature end the process; so, by name."""

ARCH_PRCTL, REQUEST_STATE, TILE_DATA = 158, 0x1023, 18  # Linux on x86-64: asm/unistd_64.h, asm/prctl.h


def host_features() -> dict[str, bool]:
    """The host's features as LLVM names them. Those of AMX are off where the kernel refuses this process the tiles."""
    features = dict(llvm.get_host_cpu_features())
    if features.get("amx-tile") and not amx_allowed():
        features.update(dict.fromkeys(AMX, False))
    return features


@lru_cache(maxsize=1)
def amx_allowed() -> bool:
    """Asks the kernel, once, for this process's permission to use AMX tiles; threads and forked children inherit it."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    return bool(ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST_STATE, TILE_DATA) == 0)


@dataclass(frozen=True, slots=True)
class Probe:
    """A function, and what is in its assembly only with the feature."""

    text: str
    sign: str


def unary(argument: str, result: str, operation: str, sign: str) -> Probe:
    """A function of one argument `%a`, whose result is one operation."""
    return Probe(f"define {result} @f({argument} %a) {{ %b = {operation} ret {result} %b }}", sign)


def dot(count: int, left: str, right: str, sign: str) -> Probe:
    """The sum of products of bytes, each operand extended by its own instruction."""
    total = f"@llvm.vector.reduce.add.v{count}i32(<{count} x i32>"
    return Probe(
        f"declare i32 {total}) define i32 @f(<{count} x i8> %a, <{count} x i8> %b) {{"
        f" %c = {left} <{count} x i8> %a to <{count} x i32> %d = {right} <{count} x i8> %b to <{count} x i32>"
        f" %e = mul <{count} x i32> %c, %d %g = call i32 {total} %e) ret i32 %g }}",
        sign,
    )


def called(intrinsic: str, type: str, count: int, sign: str) -> Probe:
    """A generic intrinsic that LLVM has code for with or without the feature, with `count` equal arguments."""
    types, operands = ", ".join([type] * count), ", ".join([f"{type} %a"] * count)
    call = f"call {type} @{intrinsic}({operands})"
    return Probe(f"declare {type} @{intrinsic}({types}) {unary(type, type, call, sign).text}", sign)


SHUFFLE = ", ".join(f"i32 {(37 * place + 5) % 64}" for place in range(64))
BYTES = ", ".join(f"i32 {(5 * place + 3) % 16}" for place in range(16))
X86_PROBES = {
    "ssse3": unary(
        "<16 x i8>", "<16 x i8>", f"shufflevector <16 x i8> %a, <16 x i8> poison, <16 x i32> <{BYTES}>", "pshufb"
    ),
    "avx": unary("<8 x float>", "<8 x float>", "fadd <8 x float> %a, %a", "vaddps\t%ymm"),
    "f16c": unary("<8 x half>", "<8 x float>", "fpext <8 x half> %a to <8 x float>", "vcvtph2ps"),
    "avx2": unary("<8 x i32>", "<8 x i32>", "add <8 x i32> %a, %a", "vpaddd\t%ymm"),
    "fma": called("llvm.fma.f32", "float", 3, "vfmadd"),
    "avx512f": unary("<16 x float>", "<16 x float>", "fadd <16 x float> %a, %a", "vaddps\t%zmm"),
    "avx512bw": unary("<32 x i16>", "<32 x i16>", "add <32 x i16> %a, %a", "vpaddw\t%zmm"),
    "avx512vl": called("llvm.fshl.v4i32", "<4 x i32>", 3, "vprolvd\t%xmm"),
    "avx512vnni": dot(64, "zext", "sext", "vpdpbusd\t%zmm"),
    "avxvnni": dot(32, "zext", "sext", "{vex}\tvpdpbusd"),
    "avx512vbmi": unary(
        "<64 x i8>", "<64 x i8>", f"shufflevector <64 x i8> %a, <64 x i8> poison, <64 x i32> <{SHUFFLE}>", "vpermb"
    ),
    "avx512bf16": unary("<16 x float>", "<16 x bfloat>", "fptrunc <16 x float> %a to <16 x bfloat>", "vcvtneps2bf16"),
    "avx512fp16": unary("half", "half", "fadd half %a, %a", "vaddsh"),
    "gfni": called("llvm.bitreverse.v16i8", "<16 x i8>", 1, "gf2p8affineqb"),
}
ARM_PROBES = {
    "dotprod": dot(16, "zext", "zext", "udot"),
    "i8mm": dot(16, "zext", "sext", "usdot"),
    "bf16": unary("float", "bfloat", "fptrunc float %a to bfloat", "bfcvt"),
    "fullfp16": unary("half", "half", "fadd half %a, %a", "fadd\th"),
}
PROBES = {"x86_64": X86_PROBES, "aarch64": ARM_PROBES}
"""The features that lowerings ask for, AMX apart, by architecture."""


def architecture(triple: str) -> str:
    """The first part of a triple; macOS calls aarch64 arm64."""
    name = triple.partition("-")[0]
    return "aarch64" if name == "arm64" else name


def enabled_features(built: Any, triple: str, known: Mapping[str, bool]) -> frozenset[str]:
    """Which of the features that lowerings ask for, AMX apart, an LLVM machine has, beyond what is known of it.

    A list `+x,-y` is not enough to know: turning one feature on or off turns on or off others.
    """
    probes = PROBES.get(architecture(triple), {})
    return frozenset(name for name in probes if (known[name] if name in known else probed(built, probes[name])))


def amx_features(cpu: str, features: str) -> frozenset[str]:
    """Which features of AMX a processor has with a list `+x,-y`."""
    listed = {part[1:]: part[0] == "+" for part in features.split(",") if part}
    found = frozenset(name for name in AMX if listed.get(name, cpu in AMX_PROCESSORS))
    return found if listed.get("amx-tile", True) else frozenset()


def probed(built: Any, probe: Probe) -> bool:
    """Whether the code that an LLVM machine makes of a probe shows the feature."""
    return probe.sign in built.emit_assembly(llvm.parse_assembly(probe.text))
