"""All weights of a network in one array, their gradients in a second, and Adam over both."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from networks.kernels import Array, Layers


class Parameters:
    """`values[name]` and `gradients[name]` are views of `flat` and `flat_gradients`, in the order of `initial`."""

    def __init__(self, layers: Layers, initial: Mapping[str, Array]) -> None:
        self._layers = layers
        size = sum(prod(array.shape) for array in initial.values())
        self.flat, self.flat_gradients = layers.zeros(size), layers.zeros(size)
        self._mean, self._square = layers.zeros(size), layers.zeros(size)
        self._steps = 0
        self.values: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        place = 0
        for name, array in initial.items():
            end = place + array.size
            self.values[name] = self.flat[place:end].reshape(array.shape)
            self.gradients[name] = self.flat_gradients[place:end].reshape(array.shape)
            self.values[name][...] = array
            place = end

    def adam(
        self, rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, decay: float = 0.0
    ) -> None:
        """One step of AdamW by the gradients (Kingma and Ba 2015; Loshchilov and Hutter 2019)."""
        self._steps += 1
        warm1, warm2 = 1 - beta1**self._steps, 1 - beta2**self._steps
        self._layers("adam")(
            self.flat_gradients,
            *(rate, beta1, beta2, warm1, warm2, epsilon, decay),
            *(self._mean, self._square, self.flat),
        )
