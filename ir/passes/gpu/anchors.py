"""Where layouts come from: pins, matrix instructions, reductions, accesses to device memory, a default for the rest.

What lies in shared memory is read in whatever layout its use has. Anchors are taken in the order of what
a bad layout would cost: the first one that reaches a value decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from vmc.ir.core import Op, Region, TensorType, Value
from vmc.ir.layout import Layout
from vmc.ir.passes.gpu.relations import has_layout
from vmc.ir.passes.gpu.spread import spread

WIDEST = 128
"""Bits of the widest access of a thread."""
TURNS = 8
"""How much more an operation weighs for every loop around it."""

Fragments = Callable[[Op, int], Sequence[Layout | None] | None]
"""For a matrix product and a number of threads: the layouts of its operands, in order, and of its result; None for a
product that no matrix instruction computes."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A value's own choice of layout, and what it costs not to have it: rank first, then weight."""

    value: Value
    layout: Layout
    rank: int
    weight: int


PINNED, MATRIX, ALONG_AXIS, ACCESS, DEFAULT = range(5)


def anchors(body: Region, threads: int, fragments: Fragments | None) -> list[Anchor]:
    """All anchors of a kernel's block, the most important first."""
    found = sorted(collected(body, threads, fragments, 1), key=lambda anchor: (anchor.rank, -anchor.weight))
    return found


def collected(region: Region, threads: int, fragments: Fragments | None, weight: int) -> Iterator[Anchor]:
    for value in region.args:
        yield from defaults([value], threads, weight)
    for op in region.ops:
        yield from of_op(op, threads, fragments, weight)
        for inner in op.regions:
            yield from collected(inner, threads, fragments, weight * (TURNS if op.name in ("for", "while") else 1))


def of_op(op: Op, threads: int, fragments: Fragments | None, weight: int) -> Iterator[Anchor]:
    for value in op.results:
        if has_layout(value) and value.tile.layout is not None:
            yield Anchor(value, value.tile.layout, PINNED, weight)
    if fragments is not None and (chosen := fragments(op, threads)) is not None:
        for value, layout in zip((*op.operands, *op.results), chosen, strict=True):
            if layout is not None:
                yield Anchor(value, layout, MATRIX, weight * value.tile.size)
    match op.name:
        case "reduce" | "scan":
            source = op.operands[0]
            yield Anchor(source, axis_layout(source, op, threads), ALONG_AXIS, weight * bits(source))
        case "load" if has_layout(op.result) and op.operands[0].tensor.in_device_memory:
            yield accessed(op.result, op.operands[0].tensor, op, threads, weight)
        case "store" if has_layout(op.operands[1]) and op.operands[0].tensor.in_device_memory:
            yield accessed(op.operands[1], op.operands[0].tensor, op, threads, weight)
    yield from defaults(op.results, threads, weight)


def defaults(values: Sequence[Value], threads: int, weight: int) -> Iterator[Anchor]:
    for value in values:
        if has_layout(value):
            yield Anchor(value, spread(value.tile.shape, threads), DEFAULT, weight)


def bits(value: Value) -> int:
    return value.tile.size * value.tile.dtype.width


def axis_layout(value: Value, op: Op, threads: int) -> Layout:
    """What a reduction or a scan wants: along the axis, lanes of one warp, or none."""
    shape, axis = value.tile.shape, op.attrs["axis"]
    if op.name == "scan":
        return local_along(shape, threads, axis)
    last = axis == len(shape) - 1
    vector = fitting_vector(shape, value.tile.dtype.width, threads, axis if last else None)
    return spread(shape, threads, vector, axis)


def local_along(shape: tuple[int, ...], threads: int, axis: int) -> Layout:
    """A layout in which every thread holds whole lines along an axis."""
    others = tuple(1 if dim == axis else extent for dim, extent in enumerate(shape))
    around = spread(others, threads)
    inside = Layout.of(
        tuple(extent if dim == axis else 1 for dim, extent in enumerate(shape)),
        line_digits(shape[axis]),
    )
    return around * inside


def line_digits(extent: int) -> list:  # type: ignore[type-arg]
    from vmc.ir.layout import BIT, Digit

    return [Digit(extent, 1, BIT)]


def accessed(value: Value, tensor: TensorType, op: Op, threads: int, weight: int) -> Anchor:
    """What a slice wants: neighbours in a thread as wide as can be accessed at once, as long as no thread idles."""
    vector = access_vector(value, tensor, op, threads)
    return Anchor(value, spread(value.tile.shape, threads, vector), ACCESS, weight * bits(value))


def access_vector(value: Value, tensor: TensorType, op: Op, threads: int) -> int:
    """How many neighbours of the last axis a thread accesses at once: 1 where they are no neighbours in memory."""
    sizes, steps = op.attrs["sizes"], op.attrs["steps"]
    if sizes[-1] is None or steps[-1] != 1 or tensor.storage is not None:
        return 1
    return fitting_vector(value.tile.shape, tensor.dtype.width, threads, None)


def fitting_vector(shape: tuple[int, ...], width: int, threads: int, axis: int | None) -> int:
    """The most elements in an aligned access of the last dimension that leaves work for all threads; of narrow types at
    least as many as fill whole words, or bytes, where the dimension has them. `axis`: only a warp's threads count.
    """
    extent, size = shape[-1], 1
    for n in shape:
        size *= n
    if axis is not None:
        size, threads = extent, 32
    whole = next((n for n in (32 // gcd(32, width), 8 // gcd(8, width)) if extent % n == 0), 1) if width < 8 else 1
    vector = whole
    while extent % (2 * vector) == 0 and 2 * vector * width <= WIDEST and size >= 2 * vector * threads:
        vector *= 2
    return vector
