"""Products that the passes made of bytes: native code leaves what the reference VM leaves of the kernel as written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, memory, run, zeros
from vmc.backends import interp
from vmc.ir.core import Kernel, Module, walk
from vmc.ir.passes import pipeline
from vmc.ir.passes import run as run_passes
from vmc.ir.types import dtype

M, K, N = 5, 37, 19


def weighted(left: str, right: str, wide: str, fast: bool = False) -> Kernel:
    """cast(x) @ (cast(w) - zero point), from zero."""
    sketch, type = Sketch(), dtype(right)
    x, w = sketch.take(left, (M, K)), sketch.take(right, (K, N))
    b = sketch.b.cast(w, wide)
    if type.zero_point:
        b = sketch.b("sub", b, sketch.b.constant(wide, type.zero_point, (K, N)))
    sums = "f32" if dtype(wide).is_float else "i32"
    sketch.give(sketch.b("dot", sketch.b.cast(x, wide), b, sketch.b.constant(sums, 0, (M, N))))
    return sketch.kernel(fast=fast)


def lowered(kernel: Kernel) -> Kernel:
    """The kernel after the pipeline, all of whose products must have become products of bytes."""
    (after,) = run_passes(Module((kernel,)), pipeline("cpu", frozenset("w")), verify=True).kernels
    dots = [op for op in walk(after.body) if op.name == "dot"]
    assert all([operand.tile.dtype.name for operand in op.operands[:2]] == ["i8", "u8"] for op in dots)
    return after


def arguments(kernel: Kernel, seed: int) -> list[Any]:
    """Random codes for the inputs, zeros for the output."""
    rng = np.random.default_rng(seed)
    types = [param.tensor.dtype for param in kernel.params[:2]]
    shapes = ((M, K), (K, N))
    codes = [
        type.encode(rng.normal(0, 50, shape)) if type.width > 8 else rng.integers(0, 1 << type.width, shape)
        for type, shape in zip(types, shapes, strict=True)
    ]
    inputs = [memory(type, each.astype(type.code_dtype)) for type, each in zip(types, codes, strict=True)]
    return [*inputs, zeros(kernel.params[2])]


@pytest.mark.parametrize("wide", ["f32", "i16"])
@pytest.mark.parametrize("right", ["u1", "u4", "u7", "u8", "i3", "i8"])
def test_integer_weights_give_the_same_bits(right: str, wide: str) -> None:
    check_bits(weighted("i8", right, wide))


@pytest.mark.parametrize("right", ["f4e2m1", "f6e3m2", "f8e3m4", "f5e2m2"])
@pytest.mark.parametrize("left", ["i8", "f4e2m1"])
def test_small_floats_give_the_same_bits(left: str, right: str) -> None:
    check_bits(weighted(left, right, "f32"))


def check_bits(kernel: Kernel) -> None:
    before = arguments(kernel, 1)
    expected = [array.copy() for array in before]
    interp.run(kernel, expected, {})
    assert np.array_equal(run(lowered(kernel), before)[2], expected[2])


@pytest.mark.parametrize("left", ["f16", "f32"])
@pytest.mark.parametrize("right", ["u4", "i8", "f4e2m1"])
def test_digits_stay_within_their_bound(left: str, right: str) -> None:
    kernel = weighted(left, right, "f32", fast=True)
    before = arguments(kernel, 2)
    found = run(lowered(kernel), before)[2].view(np.float32).reshape(M, N)
    x = np.frombuffer(before[0].tobytes(), left.replace("f", "float")).reshape(M, K).astype(np.float64)
    strict = [array.copy() for array in before]
    interp.run(kernel, strict, {})
    exact = strict[2].view(np.float32).reshape(M, N)
    least = np.abs(x).max(axis=1, keepdims=True) * K * 2.0**-21
    largest = max(abs(float(dtype(right).min) - dtype(right).zero_point), abs(float(dtype(right).max)))
    assert (np.abs(found - exact) <= least * largest + np.abs(exact) * 2.0**-23).all()
