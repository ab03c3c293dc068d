"""Software prefetch: small slices that lie far apart are asked for some turns of a loop before they are read.

    for %lo, %hi, 32 (%k) {                       for %lo, %hi, 32 (%k) {
      %g = floordiv %k, 32                          prefetch %scale, (%k + 256) // 32, %n      or, past the end of the
      %s = load %scale, %g, %n          -->         %g = floordiv %k, 32                       loop, where the next
                                                    %s = load %scale, %g, %n                   block begins

A processor fetches ahead by itself what lies in a row. The scales of quantized weights do not: each group's are a row
of their own, and the wait for one is as long as the work on a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vmc.ir.builder import Builder, make_op
from vmc.ir.core import Access, Kernel, Module, Note, Op, Region, Space, TensorType, TileType, Value, walk
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel

TURNS = 8
"""How many turns ahead."""
MOST_BYTES = 256
"""Slices of more bytes are streams, which the processor sees coming."""
CLONED = frozenset({"add", "sub", "mul", "floordiv", "mod", "neg", "min", "max", "cast"})
"""Operations on indices that are repeated for the turn to come."""


def prefetch_small(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: a small slice of an input that a counted loop of a constant step loads
    in every turn, at a place that depends on the loop's index, is preceded by a `prefetch` of a later turn's, or of the
    next block's first ones. Idempotent. Keeps: everything else.
    """
    return each_kernel(module, prefetch_in)


def prefetch_in(kernel: Kernel) -> Kernel:
    grids = [op for op in kernel.body.ops if op.name == "grid"]
    if not grids:
        return kernel
    notes: list[Note] = []
    made = {op.result: op for op in walk(kernel.body) if len(op.results) == 1}
    last = grids[0].regions[0].args[-1]

    def region(old: Region) -> Region:
        ops = [rebuilt(op) for op in old.ops]
        return old if all(a is b for a, b in zip(ops, old.ops, strict=True)) else Region(old.args, tuple(ops))

    def rebuilt(op: Op) -> Op:
        regions = tuple(map(region, op.regions))
        if op.name == "for":
            hints = [hint for inner in op.regions[0].ops for hint in Ahead(op, last, made).of(inner)]
            notes.extend(
                Note("prefetch", f"`{hint.operands[0].name}` is asked for {TURNS} turns ahead", hint.span)
                for hint in hints
                if hint.name == "prefetch"
            )
            if hints:
                regions = (Region(regions[0].args, (*hints, *regions[0].ops)),)
        same = all(a is b for a, b in zip(regions, op.regions, strict=True))
        return op if same else replace(op, regions=regions)

    body = region(kernel.body)
    return kernel if body is kernel.body else kernel.with_body(body).noted(*notes)


class Ahead:
    """The indices of a later turn of a loop."""

    def __init__(self, loop: Op, block: Value, made: dict[Value, Op]) -> None:
        self.loop, self.block, self.made = loop, block, made
        self.index = loop.regions[0].args[0]
        self.inside = {result for op in loop.regions[0].ops for result in op.results}

    def of(self, load: Op) -> list[Op]:
        """The operations that prefetch what a load reads in a later turn; none where that is of no use."""
        if not self.is_small(load) or not any(self.depends(start, self.index) for start in load.operands[1:]):
            return []
        if any(op.name == "prefetch" and op.operands[0] is load.operands[0] for op in self.loop.regions[0].ops):
            return []
        step = self.constant(self.loop.operands[2])
        if step is None or not all(map(self.is_clonable, load.operands[1:])):
            return []
        build = Builder(load.span)
        low, high = self.loop.operands[:2]
        later = build("add", self.index, build.index(TURNS * step))
        past = build("ge", later, high)
        wrapped = build("add", build("sub", later, high), low)
        over = build("cast", past, dtype=self.block.tile.dtype, rounding="nearest_even", saturate=None)
        renamed = {
            self.index: build("select", past, wrapped, later),
            self.block: build("add", self.block, over),
        }
        starts = [self.clone(build, start, renamed) for start in load.operands[1:]]
        hint = make_op("prefetch", (load.operands[0], *starts), {"sizes": load.attrs["sizes"]}, (), load.span)
        return [*build.ops, hint]

    def is_small(self, op: Op) -> bool:
        """Whether an operation loads a few lines of an input."""
        if op.name != "load" or not isinstance(op.operands[0].type, TensorType):
            return False
        type, tile = op.operands[0].type, op.result.tile
        outside = type.access is Access.IN and type.space is Space.GLOBAL and type.storage is None
        return outside and tile.rank == 1 and tile.size * tile.dtype.width // 8 <= MOST_BYTES and tile.dtype.width >= 8

    def behind(self, value: Value) -> Iterator[Value]:
        """A scalar and the scalars that it is computed from, each once."""
        waiting, seen = [value], set()
        while waiting:
            top = waiting.pop()
            if top in seen:
                continue
            seen.add(top)
            yield top
            op = self.made.get(top)
            waiting += filter(is_scalar, op.operands) if op else ()

    def depends(self, value: Value, on: Value) -> bool:
        return any(each is on for each in self.behind(value))

    def changes(self, value: Value) -> bool:
        """Whether a scalar is another in another turn or block."""
        return any(each is self.index or each is self.block for each in self.behind(value))

    def is_clonable(self, value: Value) -> bool:
        """Whether a scalar can be computed for another turn and block."""
        return all(
            (op := self.made.get(each)) is None or op.name in CLONED if self.changes(each) else each not in self.inside
            for each in self.behind(value)
        )

    def clone(self, build: Builder, value: Value, renamed: dict[Value, Value]) -> Value:
        if value not in renamed:
            op = self.made.get(value)
            if op is None or not self.changes(value):
                return value
            operands = [self.clone(build, operand, renamed) for operand in op.operands]
            renamed[value] = build(op.name, *operands, **op.attrs)
        return renamed[value]

    def rises(self, value: Value) -> bool:
        """Whether a scalar is known not to fall from turn to turn."""
        if value is self.index or not self.depends(value, self.index):
            return True
        op = self.made[value]
        match op.name:
            case "add" | "min" | "max":
                return all(map(self.rises, op.operands))
            case "mul" | "floordiv":
                other = self.constant(op.operands[1])
                return other is not None and other > 0 and self.rises(op.operands[0])
        return False

    def constant(self, value: Value) -> int | None:
        op = self.made.get(value)
        return int(op.result.tile.dtype.decode(op.attrs["code"])[()]) if op and op.name == "constant" else None


def is_scalar(value: Value) -> bool:
    return isinstance(value.type, TileType) and not value.type.shape


prefetch = Pass("prefetch", prefetch_small)
