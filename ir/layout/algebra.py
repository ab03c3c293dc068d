"""Operations on layouts: product and division, composition and inversion, and those on shapes.

Laws (tests/ir/layout): the product is associative; (f * g) / g == f; inverse undoes apply; compose agrees with applying
twice. An operation whose result is not a layout raises LayoutError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from vmc.ir.layout.digits import BIT, INDEX, Digit, LayoutError, divided, scaled, size, split
from vmc.ir.layout.layout import Layout


def extents_of(layout: Layout) -> dict[str, int]:
    """How far each axis of an inner layout reaches, which is what an outer layout's strides are multiplied by."""
    return {axis: layout.cosize(axis) for axis in layout.axes}


def same_rank(a: Layout, b: Layout) -> int:
    """The rank that both layouts have. Raises LayoutError."""
    if len(a.shape) != len(b.shape):
        raise LayoutError(f"the shapes {list(a.shape)} and {list(b.shape)} differ in rank")
    return len(a.shape)


def product(outer: Layout, inner: Layout) -> Layout:
    """outer ⊗ inner: tiles of `inner`, arranged by `outer`.

    (outer ⊗ inner)(i) = outer(i // shape) * extent(inner) + inner(i % shape) on every axis (Tilus, section 4.1). Only
    `inner` may have element bits. Raises LayoutError for swizzles, or offsets in `inner`.
    """
    if outer.element_bits or outer.swizzle or inner.swizzle or inner.offset or outer.offset:
        raise LayoutError("a product takes layouts without swizzles and offsets, and element bits on the right only")
    rank = same_rank(outer, inner)
    factors = extents_of(inner)
    parts = inner.dimensions()
    digits: list[Digit] = []
    for above, below in zip(outer.dimensions(), parts, strict=False):
        digits += [*scaled(above, factors), *below]
    digits += parts[rank] if inner.element_bits else ()
    shape = tuple(a * b for a, b in zip(outer.shape, inner.shape, strict=True))
    replicas = (*scaled(outer.replicas, factors), *inner.replicas)
    return Layout(shape, tuple(digits), replicas, element_bits=inner.element_bits)


