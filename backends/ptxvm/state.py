"""The state of the threads that execute together: values, unset bits, and the threads that the current step is for.

A cohort is some blocks of a launch, all their threads side by side in every array. A register's value is an array of
one entry per thread, or of one entry alone where all threads have the same. Bits that depend on memory never written
are *unset*: `taint` has, for the registers that hold some, a mask of those bits and the instruction that loaded them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vmc.backends.ptxvm.arrays import Array, Bools, ones, slot_dtype
from vmc.backends.ptxvm.errors import UninitialisedError

if TYPE_CHECKING:
    from vmc.backends.ptxvm.copies import Copies
    from vmc.backends.ptxvm.counting import Counters
    from vmc.backends.ptxvm.mbarriers import Mbarriers
    from vmc.backends.ptxvm.order import Order
    from vmc.backends.ptxvm.program import Program
    from vmc.backends.ptxvm.releases import Releases
    from vmc.backends.ptxvm.spaces import GlobalSpace, LocalSpace, SharedSpace
    from vmc.backends.ptxvm.warpgroups import Warpgroups

Taint = tuple[Array, int]
"""Bits that are not set, and the number of the instruction they come from (-1: the register was never written)."""

Rule = Callable[[Sequence[Array], Sequence["Array | None"]], Array]
"""From the values of the sources and their unset bits (None: all set) to the unset bits of the result."""


@dataclass
class Cohort:
    """See above. `mask`: the threads that the current step is for; `full`: all there are; `yields`: they wait for
    others, which should have a turn."""

    program: Program
    size: int
    per_block: int
    first_block: int
    values: list[Array]
    taint: dict[int, Taint]
    mask: Bools
    full: bool
    exists: Bools
    global_space: GlobalSpace
    shared: SharedSpace
    local: LocalSpace
    parameters: Array
    order: Order
    copies: Copies
    counters: Counters | None
    carry: Array
    mbarriers: Mbarriers
    releases: Releases | None = None
    warpgroups: Warpgroups | None = None
    yields: bool = False
    step: int = 0
    _active: Array | None = None

    def focus(self, mask: Bools) -> None:
        """Make `mask` the threads that the next steps are for."""
        self.mask = mask
        self.full = bool(mask.all())
        self._active = None

    @property
    def active(self) -> Array:
        """The numbers of the threads that the step is for."""
        if self._active is None:
            self._active = np.flatnonzero(self.mask)
        return self._active

    def wide(self, slot: int) -> Array:
        """A register's value with an entry for every thread."""
        value = self.values[slot]
        return value if len(value) == self.size else np.broadcast_to(value, (self.size,))

    def chosen(self, slot: int) -> Array:
        """A register's value in the threads that the step is for."""
        value = self.values[slot]
        if len(value) != self.size:
            return np.broadcast_to(value, (len(self.active),))
        return value if self.full else value[self.active]

    def put(self, slot: int, value: Array, unset: Array | None = None, origin: int = -1) -> None:
        """Write a register in the threads that the step is for."""
        values = self.values
        if self.full:
            values[slot] = value
            if unset is not None:
                self.taint[slot] = (unset, origin)
            elif self.taint:
                self.taint.pop(slot, None)
            return
        values[slot] = np.where(self.mask, value, values[slot])
        old = self.taint.get(slot)
        if unset is None and old is None:
            return
        zero = slot_dtype(self.program.widths[slot]).type(0)
        bits = np.where(self.mask, zero if unset is None else unset, zero if old is None else old[0])
        if bits.any():
            self.taint[slot] = (bits, origin if unset is not None or old is None else old[1])
        else:
            self.taint.pop(slot, None)

    def scatter(self, values: Array) -> Array:
        """Values [active] of the step's threads, as an array with an entry for every thread."""
        if self.full:
            return values
        result = np.zeros(self.size, values.dtype)
        result[self.active] = values
        return result

    def unset_of(self, slot: int) -> Taint | None:
        """The unset bits of a register in the step's threads, [active]; None if all are set."""
        found = self.taint.get(slot)
        if found is None:
            return None
        bits, origin = found
        bits = np.broadcast_to(bits, (self.size,))[self.active]
        return (bits, origin) if bits.any() else None

    def require(self, slot: int, what: str) -> None:
        """Raises UninitialisedError if a step's thread has unset bits in a register."""
        if slot not in self.taint:
            return
        found = self.unset_of(slot)
        if found is not None:
            thread = int(self.active[np.flatnonzero(found[0])[0]])
            raise self.unset_error(what, thread, found[1])

    def unset_error(self, what: str, thread: int, origin: int) -> UninitialisedError:
        """The error for a use of unset bits."""
        block, place = divmod(thread, self.per_block)
        reason = "loaded from memory never written" if origin >= 0 else "of a register never written"
        error = UninitialisedError(
            f"{what} depends on bits {reason} (thread {place} of block {block + self.first_block})",
            threads=((block + self.first_block, place),),
        )
        if origin >= 0:
            error.since(origin)
        return error

    def settle(self, slot: int, sources: Sequence[int], value: Array, rule: Rule) -> None:
        """Write a result in the threads that execute."""
        if self.taint:
            self.spread(slot, sources, value, rule)
        else:
            self.put(slot, value)

    def spread(self, slot: int, sources: Sequence[int], value: Array, rule: Rule) -> None:
        """Write a result whose sources may have unset bits."""
        taint = self.taint
        found = [taint.get(s) for s in sources]
        if not any(found):
            self.put(slot, value)
            return
        inputs = [self.values[s] for s in sources]
        unset = [None if f is None else f[0] for f in found]
        bits = rule(inputs, unset)
        origin = next(f[1] for f in found if f is not None)
        width = self.program.widths[slot]
        bits = np.asarray(bits).astype(slot_dtype(width), copy=False)
        bits = np.broadcast_to(bits, np.broadcast_shapes(bits.shape, self.mask.shape)) & self._active_ones(width)
        self.put(slot, value, bits if bits.any() else None, origin)

    def _active_ones(self, width: int) -> Array:
        result: Array = np.where(self.mask, ones(width), slot_dtype(width).type(0))
        return result
