"""Products of wider floats as products of f16 or bf16, where one of these has all numbers of both factors.

    f32(q) @ f32(w)    becomes    f16(q) @ f16(w)           q: i8, w: f8e4m3

Matrix instructions multiply f16 and bf16 and add up in f32, so the bound of `dot` is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.builder import make_op
from vmc.ir.core import Module, Note, Op, TileType, Value
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.gpu.matrix import product_of
from vmc.ir.passes.integers.exact import holds
from vmc.ir.passes.integers.selection import ProductSelector
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel
from vmc.ir.types import DType, dtype

HALVES = (dtype("f16"), dtype("bf16"))
F32 = dtype("f32")


def select_exact_halves(module: Module) -> Module:
    """Needs: a well-formed module, products of integers and of 8-bit floats selected. Guarantees: a `dot` of f32 whose
    factors are known to have only numbers of f16, or only of bf16, is one of these, if matrix instructions compute it;
    it has a note. Idempotent. Keeps: everything else, exact factors, and the bound of `dot`.
    """
    return each_kernel(module, lambda kernel: _Selector().in_kernel(kernel))


class _Selector(ProductSelector):
    def concerns(self, op: Op) -> bool:
        return super().concerns(op) and op.result.tile.dtype == F32

    def select(self, op: Op) -> Sequence[Value] | None:
        a, b, start = op.operands
        if F32 not in (a.tile.dtype, b.tile.dtype):
            return None
        for type in HALVES:
            if self.has(type, a) and self.has(type, b) and multiplied(type, op):
                left, right = self.narrowed(a, type), self.narrowed(b, type)
                self.notes.append(Note("halves", told(op, type), op.span))
                return (self.emit("dot", left, right, start),)
        return None

    def has(self, type: DType, value: Value) -> bool:
        """Whether a type is known to have all numbers of a tile."""
        function, exact = self.facts.function(value), self.facts.exact(value)
        if function is not None:
            values = np.asarray(value.tile.dtype.to_values(function.table), np.float64)
            with np.errstate(over="ignore"):
                return np.array_equal(type.decode(type.encode(values)), values, equal_nan=True)
        if exact is not None and holds(type, exact):
            return True
        producer = self.producer(value)
        widened = producer is not None and producer.name == "cast" and not is_pinned(producer)
        return producer is not None and widened and producer.operands[0].tile.dtype == type

    def narrowed(self, value: Value, type: DType) -> Value:
        """A factor that a type has, from before it was widened."""
        producer = self.producer(value)
        if producer is not None and producer.name == "cast" and len(producer.operands) == 1 and not is_pinned(producer):
            inner = producer.operands[0]
            if inner.tile.dtype == type or self.has(type, inner):
                return self.emission.cast(inner, type)
        return self.emission.cast(value, type)


def multiplied(type: DType, op: Op) -> bool:
    """Whether matrix instructions compute a product, if its factors are of a type."""
    a, b, start = op.operands
    left, right = (Value(TileType(type, value.tile.shape), "") for value in (a, b))
    return product_of(make_op("dot", (left, right, start))) is not None


def told(op: Op, type: DType) -> str:
    a, b = (operand.tile for operand in op.operands[:2])
    return f"{a} @ {b} as {type.name} @ {type.name} -> f32, which has all numbers of both"


exact_halves = Pass("exact_halves", select_exact_halves)
