"""What a configuration of four-bit training is: a format, and what is done besides rounding to nearest."""

from __future__ import annotations

from dataclasses import dataclass

ESTIMATORS = ("straight", "power", "sigmoid", "spline")
"""What stands in for the derivative of rounding: their places are what the kernels call them."""


@dataclass(frozen=True)
class Format:
    """Blocks of `block` numbers of f4e2m1 and a scale of type `scale`; with `tensor`, one f32 for the whole as well."""

    scale: str
    block: int
    tensor: bool = False


MXFP4 = Format("f8e8m0", 32)
NVFP4 = Format("f8e4m3", 16, tensor=True)
E4M3 = Format("f8e4m3", 16)
UE5M3 = Format("f8e5m3u", 16)


@dataclass(frozen=True)
class Recipe:
    """`rotate`: both operands of every product by random Hadamard matrices. `stochastic`: gradients are rounded so.
    `estimator`: of the gradient through the rounding of weights; `scale_slope`: of that through their scale.
    """

    format: Format
    rotate: bool = False
    stochastic: bool = False
    estimator: str = "straight"
    scale_slope: float = 0.0