def divide(whole: Layout, inner: Layout) -> Layout:
    """The layout f with f ⊗ inner == whole. Raises LayoutError where there is none."""
    same_rank(whole, inner)
    factors = extents_of(inner)
    digits: list[Digit] = []
    shape = []
    for part, total, below in zip(whole.dimensions(), whole.shape, inner.shape, strict=False):
        if total % below:
            raise LayoutError(f"the extent {total} is no multiple of {below}")
        digits += divided(split(part, below)[0], factors)
        shape.append(total // below)
    kept = tuple(d for d in whole.replicas if d not in inner.replicas)
    outer = Layout(tuple(shape), tuple(digits), divided(kept, factors))
    if product(outer, inner) != whole:
        raise LayoutError("the layout is not a product with that one on the right")
    return outer


def left_divide(whole: Layout, outer: Layout) -> Layout:
    """The layout g with outer ⊗ g == whole. Raises LayoutError where there is none."""
    rank = same_rank(whole, outer)
    parts = whole.dimensions()
    digits: list[Digit] = []
    shape = []
    for part, total, above in zip(parts, whole.shape, outer.shape, strict=False):
        if total % above:
            raise LayoutError(f"the extent {total} is no multiple of {above}")
        digits += split(part, total // above)[1]
        shape.append(total // above)
    digits += parts[rank] if whole.element_bits else ()
    kept = tuple(d for d in whole.replicas if all(d.stride < o.stride or d.axis != o.axis for o in outer.on(d.axis)))
    inner = Layout(tuple(shape), tuple(digits), kept, element_bits=whole.element_bits)
    if product(outer, inner) != whole:
        raise LayoutError("the layout is not a product with that one on the left")
    return inner


def inverse(layout: Layout) -> Layout:
    """From coordinates back to the row-major index (axis `index`), bits included.

    The domain has one dimension per axis, in the order of `layout.axes`. Raises LayoutError, with a counter-example,
    unless the layout is a bijection onto the box of its coordinates.
    """
    if layout.swizzle or layout.replicas or layout.offset:
        raise LayoutError("only a layout without swizzle, replicas and offset has an inverse")
    weights, weight = [], 1
    for digit in reversed(layout.digits):
        weights.append((digit, weight))
        weight *= digit.extent
    digits: list[Digit] = []
    for axis in layout.axes:
        own = sorted(((d, w) for d, w in weights if d.axis == axis), key=lambda pair: -pair[0].stride)
        check_chain([d for d, _ in own], axis)
        digits += [Digit(d.extent, w, INDEX) for d, w in own]
    return Layout(tuple(layout.cosize(axis) for axis in layout.axes), tuple(digits))


def check_chain(digits: Sequence[Digit], axis: str) -> None:
    """Raises LayoutError unless the digits, largest stride first, count an axis without gap or overlap."""
    expected = 1
    for digit in reversed(digits):
        if digit.stride != expected:
            what = "is reached twice" if digit.stride < expected else "is never reached"
            place = min(digit.stride, expected)
            raise LayoutError(f"no bijection: on the axis {axis}, the place {place} {what}")
        expected *= digit.extent


def compose(outer: Layout, inner: Layout, axis: str | None = None) -> Layout:
    """outer after inner: the coordinate of `inner` on its only axis (or `axis`) is outer's row-major index.

    Raises LayoutError where `inner` leaves outer's domain, or a step of it is carried across outer's digits.
    """
    axis = axis or only_axis(inner)
    if inner.swizzle or inner.replicas or len({d.axis for d in inner.digits} | {axis}) > 1:
        raise LayoutError("compose takes an inner layout with one axis and no swizzle or replicas")
    used = [0] * len(outer.digits)
    digits: list[Digit] = []
    for digit in inner.digits:
        digits += routed(digit, outer, used)
    offset = routed_offset(inner.offset_on(axis), outer, used)
    for name, value in outer.offset:
        offset[name] = offset.get(name, 0) + value
    if any(top >= digit.extent for top, digit in zip(used, outer.digits, strict=True)):
        raise LayoutError("the inner layout's digits carry into each other in the outer one")
    return Layout(inner.shape, tuple(digits), outer.replicas, tuple(offset.items()), outer.swizzle, inner.element_bits)


def only_axis(layout: Layout) -> str:
    """The axis that all digits are on. Raises LayoutError."""
    axes = {digit.axis for digit in layout.digits}
    if len(axes) > 1:
        raise LayoutError(f"the layout has the axes {sorted(axes)}; name one")
    return axes.pop() if axes else BIT


def routed(digit: Digit, outer: Layout, used: list[int]) -> list[Digit]:
    """One inner digit as digits of the outer layout's axes; `used` counts how far each outer digit is driven."""
    parts: list[Digit] = []
    extent, stride = digit.extent, digit.stride
    weight = 1
    for place in range(len(outer.digits) - 1, -1, -1):
        target = outer.digits[place]
        top = weight * target.extent
        if extent > 1 and stride < top:
            if stride % weight:
                raise LayoutError(f"a step of {stride} does not fit the outer layout's digit {target}")
            step = stride // weight
            room = min(extent, -(-target.extent // step))
            if extent % room or (room < extent and step * room != target.extent):
                raise LayoutError(f"{extent} steps of {stride} do not fit the outer layout's digit {target}")
            parts.insert(0, Digit(room, step * target.stride, target.axis))
            used[place] += (room - 1) * step
            extent, stride = extent // room, stride * room
        weight = top
    if extent > 1:
        raise LayoutError(f"the inner layout leaves the outer one's domain of {size(outer.digits)}")
    return parts or [Digit(digit.extent, 0, BIT)]


def routed_offset(start: int, outer: Layout, used: list[int]) -> dict[str, int]:
    """The coordinates of a constant start."""
    offset: dict[str, int] = {}
    for place in range(len(outer.digits) - 1, -1, -1):
        digit = outer.digits[place]
        value = start % digit.extent
        start //= digit.extent
        used[place] += value
        offset[digit.axis] = offset.get(digit.axis, 0) + value * digit.stride
    if start:
        raise LayoutError("the inner layout's offset leaves the outer one's domain")
    return offset


def permute(layout: Layout, order: Sequence[int]) -> Layout:
    """Result dimension d is dimension order[d]. Raises LayoutError."""
    if sorted(order) != list(range(len(layout.shape))):
        raise LayoutError(f"{list(order)} does not permute {len(layout.shape)} dimensions")
    parts = layout.dimensions()
    digits = [digit for d in (*order, *range(len(order), len(parts))) for digit in parts[d]]
    return replace(layout, shape=tuple(layout.shape[d] for d in order), digits=tuple(digits))


def slice_layout(layout: Layout, starts: Sequence[int], sizes: Sequence[int]) -> Layout:
    """The part of the domain from `starts` on, `sizes` large. A swizzle stays what it was, on the shifted places.

    Raises LayoutError where a dimension's part is not made of whole digits.
    """
    parts = layout.dimensions()
    offset = dict(layout.offset)
    digits: list[Digit] = []
    for part, start, count, total in zip(parts, starts, sizes, layout.shape, strict=False):
        if start < 0 or count < 1 or start + count > total:
            raise LayoutError(f"the part {start} : +{count} is not inside the extent {total}")
        digits += part_of(part, start, count, offset)
    digits += parts[-1] if layout.element_bits else ()
    return replace(layout, shape=tuple(sizes), digits=tuple(digits), offset=tuple(offset.items()))


def part_of(digits: Sequence[Digit], start: int, count: int, offset: dict[str, int]) -> list[Digit]:
    """The digits that number `count` indices from `start` on; what `start` itself moves goes into the offset."""
    kept: list[Digit] = []
    for digit in reversed(digits):
        first, start = start % digit.extent, start // digit.extent
        taken = min(count, digit.extent)
        if count % taken or (taken < digit.extent and count > taken) or first + taken > digit.extent:
            raise LayoutError(f"a part of {count} is not made of whole digits {digit}")
        kept.insert(0, Digit(taken, digit.stride, digit.axis))
        offset[digit.axis] = offset.get(digit.axis, 0) + first * digit.stride
        count //= taken
    return kept


def concat(*layouts: Layout) -> Layout:
    """The layout of the product domain: shapes joined, the first layout outermost on every axis."""
    rank = sum(len(layout.shape) for layout in layouts)
    result: Layout | None = None
    before = 0
    for layout in layouts:
        after = rank - before - len(layout.shape)
        widened = layout.reshape((1,) * before + layout.shape + (1,) * after)
        result = widened if result is None else product(result, widened)
        before += len(layout.shape)
    if result is None:
        raise LayoutError("nothing to concatenate")
    return result


def reduce(layout: Layout, dims: Sequence[int]) -> Layout:
    """The layout of a tile reduced along dimensions: each result is held by every lane that held a part of it.

    Lanes and warps of the reduced dimensions become replicas; their private storage closes up. Raises LayoutError.
    """
    if layout.swizzle or layout.offset:
        raise LayoutError("reduce takes a layout without swizzle and offset")
    parts = layout.dimensions()
    kept: list[Digit] = []
    gone: list[Digit] = []
    for d, part in enumerate(parts):
        (gone if d in dims else kept).extend(part)
    replicas = (*layout.replicas, *(digit for digit in gone if digit.axis != BIT))
    shape = tuple(n for d, n in enumerate(layout.shape) if d not in dims)
    return Layout(shape, tuple(closed_up(kept)), replicas, element_bits=layout.element_bits)


def closed_up(digits: Sequence[Digit]) -> list[Digit]:
    """The digits with the gaps on the axis `bit` closed, in the order of their strides."""
    order = sorted((d for d in digits if d.axis == BIT), key=lambda d: d.stride)
    places: dict[Digit, int] = {}
    stride = 1
    for digit in order:
        places[digit] = stride
        stride *= digit.extent
    return [Digit(d.extent, places[d], BIT) if d.axis == BIT else d for d in digits]


def pack_map(fragment: Layout, storage: Layout) -> Layout:
    """Where each bit of a storage goes in a fragment: compose(fragment, inverse(storage)). Raises LayoutError."""
    if prod(fragment.domain) != prod(storage.domain):
        raise LayoutError("the fragment and the storage hold different numbers of bits")
    return compose(fragment, inverse(storage), INDEX)
