"""Floating-point arithmetic: f16, bf16, f32, f64, and packed pairs of them.

Sums, products, fused multiply-adds, quotients and roots are rounded once, in the mode that the instruction names. PTX
leaves the results of the approximate functions open within an error bound; here they are the correctly rounded ones,
which lie within every bound.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from vmc.backends.ptxvm import numeric, taint
from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.parser import WIDTHS
from vmc.backends.ptxvm.state import Rule

PACKED = {"f16x2": "f16", "bf16x2": "bf16", "f32x2": "f32"}
KINDS = {"f16", "bf16", "f32", "f64", *PACKED}


def element_of(kind: str) -> str:
    """The type of one element of a possibly packed type."""
    return PACKED.get(kind, kind)


def packed(apply: Callable[..., Array], part: int) -> Callable[..., Array]:
    """An operation on both halves of registers, of `part` bits each."""
    unit, whole = UINT[part], UINT[2 * part]

    def both(*values: Array) -> Array:
        parts = [np.ascontiguousarray(v).view(unit).reshape(-1, 2) for v in values]
        return np.ascontiguousarray(apply(*parts)).view(whole).reshape(-1)

    return both


def _step(e: Emitter, apply: Callable[..., Array], count: int) -> Step:
    """destination = apply(`count` sources) with the instruction's .ftz, .sat, .relu and packing."""
    kind = e.type
    element = element_of(kind)
    part = WIDTHS[element]
    if is_mixed(e):
        return _mixed(e, _modified(e, apply, "f32"), count)
    inner = _modified(e, apply, element)
    rule: Rule = taint.anything(part)
    if kind in PACKED:
        inner, rule = packed(inner, part), taint.lanes(part, 2 * part)
    return e.compute(e.result(), [e.source(i + 1) for i in range(count)], inner, rule)


def is_mixed(e: Emitter) -> bool:
    """Whether an instruction on f32 takes operands of 16 bits (PTX ISA, "Mixed Precision Floating-Point")."""
    return e.types[0] == "f32" and e.types[-1] in ("f16", "bf16")


def _mixed(e: Emitter, apply: Callable[..., Array], count: int) -> Step:
    """All operands but the last one are widened, which is exact."""
    kind = e.type

    def run(*values: Array) -> Array:
        wide = [numeric.encode(numeric.decode(value, kind), "f32") for value in values[:-1]]
        return apply(*wide, values[-1])

    narrow = [e.source(i + 1) for i in range(count - 1)]
    return e.compute(e.result(), [*narrow, e.source(count, 32, "f32")], run, taint.anything(32))


def arithmetic_type(e: Emitter) -> str:
    """The type that an instruction computes in."""
    return "f32" if is_mixed(e) else element_of(e.type)


def _modified(e: Emitter, apply: Callable[..., Array], kind: str) -> Callable[..., Array]:
    ftz, sat, relu = e.has("ftz"), e.has("sat"), e.has("relu")
    if not (ftz or sat or relu):
        return apply

    def run(*values: Array) -> Array:
        inputs = [numeric.flush(v, kind) for v in values] if ftz else values
        bits = apply(*inputs)
        if ftz:
            bits = numeric.flush(bits, kind)
        if sat:
            bits = numeric.saturate(bits, kind)
        if relu:
            bits = clamp_negative(bits, kind)
        return bits

    return run


def clamp_negative(bits: Array, kind: str) -> Array:
    """Negative numbers become 0 (.relu); NaN stays."""
    values = numeric.decode(bits, kind)
    return np.where((values < 0) | ((values == 0) & np.signbit(values)), bits.dtype.type(0), bits)


def sign_bit(kind: str) -> np.unsignedinteger:
    """The sign of a format as a mask."""
    width = WIDTHS[kind]
    return UINT[width](1 << (width - 1))


def add(e: Emitter) -> Step:
    return _step(e, partial(numeric.add, kind=arithmetic_type(e), mode=e.rounding), 2)


def sub(e: Emitter) -> Step:
    kind, mode = arithmetic_type(e), e.rounding
    sign = sign_bit(kind)
    return _step(e, lambda a, b: numeric.add(a, b ^ sign, kind, mode), 2)


