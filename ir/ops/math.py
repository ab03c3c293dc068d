"""Mathematical functions and the classification of floats: elementwise, on f16, bf16, f32 and f64, all composite.

The meaning is the expansion into IEEE 754 basic operations that `vmc.ir.math` writes down, so every target gives the
same bits. Results are within 1 unit in the last place of the exact ones; special values follow C's Annex F.
`sign` is defined on integers as well; `isnan`, `isinf` and `isfinite` give u1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vmc.ir.core import Op, TileType, Type, Value
from vmc.ir.math import classification
from vmc.ir.math.expression import Expression
from vmc.ir.math.functions import FUNCTIONS
from vmc.ir.opdef import Attrs, OpDef, filtered, operands, require, tile
from vmc.ir.ops.arith import U1, is_arithmetic, is_wide_float
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
        legal: Callable[[DType], bool] = is_wide_float,
        result: DType | None = None,
    ) -> None:
        self.name, self.arity, self.expansion, self.legal, self.result = name, arity, expansion, legal, result
        self.signature = f"({', '.join('abc'[:arity])})"

    @property
    def summary(self) -> str:
        return (self.expansion.__doc__ or "").strip()

    def legal_types(self) -> tuple[DType, ...]:
        return filtered(self.legal)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, self.arity, self.name)
        first = tile(types[0])
        require(self.legal(first.dtype), f"{self.name} is not defined on {first.dtype.name}")
        for other in map(tile, types[1:]):
            same = (other.dtype, other.shape) == (first.dtype, first.shape)
            require(same, f"{self.name} takes operands of one type, and got {first} and {other}")
        return (TileType(self.result or first.dtype, first.shape),)

    def expand(self, build: Builder, op: Op) -> tuple[Value, ...]:
        return (self.expansion(*(Expression(build, operand) for operand in op.operands)).value,)


DEFINITIONS: tuple[OpDef, ...] = (
    *(Composite(function.name, function.arity, function.apply) for function in FUNCTIONS),
    Composite("isnan", 1, classification.isnan, result=U1),
    Composite("isinf", 1, classification.isinf, result=U1),
    Composite("isfinite", 1, classification.isfinite, result=U1),
    Composite("sign", 1, classification.sign, legal=is_arithmetic),
    Composite("copysign", 2, classification.copysign),
)
