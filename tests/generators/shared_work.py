"""Random kernels whose blocks repeat work: a loop makes tiles from a row of `x` that the last index does not choose.

    y[a, b(, c), :, :] = the sum over k of f(tiles of x[rows of a, k]) * w[last index, k]

All arithmetic is exact to the bit on every executor: no float is summed but elementwise, in the order of the loop.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.generators.ir_arguments import random_memory
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, TensorType, TileType, Value
from vmc.ir.dims import Sym
from vmc.ir.types import dtype

INDEX = TileType(dtype("i64"))
EXTENTS = ("A", "B", "C")
STEPS = ("abs", "neg", "double", "product", "scaled", "codes", "rows", "narrow", "mask")


def whole(*sizes: int | None) -> dict[str, Any]:
    rank = len(sizes)
    return {"sizes": sizes, "steps": (1,) * rank, "inbounds": (False,) * rank}


class _Chain:
    """Tiles of one shape, each made from others, all from one tile of x."""

    def __init__(self, build: Builder, tile: Value) -> None:
        self.build, self.height, self.width = build, *tile.tile.shape
        self.tiles = [build.cast(tile, "f32")]

    def step(self, name: str, place: int) -> None:
        a = self.tiles[place % len(self.tiles)]
        self.tiles.append(getattr(self, name)(a))

    def abs(self, a: Value) -> Value:
        return self.build("abs", a)

    def neg(self, a: Value) -> Value:
        return self.build("neg", a)

    def double(self, a: Value) -> Value:
        return self.build("mul", a, self.build.like(a, 2))

    def product(self, a: Value) -> Value:
        return self.build("mul", a, self.tiles[-1])

    def column(self, row: Value) -> Value:
        tall = self.build("reshape", row, shape=(self.height, 1))
        return self.build.broadcast(tall, (self.height, self.width))

    def scaled(self, a: Value) -> Value:
        return self.build("div", a, self.column(self.build("reduce", a, axis=1, kind="max")))

    def codes(self, a: Value) -> Value:
        return self.build.cast(self.build.cast(a, "i8"), "f32")

    def narrow(self, a: Value) -> Value:
        return self.build.cast(self.build.cast(a, "u3", rounding="floor"), "f32")

    def rows(self, a: Value) -> Value:
        codes = self.build.cast(self.build.cast(a, "i8"), "i32")
        return self.build.cast(self.column(self.build("reduce", codes, axis=1, kind="sum")), "f32")

    def mask(self, a: Value) -> Value:
        top = self.build("reduce", self.build("reshape", a, shape=(self.height * self.width,)), axis=0, kind="max")
        return self.build("select", self.build("lt", self.build.broadcast(top, a.tile.shape), a), a, self.tiles[0])


@st.composite
def kernels(draw: st.DrawFn) -> tuple[Kernel, list[Any], dict[str, int]]:
    """A kernel, arguments in the executors' form, and symbols."""
    rank = draw(st.integers(2, 3))
    rows, columns = draw(st.sampled_from([(1, 1), (2, 4), (3, 1), (1, 5), (4, 3)]))
    low, step = draw(st.sampled_from([(0, columns), (0, 1), (1, 2), (2, columns), (0, 3)]))
    names = EXTENTS[:rank]
    x = argument(TensorType(dtype(draw(st.sampled_from(["f16", "f32", "i8", "u4"]))), (Sym("R"), Sym("K"))), "x")
    w = argument(TensorType(dtype("f32"), (Sym(names[-1]), Sym("K"))), "w")
    outer = Builder()
    extents = [outer("symbol", name=name) for name in names]
    end = outer("symbol", name="K")
    if draw(st.booleans()):
        end = outer("neg", outer("floordiv", outer("neg", end), outer.index(2)))
    blocks = [argument(INDEX, name.lower()) for name in names]
    body = Builder()
    start = body("mul", blocks[draw(st.integers(0, rank - 2))], body.index(rows))
    bounds = (body.index(low), end, body.index(step))
    index, carried = argument(INDEX, "k"), argument(TileType(dtype("f32"), (rows, columns)), "sum")
    turn = Builder()
    chain = _Chain(turn, turn("load", x, start, index, fill=0, **whole(rows, columns)))
    for name in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=6)):
        chain.step(name, draw(st.integers(0, 6)))
    factor = turn("load", w, blocks[-1], index, fill=0, **whole(None, columns))
    total = carried
    for place in draw(st.lists(st.integers(0, 6), min_size=1, max_size=3)):
        tile = chain.tiles[place % len(chain.tiles)]
        total = turn("add", total, turn("mul", tile, turn.broadcast(factor, (rows, columns))))
    region = turn.region((index, carried), (total,))
    none = body.constant("f32", 0, (rows, columns))
    (result,) = body.many("for", *bounds, none, regions=[region], stages=1, unroll=1)
    y = argument(TensorType(dtype("f32"), (*map(Sym, names), rows, columns), Access.OUT), "y")
    zeros = (body.index(0), body.index(0))
    body.many("store", y, result, *blocks, *zeros, **whole(*(None for _ in names), rows, columns))
    outer.many("grid", *extents, regions=[body.region(blocks)])
    kernel = Kernel("shared_work", (x, w, y), ("R", "K", *names), outer.region())
    symbols = {name: draw(st.integers(0, 4)) for name in names} | {"R": 5, "K": draw(st.integers(0, 9))}
    return kernel, arguments(kernel, symbols, draw(st.integers(0, 99))), symbols


def arguments(kernel: Kernel, symbols: dict[str, int], seed: int) -> list[Any]:
    """Random memory for every tensor of a kernel."""
    rng = random.Random(seed)
    with np.errstate(all="ignore"):
        return [random_memory(param.tensor, symbols, rng) for param in kernel.params]
