"""Launches on a GPU from Python, through `vmc.compile` and `vmc.load`, as the recorder of the driver's calls sees them:
compiled once, kept on disk, and then launched by a process that has a device and no TVM.

Nothing is executed on a GPU here: `tests/artifact/recorder.c` stands in for the driver.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from vmc.artifact.linking import compiler

ROOT = Path(__file__).resolve().parents[2]
START = "import vmc; from tests.runtime.gpu_program import *\n"
TWICE = '''
SOURCE = """
kernel twice(x: f32[N], y: out f32[N]):
    for i in grid(cdiv(N, 32)):
        y[i*32 : +32] = x[i*32 : +32] * 2
"""
'''
ROOMY = '''
SOURCE = """
kernel roomy(x: f32[N], y: out f32[N]):
    for i in grid(cdiv(N, 16384)):
        y[i*16384 : +16384] = cumsum(x[i*16384 : +16384], 0)
"""
'''
PRODUCT = '''
SOURCE = """
kernel times[T: type = f16](s: f32, x: f16[M, K], w: T[K, N], y: out f32[M, N]):
    for m, n in grid(cdiv(M, 16), cdiv(N, 64)):
        acc = zeros(f32[16, 64])
        for k in range(0, K, 64):
            acc += x[m*16 : +16, k : +64] @ f16(w[k : +64, n*64 : +64])
        y[m*16 : +16, n*64 : +64] = acc * s
"""
'''


TWO_LAUNCHES = '''
SOURCE = """
kernel rows(x: f16[M, K], w: f16[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, 16), cdiv(N, 64)):
        acc = zeros(f32[16, 64])
        for k in range(0, K, 128):
            a = f32(x[mi*16 : +16, k : +128])
            most = max(abs(a), axis=1, keepdims=true)
            q = f16(round(a * (127 / max(most, 1e-30))))
            acc += (q @ w[k : +128, ni*64 : +64]) * most
        y[mi*16 : +16, ni*64 : +64] = acc
"""
'''


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recorder as `libcuda.so.1`."""
    folder = tmp_path_factory.mktemp("driver")
    source = str(ROOT / "tests" / "artifact" / "recorder.c")
    command = [*compiler(), "-shared", "-fPIC", source, "-o", str(folder / "libcuda.so.1")]
    subprocess.run(command, check=True)
    return folder


def said(recorder: Path, program: str, capabilities: str = "9.0", parameters: int = 3, **more: str) -> list[str]:
    """What a program and the recorder print. Its code must be in the cache: TVM, too, would look for the driver."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(recorder), "RECORDER_CAPABILITIES": capabilities, **more}
    environment |= {"RECORDER_PARAMETERS": str(parameters), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", START + program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout.splitlines()


def compiled_for(source: str, *archs: str) -> str:
    """A program's source, whose code for architectures is in the cache."""
    text = source.split('"""')[1]
    for arch in archs:
        vmc.compile(text, target=f"cuda:{arch}")
    return source


def launches(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("launch")]


def test_cuda_compiles_for_the_device_at_hand_and_loads_before_the_first_launch(recorder: Path) -> None:
    program = """
kernel = vmc.compile(SOURCE, target="cuda")
print("compiled for", kernel._launcher.compiled.arch, flush=True)
kernel(f32(0x1000, 100), f32(0x2000, 100))
kernel(f32(0x3000, 64), f32(0x4000, 64))
"""
    lines = said(recorder, compiled_for(TWICE, "sm_86") + program, "8.6")
    assert lines[:5] == ["init", "retain 0", "load cubin on 0", "function twice", "compiled for sm_86"]
    assert [line.partition("threads")[0] for line in lines[5:]] == [
        "launch twice on 0: 4 1 1 blocks, 32 1 1 ",
        "launch twice on 0: 2 1 1 blocks, 32 1 1 ",
    ]
    assert [line.partition("stream ")[2] for line in lines[5:]] == ["(nil): 1000 2000 64", "(nil): 3000 4000 40"]


