"""GPTQ (Frantar et al. 2023): the columns of a matrix are rounded in turn, and the later ones make good what is lost.

The matrices of a network are rounded in the order of its layers, each by what it multiplies in the network whose
earlier matrices are rounded already.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from networks.dense import Products
from networks.kernels import Array
from networks.transformer import Transformer

import vmc
from discquant.grid import Codes, Grid, Quantizer, empty_codes, plain

DAMP = 0.01


def round_matrix(quantizer: Quantizer, w: Array, h: Array, grid: Grid, ordered: bool) -> Codes:
    """Codes of w f32 [outputs, inputs] by the moments h f32 [inputs, inputs] of what it multiplies.

    The scales are those of rounding to nearest. `ordered`: the inputs of greatest moments first ("act-order").
    """
    inputs = w.shape[1]
    order = np.argsort(-np.diag(h), kind="stable") if ordered else np.arange(inputs)
    scale = quantizer.scales(w, grid)
    each = np.repeat(scale.astype(np.float32), inputs // scale.shape[1], axis=1)
    u = np.empty_like(h)
    quantizer.kernels("inverse_factor", K=inputs)(DAMP, np.ascontiguousarray(h[np.ix_(order, order)]), u)
    codes = empty_codes(w.shape, grid)
    arrays = (np.ascontiguousarray(array[:, order]) for array in (w, each))
    quantizer.kernels("gptq", T=grid.type, K=inputs)(*arrays, u, codes)
    found = np.empty(w.shape, np.uint8)
    found[:, order] = plain(Codes(grid, codes, scale), w.shape)
    return Codes(grid, vmc.pack(found, grid.type), scale)


class Moments:
    """`Products` that also sum x' x of what one matrix, `name`, multiplies."""

    def __init__(self, quantizer: Quantizer, products: Products, name: str, inputs: int) -> None:
        self.h = np.zeros((inputs, inputs), np.float32)
        self._kernel = quantizer.kernels("moments")
        self._products = products
        self._name = name

    def forward(self, x: Array, w: Array, name: str) -> Array:
        if name == self._name:
            self._kernel(x, self.h)
        return self._products.forward(x, w, name)

    def backward(self, dy: Array, x: Array, w: Array, name: str, dw: Array) -> Array:
        return self._products.backward(dy, x, w, name, dw)


def round_network(
    quantizer: Quantizer, network: Transformer, batches: Iterable[Array], grid: Grid, ordered: bool
) -> dict[str, Codes]:
    """All matrices of the network's blocks; its weights become the rounded ones."""
    found = {}
    products = network.products
    held = list(batches)
    for name, (_, inputs) in network.shape.matrices.items():
        moments = Moments(quantizer, products, name, inputs)
        network.products = moments
        for ids in held:
            network.forward(ids)
        w = network.parameters.values[name]
        found[name] = round_matrix(quantizer, w, moments.h, grid, ordered)
        w[...] = quantizer.dequantize(found[name], w.shape)
    network.products = products
    return found
