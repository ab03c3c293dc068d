"""Operations that move elements: those that move none, and two in a row. And the sum that a dot can start from."""

from __future__ import annotations

from vmc.ir.core import Op, TileType, Value
from vmc.ir.passes.rewrite import Rewriter
from vmc.ir.passes.rules.pattern import Transformation

REARRANGING = ("broadcast", "transpose", "reshape")


def of_constant(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    inner = rewriter.producer(op.operands[0])
    if inner is None or inner.name != "constant":
        return None
    return (constant_like(op.result, inner, rewriter),)


def constant_like(value: Value, constant: Op, rewriter: Rewriter) -> Value:
    """A constant of a value's type, with the code of another constant."""
    type = TileType(value.tile.dtype, value.tile.shape)
    return rewriter.emit("constant", type=type, code=constant.attrs["code"])


def same_shape(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    return op.operands if op.operands[0].tile.shape == op.result.tile.shape else None


def of_its_kind(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    inner = rewriter.producer(op.operands[0])
    if inner is None or inner.name != op.name:
        return None
    return (rewriter.emit(op.name, inner.operands[0], **op.attrs),)


def permutation(op: Op) -> tuple[int, ...]:
    axes = op.attrs["permutation"]
    assert isinstance(axes, tuple)
    return tuple(axis for axis in axes if isinstance(axis, int))


def identity_transpose(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    axes = permutation(op)
    return op.operands if axes == tuple(range(len(axes))) else None


def transpose_of_transpose(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    inner = rewriter.producer(op.operands[0])
    if inner is None or inner.name != "transpose":
        return None
    first, second = permutation(inner), permutation(op)
    axes = tuple(first[axis] for axis in second)
    return (rewriter.emit("transpose", inner.operands[0], permutation=axes),)


def sum_of_dot(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    for product, addend in (op.operands, op.operands[::-1]):
        dot = rewriter.producer(product)
        if dot is None or dot.name != "dot" or rewriter.uses[product] != 1 or not rewriter.in_this_block(dot):
            continue
        start = rewriter.producer(dot.operands[2])
        if start is not None and start.name == "constant" and start.attrs["code"] == 0:
            return (rewriter.emit("dot", dot.operands[0], dot.operands[1], addend),)
    return None


RULES = (
    *(Transformation(f"{name} of a constant -> a constant", name, of_constant) for name in REARRANGING),
    Transformation("a broadcast to the shape it has -> its operand", "broadcast", same_shape),
    Transformation("a reshape to the shape it has -> its operand", "reshape", same_shape),
    Transformation("a broadcast of a broadcast -> one broadcast", "broadcast", of_its_kind),
    Transformation("a reshape of a reshape -> one reshape", "reshape", of_its_kind),
    Transformation("a transpose that permutes nothing -> its operand", "transpose", identity_transpose),
    Transformation("a transpose of a transpose -> one transpose", "transpose", transpose_of_transpose),
    Transformation("the sum of dot(a, b, 0) and c -> dot(a, b, c)", "add", sum_of_dot),
)
