"""How a quantized network multiplies: by weights between two codes while it is trained, by codes when it is served."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from networks.kernels import Array, Kernels, Layers

import vmc
from discquant.grid import Codes, Grid, Neighbours, Quantizer, plain

SERVING = Path(__file__).resolve().parents[1] / "matmul_wa16.vmc"


class Interpolated:
    """`networks.dense.Products` by weights (1 - x) down + x up. The gradient for a weight is that for its x."""

    def __init__(self, quantizer: Quantizer, matrices: Mapping[str, Neighbours], x: Mapping[str, Array]) -> None:
        self._kernels = quantizer.kernels
        self._matrices = matrices
        self._x = x

    def forward(self, x: Array, w: Array, name: str) -> Array:
        y = np.empty((x.shape[0], w.shape[0]), np.float32)
        self._run("interpolate_nt", name, w, x, self._x[name], y=y)
        return y

    def backward(self, dy: Array, x: Array, w: Array, name: str, dw: Array) -> Array:
        self._run("interpolate_gradient", name, w, dy, x, dx=dw)
        da = np.empty_like(x)
        self._run("interpolate_nn", name, w, dy, self._x[name], da=da)
        return da

    def _run(self, kernel: str, name: str, w: Array, first: Array, second: Array, **out: Array) -> None:
        m = self._matrices[name]
        bindings = m.grid.of(w.shape[1])
        step = int(np.gcd(int(bindings["G"]), 64))
        self._kernels(kernel, **bindings, BK=step)(first, second, m.down, m.up, m.scale, **out)


class Served:
    """The forward products of a network by examples/matmul_wa16.vmc: activations f16, weights as it packs them."""

    def __init__(self, layers: Layers, matrices: Mapping[str, Codes], shapes: Mapping[str, tuple[int, int]]) -> None:
        self._kernels = Kernels(SERVING, layers.kernels.target)
        self._packed: dict[str, tuple[vmc.Kernel, Array, Array]] = {}
        for name, found in matrices.items():
            codes = np.ascontiguousarray(plain(found, shapes[name]).T)
            kernel = self._kernel(found.grid, shapes[name][1])
            scale = np.ascontiguousarray(found.scale.T)
            self._packed[name] = kernel, kernel.pack("w", codes), scale

    def forward(self, x: Array, w: Array, name: str) -> Array:
        kernel, packed, scale = self._packed[name]
        y = np.empty((x.shape[0], w.shape[0]), np.float16)
        kernel(x.astype(np.float16), packed, scale, y)
        return y.astype(np.float32)

    def backward(self, dy: Array, x: Array, w: Array, name: str, dw: Array) -> Array:
        raise NotImplementedError("served weights are not trained")

    def _kernel(self, grid: Grid, inputs: int) -> vmc.Kernel:
        group = grid.group or inputs
        return self._kernels("matmul_wa16", T=grid.type, G=group, BK=int(np.gcd(group, 64)))
