"""Random arguments of a kernel for timing, as each of its variants wants them packed, in copies that take turns."""

from __future__ import annotations

from collections.abc import Mapping
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
        """Calls of a variant that take turns with the copies."""
        sets = [self.of(variant) for _ in range(copies_for(self.size, cold))]
        return Lane([call(variant, values, self.symbols) for values in sets])

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(value.nbytes for value in self.values.values() if isinstance(value, np.ndarray))


def storages(kernel: Kernel) -> str:
    """The order of the kernel's tensors, as a key."""
    return repr(sorted(kernel.storages.items(), key=lambda item: item[0]))


def call(kernel: Kernel, values: Mapping[str, Any], symbols: Mapping[str, int]) -> partial[None]:
    """The call as a program would write it: without the symbols where shapes tell them, which is checked by calling."""
    from vmc.runtime.errors import ArgumentError

    bare = partial(kernel, *values.values())
    try:
        bare()
    except ArgumentError:
        return partial(kernel, **values, **{name: symbols[name] for name in kernel.symbols})
    return bare
