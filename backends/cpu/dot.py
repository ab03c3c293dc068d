"""The matrix product, register-blocked with explicit vectors, for any shapes.

Both operands are first converted to the accumulator's type, into buffers. The product then runs in blocks of `ROWS`
rows by up to `VECTORS` vectors of columns, whose sums stay in registers along the inner extent: per step one load of
each vector of b, and for every row one broadcast of a and a multiply-add per vector. What the full blocks leave over is
done by narrower and lower blocks of the same form, down to single columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from vmc.backends.cpu import arith, casts
from vmc.backends.cpu.elements import DOUBLE, FLOAT, I32, scalar_of, suffix
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.tiles import Buffer, Tile
from vmc.ir.core import Op
from vmc.ir.types import DType

ROWS = 8
VECTORS = 2
NEAREST = casts.Mode("nearest_even", None)


@dataclass(frozen=True)
class Product:
    """The extents of c[m, n] += a[m, k] @ b[k, n], and the buffers, all of one element type."""

    m: int
    n: int
    k: int
    a: Buffer
    b: Buffer
    c: Buffer
    dtype: DType


def lower_dot(e: Emitter, op: Op) -> tuple[Tile]:
    a, b = e.tile(op.operands[0]), e.tile(op.operands[1])
    accumulator = op.result.tile
    left, right = converted(e, a, accumulator.dtype), converted(e, b, accumulator.dtype)
    target = e.take_over(op.operands[2])
    (m, k), n = a.shape, b.shape[1]
    multiply(e, Product(m, n, k, left, right, target, accumulator.dtype))
    return (e.settled_tile(accumulator.dtype, accumulator.shape, target),)


def converted(e: Emitter, tile: Tile, dtype: DType) -> Buffer:
    """A buffer with the elements in the accumulator's type, which holds them exactly."""
    if tile.dtype == dtype:
        return e.settle(tile)
    source = tile.dtype
    return e.settle(e.map(dtype, [tile], lambda element: casts.cast(e, source, dtype, NEAREST, element)))


def multiply(e: Emitter, p: Product) -> None:
    """Covers c with blocks: the widest columns first, then what is left over."""
    column = 0
    for width, vectors in column_blocks(e, p):
        span = width * vectors
        count = (p.n - column) // span
        if count:
            stop = column + count * span
            e.each(e.index(column), e.index(stop), lambda j: row_blocks(e, p, j, width, vectors), span)  # noqa: B023
            column = stop


def column_blocks(e: Emitter, p: Product) -> list[tuple[int, int]]:
    """Vector widths, in elements, and how many of them side by side, from wide to narrow."""
    lanes = e.vector_bytes // (4 if p.c.element in (FLOAT, I32) else 8)
    blocks = [(lanes, VECTORS)]
    while lanes >= 1:
        blocks.append((lanes, 1))
        lanes //= 2
    return blocks


def row_blocks(e: Emitter, p: Product, j: ir.Value, width: int, vectors: int) -> None:
    """One stripe of columns from j on, in blocks of rows."""
    row = 0
    for rows in (ROWS, 4, 2, 1):
        count = (p.m - row) // rows
        if count:
            stop = row + count * rows
            e.each(e.index(row), e.index(stop), lambda i: block(e, p, (i, j), rows, (width, vectors)), rows)  # noqa: B023
            row = stop


def block(e: Emitter, p: Product, origin: tuple[ir.Value, ir.Value], rows: int, columns: tuple[int, int]) -> None:
    """c[i : i + rows, j : j + width * vectors] += the product's part."""
    (i, j), (width, vectors) = origin, columns
    type = ir.VectorType(p.c.element, width) if width > 1 else p.c.element
    places = [
        e.element(p.c, e.add(e.mul(e.add(i, e.index(row)), e.index(p.n)), e.add(j, e.index(vector * width))))
        for row in range(rows)
        for vector in range(vectors)
    ]
    align = arith.element_bytes(p.c.element)
    sums = [e.load(p.c.scope, place, type, align) for place in places]

    def step(inner: ir.Value, sums: Sequence[ir.Value]) -> list[ir.Value]:
        base = e.add(e.mul(inner, e.index(p.n)), j)
        right = [
            e.load(p.b.scope, e.element(p.b, e.add(base, e.index(vector * width))), type, align)
            for vector in range(vectors)
        ]
        result = []
        for row in range(rows):
            place = e.add(e.mul(e.add(i, e.index(row)), e.index(p.k)), inner)
            left = splat(e, e.read(p.a, place), width)
            result += [multiply_add(e, left, right[vector], sums[row * vectors + vector]) for vector in range(vectors)]
        return result

    for place, value in zip(places, e.loop(e.index(0), e.index(p.k), sums, step), strict=True):
        e.store(p.c.scope, value, place, align)


def splat(e: Emitter, element: ir.Value, width: int) -> ir.Value:
    """A vector of one element, or the element itself."""
    if width == 1:
        return element
    undefined = ir.Constant(ir.VectorType(element.type, width), ir.Undefined)
    first = e.b.insert_element(undefined, element, ir.Constant(I32, 0))
    return e.b.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, width), [0] * width))


def multiply_add(e: Emitter, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """a * b + c, of floats in one instruction: the sums of `dot` are free in order and rounding."""
    if scalar_of(c.type) not in (FLOAT, DOUBLE):
        return e.b.add(e.b.mul(a, b), c)
    return e.call(f"llvm.fma.{suffix(c.type)}", c.type, a, b, c)
