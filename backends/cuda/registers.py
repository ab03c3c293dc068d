"""Register layouts as expressions: which element of a tile a thread holds in a slot.

The inverse of a layout made of digits: each digit is a piece of the thread's number or of the slot's,
`coordinate // stride % extent`, and moves the index by its weight. Layouts whose digits interleave, which have no such
inverse, are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.tir import I32, Expr, binary, const
from vmc.ir.core import TileType
from vmc.ir.layout import BIT, LANE, WARP, Digit, Layout, LayoutError
from vmc.ir.layout.layout import row_strides
from vmc.ir.passes.gpu.spread import WARP_SIZE, is_power


def quotient(a: Expr | int, b: int) -> Expr | int:
    """a // b for a not below 0."""
    if isinstance(a, int):
        return a // b
    if b == 1:
        return a
    return a >> const(b.bit_length() - 1, I32) if is_power(b) else binary("Div", a, const(b, I32))


def remainder(a: Expr | int, b: int) -> Expr | int:
    """a % b for a not below 0."""
    if isinstance(a, int):
        return a % b
    if b == 1:
        return 0
    return binary("BitwiseAnd", a, const(b - 1, I32)) if is_power(b) else binary("Mod", a, const(b, I32))


def times(a: Expr | int, b: int) -> Expr | int:
    if isinstance(a, int):
        return a * b
    return a if b == 1 else binary("Mul", a, const(b, I32))


def plus(a: Expr | int, b: Expr | int) -> Expr | int:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    if isinstance(b, int):
        return a if b == 0 else binary("Add", a, const(b, I32))
    if isinstance(a, int):
        return b if a == 0 else binary("Add", b, const(a, I32))
    return binary("Add", a, b)


def expression(a: Expr | int) -> Expr:
    return const(a, I32) if isinstance(a, int) else a


