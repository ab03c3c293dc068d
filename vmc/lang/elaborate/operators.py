"""The operators on values and compile-time numbers: typing by `typing`, emission through the elaborator."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from vmc.ir.core import Value
from vmc.ir.ops.linear import accumulator
from vmc.ir.span import Span
from vmc.ir.types import DType
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.typing import (
    U1,
    arithmetic_type,
    bitwise_type,
    broadcast_shapes,
    common_type,
    default_type,
    holds,
)
from vmc.lang.elaborate.values import Const, Thing, Tile, TypeRef

ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floordiv", "%": "mod"}
BITWISE = {"&": "and", "|": "or", "^": "xor"}
SHIFTS = {"<<": "shl", ">>": "shr"}
COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
MAX_CONSTANT_BITS = 256

FOLD: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def binary(el: Elaborator, op: str, a: Thing, b: Thing, span: Span) -> Thing:
    """The value of `a op b`. Raises Reject."""
    left, right = el.numeric(a, span), el.numeric(b, span)
    if isinstance(left, Const) and isinstance(right, Const):
        return fold(op, left, right, span)
    if op == "@":
        return matmul(el, left, right, span)
    if op == "**":
        return power(el, left, right, span)
    if op in BITWISE:
        return bitwise(el, op, left, right, span)
    if op in SHIFTS:
        return shift(el, op, left, right, span)
    return arithmetic(el, op, left, right, span)


def fold(op: str, a: Const, b: Const, span: Span) -> Const:
    """The operation on compile-time numbers, as Python does it. Raises Reject."""
    check_constant_size(op, a.value, b.value, span)
    try:
        value = FOLD[op](a.value, b.value)
    except ZeroDivisionError:
        raise Reject("E0218", "division by zero in a compile-time expression", span) from None
    except (TypeError, ValueError, OverflowError, KeyError):
        raise Reject("E0218", f"`{op}` is not defined on {a.value} and {b.value}", span) from None
    if not isinstance(value, int | float | bool):
        raise Reject("E0218", f"`{op}` of {a.value} and {b.value} is not a real number", span)
    return Const(value)


def check_constant_size(op: str, a: float, b: float, span: Span) -> None:
    """Keeps compile-time integers small enough to compute with."""
    if not (isinstance(a, int) and isinstance(b, int)):
        return
    bits = a.bit_length()
    grown = {"*": bits + b.bit_length(), "**": bits * max(b, 0), "<<": bits + max(b, 0)}.get(op, 0)
    if (grown > MAX_CONSTANT_BITS and bits > 1) or (op == "<<" and b > MAX_CONSTANT_BITS):
        raise Reject("E0218", f"this compile-time integer has more than {MAX_CONSTANT_BITS} bits", span)


def arithmetic(el: Elaborator, op: str, a: Tile | Const, b: Tile | Const, span: Span) -> Tile:
    type = operand_type(el, op, a, b, span)
    if op == "/" and type.is_int:
        raise Reject(
            "E0203",
            "`/` divides floats, and these are integers",
            span,
            help="use `//` for division rounded down, or convert with `f32(...)`",
        )
    if op in ("//", "%") and type.is_float:
        raise Reject("E0222", f"`{op}` is for integers, and this is {type.name}", span, help="use `floor(a / b)`")
    name = ARITHMETIC.get(op) or COMPARISONS[op]
    return Tile(el.at(span)(name, *spread(el, a, b, type, span)))


def operand_type(el: Elaborator, op: str, a: Tile | Const, b: Tile | Const, span: Span) -> DType:
    """The type that both operands are converted to. Raises Reject where there is none."""
    if isinstance(a, Tile) and isinstance(b, Tile):
        common = common_type(a.dtype, b.dtype)
        if common is None:
            started = el.whole_numbers.get(a.value) or el.whole_numbers.get(b.value)
            raise mixed_types(op, a.dtype, b.dtype, span, started)
        return common
    tile = a if isinstance(a, Tile) else b
    assert isinstance(tile, Tile)
    return arithmetic_type(tile.dtype)


def mixed_types(op: str, a: DType, b: DType, span: Span, started: str | None = None) -> Reject:
    """The error for two types that have no common one; `started` is a variable that began as a whole number."""
    message = f"`{op}` on {a.name} and {b.name}"
    if a.is_int != b.is_int:
        target = b if a.is_int else a
        wide = arithmetic_type(target).name
        return Reject(
            "E0201",
            f"{message} mixes an integer and a float",
            span,
            label=f"{a.name} on the left, {b.name} on the right",
            help=f"start it as a float: `{started} = 0.0`" if started else f"convert the integer: `{wide}(...)`",
        )
    if a.is_float:
        return Reject("E0202", f"{message}: neither type holds the other", span, help="convert both to `f32(...)`")
    return Reject("E0206", f"{message}: no integer type holds both", span, help="convert one of them")


def spread(el: Elaborator, a: Tile | Const, b: Tile | Const, type: DType, span: Span) -> tuple[Value, Value]:
    """Both operands in one type and one shape. Raises Reject."""
    left, right = el.as_type(a, type, span), el.as_type(b, type, span)
    return fit(el, left, right, span)


def fit(el: Elaborator, left: Value, right: Value, span: Span) -> tuple[Value, Value]:
    """Both values broadcast to one shape. Raises Reject."""
    shape = joint_shape(left.tile.shape, right.tile.shape, span)
    return el.build.broadcast(left, shape), el.build.broadcast(right, shape)


def joint_shape(a: tuple[int, ...], b: tuple[int, ...], span: Span) -> tuple[int, ...]:
    """The shape that two shapes broadcast to. Raises Reject."""
    shape = broadcast_shapes(a, b)
    if shape is None:
        raise Reject(
            "E0301",
            f"the shapes {list(a)} and {list(b)} do not broadcast",
            span,
            label=f"{list(a)} on the left, {list(b)} on the right",
            help="shapes are aligned at the right; `t[:, None]` inserts an axis, `t.T` transposes",
        )
    return shape


def bitwise(el: Elaborator, op: str, a: Tile | Const, b: Tile | Const, span: Span) -> Tile:
    type = bit_operand_type(op, a, b, span)
    return Tile(el.at(span)(BITWISE[op], *spread(el, a, b, type, span)))


def bit_operand_type(op: str, a: Tile | Const, b: Tile | Const, span: Span) -> DType:
    """The type of a bit operation: a narrow unsigned type stays where both operands are of it."""
    tiles = [x for x in (a, b) if isinstance(x, Tile)]
    for tile in tiles:
        if tile.dtype.is_float:
            raise Reject(
                "E0207",
                f"`{op}` works on bits of integers, and this is {tile.describe()}",
                span,
                help=f"re-read the bits as an integer: `bitcast(x, u{tile.dtype.width})`",
            )
    if len(tiles) == 2:
        common = bitwise_type(tiles[0].dtype, tiles[1].dtype)
        if common is None:
            raise mixed_types(op, tiles[0].dtype, tiles[1].dtype, span)
        return common
    (constant,) = (x for x in (a, b) if isinstance(x, Const))
    own = tiles[0].dtype
    if isinstance(constant.value, bool) and own != U1:
        raise Reject("E0208", f"`{op}` of an integer and a boolean", span)
    return own if own.is_uint else arithmetic_type(own)


def shift(el: Elaborator, op: str, a: Tile | Const, b: Tile | Const, span: Span) -> Tile:
    for operand in (a, b):
        if isinstance(operand, Tile) and operand.dtype.is_float:
            raise Reject("E0207", f"`{op}` works on integers, and this is {operand.describe()}", span)
    if isinstance(b, Const) and isinstance(b.value, int) and b.value < 0:
        raise Reject("E0218", f"a shift by {b.value}: shift counts must not be negative", span)
    type = arithmetic_type(a.dtype) if isinstance(a, Tile) else operand_type(el, op, a, b, span)
    return Tile(el.at(span)(SHIFTS[op], *spread(el, a, b, type, span)))


def compare(el: Elaborator, op: str, a: Thing, b: Thing, span: Span) -> Thing:
    """The value of a comparison: u1, or a compile-time boolean. Types compare as well. Raises Reject."""
    if isinstance(a, TypeRef) and isinstance(b, TypeRef) and op in ("==", "!="):
        return Const((a.dtype == b.dtype) == (op == "=="))
    return binary(el, op, a, b, span)


def logical(el: Elaborator, op: str, a: Thing, b: Thing, span: Span) -> Thing:
    """`and` and `or` of booleans; run-time operands are both evaluated. Raises Reject."""
    left, right = boolean(el, a, span), boolean(el, b, span)
    for first, second in ((left, right), (right, left)):
        if isinstance(first, Const):
            decides = bool(first.value) == (op == "or")
            return first if decides else second
    assert isinstance(left, Tile) and isinstance(right, Tile)
    return Tile(el.at(span)(op, *fit(el, left.value, right.value, span)))


def negate(el: Elaborator, a: Thing, span: Span) -> Thing:
    """`not a`. Raises Reject."""
    operand = boolean(el, a, span)
    if isinstance(operand, Const):
        return Const(not operand.value)
    return Tile(el.at(span)("not", operand.value))


def boolean(el: Elaborator, thing: Thing, span: Span) -> Tile | Const:
    """A u1 value or a compile-time boolean. Raises Reject."""
    operand = el.numeric(thing, span)
    if isinstance(operand, Const) and isinstance(operand.value, bool):
        return operand
    if isinstance(operand, Tile) and operand.dtype == U1:
        return operand
    raise Reject(
        "E0208",
        f"expected a boolean, found {operand.describe()}",
        span,
        help="`and`, `or`, `not` take u1; use `&`, `|`, `~` on integers, or compare with 0",
    )


def unary(el: Elaborator, op: str, a: Thing, span: Span) -> Thing:
    """`-a`, `+a`, `~a`. Raises Reject."""
    operand = el.numeric(a, span)
    if isinstance(operand, Const):
        return fold_unary(op, operand, span)
    if op == "~":
        if operand.dtype.is_float:
            raise Reject("E0207", f"`~` works on integers, and this is {operand.describe()}", span)
        return Tile(el.at(span)("not", operand.value))
    promoted = el.as_type(operand, arithmetic_type(operand.dtype), span)
    return Tile(promoted if op == "+" else el.at(span)("neg", promoted))


def fold_unary(op: str, operand: Const, span: Span) -> Const:
    value = operand.value
    if op == "~":
        if isinstance(value, float):
            raise Reject("E0218", f"`~` is not defined on {value}", span)
        return Const(not value if isinstance(value, bool) else ~value)
    return Const(-value if op == "-" else +value)


def power(el: Elaborator, a: Tile | Const, b: Tile | Const, span: Span) -> Tile:
    """`a ** b`: products for a small whole exponent known at compile time, else `pow`."""
    if isinstance(a, Tile) and isinstance(b, Const) and isinstance(b.value, int) and 1 <= b.value <= 64:
        return Tile(repeated_product(el, el.as_type(a, arithmetic_type(a.dtype), span), b.value, span))
    type = operand_type(el, "**", a, b, span)
    if type.is_int:
        raise Reject(
            "E0222",
            "`**` of integers needs an exponent from 1 to 64 that is known at compile time",
            span,
            help="convert to f32 for a power with a run-time exponent",
        )
    return Tile(el.at(span)("pow", *spread(el, a, b, type, span)))


def repeated_product(el: Elaborator, base: Value, exponent: int, span: Span) -> Value:
    """Binary powering, least significant bit first."""
    result: Value | None = None
    square = base
    while True:
        if exponent & 1:
            result = square if result is None else el.at(span)("mul", result, square)
        exponent >>= 1
        if not exponent:
            break
        square = el.at(span)("mul", square, square)
    assert result is not None
    return result


def matmul(el: Elaborator, a: Tile | Const, b: Tile | Const, span: Span, acc: Value | None = None) -> Tile:
    """`a @ b`, added to `acc` where one is given that fits. Raises Reject."""
    for operand in (a, b):
        if not isinstance(operand, Tile) or operand.type.rank not in (1, 2):
            raise Reject("E0314", f"`@` takes tiles of rank 1 or 2, and this is {operand.describe()}", span)
    assert isinstance(a, Tile) and isinstance(b, Tile)
    left, right = as_matrix(el, a.value, True, span), as_matrix(el, b.value, False, span)
    if left.tile.shape[1] != right.tile.shape[0]:
        raise Reject(
            "E0302",
            f"`@` of {list(a.shape)} and {list(b.shape)}: the inner extents {left.tile.shape[1]} and "
            f"{right.tile.shape[0]} differ",
            span,
            help="one operand may need `.T`",
        )
    type = accumulator(a.dtype, b.dtype)
    if type is None:
        raise Reject("E0220", f"`@` of {a.dtype.name} and {b.dtype.name}", span, help="convert one operand")
    shape = (left.tile.shape[0], right.tile.shape[1])
    wanted = a.shape[:-1] + b.shape[1:]
    if acc is None or (acc.tile.dtype, acc.tile.shape) != (type, wanted):
        start = el.at(span)("broadcast", el.constant(0, type, span), shape=shape)
    else:
        start = el.at(span)("reshape", acc, shape=shape) if wanted != shape else acc
    product = el.at(span)("dot", left, right, start)
    if wanted != shape:
        product = el.at(span)("reshape", product, shape=wanted)
    if acc is not None and (acc.tile.dtype, acc.tile.shape) != (type, wanted):
        result = binary(el, "+", Tile(acc), Tile(product), span)
        assert isinstance(result, Tile)
        return result
    return Tile(product)


def as_matrix(el: Elaborator, value: Value, row: bool, span: Span) -> Value:
    """A vector as a matrix of one row or one column."""
    if value.tile.rank == 2:
        return value
    (n,) = value.tile.shape
    return el.at(span)("reshape", value, shape=(1, n) if row else (n, 1))


def select(el: Elaborator, condition: Thing, a: Thing, b: Thing, span: Span) -> Thing:
    """`a if condition else b`, elementwise at run time. Raises Reject."""
    chosen = boolean(el, condition, span)
    if isinstance(chosen, Const):
        return a if chosen.value else b
    left, right = el.numeric(a, span), el.numeric(b, span)
    type = selected_type(el, left, right, span)
    x, y = spread(el, left, right, type, span)
    shape = joint_shape(chosen.shape, x.tile.shape, span)
    build = el.at(span)
    return Tile(
        build("select", build.broadcast(chosen.value, shape), build.broadcast(x, shape), build.broadcast(y, shape))
    )


def selected_type(el: Elaborator, a: Tile | Const, b: Tile | Const, span: Span) -> DType:
    """The type that the two choices share: one they both have is kept, however narrow."""
    if isinstance(a, Const) and isinstance(b, Const):
        return common_type(default_type(a.value), default_type(b.value)) or default_type(float(a.value))
    if isinstance(a, Tile) and isinstance(b, Tile):
        if a.dtype == b.dtype:
            return a.dtype
        common = common_type(a.dtype, b.dtype)
        if common is None:
            message = f"the choice is between {a.dtype.name} and {b.dtype.name}, which have no common type"
            raise Reject("E0224", message, span, help="convert one of them")
        return common
    tile, constant = (a, b) if isinstance(a, Tile) else (b, a)
    assert isinstance(tile, Tile) and isinstance(constant, Const)
    own = tile.dtype
    narrow = own.is_int and holds(own, constant.value) and isinstance(constant.value, int)
    return own if narrow else arithmetic_type(own)
