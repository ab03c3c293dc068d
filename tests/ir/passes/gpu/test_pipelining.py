"""Pipelined loops compute what they did, in the reference machine, whose copies arrive as late as the waits allow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmc.backends.interp import run as execute
from vmc.ir.blocks import pack_blocks
from vmc.ir.core import Module, walk
from vmc.ir.layout import bank_conflicts
from vmc.ir.passes import pipeline, run
from vmc.ir.passes.gpu.pipelining import is_ring, stage_storage
from vmc.ir.storage import block_positions
from vmc.ir.types import dtype
from vmc.lang import compile_kernel

SOURCE = """
fast kernel product[T: type, BM = 16, BN = 64, BK = 64](
    x: f16[M, K], w: T[K, N], s: f16[cdiv(K, 64), N], y: out f32[M, N],
):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(f32[BM, BN])
        for k in range(0, K, BK) pipelined(3):
            b = f16(w[k : +BK, ni*BN : +BN] - zero_point(T))
            acc += (x[mi*BM : +BM, k : +BK] @ b) * s[k // 64, ni*BN : +BN]
        y[mi*BM : +BM, ni*BN : +BN] = acc
"""


def kernels(name: str, stages: int) -> tuple[Any, Any]:
    """The kernel as it was, and before its layouts are chosen."""
    source = SOURCE.replace("pipelined(3)", f"pipelined({stages})")
    kernel = compile_kernel(source, "product.vmc", None, {"T": dtype(name)}).kernel
    steps = list(pipeline("cuda:sm_80"))
    last = next(n for n, step in enumerate(steps) if step.name == "layouts")
    return kernel, run(Module((kernel,)), steps[:last], verify=True, skip=frozenset({"split"})).kernels[0]


@pytest.mark.parametrize(("name", "stages"), [("u3", 2), ("u3", 3), ("i6", 4), ("f4e2m1", 5)])
@pytest.mark.parametrize("shape", [(16, 256, 64), (19, 203, 71), (5, 64, 24)])
def test_a_pipelined_loop_gives_the_same_bits(name: str, stages: int, shape: tuple[int, int, int]) -> None:
    before, after = kernels(name, stages)
    m, k, n = shape
    rng, type = np.random.default_rng(4), dtype(name)
    x = rng.normal(size=(m, k)).astype(np.float16)
    s = rng.random((-(-k // 64), n)).astype(np.float16)
    codes = rng.integers(0, 1 << type.width, (k, n)).astype(np.uint8)
    found = []
    for kernel in (before, after):
        storage = next(p.tensor.storage for p in kernel.params if p.name == "w")
        dense = np.packbits((codes[..., None] >> np.arange(type.width) & 1).reshape(-1), bitorder="little")
        w = dense if storage is None else pack_blocks(codes, storage, type.width)
        y = np.zeros((m, n), np.float32)
        arguments = [array.view(np.uint8).reshape(-1) for array in (x, w, s, y)]
        execute(kernel, arguments, {"M": m, "K": k, "N": n})
        found.append(arguments[-1].view(np.float32))
    np.testing.assert_array_equal(found[0], found[1])


def test_factors_weights_and_scales_are_staged_for_whole_slices_and_for_edges() -> None:
    _, after = kernels("u3", 3)
    (choice,) = [op for op in walk(after.body) if op.name == "if" and op.results]
    for branch, moving in zip(choice.regions, (True, False), strict=True):
        copies = [op for op in walk(branch) if op.name == "copy_async"]
        assert sorted(op.operands[1].name for op in copies) == sorted(["x", "w", "s"] * 3)
        assert all(is_ring(op.operands[0].tensor) for op in copies)
        along = {"x": 1, "w": 0, "s": 0}
        assert {op.attrs["inbounds"][along[op.operands[1].name]] for op in copies} == {moving}
        across = {name: {op.attrs["inbounds"][1 - dim] for op in copies if op.operands[1].name == name}
                  for name, dim in along.items()}  # fmt: skip
        assert across == {"x": {False}, "w": {moving}, "s": {moving}}
        assert [op.attrs["pending"] for op in walk(branch) if op.name == "wait_group"] == [1, 0]


def test_there_is_one_barrier_a_turn() -> None:
    kernel, _ = kernels("u3", 3)
    lowered = run(Module((kernel,)), pipeline("cuda:sm_80")).kernels[0]
    loops = [op for op in walk(lowered.body) if op.name == "for"]
    assert [sum(op.name == "barrier" for op in walk(loop.regions[0])) for loop in loops] == [1, 1]
    assert sum(op.name == "barrier" for op in walk(lowered.body)) == 2


@pytest.mark.parametrize("columns", [8, 16, 32, 64, 128, 256])
def test_rows_that_ldmatrix_reads_at_once_lie_in_different_banks(columns: int) -> None:
    storage = stage_storage((16, columns), 16)
    places = block_positions(storage, 16).reshape(16, columns, 16)
    assert sorted(places.reshape(-1).tolist()) == list(range(16 * columns * 16))
    for first in (0, 8):
        for column in range(0, columns, 8):
            rows = places[first : first + 8, column : column + 8].reshape(8, -1)
            assert (np.diff(rows, axis=1) == 1).all() and (rows[:, 0] % 128 == 0).all()
            assert bank_conflicts(rows[None, None, :, 0], 128) == 0


@pytest.mark.parametrize("columns", [32, 64, 128, 256])
def test_rows_that_are_read_by_pairs_of_pieces_lie_in_different_banks(columns: int) -> None:
    """As m16n8k32 takes a factor that is converted from 16 bits first: 4 threads read 8 bytes each of one row."""
    storage = stage_storage((16, columns), 16, together=2)
    places = block_positions(storage, 16).reshape(16, columns, 16)
    for first in range(0, 16, 4):
        for column in range(0, columns, 16):
            rows = places[first : first + 4, column : column + 16 : 4, 0].reshape(-1)
            assert (places[first, column : column + 8].reshape(-1) == rows[0] + np.arange(128)).all()
            assert bank_conflicts(rows[None, None], 64) == 0


def test_rows_that_a_factor_is_made_of_are_staged_too() -> None:
    source = """
kernel product(x: f16[M, K], w: u4[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, 16), cdiv(N, 64)):
        acc = zeros(f32[16, 64])
        for k in range(0, K, 64) pipelined(2):
            q = i8(round(x[mi*16 : +16, k : +64]))
            acc += f32(q) @ f32(w[k : +64, ni*64 : +64])
        y[mi*16 : +16, ni*64 : +64] = acc
"""
    kernel = compile_kernel(source, "product.vmc", None, {}).kernel
    steps = list(pipeline("cuda:sm_80"))
    last = next(n for n, step in enumerate(steps) if step.name == "layouts")
    after = run(Module((kernel,)), steps[:last], verify=True, skip=frozenset({"hoist"})).kernels[0]
    rings = {op.operands[1].name: op.operands[0].tensor.storage for op in walk(after.body) if op.name == "copy_async"}
    assert set(rings) == {"x", "w"}
    assert rings["x"] == stage_storage((16, 64), 16, together=2)


def test_bytes_that_a_launch_before_left_are_staged_as_they_are_multiplied() -> None:
    source = (Path(__file__).parents[4] / "examples" / "matmul_wa8.vmc").read_text()
    kernel = compile_kernel(source, "wa8.vmc", None, {"T": dtype("u4")}).kernel
    steps = list(pipeline("cuda:sm_80"))
    last = next(n for n, step in enumerate(steps) if step.name == "layouts")
    _, after = run(Module((kernel,)), steps[:last], verify=True).kernels
    rings = {op.operands[1].name: op.operands[0].tensor.storage for op in walk(after.body) if op.name == "copy_async"}
    assert set(rings) == {"workspace0", "workspace1", "workspace2", "w", "scale"}
    assert rings["workspace0"] == stage_storage((16, 128), 8)
