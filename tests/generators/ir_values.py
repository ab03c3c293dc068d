"""The values in sight while a random region is built, and how to get one of a given type."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from tests.generators.ir_tables import SMALL_INTEGERS
from vmc.ir.builder import Builder
from vmc.ir.core import Table, TileType, Value
from vmc.ir.span import Span
from vmc.ir.types import ALL_DTYPES, DType, dtype

INDEX = TileType(dtype("i64"))
SHAPES = ((), (), (1,), (3,), (5,), (8,), (1, 3), (5, 1), (3, 5), (4, 8), (2, 3, 5), (17,))


class Values:
    """A builder with scopes. `tame` values are small integers, whatever their dtype; `inputs` are tensors to read."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.build = Builder()
        self.scopes: list[list[Value]] = [[]]
        self.tame: set[Value] = set()
        self.inputs: list[Value] = []
        self.symbols: dict[str, Value] = {}
        self.blocks: tuple[Value, ...] = ()
        self.lines = 0

    def span(self) -> Span:
        self.lines += 1
        return Span("random.vmc", self.lines, 1, self.lines, 9)

    def many(self, name: str, /, *operands: Value, **attrs: object) -> tuple[Value, ...]:
        self.build.span = self.span()
        results = self.build.many(name, *operands, **attrs)  # type: ignore[arg-type]
        self.scopes[-1].extend(result for result in results if isinstance(result.type, TileType))
        return results

    def __call__(self, name: str, /, *operands: Value, **attrs: object) -> Value:
        (result,) = self.many(name, *operands, **attrs)
        return result

    # Values

    def visible(self, accept: Callable[[Value], bool] = lambda value: True) -> list[Value]:
        return [value for scope in self.scopes for value in scope if accept(value)]

    def pick(self, accept: Callable[[Value], bool] = lambda value: True) -> Value:
        """A value in sight, a late one more likely; a fresh one where none is acceptable."""
        found = self.visible(accept)[-24:]
        while not found:
            fresh = self.fresh(TileType(self.rng.choice(ALL_DTYPES), self.rng.choice(SHAPES)))
            found = [fresh] if accept(fresh) else []
        return self.rng.choice(found)

    def of(self, type: DType, shape: tuple[int, ...]) -> Value:
        """A value of a dtype and a shape: one in sight, or one converted, or a fresh one."""
        exact = self.visible(lambda value: (value.tile.dtype, value.tile.shape) == (type, shape))
        if exact and self.rng.random() < 0.7:
            return self.rng.choice(exact[-8:])
        same_shape = self.visible(lambda value: value.tile.shape == shape)
        if same_shape and self.rng.random() < 0.4:
            return self.cast(self.rng.choice(same_shape[-8:]), type)
        same_type = self.visible(lambda value: value.tile.dtype == type and fits(value.tile.shape, shape))
        if same_type and self.rng.random() < 0.5:
            return self("broadcast", self.rng.choice(same_type[-8:]), shape=shape)
        return self.fresh(TileType(type, shape))

    def fresh(self, type: TileType) -> Value:
        """A constant, a table, or a slice of an input as another dtype."""
        choice = self.rng.random()
        if choice < 0.3 or not self.inputs:
            return self("constant", type=type, code=self.code(type.dtype))
        if choice < 0.4 and type.size <= 64:
            codes = [self.code(type.dtype) for _ in range(type.size)]
            return self("table", table=Table.of(type.dtype, np.array(codes, type.dtype.code_dtype).reshape(type.shape)))
        source = self.rng.choice([value for value in self.inputs if value.tensor.rank >= len(type.shape)] or [None])
        if source is None:
            return self("broadcast", self.of(type.dtype, type.shape[1:]), shape=type.shape)
        return self.cast(self.load(source, type.shape), type.dtype)

    def code(self, type: DType) -> int:
        """A bit pattern: often of a small number, so that rules about 0 and 1 have something to do."""
        small = [0, 0, 1, 2, 3] + ([-1] if type.has_sign or type.is_int else [])
        if self.rng.random() < 0.6:
            return int(type.encode(self.rng.choice(small) & 1 if type.width == 1 else self.rng.choice(small))[()])
        code = self.rng.getrandbits(type.width)
        return code >> type.unused_bits << type.unused_bits

    def cast(self, value: Value, type: DType) -> Value:
        if value.tile.dtype == type:
            return value
        return self("cast", value, dtype=type, rounding="nearest_even", saturate=None)

    def tame_floats(self, type: DType, shape: tuple[int, ...]) -> Value:
        """Floats that are small integers, so that their products and short sums are exact, and never NaN."""
        source = self.of(self.rng.choice(SMALL_INTEGERS), shape)
        result = self("cast", source, dtype=type, rounding="nearest_even", saturate=None)
        self.tame.add(result)
        return result

    def scalar_index(self) -> Value:
        """An i64 scalar of modest size."""
        known = self.visible(lambda value: value in self.blocks or (value in self.tame and value.type == INDEX))
        constant = self.build.index(self.rng.choice((0, 0, 0, 1, 2, 5, -1, 4, 8)))
        if not known or self.rng.random() < 0.4:
            result = constant
        else:
            name = self.rng.choice(("add", "sub", "mul", "min", "max", "floordiv", "mod"))
            result = self(name, self.rng.choice(known), self.rng.choice([*known, constant, constant]))
        if self.rng.random() < 0.2 and self.symbols:
            result = self("mod", result, self.rng.choice(list(self.symbols.values())))
        self.tame.add(result)
        return result

    def start(self) -> Value:
        return self.scalar_index() if self.rng.random() < 0.7 else self.build.index(0)

    def load(self, source: Value, shape: tuple[int, ...] | None) -> Value:
        """A slice of an input that may reach over every edge; of any shape where none is asked for."""
        rank = source.tensor.rank
        if shape is None:
            shape = tuple(self.rng.choice((1, 3, 5, 8)) for _ in range(self.rng.randint(0, min(rank, 2))))
        places = set(self.rng.sample(range(rank), len(shape)))
        extents = iter(shape)
        sizes = tuple(next(extents) if dim in places else None for dim in range(rank))
        steps = tuple(self.rng.choice((1, 1, 1, 2)) for _ in range(rank))
        attrs = {"sizes": sizes, "steps": steps, "inbounds": (False,) * rank}
        return self("load", source, *(self.start() for _ in range(rank)), fill=self.code(source.tensor.dtype), **attrs)


def fits(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether a shape broadcasts to another."""
    aligned = target[len(target) - len(source) :]
    return len(source) <= len(target) and all(a in (1, b) for a, b in zip(source, aligned, strict=True))
