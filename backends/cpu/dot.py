"""The matrix product, driven by whoever needs the result.

    c[m, n] + sum over k of a[m, k] * b[k, n]

`lower_dot` computes nothing: its tile is a `Product`, and when elements are wanted, by a buffer of its own or by a
chain of elementwise operations over one or several products (the scaling of an accumulator), `drive` runs the loops
of a `Nest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llvmlite import ir

from vmc.backends.cpu import casts, filling, small_floats, transposing
from vmc.backends.cpu.emitter import Emitter, can_flat, can_vector
from vmc.backends.cpu.instructions import instruction_for
from vmc.backends.cpu.nest import MOST_ROWS, REUSE, Nest
from vmc.backends.cpu.products import Product, alike, conditions_of, in_memory, products_in
from vmc.backends.cpu.tiles import Buffer, Tensor, Tile, moved_sources
from vmc.ir.core import Op
from vmc.ir.types import DType

NEAREST = casts.Mode("nearest_even", None)


def lower_dot(e: Emitter, op: Op) -> tuple[Tile]:
    a, b, c = map(e.tile, op.operands)
    type = op.result.tile
    types = (a.dtype, b.dtype, type.dtype)
    run = int(str(op.attrs["run"])) if op.name == "dot_short" else 1
    instruction = instruction_for(e.machine, types, b.shape, op.name == "dot_flushing", run)
    left = converted(e, a, instruction.left_operand(a.dtype, type.dtype))
    right = converted(e, b, instruction.operand(b.dtype, type.dtype))
    if not in_memory(left) and not (e.plan.rows_wanted.get(op.result) and is_row_by_row(e, left)):
        e.settle(left)
    blocks = -(-a.shape[0] // MOST_ROWS[e.machine.vector_bytes])
    reused = blocks > REUSE and not instruction.decodes_cheaply
    if not can_vector(right) or (reused and right.origin is not None and right.period == 1):
        e.settle(right)
    reused &= right.buffer is None
    product = Product(left, right, c, instruction, e.plan.rows_wanted.get(op.result), reused)
    tile = Tile(type.dtype, type.shape, product=product)
    tile.sources = {**c.sources, **moved_sources(left), **moved_sources(right)}
    return (tile,)


def converted(e: Emitter, tile: Tile, dtype: DType) -> Tile:
    """The tile with elements of the type that is multiplied, which holds them exactly."""
    if tile.dtype == dtype:
        return tile
    while tile.buffer is None and tile.same is not None:
        tile = tile.same
    source = tile.dtype
    result = e.map(dtype, [tile], lambda element: casts.cast(e, source, dtype, NEAREST, element))
    small_floats.by_rows(e, result, tile)
    return result


# Driving


def is_row_by_row(e: Emitter, tile: Tile) -> bool:
    """Whether a tile may be written to memory element by element, and as few rows of it as are wanted."""
    if any(True for _ in products_in(tile)):
        return False
    return not filling.is_better_in_atoms(tile) and not transposing.fits(e, tile)


def put_left_in_memory(e: Emitter, group: Sequence[Tile], wanted: ir.Value | None) -> None:
    """Buffers for left factors that have none yet, with the rows that are wanted, and those that blocks reach over."""
    held: dict[Tile, Tile] = {}
    for tile in group:
        product = tile.product
        assert isinstance(product, Product)
        if in_memory(product.a):
            continue
        if product.a not in held:
            m, _, k = product.shape
            high = MOST_ROWS[e.machine.vector_bytes]
            count = e.index(m) if wanted is None else e.clamp(e.add(wanted, e.index(high)), e.index(0), e.index(m))
            buffer = e.allocate(product.a.dtype, m * k)
            write_rows(e, product.a, buffer, count)
            held[product.a] = e.settled_tile(product.a.dtype, (m, k), buffer)
        tile.product = replace(product, a=held[product.a])


def write_rows(e: Emitter, tile: Tile, buffer: Buffer, count: ir.Value) -> None:
    """The first rows of a tile."""
    columns = e.index(tile.shape[1])
    if can_flat(tile):
        e.each(e.index(0), e.mul(count, columns), lambda place: e.write(buffer, place, e.flat(tile, place)))
        return
    box = [(e.index(0), count), (e.index(0), columns)]
    e.nest(box, lambda index: e.write(buffer, e.linear(index, tile.shape), e.at(tile, index)))


def drive(e: Emitter, buffer: Buffer, root: Tile) -> None:
    """Writes to a buffer a tile that is made elementwise of products, and of what can be had as vectors."""
    found = list(dict.fromkeys(products_in(root)))
    first = found[0].product
    assert isinstance(first, Product)
    group = [tile for tile in found if alike(first, tile.product)]
    for tile in found:
        if tile not in group:
            e.settle(tile)
    prepare(e, root)
    for tile in group:
        assert isinstance(tile.product, Product)
        prepare(e, tile.product.b)
        prepare(e, tile.product.c)
    wanted = rows_wanted(e, first)
    put_left_in_memory(e, group, wanted)
    conditions = list(dict.fromkeys(condition for tile in (root, *group) for condition in conditions_of(tile)))
    nest = Nest(e, group, root, buffer, wanted)
    if not conditions:
        with e.guard(False):
            nest.run()
        return
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = e.b.and_(whole, condition)
    with e.b.if_else(whole) as (then, otherwise):
        with then, e.guard(False):
            nest.run()
        with otherwise, e.guard(True):
            nest.run()


def rows_wanted(e: Emitter, product: Product) -> ir.Value | None:
    """How many rows of a product lie inside of the tensor that they are for; None if all do, or it is not known yet."""
    op = product.store
    if op is None or op.attrs["sizes"][0] is None or op.attrs["steps"][0] != 1 or op.attrs["inbounds"][0]:
        return None
    target, start = e.env.get(op.operands[0]), e.env.get(op.operands[2])
    if not isinstance(target, Tensor) or not isinstance(start, Tile):
        return None
    left = e.sub(target.extents[0], e.at(start, ()))
    return e.clamp(left, e.index(0), e.index(product.shape[0]))


def prepare(e: Emitter, tile: Tile) -> None:
    """Gives buffers to the tiles of a chain that cannot be had as vectors."""
    waiting, seen = [tile], set()
    while waiting:
        top = waiting.pop()
        if top in seen or top.buffer is not None or top.product is not None:
            continue
        seen.add(top)
        if can_vector(top):
            waiting += reversed((*top.operands, *top.inputs))
        else:
            e.settle(top)
