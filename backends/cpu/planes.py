"""Loads of whole rows of elements, as block formats store them: a field of a block, or one of the parts of a field.

The bit offsets of a row's elements are cut into digits, nested runs with one stride each:

    u4[32], element i and i + 16 in one byte:  offset of (h, b) = 4 h + 8 b,  0 <= h < 2, 0 <= b < 16

A digit whose stride is whole bytes becomes a loop, any other is written out, with its shift as a constant: so the
innermost loop is bytes in a row, one shift and one mask, which is what vectors do. Dense elements that straddle bytes
are a row for `rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir

from vmc.backends.cpu import rows
from vmc.backends.cpu.address import storage_run, storage_runs, storage_start
from vmc.backends.cpu.elements import I8, element_size, element_type, from_code, resize, step_to
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Buffer, Index

if TYPE_CHECKING:
    from vmc.backends.cpu.access import Slice

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Run:
    """`extent` steps of `stride` bits; `elements` numbers lie between one step and the next."""

    extent: int
    stride: int
    elements: int


@dataclass(frozen=True)
class Planes:
    """The digits of a row of elements, outermost first, None for a dense row. `shift` is the first one's place in its
    byte, None where rows differ in that.
    """

    runs: tuple[Run, ...] | None
    shift: int | None


def planes_of(slice: Slice) -> Planes | None:
    """How to load a slice whose last axis runs along whole rows of blocks; None where that is not so."""
    tensor = slice.tensor
    storage, width = tensor.type.storage, tensor.type.dtype.width
    if storage is None or storage.pitch % 8 or slice.axes[-1] is None or slice.steps[-1] != 1:
        return None
    count = storage.block[-1]
    start, low, high = slice.starts[-1], *slice.inside[-1]
    whole = all(isinstance(bound, ir.Constant) for bound in (start, low, high)) and start.constant == low.constant == 0
    if not whole or high.constant != count or slice.shape[-1] != count:
        return None
    found = storage_runs(storage, width)
    if len(found.lows) > 1:
        return None
    offsets = np.array(found.offsets[0]).reshape(-1, count) + tensor.bit_offset
    steps = offsets - offsets[:, :1]
    return rows_alike(offsets[:, 0] % 8, steps[0], width) if (steps == steps[0]).all() else None


def rows_alike(shifts: Array, steps: Array, width: int) -> Planes | None:
    """Rows of elements at the same `steps` in bits, whose first ones are at some place in a byte."""
    shift = int(shifts[0]) if (shifts == shifts[0]).all() else None
    in_bytes = int(shifts.max()) + int((steps % 8).max()) + width <= 8
    if in_bytes or (width % 8 == 0 and shift == 0 and not (steps % 8).any()):
        runs = runs_of([int(step) for step in steps])
        return None if runs is None else Planes(tuple(runs), shift)
    dense = width < 8 and (steps == width * np.arange(len(steps))).all()
    return Planes(None, shift) if dense else None


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
    """Fills a buffer with the rows of a slice that lie inside the tensor."""
    tensor, dtype = slice.tensor, slice.tensor.type.dtype
    assert tensor.type.storage is not None
    found = storage_runs(tensor.type.storage, dtype.width)

    def row(place: Index) -> None:
        first = (*place, e.index(0))
        start, within = storage_start(e, tensor, slice.index(e, first))
        bit, position = storage_run(e, tensor, found, 0, start, within), e.linear(first, slice.shape)
        if planes.runs is None:
            count = e.index(slice.shape[-1])
            rows.unpack_row(e, dtype, e.element(buffer, position), tensor.base, bit, count, tensor.length)
            return
        base = step_to(e.b, tensor.base, e.b.lshr(bit, e.index(3)), I8)
        moved = e.b.trunc(e.b.and_(bit, e.index(7)), I8) if planes.shift is None else ir.Constant(I8, planes.shift)
        emit(e, slice, planes.runs, Row(base, moved, position), 0, buffer)

    e.nest(slice.inside[:-1], row)


@dataclass(frozen=True)
class Row:
    """Elements of the tile from `position` on, whose first one lies `shift` bits into the byte at `base`."""

    base: ir.Value
    shift: ir.Value
    position: ir.Value


def emit(e: Emitter, slice: Slice, runs: Sequence[Run], row: Row, bit: int, buffer: Buffer) -> None:
    """The loops over the digits that are left, `bit` bits further on."""
    if not runs:
        type = slice.tensor.type.dtype
        element = e.load(slice.tensor.scope, step_to(e.b, row.base, e.index(bit // 8), I8), element_type(type))
        if type.width < 8 * element_size(type):
            distance = e.b.add(row.shift, ir.Constant(I8, bit % 8))
            element = from_code(e.b, type, e.b.lshr(element, resize(e.b, distance, element.type, signed=False)))
        e.write(buffer, row.position, element)
        return
    run, *rest = runs

    def step(place: ir.Value, base: ir.Value, at: int) -> None:
        position = e.add(row.position, e.mul(place, e.index(run.elements)))
        emit(e, slice, rest, Row(base, row.shift, position), at, buffer)

    if run.stride % 8:
        for place in range(run.extent):
            step(e.index(place), row.base, bit + place * run.stride)
        return
    distance = e.index(run.stride // 8)
    e.each(
        e.index(0),
        e.index(run.extent),
        lambda place: step(place, step_to(e.b, row.base, e.mul(place, distance), I8), bit),
    )
