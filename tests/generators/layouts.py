"""Hypothesis strategies of layouts, and their meaning written out: sums over digits, one index at a time."""

from __future__ import annotations

from itertools import product as all_of
from math import prod

from hypothesis import strategies as st

from vmc.ir.layout import Digit, Layout, Plane, Swizzle, column_local, local, strided

AXES = ("bit", "lane", "warp")
SMALL = 4096
STRIDES = st.integers(0, 40)
WIDTHS = st.sampled_from([0, 0, 1, 3, 4])
NO_BITS = st.just(0)


@st.composite
def shapes(draw, ranks=(1, 3), extents=(1, 6)):
    return tuple(draw(st.lists(st.integers(*extents), min_size=ranks[0], max_size=ranks[1])))


def divisors(n):
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def factors(draw, n):
    """Extents that multiply to n, most significant first, ones among them."""
    parts = []
    while n > 1:
        parts.append(draw(st.sampled_from(divisors(n))))
        n //= parts[-1]
    return parts or [1]


@st.composite
def digits_of(draw, extents, axes=AXES, strides=STRIDES):
    """Digits of any strides for the dimensions."""
    parts = [part for extent in extents for part in draw(factors(extent))]
    return tuple(Digit(n, draw(strides), draw(st.sampled_from(axes))) for n in parts)


@st.composite
def offsets(draw, axes=AXES):
    return draw(st.dictionaries(st.sampled_from(axes), st.integers(0, 9), max_size=2))


@st.composite
def replica_lists(draw, axes=AXES):
    one = st.builds(Digit, st.integers(1, 3), st.integers(0, 12), st.sampled_from(axes))
    return tuple(draw(st.lists(one, max_size=2)))


swizzles = st.builds(Swizzle, st.integers(0, 2), st.integers(1, 2), st.integers(2, 3))


@st.composite
def raw(draw, axes=AXES, bits=WIDTHS, swizzled=True, replicated=True):
    """The fields of a layout of one plane, by which its meaning is defined."""
    shape, width = draw(shapes()), draw(bits)
    return {
        "shape": shape,
        "digits": draw(digits_of((*shape, width) if width else shape, axes)),
        "bits": width,
        "offset": draw(offsets(axes)),
        "replicas": draw(replica_lists(axes)) if replicated else (),
        "swizzle": draw(st.none() | swizzles) if swizzled else None,
    }


def build(fields):
    return Layout.of(
        fields["shape"], fields["digits"], **{k: v for k, v in fields.items() if k not in ("shape", "digits")}
    )


def layouts(**options):
    """Any layout: overlapping, with gaps, replicas, offsets and swizzles as asked for."""
    return raw(**options).map(build)


@st.composite
def planar(draw):
    """A layout of several planes on the axis `bit`."""
    shape = draw(shapes(ranks=(1, 2), extents=(1, 4)))
    widths = draw(st.lists(st.integers(1, 3), min_size=2, max_size=3))
    parts = [
        Plane(w, draw(digits_of((*shape, w), ("bit", "lane"))), tuple(draw(offsets(("bit",))).items())) for w in widths
    ]
    return Layout(shape, tuple(parts))


@st.composite
def kronecker(draw, rank=2, most=4, bits=NO_BITS):
    """A product of local and spatial parts: a bijection, as register layouts are."""
    layout = Layout.of((1,) * rank, ())
    names = ["local", "spatial", "warps", "column_local", "column_spatial"]
    for _ in range(draw(st.integers(1, most))):
        shape = draw(st.tuples(*[st.integers(1, 3)] * rank))
        layout = getattr(layout, draw(st.sampled_from(names)))(*shape)
    width = draw(bits)
    return layout.with_bits(width) if width else layout


@st.composite
def gapped(draw, bits=WIDTHS):
    """An injective layout on several axes, with gaps, in any order of digits."""
    shape, width = draw(shapes(ranks=(1, 3), extents=(1, 4))), draw(bits)
    parts = [part for extent in (*shape, *([width] if width else [])) for part in draw(factors(extent))]
    reach = dict.fromkeys(AXES, 1)
    found = [None] * len(parts)
    for place in draw(st.permutations(range(len(parts)))):
        axis = draw(st.sampled_from(AXES))
        stride = reach[axis] * draw(st.sampled_from([1, 1, 2, 3]))
        found[place] = Digit(parts[place], stride, axis)
        reach[axis] = stride * parts[place]
    return Layout.of(shape, found, bits=width)


@st.composite
def memories(draw, rank=2):
    """A bijection from a tile's bits to memory: a dense order of the dimensions, perhaps blocked."""
    shape = [draw(st.sampled_from((1, 2, 3, 4, 6))) for _ in range(rank)]
    order = draw(st.permutations(range(rank)))
    strides, step = [0] * rank, 1
    for dim in reversed(order):
        strides[dim], step = step, step * shape[dim]
    outer = strided(shape, strides)
    if draw(st.booleans()):
        outer = outer * draw(st.sampled_from((local(*(2,) * rank), column_local(*(2,) * rank))))
    return outer.with_bits(draw(st.integers(1, 8)))


# ---- the meaning, written out ----------------------------------------------------------------------------------------


def flat_of(index, domain):
    flat = 0
    for i, n in zip(index, domain, strict=True):
        flat = flat * n + i
    return flat


def meaning(fields, flat):
    """The set of places of one index of a raw layout: {frozenset of (axis, coordinate) that are not 0}."""
    base = dict(fields["offset"])
    rest = flat
    for digit in reversed(fields["digits"]):
        base[digit.axis] = base.get(digit.axis, 0) + rest % digit.extent * digit.stride
        rest //= digit.extent
    places = set()
    for steps in all_of(*(range(r.extent) for r in fields["replicas"])):
        place = dict(base)
        for step, replica in zip(steps, fields["replicas"], strict=True):
            place[replica.axis] = place.get(replica.axis, 0) + step * replica.stride
        if fields["swizzle"] is not None:
            place["bit"] = swizzled(fields["swizzle"], place.get("bit", 0))
        places.add(frozenset((axis, at) for axis, at in place.items() if at))
    return places


def swizzled(swizzle, x):
    """Bit k of the base range is XORed with bit k + shift."""
    for k in range(swizzle.base, swizzle.base + swizzle.bits):
        x ^= (x >> (k + swizzle.shift) & 1) << k
    return x


def function(layout):
    """The set of places of every index, in order, as the layout itself tells."""
    copies = list(layout.copies())
    table = [set() for _ in range(prod(layout.domain))]
    for places in copies:
        lines = {axis: line.reshape(-1).tolist() for axis, line in places.items()}
        for n in range(len(table)):
            table[n].add(frozenset((axis, line[n]) for axis, line in lines.items() if line[n]))
    return table
