"""ONNX Runtime's contenders: MatMulNBits with 2, 4 and 8 bits, activations quantized to int8 (accuracy_level 4).

All sessions share one pool of threads, so that idle pools of other copies do not spin beside the one that works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.matmul.contender import Contender, Product, library
from benchmarks.matmul.problem import Array, Shape, Weights, packed_bits, restored, rounded

INSTALL = "pip install onnxruntime onnx"
GROUPS = (16, 32, 64, 128, 256)
WIDTHS = (2, 4, 8)


@dataclass(frozen=True, eq=False)
class Stored:
    """`codes` i16[K, N] without their zero point, `scales` f16[K / group, N]; as the operator wants them, `model`."""

    bits: int
    shape: Shape
    codes: Array
    scales: Array

    @property
    def nbytes(self) -> int:
        return self.codes.size * self.bits // 8 + 4 * self.scales.size

    def values(self) -> Array:
        return restored(self.codes, self.scales, self.shape.group)

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        model = operator_model(self, len(x))
        return [product(model, x, self.shape.n) for _ in range(copies)]


def contenders(threads: int) -> list[Contender]:
    """Raises Missing."""
    library("onnx", INSTALL)
    library("onnxruntime", INSTALL)
    share_threads(threads)
    return [contender(bits) for bits in WIDTHS]


@lru_cache(maxsize=1)
def share_threads(threads: int) -> None:
    """The pool can be made only once in a process."""
    library("onnxruntime", INSTALL).set_global_thread_pool_sizes(threads, 1)


def contender(bits: int) -> Contender:
    def store(weights: Weights) -> Stored:
        codes, scales = rounded(weights.values, weights.shape.group, -(1 << bits - 1), (1 << bits - 1) - 1)
        return Stored(bits, weights.shape, codes, scales)

    type = f"u{bits}"
    return Contender(
        f"onnxruntime {type}", "onnxruntime", type, bits, "int8", store, lambda shape: shape.group in GROUPS
    )


def operator_model(stored: Stored, m: int) -> bytes:
    """A model of one operator. Its weights are uint8[N, K / group, group * bits / 8] and f32[N, K / group]."""
    onnx = library("onnx", INSTALL)
    make, shape, bits = onnx.helper, stored.shape, stored.bits
    grouped = stored.codes.T.reshape(shape.n, shape.k // shape.group, shape.group) + (1 << bits - 1)
    weights = onnx.numpy_helper.from_array(packed_bits(grouped, bits), "w")
    scales = onnx.numpy_helper.from_array(np.ascontiguousarray(stored.scales.T.astype(np.float32)), "scale")
    sizes = {"K": shape.k, "N": shape.n, "bits": bits, "block_size": shape.group, "accuracy_level": 4}
    node = make.make_node("MatMulNBits", ["x", "w", "scale"], ["y"], domain="com.microsoft", **sizes)
    x, y = (
        make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, extents)
        for name, extents in (("x", [m, shape.k]), ("y", [m, shape.n]))
    )
    graph = make.make_graph([node], "product", [x], [y], [weights, scales])
    versions = [make.make_opsetid("", 17), make.make_opsetid("com.microsoft", 1)]
    model: bytes = make.make_model(graph, opset_imports=versions, ir_version=10).SerializeToString()
    return model


def product(model: bytes, x: Array, n: int) -> Product:
    runtime = library("onnxruntime", INSTALL)
    options = runtime.SessionOptions()
    options.use_per_session_threads = False
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = runtime.OrtValue.ortvalue_from_numpy(x)
    outputs: Any = runtime.OrtValue.ortvalue_from_numpy(np.zeros((len(x), n), np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", inputs)
    binding.bind_ortvalue_output("y", outputs)
    return Product(lambda: session.run_with_iobinding(binding), lambda: np.asarray(outputs.numpy()))
