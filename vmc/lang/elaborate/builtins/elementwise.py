"""Functions of one to three tiles, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vmc.ir.builder import make_op
from vmc.ir.core import TileType, Value
from vmc.ir.math.approximate import FUNCTIONS as APPROXIMABLE
from vmc.ir.math.approximate import choose
from vmc.ir.passes.evaluator import evaluate
from vmc.ir.types import dtype
from vmc.lang.elaborate import operators
from vmc.lang.elaborate.arguments import Arguments
from vmc.lang.elaborate.builtins.definition import Builtin
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.typing import arithmetic_type, default_type
from vmc.lang.elaborate.values import Const, Thing, Tile

Call = Callable[[Elaborator, Arguments], Thing]


def float_operand(el: Elaborator, args: Arguments, name: str) -> Value:
    """A float tile in the type that arithmetic on it is done in. Raises Reject."""
    operand = args.numeric(name)
    if isinstance(operand, Const):
        return el.constant(float(operand.value), dtype("f32"), args.span(name))
    if operand.dtype.is_int:
        raise Reject(
            "E0216",
            f"`{args.callee}` is defined on floats, and this is {operand.describe()}",
            args.span(name),
            help="convert it: `f32(...)`",
        )
    return el.as_type(operand, arithmetic_type(operand.dtype), args.span(name))


def of_number(name: str, number: float) -> Const | None:
    """The function of a compile-time number, in f64; None where it has no finite value."""
    f64 = dtype("f64")
    operand = Value(TileType(f64, ()))
    (result,) = evaluate(make_op(name, (operand,), {}), [f64.from_codes(f64.encode(np.array(number)))])
    found = float(f64.to_values(result)[()])
    return Const(found) if math.isfinite(found) else None


def float_function(name: str) -> Call:
    """One float operand; the operation has the function's name. Of a compile-time number it is one."""

    def call(el: Elaborator, args: Arguments) -> Thing:
        operand = args.numeric("x")
        if isinstance(operand, Const) and (number := of_number(name, float(operand.value))) is not None:
            return number
        value = float_operand(el, args, "x")
        return Tile(el.at(args.call_span)(name, value))

    return call


def approximable(name: str) -> Call:
    """As `float_function`; with `approx=`, the cheapest approximation whose error is within that, if one is cheaper."""
    exact = float_function(name)

    def call(el: Elaborator, args: Arguments) -> Thing:
        allowed = args.optional_const("approx")
        if allowed is None:
            return exact(el, args)
        if isinstance(allowed.value, bool) or not 0 < allowed.value < 1:
            raise Reject(
                "E0225",
                f"`approx=` is an error between 0 and 1, not {allowed.value}",
                args.span("approx"),
                help="for about 11 bits, write `approx=2**-11`",
            )
        value = float_operand(el, args, "x")
        entry = choose(name, value.tile.dtype, float(allowed.value))
        if entry is None:
            return Tile(el.at(args.call_span)(name, value))
        return Tile(el.at(args.call_span)("approximate", value, entry=entry))

    return call


def binary_float(name: str) -> Call:
    def call(el: Elaborator, args: Arguments) -> Thing:
        a, b = args.numeric("x"), args.numeric("y")
        if isinstance(a, Const) and isinstance(b, Const):
            a = Tile(float_operand(el, args, "x"))
        type = operators.operand_type(el, name, a, b, args.call_span)
        if type.is_int:
            raise Reject("E0216", f"`{name}` is defined on floats", args.call_span, help="convert with `f32(...)`")
        return Tile(el.at(args.call_span)(name, *operators.spread(el, a, b, type, args.call_span)))

    return call


def integer_function(name: str) -> Call:
    """Bit counts: the operand's own type; the result is i32."""

    def call(el: Elaborator, args: Arguments) -> Thing:
        operand = args.tile("x")
        if not operand.dtype.is_int:
            raise Reject(
                "E0216",
                f"`{name}` is defined on integers, and this is {operand.describe()}",
                args.span("x"),
                help=f"re-read the bits: `bitcast(x, u{operand.dtype.width})`",
            )
        bits = el.at(args.call_span)("bitcast", operand.value, dtype=dtype(f"u{operand.dtype.width}"))
        wide = bits if operand.dtype.width >= 8 else el.build.cast(bits, "u8")
        counted = el.build.cast(el.build(name, wide), "i32")
        if name == "clz" and operand.dtype.width < 8:
            extra = el.build.broadcast(
                el.constant(8 - operand.dtype.width, dtype("i32"), args.call_span), operand.shape
            )
            counted = el.build("sub", counted, extra)
        if name == "ctz" and operand.dtype.width < 8:
            limit = el.build.broadcast(el.constant(operand.dtype.width, dtype("i32"), args.call_span), operand.shape)
            counted = el.build("min", counted, limit)
        return Tile(counted)

    return call


def absolute(el: Elaborator, args: Arguments) -> Thing:
    operand = args.numeric("x")
    if isinstance(operand, Const):
        return Const(abs(operand.value))
    return Tile(el.at(args.call_span)("abs", el.as_type(operand, arithmetic_type(operand.dtype), args.span("x"))))


