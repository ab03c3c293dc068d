"""Proves that slices lie inside their tensors, so that their masks can go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from vmc.ir.core import Module, Op, TileType, Value, attributes
from vmc.ir.dims import Dim, DimOp, Sym
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.ranges import Affine, Ranges
from vmc.ir.passes.rewrite import Rewriter, each_kernel

SLICES = {"load": (0, 1), "store": (0, 2), "copy_async": (1, 2)}
"""The operand that is sliced, and the one that its starts begin with."""

Meaning = Callable[[Ranges, Affine, Affine], Affine]

MEANINGS: dict[str, Meaning] = {
    "add": Ranges.add,
    "sub": Ranges.subtract,
    "mul": Ranges.multiply,
    "floordiv": Ranges.quotient,
    "mod": Ranges.remainder,
    "min": Ranges.minimum,
    "max": Ranges.maximum,
}
"""Operations on scalars that keep their range."""

DIM_MEANINGS: dict[str, Meaning] = {
    "+": Ranges.add,
    "-": Ranges.subtract,
    "*": Ranges.multiply,
    "//": Ranges.quotient,
    "%": Ranges.remainder,
    "cdiv": Ranges.ceiling,
    "min": Ranges.minimum,
    "max": Ranges.maximum,
}


def prove_bounds(module: Module) -> Module:
    """Needs: a well-formed module; folded constants and canonical indices help. Guarantees: a slice's `inbounds` is
    true of every dimension in which the ranges of its start prove it inside, for all symbols from 0 to `LARGEST_EXTENT`
    and all scalar arguments. Idempotent. Keeps: everything else, and claims that were there.
    """
    return each_kernel(module, lambda kernel: _Prover().kernel(kernel))


class _Prover(Rewriter):
    """Knows the range of every integer scalar met so far."""

    def __init__(self) -> None:
        super().__init__(lambda op, _: self.visit_op(op))
        self.ranges = Ranges()
        self.known: dict[Value, Affine] = {}

    def visit_op(self, op: Op) -> Sequence[Value] | None:
        match op.name:
            case "grid":
                self.define_indices(op.regions[0].args, op.operands)
            case "for":
                self.define_index(op.regions[0].args[0], *op.operands[:3])
            case "symbol":
                self.known[op.result] = self.ranges.symbol(str(op.attrs["name"]))
            case name if name in SLICES:
                return self.slice(op)
            case _:
                self.scalars(op)
        return None

    def define_indices(self, blocks: Sequence[Value], extents: Sequence[Value]) -> None:
        """The grid's indices. What follows is executed only where there are blocks at all."""
        for block, extent in zip(blocks, extents, strict=True):
            self.known[block] = self.ranges.index(Affine(0), self.of(extent), 1)
            self.ranges.assume_positive(self.of(extent))

    def define_index(self, index: Value, low: Value, high: Value, step: Value) -> None:
        """A loop's index; where the step is not known, any index that a step of 1 gives."""
        stride = self.of(step).number or 1
        self.known[index] = self.ranges.index(self.of(low), self.of(high), max(stride, 1))

    def of(self, value: Value) -> Affine:
        """What is known of an integer scalar."""
        if value not in self.known:
            dtype = value.tile.dtype
            self.known[value] = self.ranges.unknown(int(dtype.min), int(dtype.max))
        return self.known[value]

    def scalars(self, op: Op) -> None:
        """Notes the result of an operation on integer scalars."""
        if len(op.results) != 1 or not is_index(op.result) or not all(map(is_index, op.operands)):
            return
        value = self.meaning(op)
        if value is not None:
            dtype = op.result.tile.dtype
            self.known[op.result] = self.ranges.fitted(value, int(dtype.min), int(dtype.max))

    def meaning(self, op: Op) -> Affine | None:
        """The result as a number that does not wrap; None where nothing is known."""
        operands = [self.of(operand) for operand in op.operands]
        if op.name in MEANINGS:
            return MEANINGS[op.name](self.ranges, operands[0], operands[1])
        match op.name:
            case "constant":
                return Affine(int(op.result.tile.dtype.decode(op.attrs["code"])[()]))
            case "neg":
                return operands[0].times(-1)
            case "cast":
                return operands[0] if len(operands) == 1 else None
            case "select":
                return self.ranges.one_of(operands[1], operands[2])
        return None

    def slice(self, op: Op) -> Sequence[Value] | None:
        """Claims what can be proved of a slice."""
        tensor, first = SLICES[op.name]
        shape = op.operands[tensor].tensor.shape
        starts = op.operands[first : first + len(shape)]
        sizes, steps, claims = (as_tuple(op.attrs[name]) for name in ("sizes", "steps", "inbounds"))
        proved = tuple(
            claim or self.is_inside(self.of(start), 0 if size is None else (size - 1) * step, self.extent(dim))
            for start, size, step, dim, claim in zip(starts, sizes, steps, shape, claims, strict=True)
        )
        if proved == claims:
            return None
        self.append(replace(op, attrs=attributes(**{**op.attrs, "inbounds": proved})))
        return op.results

    def is_inside(self, start: Affine, reach: int, extent: Affine) -> bool:
        """Whether 0 <= start and start + reach < extent."""
        last = extent.plus(start, -1).plus(Affine(-1 - reach))
        return self.ranges.is_nonnegative(start) and self.ranges.is_nonnegative(last)

    def extent(self, dim: Dim) -> Affine:
        match dim:
            case Sym(name):
                return self.ranges.symbol(name)
            case DimOp(operator, left, right):
                return DIM_MEANINGS[operator](self.ranges, self.extent(left), self.extent(right))
        assert isinstance(dim, int)
        return Affine(dim)


def is_index(value: Value) -> bool:
    """Whether a value is a scalar of an integer type."""
    return isinstance(value.type, TileType) and not value.type.shape and value.type.dtype.is_int


def as_tuple(attr: object) -> tuple[Any, ...]:
    assert isinstance(attr, tuple)
    return attr


bounds = Pass("bounds", prove_bounds)
