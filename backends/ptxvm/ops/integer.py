"""Integer arithmetic on registers of 16, 32 and 64 bits, and packed 16-bit pairs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from vmc.backends.ptxvm import taint
from vmc.backends.ptxvm.arrays import SINT, UINT, Array
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.state import Cohort

PAIRS = {"s16x2": "s16", "u16x2": "u16"}


def is_signed(kind: str) -> bool:
    """Whether a type is a signed integer."""
    return kind.startswith("s")


def signed(value: Array) -> Array:
    """The same bits as signed integers."""
    return value.view(SINT[value.dtype.itemsize * 8])


def unsigned(value: Array) -> Array:
    """The same bits as unsigned integers."""
    return value.view(UINT[value.dtype.itemsize * 8])


def halves(apply: Callable[..., Array]) -> Callable[..., Array]:
    """An operation on the two 16-bit halves of 32-bit registers."""

    def packed(*values: Array) -> Array:
        parts = [np.ascontiguousarray(v).view(np.uint16).reshape(-1, 2) for v in values]
        return np.ascontiguousarray(apply(*parts)).view(np.uint32).reshape(-1)

    return packed


def binary(e: Emitter, apply: Callable[[Array, Array], Array], exact_low_bits: bool = True) -> Step:
    """destination = apply(a, b) for the instruction's type, packed or not."""
    kind = e.type
    if kind in PAIRS:
        return e.compute(e.result(), [e.source(1), e.source(2)], halves(apply), taint.lanes(16, 32))
    rule = taint.upwards(e.width) if exact_low_bits else taint.anything(e.width)
    return e.compute(e.result(), [e.source(1), e.source(2)], apply, rule)


def add(e: Emitter) -> Step:
    if e.has("cc"):
        return _with_carry(e, subtract=False, carry_in=False)
    if e.has("sat"):
        return binary(e, _saturating(np.add), False)
    return binary(e, np.add)


def sub(e: Emitter) -> Step:
    if e.has("cc"):
        return _with_carry(e, subtract=True, carry_in=False)
    if e.has("sat"):
        return binary(e, _saturating(np.subtract), False)
    return binary(e, np.subtract)


def addc(e: Emitter) -> Step:
    return _with_carry(e, subtract=False, carry_in=True)


def subc(e: Emitter) -> Step:
    return _with_carry(e, subtract=True, carry_in=True)


def _with_carry(e: Emitter, subtract: bool, carry_in: bool) -> Step:
    """Extended-precision sums. The carry, or for differences the borrow, is a bit for each thread."""
    return _carrying(e, [e.source(1), e.source(2)], lambda x, y: (x, y), subtract, carry_in)


def _carrying(
    e: Emitter,
    sources: list[int],
    terms: Callable[..., tuple[Array, Array]],
    subtract: bool,
    carry_in: bool,
) -> Step:
    """The sum, or difference, of the two `terms` of the sources and the carry."""
    destination, sets = e.result(), e.has("cc")

    def run(m: Cohort) -> None:
        x, y = terms(*(m.wide(slot) for slot in sources))
        carry = m.carry.astype(x.dtype) if carry_in else np.zeros(1, x.dtype)
        if subtract:
            first = x - y
            value = first - carry
            out = (x < y) | (first < carry)
        else:
            first = x + y
            value = first + carry
            out = (first < x) | (value < first)
        if sets:
            m.carry = np.where(m.mask, out, m.carry)
        if m.taint:
            m.spread(destination, sources, value, taint.anything(e.width))
        else:
            m.put(destination, value)

    return run


def _saturating(operation: np.ufunc) -> Callable[[Array, Array], Array]:
    def apply(a: Array, b: Array) -> Array:
        info = np.iinfo(SINT[a.dtype.itemsize * 8])
        exact = operation(signed(a).astype(np.int64), signed(b).astype(np.int64))
        return unsigned(np.clip(exact, info.min, info.max).astype(info.dtype))

    return apply


