"""Fixtures: `evaluate` gives an operation's results on bit patterns, `samples` gives the bit patterns to try."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vmc.backends.interp import Machine
from vmc.ir.builder import make_op
from vmc.ir.core import Kernel, Region, TileType, Value
from vmc.ir.types import DType, dtype

Codes = np.ndarray[Any, Any]


def result_codes(name: str, *tiles: tuple[str | DType, Any], **attrs: Any) -> list[Codes]:
    """The codes of every result of one operation. A tile is a dtype and its codes, of any shape."""
    types = [dtype(kind) for kind, _ in tiles]
    arrays = [
        type.from_codes(np.asarray(codes).astype(type.code_dtype))
        for type, (_, codes) in zip(types, tiles, strict=True)
    ]
    operands = [Value(TileType(type, array.shape)) for type, array in zip(types, arrays, strict=True)]
    op = make_op(name, operands, attrs)
    machine = Machine(Kernel("test", (), (), Region((), ())), {})
    results = op.definition.evaluate(machine, op, arrays)
    for value, result in zip(op.results, results, strict=True):
        assert np.asarray(result).dtype == value.tile.dtype.array_dtype
        assert np.asarray(result).shape == value.tile.shape
    return [value.tile.dtype.to_codes(result) for value, result in zip(op.results, results, strict=True)]


def sample_codes(kind: str | DType, count: int, seed: str = "") -> Codes:
    """All codes of a type of up to 8 bits, over and over; of a wider one the extreme codes and random ones."""
    type = dtype(kind)
    random = np.random.default_rng(zlib.crc32(f"{type.name} {seed}".encode()))
    if type.width <= 8:
        codes = np.resize(type.codes(), count)
        return random.permutation(codes)
    edges = np.array([0, 1, 2, 3, (1 << type.width) - 1, 1 << (type.width - 1), (1 << (type.width - 1)) - 1], np.uint64)
    if type.is_float:
        edges = np.concatenate(
            [edges, type.encode([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1.5, 3.0, -2.5, 0.1])]
        )
    free = random.integers(0, 1 << type.width, count, dtype=np.uint64, endpoint=False) if type.width < 64 else None
    if free is None:
        free = random.integers(0, np.iinfo(np.uint64).max, count, dtype=np.uint64, endpoint=True)
    if type.is_float:
        near = type.encode(random.normal(0, 4, count)).astype(np.uint64)
        free = np.where(random.random(count) < 0.6, near, free) >> type.unused_bits << type.unused_bits
    else:
        free = np.where(random.random(count) < 0.3, free & np.uint64(63), free)
    codes = random.choice(edges.astype(np.uint64), count)
    return np.where(random.random(count) < 0.3, codes, free).astype(type.code_dtype)


@pytest.fixture
def evaluate() -> Callable[..., list[Codes]]:
    return result_codes


@pytest.fixture
def samples() -> Callable[..., Codes]:
    return sample_codes
