"""How much of the boxes of interval propagation is reached: 1 where they are exact.

For a network without relu the box of the outputs has radius |w_n| ... |w_1| epsilon, and the outputs reach
|w_n ... w_1| epsilon. With relu both are taken along the units that are on at a point (the paper's local tightness).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from networks.kernels import Array
from networks.mlp import Mlp

from ibp.boxes import Ibp


def of_matrices(ibp: Ibp, matrices: Sequence[Array]) -> Array:
    """The tightness of each output of a linear network; matrices [outputs, inputs], the first one first."""
    return _along(ibp, matrices, [ibp.layers.zeros(1, len(w)) + 1 for w in matrices[:-1]])[0]


def of_network(ibp: Ibp, network: Mlp, x: Array) -> Array:
    """The local tightness [rows, classes] of a perceptron at rows x."""
    found = network.forward(x)
    masks = [np.empty_like(active) for active in found[1:-1]]
    for active, mask in zip(found[1:-1], masks, strict=True):
        ibp("pattern")(active.reshape(-1), mask.reshape(-1))
    matrices = [network.parameters.values[f"w{place}"] for place in range(network.depth)]
    return _along(ibp, matrices, masks)


def _along(ibp: Ibp, matrices: Sequence[Array], masks: Sequence[Array]) -> Array:
    """The tightness [rows, outputs] along units of which masks [rows, units] are 1."""
    rows, outputs = len(masks[0]) if masks else 1, len(matrices[-1])
    exact = np.ascontiguousarray(np.broadcast_to(matrices[-1], (rows, *matrices[-1].shape)))
    bound = np.abs(exact)
    for w, mask in zip(reversed(matrices[:-1]), reversed(masks), strict=True):
        products = [ibp.layers.empty(rows, outputs, w.shape[1]) for _ in range(2)]
        ibp("masked_product", K=outputs)(exact, mask, w, products[0])
        ibp("masked_product", K=outputs, ABS=True)(bound, mask, w, products[1])
        exact, bound = products
    share = ibp.layers.empty(rows * outputs)
    ibp("reached")(exact.reshape(rows * outputs, -1), bound.reshape(rows * outputs, -1), share)
    return share.reshape(rows, outputs)
