"""Moves what a kernel's blocks compute alike, whatever their last index, into `once`, whose results they share.

    grid %m, %n (%i, %j) {                            grid %m, %n (%i, %j) {
      for %lo, %hi, 128 (%k) {                          %s = once %i {...} (%t) {
        %a = load %x, %i, %k                              for %lo, %hi, 128 (%k) { ... store %t, %q, ..., %k }
        %q = ... quantize %a                            }
        %b = load %w, %k, %j                  -->       for %lo, %hi, 128 (%k) {
        dot %q, %b                                        %q = load %s, ..., %k
      }                                                   %b = load %w, %k, %j
    }                                                     dot %q, %b ...

The last index is the one that changes from block to block on a thread, so the work is done once for a row of blocks.
What is kept, and at which point of its making, `invariants` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vmc.ir.builder import Builder, argument, make_op
from vmc.ir.core import (
    Access,
    Kernel,
    Module,
    Note,
    Op,
    Region,
    Space,
    TensorType,
    Value,
    needed,
    walk,
)
from vmc.ir.dims import Dim, binary
from vmc.ir.ops.once import written
from vmc.ir.passes.extents import extent_of, turns_of
from vmc.ir.passes.invariants import Invariants, works_on_tiles
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel
from vmc.ir.span import Span

Judge = Callable[["Candidate"], bool]


def hoisting(pays: Judge | None = None) -> Pass:
    """The pass `hoist`, for executors that keep the results of `once` in a thread's own memory; with `pays`, for those
    to whom a `once` costs more: it says which do pay, and factors past a tensor's edge alone are no reason for one.
    """

    def hoist_invariants(module: Module) -> Module:
        """Needs: a well-formed module; `licm` and `cse` help. Guarantees: where a grid has two indices or more, a block
        computes no tile that is worth keeping from inputs and all indices but the last: in its region and in the
        counted loops there, whose bounds are extents, such tiles are loaded from the results of `once`. Idempotent.
        Keeps: everything else; the operations that lost their last use, for `dce`. Says in a note what moved.
        """
        return each_kernel(module, lambda kernel: hoist_in(kernel, pays))

    return Pass("hoist", hoist_invariants)


@dataclass(frozen=True)
class Candidate:
    """A `once` that could do some of each block's work: in a loop of so many `turns` (None: outside of loops), of a
    kernel with the extents `grid`, where they are known. `keys` are the places of the indices that it depends on;
    `is_factor`: it makes the first factor of a product; `producers` made the kernel's values.
    """

    once: Op
    turns: Dim | None
    grid: Sequence[Dim | None]
    keys: Sequence[int]
    is_factor: bool
    producers: Mapping[Value, Op]


def hoist_in(kernel: Kernel, pays: Judge | None) -> Kernel:
    grids = [op for op in kernel.body.ops if op.name == "grid"]
    if not grids or len(grids[0].operands) < 2:
        return kernel
    hoister = _Hoister(kernel, grids[0], pays)
    last = extent_of(grids[0].operands[-1], hoister.producers)
    if isinstance(last, int) and last <= 1:
        return kernel
    block = hoister.block(grids[0].regions[0])
    if not hoister.notes:
        return kernel
    grid = replace(grids[0], regions=(block,))
    body = Region((), tuple(grid if op is grids[0] else op for op in kernel.body.ops))
    return kernel.with_body(body).noted(*hoister.notes)


@dataclass(frozen=True)
class Turns:
    """The iterations of a loop with these bounds: `count` of them. `from_zero`: whether the index starts there."""

    bounds: tuple[Value, ...]
    index: Value
    from_zero: bool
    step: int
    count: Dim

    def number(self, build: Builder, index: Value, factor: int) -> Value:
        """The number of the iteration, times a factor."""
        distance = index if self.from_zero else build("sub", index, self.bounds[0])
        if factor % self.step == 0:
            return times(build, distance, factor // self.step)
        return times(build, build("floordiv", distance, build.index(self.step)), factor)


def times(build: Builder, value: Value, factor: int) -> Value:
    return value if factor == 1 else build("mul", value, build.index(factor))


@dataclass(frozen=True)
class Kept:
    """A tile that is kept, in a tensor that has room for those of all iterations; `turns` is None where it has one."""

    value: Value
    turns: Turns | None

    @property
    def side_by_side(self) -> bool:
        """Whether the tiles of all iterations form one matrix, the next to the right: each row is in one piece."""
        return self.value.tile.rank == 2 and self.value.tile.shape[1] > 1

    @property
    def type(self) -> TensorType:
        tile = self.value.tile
        shape: tuple[Dim, ...] = tile.shape
        if self.turns is None:
            shape = shape or (1,)
        elif self.side_by_side:
            shape = (tile.shape[0], binary("*", self.turns.count, tile.shape[1]))
        else:
            shape = (self.turns.count, *shape)
        return TensorType(tile.dtype, shape, Access.IN, Space.SHARED)

    @property
    def bytes(self) -> int:
        """The memory of one iteration's tile."""
        return -(-self.value.tile.size * self.value.tile.dtype.width // 8)

    def load(self, build: Builder, tensor: Value, index: Value | None) -> Value:
        """The tile of an iteration, whose index this is."""
        starts, where = self.slice(build, index)
        return build("load", tensor, *starts, fill=0, **where)

    def store(self, build: Builder, value: Value, tensor: Value, index: Value | None) -> None:
        """Keeps the tile of an iteration."""
        starts, where = self.slice(build, index)
        build.many("store", tensor, value, *starts, **where)

    def slice(self, build: Builder, index: Value | None) -> tuple[list[Value], dict[str, Any]]:
        """Where the tile of an iteration lies: the starts, and the attributes of an access."""
        shape, zero = self.value.tile.shape, build.index(0)
        starts, sizes = [zero] * len(shape), tuple[int | None, ...](shape)
        if self.turns is None or index is None:
            starts, sizes = (starts, sizes) if shape else ([zero], (None,))
        elif self.side_by_side:
            starts[1] = self.turns.number(build, index, shape[1])
        else:
            starts, sizes = [self.turns.number(build, index, 1), *starts], (None, *sizes)
        rank = len(starts)
        return starts, {"sizes": sizes, "steps": (1,) * rank, "inbounds": (True,) * rank}


class _Hoister:
    """Rewrites one kernel's block: first what stands in it, then its loops, which may load what was kept of that."""

    def __init__(self, kernel: Kernel, grid: Op, pays: Judge | None) -> None:
        self.kernel, self.grid, self.pays = kernel, grid, pays
        self.producers = {result: op for op in walk(kernel.body) for result in op.results}
        self.keys: tuple[Value, ...] = ()
        self.refused: set[Op] = set()
        self.notes: list[Note] = []

    def block(self, region: Region) -> Region:
        outside = (result for op in self.kernel.body.ops for result in op.results)
        self.keys = region.args[:-1]
        fixed = {*self.kernel.params, *outside, *self.keys}
        first, ops, loaded = self.split(region.ops, fixed, None, self.kernel.span)
        found = self.invariants(ops, fixed | loaded)
        loops = {op for op in found.rest if op.name == "for"}
        moved = [inner for op in ops for inner in (self.loop(op, found.fixed) if op in loops else [op])]
        return Region(region.args, (*first, *moved))

    def loop(self, op: Op, fixed: set[Value]) -> list[Op]:
        """A loop, after the `once` that does part of its work, if any."""
        turns = self.turns(op) if fixed.issuperset(op.operands[:3]) else None
        if turns is None:
            return [op]
        (body,) = op.regions
        once, ops, _ = self.split(body.ops, fixed | {turns.index}, turns, op.span)
        return [*once, replace(op, regions=(Region(body.args, tuple(ops)),)) if once else op]

    def invariants(self, ops: Sequence[Op], fixed: set[Value]) -> Invariants:
        return Invariants(ops, fixed, edges=self.pays is None, left=self.refused)

    def turns(self, loop: Op) -> Turns | None:
        """The loop's iterations, if their number is an extent."""
        count = turns_of(loop, self.producers)
        low, step = extent_of(loop.operands[0], self.producers), extent_of(loop.operands[2], self.producers)
        if count is None:
            return None
        assert isinstance(step, int)
        return Turns(loop.operands[:3], loop.regions[0].args[0], low == 0, step, count)

    def split(
        self, ops: Sequence[Op], fixed: set[Value], turns: Turns | None, span: Span
    ) -> tuple[Sequence[Op], Sequence[Op], set[Value]]:
        """A `once`, if anything in a block or in a loop's body is worth it; the operations left, which load its
        results; the loaded values.
        """
        found = self.invariants(ops, fixed)
        kept = [Kept(cut, turns) for cut in found.cuts()]
        if not kept:
            return (), ops, set()
        moved = found.behind([place.value for place in kept])
        once = self.once([op for op in ops if op in moved], kept, turns, span)
        if self.pays is not None and not self.pays(
            self.candidate(once, turns, not found.factors.isdisjoint(p.value for p in kept))
        ):
            self.refused.update(filter(works_on_tiles, moved))
            return (), ops, set()
        build = Builder(span)
        index = turns.index if turns is not None else None
        loads = {
            place.value: place.load(build, tensor, index) for place, tensor in zip(kept, once.results, strict=True)
        }
        self.producers.update((result, op) for op in (once, *build.ops) for result in op.results)
        self.notes.append(note(once, kept, span))
        return (once,), (*build.ops, *replaced(ops, loads)), set(loads.values())

    def candidate(self, once: Op, turns: Turns | None, is_factor: bool) -> Candidate:
        extents = [extent_of(extent, self.producers) for extent in self.grid.operands]
        places = [self.keys.index(key) for key in once.operands]
        count = turns.count if turns is not None else None
        return Candidate(once, count, extents, places, is_factor, self.producers)

    def once(self, moved: Sequence[Op], kept: Sequence[Kept], turns: Turns | None, span: Span) -> Op:
        """The operation whose region executes copies of these operations and stores the tiles that are kept."""
        args = [argument(written(place.type), place.value.name) for place in kept]
        build = Builder(span)
        if turns is None:
            store_copies(build, moved, kept, args, None)
        else:
            index, body = argument(turns.index.type, turns.index.name), Builder(span)
            store_copies(body, moved, kept, args, index)
            build.many("for", *turns.bounds, regions=[body.region((index,))], stages=1, unroll=1)
        region = build.region(args)
        types, names = tuple(place.type for place in kept), [place.value.name for place in kept]
        return make_op("once", self.keys_of(region), {"types": types}, [region], span, names)

    def keys_of(self, region: Region) -> list[Value]:
        """The block's indices that a region depends on."""
        seen: set[Value] = set()
        pending = [value for op in region.ops for value in needed(op)]
        while pending:
            value = pending.pop()
            if value not in seen:
                seen.add(value)
                pending.extend(needed(self.producers[value]) if value in self.producers else ())
        return [key for key in self.keys if key in seen]


def store_copies(
    build: Builder, moved: Sequence[Op], kept: Sequence[Kept], tensors: Sequence[Value], index: Value | None
) -> None:
    """Copies of the operations, for another index of the loop, and stores of the tiles that are kept."""
    copier = Rewriter(lambda op, _: None)
    copier.copying, copier.block = True, build.ops
    if index is not None:
        copier.values.update((place.turns.index, index) for place in kept if place.turns is not None)
    for op in moved:
        copier.visit(op)
    for place, tensor in zip(kept, tensors, strict=True):
        place.store(build, copier.value(place.value), tensor, index)


def replaced(ops: Sequence[Op], values: dict[Value, Value]) -> Sequence[Op]:
    """The operations with other values in the place of some."""
    rewriter = Rewriter(lambda op, _: None)
    rewriter.values.update(values)
    return rewriter.region(Region((), tuple(ops))).ops


def note(once: Op, kept: Sequence[Kept], span: Span) -> Note:
    """What moved, and the memory that it takes."""
    turns, bytes = kept[0].turns, sum(place.bytes for place in kept)
    total = bytes if turns is None else binary("*", turns.count, bytes)
    tiles = ", ".join(f"{place.value.type} {place.value.name}".rstrip() for place in kept)
    keys = ", ".join(key.name or "an index" for key in once.operands)
    often = f"once for each {keys}" if keys else "once in a launch"
    each = " of each iteration" if turns is not None else ""
    return Note("hoist", f"computed {often} and kept for other blocks: {tiles}{each}; {total} bytes", span)


hoist = hoisting()
