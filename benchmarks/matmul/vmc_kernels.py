"""vmc's contenders: a table of kernels, each with the types, parameters and arguments to run it with.

A kernel of another form joins by a line in `KERNELS`. Its arguments are named as `matmul_wa16` names them: x[M, K],
w[K, N], scale[K / G, N] and y[M, N].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vmc
from benchmarks.matmul.contender import Contender, Product
from benchmarks.matmul.problem import Array, Shape, Weights, divided, group_scales

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
UNSIGNED = tuple(f"u{bits}" for bits in range(1, 9))
SIGNED = tuple(f"i{bits}" for bits in range(2, 9))
FLOATS = ("f4e2m1", "f6e2m3", "f6e3m2", "f8e4m3")
TERNARY = "ternary"
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


def blocks(m: int, shape: Shape) -> dict[str, Any]:
    """Rows of a block as many as there are, within reason; steps that stay inside a group."""
    return {"BM": min(64, 1 << (m - 1).bit_length()), "BN": 64, "BK": min(64, shape.group), "G": shape.group}


KERNELS = (VmcKernel("wa16", "matmul_wa16.vmc", "f16", "float16", (*UNSIGNED, *SIGNED, *FLOATS, TERNARY), blocks),)


@dataclass(frozen=True, eq=False)
class Stored:
    """Codes uint8[K, N] of the type `element`, and scales f16[K / group, N]."""

    kernel: VmcKernel
    element: str
    shape: Shape
    codes: Array
    scales: Array

    @property
    def nbytes(self) -> int:
        return -(-self.codes.size * vmc.dtype(self.element).width // 8) + self.scales.nbytes

    def values(self) -> Array:
        table = code_values(self.element).astype(np.float32)
        return table[self.codes] * np.repeat(self.scales.astype(np.float32), self.shape.group, axis=0)

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        parameters = self.kernel.parameters(len(x), self.shape)
        kernel = vmc.compile(EXAMPLES / self.kernel.file, T=self.element, **parameters)
        packed = kernel.pack("w", self.codes)
        inputs = x.astype(self.kernel.x)
        y = np.zeros((len(x), self.shape.n), np.float16)
        return [product(kernel, inputs, packed.copy(), self.scales.copy(), y) for _ in range(copies)]


def product(kernel: Any, x: Array, w: Array, scale: Array, y: Array) -> Product:
    return Product(lambda: kernel(x, w, scale, y), lambda: y.astype(np.float32))


def code_values(element: str) -> Array:
    """f64: the value that the kernel gives each code; of an unsigned type its distance to the zero point."""
    type = vmc.dtype(element)
    values = type.decode(np.arange(1 << type.width, dtype=type.code_dtype))
    return values - (1 << type.width - 1) if type.is_uint else values


def quantized(kernel: VmcKernel, type: str, weights: Weights) -> Stored:
    """The nearest code of each weight, in units of its group's scale."""
    element = "u2" if type == TERNARY else type
    values = code_values(element)
    usable = np.flatnonzero(np.isfinite(values) & ((values >= -1) | (type != TERNARY)))
    order = usable[np.argsort(values[usable], kind="stable")]
    levels = values[order]
    scales = group_scales(weights.values, weights.shape.group, np.abs(levels).max())
    between = ((levels[1:] + levels[:-1]) / 2).astype(np.float32)
    places = np.searchsorted(between, divided(weights.values, scales, weights.shape.group))
    codes = order.astype(np.uint8)[places]
    return Stored(kernel, element, weights.shape, codes, scales)


def contenders(threads: int) -> list[Contender]:
    """Every kernel with every type that it takes. Runs on as many threads as `set_num_threads` was told."""
    from vmc.backends.cpu.threads import set_num_threads

    set_num_threads(threads)
    return [contender(kernel, type) for kernel in KERNELS for type in kernel.types]


def contender(kernel: VmcKernel, type: str) -> Contender:
    bits = 2 if type == TERNARY else vmc.dtype(type).width

    def store(weights: Weights) -> Stored:
        return quantized(kernel, type, weights)

    return Contender(f"vmc {kernel.name} {type}", "vmc", type, bits, kernel.compute, store)