def test_launches_take_the_device_of_the_tensors_and_torch_s_stream_of_it(recorder: Path) -> None:
    program = """
stand_in_for_torch()
Streams.device, Streams.streams = 1, {0: 0x70, 1: 0x71}
kernel = vmc.compile(SOURCE, target="cuda")
kernel(f32(0x1000, 100, device=1), f32(0x2000, 100, device=1))
x = f32(0x1000, 100)
kernel(x, f32(0x2000, 100))
print("read on", hex(x.stream), flush=True)
refused(kernel, f32(0x1000, 100, device=1), f32(0x2000, 100))
"""
    lines = said(recorder, compiled_for(TWICE, "sm_90a") + program, "9.0 9.0")
    assert [line for line in lines if "load" in line] == ["load cubin on 1", "load cubin on 0"]
    first, second = launches(lines)
    assert first.startswith("launch twice on 1: ") and "stream 0x71" in first
    assert second.startswith("launch twice on 0: ") and "stream 0x70" in second
    assert "read on 0x70" in lines
    assert "argument `y`: is on cuda:0, and `x` on cuda:1 (pass tensors of one device)" in lines[-1]


def test_code_for_another_device_is_refused_before_the_driver_sees_it(recorder: Path) -> None:
    program = """
kernel = vmc.compile(SOURCE, target="cuda:sm_90a")
refused(kernel, f32(0x1000, 100), f32(0x2000, 100))
old = vmc.compile(SOURCE, target="cuda:sm_80")
old(f32(0x1000, 100, device=1), f32(0x2000, 100, device=1))
"""
    lines = said(recorder, compiled_for(TWICE, "sm_90a", "sm_80") + program, "8.0 10.0")
    refusal = next(line for line in lines if line.startswith("TargetError"))
    assert "device 0 (compute capability 8.0) does not execute code for sm_90a; compile for cuda:sm_80" in refusal
    assert "load ptx on 1" in lines and len(launches(lines)) == 1


def test_what_a_driver_says_of_newer_code_comes_with_its_version(recorder: Path) -> None:
    program = 'refused(vmc.compile, SOURCE, None, "cuda")\n'
    lines = said(recorder, compiled_for(TWICE, "sm_90a") + program, RECORDER_REFUSES="1")
    refusal = next(line for line in lines if line.startswith("TargetError"))
    assert "cuModuleLoadData: CUDA_ERROR_INVALID_IMAGE" in refusal and "the driver is one of CUDA 12.4" in refusal


def test_a_block_that_a_smaller_device_has_no_room_for_is_refused_before_the_driver_sees_it(recorder: Path) -> None:
    program = """
kernel = vmc.compile(SOURCE, target="cuda:sm_80")
kernel(f32(0x100000, 16384), f32(0x200000, 16384))
refused(kernel, f32(0x100000, 16384, device=1), f32(0x200000, 16384, device=1))
"""
    lines = said(recorder, compiled_for(ROOMY, "sm_80") + program, "8.0 8.6", parameters=2)
    assert "attribute 8 of roomy is 131072" in lines and len(launches(lines)) == 1
    refusal = next(line for line in lines if line.startswith("TargetError"))
    assert (
        "a block of `roomy` takes 128.0 KiB of shared memory, and device 1 (compute capability 8.6) has 99.0" in refusal
    )
    assert "load cubin on 1" not in lines


def test_systems_on_a_chip_get_ptx(recorder: Path) -> None:
    program = 'vmc.compile(SOURCE, target="cuda:sm_80")(f32(0x1000, 100), f32(0x2000, 100))\n'
    lines = said(recorder, compiled_for(TWICE, "sm_80") + program, "8.7")
    assert "load ptx on 0" in lines and len(launches(lines)) == 1


