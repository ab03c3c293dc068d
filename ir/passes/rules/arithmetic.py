"""Algebra of elementwise operations. Every rule is exact: bit for bit, but for which NaN a NaN is.

Of floats that leaves little: x + 0 is not x where x is -0, and x - x is not 0 where x is infinite.
"""

from __future__ import annotations

from vmc.ir.passes.rules.pattern import Rule
from vmc.ir.types import DType


def anything(dtype: DType) -> bool:
    return True


def integer(dtype: DType) -> bool:
    return dtype.is_int


def signed(dtype: DType) -> bool:
    return dtype.is_int and not dtype.is_uint


def sign_bearing(dtype: DType) -> bool:
    return not dtype.is_uint


def floating(dtype: DType) -> bool:
    return dtype.is_float


def boolean(dtype: DType) -> bool:
    return dtype.is_uint and dtype.width == 1


RULES: tuple[Rule, ...] = (
    # Neutral elements, with constants on the right
    Rule("(add x 0)", "x", integer),
    Rule("(add x -0.0)", "x", floating),
    Rule("(sub x 0)", "x", anything),
    Rule("(mul x 1)", "x", anything),
    Rule("(div x 1)", "x", floating),
    Rule("(floordiv x 1)", "x", integer),
    Rule("(and x -1)", "x", integer),
    Rule("(or x 0)", "x", integer),
    Rule("(xor x 0)", "x", integer),
    Rule("(shl x 0)", "x", integer),
    Rule("(shr x 0)", "x", integer),
    # Absorbing elements
    Rule("(mul x 0)", "0", integer),
    Rule("(and x 0)", "0", integer),
    Rule("(or x -1)", "-1", integer),
    Rule("(mod x 1)", "0", integer),
    Rule("(floordiv x 0)", "0", integer),
    Rule("(mod x 0)", "x", integer),
    # One value twice
    Rule("(sub x x)", "0", integer),
    Rule("(xor x x)", "0", integer),
    Rule("(and x x)", "x", integer),
    Rule("(or x x)", "x", integer),
    Rule("(min x x)", "x", anything),
    Rule("(max x x)", "x", anything),
    Rule("(eq x x)", "1", integer),
    Rule("(le x x)", "1", integer),
    Rule("(ge x x)", "1", integer),
    Rule("(ne x x)", "0", integer),
    Rule("(lt x x)", "0", integer),
    Rule("(gt x x)", "0", integer),
    # What undoes itself
    Rule("(neg (neg x))", "x", anything),
    Rule("(sub 0 x)", "(neg x)", integer),
    Rule("(sub -0.0 x)", "(neg x)", floating),
    Rule("(not (not x))", "x", integer),
    Rule("(abs (neg x))", "(abs x)", sign_bearing),
    Rule("(abs (abs x))", "(abs x)", anything),
    Rule("(sub x (neg y))", "(add x y)", anything),
    Rule("(add x (neg y))", "(sub x y)", anything),
    Rule("(add (sub x y) y)", "x", integer),
    Rule("(sub (add x y) y)", "x", integer),
    Rule("(sub (add x y) x)", "y", integer),
    # Constants to the right, and together
    Rule("(add c x)", "(add x c)", anything),
    Rule("(mul c x)", "(mul x c)", anything),
    Rule("(and c x)", "(and x c)", integer),
    Rule("(or c x)", "(or x c)", integer),
    Rule("(xor c x)", "(xor x c)", integer),
    Rule("(min c x)", "(min x c)", anything),
    Rule("(max c x)", "(max x c)", anything),
    Rule("(eq c x)", "(eq x c)", anything),
    Rule("(ne c x)", "(ne x c)", anything),
    Rule("(lt c x)", "(gt x c)", anything),
    Rule("(le c x)", "(ge x c)", anything),
    Rule("(gt c x)", "(lt x c)", anything),
    Rule("(ge c x)", "(le x c)", anything),
    Rule("(sub x c)", "(add x (neg c))", signed),
    Rule("(add (add x c) d)", "(add x (add c d))", integer),
    Rule("(mul (mul x c) d)", "(mul x (mul c d))", integer),
    Rule("(and (and x c) d)", "(and x (and c d))", integer),
    Rule("(or (or x c) d)", "(or x (or c d))", integer),
    Rule("(xor (xor x c) d)", "(xor x (xor c d))", integer),
    # Booleans
    Rule("(ne x 0)", "x", boolean),
    Rule("(eq x 1)", "x", boolean),
    Rule("(eq x 0)", "(not x)", boolean),
    Rule("(ne x 1)", "(not x)", boolean),
    Rule("(xor x 1)", "(not x)", boolean),
    Rule("(not (eq x y))", "(ne x y)", anything),
    Rule("(not (ne x y))", "(eq x y)", anything),
    Rule("(not (lt x y))", "(ge x y)", integer),
    Rule("(not (le x y))", "(gt x y)", integer),
    Rule("(not (gt x y))", "(le x y)", integer),
    Rule("(not (ge x y))", "(lt x y)", integer),
    # Selections
    Rule("(select y x x)", "x", anything),
    Rule("(select 1 x y)", "x", anything),
    Rule("(select 0 x y)", "y", anything),
    Rule("(select (not z) x y)", "(select z y x)", anything),
)
