"""The layout: a function from a logical index, bit of the element included, to coordinates on named axes.

    coordinate[axis] = offset[axis] + sum(digit * stride)        over the digits on that axis
    coordinate["bit"] is then swizzled, where the layout has a swizzle

The digits number the row-major index of the `domain`: the shape, and the bits of an element where they are known.
Memory has the axis `bit`; registers have `warp`, `lane`, and `bit`, the place in a lane's private storage. Without
element bits the axis `bit` counts elements. Elements may be cut into planes, each a range of their bits with digits of
its own (u3 as a plane of 2 bits and one of 1). A replica says that all is also held at the multiples of its stride.

    >>> local(2, 1).spatial(8, 4).local(1, 2).apply(9, 3)
    {'lane': 5, 'bit': 3}

Layouts are always in canonical form: equal functions have equal fields, but for swizzles and odd replicas, which `==`
compares by enumeration. An offset may be negative in what `inverse` makes: indices that it names no place for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, zip_longest
from math import prod
from operator import mul

import numpy as np

from vmc.ir.layout.digits import (
    BIT,
    LANE,
    WARP,
    Digit,
    Digits,
    LayoutError,
    Offset,
    by_extents,
    combined,
    scaled,
    size,
    spanned,
    split,
)
from vmc.ir.layout.planes import Plane, canonical_planes
from vmc.ir.layout.swizzle import Array, Swizzle

LIMIT = 1 << 48
"""No index and no coordinate may reach this; beyond, NumPy's integers would be near their end."""
ENUMERABLE = 1 << 24
"""The largest number of places that questions are answered by looking at each."""


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """See the module's description. Equality is equality of functions. Raises LayoutError for what is none."""

    shape: tuple[int, ...]
    planes: tuple[Plane, ...]
    replicas: Digits = ()
    swizzle: Swizzle | None = None

    def __post_init__(self) -> None:
        check_shape(self.shape)
        for plane in self.planes:
            count = prod(self.shape) * (plane.bits or 1)
            if size(plane.digits) != count:
                raise LayoutError(f"digits for {size(plane.digits)} places do not fit {count}")
            if plane.bits:
                split(plane.digits, plane.bits)
        object.__setattr__(self, "planes", canonical_planes(self.planes))
        object.__setattr__(self, "replicas", spanned(self.replicas))
        reaches = [self.unswizzled_reach(axis) for axis in self.axes]
        if max(reaches) >= LIMIT or prod(self.domain) >= LIMIT:
            raise LayoutError("the layout is too large")
        if self.swizzle is not None:
            object.__setattr__(self, "swizzle", self.swizzle.within(reaches[-1]))

    @staticmethod
    def of(
        shape: Sequence[int],
        digits: Sequence[Digit],
        *,
        bits: int = 0,
        offset: Mapping[str, int] | None = None,
        replicas: Sequence[Digit] = (),
        swizzle: Swizzle | None = None,
    ) -> Layout:
        """The layout of one plane."""
        plane = Plane(bits, tuple(digits), tuple((offset or {}).items()))
        return Layout(tuple(shape), (plane,), tuple(replicas), swizzle)

    # ---- what it maps ------------------------------------------------------------------------------------------------

    @property
    def element_bits(self) -> int:
        """The bits of an element; 0 if the layout places elements whole."""
        return sum(plane.bits for plane in self.planes)

    @property
    def domain(self) -> tuple[int, ...]:
        """The shape, followed by the bits of an element where the layout knows them."""
        return (*self.shape, self.element_bits) if self.element_bits else self.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def plane(self) -> Plane:
        """The only plane. Raises LayoutError where the elements are cut into several."""
        if len(self.planes) > 1:
            raise LayoutError("the layout cuts elements into planes, which one list of digits cannot express")
        return self.planes[0]

    @property
    def digits(self) -> Digits:
        """The digits of the only plane, over the `domain`."""
        return self.plane.digits

    @property
    def offset(self) -> Offset:
        """The offset of the only plane, as sorted pairs of axis and value."""
        return self.plane.offset

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of the coordinates; `bit` is always there, and last."""
        named = {d.axis for d in self.replicas} | {BIT}
        for plane in self.planes:
            named |= {d.axis for d in plane.digits} | {axis for axis, _ in plane.offset}
        return tuple(sorted(named, key=lambda axis: (axis == BIT, axis == LANE, axis)))

    def unswizzled_reach(self, axis: str) -> int:
        """The largest coordinate on the axis, were there no swizzle."""
        planes = (dict(p.offset).get(axis, 0) + sum(d.reach for d in p.digits if d.axis == axis) for p in self.planes)
        return max(planes) + sum(d.reach for d in self.replicas if d.axis == axis)

    def cosize(self, axis: str) -> int:
        """One more than the largest coordinate on the axis, replicas included: the number of lanes, of bits."""
        if axis == BIT and self.swizzle is not None:
            return max(swizzled_reach(plane, self.replicas, self.swizzle) for plane in self.planes) + 1
        return self.unswizzled_reach(axis) + 1

    extent = cosize

    @property
    def lanes(self) -> int:
        """The number of lanes that hold a part."""
        return self.cosize(LANE)

    @property
    def bits_per_lane(self) -> int:
        """The private storage of a lane; in elements where the layout has no element bits."""
        return self.cosize(BIT)

    @property
    def size_bits(self) -> int:
        """The bits of memory that the layout spans; elements where it has no element bits."""
        return self.cosize(BIT)

    # ---- application -------------------------------------------------------------------------------------------------

    def apply(self, *index: int) -> dict[str, int]:
        """The coordinates of one index (the bit last, where elements have bits; 0 if left out), replicas aside.

        Raises LayoutError for an index outside the domain.
        """
        if self.element_bits and len(index) == len(self.shape):
            index = (*index, 0)
        if len(index) != len(self.domain) or any(not 0 <= i < n for i, n in zip(index, self.domain, strict=True)):
            raise LayoutError(f"the index {index} is none of {list(self.domain)}")
        flat = 0
        for i, n in zip(index, self.domain, strict=True):
            flat = flat * n + i
        return {axis: int(place) for axis, place in self.apply_flat(np.asarray(flat)).items()}

    def apply_flat(self, flat: Array) -> dict[str, Array]:
        """The coordinates of row-major indices of the domain: arrays of the argument's shape, int64, for each axis."""
        bits = self.element_bits or 1
        places = {axis: np.zeros(np.shape(flat), np.int64) for axis in self.axes}
        start = 0
        for plane in self.planes:
            bit = flat % bits - start
            inside = (bit >= 0) & (bit < (plane.bits or 1))
            moved = walk(plane, (flat // bits) * (plane.bits or 1) + bit)
            for axis in places:
                places[axis] = np.where(inside, moved.get(axis, 0), places[axis])
            start += plane.bits
        if self.swizzle is not None:
            places[BIT] = self.swizzle(places[BIT])
        return places

    def apply_all(self) -> dict[str, Array]:
        """The coordinates of every index, replicas aside: int64 arrays of the domain's shape, for each axis."""
        return next(self.copies())

    def copies(self) -> Iterator[dict[str, Array]]:
        """`apply_all` for every replica, the first being the elements' own place."""
        shifts = {axis: sums(d for d in self.replicas if d.axis == axis) for axis in self.axes}
        own = {axis: self.sums_on(axis) for axis in self.axes}
        for shift in np.ndindex(*(len(shifts[axis]) for axis in self.axes)):
            moved = {axis: own[axis] + shifts[axis][i] for axis, i in zip(self.axes, shift, strict=True)}
            if self.swizzle is not None:
                moved[BIT] = self.swizzle(moved[BIT])
            yield moved

    def sums_on(self, axis: str) -> Array:
        """The unswizzled coordinate of every index on one axis: int64 of the domain's shape."""
        columns = []
        for plane in self.planes:
            here = (d if d.axis == axis else Digit(d.extent, 0, axis) for d in plane.digits)
            columns.append((dict(plane.offset).get(axis, 0) + sums(here)).reshape(self.size, plane.bits or 1))
        return np.concatenate(columns, axis=1).reshape(self.domain)

    # ---- equality ----------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        if (self.shape, self.element_bits) != (other.shape, other.element_bits):
            return False
        if self.swizzle == other.swizzle:
            return self.planes == other.planes and same_shifts(self.replicas, other.replicas)
        if self.axes != other.axes or any(self.cosize(axis) != other.cosize(axis) for axis in self.axes):
            return False
        return np.array_equal(image(self), image(other))

    def __hash__(self) -> int:
        return hash((self.domain, self.element_bits))

    def canonicalize(self) -> Layout:
        """The same function in its shortest form, which is the form that layouts always have."""
        return self

    # ---- small changes -----------------------------------------------------------------------------------------------

    def with_bits(self, bits: int) -> Layout:
        """The elements given their bits, least significant first; the axis `bit` then counts bits.

        Raises LayoutError where they have bits already, or where a swizzle would cut across them.
        """
        if self.element_bits or not 1 <= bits <= 4096:
            raise LayoutError(f"elements of {self.element_bits or 'unknown'} bits cannot be given {bits}")
        unit = {BIT: bits}
        swizzle = self.swizzle
        if swizzle is not None:
            if bits & (bits - 1):
                raise LayoutError(f"the swizzle of elements is none of bits where they have {bits} of them")
            swizzle = Swizzle(swizzle.base + bits.bit_length() - 1, swizzle.bits, swizzle.shift)
        digits = (*scaled(self.digits, unit), Digit(bits, 1, BIT))
        offset = tuple((axis, value * unit.get(axis, 1)) for axis, value in self.offset)
        return Layout(self.shape, (Plane(bits, digits, offset),), scaled(self.replicas, unit), swizzle)

    def shifted(self, **offset: int) -> Layout:
        """The layout moved along its axes: `shifted(bit=16)`. Raises LayoutError for places before 0."""
        planes = tuple(replace(p, offset=combined(p.offset, tuple(offset.items()))) for p in self.planes)
        if any(value < 0 for plane in planes for _, value in plane.offset):
            raise LayoutError(f"no place is before 0: cannot shift by {offset}")
        return replace(self, planes=planes)

    def swizzled(self, base: int, bits: int, shift: int) -> Layout:
        """The layout with its axis `bit` swizzled. Raises LayoutError where it is already."""
        if self.swizzle is not None:
            raise LayoutError("the layout has a swizzle already")
        return replace(self, swizzle=Swizzle(base, bits, shift))

    def reshape(self, *shape: int | Sequence[int]) -> Layout:
        """The same row-major function under another shape. Raises LayoutError where the sizes differ."""
        flat = tuple(n for part in shape for n in ((part,) if isinstance(part, int) else part))
        if prod(flat) != self.size or min(flat, default=1) < 1:
            raise LayoutError(f"{list(self.shape)} has {self.size} elements, {list(flat)} has {prod(flat)}")
        return replace(self, shape=flat)

    def dimensions(self, plane: Plane) -> list[Digits]:
        """The digits of every dimension, and of the plane's bits last where it has them. Raises LayoutError."""
        return by_extents(plane.digits, (*self.shape, plane.bits) if plane.bits else self.shape)

    # ---- the product, which builds layouts from layouts --------------------------------------------------------------

    def __mul__(self, inner: Layout) -> Layout:
        """f * g: a tile of shape f.shape * g.shape; f places the g-sized parts, g the elements inside each part.

        Coordinates of f count whole g's: h(i) = f(i // g.shape) * g.cosize + g(i % g.shape). Associative. Raises
        LayoutError where ranks differ, f knows bits or a swizzle, or g's swizzle does not repeat in every part.
        """
        if len(self.shape) != len(inner.shape):
            raise LayoutError(f"a product needs equal ranks, not {list(self.shape)} and {list(inner.shape)}")
        if self.element_bits or self.swizzle is not None:
            raise LayoutError("the outer layout of a product has elements without bits and no swizzle")
        unit = {axis: inner.cosize(axis) for axis in (*self.axes, *inner.axes)}
        if inner.swizzle is not None and unit[BIT] % inner.swizzle.period and self.cosize(BIT) > 1:
            raise LayoutError("the inner layout of a product spans whole periods of its swizzle")
        outer = by_extents(scaled(self.digits, unit), self.shape)
        offset = tuple((axis, value * unit[axis]) for axis, value in self.offset)
        planes = []
        for plane in inner.planes:
            nested = zip_longest(outer, inner.dimensions(plane), fillvalue=())
            digits = tuple(d for above, below in nested for d in (*above, *below))
            planes.append(Plane(plane.bits, digits, combined(offset, plane.offset)))
        shape = tuple(map(mul, self.shape, inner.shape))
        return Layout(shape, tuple(planes), (*scaled(self.replicas, unit), *inner.replicas), inner.swizzle)

    def local(self, *shape: int) -> Layout:
        return self * dense(BIT, shape)

    def spatial(self, *shape: int) -> Layout:
        return self * dense(LANE, shape)

    def warps(self, *shape: int) -> Layout:
        return self * dense(WARP, shape)

    def column_local(self, *shape: int) -> Layout:
        return self * dense(BIT, shape, column_strides(shape))

    def column_spatial(self, *shape: int) -> Layout:
        return self * dense(LANE, shape, column_strides(shape))

    # ---- text --------------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """What `parse` reads back: every digit as (extent, stride, axis), the most significant first."""
        parts = [f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"]
        for n, plane in enumerate(self.planes):
            bits = f" bits {plane.bits}" if plane.bits else ""
            digits = "".join(f" {digit}" for digit in plane.digits)
            at = "".join(f" at ({axis}, {value})" for axis, value in plane.offset)
            parts.append(f"{' +' * (n > 0)}{bits}:{digits}{at}")
        parts += [f" replica {digit}" for digit in self.replicas]
        parts += [f" swizzle {self.swizzle}"] if self.swizzle is not None else []
        return f"layout({''.join(parts)})"

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()


def row_strides(shape: Sequence[int]) -> list[int]:
    """1 for the last dimension, growing to the left."""
    return column_strides(shape[::-1])[::-1]


def column_strides(shape: Sequence[int]) -> list[int]:
    """1 for the first dimension, growing to the right."""
    return list(accumulate(shape[:-1], mul, initial=1)) if shape else []


def check_shape(shape: Sequence[int]) -> None:
    """Raises LayoutError where an extent is below 1."""
    if min(shape, default=1) < 1:
        raise LayoutError(f"the shape {list(shape)} has an extent below 1")


def dense(axis: str, shape: Sequence[int], strides: Sequence[int] | None = None) -> Layout:
    """The layout on one axis with these strides; row-major without."""
    check_shape(shape)
    steps = row_strides(shape) if strides is None else strides
    return Layout.of(shape, [Digit(n, s, axis) for n, s in zip(shape, steps, strict=True)])


def walk(plane: Plane, flat: Array) -> dict[str, Array]:
    """The unswizzled coordinates of row-major indices of one plane."""
    places: dict[str, Array] = {axis: np.full(np.shape(flat), value) for axis, value in plane.offset}
    for digit in reversed(plane.digits):
        places[digit.axis] = places.get(digit.axis, np.zeros((), np.int64)) + (flat % digit.extent) * digit.stride
        flat = flat // digit.extent
    return places


def sums(digits: Iterator[Digit] | Sequence[Digit]) -> Array:
    """What the digits add up to, for every index in order: int64[size(digits)]."""
    total = np.zeros(1, np.int64)
    for digit in digits:
        total = np.add.outer(total, np.arange(digit.extent, dtype=np.int64) * digit.stride).reshape(-1)
    return total


def swizzled_reach(plane: Plane, replicas: Digits, swizzle: Swizzle) -> int:
    """The largest swizzled place; it is in the block of the largest unswizzled one, as blocks keep their order."""
    moving = [d for d in (*plane.digits, *replicas) if d.axis == BIT and d.stride]
    reach = dict(plane.offset).get(BIT, 0) + sum(d.reach for d in moving)
    below = np.zeros(reach % swizzle.block + 1, bool)
    below[0] = True
    for digit in moving:
        steps = 1
        while steps < digit.extent and (steps - 1) * digit.stride < len(below):
            more = min(steps, digit.extent - steps) * digit.stride
            below[more:] |= below[: len(below) - more].copy() if more < len(below) else False
            steps = min(2 * steps, digit.extent)
    return int(swizzle(reach - np.flatnonzero(below)).max())


def same_shifts(a: Digits, b: Digits) -> bool:
    """Whether two lists of replicas stand for one set of shifts."""
    if a == b:
        return True
    names = {d.axis for d in (*a, *b)}
    return all(np.array_equal(shifts(a, axis), shifts(b, axis)) for axis in names)


def shifts(replicas: Digits, axis: str) -> Array:
    """The distinct sums of replicas on an axis, in order."""
    return np.unique(sums([d for d in replicas if d.axis == axis]))


def coded(layout: Layout) -> Iterator[Array]:
    """For every copy, the number of every index's place in the box of coordinates: int64 of the domain's shape.

    Raises LayoutError for a layout too large to be enumerated, or with places before 0.
    """
    if prod(layout.domain) * size(layout.replicas) > ENUMERABLE:
        raise LayoutError("the layout is too large to be enumerated")
    if any(value < 0 for plane in layout.planes for _, value in plane.offset):
        raise LayoutError("the layout has places before 0, as of what an inverse does not reach")
    extents = [layout.cosize(axis) for axis in layout.axes]
    for places in layout.copies():
        yield np.asarray(np.ravel_multi_index([places[axis] for axis in layout.axes], extents), np.int64)


def image(layout: Layout) -> Array:
    """The places of every index in order: int64 [copies, domain], sorted for each index."""
    return np.sort(np.stack(list(coded(layout))), axis=0)