def test_numbers_of_the_driver_are_those_of_cuda_h() -> None:
    """Against NVIDIA's own bindings, which are generated from the header."""
    from cuda.bindings import driver as theirs

    from vmc.runtime import driver as ours

    attribute, function, result = theirs.CUdevice_attribute, theirs.CUfunction_attribute, theirs.CUresult
    assert ours.MAJOR == attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    assert ours.MINOR == attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
    assert ours.MULTIPROCESSORS == attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
    assert ours.SHARED_OF_A_BLOCK == attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    assert ours.MAX_DYNAMIC_SHARED == function.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    assert ours.RELAXED == theirs.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
    assert ours.PINNED == theirs.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    assert ours.ON_DEVICE == theirs.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    assert ours.THRESHOLD == theirs.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
    assert ours.ASSERT == result.CUDA_ERROR_ASSERT
    names = ("INVALID_IMAGE", "NO_BINARY_FOR_GPU", "INVALID_PTX", "UNSUPPORTED_PTX_VERSION")
    assert list(ours.UNKNOWN_CODE) == [getattr(result, f"CUDA_ERROR_{name}") for name in names]


def test_the_native_runtime_has_the_same_numbers() -> None:
    from vmc.runtime import driver as ours

    text = (ROOT / "vmc" / "artifact" / "native" / "driver.c").read_text()
    numbers = {name: int(value) for name, value in re.findall(r"\b([A-Z_]+) = (\d+)[,; }]", text)}
    pairs = {
        "MAJOR": ours.MAJOR,
        "MINOR": ours.MINOR,
        "SHARED_OF_A_BLOCK": ours.SHARED_OF_A_BLOCK,
        "MAX_DYNAMIC_SHARED_SIZE_BYTES": ours.MAX_DYNAMIC_SHARED,
        "RELAXED": ours.RELAXED,
        "ASSERT": ours.ASSERT,
        "PINNED": ours.PINNED,
        "ON_DEVICE": ours.ON_DEVICE,
        "RELEASE_THRESHOLD": ours.THRESHOLD,
    }
    assert {name: numbers[name] for name in pairs} == pairs
    rest = ("INVALID_IMAGE", "NO_BINARY_FOR_GPU", "INVALID_PTX", "UNSUPPORTED_PTX_VERSION")
    assert tuple(numbers[name] for name in rest) == ours.UNKNOWN_CODE


def test_arrays_of_the_cpu_are_refused_with_what_to_do(recorder: Path) -> None:
    program = """
import numpy as np
kernel = vmc.compile(SOURCE, target="cuda")
refused(kernel, np.zeros(9, np.float32), f32(0x2000, 9))
refused(vmc.compile(SOURCE), f32(0x1000, 9), f32(0x2000, 9))
"""
    lines = said(recorder, compiled_for(TWICE, "sm_90a") + program)
    here, there = [line for line in lines if line.startswith("ArgumentError")]
    assert "is on cpu; this target takes tensors in the GPU's memory (pass a copy on the GPU, or" in here
    assert (
        "is on cuda:0; this target takes arrays in the CPU's memory (pass a copy in the CPU's memory, or compile it "
        in there
    )


def test_without_a_device_there_are_clear_errors(recorder: Path) -> None:
    program = 'refused(vmc.compile, SOURCE, None, "cuda")\nkernel = vmc.compile(SOURCE, target="cuda:sm_80")\n'
    program += "refused(kernel, f32(0x1000, 9), f32(0x2000, 9))\n"
    lines = said(recorder, compiled_for(TWICE, "sm_80") + program, "")
    errors = [line for line in lines if line.startswith("TargetError")]
    assert len(errors) == 2
    assert all("cuDeviceGet: CUDA_ERROR_INVALID_DEVICE: invalid device ordinal" in line for line in errors)
    with pytest.raises(vmc.TargetError, match=r"there is no CUDA driver: libcuda\.so\.1"):
        vmc.compile("kernel k(y: out f32[N]):\n    for i in grid(N):\n        y[i] = 1.0\n", target="cuda")


def test_a_failed_assert_of_an_earlier_launch_is_told(recorder: Path) -> None:
    program = 'kernel = vmc.compile(SOURCE, target="cuda")\nrefused(kernel, f32(0x1000, 9), f32(0x2000, 9))\n'
    lines = said(recorder, compiled_for(TWICE, "sm_90a") + program, RECORDER_LAUNCH_FAILS="710")
    assert "ExecutionError: an assert of a kernel that was launched before failed; its message is on stderr" in lines