def pairwise(name: str, el: Elaborator, args: Arguments) -> Thing:
    """`min` and `max` of two values: the operands' own type where they share one."""
    a, b = args.numeric("x"), args.numeric("y")
    if isinstance(a, Const) and isinstance(b, Const):
        return Const(min(a.value, b.value) if name == "min" else max(a.value, b.value))
    type = operators.selected_type(el, a, b, args.call_span)
    kept = type if type.is_int else arithmetic_type(type)
    return Tile(el.at(args.call_span)(name, *operators.spread(el, a, b, kept, args.call_span)))


def fma(el: Elaborator, args: Arguments) -> Thing:
    operands = [args.numeric(name) for name in ("a", "b", "c")]
    type = default_type(0.0)
    for first in operands:
        for second in operands:
            if isinstance(first, Tile):
                type = operators.operand_type(el, "fma", first, second, args.call_span)
    if type.name not in ("f32", "f64"):
        raise Reject("E0216", f"`fma` is defined on f32 and f64, and this is {type.name}", args.call_span)
    values = [el.as_type(x, type, args.call_span) for x in operands]
    shape: tuple[int, ...] = ()
    for value in values:
        shape = operators.joint_shape(shape, value.tile.shape, args.call_span)
    return Tile(el.at(args.call_span)("fma", *(el.build.broadcast(value, shape) for value in values)))


def where(el: Elaborator, args: Arguments) -> Thing:
    return operators.select(el, args.thing("condition"), args.thing("x"), args.thing("y"), args.call_span)


def clamp(el: Elaborator, args: Arguments) -> Thing:
    value: Thing = args.numeric("x")
    for name, operation in (("low", "max"), ("high", "min")):
        bound = args.numeric(name)
        assert isinstance(value, Tile | Const)
        if isinstance(value, Const) and isinstance(bound, Const):
            value = Const(max(value.value, bound.value) if operation == "max" else min(value.value, bound.value))
            continue
        type = operators.operand_type(el, "clamp", value, bound, args.call_span)
        value = Tile(el.at(args.call_span)(operation, *operators.spread(el, value, bound, type, args.call_span)))
    return value


def classify(el: Elaborator, args: Arguments) -> Thing:
    """isnan, isinf, isfinite by comparisons."""
    x = float_operand(el, args, "x")
    build = el.at(args.call_span)
    if args.callee == "isnan":
        return Tile(build("ne", x, x))
    infinity = build.broadcast(el.constant(float("inf"), x.tile.dtype, args.call_span), x.tile.shape)
    magnitude = build("abs", x)
    return Tile(build("eq" if args.callee == "isinf" else "lt", magnitude, infinity))


FLOAT_FUNCTIONS = {
    "exp": "e to the power x", "exp2": "2 to the power x", "expm1": "exp(x) - 1, exact near 0",
    "log": "natural logarithm", "log2": "logarithm to base 2", "log10": "logarithm to base 10",
    "log1p": "log(1 + x), exact near 0",
    "sin": "sine", "cos": "cosine", "tan": "tangent", "asin": "arc sine", "acos": "arc cosine", "atan": "arc tangent",
    "sinh": "hyperbolic sine", "cosh": "hyperbolic cosine", "tanh": "hyperbolic tangent",
    "erf": "error function", "erfc": "1 - erf(x)", "lgamma": "logarithm of |gamma(x)|",
    "sqrt": "square root", "rsqrt": "1 / sqrt(x)", "sigmoid": "1 / (1 + exp(-x))",
    "floor": "rounded down", "ceil": "rounded up", "round": "rounded to nearest, ties to even",
    "trunc": "rounded toward zero",
}  # fmt: skip

BUILTINS = (
    *(
        Builtin(name, ("x", "approx?"), approximable(name), summary)
        if name in APPROXIMABLE
        else Builtin(name, ("x",), float_function(name), summary)
        for name, summary in FLOAT_FUNCTIONS.items()
    ),
    Builtin("pow", ("x", "y"), binary_float("pow"), "x to the power y"),
    Builtin("atan2", ("x", "y"), binary_float("atan2"), "the angle of the point (y, x): atan2(sine, cosine)"),
    Builtin("copysign", ("x", "y"), binary_float("copysign"), "|x| with the sign of y"),
    Builtin("abs", ("x",), absolute, "absolute value"),
    Builtin("fma", ("a", "b", "c"), fma, "a * b + c, rounded once (f32, f64)"),
    Builtin("where", ("condition", "x", "y"), where, "x where the condition holds, else y"),
    Builtin("clamp", ("x", "low", "high"), clamp, "x limited to low..high"),
    Builtin("isnan", ("x",), classify, "whether x is NaN"),
    Builtin("isinf", ("x",), classify, "whether x is infinite"),
    Builtin("isfinite", ("x",), classify, "whether x is neither NaN nor infinite"),
    Builtin("popcount", ("x",), integer_function("popcount"), "the number of bits set, i32"),
    Builtin("clz", ("x",), integer_function("clz"), "the number of leading zero bits, i32"),
    Builtin("ctz", ("x",), integer_function("ctz"), "the number of trailing zero bits, i32"),
)
