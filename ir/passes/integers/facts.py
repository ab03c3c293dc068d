"""What is known of the tiles of a kernel: functions of small tiles, and else exact intervals, op after op."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmc.ir.core import Op, TileType, Value
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.integers.exact import Exact, apply, holds, of_integers, of_values, union
from vmc.ir.passes.integers.functions import CONSTANT, WIDEST, Composer, Function, identity, is_small
from vmc.ir.passes.narrow import INTERVALS, MOVING
from vmc.ir.types import DType

ROUNDING = ("round", "floor", "ceil", "trunc")


class Facts:
    """The facts of the operations visited so far; `producer` says which operation made a value."""

    def __init__(self, producer: Callable[[Value], Op | None]) -> None:
        self.producer = producer
        self.functions: dict[Value, Function] = {}
        self.known: dict[Value, Exact | None] = {}
        self.compose = Composer(producer, self.function)

    def visit(self, op: Op) -> None:
        """Notes what an operation tells of its result."""
        if len(op.results) != 1 or not isinstance(op.results[0].type, TileType) or is_pinned(op):
            return
        function = self.compose(op)
        if function is not None:
            self.functions[op.result] = function
        else:
            self.known[op.result] = self.fitted(op.result.tile.dtype, self.interval(op))

    def function(self, value: Value) -> Function | None:
        """A tile as a function of the codes of a small one; None where it is not known as one, or is constant."""
        if value not in self.functions and is_small(value) and not self.is_constant(value):
            self.functions[value] = identity(value)
        return self.functions.get(value)

    def exact(self, value: Value) -> Exact | None:
        """What the elements are; None where they are not known to be finite multiples of a power of two."""
        if value not in self.known:
            function, type = self.function(value), value.tile.dtype
            self.known[value] = of_values(type.to_values(function.table)) if function else self.fitted(type, None)
        return self.known[value]

    def is_constant(self, value: Value) -> bool:
        producer = self.producer(value)
        return producer is not None and producer.name in CONSTANT

    def fitted(self, type: DType, result: Exact | None) -> Exact | None:
        """The exact results of an operation, if its type has them; else what the type alone tells."""
        if result is not None and holds(type, result):
            return result
        if type.is_int:
            return of_integers(type)
        return of_values(type.decode(type.codes())) if type.width <= WIDEST else None

    def interval(self, op: Op) -> Exact | None:
        """The exact results of an operation, its type aside."""
        if op.name in CONSTANT:
            type = op.result.tile.dtype
            codes = op.attrs["table"].array() if op.name == "table" else np.array(op.attrs["code"], type.code_dtype)
            return of_values(type.decode(codes))
        tiles = [operand for operand in op.operands if isinstance(operand.type, TileType)]
        if len(tiles) < len(op.operands):
            return None
        match op.name:
            case "cast":
                return self.cast(op)
            case "take":
                return self.exact(op.operands[0])
            case "reduce" if op.attrs["kind"] in ("min", "max"):
                return self.exact(op.operands[0])
            case "select":
                return self.union(op.operands[1:])
            case "concat":
                return self.union(op.operands)
            case name if name in ROUNDING:
                inner = self.exact(op.operands[0])
                return inner and inner.whole()
            case name if name in MOVING:
                return self.exact(op.operands[0])
            case name if name in INTERVALS:
                operands = [self.exact(operand) for operand in op.operands]
                known = [operand for operand in operands if operand is not None]
                return apply(name, *known) if len(known) == len(operands) else None
        return None

    def union(self, values: tuple[Value, ...]) -> Exact | None:
        result = self.exact(values[0])
        for value in values[1:]:
            other = self.exact(value)
            if result is None or other is None:
                return None
            result = union(result, other)
        return result

    def cast(self, op: Op) -> Exact | None:
        """Of a cast to an integer, the rounded and clamped numbers; a NaN becomes 0, which every type has."""
        source, type = op.operands[0].tile.dtype, op.result.tile.dtype
        inner = self.exact(op.operands[0])
        if type.is_float or inner is None:
            return inner
        whole = inner.whole()
        if source.is_float or op.attrs["saturate"]:
            low, high = (min(max(end, int(type.min)), int(type.max)) for end in (whole.low, whole.high))
            return Exact(0, low, high)
        return whole
