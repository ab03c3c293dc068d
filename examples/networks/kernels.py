"""The kernels of a file for one target, each compiled when it is first wanted with these bindings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import vmc

LAYERS = Path(__file__).with_name("layers.vmc")
Array = npt.NDArray[Any]


class Kernels:
    """`Kernels(path, target)("product_nt", T="f64")` is a compiled kernel; asked for again, it is the same one."""

    def __init__(self, path: Path, target: str = "cpu") -> None:
        self.path = path
        self.target = target
        self._compiled: dict[tuple[str, tuple[tuple[str, Any], ...]], vmc.Kernel] = {}

    def __call__(self, name: str, **bindings: Any) -> vmc.Kernel:
        key = (name, tuple(sorted(bindings.items())))
        if key not in self._compiled:
            self._compiled[key] = vmc.compile(self.path, name, self.target, **bindings)
        return self._compiled[key]


class Layers:
    """The kernels of layers.vmc for numbers of one type, "f32" or "f64"."""

    def __init__(self, target: str = "cpu", type: str = "f32") -> None:
        self.kernels = Kernels(LAYERS, target)
        self.type = type
        self.dtype = np.dtype(np.float64 if type == "f64" else np.float32)

    def __call__(self, name: str, **bindings: Any) -> vmc.Kernel:
        return self.kernels(name, T=self.type, **bindings)

    def empty(self, *shape: int) -> Array:
        return np.empty(shape, self.dtype)

    def zeros(self, *shape: int) -> Array:
        return np.zeros(shape, self.dtype)
