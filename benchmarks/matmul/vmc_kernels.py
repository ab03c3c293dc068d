"""vmc's contenders: a table of kernels, each with the types, parameters and arguments to run it with.

A kernel of another form joins by a line in `KERNELS`. Its arguments are named as `matmul_wa16` names them: x[M, K],
w[K, N], scale[K / G, N] and y[M, N].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - gives NumPy the name bfloat16
import numpy as np

import vmc
from benchmarks.matmul.contender import Contender, Product
from benchmarks.matmul.problem import Array, Shape, Weights, divided, group_scales
from vmc.ir.core import Storage

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
UNSIGNED = tuple(f"u{bits}" for bits in range(1, 9))
SIGNED = tuple(f"i{bits}" for bits in range(2, 9))
FLOATS = ("f4e2m1", "f6e2m3", "f6e3m2", "f8e4m3")
TERNARY = "ternary"
TYPES = (*UNSIGNED, *SIGNED, *FLOATS, TERNARY)
ROWS = (1, 4, 16, 32, 64, 128)
Parameters = Callable[[int, Shape], dict[str, Any]]


@dataclass(frozen=True)
class VmcKernel:
    """`compute` is what it multiplies in, `x` the type of its activations by NumPy's name.

    `parameters` tells its compile-time parameters but for T, given M and the weights' shape.
    """

    name: str
    file: str
    compute: str
    x: str
    types: tuple[str, ...]
    parameters: Parameters


def rows_of_block(m: int) -> int:
    """The fewest of `ROWS` that hold M = m at once; 64 up to 128, so that two threads have blocks, and 128 above."""
    if 64 < m <= 128:
        return 64
    return next((rows for rows in ROWS if m <= rows), ROWS[-1])


def wa8(m: int, shape: Shape) -> dict[str, Any]:
    return {"BM": rows_of_block(m), "BN": 64, "G": shape.group}


def wa16(m: int, shape: Shape) -> dict[str, Any]:
    """A step of the sum is a whole group."""
    return wa8(m, shape) | {"BK": shape.group}


def of_bf16(m: int, shape: Shape) -> dict[str, Any]:
    return wa16(m, shape) | {"X": "bf16"}


KERNELS = (
    VmcKernel("wa8", "matmul_wa8.vmc", "int8", "float16", TYPES, wa8),
    VmcKernel("wa16", "matmul_wa16.vmc", "f16", "float16", TYPES, wa16),
    VmcKernel("wa16 bf16", "matmul_wa16.vmc", "bf16", "bfloat16", TYPES, of_bf16),
)


@dataclass(frozen=True, eq=False)
class Quantized:
    """Codes uint8[K, N] of the type `element`, scales f16[K / group, N], and the codes as they were packed so far."""

    element: str
    shape: Shape
    codes: Array
    scales: Array
    packings: dict[Storage | None, vmc.Packed] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """What the type needs: its bits, and the scales."""
        return -(-self.codes.size * vmc.dtype(self.element).width // 8) + self.scales.nbytes

    def values(self) -> Array:
        table = code_values(self.element).astype(np.float32)
        return table[self.codes] * np.repeat(self.scales.astype(np.float32), self.shape.group, axis=0)

    def packed(self, kernel: vmc.Kernel) -> vmc.Packed:
        """The codes as the kernel wants them; kernels of one storage share the bytes."""
        storage = kernel.storages["w"]
        if storage not in self.packings:
            self.packings[storage] = kernel.pack("w", self.codes)
        return self.packings[storage]


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights that a kernel multiplies with."""

    kernel: VmcKernel
    weights: Quantized

    @property
    def nbytes(self) -> int:
        return self.weights.nbytes

    def values(self) -> Array:
        return self.weights.values()

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        kernel = compiled(self.kernel, self.weights.element, len(x), self.weights.shape)
        packed, scales = self.weights.packed(kernel), self.weights.scales
        inputs = x.astype(self.kernel.x)
        y = np.zeros((len(x), self.weights.shape.n), inputs.dtype)
        return [product(kernel, inputs, packed.copy(), scales.copy(), y) for _ in range(copies)]


def compiled(kernel: VmcKernel, element: str, m: int, shape: Shape) -> vmc.Kernel:
    """The kernel with the parameters for M = m."""
    return vmc.compile(EXAMPLES / kernel.file, T=element, **kernel.parameters(m, shape))


def product(kernel: Any, x: Array, w: Array, scale: Array, y: Array) -> Product:
    return Product(lambda: kernel(x, w, scale, y), lambda: y.astype(np.float32))


def code_values(element: str) -> Array:
    """f64: the value that the kernel gives each code; of an unsigned type its distance to the zero point."""
    type = vmc.dtype(element)
    values = type.decode(np.arange(1 << type.width, dtype=type.code_dtype))
    return values - (1 << type.width - 1) if type.is_uint else values


@lru_cache(maxsize=len(TYPES))
def quantized(type: str, weights: Weights) -> Quantized:
    """The nearest code of each weight, in units of its group's scale. Kernels share it."""
    element = "u2" if type == TERNARY else type
    values = code_values(element)
    usable = np.flatnonzero(np.isfinite(values) & ((values >= -1) | (type != TERNARY)))
    order = usable[np.argsort(values[usable], kind="stable")]
    levels = values[order]
    scales = group_scales(weights.values, weights.shape.group, np.abs(levels).max())
    between = ((levels[1:] + levels[:-1]) / 2).astype(np.float32)
    places = np.searchsorted(between, divided(weights.values, scales, weights.shape.group))
    codes = order.astype(np.uint8)[places]
    return Quantized(element, weights.shape, codes, scales)


def contenders(threads: int) -> list[Contender]:
    """Every kernel with every type that it takes. Runs on as many threads as `set_num_threads` was told."""
    from vmc.backends.cpu.threads import set_num_threads

    set_num_threads(threads)
    return [contender(kernel, type) for kernel in KERNELS for type in kernel.types]


def contender(kernel: VmcKernel, type: str) -> Contender:
    bits = 2 if type == TERNARY else vmc.dtype(type).width

    def store(weights: Weights) -> Stored:
        return Stored(kernel, quantized(type, weights))

    return Contender(f"vmc {kernel.name} {type}", "vmc", type, bits, kernel.compute, store)
