"""What a picture says about each element of a tile: who holds it, and at which places its bits lie.

A tile of any rank is shown as sheets of rows and columns: one of rank 1 is wrapped into rows, and of a larger rank the
last two dimensions are a sheet. What does not fit is left out in the middle, where the table has an ellipsis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from vmc.ir.layout import BIT, Layout

Index = tuple[int, ...]
WRAP = 16


@dataclass(frozen=True, slots=True)
class Run:
    """Bits side by side: who holds them (coordinates on all axes but `bit`), the first one's place, how many."""

    owner: tuple[int, ...]
    place: int
    length: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows and columns of indices of a tile. None stands for what is left out, or lies past the end."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    indices: tuple[tuple[Index | None, ...], ...]


def sheets(shape: Sequence[int], most_rows: int, most_columns: int, most_sheets: int = 4) -> list[Sheet]:
    """The sheets of a tile's shape, of at most so many rows and columns, and at most so many of them."""
    match tuple(shape):
        case ():
            return [Sheet("", ("",), ("",), (((),),))]
        case (n,):
            fits = 1 << (min(WRAP, max(most_columns, 1)).bit_length() - 1)
            return [wrapped(n, most_rows, min(n, fits))]
        case (*leading, height, width):
            rows, columns = ends(height, most_rows), ends(width, most_columns)
            result = []
            for number in ends(prod(leading), most_sheets):
                if number is None:
                    result.append(Sheet("...", (), (), ()))
                    continue
                before = tuple(int(i) for i in np.unravel_index(number, leading)) if leading else ()
                title = f"[{', '.join(map(str, before))}, :, :]" if leading else ""
                cells = tuple(tuple(None if None in (r, c) else (*before, r, c) for c in columns) for r in rows)
                result.append(Sheet(title, named(rows), named(columns), cells))  # type: ignore[arg-type]
            return result
    raise AssertionError(shape)


def wrapped(n: int, most_rows: int, width: int) -> Sheet:
    """A tile of rank 1 in rows of `width`, each named by its first index."""
    rows = ends(-(-n // width), most_rows)
    cells = tuple(
        tuple(None if r is None or r * width + c >= n else (r * width + c,) for c in range(width)) for r in rows
    )
    single = len(rows) == 1
    starts = tuple("" if single else "..." if r is None else str(r * width) for r in rows)
    return Sheet("", starts, tuple(f"{'' if single else '+'}{c}" for c in range(width)), cells)


def ends(n: int, most: int) -> list[int | None]:
    """0 to n - 1; where that is too many, the first ones, None, and the last."""
    if n <= max(most, 1):
        return list(range(n))
    return [*range(max(most, 3) - 2), None, n - 1]


def named(numbers: Sequence[int | None]) -> tuple[str, ...]:
    return tuple("..." if number is None else str(number) for number in numbers)


def runs(layout: Layout, index: Index) -> list[Run]:
    """Where the bits of an element lie, in order, replicas aside; one run of length 1 where elements have no bits."""
    bits = layout.element_bits or 1
    flat = 0
    for i, n in zip(index, layout.shape, strict=True):
        flat = flat * n + i
    places = layout.apply_flat(flat * bits + np.arange(bits))
    others = [places[axis] for axis in layout.axes if axis != BIT]
    broken = np.diff(places[BIT]) != 1
    for other in others:
        broken |= np.diff(other) != 0
    starts = [0, *(int(n) + 1 for n in np.flatnonzero(broken)), bits]
    return [Run(tuple(int(other[a]) for other in others), int(places[BIT][a]), b - a) for a, b in pairwise(starts)]


@dataclass(frozen=True, slots=True)
class Labels:
    """How the places of a layout are written: `lane:slot`, `byte.bit`, or an offset."""

    layout: Layout
    holders: tuple[str, ...]
    in_bytes: bool
    whole_bytes: bool

    @staticmethod
    def of(layout: Layout) -> Labels:
        """Memory with element bits is counted in bytes; all else in the layout's own unit."""
        holders = tuple(axis for axis in layout.axes if axis != BIT)
        in_bytes = not holders and layout.element_bits > 0
        return Labels(layout, holders, in_bytes, in_bytes and starts_at_bytes(layout))

    @property
    def legend(self) -> str:
        """What a label says, such as `lane:bit`."""
        if self.in_bytes:
            return "byte" if self.whole_bytes else "byte.bit"
        slot = "bit" if self.layout.element_bits else "slot" if self.holders else "offset"
        return f"{'.'.join(self.holders)}:{slot}" if self.holders else slot

    def label(self, runs: Sequence[Run]) -> str:
        """The label of an element in one line: at most two runs."""
        holder, slot = self.parts(runs)
        return f"{holder}:{slot}" if self.holders else slot

    def parts(self, runs: Sequence[Run]) -> tuple[str, str]:
        """Who holds an element, and where; of several runs that one holder has, the first two."""
        owners = list(dict.fromkeys(run.owner for run in runs))
        holder = self.holder(owners[0]) + "+" * (len(owners) > 1)
        places = [self.place(run.place) for run in runs[:2] if run.owner == owners[0]]
        return holder, "+".join(places) + "+.." * (len(runs) > 2 and len(owners) == 1)

    def holder(self, owner: tuple[int, ...]) -> str:
        return ".".join(self.copies(axis, at) for axis, at in zip(self.holders, owner, strict=True))

    def copies(self, axis: str, at: int) -> str:
        """The coordinate, or the range of them where neighbours hold the same."""
        replicas = [d for d in self.layout.replicas if d.axis == axis]
        match replicas:
            case []:
                return str(at)
            case [one] if one.stride == 1:
                return f"{at}-{at + one.extent - 1}"
            case _:
                return f"{at}*"

    def place(self, bit: int) -> str:
        text = str(bit)
        if self.in_bytes:
            text = str(bit // 8) if self.whole_bytes else f"{bit // 8}.{bit % 8}"
        return text + "*" * any(d.axis == BIT for d in self.layout.replicas)


def starts_at_bytes(layout: Layout) -> bool:
    """Whether every element, and every plane of it, begins at a byte."""
    for plane in layout.planes:
        elements, bits = plane.places()
        steps = [d.stride for d in elements if d.axis == BIT] + [value for axis, value in bits[0] if axis == BIT]
        if any(step % 8 for step in steps):
            return False
    return layout.swizzle is None or layout.swizzle.base >= 3
