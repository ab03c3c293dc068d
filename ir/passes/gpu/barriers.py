"""Barriers by hazard analysis: one where threads of a block would race, and none elsewhere.

Two accesses race if both may touch the same bytes, one of them writes, and no barrier is between them; unless both are
slices at the same place in the same layout, in which every thread meets its own elements alone. Memory that a block
reads and writes in device memory counts like shared memory. An asynchronous copy ends at the wait for its group, and
only a barrier after that shows it to the other threads. The stages of a ring are kept apart by what made it
(`pipelining`): its accesses race with those of other tensors in its place only.

The walk keeps the accesses that no barrier has ended, on any path. A loop is walked twice, the second time with what
the end of its body leaves; conditions are the same in all threads, so that a barrier may stand in a branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vmc.ir.builder import make_op
from vmc.ir.core import Access, Kernel, Module, Op, Region, Value
from vmc.ir.passes.gpu.carrying import stored_type
from vmc.ir.passes.gpu.pipelining import is_ring
from vmc.ir.passes.gpu.relations import has_layout
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel
from vmc.ir.storage import extents, storage_bytes

OLDEST = 8
"""Groups of copies after which one more makes no difference."""


@dataclass(frozen=True, slots=True)
class Touched:
    """An access: `start` and `end` in bytes of what `root` allocates, or of a parameter as a whole (0, 0).

    `slice` tells slices apart whose elements every thread has for itself; None for all others, and for those of an
    earlier turn of a loop. `age`: of an asynchronous copy that was not waited for, the groups closed since.
    """

    root: Value
    start: int
    end: int
    writes: bool
    slice: object = None
    age: int | None = None
    ring: bool = False

    def races(self, other: Touched) -> bool:
        if self.root is not other.root or not (self.writes or other.writes):
            return False
        if self.ring and other.ring and (self.start, self.end) == (other.start, other.end):
            return False
        apart = self.end and other.end and (self.end <= other.start or other.end <= self.start)
        own = self.slice is not None and self.slice == other.slice
        return not apart and not own


Pending = frozenset[Touched]


def place_barriers(module: Module) -> Module:
    """Needs: a module at the access level, shared memory planned. Guarantees: between two accesses of a block that race
    there is a `barrier`. Idempotent. Keeps: everything else, barriers that were there too.
    """
    return each_kernel(module, guarded)


def guarded(kernel: Kernel) -> Kernel:
    if not kernel.threads:
        return kernel
    walk = _Walk()
    body = walk.region(kernel.body, frozenset())[0]
    return kernel if body is kernel.body else kernel.with_body(body)


class _Walk:
    """Rewrites regions; `parts` says of every tensor made in the kernel what it is a part of, and where it begins."""

    def __init__(self) -> None:
        self.parts: dict[Value, tuple[Value, int]] = {}

    def region(self, region: Region, pending: Pending) -> tuple[Region, Pending]:
        """The region with barriers, and what is pending at its end."""
        ops: list[Op] = []
        changed = False
        for op in region.ops:
            made, pending = self.op(op, pending, ops)
            changed |= made is not op
            ops.append(made)
        changed |= len(ops) != len(region.ops)
        return (Region(region.args, tuple(ops)) if changed else region), pending

    def op(self, op: Op, pending: Pending, before: list[Op]) -> tuple[Op, Pending]:
        match op.name:
            case "barrier":
                return op, survivors(pending)
            case "commit_group":
                return op, frozenset(aged(item) for item in pending)
            case "wait_group":
                return op, frozenset(waited(item, op.attrs["pending"]) for item in pending)
            case "for":
                return self.loop(op, pending)
            case "while":
                return self.conditional(op, pending)
            case "if":
                return self.branches(op, pending)
            case "grid":
                return self.inside(op, pending)
            case "field":
                root, start = self.root(op.operands[0])
                self.parts[op.result] = root, start + op.attrs["bit_offset"] // 8
                return op, pending
        touched = list(self.touched(op))
        if any(item.races(other) for item in touched for other in pending):
            before.append(make_op("barrier", [], {}, (), op.span))
            pending = survivors(pending)
        return op, pending | frozenset(touched)

    def inside(self, op: Op, pending: Pending) -> tuple[Op, Pending]:
        regions = []
        for region in op.regions:
            made, pending = self.region(region, pending)
            regions.append(made)
        return renewed(op, regions), pending

    def loop(self, op: Op, pending: Pending) -> tuple[Op, Pending]:
        """A body may follow what stands before the loop, and its own end."""
        start = pending
        for _ in range(2):
            made, end = self.inside(op, start)
            start = start | frozenset(replace(item, slice=None) for item in end)
        made, end = self.inside(op, start)
        return made, pending | end | frozenset(replace(item, slice=None) for item in end)

    def conditional(self, op: Op, pending: Pending) -> tuple[Op, Pending]:
        """The loop ends behind its condition, which follows what stands before, or the body."""
        condition, body = op.regions
        start = pending
        for _ in range(3):
            made, tested = self.region(condition, start)
            inner, end = self.region(body, tested)
            start = start | frozenset(replace(item, slice=None) for item in end)
        return renewed(op, [made, inner]), frozenset(replace(item, slice=None) for item in tested)

    def branches(self, op: Op, pending: Pending) -> tuple[Op, Pending]:
        walked = [self.region(region, pending) for region in op.regions]
        ends: Pending = frozenset().union(*(end for _, end in walked))
        return renewed(op, [region for region, _ in walked]), ends

    def root(self, tensor: Value) -> tuple[Value, int]:
        return self.parts.get(tensor, (tensor, 0))

    def touched(self, op: Op) -> Iterator[Touched]:
        """What an operation reads and writes."""
        definition = op.definition
        if op.name == "copy_async":
            target, source = op.operands[:2]
            yield from self.access(source, writes=False)
            yield from (replace(item, age=0) for item in self.access(target, writes=True))
        elif definition.reads_memory or definition.writes_memory:
            own = own_slice(op)
            yield from self.access(op.operands[0], definition.writes_memory, own)

    def access(self, tensor: Value, writes: bool, own: object = None) -> Iterable[Touched]:
        type, (root, start) = tensor.tensor, self.root(tensor)
        if type.in_device_memory and type.access is Access.IN:
            return
        size = 0 if type.in_device_memory else storage_bytes(type, extents(type, {}))
        yield Touched(root, start, start + size if size else 0, writes, own, ring=is_ring(type))


def own_slice(op: Op) -> object:
    """What two slices agree on if every thread has the same elements of both, and no other thread has them."""
    if op.name not in ("load", "store"):
        return None
    value, starts = (op.result, op.operands[1:]) if op.name == "load" else (op.operands[1], op.operands[2:])
    if not has_layout(value) or value.tile.layout is None or value.tile.layout.replicas:
        return None
    if stored_type(value.tile.dtype) != value.tile.dtype:
        return None  # its byte may be another thread's as well
    return op.operands[0], tuple(starts), op.attrs["sizes"], op.attrs["steps"], value.tile.layout


def survivors(pending: Pending) -> Pending:
    """What a barrier does not end: copies under way."""
    return frozenset(item for item in pending if item.age is not None)


def aged(item: Touched) -> Touched:
    return item if item.age is None else replace(item, age=min(item.age + 1, OLDEST))


def waited(item: Touched, left: int) -> Touched:
    """A copy after a wait that leaves the latest `left` groups under way."""
    return replace(item, age=None) if item.age is not None and item.age > left else item


def renewed(op: Op, regions: list[Region]) -> Op:
    same = all(made is old for made, old in zip(regions, op.regions, strict=True))
    return op if same else replace(op, regions=tuple(regions))


barriers = Pass("barriers", place_barriers)
