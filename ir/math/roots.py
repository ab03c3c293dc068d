"""rsqrt: 1 / sqrt(x)."""

from __future__ import annotations

from vmc.ir.math.expression import Expression, fma, where


def rsqrt(x: Expression) -> Expression:
    """The quotient y = 1 / sqrt(x) and a Newton step on the exact residual 1 - x y**2."""
    y = 1.0 / x.sqrt()
    h = x * y
    residual = fma(-h, y, 1.0) - fma(x, y, -h) * y
    return where((x > 0.0) & (x < float("inf")), fma(y * 0.5, residual, y), y)
