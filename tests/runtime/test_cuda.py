"""What can be said of targets for NVIDIA GPUs where there is none: names, arguments, machine values, messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vmc
from vmc.runtime.cuda import check_name, machine_value
from vmc.runtime.launch import Checker
from vmc.runtime.operands import Operand
from vmc.runtime.parameters import parameters_of
from vmc.runtime.targets import memory_of

SOURCE = "kernel twice(x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = x[i] * 2\n"


def checker() -> Checker:
    from vmc.lang import compile_kernel

    elaborated = compile_kernel(SOURCE, "<test>", None, {})
    return Checker("twice", parameters_of(elaborated), ("N",), *memory_of("cuda:sm_80"))


def on_gpu(address: int) -> Operand:
    return Operand(address, "f32", 4, (8,), True, True, "cuda:0", None)


def test_tensors_on_the_gpu_are_taken_and_must_be_aligned() -> None:
    made = checker()
    values = [on_gpu(256), on_gpu(1024)]
    plan = made.plan(values, {}, made.parameters)
    assert plan.symbols == (8,) and plan.sizes == (32, 32)
    made.check_addresses(plan, [256, 1024])
    with pytest.raises(vmc.ArgumentError, match="must be aligned to 16 bytes, got the address 0x104"):
        made.check_addresses(plan, [260, 1024])


def test_arrays_in_the_cpu_s_memory_are_refused() -> None:
    made = checker()
    message = "argument `x`: is on cpu; this target takes tensors in the GPU's memory"
    with pytest.raises(vmc.ArgumentError, match=message):
        made.plan([np.zeros(8, np.float32), on_gpu(256)], {}, made.parameters)


def test_tensors_on_the_gpu_are_refused_by_the_cpu() -> None:
    made = vmc.compile(SOURCE)
    with pytest.raises(vmc.ArgumentError, match="is on cuda:0; this target takes arrays in the CPU's memory"):
        made._checker.plan([on_gpu(256), on_gpu(512)], {}, made.parameters)


def test_misspelt_architectures_are_corrected() -> None:
    with pytest.raises(vmc.TargetError, match="did you mean `cuda:sm_100a`"):
        check_name("cuda:sm_100")
    with pytest.raises(vmc.TargetError, match="there are `cuda`, cuda:sm_80"):
        check_name("cuda:volta")


def test_scalars_become_machine_values() -> None:
    from vmc.ir.core import TileType
    from vmc.ir.types import dtype

    assert machine_value(TileType(dtype("i8")), -3) == -3
    assert machine_value(TileType(dtype("f32")), 1.5) == 1.5
    assert machine_value(TileType(dtype("bf16")), 1.0) == 0x3F80


def test_a_tile_that_no_gpu_can_hold_is_refused_at_its_line() -> None:
    pytest.importorskip("tvm")
    source = (
        "kernel huge(x: f32[M, N], y: out f32[M, N]):\n"
        "    for i in grid(1):\n"
        "        t = x[0 : +1024, 0 : +1024]\n"
        "        y[0 : +1024, 0 : +1024] = t * 2\n"
    )
    with pytest.raises(vmc.TargetError, match=r"E0915.*:3:13: .*takes 4096 registers of each of 256 threads"):
        vmc.compile(source, target="ptx-vm:sm_80")


def test_a_block_that_does_not_fit_into_shared_memory_is_a_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    source = (
        "kernel sums(x: f32[N], y: out f32[N]):\n"
        "    for i in grid(cdiv(N, 32768)):\n        y[i*32768 : +32768] = cumsum(x[i*32768 : +32768], 0)\n"
    )
    with pytest.raises(vmc.TargetError, match=r"E0915.*takes 256.0 KiB of shared memory, and sm_86 has 99 KiB"):
        vmc.compile(source, target="cuda:sm_86")


def test_a_layout_of_more_threads_than_a_block_has_is_a_clear_error() -> None:
    pytest.importorskip("tvm")
    source = (
        "kernel pin(x: f32[N], y: out f32[N]):\n    for i in grid(cdiv(N, 4096)):\n"
        "        t: f32[4096] layout spatial(2048).local(2) = x[i*4096 : +4096]\n        y[i*4096 : +4096] = t\n"
    )
    with pytest.raises(vmc.TargetError, match=r"<text>:3:\d+: this layout takes 2048 threads, and a block has at most"):
        vmc.compile(source, target="cuda:sm_80")


def test_compiled_code_is_kept_on_disk_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tvm")
    from vmc.backends import cuda
    from vmc.lang import compile_kernel
    from vmc.runtime.cuda import compiled

    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path))
    kernel = compile_kernel(SOURCE, "<test>", None, {}).kernel
    first = compiled(kernel, "cuda:sm_80")
    monkeypatch.setattr(cuda, "compile", lambda *args: pytest.fail("compiled again"))
    again = compiled(kernel, "cuda:sm_80")
    assert again.header() == first.header() and again.cubin == first.cubin
    assert again.grids[0].blocks({"N": 5}, []) == 5
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1])
    with pytest.raises(pytest.fail.Exception, match="compiled again"):
        compiled(kernel, "cuda:sm_80")
