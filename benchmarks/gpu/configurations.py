"""Which kernels a kit has: sources, and for each range of M the compile-time parameters that are tried.

Of the configurations of a range, the fastest is found by timing on the device and then used; nothing here was chosen
on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.matmul.vmc_kernels import FLOATS, SIGNED, UNSIGNED

TYPES = (*UNSIGNED, *SIGNED, *FLOATS)
GROUP = 128


@dataclass(frozen=True)
class Configuration:
    """Parameters, and the least and the most rows that they are tried for."""

    least: int
    most: int
    parameters: Mapping[str, Any]

    def takes(self, m: int) -> bool:
        return self.least <= m <= self.most

    @property
    def name(self) -> str:
        """`bm16_bn64_bk128`."""
        return "_".join(f"{name}{value}".lower() for name, value in self.parameters.items())


@dataclass(frozen=True)
class Source:
    """A kernel of `examples/` as a contender: what it multiplies in, and the type of its activations, as torch and
    NumPy name it.
    """

    name: str
    file: str
    kernel: str
    compute: str
    x: str
    fixed: Mapping[str, Any]
    configurations: tuple[Configuration, ...]


ANY = 1 << 30
WA16 = (
    Configuration(1, 16, {"BM": 16, "BN": 64, "BK": 128}),
    Configuration(1, 16, {"BM": 16, "BN": 128, "BK": 128}),
    Configuration(17, 64, {"BM": 32, "BN": 128, "BK": 64}),
    Configuration(17, ANY, {"BM": 64, "BN": 128, "BK": 64}),
    Configuration(17, ANY, {"BM": 64, "BN": 128, "BK": 128}),
    Configuration(65, ANY, {"BM": 128, "BN": 128, "BK": 128}),
)
SOURCES = (
    Source("wa16", "matmul_wa16.vmc", "matmul_wa16", "f16", "float16", {}, WA16),
    Source("wa16 bf16", "matmul_wa16.vmc", "matmul_wa16", "bf16", "bfloat16", {"X": "bf16"}, (WA16[0], WA16[3])),
    Source(
        "wa8",
        "matmul_wa8.vmc",
        "matmul_wa8",
        "int8",
        "float16",
        {},
        (
            Configuration(1, 16, {"BM": 16, "BN": 64}),
            Configuration(1, 16, {"BM": 16, "BN": 128}),
            Configuration(17, ANY, {"BM": 64, "BN": 128}),
        ),
    ),
)


def kernel_name(source: Source, type: str, configuration: Configuration) -> str:
    """What a kernel is called in a kit's library."""
    return f"{source.name.replace(' ', '_')}_{type}_{configuration.name}"
