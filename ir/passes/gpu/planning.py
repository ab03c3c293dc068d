"""Shared-memory planning: all of a block's shared tensors in one arena, those that do not live at once in one place.

A tensor lives from the operation that makes it to the last that uses it, in program order; around a loop that it
outlives, to the loop's end. Places are found first fit, the largest tensors first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vmc.ir.builder import make_op
from vmc.ir.core import Access, Kernel, Module, Op, Region, Space, TensorType, Value
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel
from vmc.ir.storage import extents, storage_bytes
from vmc.ir.types import dtype

ALIGNMENT = 16
"""What places are multiples of, in bytes: the widest access."""


@dataclass(frozen=True, slots=True)
class Life:
    """When a tensor is in use: numbers of operations in program order, both inclusive."""

    tensor: Value
    size: int
    first: int
    last: int
    alignment: int = ALIGNMENT

    def meets(self, other: Life) -> bool:
        return self.first <= other.last and other.first <= self.last


def plan_shared(module: Module) -> Module:
    """Needs: a well-formed module. Guarantees: a kernel has at most one `alloc`, first in its block, of bytes; all that
    was allocated is a `field` of it, at a multiple of 16 bytes, or of the period of its swizzle, and no two in use
    at once overlap. Idempotent. Keeps: everything else.
    """
    return each_kernel(module, planned)


def planned(kernel: Kernel) -> Kernel:
    *_, grid, _ = kernel.body.ops
    if grid.name != "grid":
        return kernel
    (block,) = grid.regions
    lives = lifetimes(block)
    if not lives or is_planned(block, lives):
        return kernel
    places, size = arranged(lives)
    arena = make_op("alloc", [], {"type": tensor_of_bytes(size)}, (), grid.span, ["shared"])

    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        if op.name != "alloc":
            return None
        return [rewriter.emit("field", arena.result, type=op.result.tensor, bit_offset=8 * places[op.result])]

    body = Rewriter(rule).region(block)
    body = Region(body.args, (arena, *body.ops))
    ops = tuple(replace(op, regions=(body,)) if op is grid else op for op in kernel.body.ops)
    return replace(kernel, body=replace(kernel.body, ops=ops))


def tensor_of_bytes(size: int) -> TensorType:
    return TensorType(dtype("u8"), (size,), Access.INOUT, Space.SHARED)


def is_planned(block: Region, lives: Sequence[Life]) -> bool:
    """Whether the only tensor is an arena at the head of the block."""
    first = block.ops[0]
    return len(lives) == 1 and first.name == "alloc" and first.result is lives[0].tensor and is_bytes(first)


def is_bytes(op: Op) -> bool:
    type = op.result.tensor
    return type.dtype == dtype("u8") and type.rank == 1 and type.storage is None


def lifetimes(block: Region) -> list[Life]:
    """The lives of all tensors that a block allocates."""
    walk = _Lives()
    walk.region(block, [])
    found = []
    for tensor, (op, _) in walk.made.items():
        first = walk.numbers[op][0]
        last = max(walk.numbers[user][1] for user in (op, *walk.users[tensor]))
        type = tensor.tensor
        found.append(Life(tensor, storage_bytes(type, extents(type, {})), first, last, alignment_of(type)))
    return found


def alignment_of(type: TensorType) -> int:
    """What a tensor's place is a multiple of: where its swizzle, if any, starts anew."""
    swizzle = type.storage.layout.swizzle if type.storage is not None else None
    return max(ALIGNMENT, swizzle.period // 8) if swizzle is not None else ALIGNMENT


class _Lives:
    """One walk over a block: every operation's number and that of the last one inside it, and who uses what.

    `made` has the operation that made a tensor, and how many operations are around it; `users` the operations beside
    that one that use the tensor or a part of it, or hold some that do: a loop that uses it counts whole.
    """

    def __init__(self) -> None:
        self.count = 0
        self.numbers: dict[Op, tuple[int, int]] = {}
        self.made: dict[Value, tuple[Op, int]] = {}
        self.users: dict[Value, set[Op]] = {}
        self.roots: dict[Value, Value] = {}

    def region(self, region: Region, around: list[Op]) -> None:
        for op in region.ops:
            first, self.count = self.count, self.count + 1
            for operand in op.operands:
                root = self.roots.get(operand, operand)
                if root in self.made:
                    depth = self.made[root][1]
                    self.users[root].add(around[depth] if depth < len(around) else op)
                    for result in op.results:
                        if isinstance(result.type, TensorType):
                            self.roots[result] = root
            if op.name == "alloc":
                self.made[op.result], self.users[op.result] = (op, len(around)), set()
            for inner in op.regions:
                self.region(inner, [*around, op])
            self.numbers[op] = first, self.count - 1


def arranged(lives: Sequence[Life]) -> tuple[dict[Value, int], int]:
    """The place of every tensor, in bytes, and how many there are in all."""
    placed: list[tuple[Life, int]] = []
    for life in sorted(lives, key=lambda life: (-life.size, life.first)):
        busy = sorted((start, start + other.size) for other, start in placed if other.meets(life))
        place = 0
        for start, end in busy:
            if place + life.size <= start:
                break
            place = max(place, rounded(end, life.alignment))
        placed.append((life, place))
    size = max(start + rounded(life.size) for life, start in placed)
    return {life.tensor: start for life, start in placed}, size


def rounded(size: int, alignment: int = ALIGNMENT) -> int:
    return -(-size // alignment) * alignment


planning = Pass("plan", plan_shared)