def high(a: Array, b: Array, is_signed_product: bool) -> Array:
    """The upper half of a product."""
    width = a.dtype.itemsize * 8
    if width < 64:
        wide = (SINT if is_signed_product else UINT)[2 * width]
        x, y = (signed(a), signed(b)) if is_signed_product else (a, b)
        upper: Array = ((x.astype(wide) * y.astype(wide)) >> wide(width)).astype(UINT[width])
        return upper
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    al, ah, bl, bh = a & mask, a >> half, b & mask, b >> half
    middle = al * bh + ((al * bl) >> half)
    middle2 = ah * bl + (middle & mask)
    result: Array = ah * bh + (middle >> half) + (middle2 >> half)
    if is_signed_product:
        result = result - np.where(signed(a) < 0, b, np.uint64(0)) - np.where(signed(b) < 0, a, np.uint64(0))
    return result


def wide(a: Array, b: Array, is_signed_product: bool) -> Array:
    """The whole product, twice as wide as its factors."""
    width = a.dtype.itemsize * 8
    target = (SINT if is_signed_product else UINT)[2 * width]
    x, y = (signed(a), signed(b)) if is_signed_product else (a, b)
    return unsigned(x.astype(target) * y.astype(target))


def mul(e: Emitter) -> Step:
    sign = is_signed(e.type)
    a, b, d = e.source(1), e.source(2), e.result()
    if e.has("wide"):
        return e.compute(d, [a, b], partial(wide, is_signed_product=sign), taint.anything(2 * e.width))
    if e.has("hi"):
        return e.compute(d, [a, b], partial(high, is_signed_product=sign), taint.anything(e.width))
    return e.compute(d, [a, b], np.multiply, taint.upwards(e.width))


def mad(e: Emitter) -> Step:
    sign = is_signed(e.type)
    width = e.width
    if e.has("cc"):
        return _mad_with_carry(e, carry_in=False)
    if e.has("wide"):
        c = e.source(3, 2 * width, f"u{2 * width}")

        def whole(x: Array, y: Array, z: Array) -> Array:
            return wide(x, y, sign) + z

        return e.compute(e.result(), [e.source(1), e.source(2), c], whole, taint.anything(2 * width))
    sources = [e.source(1), e.source(2), e.source(3)]
    if e.has("hi"):

        def upper(x: Array, y: Array, z: Array) -> Array:
            return high(x, y, sign) + z

        return e.compute(e.result(), sources, upper, taint.anything(width))
    return e.compute(e.result(), sources, lambda x, y, z: x * y + z, taint.upwards(width))


def madc(e: Emitter) -> Step:
    return _mad_with_carry(e, carry_in=True)