def mul(e: Emitter) -> Step:
    return _step(e, partial(numeric.multiply, kind=element_of(e.type), mode=e.rounding), 2)


def fma(e: Emitter) -> Step:
    return _step(e, partial(numeric.multiply_add, kind=arithmetic_type(e), mode=e.rounding), 3)


def div(e: Emitter) -> Step:
    return _step(e, partial(numeric.divide, kind=element_of(e.type), mode=e.rounding), 2)


def sqrt(e: Emitter) -> Step:
    return _step(e, partial(numeric.root, kind=e.type, mode=e.rounding), 1)


def rcp(e: Emitter) -> Step:
    kind, mode = e.type, e.rounding
    one = numeric.encode(np.ones(1), kind)
    return _step(e, lambda a: numeric.divide(one, a, kind, mode), 1)


def negate(e: Emitter) -> Step:
    sign = sign_bit(element_of(e.type))
    return _step(e, lambda a: a ^ sign, 1)


def absolute(e: Emitter) -> Step:
    sign = sign_bit(element_of(e.type))
    return _step(e, lambda a: a & ~sign, 1)


def extreme(e: Emitter) -> Step:
    """min and max: -0 is less than +0; of one NaN the other operand results, with .NaN a NaN."""
    kind = element_of(e.type)
    smaller, keep_nan, xorsign, magnitude = e.root == "min", e.has("NaN"), e.has("xorsign"), e.has("abs")
    sign = sign_bit(kind)
    nan = UINT[WIDTHS[kind]](numeric.FORMATS[kind].nan)

    def apply(a: Array, b: Array) -> Array:
        flip = (a ^ b) & sign if xorsign else None
        if magnitude:
            a, b = a & ~sign, b & ~sign
        x, y = numeric.decode(a, kind), numeric.decode(b, kind)
        x_nan, y_nan = np.isnan(x), np.isnan(y)
        less = (x < y) | ((x == y) & np.signbit(x))
        chosen = np.where(less if smaller else ~less, a, b)
        chosen = np.where(x_nan, b, np.where(y_nan, a, chosen))
        chosen = np.where((x_nan | y_nan) if keep_nan else (x_nan & y_nan), nan, chosen)
        return chosen if flip is None else np.asarray((chosen & ~sign) | flip)

    if len(e.operands) == 4:
        return _step(e, lambda a, b, c: apply(apply(a, b), c), 3)
    return _step(e, apply, 2)


def copysign(e: Emitter) -> Step:
    sign = sign_bit(e.type)
    return _step(e, lambda a, b: (b & ~sign) | (a & sign), 2)


def _function(e: Emitter, function: Callable[[Array], Array]) -> Step:
    """A function of one operand, computed in float64 and rounded to the type."""
    kind = element_of(e.type)

    def apply(a: Array) -> Array:
        with np.errstate(all="ignore"):
            return numeric.encode(np.asarray(function(numeric.decode(a, kind).astype(np.float64))), kind)

    return _step(e, apply, 1)


def ex2(e: Emitter) -> Step:
    return _function(e, np.exp2)


def lg2(e: Emitter) -> Step:
    return _function(e, np.log2)


def sin(e: Emitter) -> Step:
    return _function(e, np.sin)


def cos(e: Emitter) -> Step:
    return _function(e, np.cos)


def tanh(e: Emitter) -> Step:
    return _function(e, np.tanh)


def rsqrt(e: Emitter) -> Step:
    return _function(e, lambda x: 1 / np.sqrt(x))


def testp(e: Emitter) -> Step:
    kind = e.type
    form = numeric.FORMATS[kind]
    smallest = 2.0**form.min_exponent

    def normal(x: Array) -> Array:
        return np.isfinite(x) & (np.abs(x) >= smallest)

    tests: dict[str, Callable[[Array], Array]] = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda x: ~np.isnan(x),
        "notanumber": np.isnan,
        "normal": normal,
        "subnormal": lambda x: np.isfinite(x) & (x != 0) & (np.abs(x) < smallest),
    }
    test = next(tests[m] for m in e.modifiers if m in tests)
    return e.compute(e.result(), [e.source(1)], lambda a: test(numeric.decode(a, kind)), taint.predicate)
