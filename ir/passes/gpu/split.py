"""Split-K: a loop that sums products is shared by several blocks where a launch has too few, and their parts are added.

    grid %m, %n (%i, %j) {                       grid %parts, %m, %n (%part, %i, %j) {
      %sum = for %lo, %hi, 64, %zero {             %sum = for (the turns of %part) ... as before
        ... dot ... add %carried         -->       if %parts == 1 { ... store %y
      }                                            } else { store %workspace, %sum, %part, %i, %j }
      ... store %y                               grid min(%parts - 1, 1), %m, %n (_, %i, %j) {     kernel k_sum
    }                                              %sum = workspace[0] + workspace[1] + ...; ... store %y

How many parts there are is computed at launch, from the extents and the device's multiprocessors: as many as give each
of them `WAVES` blocks, but no more than leave every part so many turns that what it reads outweighs the sums that it
leaves. With one, there is no second grid and no workspace. The parts are added in order, so results depend on the
number of multiprocessors, and on nothing else that differs between launches.

That the sums of a loop are formed in another order is among the liberties of `fast` kernels; sums of integers wrap, so
that they are the same in any order, and may be split in strict kernels as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import ceil
from typing import Any

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, Module, Note, Op, Region, Space, TensorType, Value, walk
from vmc.ir.dims import Dim, Sym, binary
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.extents import extent_of, turns_of, value_of
from vmc.ir.passes.invariants import is_repeatable
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.relayout import users_of
from vmc.ir.passes.rewrite import Rewriter

MULTIPROCESSORS = "multiprocessors"
"""The symbol that stands for the number of the device's, which a launch binds."""
WAVES = 2
"""Blocks for each multiprocessor that are aimed at."""
FEWEST_TURNS = 4
"""Turns of a part, at least: the first ones fill the pipeline."""
MOST_SUMS = 1 << 13
"""Elements that a block sums, above which a block more is not enough to add their parts: such tiles are for many rows.
"""
SUMMED = ("f32", "f64", "i32", "i64", "u32", "u64")


def split_sums(module: Module) -> Module:
    """Needs: a well-formed module without `once`. Guarantees: in a kernel whose blocks are one counted loop of
    products, between operations without effects and those that use what it sums, the turns are shared by as many blocks
    as a launch finds good; a kernel behind it adds their sums, which lie in the workspace, and does the rest.
    Idempotent. Keeps: everything else; the order of sums, but for those of floats over turns.
    """
    *before, last = module.kernels
    found = Split.of(last)
    if found is None or any(MULTIPROCESSORS in kernel.symbols for kernel in module.kernels):
        return module
    shared = (*(found.with_room(kernel, Access.IN) for kernel in before), found.parts(), found.sums())
    return Module(shared)


