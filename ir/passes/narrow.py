"""Bit-width selection: computes on tiles of integers in the narrowest type in which nothing can overflow.

    u4 -> i32, plus the constant -8, -> f16      becomes      u4 -> i8, plus -8, -> f16

The proof is an interval for every integer tile. An operation may be computed in a narrower type when the intervals of
its operands and of its exact result lie in that type's range, and when the operands come from narrow values anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmc.ir.core import Module, Op, TileType, Value
from vmc.ir.passes.effects import is_pinned
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel
from vmc.ir.types import DType, dtype

Interval = tuple[int, int]

WIDTHS = tuple(map(dtype, ("i8", "u8", "i16", "u16", "i32", "u32")))
"""The types to compute in, the best first."""
NARROWEST_PRODUCT = 16
"""Vector units multiply no bytes."""
MOVING = ("broadcast", "reshape", "transpose", "slice", "flip")
"""Operations whose elements are elements of their operand."""


def corners(meaning: Callable[[int, int], int]) -> Callable[..., Interval]:
    """The interval of an operation that is extreme where its operands are."""

    def interval(a: Interval, b: Interval) -> Interval:
        results = [meaning(x, y) for x in a for y in b]
        return min(results), max(results)

    return interval


INTERVALS: dict[str, Callable[..., Interval]] = {
    "add": corners(lambda x, y: x + y),
    "sub": corners(lambda x, y: x - y),
    "mul": corners(lambda x, y: x * y),
    "min": corners(min),
    "max": corners(max),
    "neg": lambda a: (-a[1], -a[0]),
    "abs": lambda a: (max(a[0], -a[1], 0), max(-a[0], a[1])),
}
"""What the exact results of the operations lie between."""


def narrow_integers(module: Module) -> Module:
    """Needs: a well-formed module; folded constants help. Guarantees: sums, differences, products, minima, maxima and
    signs of integer tiles that were cast from narrow ones are computed in the narrowest of 8, 16 and 32 bits that holds
    them exactly; so are the operands of integer `dot`. Idempotent. Keeps: scalars, effects, the bits of every result;
    the wide casts, for `canonicalize` to merge and `dce` to remove.
    """
    return each_kernel(module, lambda kernel: _Narrower().kernel(kernel))


class _Narrower(Rewriter):
    """Knows an interval for integer tiles, and for some a narrower tile of the same values."""

    def __init__(self) -> None:
        super().__init__(lambda op, _: self.visit_op(op))
        self.intervals: dict[Value, Interval] = {}
        self.narrow: dict[Value, Value] = {}

    def visit_op(self, op: Op) -> Sequence[Value] | None:
        if is_pinned(op) or len(op.results) != 1 or not is_integer_tile(op.result):
            return None
        if op.name == "dot":
            return self.narrow_dot(op)
        exact = self.exact_interval(op)
        if exact is None:
            return None
        if contains(op.result.tile.dtype, exact):
            self.intervals[op.result] = exact
            return self.compute_narrow(op, exact) if op.name in INTERVALS else None
        return None

    def interval(self, value: Value) -> Interval:
        """Numbers that all elements lie between."""
        type = value.tile.dtype
        return self.intervals.get(value, (int(type.min), int(type.max)))

    def exact_interval(self, op: Op) -> Interval | None:
        """What the exact results lie between; None where only the type tells."""
        if not all(isinstance(operand.type, TileType) and operand.tile.dtype.is_int for operand in op.operands):
            return None
        if op.name in INTERVALS:
            return INTERVALS[op.name](*map(self.interval, op.operands))
        match op.name:
            case "constant":
                number = int(op.result.tile.dtype.decode(op.attrs["code"])[()])
                return number, number
            case "cast" if len(op.operands) == 1:
                return self.interval(op.operands[0])
            case "select":
                (a_low, a_high), (b_low, b_high) = map(self.interval, op.operands[1:])
                return min(a_low, b_low), max(a_high, b_high)
            case name if name in MOVING:
                return self.interval(op.operands[0])
        return None

    def compute_narrow(self, op: Op, exact: Interval) -> Sequence[Value] | None:
        """The operation in a narrower type, and a cast back."""
        wide = op.result.tile
        if wide.rank == 0 or not any(map(self.has_narrow_source, op.operands)):
            return None
        spans = [exact, *map(self.interval, op.operands)]
        least = NARROWEST_PRODUCT if op.name == "mul" else 0
        for type in WIDTHS:
            fits = least <= type.width < wide.dtype.width and all(contains(type, span) for span in spans)
            if fits and all(self.can_be(type, operand) for operand in op.operands):
                result = self.emit(op.name, *(self.as_type(type, operand) for operand in op.operands))
                back = self.cast(result, wide.dtype)
                self.intervals[result] = self.intervals[back] = exact
                self.narrow[back] = result
                return (back,)
        return None

    def narrow_dot(self, op: Op) -> Sequence[Value] | None:
        """The same sums over narrower factors; the accumulator's type depends on whether these have 32 bits."""
        factors = [self.narrow_factor(operand) for operand in op.operands[:2]]
        if all(new is old for new, old in zip(factors, op.operands[:2], strict=True)):
            return None
        return (self.emit("dot", *factors, op.operands[2]),)

    def narrow_factor(self, value: Value) -> Value:
        """A factor of at most 16 bits as bytes, where that costs nothing."""
        if value.tile.dtype.width >= 32 or not self.has_narrow_source(value):
            return value
        for type in WIDTHS[:2]:
            if (
                type.width < value.tile.dtype.width
                and contains(type, self.interval(value))
                and self.can_be(type, value)
            ):
                return self.as_type(type, value)
        return value

    # Narrow forms of values

    def has_narrow_source(self, value: Value) -> bool:
        """Whether a value other than a constant has a narrower form."""
        producer = self.producer(value)
        if value in self.narrow:
            return True
        if producer is None or is_pinned(producer):
            return False
        if producer.name in MOVING:
            return self.has_narrow_source(producer.operands[0])
        return self.keeps_values(producer) and producer.operands[0].tile.dtype.width < value.tile.dtype.width

    def keeps_values(self, op: Op) -> bool:
        """Whether an operation is a cast between integers that changes no value it may meet."""
        if op.name != "cast" or len(op.operands) != 1 or not is_integer_tile(op.operands[0]):
            return False
        return contains(op.result.tile.dtype, self.interval(op.operands[0]))

    def can_be(self, type: DType, value: Value) -> bool:
        """Whether `as_type` has a way that costs no more than the value itself."""
        producer = self.producer(value)
        if value in self.narrow:
            return self.narrow[value].tile.dtype.width <= type.width
        if producer is None or is_pinned(producer):
            return False
        if producer.name in MOVING:
            return self.can_be(type, producer.operands[0])
        source_fits = self.keeps_values(producer) and producer.operands[0].tile.dtype.width <= type.width
        return producer.name == "constant" or source_fits

    def as_type(self, type: DType, value: Value) -> Value:
        """The value in a narrower type that holds it."""
        producer = self.producer(value)
        if value in self.narrow:
            return self.cast(self.narrow[value], type)
        assert producer is not None
        if producer.name == "constant":
            code = int(type.encode(self.interval(value)[0])[()])
            return self.emit("constant", type=TileType(type, value.tile.shape), code=code)
        if producer.name in MOVING:
            return self.emit(producer.name, self.as_type(type, producer.operands[0]), **producer.attrs)
        return self.cast(producer.operands[0], type)

    def cast(self, value: Value, type: DType) -> Value:
        if value.tile.dtype == type:
            return value
        return self.emit("cast", value, dtype=type, rounding="nearest_even", saturate=None)


def is_integer_tile(value: Value) -> bool:
    return isinstance(value.type, TileType) and value.type.dtype.is_int


def contains(type: DType, interval: Interval) -> bool:
    """Whether an integer type has every number of an interval."""
    return int(type.min) <= interval[0] and interval[1] <= int(type.max)


narrow = Pass("narrow", narrow_integers)
