"""How the layouts of an operation's operands and results follow from each other.

A relation says: if value `given` has a layout, `value` may have `apply(layout)` without moving anything. Layout
inference spreads layouts along relations; `natural` is what an operation's result has once its operands are laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from vmc.ir.core import Op, TileType, Value
from vmc.ir.layout import Layout, LayoutError, permute
from vmc.ir.passes.gpu.spread import reduced

Apply = Callable[[Layout], Layout | None]
ALIKE = ("gather", "scatter", "atomic", "scan")
"""Besides the elementwise ones: operations whose tiles have one shape, and are best laid out alike."""
FREE = ("constant", "table", "iota", "broadcast")
"""Operations that can be executed in any layout, so that they are repeated rather than moved."""


@dataclass(frozen=True, slots=True)
class Relation:
    given: Value
    value: Value
    apply: Apply


def has_layout(value: Value) -> bool:
    """Whether a value is a tile with axes, which has a layout at the access level."""
    return isinstance(value.type, TileType) and value.type.rank > 0


def same(layout: Layout) -> Layout:
    return layout


def both(a: Value, b: Value) -> Iterator[Relation]:
    yield Relation(a, b, same)
    yield Relation(b, a, same)


def relations(op: Op) -> Iterator[Relation]:
    """The relations of one operation; those of loops and branches relate what they carry and yield."""
    tiles = [value for value in (*op.operands, *op.results) if has_layout(value)]
    match op.name:
        case "for":
            (body,) = op.regions
            yield from chained(op.operands[3:], body.args[1:], body.yielded, op.results)
        case "while":
            condition, body = op.regions
            yield from chained(op.operands, condition.args, body.args, body.yielded, op.results)
        case "if":
            yield from chained(*(region.yielded for region in op.regions), op.results)
        case "transpose":
            order = op.attrs["permutation"]
            yield from pair(op, partial(permuted, order=order), partial(permuted, order=inverse_order(order)))
        case "reshape":
            yield from pair(
                op, partial(reshaped, shape=op.result.tile.shape), partial(reshaped, shape=op.operands[0].tile.shape)
            )
        case "broadcast":
            yield Relation(op.result, op.operands[0], partial(projected, shape=op.operands[0].tile.shape))
        case "reduce":
            yield Relation(op.operands[0], op.result, partial(reduced, axis=op.attrs["axis"]))
        case "relayout":
            yield Relation(op.result, op.operands[0], same)
        case name if op.definition.elementwise or name in ALIKE:
            for value in tiles[1:]:
                yield from both(tiles[0], value)


def chained(*lists: tuple[Value, ...]) -> Iterator[Relation]:
    """Values that stand for each other, position by position."""
    for values in zip(*lists, strict=True):
        for value in values[1:]:
            yield from both(values[0], value)


def pair(op: Op, forward: Apply, backward: Apply) -> Iterator[Relation]:
    yield Relation(op.operands[0], op.result, forward)
    yield Relation(op.result, op.operands[0], backward)


def inverse_order(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(dim) for dim in range(len(order)))


def permuted(layout: Layout, order: tuple[int, ...]) -> Layout | None:
    try:
        return permute(layout, order)
    except LayoutError:
        return None


def reshaped(layout: Layout, shape: tuple[int, ...]) -> Layout | None:
    return layout.reshape(*shape) if shape else None


def projected(layout: Layout, shape: tuple[int, ...]) -> Layout | None:
    """The layout of what is broadcast to a tile in `layout`: every thread holds what it needs. None for scalars."""
    if not shape:
        return None
    extra = len(layout.shape) - len(shape)
    for axis in reversed(range(len(layout.shape))):
        if axis < extra or (shape[axis - extra] == 1 and layout.shape[axis] > 1):
            smaller = reduced(layout, axis)
            if smaller is None:
                return None
            kept = layout.shape[:axis] + ((1,) if axis >= extra else ()) + layout.shape[axis + 1 :]
            layout = smaller.reshape(*kept)
    return layout


def natural(op: Op) -> Layout | None:
    """The layout that the result of an operation has where its operands stand; None where it may have any."""
    if not op.results or not has_layout(op.results[0]):
        return None
    given = op.operands[0].tile.layout if op.operands and has_layout(op.operands[0]) else None
    if given is None:
        return None
    match op.name:
        case "transpose":
            return permuted(given, op.attrs["permutation"])
        case "reshape":
            return reshaped(given, op.result.tile.shape)
        case "reduce":
            return reduced(given, op.attrs["axis"])
    return None