@dataclass(frozen=True, eq=False)
class Split:
    """A kernel whose block is `before`, the `loop`, and what is `behind`; `blocks` of the grid, `turns` of the loop."""

    kernel: Kernel
    before: Sequence[Op]
    loop: Op
    behind: Sequence[Op]
    blocks: Dim
    turns: Dim
    step: int

    @staticmethod
    def of(kernel: Kernel) -> Split | None:
        """None where the kernel is not of this kind."""
        *_, grid, _ = kernel.body.ops
        ops = grid.regions[0].ops
        producers = {result: op for op in walk(kernel.body) for result in op.results}
        loops = [op for op in ops if op.regions]
        extents = [extent_of(extent, producers) for extent in grid.operands]
        if not loops or loops[0].name != "for" or None in extents or not is_sum_of_products(kernel, loops[0]):
            return None
        place = ops.index(loops[0])
        turns, step = turns_of(loops[0], producers), extent_of(loops[0].operands[2], producers)
        blocks: Dim = 1
        for extent in extents:
            assert extent is not None
            blocks = binary("*", blocks, extent)
        if turns is None or not all(map(is_repeatable, ops[:place])) or not starts_from_zero(loops[0], producers):
            return None
        assert isinstance(step, int)
        found = Split(kernel, ops[:place], loops[0], ops[place + 1 :], blocks, turns, step)
        return None if isinstance(found.count, int) else found

    @property
    def grid(self) -> Op:
        return self.kernel.body.ops[-2]

    @property
    def least_turns(self) -> int:
        """The turns below which a part is not worth the sums that it leaves, which are written and read again."""
        tiles = [op.result.tile for op in walk(self.loop.regions[0]) if op.definition.reads_memory]
        read = sum(tile.size * tile.dtype.width for tile in tiles)
        left = sum(2 * result.tile.size * result.tile.dtype.width for result in self.loop.results)
        return max(FEWEST_TURNS, ceil(left / max(1, read)))

    @property
    def count(self) -> Dim:
        """How many blocks share a loop."""
        wanted = binary("//", binary("*", Sym(MULTIPROCESSORS), WAVES), binary("max", self.blocks, 1))
        return binary("max", binary("min", wanted, binary("//", self.turns, self.least_turns)), 1)

    # The workspace

    def types(self) -> list[TensorType]:
        """The sums of all parts and blocks; none where there is one part."""
        several = binary("*", self.count, binary("min", binary("-", self.count, 1), 1))
        return [
            TensorType(result.tile.dtype, (several, self.blocks, *result.tile.shape), Access.IN, Space.WORKSPACE)
            for result in self.loop.results
        ]

    def room(self, access: Access) -> list[Value]:
        taken = {param.name for param in self.kernel.params}
        names = (name for number in count() if (name := f"workspace{number}") not in taken)
        return [argument(replace(type, access=access), next(names)) for type in self.types()]

    def with_room(self, kernel: Kernel, access: Access, room: Sequence[Value] | None = None) -> Kernel:
        """A kernel with the parameters and symbols of all."""
        params = (*kernel.params, *(room or self.room(access)))
        return replace(kernel, params=params, symbols=(*kernel.symbols, MULTIPROCESSORS))

    def slice(self, build: Builder, part: Value, block: Value, tile: Value) -> tuple[list[Value], dict[str, Any]]:
        """Where the sums of a part of a block lie."""
        zeros = [build.index(0)] * tile.tile.rank
        rank = 2 + tile.tile.rank
        attrs = {"sizes": (None, None, *tile.tile.shape), "steps": (1,) * rank, "inbounds": (True,) * rank}
        return [part, block, *zeros], attrs

    def number(self, build: Builder, indices: Sequence[Value], extents: Sequence[Value]) -> Value:
        """The number of a block, the last index running fastest."""
        found = indices[0]
        for index, extent in zip(indices[1:], extents[1:], strict=True):
            found = build("add", build("mul", found, extent), index)
        return found

    # The kernels

    def parts(self) -> Kernel:
        """The kernel whose blocks each sum a part of the turns."""
        room, span = self.room(Access.OUT), self.loop.span
        (region,) = self.grid.regions
        outer = Builder(self.grid.span)
        outer.ops += self.kernel.body.ops[:-2]
        parts = value_of(outer, self.count)
        turns = value_of(outer, binary("*", binary("cdiv", self.turns, self.count), self.step))
        part = argument(parts.type, "part")
        inner = Builder(span)
        inner.ops += self.before
        low, high, *rest = self.loop.operands
        own = inner("add", low, inner("mul", part, turns))
        inner.append(replace(self.loop, operands=(own, inner("min", high, inner("add", own, turns)), *rest)))
        alone, shared = Builder(span), Builder(span)
        alone.ops += self.behind[:-1]
        block = self.number(shared, region.args, self.grid.operands)
        for tensor, result in zip(room, self.loop.results, strict=True):
            starts, attrs = self.slice(shared, part, block, result)
            shared.many("store", tensor, result, *starts, **attrs)
        regions = (alone.region(), shared.region())
        inner.many("if", inner("eq", parts, inner.index(1)), regions=regions, results=())
        outer.many("grid", parts, *self.grid.operands, regions=[inner.region((part, *region.args))])
        outer.many("yield")
        kernel = self.with_room(self.kernel, Access.OUT, room)
        return kernel.with_body(Region((), tuple(outer.ops))).noted(self.note())

    def sums(self) -> Kernel:
        """The kernel that adds the parts and does the rest."""
        room, span = self.room(Access.IN), self.loop.span
        (region,) = self.grid.regions
        copier = Rewriter(lambda op, _: None)
        copier.copying = True
        outer, inner = Builder(self.grid.span), Builder(span)
        copier.block = outer.ops
        for op in self.kernel.body.ops[:-2]:
            copier.visit(op)
        extents = [copier.value(extent) for extent in self.grid.operands]
        parts = value_of(outer, self.count)
        several = outer("min", outer("sub", parts, outer.index(1)), outer.index(1))
        indices = tuple(argument(index.type, index.name) for index in region.args)
        copier.values.update(zip(region.args, indices, strict=True))
        copier.block = inner.ops
        for op in self.before:
            copier.visit(op)
        block = self.number(inner, indices, extents)
        first = [self.load(inner, tensor, inner.index(0), block, result) for tensor, result in self.pairs(room)]
        turn, carried = argument(parts.type, "part"), [argument(result.type, result.name) for result in first]
        body = Builder(span)
        added = [
            body("add", total, self.load(body, tensor, turn, block, result))
            for total, (tensor, result) in zip(carried, self.pairs(room), strict=True)
        ]
        summed = inner.many(
            "for", inner.index(1), parts, inner.index(1), *first,
            regions=[body.region((turn, *carried), added)], stages=1, unroll=1,
        )  # fmt: skip
        copier.values.update(zip(self.loop.results, summed, strict=True))
        for op in self.behind[:-1]:
            copier.visit(op)
        outer.many("grid", several, *extents, regions=[inner.region((argument(parts.type, "once"), *indices))])
        outer.many("yield")
        kernel = replace(self.kernel, name=f"{self.kernel.name}_sum", notes=(), body=Region((), tuple(outer.ops)))
        return self.with_room(kernel, Access.IN, room)

    def pairs(self, room: Sequence[Value]) -> list[tuple[Value, Value]]:
        return list(zip(room, self.loop.results, strict=True))

    def load(self, build: Builder, tensor: Value, part: Value, block: Value, tile: Value) -> Value:
        starts, attrs = self.slice(build, part, block, tile)
        return build("load", tensor, *starts, fill=0, **attrs)

    def note(self) -> Note:
        text = (
            f"where there are fewer than {WAVES} blocks for a multiprocessor, up to that many share the loop, each at "
            f"least {self.least_turns} turns of it; a launch behind adds their sums in order"
        )
        return Note("split", text, self.loop.span)


