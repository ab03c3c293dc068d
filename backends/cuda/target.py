"""The architectures that kernels are compiled for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Arch:
    """An architecture: its name in NVRTC and in targets, `sm_90a`, what it is found in, and shared memory of a block.

    `shared` is the most that a block can opt in to (CUDA C++ Programming Guide, "Technical Specifications per Compute
    Capability"); without opting in it is 48 KiB everywhere.
    """

    name: str
    example: str
    shared: int

    @property
    def number(self) -> int:
        """The compute capability times ten."""
        return int(self.name.removeprefix("sm_").rstrip("af"))

    def target(self) -> Any:
        """TVM's target."""
        return tvm_target(self.name)


ARCHES: dict[str, Arch] = {
    arch.name: arch
    for arch in (
        Arch("sm_80", "A100", 163 << 10),
        Arch("sm_86", "RTX 30, A40", 99 << 10),
        Arch("sm_89", "RTX 40, L40S", 99 << 10),
        Arch("sm_90a", "H100, H200", 227 << 10),
        Arch("sm_100a", "B200", 227 << 10),
        Arch("sm_120a", "RTX 50", 99 << 10),
    )
}
"""By name."""

TEGRA = frozenset({87})
"""Compute capabilities times ten of systems on a chip, which execute cubins made for others of their major number no
more than those execute theirs (CUDA C++ Programming Guide, "Binary Compatibility")."""

ALIGNMENT = 16
"""What addresses of tensors are multiples of, in bytes: the widest access."""

STATIC_SHARED = 48 << 10
"""Bytes of shared memory that a kernel has without asking."""


@lru_cache(maxsize=16)
def tvm_target(name: str) -> Any:
    from tvm.target import Target

    return Target({"kind": "cuda", "arch": name}, host="llvm")


def arch_for(major: int, minor: int) -> Arch | None:
    """The architecture for a device of a compute capability: the newest that it executes, `a` ones exactly."""
    exact = [arch for arch in ARCHES.values() if arch.number == 10 * major + minor]
    if exact:
        return exact[0]
    older = [a for a in ARCHES.values() if a.number // 10 == major and a.number <= 10 * major + minor]
    plain = [arch for arch in older if not arch.name.endswith("a")]
    return plain[-1] if plain else None
