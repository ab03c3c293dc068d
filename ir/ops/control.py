"""Control: the grid of blocks, counted loops, `while`, `if`, and the `yield` that ends every region.

    grid(extents i64...)                      region (block indices i64...)        no results
    for(lo, hi, step i64, carried...)         region (index i64, carried...)       yields the next carried values
    while(carried...)                         regions condition (carried...) yields u1, body (carried...) the next
    if(condition u1)                          regions then (), else ()             both yield the results
    symbol {name}                             an extent bound at launch, i64
    barrier()                                 the block's accesses to shared memory so far are visible to all of it

A region may use the values of the regions around it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import IRError, Op, Region, TensorType, TileType, Type
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, operands, require, schema
from vmc.ir.types import dtype

I64 = TileType(dtype("i64"))
U1 = TileType(dtype("u1"))


def scalar_index(type: Type, what: str) -> None:
    require(type == I64, f"{what} must be an i64 scalar, and is {type}")


def without_layout(type: Type) -> Type:
    """A tile's type with no layout; other types as they are."""
    return TileType(type.dtype, type.shape) if isinstance(type, TileType) else type


def expect(actual: Sequence[Type], expected: Sequence[Type], what: str) -> None:
    """Raises IRError unless both lists name the same types, layouts aside."""
    got, want = [without_layout(t) for t in actual], [without_layout(t) for t in expected]
    require(got == want, f"{what} have the types ({', '.join(map(str, got))}), expected ({', '.join(map(str, want))})")


def types_of(values: Sequence[object]) -> list[Type]:
    return [value.type for value in values]  # type: ignore[attr-defined]


def regions(op: Op, count: int) -> tuple[Region, ...]:
    require(len(op.regions) == count, f"{op.name} has {count} regions, and got {len(op.regions)}")
    return op.regions


class Grid(OpDef):
    """Executes its region once for every block, in any order or at once."""

    name = "grid"
    signature = "(extent...)"
    pure = False

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 1, "grid needs at least one extent")
        for type in types:
            scalar_index(type, "a grid extent")
        return ()

    def verify(self, op: Op) -> None:
        (body,) = regions(op, 1)
        expect(types_of(body.args), [I64] * len(op.operands), "block indices")
        expect(types_of(body.yielded), [], "values yielded by grid")

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        run.grid(op.regions[0], [int(extent) for extent in operands])
        return ()


class For(OpDef):
    """A counted loop from `lo` up to, not including, `hi`, with carried values.

    A step below one is an error of the program.
    `stages`: multi-buffering asked for by `pipelined(n)`, 1 for none; `unroll`: the factor asked for, 1 for none.
    """

    name = "for"
    signature = "(lo, hi, step, carried...)"
    pure = False
    attrs = schema(stages=int, unroll=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 3, "for takes lo, hi and step")
        for type in types[:3]:
            scalar_index(type, "a loop bound")
        require(all(isinstance(type, TileType) for type in types[3:]), "a loop carries tiles only")
        return tuple(without_layout(type) for type in types[3:])

    def verify(self, op: Op) -> None:
        (body,) = regions(op, 1)
        carried = types_of(op.operands[3:])
        expect(types_of(body.args), [I64, *carried], "the loop's arguments")
        expect(types_of(body.yielded), carried, "values carried by the loop")

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        low, high, step = (int(bound) for bound in operands[:3])
        if step < 1:
            run.fail(op, f"the step of this loop is {step}; it must be at least 1")
        carried = tuple(operands[3:])
        for index in range(low, high, step):
            carried = run.region(op.regions[0], (np.array(index, np.int64), *carried))
        return carried


class While(OpDef):
    """Repeats the body as long as the condition holds."""

    name = "while"
    signature = "(carried...)"
    pure = False

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(all(isinstance(type, TileType) for type in types), "a loop carries tiles only")
        return tuple(without_layout(type) for type in types)

    def verify(self, op: Op) -> None:
        condition, body = regions(op, 2)
        carried = types_of(op.operands)
        for region in (condition, body):
            expect(types_of(region.args), carried, "the loop's arguments")
        expect(types_of(condition.yielded), [U1], "the condition's results")
        expect(types_of(body.yielded), carried, "values carried by the loop")

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        condition, body = op.regions
        carried = tuple(operands)
        while int(run.region(condition, carried)[0]):
            carried = run.region(body, carried)
        return carried


class If(OpDef):
    """Executes one of two regions."""

    name = "if"
    signature = "(condition)"
    pure = False
    attrs = schema(results=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 1, self.name)
        require(without_layout(types[0]) == U1, f"the condition of if must be a u1 scalar, and is {types[0]}")
        return tuple(attrs["results"])

    def verify(self, op: Op) -> None:
        for region in regions(op, 2):
            expect(types_of(region.args), [], "arguments of a branch")
            expect(types_of(region.yielded), types_of(op.results), "values yielded by a branch")

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return run.region(op.regions[0 if int(operands[0]) else 1], ())


class Yield(OpDef):
    """Ends a region; its operands are the region's results."""

    name = "yield"
    signature = "(a...)"
    pure = False

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        for type in types:
            if isinstance(type, TensorType):
                raise IRError("a region yields tiles only")
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return ()


class Symbol(OpDef):
    """The value of an extent's symbol."""

    name = "symbol"
    attrs = schema(name=str)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        return (I64,)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        return (np.array(run.symbol(op.attrs["name"]), np.int64),)


class Barrier(OpDef):
    """All of the block waits until its earlier accesses to shared memory are visible to all of it."""

    name = "barrier"
    pure = False

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        run.barrier(op)
        return ()


DEFINITIONS: tuple[OpDef, ...] = (Grid(), For(), While(), If(), Yield(), Symbol(), Barrier())
