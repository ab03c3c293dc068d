"""The table of mathematical functions: name, number of operands, and the expansion on f32 or f64 expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmc.ir.math import (
    error_functions,
    exponential,
    gamma,
    inverse_trigonometric,
    logarithm,
    power,
    roots,
    trigonometric,
)
from vmc.ir.math.expression import Expression


@dataclass(frozen=True)
class Function:
    """A function whose expansion takes and gives f32 or f64, all operands alike."""

    name: str
    arity: int
    expansion: Callable[..., Expression]

    def apply(self, *operands: Expression) -> Expression:
        """The function on any of f16, bf16, f32, f64. The 16-bit floats are computed in f32 and rounded once."""
        kind = operands[0].dtype
        if kind.width > 16:
            return self.expansion(*operands)
        return self.expansion(*(operand.cast("f32") for operand in operands)).cast(kind)


FUNCTIONS = (
    Function("exp", 1, exponential.exp),
    Function("exp2", 1, exponential.exp2),
    Function("expm1", 1, exponential.expm1),
    Function("log", 1, logarithm.log),
    Function("log2", 1, logarithm.log2),
    Function("log10", 1, logarithm.log10),
    Function("log1p", 1, logarithm.log1p),
    Function("sin", 1, trigonometric.sin),
    Function("cos", 1, trigonometric.cos),
    Function("tan", 1, trigonometric.tan),
    Function("asin", 1, inverse_trigonometric.asin),
    Function("acos", 1, inverse_trigonometric.acos),
    Function("atan", 1, inverse_trigonometric.atan),
    Function("atan2", 2, inverse_trigonometric.atan2),
    Function("sinh", 1, exponential.sinh),
    Function("cosh", 1, exponential.cosh),
    Function("tanh", 1, exponential.tanh),
    Function("sigmoid", 1, exponential.sigmoid),
    Function("erf", 1, error_functions.erf),
    Function("erfc", 1, error_functions.erfc),
    Function("lgamma", 1, gamma.lgamma),
    Function("pow", 2, power.pow),
    Function("rsqrt", 1, roots.rsqrt),
)
