"""Tensor attention as calls of kernels. Queries [n, d], keys and values [m, d], of f16, f32, f64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations_with_replacement
from math import comb, factorial, prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Chebyshev, Polynomial

import vmc

KERNELS = Path(__file__).with_name("attention.vmc")
PARTS = 8

Array = npt.NDArray[np.floating[Any]]


@cache
def kernel(name: str, target: str, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(KERNELS, name, target, **bindings)


def types(x: Array) -> dict[str, str]:
    """The type of the tensors and that of the arithmetic."""
    return {"T": x.dtype.name, "A": "f64" if x.dtype == np.float64 else "f32"}


def result(x: Array, shape: tuple[int, ...]) -> Array:
    return np.empty(shape, np.float64 if x.dtype == np.float64 else np.float32)


def exact(q: Array, k1: Array, k2: Array, v1: Array, v2: Array, target: str = "cpu") -> Array:
    """Every query with every pair of keys, [n, d]."""
    y = result(q, q.shape)
    kernel("exact", target, D=q.shape[1], **types(q))(q, k1, k2, v1, v2, y)
    return y


class Polynomials:
    """Attention of dimension `d` with a polynomial of `degree` for exp: Taylor's at 0, or with `bound` Chebyshev's
    interpolant on [-bound, bound]. There are C(d + degree, degree) features.
    """

    def __init__(self, d: int, degree: int, bound: float | None = None, target: str = "cpu") -> None:
        monomials = list(combinations_with_replacement(range(d + 1), degree))
        self.places = np.array(monomials, np.int32).reshape(-1, degree)
        self.target = target
        self.coefficients = weights(monomials, d, power_series(degree, bound))
        self.sizes = {"D": d, "G": degree, "R": comb(d + degree, degree)}

    def features(self, x: Array) -> Array:
        """All monomials of each row of x [n, d]: [n, features]."""
        y = result(x, (len(x), self.sizes["R"]))
        kernel("features", self.target, **types(x), **self.sizes)(x, self.places, y)
        return y

    def attend(self, q: Array, keys: Sequence[Array], values: Sequence[Array]) -> Array:
        """Attention over all tuples of one key of each of `keys`, with the products of their `values`: [n, d]."""
        size, accumulate = self.sizes, types(q)["A"]
        product = np.ones_like(result(q, (size["R"], size["D"] + 1)))
        parts = result(q, (PARTS, size["R"], size["D"] + 1))
        for k, v in zip(keys, values, strict=True):
            kernel("gram_parts", self.target, **types(q), **size)(k, v, self.places, parts)
            kernel("gram_product", self.target, A=accumulate, D=size["D"], R=size["R"])(parts, product)
        y = result(q, q.shape)
        coefficients = self.coefficients.astype(y.dtype)
        kernel("apply", self.target, **types(q), **size)(q, self.places, coefficients, product, y)
        return y


def power_series(degree: int, bound: float | None) -> npt.NDArray[np.float64]:
    """The coefficients of 1, x, ..., x^degree that stand for exp."""
    if bound is None:
        return np.array([1.0 / factorial(t) for t in range(degree + 1)])
    fitted = Chebyshev.interpolate(np.exp, degree, domain=[-bound, bound])
    found = fitted.convert(kind=Polynomial).coef
    return np.pad(found, (0, degree + 1 - len(found)))


def weights(monomials: Sequence[tuple[int, ...]], d: int, series: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What each monomial counts in the series of sum_l z_l / d: the multinomial coefficient over d^t."""
    found = []
    for places in monomials:
        powers = [places.count(place) for place in range(d)]
        t = sum(powers)
        found.append(series[t] * factorial(t) / prod(map(factorial, powers)) / d**t)
    return np.array(found)