def test_scalars_go_through_and_bytes_without_a_label_are_refused(recorder: Path) -> None:
    program = """
kernel = vmc.compile(SOURCE, target="cuda")
kernel(1.5, f16(0x1000, 4, 128), f16(0x3000, 128, 64), f32(0x2000, 4, 64))
packed = vmc.compile(SOURCE, target="cuda", T="u4")
refused(packed, 1.5, f16(0x1000, 4, 128), u8(0x3000, 64 * 64), f32(0x2000, 4, 64))
"""
    source = compiled_for(PRODUCT, "sm_80")
    vmc.compile(source.split('"""')[1], target="cuda:sm_80", T="u4")
    lines = said(recorder, source + program, "8.0", 7)
    assert "argument `w`: is bytes without a label" in lines[-1]
    (launch,) = launches(lines)
    assert launch.endswith("stream (nil): 3fc00000 1000 3000 2000 4 80 40")


def test_a_kernel_of_two_launches_takes_a_workspace_in_the_stream_s_order(recorder: Path) -> None:
    program = """
stand_in_for_torch()
Streams.streams = {0: 0x70}
kernel = vmc.compile(SOURCE, target="cuda")
x, y = f16(0x1000, 5, 300), f32(0x2000, 5, 100)
kernel(x, f16(0x4000, 300, 100), y)
kernel(x, f16(0x4000, 300, 100), y)
"""
    lines = said(recorder, compiled_for(TWO_LAUNCHES, "sm_80") + program, "8.0", 8)
    assert lines[2:5] == ["load cubin on 0", "function rows_once", "function rows"]
    assert lines[5:7] == [
        "pool of memory 1 on device 0, for handles of type 0",
        "attribute 4 of pool 0x9000 is ffffffffffffffff",
    ]
    one, again = lines[7:11], lines[11:]
    assert one == again and one[0] == "allocate 12544 bytes of pool 0x9000, stream 0x70"
    assert one[3] == "free 7000000, stream 0x70"
    words = "stream 0x70: 1000 4000 2000 5 12c 64 7000000 7000100"
    assert one[1].startswith("launch rows_once on 0: 3 1 1 blocks") and one[1].endswith(words)
    assert one[2].startswith("launch rows on 0: 2 1 1 blocks") and one[2].endswith(words)


def test_a_library_launches_on_the_device_of_the_tensors(recorder: Path, tmp_path: Path) -> None:
    source = tmp_path / "twice.vmc"
    source.write_text(TWICE.split('"""')[1])
    vmc.build([source], tmp_path / "lib.so", targets=["cuda:sm_80", "cuda:sm_90a", "cpu:x86-64"])
    program = f"""
stand_in_for_torch()
Streams.device, Streams.streams = 1, {{0: 0x70, 1: 0x71}}
lib = vmc.load({str(tmp_path / "lib.so")!r})
kernel = lib.twice.on("cuda")
print("code for", kernel.target, flush=True)
kernel(f32(0x1000, 100, device=1), f32(0x2000, 100, device=1))
refused(kernel, f32(0x1000, 100), f32(0x2000, 100))
refused(lib.twice, f32(0x1000, 100), f32(0x2000, 100))
"""
    lines = said(recorder, program, "8.0 9.0")
    assert "code for cuda:sm_90a" in lines
    (launch,) = launches(lines)
    assert launch.startswith("launch twice on 1: 4 1 1 blocks") and launch.endswith("stream 0x71: 1000 2000 64")
    other, cpu = [line for line in lines if "Error" in line]
    assert "device 0 gets the library's code for cuda:sm_80, and this is the kernel for cuda:sm_90a" in other
    assert (
        "takes arrays in the CPU's memory (pass a copy in the CPU's memory, or use .on(\"cuda\") of the kernel)" in cpu
    )
