"""Loads of whole blocks of elements, as block formats store them.

The bit offsets of a block's elements are cut into digits, nested runs with one stride each:

    u4[32], element i and i + 16 in one byte:  offset of (h, b) = 4 h + 8 b,  0 <= h < 2, 0 <= b < 16

A digit whose stride is whole bytes becomes a loop, any other is written out, with its shift as a constant: so the
innermost loop is bytes in a row, one shift and one mask, which is what vectors do. Dense elements that straddle bytes
are a row for `rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llvmlite import ir

from vmc.backends.cpu import rows
from vmc.backends.cpu.address import storage_runs, storage_start
from vmc.backends.cpu.elements import I8, element_size, element_type, from_code, step_to
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Buffer, Index

if TYPE_CHECKING:
    from vmc.backends.cpu.access import Slice


@dataclass(frozen=True)
class Run:
    """`extent` steps of `stride` bits; `elements` numbers lie between one step and the next."""

    extent: int
    stride: int
    elements: int


@dataclass(frozen=True)
class Planes:
    """The digits of a block of elements, outermost first, None for a dense row; the bit offset of its first element."""

    runs: tuple[Run, ...] | None
    first: int


def planes_of(slice: Slice) -> Planes | None:
    """How to load a slice whose last axis runs along whole blocks; None where that is not so."""
    tensor = slice.tensor
    storage, width = tensor.type.storage, tensor.type.dtype.width
    if storage is None or storage.pitch % 8 or slice.axes[-1] is None or slice.steps[-1] != 1:
        return None
    *others, count = storage.block
    start, low, high = slice.starts[-1], *slice.inside[-1]
    whole = all(isinstance(bound, ir.Constant) for bound in (start, low, high)) and start.constant == low.constant == 0
    if set(others) - {1} or not whole or high.constant != count or slice.shape[-1] != count:
        return None
    found = storage_runs(storage, width)
    if len(found.lows) > 1:
        return None
    offsets = [offset + tensor.bit_offset for offset in found.offsets[0]]
    if all(offset % 8 + width <= 8 for offset in offsets) or all(n % 8 == 0 for n in (width, *offsets)):
        runs = runs_of(offsets)
        return None if runs is None else Planes(tuple(runs), offsets[0])
    dense = width < 8 and all(offset == offsets[0] + place * width for place, offset in enumerate(offsets))
    return Planes(None, offsets[0]) if dense else None


def runs_of(offsets: Sequence[int]) -> list[Run] | None:
    """The digits of a list of offsets, outermost first; None where it has no such form."""
    runs: list[Run] = []
    heads, elements = list(offsets), 1
    while len(heads) > 1:
        stride = heads[1] - heads[0]
        extent = next((n for n in range(len(heads), 1, -1) if is_regular(heads, n, stride)), 1)
        if extent == 1:
            return None
        inner = 8 // stride if 0 < stride < 8 and 8 % stride == 0 else extent
        if extent > inner and extent % inner == 0:
            runs += [Run(inner, stride, elements), Run(extent // inner, stride * inner, elements * inner)]
        else:
            runs.append(Run(extent, stride, elements))
        heads, elements = heads[::extent], elements * extent
    return runs[::-1]


def is_regular(heads: Sequence[int], extent: int, stride: int) -> bool:
    """Whether runs of this extent step by the stride."""
    if len(heads) % extent:
        return False
    return all(head == heads[place - place % extent] + place % extent * stride for place, head in enumerate(heads))


def copy_planes(e: Emitter, slice: Slice, planes: Planes, buffer: Buffer) -> None:
    """Fills a buffer with the blocks of a slice that lie inside the tensor."""

    tensor, dtype = slice.tensor, slice.tensor.type.dtype

    def block(place: Index) -> None:
        first = (*place, e.index(0))
        start, _ = storage_start(e, tensor, slice.index(e, first))
        origin, position = e.b.sub(start, e.index(tensor.bit_offset)), e.linear(first, slice.shape)
        if planes.runs is None:
            bit, count = e.add(origin, e.index(planes.first)), e.index(slice.shape[-1])
            rows.unpack_row(e, dtype, e.element(buffer, position), tensor.base, bit, count, tensor.length)
        else:
            base = step_to(e.b, tensor.base, e.b.lshr(origin, e.index(3)), I8)
            emit(e, slice, planes.runs, base, position, planes.first, buffer)

    e.nest(slice.inside[:-1], block)


def emit(
    e: Emitter, slice: Slice, runs: Sequence[Run], base: ir.Value, position: ir.Value, bit: int, buffer: Buffer
) -> None:
    """The loops over the digits that are left: elements from `position` on, at constant `bit`s from `base`."""
    if not runs:
        type = slice.tensor.type.dtype
        address = step_to(e.b, base, e.index(bit // 8), I8)
        element = e.load(slice.tensor.scope, address, element_type(type))
        if type.width < 8 * element_size(type):
            element = from_code(e.b, type, e.b.lshr(element, ir.Constant(element.type, bit % 8)))
        e.write(buffer, position, element)
        return
    run, *rest = runs

    def step(place: ir.Value, moved: ir.Value, at: int) -> None:
        emit(e, slice, rest, moved, e.add(position, e.mul(place, e.index(run.elements))), at, buffer)

    if run.stride % 8:
        for place in range(run.extent):
            step(e.index(place), base, bit + place * run.stride)
        return
    distance = e.index(run.stride // 8)
    e.each(
        e.index(0),
        e.index(run.extent),
        lambda place: step(place, step_to(e.b, base, e.mul(place, distance), I8), bit),
    )
