"""Random arguments of a kernel for timing, as each of its variants wants them packed, in copies that take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vmc.commands.run import arguments, copies, launch, repacked, written
from vmc.ir.core import Access
from vmc.tuning.timing import Lane, copies_for

if TYPE_CHECKING:
    from vmc.runtime.kernel import Kernel


class Arguments:
    """Random arguments for a shape, the same for a kernel and its variants."""

    def __init__(self, kernel: Kernel, sizes: Mapping[str, int], seed: int) -> None:
        """Raises Failure for a symbol without a size."""
        given = {p.name: "random" for p in kernel.parameters if p.access is not Access.OUT}
        self.kernel = kernel
        self.values, self.symbols = arguments(kernel, given, sizes, seed)
        self._packed = {storages(kernel): self.values}
        self._sets: dict[tuple[str, bool], list[dict[str, Any]]] = {}

    def of(self, variant: Kernel) -> dict[str, Any]:
        """A copy of the arguments for a variant of the kernel."""
        key = storages(variant)
        if key not in self._packed:
            self._packed[key] = repacked(self.values, self.kernel, variant)
        return copies(self._packed[key])

    def results(self, variant: Kernel) -> dict[str, Any]:
        """What a variant writes. Raises Failure."""
        values = self.of(variant)
        launch(variant, values, self.symbols)
        return {name: values[name] for name in written(variant)}

    def lane(self, variant: Kernel, cold: bool) -> Lane:
        """Calls of a variant that take turns with the copies, which variants that want the same packing share."""
        key = storages(variant), cold
        if key not in self._sets:
            self._sets[key] = [self.of(variant) for _ in range(copies_for(self.size, cold))]
        form = caller(variant, self._sets[key][0], self.symbols)
        return Lane([form(values) for values in self._sets[key]])

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(value.nbytes for value in self.values.values() if isinstance(value, np.ndarray))


def storages(kernel: Kernel) -> str:
    """The order of the kernel's tensors, as a key."""
    return repr(sorted(kernel.storages.items(), key=lambda item: item[0]))


def caller(
    kernel: Kernel, values: Mapping[str, Any], symbols: Mapping[str, int]
) -> Callable[[Mapping[str, Any]], partial[None]]:
    """How to call the kernel as a program would: without the symbols if the arguments tell them, which is tried."""
    from vmc.runtime.errors import ArgumentError

    try:
        kernel(*values.values())
    except ArgumentError:
        named = {name: symbols[name] for name in kernel.symbols}
        return lambda values: partial(kernel, **values, **named)
    return lambda values: partial(kernel, *values.values())
