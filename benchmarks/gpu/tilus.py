"""Tilus: its example of a product with low-bit weights, tuned by Tilus for each shape at the first call.

The example is a file of Tilus' repository, which its wheel lacks: `TILUS_EXAMPLES` names the folder
`examples/quantization` of a checkout of the installed version.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.peers import returning
from benchmarks.gpu.problem import Tensor, Weights
from benchmarks.matmul.contender import Contender, Missing, Product, library

HOW = "pip install tilus pandas"
FOLDER, MODULE = "TILUS_EXAMPLES", "matmul_a16wx"
TYPES = {
    "i2": "int2b",
    "i3": "int3b",
    "i4": "int4b",
    "i5": "int5b",
    "i6": "int6b",
    "i7": "int7b",
    "i8": "int8",
    "f4e2m1": "float4_e2m1",
    "f6e3m2": "float6_e3m2",
    "f8e4m3": "float8_e4m3",
}
"""The types that its example takes, signed integers and floats, by vmc's names."""


def example() -> Any:
    """The example's module. Raises Missing."""
    library("tilus", HOW)
    folder = os.environ.get(FOLDER)
    if not folder or not (Path(folder) / f"{MODULE}.py").exists():
        raise Missing(
            f"tilus has no packaged product: set {FOLDER} to examples/quantization of a checkout of its repository"
        )
    if folder not in sys.path:
        sys.path.append(folder)
    return library(MODULE, HOW)


def contenders(device: Device) -> list[Contender]:
    """Raises Missing."""
    found, tilus = example(), library("tilus", HOW)
    return [contender(found, ours, getattr(tilus, theirs)) for ours, theirs in TYPES.items() if hasattr(tilus, theirs)]


def contender(found: Any, ours: str, theirs: Any) -> Contender:
    return Contender(
        f"tilus {ours}",
        "tilus",
        ours,
        int(ours[1]),
        "f16",
        lambda weights: Stored(found, weights, theirs),
        lambda shape: shape.k % shape.group == 0 and shape.n % 64 == 0,
    )


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights of one type."""

    example: Any
    weights: Weights
    type: Any

    def layer(self) -> Any:
        tilus, shape = library("tilus", HOW), self.weights.shape
        made = self.example.QuantizedLinear(
            x_dtype=tilus.float16,
            w_dtype=self.type,
            group_size=shape.group,
            in_features=shape.k,
            out_features=shape.n,
        ).to(self.weights.device.name)
        made.load_and_quantize(self.weights.values.T.contiguous())
        return made

    @cached_property
    def nbytes(self) -> int:
        return sum(parameter.numel() * parameter.element_size() for parameter in self.layer().parameters())

    def values(self) -> Tensor:
        """f32[K, N]: the product with the identity, the only way back from its order."""
        torch, k = library("torch", INSTALL), self.weights.shape.k
        return self.layer()(torch.eye(k, dtype=torch.float16, device=self.weights.values.device)).float()

    def load(self, x: Tensor, copies: int) -> Sequence[Product]:
        torch = library("torch", INSTALL)
        inputs = x.to(torch.float16)
        layers = [self.layer() for _ in range(copies)]
        return [returning(lambda layer=layer: layer(inputs)) for layer in layers]  # type: ignore[misc]