def _mad_with_carry(e: Emitter, carry_in: bool) -> Step:
    """The low or the high half of a product, plus a number and the carry of an earlier instruction."""
    sign = is_signed(e.type)

    def terms(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
        return high(a, b, sign) if e.has("hi") else a * b, c

    return _carrying(e, [e.source(1), e.source(2), e.source(3)], terms, False, carry_in)


def _cut24(value: Array, sign: bool) -> Array:
    """The low 24 bits, extended to 32."""
    if sign:
        return unsigned(signed(value << np.uint32(8)) >> np.int32(8))
    return value & np.uint32(0xFFFFFF)


def mul24(e: Emitter) -> Step:
    sign = is_signed(e.type)
    shift = 16 if e.has("hi") else 0

    def apply(a: Array, b: Array) -> Array:
        product = wide(_cut24(a, sign), _cut24(b, sign), sign)
        return (product >> np.uint64(shift)).astype(np.uint32)

    return e.compute(e.result(), [e.source(1), e.source(2)], apply, taint.anything(32))


def mad24(e: Emitter) -> Step:
    sign = is_signed(e.type)
    shift = 16 if e.has("hi") else 0

    def apply(a: Array, b: Array, c: Array) -> Array:
        product = wide(_cut24(a, sign), _cut24(b, sign), sign)
        return (product >> np.uint64(shift)).astype(np.uint32) + c

    return e.compute(e.result(), [e.source(1), e.source(2), e.source(3)], apply, taint.anything(32))


def sad(e: Emitter) -> Step:
    sign = is_signed(e.type)

    def apply(a: Array, b: Array, c: Array) -> Array:
        x, y = (signed(a), signed(b)) if sign else (a, b)
        return np.where(x < y, b - a, a - b) + c

    return e.compute(e.result(), [e.source(1), e.source(2), e.source(3)], apply, taint.anything(e.width))


def quotient(a: Array, b: Array, sign: bool) -> Array:
    """Quotients rounded toward zero; all bits set where the divisor is 0."""
    with np.errstate(all="ignore"):
        if not sign:
            return np.where(b == 0, ~np.zeros(1, a.dtype), a // np.maximum(b, 1))
        x, y = np.broadcast_arrays(signed(a), signed(b))
        magnitude = magnitude_of(x) // np.maximum(magnitude_of(y), 1)
        result = np.where((x < 0) != (y < 0), np.zeros(1, a.dtype) - magnitude, magnitude)
        return np.where(y == 0, ~np.zeros(1, a.dtype), result)


def magnitude_of(value: Array) -> Array:
    """|value| of signed integers, as unsigned ones: right for the least value, too."""
    bits = unsigned(np.ascontiguousarray(value))
    return np.where(value < 0, np.zeros(1, bits.dtype) - bits, bits)


def div(e: Emitter) -> Step:
    sign = is_signed(e.type)
    return binary(e, lambda a, b: quotient(a, b, sign), False)


def rem(e: Emitter) -> Step:
    sign = is_signed(e.type)

    def apply(a: Array, b: Array) -> Array:
        return np.where(b == 0, a, a - quotient(a, b, sign) * b)

    return binary(e, apply, False)


def absolute(e: Emitter) -> Step:
    def apply(a: Array) -> Array:
        return magnitude_of(signed(a))

    return e.compute(e.result(), [e.source(1)], apply, taint.anything(e.width))


def negate(e: Emitter) -> Step:
    return e.compute(e.result(), [e.source(1)], lambda a: np.zeros(1, a.dtype) - a, taint.upwards(e.width))


def extreme(e: Emitter) -> Step:
    """min and max, with .relu for signed types."""
    sign = is_signed(e.type)
    pick: np.ufunc = np.minimum if e.root == "min" else np.maximum
    relu = e.has("relu")

    def apply(a: Array, b: Array) -> Array:
        if not sign:
            return np.asarray(pick(a, b))
        chosen = pick(signed(a), signed(b))
        return unsigned(np.maximum(chosen, chosen.dtype.type(0)) if relu else chosen)

    if len(e.operands) == 4:
        three = e.compute
        return three(
            e.result(), [e.source(1), e.source(2), e.source(3)],
            lambda a, b, c: apply(apply(a, b), c), taint.anything(e.width),
        )  # fmt: skip
    return binary(e, apply, False)


def _parts(value: Array, sign: bool, part: int) -> Array:
    kind = (SINT if sign else UINT)[part]
    return np.ascontiguousarray(value).view(kind).reshape(len(value), -1).astype(np.int64)


def dp4a(e: Emitter) -> Step:
    first, second = e.types[0], e.types[1]

    def apply(a: Array, b: Array, c: Array) -> Array:
        products = _parts(a, is_signed(first), 8) * _parts(b, is_signed(second), 8)
        total: Array = products.sum(axis=1).astype(np.uint32) + c
        return total

    sources = [e.source(i, 32) for i in (1, 2, 3)]
    return e.compute(e.result(), sources, apply, taint.anything(32))


def dp2a(e: Emitter) -> Step:
    first, second = e.types[0], e.types[1]
    start = 2 if e.has("hi") else 0

    def apply(a: Array, b: Array, c: Array) -> Array:
        products = _parts(a, is_signed(first), 16) * _parts(b, is_signed(second), 8)[:, start : start + 2]
        total: Array = products.sum(axis=1).astype(np.uint32) + c
        return total

    sources = [e.source(i, 32) for i in (1, 2, 3)]
    return e.compute(e.result(), sources, apply, taint.anything(32))
