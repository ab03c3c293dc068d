"""What may be merged, moved or dropped: questions about an operation's effects and about the memory behind a tensor.

Tensors that a kernel is given do not overlap, so what a kernel may not write, nothing writes while it runs.
"""

from __future__ import annotations

from vmc.ir.core import Access, Op, TensorType, TileType, Value


def reads_constant_memory(op: Op) -> bool:
    """Whether an operation that reads memory reads only tensors that nobody writes."""
    tensors = [value.type for value in op.operands if isinstance(value.type, TensorType)]
    return all(type.access is Access.IN for type in tensors)


def is_mergeable(op: Op) -> bool:
    """Pure, with tiles as results and no regions: equal operands and attributes give equal results."""
    return op.definition.pure and not op.regions and not any(isinstance(r.type, TensorType) for r in op.results)


def is_total(op: Op) -> bool:
    """Whether a pure operation may be executed where the program would not have: it cannot fail.

    Only accesses fail: a claim that a slice lies inside, or an index that leaves the tensor or the tile.
    """
    if not op.definition.pure or op.regions or op.name == "take":
        return False
    if not op.definition.reads_memory:
        return True
    claims = op.attrs.get("inbounds")
    return isinstance(claims, tuple) and not any(claims) and reads_constant_memory(op)


def size(value: Value) -> int:
    """Elements of a tile; of a tensor, none."""
    return 0 if isinstance(value.type, TensorType) else value.type.size


def is_pinned(op: Op) -> bool:
    """Whether a result has its layout chosen already, so that no other value can stand for it."""
    return any(isinstance(result.type, TileType) and result.type.layout is not None for result in op.results)
