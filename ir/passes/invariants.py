"""What a region computes from given values alone, and which of that is worth keeping: the analysis behind `hoist`.

The operations of a region fall in two: the *invariant* ones, which use the given values, constants and inputs only, and
the rest. Tiles that go from the first to the rest *cross*. A tile that crosses is kept at its *cut*: itself, or what
cheap operations on the way made it from, where that has fewer bits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from vmc.ir.core import Op, TensorType, TileType, Value, needed, walk
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.effects import reads_constant_memory, size

STRUCTURE = frozenset({"for", "while", "if", "yield"})
"""Operations that have no effect of their own."""

HEAVY = STRUCTURE | DOTS | {"reduce", "arg", "scan", "sort", "div", "sqrt", "floordiv", "mod"}
"""Operations on tiles that are worth keeping the results of."""

MOVING = frozenset({"broadcast", "reshape", "transpose", "slice", "flip"})
"""Operations that cost next to nothing where their operand is at hand."""

ALWAYS_AT_HAND = MOVING | {"constant", "table", "iota"}

LONG = 8
"""Light operations on tiles that together are as good as a heavy one."""
MOST_REPEATED = 3
"""Light operations that are repeated after a cut, at most."""
GROWTH = 2
"""A kept tile has at most as many times the bits of what is loaded to make it."""


class Invariants:
    """The invariant operations among the operations of a region, given the `fixed` values; `rest` are the others.

    `fixed` grows by what the invariant operations make; `made` tells by which. `edges`: whether a first factor of a
    product is worth keeping because its slice may reach past an edge; operations in `left` count among the rest.
    """

    def __init__(
        self, ops: Sequence[Op], fixed: Iterable[Value], edges: bool = True, left: Collection[Op] = ()
    ) -> None:
        self.edges = edges
        self.fixed = set(fixed)
        self.made: dict[Value, Op] = {}
        self.rest: list[Op] = []
        self.needs = {op: needed(op) for op in ops}
        used = set[Value]().union(*self.needs.values())
        self.factors = {op.operands[0] for op in ops if op.name in DOTS and used.intersection(op.results)}
        for op in ops:
            if op not in left and is_repeatable(op) and self.needs[op] <= self.fixed:
                self.fixed.update(op.results)
                self.made.update(dict.fromkeys(op.results, op))
            else:
                self.rest.append(op)

    def cuts(self) -> list[Value]:
        """The tiles to keep, in the order in which they are made."""
        used = {value for op in self.rest for value in self.needs[op]}
        crossing = (value for value in self.made if value in used and isinstance(value.type, TileType))
        found = {cut for cut in map(self.cut, crossing) if self.is_worth_keeping(cut)}
        return [value for value in self.made if value in found]

    def cut(self, value: Value) -> Value:
        """The tile of fewest bits that the value is made from by moves and few light operations; the last such one.

        The first factor of a product is kept as it is, since it is read from memory again and again.
        """
        best, repeated = value, 0
        while value in self.made and value not in self.factors:
            op = self.made[value]
            repeated += is_light(op) and op.name != "cast"
            sources = [operand for operand in op.operands if not self.is_at_hand(operand)]
            if not (is_light(op) or op.name in MOVING) or repeated > MOST_REPEATED or len(sources) != 1:
                break
            (value,) = sources
            best = value if bits(value) < bits(best) else best
        return best

    def behind(self, values: Iterable[Value]) -> set[Op]:
        """The invariant operations that make these values."""
        found: set[Op] = set()
        pending = list(values)
        while pending:
            op = self.made.get(pending.pop())
            if op is not None and op not in found:
                found.add(op)
                pending.extend(self.needs[op])
        return found

    def is_at_hand(self, value: Value) -> bool:
        """Whether the rest can have a value for nothing: it is from outside, a scalar's doing, or a constant."""
        return all(op.name in ALWAYS_AT_HAND or not works_on_tiles(op) for op in self.behind([value]))

    def is_worth_keeping(self, value: Value) -> bool:
        """Whether a value costs more to make than to load, or is a product's first factor from a slice that may reach
        past its tensor's edge, which would be copied for every product.
        """
        if self.edges and value in self.factors and any(map(may_reach_out, self.behind([value]))):
            return True
        ops = [op for op in self.behind([value]) if works_on_tiles(op)]
        loaded = sum(bits(op.result) for outer in ops for op in within(outer) if op.definition.reads_memory)
        small = not loaded or bits(value) <= GROWTH * loaded
        return small and (any(map(is_heavy, ops)) or sum(map(is_light, ops)) >= LONG)


def is_repeatable(op: Op) -> bool:
    """Whether an operation may be executed elsewhere, on equal operands, and does the same: it changes nothing, and
    reads only what nothing changes.
    """
    return op.name != "yield" and all(inner.name in STRUCTURE or is_constant(inner) for inner in within(op))


def is_constant(op: Op) -> bool:
    return op.definition.pure and (not op.definition.reads_memory or reads_constant_memory(op))


def within(op: Op) -> Iterable[Op]:
    """The operation and those in its regions."""
    yield op
    for region in op.regions:
        yield from walk(region)


def works_on_tiles(op: Op) -> bool:
    """Whether an operation has to do with more than scalars."""
    return bool(op.regions) or any(size(value) > 1 for value in (*op.operands, *op.results))


def may_reach_out(op: Op) -> bool:
    """Whether an operation loads a slice that is not known to lie inside its tensor."""
    return op.name == "load" and works_on_tiles(op) and not all(op.attrs["inbounds"])


def is_heavy(op: Op) -> bool:
    if op.name == "cast":
        return rounds(op)
    return op.name in HEAVY or op.definition.composite


def rounds(op: Op) -> bool:
    """Whether a cast is from a float to an integer or to a float that machines do not compute with."""
    source, target = op.operands[0].tile.dtype, op.result.tile.dtype
    return source.is_float and source != target and (target.is_int or target.width < 16)


def is_light(op: Op) -> bool:
    """Whether an operation takes an instruction or two for each element."""
    return op.definition.elementwise and not is_heavy(op)


def bits(value: Value) -> int:
    """The bits of a tile's elements; of a tensor, none."""
    return 0 if isinstance(value.type, TensorType) else value.type.size * value.type.dtype.width
