"""OpenVINO's contenders: a product whose weights are constants of 2, 4 or 8 bits, decompressed inside the operation.

The CPU plugin computes in bf16 where the processor has it; asked for f32, it quantizes activations to int8, a scale for
32 of them. Both are contenders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.matmul.contender import Contender, Product, library
from benchmarks.matmul.problem import Array, Shape, Weights, packed_bits, restored, rounded

INSTALL = "pip install openvino"
WIDTHS = (2, 4, 8)
PRECISIONS = {"bf16": {"INFERENCE_PRECISION_HINT": "bf16"}, "int8": {"INFERENCE_PRECISION_HINT": "f32"}}


@dataclass(frozen=True, eq=False)
class Stored:
    """`codes` i16[K, N] without their zero point, `scales` f16[K / group, N]."""

    bits: int
    shape: Shape
    codes: Array
    scales: Array
    properties: dict[str, Any]

    @property
    def nbytes(self) -> int:
        return self.codes.size * self.bits // 8 + self.scales.nbytes

    def values(self) -> Array:
        return restored(self.codes, self.scales, self.shape.group)

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        return [product(self, x) for _ in range(copies)]


def contenders(threads: int) -> list[Contender]:
    """Raises Missing."""
    core = library("openvino", INSTALL).Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precisions = [name for name in PRECISIONS if name != "bf16" or "BF16" in able]
    return [contender(bits, precision, threads) for bits in WIDTHS for precision in precisions]


def contender(bits: int, precision: str, threads: int) -> Contender:
    properties = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}

    def store(weights: Weights) -> Stored:
        codes, scales = rounded(weights.values, weights.shape.group, -(1 << bits - 1), (1 << bits - 1) - 1)
        return Stored(bits, weights.shape, codes, scales, properties | PRECISIONS[precision])

    return Contender(f"openvino u{bits} {precision}", "openvino", f"u{bits}", bits, precision, store)


def product(stored: Stored, x: Array) -> Product:
    ov = library("openvino", INSTALL)
    model = compressed_product(ov, stored, len(x))
    request = ov.Core().compile_model(model, "CPU", stored.properties).create_infer_request()
    request.set_input_tensor(ov.Tensor(x))
    return Product(request.infer, lambda: np.array(request.get_output_tensor().data, np.float32))


def compressed_product(ov: Any, stored: Stored, m: int) -> Any:
    """x @ ((w - zero point) * scale), in the form that the plugin recognizes: w is [N, K / group, group]."""
    op, shape, bits = ov.opset13, stored.shape, stored.bits
    zero, groups = 1 << bits - 1, shape.k // shape.group
    codes = stored.codes.T.reshape(shape.n, groups, shape.group) + zero
    scales = np.ascontiguousarray(stored.scales.T).reshape(shape.n, groups, 1)
    w, z = (op.convert(narrow(ov, part, bits), np.float16) for part in (codes, np.full(scales.shape, zero)))
    scaled = op.multiply(op.subtract(w, z), op.constant(scales))
    matrix = op.convert(op.reshape(scaled, op.constant(np.array([shape.n, shape.k])), False), np.float32)
    x = op.parameter([m, shape.k], np.float32)
    return ov.Model([op.matmul(x, matrix, False, True)], [x])


def narrow(ov: Any, codes: Array, bits: int) -> Any:
    """A constant of unsigned codes, packed over all its elements."""
    tensor = ov.Tensor(getattr(ov.Type, f"u{bits}"), ov.Shape(codes.shape))
    tensor.data.reshape(-1)[:] = packed_bits(codes.reshape(-1), bits)
    return ov.op.Constant(tensor, shared_memory=True)
