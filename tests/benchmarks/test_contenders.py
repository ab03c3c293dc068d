"""Contenders multiply what they say that they multiply. Those of libraries that are not installed are skipped."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from benchmarks import cpu_matmul
from benchmarks.matmul import ggml, onnx_runtime, openvino_runtime, torch_ops, vmc_kernels
from benchmarks.matmul.bandwidth import make_reader
from benchmarks.matmul.checking import accuracy, relative
from benchmarks.matmul.contender import Contender, Missing, library
from benchmarks.matmul.problem import Shape, make_activations, make_weights
from tests.benchmarks.small import SHAPE

VMC = {contender.name: contender for contender in vmc_kernels.contenders(2)}
PEERS = (ggml, onnx_runtime, openvino_runtime, torch_ops)


def complaint(contender: Contender, shape: Shape, m: int) -> str | None:
    weights = make_weights(shape)
    stored = contender.store(weights)
    x = make_activations(m, shape.k)
    return accuracy(stored.load(x, 2)[1], x, stored.values(), weights.values).complaint(contender)


@pytest.mark.parametrize("name", ["u1", "u3", "u4", "i6", "f4e2m1", "f6e3m2", "f8e4m3", "ternary"])
@pytest.mark.parametrize("kernel", ["wa8", "wa16"])
def test_vmc_multiplies_its_own_weights(kernel: str, name: str) -> None:
    assert complaint(VMC[f"vmc {kernel} {name}"], SHAPE, 3) is None


def test_the_kernels_share_packed_weights() -> None:
    weights = make_weights(SHAPE)
    one, other = (VMC[f"vmc {kernel} u4"].store(weights) for kernel in ("wa8", "wa16"))
    x = make_activations(2, SHAPE.k)
    for stored in (one, other):
        stored.load(x, 1)
    shared = vmc_kernels.quantized("u4", weights)
    assert one.weights is other.weights is shared  # type: ignore[attr-defined]
    assert len(shared.packings) == 1


@pytest.mark.parametrize(("m", "rows"), [(1, 1), (2, 4), (4, 4), (5, 16), (17, 32), (128, 64), (129, 128), (512, 128)])
def test_blocks_have_about_as_many_rows_as_there_are(m: int, rows: int) -> None:
    assert vmc_kernels.rows_of_block(m) == rows


def test_ternary_weights_are_minus_one_zero_and_one_times_the_scale() -> None:
    stored = vmc_kernels.quantized("ternary", make_weights(SHAPE))
    scales = np.repeat(stored.scales.astype(np.float32), SHAPE.group, axis=0)
    assert set(np.unique(stored.values() / scales).tolist()) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("peer", PEERS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_peer_multiplies_its_own_weights_or_says_how_to_be_installed(peer: object) -> None:
    try:
        contenders = peer.contenders(2)  # type: ignore[attr-defined]
    except Missing as missing:
        assert "pip install" in str(missing)
        return
    for contender in contenders:
        if contender.takes(SHAPE):
            assert complaint(contender, SHAPE, 3) is None, contender.name


def test_a_call_keeps_its_weights_alive() -> None:
    torch_int4 = torch_ops.contenders(2)[0]
    lane = cpu_matmul.lane(torch_int4.store(make_weights(SHAPE)).load(make_activations(2, SHAPE.k), 2))
    gc.collect()
    for call in lane.calls:
        call()


def test_a_missing_library_is_reported_with_the_command_that_installs_it() -> None:
    with pytest.raises(Missing, match="no_such_library is not installed: pip install it"):
        library("no_such_library", "pip install it")


def test_a_product_that_is_not_finite_is_never_right() -> None:
    assert relative(np.array([np.nan, 1.0]), np.array([1.0, 1.0])) == float("inf")


def test_the_reader_reads_every_word_of_its_stretch() -> None:
    reader = make_reader(1 << 16, 1 << 14, 2)
    calls = reader.calls()
    assert len(calls) == 4
    for place in (0, 2047, 1024, 555):
        reader.buffer[:] = 0
        reader.buffer[2048 + place] = 1 << 40
        assert [call() for call in calls] == [0, 1 << 40, 0, 0]
