"""Builds regions: appends operations, infers their result types, and hands back their values.

build = Builder()
x = build.constant(f32, 1.5, (4,))
y = build("mul", x, x)
region = build.region(args=(), yields=(y,))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vmc.ir.core import Attr, IRError, Op, Region, TileType, Type, Value, attributes
from vmc.ir.opdef import check_attrs
from vmc.ir.ops import OPS
from vmc.ir.span import UNKNOWN, Span
from vmc.ir.types import DType, dtype


def make_op(
    name: str,
    operands: Sequence[Value],
    attrs: Mapping[str, Attr] | None = None,
    regions: Sequence[Region] = (),
    span: Span = UNKNOWN,
    names: Sequence[str] = (),
) -> Op:
    """An operation with fresh results of the inferred types. Raises IRError with the span when it is ill-formed."""
    definition = OPS[name]
    attrs = attributes(**(attrs or {}))
    try:
        check_attrs(definition, attrs)
        types = definition.infer([operand.type for operand in operands], attrs)
        hints = list(names) + [""] * (len(types) - len(names))
        results = tuple(Value(type, hint) for type, hint in zip(types, hints, strict=True))
        op = Op(definition, tuple(operands), results, attrs, tuple(regions), span)
        definition.verify(op)
    except IRError as error:
        raise IRError(error.message, span) from None
    return op


class Builder:
    """Collects the operations of one region. `span` is given to operations that are built without their own."""

    def __init__(self, span: Span = UNKNOWN) -> None:
        self.ops: list[Op] = []
        self.span = span

    def append(self, op: Op) -> tuple[Value, ...]:
        self.ops.append(op)
        return op.results

    def many(self, name: str, /, *operands: Value, regions: Sequence[Region] = (), **attrs: Any) -> tuple[Value, ...]:
        """Appends an operation; all of its results."""
        return self.append(make_op(name, operands, attrs, regions, self.span))

    def __call__(self, name: str, /, *operands: Value, **attrs: Any) -> Value:
        """Appends an operation that has one result."""
        (result,) = self.many(name, *operands, **attrs)
        return result

    def constant(self, type: DType | str, value: float | int, shape: Sequence[int] = ()) -> Value:
        """A constant tile; the value is rounded to nearest even, integers wrap."""
        target = dtype(type)
        code = int(target.encode(np.asarray(value))[()])
        return self("constant", type=TileType(target, tuple(shape)), code=code)

    def index(self, value: int) -> Value:
        """An i64 scalar constant."""
        return self.constant("i64", value)

    def like(self, value: Value, number: float | int) -> Value:
        """A constant of a value's dtype and shape."""
        return self.constant(value.tile.dtype, number, value.tile.shape)

    def cast(
        self, value: Value, type: DType | str, rounding: str = "nearest_even", saturate: bool | None = None
    ) -> Value:
        """A cast, or the value itself where it already has the dtype."""
        target = dtype(type)
        if value.tile.dtype == target:
            return value
        return self("cast", value, dtype=target, rounding=rounding, saturate=saturate)

    def broadcast(self, value: Value, shape: Sequence[int]) -> Value:
        """A broadcast, or the value itself where it already has the shape."""
        return value if value.tile.shape == tuple(shape) else self("broadcast", value, shape=tuple(shape))

    def region(self, args: Sequence[Value] = (), yields: Sequence[Value] = ()) -> Region:
        """Closes the region with a `yield`."""
        self.many("yield", *yields)
        return Region(tuple(args), tuple(self.ops))


def argument(type: Type, name: str = "") -> Value:
    """A fresh value for a region's or a kernel's argument."""
    return Value(type, name)
