"""What peers have in common: products of torch tensors, with copies of the tensors that they read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.problem import Tensor
from benchmarks.matmul.contender import Product


@dataclass(frozen=True, eq=False)
class Tensors:
    """Weights that consist of `tensors`; `prepare` makes, from activations and one copy of them, a function that
    multiplies and returns the product. `dense` is what the weights stand for, f32[K, N].
    """

    tensors: tuple[Tensor, ...]
    dtype: Any
    prepare: Callable[..., Callable[[], Tensor]]
    dense: Callable[[], Tensor]

    @property
    def nbytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    def values(self) -> Tensor:
        return self.dense()

    def load(self, x: Tensor, copies: int) -> Sequence[Product]:
        inputs = x.to(self.dtype)
        return [returning(self.prepare(inputs, *(tensor.clone() for tensor in self.tensors))) for _ in range(copies)]


def returning(multiply: Callable[[], Tensor]) -> Product:
    """A product whose result is what the latest call returned."""
    last: list[Tensor] = [None]

    def run() -> None:
        last[0] = multiply()

    return Product(run, lambda: last[0].float())