def element_layout(type: TileType) -> Layout:
    """The layout of whole elements. Raises UnsupportedError where an element's bits do not stay together."""
    layout = type.layout
    assert layout is not None
    if not layout.element_bits:
        return layout
    width, digits = type.dtype.width, layout.digits if len(layout.planes) == 1 else ()
    if layout.swizzle is None and digits and width > 1:
        *rest, low = digits
        if low.axis == BIT and low.stride == 1 and low.extent % width == 0:
            rest.append(Digit(low.extent // width, width, BIT))
            if all(d.stride % width == 0 for d in rest if d.axis == BIT):
                return bare_layout(layout, rest, width)
    if width == 1:
        return bare_layout(layout, list(digits), 1)
    raise UnsupportedError(f"registers hold elements in a slot each, which the layout {layout} does not")


def bare_layout(layout: Layout, digits: list[Digit], width: int) -> Layout:
    fewer = [Digit(d.extent, d.stride // width if d.axis == BIT else d.stride, d.axis) for d in digits]
    copies = [Digit(d.extent, d.stride // width if d.axis == BIT else d.stride, d.axis) for d in layout.replicas]
    return Layout.of(layout.shape, fewer, offset=dict(layout.offset), replicas=copies)


@dataclass(frozen=True)
class Registers:
    """A tile's registers, `slots` of each of `threads` threads; `thread` is the thread's number as an expression."""

    layout: Layout
    threads: int
    thread: Expr

    @property
    def slots(self) -> int:
        return self.layout.cosize(BIT)

    @cached_property
    def dims(self) -> list[list[tuple[Digit, int]]]:
        """For each dimension its digits with their weights; one list for the flat index where digits span several."""
        try:
            parts = self.layout.dimensions(self.layout.plane)
        except LayoutError:
            parts = [self.layout.digits]
        found = []
        for part in parts:
            weight, line = 1, []
            for digit in reversed(part):
                line.append((digit, weight))
                weight *= digit.extent
            found.append(line)
        return found

    def coordinate(self, axis: str, slot: Expr | int) -> Expr | int:
        start = dict(self.layout.offset).get(axis, 0)
        if axis == BIT:
            return plus(slot, -start)
        if WARP in self.layout.axes:
            own = quotient(self.thread, WARP_SIZE) if axis == WARP else remainder(self.thread, WARP_SIZE)
        else:
            own = self.thread
        return plus(own, -start)

    def reach(self, axis: str) -> int:
        """How many coordinates there are on an axis."""
        if axis == BIT:
            return self.slots
        if WARP not in self.layout.axes:
            return self.threads
        return WARP_SIZE if axis == LANE else self.threads // WARP_SIZE

    def piece(self, digit: Digit, slot: Expr | int) -> Expr | int:
        """The value of a digit at a slot of this thread."""
        axis = digit.axis
        if digit.stride == 0:
            return 0
        value = quotient(self.coordinate(axis, slot), digit.stride)
        return value if digit.stride * digit.extent >= self.reach(axis) else remainder(value, digit.extent)

    def index(self, slot: Expr | int) -> list[Expr | int]:
        """The index of the element in a slot, in every dimension."""
        lines = []
        for part in self.dims:
            total: Expr | int = 0
            for digit, weight in part:
                total = plus(total, times(self.piece(digit, slot), weight))
            lines.append(total)
        if len(lines) == len(self.layout.shape):
            return lines
        return unravel(lines[0], self.layout.shape)

    def holder(self, slot: Expr | int, single: bool) -> list[Expr]:
        """The conditions under which a thread holds an element in the slot; with `single`, for one of the copies."""
        conditions: list[Expr] = []
        for axis in sorted({LANE, *self.layout.axes}):
            digits = [d for part in self.dims for d, _ in part if d.axis == axis and d.stride]
            copies = [d for d in self.layout.replicas if d.axis == axis]
            kept = digits if single else [*digits, *copies]
            conditions += self.within(axis, kept, slot)
        return conditions

    def within(self, axis: str, digits: list[Digit], slot: Expr | int) -> list[Expr]:
        """The conditions under which a coordinate is a sum of digits."""
        reached = (
            self.slots if axis == BIT else WARP_SIZE if axis == LANE and WARP in self.layout.axes else self.threads
        )
        if axis == WARP:
            reached = self.threads // WARP_SIZE
        coordinate = self.coordinate(axis, slot)
        conditions: list[Expr] = []
        position = 1
        for digit in sorted(digits, key=lambda d: d.stride):
            if digit.stride % position:
                raise UnsupportedError(f"the digits of the layout {self.layout} interleave")
            if digit.stride > position:
                gap = remainder(quotient(coordinate, position), digit.stride // position)
                conditions.append(equal(gap, 0))
            position = digit.stride * digit.extent
        if position < reached:
            conditions.append(less(coordinate, position))
        return [c for c in conditions if c is not True]


def equal(a: Expr | int, b: int) -> Expr:
    if isinstance(a, int):
        return True if a == b else false()
    return binary("EQ", a, const(b, I32))


def less(a: Expr | int, b: int) -> Expr:
    if isinstance(a, int):
        return True if a < b else false()
    return binary("LT", a, const(b, I32))


def false() -> Expr:
    from vmc.backends.cuda.tir import tirx

    return tirx().const(False, "bool")


def unravel(flat: Expr | int, shape: tuple[int, ...]) -> list[Expr | int]:
    """The index in every dimension of a row-major number."""
    lines: list[Expr | int] = []
    for dim, stride in enumerate(row_strides(shape)):
        value = quotient(flat, stride)
        lines.append(value if dim == 0 else remainder(value, shape[dim]))
    return lines


def contiguous(layout: Layout) -> int:
    """How many neighbours of the last dimension lie in neighbouring slots, from a multiple of that number on."""
    try:
        *parts, part = layout.dimensions(layout.plane) if layout.shape else ((),)
    except LayoutError:
        return 1
    if not part or (part[-1].axis, part[-1].stride) != (BIT, 1):
        return 1
    run = part[-1].extent
    others = [d for line in (*parts, part[:-1]) for d in line if d.axis == BIT]
    fits = all(d.stride % run == 0 for d in others) and not dict(layout.offset).get(BIT, 0)
    return run if fits else 1
