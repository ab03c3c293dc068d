"""Arguments for launching any kernel of the tile IR, and the comparison of what two executors left in memory."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vmc.ir.core import Kernel, TensorType, Value
from vmc.ir.dims import evaluate
from vmc.ir.storage import extents, storage_bytes
from vmc.ir.types import DType, pack, unpack

Array = np.ndarray[Any, Any]


def random_arguments(kernel: Kernel, seed: int) -> tuple[list[Any], dict[str, int]]:
    """Arguments and symbols in the executors' form: u8 memory for tensors, numbers for scalars.

    Half of the tensors hold arbitrary bits, half small values, so that both the special codes and ordinary sums occur.
    """
    rng = random.Random(f"arguments {seed}")
    symbols = {name: rng.choice((1, 2, 3, 5, 7)) for name in kernel.symbols}
    return [random_argument(param, symbols, rng) for param in kernel.params], symbols


def random_argument(param: Value, symbols: Mapping[str, int], rng: random.Random) -> Any:
    if isinstance(param.type, TensorType):
        return random_memory(param.type, symbols, rng)
    value = rng.choice((0, 1, 2, 3, 7, -1, rng.randint(-100, 100)))
    return abs(value) if param.tile.dtype.is_uint else value


def random_memory(type: TensorType, symbols: Mapping[str, int], rng: random.Random) -> Array:
    shape = extents(type, symbols)
    size = storage_bytes(type, shape)
    if type.storage is not None or rng.random() < 0.5:
        return np.frombuffer(bytearray(rng.randbytes(size)), np.uint8)
    values = np.array([rng.choice((0, 1, -1, 2, 3.5, -7, rng.gauss(0, 4))) for _ in range(int(np.prod(shape)))])
    if type.dtype.is_int:
        values = np.clip(np.rint(values), int(type.dtype.min), int(type.dtype.max)).astype(np.int64)
    return np.array(pack(type.dtype.encode(values, saturate=True), type.dtype), np.uint8)


def same_memory(type: TensorType, symbols: Mapping[str, int], a: Array, b: Array) -> bool:
    """Whether two memories of a dense tensor hold the same elements, bit for bit; any NaN equals any NaN."""
    shape = tuple(evaluate(dim, symbols) for dim in type.shape)
    codes = [canonical(unpack(memory, type.dtype, shape), type.dtype) for memory in (a, b)]
    return bool(np.array_equal(codes[0], codes[1]))


def canonical(codes: Array, type: DType) -> Array:
    """The bit patterns with one for all NaN."""
    if not type.is_float or not type.has_nan:
        return codes
    return np.where(np.isnan(type.decode(codes)), np.zeros_like(codes), codes + 1)


def differences(kernel: Kernel, symbols: Mapping[str, int], a: Sequence[Any], b: Sequence[Any]) -> list[str]:
    """The names of the tensors in which two runs differ."""
    pairs = zip(kernel.params, a, b, strict=True)
    return [
        param.name
        for param, x, y in pairs
        if isinstance(param.type, TensorType) and not same_memory(param.type, symbols, x, y)
    ]
