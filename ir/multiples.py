"""What integer scalars of a kernel are multiples of: whether slices are whole blocks of a storage.

for k in range(0, K, 128): w[k : +128, ni*64 : +64]        k is a multiple of 128, ni*64 of 64
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import gcd

from vmc.ir.core import Op, Region, TileType, Value, walk
from vmc.ir.dims import Dim, DimOp, Sym


class Multiples:
    """A number that each integer scalar is a multiple of; 0 for zero itself.

    with multiples.assuming(condition): ...      where `K % 8 == 0` was tested, K is a multiple of 8
    """

    def __init__(self, body: Region) -> None:
        self._known: dict[Value, int] = {}
        self.made: dict[Value, Op] = {}
        self._symbols: dict[str, int] = {}
        for op in walk(body):
            if len(op.results) == 1:
                self.made[op.result] = op
            if op.name == "for":
                self._known[op.regions[0].args[0]] = gcd(self.of(op.operands[0]), self.of(op.operands[2]))
            elif len(op.results) == 1 and is_index(op.result):
                self._known[op.result] = self._result(op)

    def of(self, value: Value) -> int:
        """The largest number known to divide a scalar."""
        return self._known.get(value, 1)

    def of_extent(self, dim: Dim) -> int:
        """The largest number known to divide an extent."""
        match dim:
            case Sym(name):
                return self._symbols.get(name, 1)
            case DimOp("*", left, right):
                return self.of_extent(left) * self.of_extent(right)
            case DimOp("+" | "-" | "min" | "max", left, right):
                return gcd(self.of_extent(left), self.of_extent(right))
            case DimOp():
                return 1
        return dim

    @contextmanager
    def assuming(self, condition: Value) -> Iterator[None]:
        """What the condition says of symbols holds inside."""
        outer = self._symbols
        self._symbols = {**outer, **dict(self._said(condition, outer))}
        yield
        self._symbols = outer

    def _said(self, condition: Value, known: dict[str, int]) -> Iterator[tuple[str, int]]:
        """The symbols that are multiples of a number where a condition holds: `symbol % number == 0`, and `and`."""
        op = self.made.get(condition)
        if op is not None and op.name == "and":
            for operand in op.operands:
                yield from self._said(operand, known)
        elif op is not None and op.name == "eq" and self.of(op.operands[1]) == 0:
            rest = self.made.get(op.operands[0])
            symbol = self.made.get(rest.operands[0]) if rest is not None and rest.name == "mod" else None
            if rest is not None and symbol is not None and symbol.name == "symbol":
                name = symbol.attrs["name"]
                yield name, max(known.get(name, 1), self.of(rest.operands[1]))

    def granularity(self, load: Op) -> tuple[int, ...]:
        """What the starts and sizes of a load's dimensions are multiples of; 1 where a dimension is not a range."""
        parts = zip(load.operands[1:], load.attrs["sizes"], load.attrs["steps"], strict=True)
        return tuple(1 if size is None or step != 1 else gcd(self.of(start), size) for start, size, step in parts)

    def _result(self, op: Op) -> int:
        found = [self.of(value) if is_index(value) else 1 for value in op.operands]
        match op.name:
            case "constant":
                return abs(int(op.result.tile.dtype.decode(op.attrs["code"])[()]))
            case "mul":
                return found[0] * found[1]
            case "add" | "sub" | "min" | "max" | "neg":
                return gcd(*found)
        return 1


def is_index(value: Value) -> bool:
    """Whether a value is an integer scalar of 64 bits, which is taken not to wrap."""
    return isinstance(value.type, TileType) and not value.type.shape and value.type.dtype.name == "i64"
