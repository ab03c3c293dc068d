"""Operations on layouts: product and quotients, composition and inverse, and what follows from them.

Laws, each a test: the product is associative; (f * g) / g == f; compose agrees with applying twice; inverse undoes
apply. All are exact; an operation whose result is not a layout raises LayoutError and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from operator import ge

from vmc.ir.layout.digits import BIT, INDEX, Digit, Digits, LayoutError, Offset, combined, merged, size, split, weighted
from vmc.ir.layout.layout import Layout, row_strides
from vmc.ir.layout.planes import Plane
from vmc.ir.layout.questions import check_injective

# ---- product and quotients -------------------------------------------------------------------------------------------


def product(outer: Layout, inner: Layout) -> Layout:
    """outer ⊗ inner, also written outer * inner: see `Layout.__mul__`."""
    return outer * inner


def divide(whole: Layout, inner: Layout) -> Layout:
    """The layout f with f * inner == whole. Raises LayoutError where there is none."""
    shape = quotient(whole.shape, inner.shape)
    unit = {axis: inner.cosize(axis) for axis in {*whole.axes, *inner.axes}}
    parts = whole.dimensions(whole.planes[0])[: len(shape)]
    above = [digit for part, below in zip(parts, inner.shape, strict=True) for digit in split(part, below)[0]]
    copies = [d for axis in whole.axes for d in split(on(whole.replicas, axis), size(on(inner.replicas, axis)))[0]]
    rest = combined(whole.planes[0].offset, negative(inner.planes[0].offset))
    offset = {axis: exactly(value, unit[axis]) for axis, value in rest}
    outer = Layout.of(shape, shrunk(above, unit), offset=offset, replicas=shrunk(copies, unit))
    return confirmed(outer, outer, inner, whole)


def left_divide(whole: Layout, outer: Layout) -> Layout:
    """The layout g with outer * g == whole. Raises LayoutError where there is none."""
    shape = quotient(whole.shape, outer.shape)
    start = dict(outer.offset)
    copies: list[Digit] = []
    for axis in whole.axes:
        own = on(whole.replicas, axis)
        copies += split(own, exactly(size(own), size(on(outer.replicas, axis))))[1]
    planes = []
    for plane in whole.planes:
        parts = whole.dimensions(plane)
        below = [digit for part, n in zip(parts, (*shape, plane.bits), strict=False) for digit in split(part, n)[1]]
        planes.append(Plane(plane.bits, tuple(below)))
    bare = Layout(shape, tuple(planes), tuple(copies))
    for n, plane in enumerate(whole.planes):
        # cosize(g) = offset(g) + reach(g) + 1, and offset(whole) = offset(outer) * cosize(g) + offset(g)
        offset = {}
        for axis, value in plane.offset:
            cosize = exactly(value + bare.cosize(axis), 1 + start.get(axis, 0))
            offset[axis] = value - start.get(axis, 0) * cosize
        planes[n] = replace(planes[n], offset=tuple(offset.items()))
    inner = Layout(shape, tuple(planes), tuple(copies), whole.swizzle)
    return confirmed(inner, outer, inner, whole)


def confirmed(result: Layout, outer: Layout, inner: Layout, whole: Layout) -> Layout:
    """`result`, if the product is the whole. Raises LayoutError."""
    if outer * inner != whole:
        raise LayoutError("the layout is no such product")
    return result


def quotient(shape: Sequence[int], part: Sequence[int]) -> tuple[int, ...]:
    """Raises LayoutError unless the one shape is made of the other."""
    if len(shape) != len(part) or any(n % m for n, m in zip(shape, part, strict=True)):
        raise LayoutError(f"{list(shape)} is not made of {list(part)}")
    return tuple(n // m for n, m in zip(shape, part, strict=True))


def shrunk(digits: Sequence[Digit], unit: dict[str, int]) -> Digits:
    """The digits with strides divided, by a factor for each axis. Raises LayoutError where that leaves a rest."""
    return tuple(Digit(d.extent, exactly(d.stride, unit[d.axis]), d.axis) for d in digits)


def exactly(value: int, divisor: int) -> int:
    if value % divisor:
        raise LayoutError(f"{value} is no multiple of {divisor}")
    return value // divisor


def on(digits: Digits, axis: str) -> Digits:
    """The digits on an axis, the largest stride first."""
    return tuple(sorted((d for d in digits if d.axis == axis), key=lambda d: -d.stride))


def negative(offset: Offset) -> Offset:
    return tuple((axis, -value) for axis, value in offset)


# ---- inverse and composition -----------------------------------------------------------------------------------------


def inverse(layout: Layout) -> Layout:
    """From coordinates back to the row-major index of the domain, bits included, on the axis `index`.

    Its own domain has one dimension for each of `layout.axes`, in that order. Places that hold nothing map to some
    index; all copies of a replicated element map to it. Raises LayoutError with a counter-example where two elements
    share a place, or where the inverse is not made of digits: swizzles, planes, digits that interleave (then see
    `inverse_table`).
    """
    check_injective(layout)
    if layout.swizzle is not None:
        raise LayoutError("the inverse of a swizzled layout is not made of digits; see inverse_table")
    digits: list[Digit] = []
    shape, shift = [], 0
    places = [(d, weight) for weight, d in weighted(layout.digits)] + [(d, 0) for d in layout.replicas]
    for axis in layout.axes:
        chain = sorted(((d.stride, d.extent, w) for d, w in places if d.axis == axis), reverse=True)
        start = dict(layout.offset).get(axis, 0)
        top = chain[0][0] if chain else 1
        part = [Digit(n, weight, INDEX) for n, weight in counted(chain, start // top)]
        shift -= start // top * (chain[0][2] if chain else 0)
        if start % top:
            raise LayoutError(f"an offset of {start} on the axis {axis} is no step of its largest digit")
        digits += part
        shape.append(size(part))
    return Layout.of(shape, digits, offset={INDEX: shift})


def counted(chain: Sequence[tuple[int, int, int]], first: int) -> list[tuple[int, int]]:
    """(extent, weight) of the digits that count an axis; `chain` has (stride, extent, weight), largest stride first.

    Gaps are digits of weight 0; the top digit is lengthened by `first`. Raises LayoutError where strides interleave.
    """
    result: list[tuple[int, int]] = []
    reached = 1
    for stride, extent, weight in reversed(chain):
        if stride % reached:
            raise LayoutError(
                "the layout's digits interleave, and its inverse is not made of digits; see inverse_table"
            )
        result = [(extent, weight), (stride // reached, 0), *result]
        reached = stride * extent
    if not result:
        return [(first + 1, 0)]
    return [(result[0][0] + first, result[0][1]), *result[1:]]


def compose(outer: Layout, inner: Layout) -> Layout:
    """outer after inner. Raises LayoutError where that is not made of digits.

    A coordinate of `inner` on the axis `index`, or on `bit` if there is no other, is the row-major index of outer's
    domain, bits included. Several axes are the dimensions of that domain, in the order of `inner.axes`: so
    compose(inverse(f), f) numbers the elements of any f. What is made of digits: each step of `inner` is a step of one
    digit of `outer`, and no two add up past the end of one.
    """
    weights = domain_weights(inner, outer.domain)
    parts = [digit for part in split(inner.digits, inner.plane.bits) for digit in part]
    steps = [Digit(d.extent, d.stride * weights[d.axis], INDEX) for d in parts]
    start = sum(value * weights[axis] for axis, value in inner.offset)
    digits, offset = substitute(outer.digits, steps, start)
    plane = Plane(inner.plane.bits, digits, combined(outer.offset, offset))
    return Layout(inner.shape, (plane,), outer.replicas, outer.swizzle)


def domain_weights(inner: Layout, domain: Sequence[int]) -> dict[str, int]:
    """By how many indices of a domain a step on each axis moves. Raises LayoutError."""
    if inner.replicas or inner.swizzle is not None:
        raise LayoutError("an inner layout has neither replicas nor a swizzle")
    moving = {d.axis for d in inner.digits if d.stride} | {axis for axis, _ in inner.offset}
    if moving <= {INDEX} or moving <= {BIT}:
        return {INDEX: 1, BIT: 1}
    fits = len(inner.axes) == len(domain) and all(map(ge, domain, map(inner.cosize, inner.axes)))
    if not fits:
        raise LayoutError(f"the axes {', '.join(inner.axes)} of the inner layout are not the domain {list(domain)}")
    return dict(zip(inner.axes, row_strides(domain), strict=True))


def substitute(outer: Digits, inner: Sequence[Digit], start: int) -> tuple[Digits, Offset]:
    """The digits and the offset of x -> outer(inner(x) + start). Raises LayoutError."""
    radix = list(weighted(merged(outer)))
    digits: list[Digit] = []
    filled = [0] * len(radix)
    for digit in inner:
        part = [Digit(digit.extent, 0, BIT)] if digit.stride == 0 else []
        for place, steps, piece in pieces(radix, digit):
            filled[place] += (piece.extent - 1) * steps
            part.insert(0, piece)
        digits += part
    offset: Offset = ()
    for place in reversed(range(len(radix))):
        weight, digit = radix[place]
        steps, start = divmod(start, weight)
        offset = combined(offset, ((digit.axis, steps * digit.stride),))
        if filled[place] + steps >= digit.extent:
            raise LayoutError(f"the steps add up past the end of the digit {digit}, or of the outer layout")
    if start:
        raise LayoutError("the inner layout leaves the outer layout's domain")
    return tuple(digits), offset


def pieces(radix: list[tuple[int, Digit]], step: Digit) -> list[tuple[int, int, Digit]]:
    """What a digit over the index moves: (place in the radix, units of it in a step, digit), the lowest first."""
    stride, count = step.stride, step.extent if step.stride else 1
    result: list[tuple[int, int, Digit]] = []
    while count > 1:
        place = max((n for n, (weight, _) in enumerate(radix) if weight <= stride), default=-1)
        if place < 0:
            raise LayoutError("the inner layout leaves the outer layout's domain")
        weight, digit = radix[place]
        steps = exactly(stride, weight)
        if place == len(radix) - 1 or (count - 1) * steps < digit.extent:
            return [*result, (place, steps, Digit(count, steps * digit.stride, digit.axis))]
        taken = exactly(digit.extent, steps)
        count = exactly(count, taken)
        result.append((place, steps, Digit(taken, steps * digit.stride, digit.axis)))
        stride = weight * digit.extent
    return result


def pack_map(fragment: Layout, storage: Layout) -> Layout:
    """Where every bit of a storage goes in a fragment: compose(fragment, inverse(storage)). Raises LayoutError.

    With the roles exchanged: from which bit of the storage a fragment takes what it holds. `pack_table` is the same
    where it is not made of digits.
    """
    if prod(fragment.domain) != prod(storage.domain):
        raise LayoutError(f"{list(fragment.domain)} and {list(storage.domain)} are not the same bits")
    return compose(fragment, inverse(storage))


# ---- shapes ----------------------------------------------------------------------------------------------------------


def permute(layout: Layout, order: Sequence[int]) -> Layout:
    """The layout whose dimension d is the dimension order[d]. Raises LayoutError."""
    if sorted(order) != list(range(len(layout.shape))):
        raise LayoutError(f"{order} is no order of {len(layout.shape)} dimensions")
    planes = []
    for plane in layout.planes:
        parts = layout.dimensions(plane)
        moved = [*(parts[d] for d in order), *parts[len(order) :]]
        planes.append(replace(plane, digits=tuple(d for part in moved for d in part)))
    return replace(layout, shape=tuple(layout.shape[d] for d in order), planes=tuple(planes))


def slice_layout(
    layout: Layout, starts: Sequence[int], sizes: Sequence[int], steps: Sequence[int] | None = None
) -> Layout:
    """The part of a tile that begins at `starts`, as a layout of the shape `sizes`; exact under a swizzle, too.

    Raises LayoutError where the part is outside, or cut across digits.
    """
    steps = steps or [1] * len(starts)
    if not len(starts) == len(sizes) == len(steps) == len(layout.shape):
        raise LayoutError(f"a part of {list(layout.shape)} has as many starts and sizes")
    for start, count, step, extent in zip(starts, sizes, steps, layout.shape, strict=True):
        if start < 0 or count < 1 or step < 1 or start + (count - 1) * step >= extent:
            raise LayoutError(f"{start} : +{count} : {step} is not inside {extent}")
    planes = []
    for plane in layout.planes:
        unit = plane.bits or 1
        weights = [weight * unit for weight in row_strides(layout.shape)]
        inner = [Digit(n, step * w, INDEX) for n, step, w in zip(sizes, steps, weights, strict=True)]
        inner += [Digit(plane.bits, 1, INDEX)] if plane.bits else []
        first = sum(start * weight for start, weight in zip(starts, weights, strict=True))
        digits, offset = substitute(plane.digits, tuple(inner), first)
        planes.append(Plane(plane.bits, digits, combined(plane.offset, offset)))
    return replace(layout, shape=tuple(sizes), planes=tuple(planes))


def concat(*layouts: Layout) -> Layout:
    """A layout with the dimensions of all: h(i, j) = f(i) * g.cosize + g(j). Associative."""
    whole = layouts[0]
    for layout in layouts[1:]:
        above = whole.reshape(*whole.shape, *(1 for _ in layout.shape))
        whole = above * layout.reshape(*(1 for _ in whole.shape), *layout.shape)
    return whole


def reduce(layout: Layout, dims: Sequence[int], keepdims: bool = False) -> Layout:
    """The layout of a reduction's result: of the lanes that held parts of a sum, each holds the sum.

    Digits of the dimensions become replicas; in a lane's storage they vanish, and the rest closes up in the same order.
    Raises LayoutError for swizzles and planes.
    """
    if layout.swizzle is not None or any(not 0 <= d < len(layout.shape) for d in dims):
        raise LayoutError(f"cannot reduce {layout} along {list(dims)}")
    plane = layout.plane
    parts = layout.dimensions(plane)
    copies = [d for dim in dims for d in parts[dim] if d.axis != BIT]
    kept = [digit for n, part in enumerate(parts) if n not in dims for digit in part]
    slots = [d for d in (*kept, *layout.replicas) if d.axis == BIT and d.stride]
    closed = {d.stride: prod(low.extent for low in slots if low.stride < d.stride) for d in slots}
    digits, replicas = (
        tuple(Digit(d.extent, closed.get(d.stride, 0) if d.axis == BIT else d.stride, d.axis) for d in part)
        for part in (kept, layout.replicas)
    )
    offset = {axis: value for axis, value in plane.offset if axis != BIT}
    shape = [1 if d in dims else n for d, n in enumerate(layout.shape) if keepdims or d not in dims]
    whole = Plane(plane.bits, digits, tuple(offset.items()))
    return Layout(tuple(shape), (whole,), (*replicas, *copies))
