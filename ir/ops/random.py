"""Counter-based random numbers.

    philox(seed, counter) -> four u32 tiles

Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC11, section 3.3). The
counter's words are (low, high, 0, 0) of the u64 counter, the key is (low, high) of the u64 seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmc.ir.core import Op, TileType, Type, Value
from vmc.ir.opdef import Attrs, OpDef, operands, require, tile
from vmc.ir.types import DType, dtype

if TYPE_CHECKING:
    from vmc.ir.builder import Builder

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


class Philox(OpDef):
    """Four independent u32 random numbers for each pair of a u64 seed and a u64 counter, tiles of one shape."""

    name = "philox"
    signature = "(seed, counter)"
    elementwise = True
    composite = True

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 2, self.name)
        seed, counter = map(tile, types)
        require(seed.dtype == counter.dtype == dtype("u64"), f"philox takes u64 tiles, and got {seed} and {counter}")
        require(seed.shape == counter.shape, f"philox takes tiles of one shape, and got {seed} and {counter}")
        return (TileType(dtype("u32"), counter.shape),) * 4

    def legal_types(self) -> tuple[DType, ...]:
        return (dtype("u64"),)

    def expand(self, build: Builder, op: Op) -> tuple[Value, ...]:
        seed, counter = op.operands
        keys = halves(build, seed)
        zero = build.constant("u32", 0, counter.tile.shape)
        words = (*halves(build, counter), zero, zero)
        for number in range(ROUNDS):
            if number:
                steps = zip(keys, KEY_STEPS, strict=True)
                keys = tuple(build("add", key, build.like(key, step)) for key, step in steps)
            words = philox_round(build, words, keys)
        return words


def halves(build: Builder, wide: Value) -> tuple[Value, ...]:
    """The low and the high u32 of u64 values."""
    return build.cast(wide, "u32"), build.cast(build("shr", wide, build.like(wide, 32)), "u32")


def philox_round(build: Builder, words: tuple[Value, ...], keys: tuple[Value, ...]) -> tuple[Value, ...]:
    c0, c1, c2, c3 = words
    (low0, high0), (low1, high1) = (
        halves(build, build("mul", wide, build.like(wide, factor)))
        for wide, factor in zip((build.cast(c0, "u64"), build.cast(c2, "u64")), MULTIPLIERS, strict=True)
    )
    return (
        build("xor", build("xor", high1, c1), keys[0]),
        low1,
        build("xor", build("xor", high0, c3), keys[1]),
        low0,
    )


DEFINITIONS: tuple[OpDef, ...] = (Philox(),)
