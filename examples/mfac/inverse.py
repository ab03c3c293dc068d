"""F^-1 for F = lambda I + (1/m) sum_i g_i g_i^T, applied to vectors: static and dynamic M-FAC, in f32 or f64."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import vmc

KERNELS = Path(__file__).with_name("mfac.vmc")
PANEL = 32
PARTS = 16
"""Into how many parts the columns are dealt where a panel is multiplied by itself."""

Array = npt.NDArray[np.floating[Any]]


@cache
def kernel(name: str, target: str, **bindings: Any) -> vmc.Kernel:
    return vmc.compile(KERNELS, name, target, **bindings)


class Static:
    """Of gradients [m, d] and `damp`, lambda: O(d m^2) once, O(d m) for a product, and the diagonal of F^-1."""

    def __init__(self, gradients: Array, damp: float, target: str = "cpu") -> None:
        self.damp, self.target, self.type = damp, target, gradients.dtype
        self.v = np.zeros_like(gradients)
        self.q = np.ones(len(gradients), self.type)
        for first in range(0, len(gradients), PANEL):
            self._panel(first, gradients)

    def _panel(self, first: int, gradients: Array) -> None:
        products = np.empty((PANEL, len(gradients)), self.type)
        parts = np.empty((PARTS, PANEL, PANEL), self.type)
        b = np.empty((PANEL, PANEL), self.type)
        self._run("panel_dots", first, gradients, self.v, self.q, products)
        self._run("panel_reduce", first, self.damp, gradients, products, self.v)
        self._run("panel_gram", first, gradients, self.v, parts)
        self._run("panel_coefficients", first, parts, b, self.q)
        self._run("panel_mix", first, b, self.v)

    def _run(self, name: str, *arguments: Any) -> None:
        kernel(name, self.target, T=self.type.name)(*arguments)

    def product(self, x: Array) -> Array:
        """F^-1 x, for x [d]."""
        coefficients = np.empty_like(self.q)
        y = np.empty_like(x)
        self._run("row_dots", self.v, x, self.q, coefficients)
        self._run("combine", self.damp, x, self.v, coefficients, y)
        return y

    def diagonal(self) -> Array:
        """The diagonal of F^-1, [d]."""
        y = np.empty(self.v.shape[1], self.type)
        self._run("diagonal", self.damp, self.v, self.q, y)
        return y


class Dynamic:
    """Of gradients [m, d], which are copied, and `damp`: replacing one costs O(d m + m^3), a product O(d m + m^2)."""

    def __init__(self, gradients: Array, damp: float, target: str = "cpu") -> None:
        m = len(gradients)
        self.damp, self.target, self.type = damp, target, gradients.dtype
        self.gradients = gradients.copy()
        self.next = 0
        self._ones = np.ones(m, self.type)
        self.s, self.u = np.empty((2, m, m), self.type)
        self.b = np.zeros((m, m), self.type)
        self.q = np.empty(m, self.type)
        self._run("gram", self.gradients, self.s)
        self._factor()

    def _run(self, name: str, *arguments: Any) -> None:
        kernel(name, self.target, T=self.type.name)(*arguments)

    def _factor(self) -> None:
        """From s to q, u and b."""
        panels = range(0, len(self.s), PANEL)
        self._run("shifted", self.damp, self.s, self.u)
        for first in panels:
            self._run("lu_diagonal", first, self.u)
            self._run("lu_panels", first, self.u)
            self._run("lu_trailing", first, self.u)
        self._run("pivots", self.u, self.q)
        for first in panels:
            self._run("coefficient_rows", first, self.damp, self.u, self.q, self.b)

    def replace(self, gradient: Array) -> None:
        """The oldest gradient makes room for `gradient` [d]."""
        self._run("replace", self.next, gradient, self.gradients)
        self._run("gram_row", self.next, self.gradients, self.s)
        self.next = (self.next + 1) % len(self.s)
        self._factor()

    def product(self, x: Array) -> Array:
        """F^-1 x, for x [d]."""
        dots, p, coefficients = np.zeros((3, len(self.q)), self.type)
        y = np.empty_like(x)
        self._run("row_dots", self.gradients, x, self._ones, dots)
        self._run("p_solve", self.damp, self.u, self.q, dots, p)
        self._run("mix", self.b, p, coefficients)
        self._run("combine", self.damp, x, self.gradients, coefficients, y)
        return y
