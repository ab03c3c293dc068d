"""Mathematical functions and the classification of floats: elementwise, on f16, bf16, f32 and f64, all composite.

The meaning is the expansion into IEEE 754 basic operations that `vmc.ir.math` writes down, so every target gives the
same bits. Results are within 1 unit in the last place of the exact ones; special values follow C's Annex F.
`sign` is defined on integers as well; `isnan`, `isinf` and `isfinite` give u1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vmc.ir.core import Op, TileType, Type, Value
from vmc.ir.math import approximate, classification
from vmc.ir.math.expression import Expression
from vmc.ir.math.functions import FUNCTIONS
from vmc.ir.opdef import Attrs, OpDef, filtered, operands, require, schema, tile
from vmc.ir.ops.arith import U1, common_operand, is_arithmetic, is_wide_float
from vmc.ir.types import DType

if TYPE_CHECKING:
    from vmc.ir.builder import Builder


class Composite(OpDef):
    """An elementwise function given by its expansion; operands of one type, the result of that type or u1."""

    elementwise = True
    composite = True

    def __init__(
        self,
        name: str,
        arity: int,
        expansion: Callable[..., Expression],
        text: str,
        legal: Callable[[DType], bool] = is_wide_float,
        result: DType | None = None,
    ) -> None:
        self.name, self.arity, self.expansion, self.text = name, arity, expansion, text
        self.legal, self.result = legal, result
        self.signature = f"({', '.join('abc'[:arity])})"

    @property
    def summary(self) -> str:
        return self.text

    def legal_types(self) -> tuple[DType, ...]:
        return filtered(self.legal)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        first = common_operand(self.name, types, self.arity, self.legal)
        return (TileType(self.result or first.dtype, first.shape),)

    def expand(self, build: Builder, op: Op) -> tuple[Value, ...]:
        return (self.expansion(*(Expression(build, operand) for operand in op.operands)).value,)


class Approximate(OpDef):
    """A function to a few digits: `entry` names one of `vmc.ir.math.approximate`, whose errors are in docs/math.md."""

    name = "approximate"
    signature = "(a)"
    elementwise = True
    composite = True
    attrs = schema(entry=str)

    def legal_types(self) -> tuple[DType, ...]:
        return filtered(is_approximable)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        operand = tile(types[0])
        require(is_approximable(operand.dtype), f"approximate takes f16, bf16 or f32, not {operand.dtype.name}")
        require(attrs["entry"] in approximate.ENTRIES, f"there is no approximation `{attrs['entry']}`")
        return (TileType(operand.dtype, operand.shape),)

    def expand(self, build: Builder, op: Op) -> tuple[Value, ...]:
        return (approximate.apply(str(op.attrs["entry"]), Expression(build, op.operands[0])).value,)


def is_approximable(type: DType) -> bool:
    return type.name in ("f16", "bf16", "f32")


MEANINGS = {
    "exp": "e^a.",
    "exp2": "2^a.",
    "expm1": "e^a - 1, precise near 0.",
    "log": "The natural logarithm.",
    "log2": "The logarithm to base 2.",
    "log10": "The logarithm to base 10.",
    "log1p": "log(1 + a), precise near 0.",
    "sin": "The sine of an angle in radians.",
    "cos": "The cosine of an angle in radians.",
    "tan": "The tangent of an angle in radians.",
    "asin": "The arc sine.",
    "acos": "The arc cosine.",
    "atan": "The arc tangent.",
    "atan2": "The angle of the point (b, a).",
    "sinh": "The hyperbolic sine.",
    "cosh": "The hyperbolic cosine.",
    "tanh": "The hyperbolic tangent.",
    "sigmoid": "1 / (1 + e^-a).",
    "erf": "The error function.",
    "erfc": "1 - erf(a), precise for large a.",
    "lgamma": "The logarithm of the magnitude of the gamma function.",
    "pow": "a^b.",
    "rsqrt": "1 / sqrt(a).",
}
"""What the functions of `FUNCTIONS` are, for the reference."""

DEFINITIONS: tuple[OpDef, ...] = (
    *(Composite(each.name, each.arity, each.apply, MEANINGS.get(each.name, each.name)) for each in FUNCTIONS),
    Approximate(),
    Composite("isnan", 1, classification.isnan, "Whether a is NaN.", result=U1),
    Composite("isinf", 1, classification.isinf, "Whether a is infinite.", result=U1),
    Composite("isfinite", 1, classification.isfinite, "Whether a is neither infinite nor NaN.", result=U1),
    Composite("sign", 1, classification.sign, "1, -1, or a itself where that is a zero or NaN.", legal=is_arithmetic),
    Composite("copysign", 2, classification.copysign, "The magnitude of a with the sign bit of b."),
)
