"""The product with activations of 8 bits: for every weight type native code leaves the reference machine's bits."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.generators.stored import stored
from tests.lang.running import check_tensor, run_cpu
from vmc.backends import cpu, interp
from vmc.ir.core import Kernel, Module
from vmc.ir.passes import pipeline
from vmc.ir.passes import run as run_passes
from vmc.ir.passes.catalogue import PASSES
from vmc.ir.types import ALL_SMALL, DType, dtype, pack
from vmc.lang import compile_kernel

SOURCE = Path(__file__).parents[2] / "examples" / "matmul_wa8.vmc"
SIZES = [(m, 77, 45) for m in (1, 3, 16, 33)]
Symbols = dict[str, int]


@lru_cache(maxsize=4)
def kernel_of(type: DType) -> Kernel:
    return compile_kernel(SOURCE.read_text(), str(SOURCE), None, {"T": type, "BM": 16, "BN": 32, "G": 32}).kernel


def arguments(type: DType, m: int, k: int, n: int) -> tuple[list[Any], Symbols]:
    """Random operands, whose weights are finite and within what f16 holds."""
    rng = np.random.default_rng(type.width)
    codes = rng.integers(0, 1 << type.width, (k, n)).astype(np.uint8)
    values = np.asarray(type.decode(codes), np.float64)
    codes[~np.isfinite(values) | (np.abs(values) > 60000)] = 0
    x = rng.standard_normal((m, k)).astype(np.float16)
    scale = rng.uniform(0.5, 1.0, (-(-k // 32), n)).astype(np.float16)
    memory = [x, np.array(pack(codes, type)), scale, np.zeros((m, n), np.float16)]
    return [np.ascontiguousarray(each).view(np.uint8).reshape(-1) for each in memory], {"M": m, "K": k, "N": n}


def reference(type: DType, m: int, k: int, n: int) -> Any:
    given, symbols = arguments(type, m, k, n)
    interp.run(kernel_of(type), given, symbols)
    return given[3]


@pytest.mark.parametrize("type", ALL_SMALL, ids=lambda t: t.name)
def test_every_small_type_gives_the_bits_of_the_reference(type: DType) -> None:
    """Of integers all bits; sums of floats may be rounded in another order."""
    kernel = kernel_of(type)
    for size in SIZES:
        given, symbols = arguments(type, *size)
        run_cpu(kernel, given, symbols)
        expected = reference(type, *size)
        if type.is_int:
            np.testing.assert_array_equal(given[3].view(np.float16), expected.view(np.float16))
        else:
            check_tensor(kernel, kernel.params[3].tensor, symbols, expected, given[3], "y")


@pytest.mark.parametrize("type", ["u3", "i8"])
@pytest.mark.parametrize("left_out", [None, *PASSES])
def test_any_pass_can_be_left_out(left_out: str | None, type: str) -> None:
    kernel, size = kernel_of(dtype(type)), (17, 77, 45)
    skip = frozenset([left_out]) if left_out else frozenset()
    lowered = run_passes(Module((kernel,)), pipeline("cpu"), verify=True, skip=skip).kernels[0]
    given, symbols = arguments(dtype(type), *size)
    laid = stored(kernel, lowered, given, symbols)
    cpu.compile(lowered, cpu.Options(opt_level=2)).launch([each.ctypes.data for each in laid], (), symbols)
    np.testing.assert_array_equal(laid[3].view(np.float16), reference(dtype(type), *size).view(np.float16))
