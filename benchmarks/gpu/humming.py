"""Humming: integers and floats of 1 to 8 bits with f16 activations, compiled at their first call (`humming.layer`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.peers import returning
from benchmarks.gpu.problem import Tensor, Weights
from benchmarks.matmul.contender import Contender, Product, library

HOW = 'pip install "humming-kernels[cu13]" (it compiles with nvcc or NVRTC where it runs)'
TYPES = {
    **{f"i{bits}": f"int{bits}" for bits in range(2, 9)},
    "f4e2m1": "float4e2m1",
    "f6e2m3": "float6e2m3",
    "f6e3m2": "float6e3m2",
    "f8e4m3": "float8e4m3",
}
"""Its symmetric integers and floats, by vmc's names."""


@dataclass(frozen=True, eq=False)
class Stored:
    """One layer as it was quantized; a copy is a layer that is loaded again."""

    weights: Weights
    type: str

    def layer(self) -> Any:
        """A layer with the weights in its checkpoint's order."""
        torch, humming = library("torch", INSTALL), library("humming.layer", HOW)
        shape = self.weights.shape
        layer = humming.HummingLayer(
            shape_n=shape.n,
            shape_k=shape.k,
            weight_config={"dtype": self.type, "group_size": shape.group},
            torch_dtype=torch.float16,
        ).to(self.weights.device.name)
        layer.load_from_unquantized(self.weights.values.T.contiguous())
        return layer

    def values(self) -> Tensor:
        """f32[K, N]: what it makes of the weights."""
        layer = self.layer()
        tensors = {name: parameter.data for name, parameter in layer.named_parameters()}
        return layer.weight_schema.dequant_tensors(tensors).float().T.contiguous()

    @cached_property
    def nbytes(self) -> int:
        return sum(parameter.numel() * parameter.element_size() for _, parameter in self.layer().named_parameters())

    def load(self, x: Tensor, copies: int) -> Sequence[Product]:
        torch = library("torch", INSTALL)
        inputs = x.to(torch.float16)
        products = []
        for _ in range(copies):
            layer = self.layer()
            layer.transform()
            y = torch.empty(x.shape[0], self.weights.shape.n, dtype=torch.float16, device=x.device)
            products.append(returning(lambda layer=layer, y=y: layer(inputs, outputs=y)))  # type: ignore[misc]
        return products


def contenders(device: Device) -> list[Contender]:
    """Raises Missing."""
    library("humming", HOW)
    return [contender(ours, theirs) for ours, theirs in TYPES.items()]


def contender(ours: str, theirs: str) -> Contender:
    return Contender(f"humming {theirs}", "humming", ours, int(ours[1]), "f16", lambda weights: Stored(weights, theirs))
