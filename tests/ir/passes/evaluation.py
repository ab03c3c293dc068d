"""Executes small kernels without a grid, and makes tiles of special and random values for them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.generators.ir_arguments import canonical
from vmc.ir.core import Kernel
from vmc.ir.passes.evaluator import ConstantEvaluator
from vmc.ir.types import DType


def special_codes(type: DType) -> list[int]:
    """Zeros, ones, extremes, infinities and NaN, as codes."""
    top = 1 << type.width
    codes = [0, 1 % top, top - 1, top // 2, (top // 2 + 1) % top, top // 2 - 1]
    if type.is_float:
        codes = [*codes, int(type.encode(1.0)[()]), int(type.encode(-1.0)[()])]
    return [code >> type.unused_bits << type.unused_bits for code in codes]


def random_tile(type: DType, size: int, rng: random.Random) -> Any:
    """A tile of rank 1 of special and random values."""
    special = special_codes(type)
    codes = [rng.choice(special) if rng.random() < 0.4 else rng.getrandbits(type.width) for _ in range(size)]
    codes = [code >> type.unused_bits << type.unused_bits for code in codes]
    return type.from_codes(np.array(codes, type.code_dtype))


def results(kernel: Kernel, arguments: Sequence[Any]) -> list[Any]:
    """What a kernel's body yields, as codes with one NaN."""
    machine = ConstantEvaluator()
    machine.values.update(zip(kernel.params, arguments, strict=True))
    machine.run(kernel.body.ops[:-1])
    types = [value.tile.dtype for value in kernel.body.yielded]
    tiles = [machine.values[value] for value in kernel.body.yielded]
    return [canonical(type.to_codes(tile), type) for type, tile in zip(types, tiles, strict=True)]
