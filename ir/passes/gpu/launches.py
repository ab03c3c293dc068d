"""Launches: what `once` holds becomes a kernel of its own, before the one whose blocks share its results.

    grid %m, %n (%i, %j) {                          kernel k_once:   grid %m, turns (%i, %t) {
      %q = once %i {                                    %k = ... %t
        for %lo, %hi, 128 (%k) {                        ... quantize %a
          ... quantize %a                  -->          store %workspace0, %q, %i * 16, ... }
          store %t, %q, 0, ... }                    kernel k:        grid %m, %n (%i, %j) {
      for %lo, %hi, 128 (%k) {                            for %lo, %hi, 128 (%k) {
        load %q, 0, ... %k                                  load %workspace0, %i * 16, ... %k

A module's kernels are launched in order, take the same arguments, and find each other's results in the workspace. The
iterations of a loop that only stores are independent: each is a block. In the workspace the tiles of all keys lie below
each other, as in one matrix; what is one row of a tile, and changes with the iteration, is a row there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, Module, Note, Op, Region, Space, TensorType, Value, needed, sources, walk
from vmc.ir.dims import Dim, binary
from vmc.ir.passes.extents import extent_of, turns_of, value_of
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter


def separate_launches(module: Module) -> Module:
    """Needs: a well-formed module; `once` in the grid's region only, whose tensors loads and stores alone access, with
    keys whose extents are known. Guarantees: no `once` is left: kernels in front of the one that had them leave the
    results in tensors of the workspace, which are further parameters of them all. Idempotent. Keeps: everything else;
    the operations that lost their last use, for `dce`.
    """
    kernels = [made for kernel in module.kernels for made in Separation(kernel).kernels()]
    return module if len(kernels) == len(module.kernels) else Module(tuple(kernels))


@dataclass(frozen=True)
class Place:
    """Where a tensor of `once` lies in the workspace: the tiles of all keys along one dimension, `folded`, of which
    each has `extent`; dimensions of one element behind it are left out (`kept` are the others).
    """

    name: str
    type: TensorType
    folded: int
    extent: Dim
    kept: tuple[int, ...]

    def tensor(self, access: Access) -> Value:
        return argument(replace(self.type, access=access), self.name)

    def slice(self, build: Builder, op: Op, key: Value) -> tuple[list[Value], dict[str, Any]]:
        """Starts and attributes of an access of these keys."""
        skipped = len(op.operands) - len(op.attrs["sizes"])
        starts, sizes = list(op.operands[skipped:]), list(op.attrs["sizes"])
        if self.folded == len(starts):
            starts, sizes = [*starts, build.index(0)], [*sizes, None]
        offset = build("mul", key, value_of(build, self.extent))
        starts[self.folded] = build("add", offset, starts[self.folded])
        rank = len(self.kept)
        attrs = {"sizes": tuple(sizes[dim] for dim in self.kept), "steps": (1,) * rank, "inbounds": (True,) * rank}
        return [starts[dim] for dim in self.kept], attrs


def place_of(name: str, tensor: TensorType, stacked: bool, keys: Dim) -> Place:
    """The place of a tensor of `once`; `stacked`: its first dimension numbers the iterations of a loop."""
    shape, folded = [*tensor.shape], int(stacked)
    if folded == len(shape):
        shape.append(1)
    extent = shape[folded]
    shape[folded] = binary("*", keys, extent)
    kept = tuple(dim for dim in range(len(shape)) if dim <= folded or tensor.shape[dim] != 1)
    type = TensorType(tensor.dtype, tuple(shape[dim] for dim in kept), Access.IN, Space.WORKSPACE)
    return Place(name, type, folded, extent, kept)


class Separation:
    """The kernels that one becomes."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        *preamble, self.grid, self.end = kernel.body.ops
        self.preamble = preamble
        (self.block,) = self.grid.regions
        self.producers = {result: op for op in walk(kernel.body) for result in op.results}
        self.onces = [op for op in self.block.ops if op.name == "once"]
        taken = {param.name for param in kernel.params}
        names = (name for number in count() if (name := f"workspace{number}") not in taken)
        self.places = {result: self.place(result, once, next(names)) for once in self.onces for result in once.results}

    def place(self, result: Value, once: Op, name: str) -> Place:
        keys: Dim = 1
        for key in once.operands:
            extent = extent_of(self.grid.operands[self.block.args.index(key)], self.producers)
            assert extent is not None
            keys = binary("*", keys, extent)
        own = once.regions[0].args[once.results.index(result)]
        stores = [op for op in walk(once.regions[0]) if op.name == "store" and op.operands[0] is own]
        return place_of(name, result.tensor, stores[0].attrs["sizes"][0] is None, keys)

    def kernels(self) -> list[Kernel]:
        if not self.onces:
            return [self.kernel]
        first = [self.launch(number, once) for number, once in enumerate(self.onces)]
        return [*first, self.rest()]

    def launch(self, number: int, once: Op) -> Kernel:
        """The kernel that fills the tensors of a `once`."""
        region = once.regions[0]
        values, params = self.tensors(written=once.results)
        copier = self.rewriter({**values, **self.own(once, values)})
        copier.copying = True
        before = self.block.ops[: self.block.ops.index(once)]
        outside = [op for op in sources(needed(once), before) if op.name != "once"]
        build = Builder(once.span)
        copier.block = build.ops
        for op in self.preamble:
            copier.visit(op)
        extents = [copier.value(self.grid.operands[self.block.args.index(key)]) for key in once.operands]
        loop = independent_loop(region)
        turns = turns_of(loop, self.producers) if loop is not None else None
        if turns is not None:
            extents.append(value_of(build, turns))
        indices = tuple(argument(key.type, key.name) for key in once.operands)
        copier.values.update(zip(once.operands, indices, strict=True))
        inner = Builder(once.span)
        copier.block = inner.ops
        for op in (*outside, *region.ops[:-1]):
            if op is not loop or turns is None:
                copier.visit(op)
                continue
            turn = argument(loop.operands[0].type, "turn")
            indices = (*indices, turn)
            low, step = copier.value(loop.operands[0]), copier.value(loop.operands[2])
            copier.values[loop.regions[0].args[0]] = inner("add", low, inner("mul", turn, step))
            for repeated in loop.regions[0].ops[:-1]:
                copier.visit(repeated)
        build.many("grid", *(extents or [build.index(1)]), regions=[inner.region(indices or (one_index(),))])
        build.many("yield")
        name = f"{self.kernel.name}_once" + (str(number + 1) if number else "")
        params = tuple(map(read_only, self.kernel.params)) + params[len(self.kernel.params) :]
        return replace(self.kernel, name=name, params=params, body=Region((), tuple(build.ops)), notes=())

    def rest(self) -> Kernel:
        """The kernel without its `once` operations."""
        values, params = self.tensors(written=())
        ops = tuple(op for op in self.block.ops if op not in self.onces)
        grid = replace(self.grid, regions=(Region(self.block.args, ops),))
        body = self.rewriter(values).region(Region((), (*self.preamble, grid, self.end)))
        return replace(self.kernel, params=params, body=body).noted(*map(self.note, self.onces))

    def note(self, once: Op) -> Note:
        types = [self.places[result].type for result in once.results]
        shown = ", ".join(f"{type.dtype.name}[{', '.join(map(str, type.shape))}]" for type in types)
        return Note(
            "launches", f"a launch of its own, before the kernel's, leaves in the workspace: {shown}", once.span
        )

    # Accesses

    def tensors(self, written: Sequence[Value]) -> tuple[dict[Value, Value], tuple[Value, ...]]:
        """The workspace's tensors by what they stand for, and a kernel's parameters, the last of which they are."""
        values = {
            result: place.tensor(Access.OUT if result in written else Access.IN)
            for result, place in self.places.items()
        }
        return values, (*self.kernel.params, *values.values())

    def own(self, once: Op, values: dict[Value, Value]) -> dict[Value, Value]:
        """The tensors as the region of `once` knows them."""
        return {own: values[result] for own, result in zip(once.regions[0].args, once.results, strict=True)}

    def rewriter(self, values: dict[Value, Value]) -> Rewriter:
        """One that turns accesses of tensors of `once` into those of the workspace."""
        places = {**self.places}
        keys = {result: once.operands for once in self.onces for result in once.results}
        for once in self.onces:
            for own, result in zip(once.regions[0].args, once.results, strict=True):
                places[own], keys[own] = self.places[result], once.operands

        def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
            if op.name not in ("load", "store") or op.operands[0] not in places:
                return None
            place, tensor = places[op.operands[0]], values[op.operands[0]]
            build = Builder(op.span)
            key = self.number(build, keys[op.operands[0]], rewriter)
            starts, attrs = place.slice(build, op, key)
            shape = tuple(size for size in attrs["sizes"] if size is not None)
            if op.name == "load":
                loaded = build("load", tensor, *starts, fill=op.attrs["fill"], **attrs)
                made: Sequence[Value] = [shaped(build, loaded, op.result.tile.shape)]
            else:
                made = build.many("store", tensor, shaped(build, op.operands[1], shape), *starts, **attrs)
            for one in build.ops:
                rewriter.append(one)
            return made

        return Rewriter(rule)

    def number(self, build: Builder, keys: Sequence[Value], rewriter: Rewriter) -> Value:
        """The number of these keys, the last one running fastest."""
        found: Value | None = None
        for key in keys:
            extent = rewriter.value(self.grid.operands[self.block.args.index(key)])
            own = rewriter.value(key)
            found = own if found is None else build("add", build("mul", found, extent), own)
        return found if found is not None else build.index(0)


def read_only(param: Value) -> Value:
    """A parameter that only kernels after this one write."""
    if not isinstance(param.type, TensorType) or not param.type.access.writable:
        return param
    return argument(replace(param.type, access=Access.IN), param.name)


def shaped(build: Builder, value: Value, shape: Sequence[int]) -> Value:
    return value if value.tile.shape == tuple(shape) else build("reshape", value, shape=tuple(shape))


def one_index() -> Value:
    return argument(Builder().index(0).type, "block")


def independent_loop(region: Region) -> Op | None:
    """The loop that a region consists of, beside scalars: it carries nothing, so its iterations share nothing."""
    loops = [op for op in region.ops if op.regions]
    alone = len(loops) == 1 and loops[0].name == "for" and len(loops[0].operands) == 3
    return loops[0] if alone and not any(op.name == "store" for op in region.ops) else None


launches = Pass("launches", separate_launches)
