"""Chains of integer arithmetic keep every bit when they are computed in narrow types, at the ends of all ranges too."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.ir.passes.evaluation import random_tile, results
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Kernel, Module, TileType, Value
from vmc.ir.passes import canonicalize, narrow, run
from vmc.ir.types import ALL_DTYPES, dtype

N = 64
NARROW = [type for type in ALL_DTYPES if type.is_int and type.width <= 8]
WIDE = [dtype(name) for name in ("u8", "i16", "u16", "i32", "u32", "i64", "u64")]


def random_chains(rng: random.Random) -> Kernel:
    """Casts of narrow parameters and constants, combined at random; every value is a result."""
    build = Builder()
    params = [argument(TileType(rng.choice(NARROW), (N,))) for _ in range(3)]
    wide = rng.choice(WIDE)
    values = [build.cast(param, wide) for param in params]
    values += [
        build.constant(wide, rng.choice((0, 1, 8, 127, 128, -1, -8, 1000)) % 2**wide.width, (N,)) for _ in range(2)
    ]
    for _ in range(12):
        values.append(random_step(build, rng, values))
    return Kernel("k", tuple(params), (), build.region((), values))


def random_step(build: Builder, rng: random.Random, values: list[Value]) -> Value:
    name = rng.choice(("add", "sub", "mul", "min", "max", "neg", "abs", "cast", "select"))
    a = rng.choice(values)
    b = rng.choice([value for value in values if value.tile.dtype == a.tile.dtype])
    match name:
        case "cast":
            return build.cast(a, rng.choice(WIDE), saturate=rng.choice((None, True)))
        case "select":
            return build("select", build("lt", a, b), a, b)
        case "neg" | "abs":
            return build(name, a)
    return build(name, a, b)


@pytest.mark.parametrize("seed", range(150))
def test_narrowed_chains_keep_every_bit(seed: int) -> None:
    rng = random.Random(seed)
    kernel = random_chains(rng)
    for passes in ((narrow,), (canonicalize, narrow, canonicalize)):
        after = run(Module((kernel,)), passes).kernels[0]
        arguments = [random_tile(param.tile.dtype, N, rng) for param in kernel.params]
        assert all(map(np.array_equal, results(kernel, arguments), results(after, arguments)))


def test_most_chains_are_narrowed() -> None:
    kernels = [random_chains(random.Random(seed)) for seed in range(50)]
    assert sum(run(Module((kernel,)), (narrow,)).kernels[0] is not kernel for kernel in kernels) > 25
