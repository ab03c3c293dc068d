"""torch's contenders: int4 and int8 weights with bf16 activations, and the dense products that they stand in for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.matmul.contender import Contender, Product, library
from benchmarks.matmul.problem import Array, Weights, restored, rounded

INSTALL = "pip install torch (on Linux a CPU build saves gigabytes)"
INT4_GROUPS = (32, 64, 128, 256)


@dataclass(frozen=True, eq=False)
class Stored:
    """`tensors` are what one copy of the weights consists of; `apply` multiplies with them."""

    tensors: tuple[Any, ...]
    dtype: Any
    apply: Callable[..., Any]
    dense: Callable[[], Array]

    @property
    def nbytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    def values(self) -> Array:
        return self.dense()

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        torch = library("torch", INSTALL)
        inputs = torch.from_numpy(x).to(self.dtype)
        return [self.product(inputs, [tensor.clone() for tensor in self.tensors]) for _ in range(copies)]

    def product(self, inputs: Any, tensors: Sequence[Any]) -> Product:
        last: list[Any] = [None]

        def run() -> None:
            last[0] = self.apply(inputs, *tensors)

        return Product(run, lambda: np.asarray(last[0].float().numpy()))


def contenders(threads: int) -> list[Contender]:
    """Raises Missing."""
    torch = library("torch", INSTALL)
    torch.set_num_threads(threads)
    return [
        Contender("torch int4", "torch", "u4", 4, "bf16", store_int4, lambda shape: shape.group in INT4_GROUPS),
        Contender("torch int8 a column", "torch", "i8", 8, "bf16", store_int8),
        Contender("torch dense bf16", "torch", "bf16", 16, "bf16", lambda w: store_dense(w, torch.bfloat16)),
        Contender("torch dense f32", "torch", "f32", 32, "f32", lambda w: store_dense(w, torch.float32)),
    ]


def store_int4(weights: Weights) -> Stored:
    torch = library("torch", INSTALL)
    group = weights.shape.group
    integers, scales = rounded(weights.values, group, -8, 7)
    codes = torch.from_numpy(np.ascontiguousarray((integers + 8).T.astype(np.int32)))
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 8)
    factors = torch.from_numpy(scales).to(torch.bfloat16)
    both = torch.stack([factors, torch.zeros_like(factors)], dim=-1).contiguous()
    apply = torch.ops.aten._weight_int4pack_mm_for_cpu

    def dense() -> Array:
        return restored(integers, factors.float().numpy(), group)

    return Stored((packed, both), torch.bfloat16, lambda x, w, s: apply(x, w, group, s), dense)


def store_int8(weights: Weights) -> Stored:
    torch = library("torch", INSTALL)
    k = weights.shape.k
    integers, scales = rounded(weights.values, k, -127, 127)
    codes = torch.from_numpy(np.ascontiguousarray(integers.T.astype(np.int8)))
    factors = torch.from_numpy(scales[0]).to(torch.bfloat16)

    def dense() -> Array:
        return restored(integers, factors.float().numpy()[None], k)

    return Stored((codes, factors), torch.bfloat16, torch.ops.aten._weight_int8pack_mm, dense)


def store_dense(weights: Weights, dtype: Any) -> Stored:
    torch = library("torch", INSTALL)
    matrix = torch.from_numpy(np.ascontiguousarray(weights.values.T)).to(dtype)

    def dense() -> Array:
        return np.asarray(matrix.float().numpy().T)

    return Stored((matrix,), dtype, torch.nn.functional.linear, dense)
