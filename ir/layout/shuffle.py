"""Shuffles: permutations of a memory's bits that digits cannot say, as decoding by few instructions wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vmc.ir.layout.digits import BIT, LayoutError
from vmc.ir.layout.layout import Layout
from vmc.ir.layout.swizzle import Array


@dataclass(frozen=True)
class Shuffle:
    """Bit p of every run of len(order) bits goes to place order[p] of the run; `outer` then places all runs' bits.

    Raises LayoutError where `order` is no permutation, or `outer` no memory layout of whole runs.
    """

    order: tuple[int, ...]
    outer: Layout

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise LayoutError(f"a shuffle of {len(self.order)} bits is no permutation of them")
        if self.outer.axes != (BIT,) or self.outer.element_bits or self.outer.size % max(1, len(self.order)):
            raise LayoutError(f"{self.outer} does not place runs of {len(self.order)} bits in memory")

    def __hash__(self) -> int:
        return hash(self.order)

    def __call__(self, places: Array) -> Array:
        """Where bits at `places` go. Raises LayoutError beyond the last run."""
        if places.size and int(places.max()) >= self.outer.size:
            raise LayoutError(f"a shuffle of {self.outer.size} bits has no bit {int(places.max())}")
        runs, inside = np.divmod(places, len(self.order))
        moved = runs * len(self.order) + np.asarray(self.order, np.int64)[inside]
        return self.outer.apply_flat(moved)[BIT]