def is_sum_of_products(kernel: Kernel, loop: Op) -> bool:
    """Whether all that a loop does is to add to what it carries, products among it, where their order is free."""
    (body,) = loop.regions
    inside = list(walk(body))
    if not loop.results or sum(result.tile.size for result in loop.results) > MOST_SUMS:
        return False
    if not any(op.name in DOTS for op in inside) or not all(map(is_repeatable, body.ops[:-1])):
        return False
    free = all(
        result.tile.dtype.name in SUMMED and result.tile.layout is None and (result.tile.dtype.is_int or kernel.fast)
        for result in loop.results
    )
    users = users_of(kernel)
    return free and all(is_added_to(own, out, users) for own, out in zip(body.args[1:], body.yielded, strict=True))


def is_added_to(value: Value, result: Value, users: dict[Value, list[Op]]) -> bool:
    """Whether a result is a value and terms that do not depend on it."""
    while value is not result:
        found = users.get(value, [])
        if len(found) != 1 or not takes_as_term(found[0], value):
            return False
        value = found[0].result
    return all(op.name == "yield" for op in users.get(result, []))


def takes_as_term(op: Op, value: Value) -> bool:
    """Whether an operation adds something to the value."""
    if op.operands.count(value) != 1:
        return False
    return op.name == "add" or (op.name in (*DOTS, "fma") and len(op.operands) == 3 and op.operands[2] is value)


def starts_from_zero(loop: Op, producers: dict[Value, Op]) -> bool:
    made = [producers.get(value) for value in loop.operands[3:]]
    return all(op is not None and op.name == "constant" and op.attrs["code"] == 0 for op in made)


split = Pass("split", split_sums)
