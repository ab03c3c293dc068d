"""The layout: a function from a logical index, bit included, to coordinates on named axes.

    coordinate[axis] = offset[axis] + sum(digit * stride)        over the digits on that axis
    coordinate["bit"] is then swizzled, where the layout has a swizzle

The digits number the row-major index of `shape`, or of `shape + (element_bits,)` where the layout knows how many bits
an element has. Memory has the axis `bit`; registers have `lane`, `warp`, and `bit`, the place in a lane's private
storage. Without `element_bits` the axis `bit` counts elements. A replica says that every element is also held at all
multiples of its stride.

    >>> local(2, 1).spatial(8, 4).local(1, 2).apply(9, 3)
    {'lane': 5, 'bit': 3}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from vmc.ir.layout.digits import BIT, LANE, Digit, LayoutError, by_extents, merged, size

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Swizzle:
    """x ^ ((x >> shift) & mask) on the axis `bit`, with `mask` the bits [base, base + bits)."""

    base: int
    bits: int
    shift: int

    def __post_init__(self) -> None:
        if self.base < 0 or self.bits < 1 or self.shift < self.bits:
            raise LayoutError(f"a swizzle moves bits downwards past themselves: {self} does not")

    def __call__(self, place: Any) -> Any:
        mask = ((1 << self.bits) - 1) << self.base
        return place ^ ((place >> self.shift) & mask)


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """See the module's description. Equality is equality of functions."""

    shape: tuple[int, ...]
    digits: tuple[Digit, ...]
    replicas: tuple[Digit, ...] = ()
    offset: tuple[tuple[str, int], ...] = ()
    swizzle: Swizzle | None = None
    element_bits: int = 0

    def __post_init__(self) -> None:
        if size(self.digits) != prod(self.domain):
            raise LayoutError(f"digits for {size(self.digits)} indices do not fit the domain {list(self.domain)}")
        kept = tuple(sorted((axis, value) for axis, value in self.offset if value))
        object.__setattr__(self, "offset", kept)
        object.__setattr__(self, "digits", merged(self.digits))
        object.__setattr__(self, "replicas", tuple(sorted(merged(self.replicas), key=lambda d: (d.axis, -d.stride))))

    # ---- what it maps ------------------------------------------------------------------------------------------------

    @property
    def domain(self) -> tuple[int, ...]:
        """The shape, followed by the bits of an element where the layout knows them."""
        return (*self.shape, self.element_bits) if self.element_bits else self.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of the coordinates, `bit` last."""
        named = {d.axis for d in (*self.digits, *self.replicas)} | {axis for axis, _ in self.offset} | {BIT}
        return tuple(sorted(named, key=lambda axis: (axis == BIT, axis)))

    def on(self, axis: str) -> tuple[Digit, ...]:
        """The digits on an axis, most significant index first."""
        return tuple(digit for digit in self.digits if digit.axis == axis)

    def offset_on(self, axis: str) -> int:
        return dict(self.offset).get(axis, 0)

    def cosize(self, axis: str) -> int:
        """One more than the largest coordinate on the axis, replicas included."""
        reach = self.offset_on(axis) + sum(d.reach for d in (*self.digits, *self.replicas) if d.axis == axis)
        if axis == BIT and self.swizzle is not None:
            return int(self.apply_all()[BIT].max()) + 1
        return reach + 1

    @property
    def lanes(self) -> int:
        """The number of lanes that hold a part."""
        return self.cosize(LANE)

    @property
    def bits_per_lane(self) -> int:
        """The private storage of a lane; elements where the layout has no element bits."""
        return self.cosize(BIT)

    @property
    def size_bits(self) -> int:
        """The bits of memory that the layout spans."""
        return self.cosize(BIT)

    # ---- application -------------------------------------------------------------------------------------------------

    def apply(self, *index: int) -> dict[str, int]:
        """The coordinates of one index (its bit last, where the layout has element bits; 0 if left out).

        Raises LayoutError for an index outside the domain.
        """
        if self.element_bits and len(index) == len(self.shape):
            index = (*index, 0)
        if len(index) != len(self.domain) or any(not 0 <= i < n for i, n in zip(index, self.domain, strict=True)):
            raise LayoutError(f"the index {index} is not one of {list(self.domain)}")
        columns = np.array(index, np.int64).reshape(-1, 1)
        return {axis: int(places[0]) for axis, places in self.apply_array(columns).items()}

    def apply_array(self, index: Array) -> dict[str, Array]:
        """The coordinates of many indices: int64 [rank of the domain, n] to int64 [n] per axis."""
        flat = np.zeros(index.shape[1:], np.int64)
        for column, extent in zip(index, self.domain, strict=True):
            flat = flat * extent + column
        return self.apply_flat(flat)

    def apply_flat(self, flat: Array) -> dict[str, Array]:
        """The coordinates of row-major indices of the domain."""
        places = {axis: np.full(np.shape(flat), self.offset_on(axis), np.int64) for axis in self.axes}
        rest = np.asarray(flat, np.int64)
        for digit in reversed(self.digits):
            places[digit.axis] = places[digit.axis] + (rest % digit.extent) * digit.stride
            rest = rest // digit.extent
        if self.swizzle is not None:
            places[BIT] = self.swizzle(places[BIT])
        return places

    def apply_all(self) -> dict[str, Array]:
        """The coordinates of every index: int64 of the domain's shape per axis."""
        flat = np.arange(prod(self.domain), dtype=np.int64).reshape(self.domain)
        return self.apply_flat(flat)

    # ---- equality ----------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        if (self.shape, self.element_bits) != (other.shape, other.element_bits):
            return False
        if self.key == other.key:
            return True
        return self.swizzle != other.swizzle and self.replicas == other.replicas and same_places(self, other)

    def __hash__(self) -> int:
        return hash((self.shape, self.element_bits))

    @property
    def key(self) -> tuple[object, ...]:
        """What two layouts without a swizzle have in common exactly when they are equal."""
        return (self.digits, self.replicas, self.offset, self.swizzle)

    # ---- small changes -----------------------------------------------------------------------------------------------

    def canonicalize(self) -> Layout:
        """The same function in its shortest form; layouts keep themselves in it."""
        return self

    def with_bits(self, bits: int) -> Layout:
        """A layout of elements as one of their bits: `bits` to each, least significant first. Raises LayoutError."""
        if self.element_bits:
            raise LayoutError("the layout knows its elements' bits already")
        if self.swizzle is not None:
            raise LayoutError("give the elements their bits before the swizzle, which counts bits")
        wide = [Digit(d.extent, d.stride * (bits if d.axis == BIT else 1), d.axis) for d in self.digits]
        replicas = [Digit(d.extent, d.stride * (bits if d.axis == BIT else 1), d.axis) for d in self.replicas]
        offset = tuple((axis, value * (bits if axis == BIT else 1)) for axis, value in self.offset)
        return Layout(self.shape, (*wide, Digit(bits, 1, BIT)), tuple(replicas), offset, None, bits)

    def reshape(self, *shape: int | Sequence[int]) -> Layout:
        """The same row-major function under another shape. Raises LayoutError where the sizes differ."""
        flat = tuple(n for part in shape for n in ((part,) if isinstance(part, int) else part))
        if prod(flat) != self.size:
            raise LayoutError(f"{list(self.shape)} has {self.size} elements, {list(flat)} has {prod(flat)}")
        return replace(self, shape=flat)

    def dimensions(self) -> list[tuple[Digit, ...]]:
        """The digits of every dimension, and of the element's bits last where it has them. Raises LayoutError."""
        return by_extents(self.digits, self.domain)

    def text(self) -> str:
        """The text that `parse` reads back."""
        from vmc.ir.layout.text import text

        return text(self)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{self.text()}>"

    # ---- algebra (in vmc.ir.layout.algebra), as methods for chaining -------------------------------------------------

    def __mul__(self, other: Layout) -> Layout:
        from vmc.ir.layout.algebra import product

        return product(self, other)

    def local(self, *shape: int) -> Layout:
        from vmc.ir.layout import constructors

        return self * constructors.local(*shape)

    def spatial(self, *shape: int) -> Layout:
        from vmc.ir.layout import constructors

        return self * constructors.spatial(*shape)

    def column_local(self, *shape: int) -> Layout:
        from vmc.ir.layout import constructors

        return self * constructors.column_local(*shape)

    def column_spatial(self, *shape: int) -> Layout:
        from vmc.ir.layout import constructors

        return self * constructors.column_spatial(*shape)


def same_places(a: Layout, b: Layout) -> bool:
    """Whether two layouts map every index alike, by enumeration."""
    left, right = a.apply_all(), b.apply_all()
    return all(np.array_equal(left.get(axis, 0), right.get(axis, 0)) for axis in set(left) | set(right))
