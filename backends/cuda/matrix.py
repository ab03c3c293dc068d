"""Matrix products by mma.sync: every warp multiplies the fragments that its layouts give it, step by step along K.

Which registers make an operand of an instruction is read off the layouts of the tiles, by asking them for the slots of
the elements that the first lane of the first warp holds. Where an instruction's sums keep few bits, those of a run of
steps are started from zero, and added to the others as f32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from vmc.backends.cuda.emitter import Emitter, Tile
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.tir import F32, U32, Expr, binary, const, float_const, tirx
from vmc.ir.core import Op
from vmc.ir.layout import BIT, WARP, Layout
from vmc.ir.passes.gpu.matrix import Product, product_of


def lower_dot(e: Emitter, op: Op) -> None:
    """A product in the layouts of matrix instructions. Raises UnsupportedError for any other."""
    found = product_of(op, e.threads)
    a, b, c = (e.values[value] for value in op.operands)
    if found is None:
        raise UnsupportedError("no matrix instructions compute this product, and it was not expanded", op.span)
    for held, layout in zip((a, b, c), found.layouts, strict=True):
        if held.registers.layout != layout:
            raise UnsupportedError("a factor of a matrix product is not laid out as its instruction takes it", op.span)
    made = e.tile(op.result.tile, op.result.name)
    run = op.attrs.get("run") or found.k
    is_zero = c.buffer is None and c.uniform is float_const(0, F32)
    apart = run < found.k or (bool(op.attrs.get("run")) and not is_zero)
    copy(e, made.buffer, c, made.registers.slots)
    for first in range(0, found.k, run):
        steps = range(first, min(first + run, found.k), found.instruction.k)
        if not apart:
            multiply(e, op, found, made.buffer, steps)
            continue
        part = e.tile(op.result.tile, "part")
        zero = Tile(part.dtype, part.registers, None, float_const(0, F32))
        copy(e, part.buffer, zero, part.registers.slots)
        multiply(e, op, found, part.buffer, steps)
        for slot in range(part.registers.slots):
            e.put(made.buffer, slot, binary("Add", e.get(made.buffer, slot), e.get(part.buffer, slot)))
    e.define(op.result, made)


def copy(e: Emitter, to: Any, tile: Tile, slots: int) -> None:
    for slot in range(slots):
        e.put(to, slot, e.held(tile, slot))


def multiply(e: Emitter, op: Op, found: Product, sums: Any, steps: Iterable[int]) -> None:
    """Adds the products of some steps along K to the registers of a tile of sums."""
    a, b = (e.values[value] for value in op.operands[:2])
    layout = found.layouts[2]
    for k0, m0, n0 in product(steps, *own(found)):
        left = registers(e, a, a_slots(a.registers.layout, m0, k0, found))
        right = registers(e, b, b_slots(b.registers.layout, k0, n0, found))
        to = [tirx().address_of(e.get(sums, slot)) for slot in c_slots(layout, m0, n0)]
        e.call(instruction_name(found, op), *to, *left, *right)


def instruction_name(found: Product, op: Op) -> str:
    a, b = (value.tile.dtype.name for value in op.operands[:2])
    way = "halves" if op.name == "dot_fp8" and not op.attrs["native"] else "mma"
    return f"vmc_{way}_{found.instruction.name}_{a}_{b}"


def own(found: Product) -> tuple[range, range]:
    """The first rows and columns of the instructions of the first warp."""
    rows, columns, _ = found.warps
    return range(0, found.m // rows, 16), range(0, found.n // columns, 8)


def slot(layout: Layout, row: int, column: int) -> int:
    """The slot of an element that the first lane of the first warp holds."""
    place = layout.apply(row, column)
    assert place.get(WARP, 0) == 0 and place.get("lane", 0) == 0, (row, column, place)
    return place[BIT]


def a_slots(layout: Layout, m: int, k: int, found: Product) -> list[list[int]]:
    """The elements of each of the four registers of A: rows 0 and 8 of the first columns, then of the second half."""
    each, half = 32 // found.instruction.bits, found.instruction.k // 2
    return [[slot(layout, m + row, k + start + n) for n in range(each)] for start in (0, half) for row in (0, 8)]


def b_slots(layout: Layout, k: int, n: int, found: Product) -> list[list[int]]:
    each, half = 32 // found.instruction.bits, found.instruction.k // 2
    return [[slot(layout, k + start + part, n) for part in range(each)] for start in (0, half)]


def c_slots(layout: Layout, m: int, n: int) -> list[int]:
    return [slot(layout, m + row, n + column) for row in (0, 8) for column in (0, 1)]


def registers(e: Emitter, tile: Tile, groups: Sequence[Sequence[int]]) -> list[Expr]:
    """Words of packed elements: those that they came in, or else put together."""
    bits = 32 // len(groups[0])
    packed = []
    for group in groups:
        word: Expr | None = tile.words.get(tuple(group))
        if word is not None:
            packed.append(word)
            continue
        for place, number in enumerate(group):
            part = e.held(tile, number)
            if bits == 8:
                part = binary("BitwiseAnd", part, const(0xFF, U32))
            part = part << const(bits * place, U32) if place else part
            word = part if word is None else binary("BitwiseOr", word, part)
        packed.append(word)
    return packed
