"""What kind of number a float is, its sign, and giving it another: on bit patterns, so that NaN and -0 count."""

from __future__ import annotations

from vmc.ir.math.expression import Expression, where
from vmc.ir.types import DType


def _pattern(x: Expression) -> Expression:
    return x.bits(f"u{x.dtype.width}")


def _magnitude(x: Expression) -> Expression:
    return _pattern(x) & ((1 << x.dtype.magnitude_bits) - 1)


def _infinity(kind: DType) -> int:
    assert kind.inf_code is not None
    return kind.inf_code


def isnan(x: Expression) -> Expression:
    return _magnitude(x) > _infinity(x.dtype)


def isinf(x: Expression) -> Expression:
    return _magnitude(x).same(_infinity(x.dtype))


def isfinite(x: Expression) -> Expression:
    return _magnitude(x) < _infinity(x.dtype)


def sign(x: Expression) -> Expression:
    """1, -1, or x itself where that is a zero or NaN."""
    if x.dtype.is_int:
        positive = where(x > 0, x.constant(1), 0)
        return where(x < 0, x.constant(-1), positive) if x.dtype.has_sign else positive
    return where(x > 0.0, x.constant(1.0), where(x < 0.0, x.constant(-1.0), x))


def copysign(x: Expression, y: Expression) -> Expression:
    """The magnitude of x with the sign bit of y."""
    top = 1 << (x.dtype.width - 1)
    return (_magnitude(x) | (_pattern(y) & top)).bits(x.dtype)
