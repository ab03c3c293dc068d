"""The colour of every element of a layout: by lane in registers, by chunk, element or offset in memory."""

from __future__ import annotations

from collections.abc import Sequence

from vmc.drawing.cells import Index, Labels, Run
from vmc.drawing.palette import HUES, cyclic_colour, lane_colour, ramp_colour
from vmc.ir.layout import BIT, LANE, Layout

CHUNK_BITS = 128


class Colours:
    """What the colours of a layout mean, and which one an element has."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.labels = Labels.of(layout)
        self.packed = is_packed(layout)
        self.last = max(layout.cosize(BIT) - 1, 1)

    @property
    def meaning(self) -> str:
        """What elements of one colour have in common."""
        if holders := self.labels.holders:
            return LANE if LANE in holders else holders[-1]
        if self.packed:
            return "element"
        return "16-byte chunk of a 128-byte line" if self.labels.in_bytes else "offset"

    def of(self, held: Sequence[Run], index: Index) -> str:
        """The colour as #rrggbb of the element at an index, of which `held` says where it is."""
        if holders := self.labels.holders:
            axis = LANE if LANE in holders else holders[-1]
            colour = lane_colour if self.layout.cosize(axis) > HUES else cyclic_colour
            return colour(held[0].owner[holders.index(axis)])
        if self.packed:
            return cyclic_colour(self.number(index))
        if self.labels.in_bytes:
            return cyclic_colour(held[0].place // CHUNK_BITS % HUES)
        return ramp_colour(held[0].place / self.last)

    def number(self, index: Index) -> int:
        """The row-major number of an element."""
        number = 0
        for i, n in zip(index, self.layout.shape, strict=True):
            number = number * n + i
        return number

    def group(self, held: Sequence[Run]) -> tuple[int, ...] | None:
        """What neighbours must share to be drawn as one: the holder, or the chunk; None where nothing joins them."""
        if self.labels.holders:
            return held[0].owner
        return (held[0].place // CHUNK_BITS,) if self.labels.in_bytes and not self.packed else None


def is_packed(layout: Layout) -> bool:
    """Whether elements are less than bytes, or cut, in memory: then bytes are worth a look."""
    return Labels.of(layout).in_bytes and (layout.element_bits % 8 != 0 or len(layout.planes) > 1)
