"""Libraries with code for GPUs: what they hold, what they ask of the driver, and what they say where there is none.

Nothing is executed on a GPU here: `recorder.c` stands in for the driver and prints what it is asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from tests.artifact.test_native_programs import STRICT, run
from vmc.artifact.images import images
from vmc.artifact.linking import compiler
from vmc.backends.cpu.levels import LEVELS
from vmc.ir.dims import evaluate
from vmc.runtime.compiling import elaborate
from vmc.runtime.cuda import compiled

SOURCE = """
kernel affine[T: type = u3, B = 64](a: f32, w: T[M, N], by: i16, h: f16, y: out f32[M, N]):
    for m, n in grid(M, cdiv(N, B)):
        y[m, n*B : +B] = a * f32(w[m, n*B : +B]) + f32(by) + f32(h)
"""

CALLS = """
#include <stdio.h>
#include <stdlib.h>
#include "gpu.h"

int main(int count, char **words) {
    vmc_error error;
    int device = atoi(words[1]);
    for (int turn = 2; turn < count; turn++) {
        int64_t columns = atoll(words[turn]);
        vmc_affine_arguments arguments = {.a = 1.5, .w = {(void *)0x1000, {5, columns}}, .by = -2, .h = 0.5,
                                          .y = {(void *)0x20000000000, {5, columns}}};
        if (columns == 7) arguments.w.data = (void *)0x1004;
        vmc_where where = {.device_type = VMC_CUDA, .device = device, .stream = (void *)0x77};
        int wrong = vmc_affine(&arguments, &where, &error);
        if (wrong) printf("%d %s\\n", wrong, error.message);
    }
    printf("%lld %lld\\n", (long long)vmc_affine_w_bytes_sm_80(5, 100), (long long)vmc_affine_w_bytes_sm_90a(5, 100));
    return 0;
}
"""

TENSORS = """
import ctypes, sys

class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("type", ctypes.c_int32), ("device", ctypes.c_int32),
                ("rank", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.c_void_p), ("offset", ctypes.c_uint64)]

class Any(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("padding", ctypes.c_uint32), ("value", ctypes.c_uint64)]

def tensor(address, device, code, bits, *shape):
    kept.append(Tensor(address, 2, device, len(shape), code, bits, 1, (ctypes.c_int64 * len(shape))(*shape), None, 0))
    return Any(7, 0, ctypes.addressof(kept[-1]))

def real(number):
    return Any(3, 0, ctypes.c_uint64.from_buffer(ctypes.c_double(number)).value)

kept = []
ffi = ctypes.CDLL(sys.argv[2])
ffi.TVMFFIEnvSetStream(2, 1, ctypes.c_void_p(0x55), None)
call = ctypes.CDLL(sys.argv[1])["__tvm_ffi_affine"]
for other in (1, 0):
    w, y = tensor(0x1000, 1, 1, 8, 19), tensor(0x2000, other, 2, 32, 5, 10)
    arguments = (Any * 5)(real(1.5), w, Any(1, 0, 7), real(-2.0), y)
    result = Any()
    print(call(None, arguments, 5, ctypes.byref(result)), flush=True)
"""


TWO = """
kernel rows[BN = 64](x: f16[M, K], w: f16[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, 16), cdiv(N, BN)):
        acc = zeros(f32[16, BN])
        for k in range(0, K, 128):
            a = f32(x[mi*16 : +16, k : +128])
            most = max(abs(a), axis=1, keepdims=true)
            q = f16(round(a * (127 / max(most, 1e-30))))
            acc += (q @ w[k : +128, ni*BN : +BN]) * most
        y[mi*16 : +16, ni*BN : +BN] = acc
"""

CALL_TWO = """
#include <stdio.h>
#include <stdlib.h>
#include "two.h"

int main(int count, char **words) {
    vmc_error error;
    for (int turn = 1; turn < count; turn++) {
        int64_t rows = atoll(words[turn]), depth = 300, columns = 100;
        vmc_rows_arguments arguments = {.x = {(void *)0x1000, {rows, depth}}, .w = {(void *)0x20000, {depth, columns}},
                                        .y = {(void *)0x20000000000, {rows, columns}}};
        vmc_where where = {.device_type = VMC_CUDA, .stream = (void *)(uintptr_t)(0x70 + turn)};
        int wrong = vmc_rows(&arguments, &where, &error);
        if (wrong) printf("%d %s\\n", wrong, error.message);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def two(place: Path) -> Path:
    """The folder, with a library of a kernel that is two launches, and a program that calls it, as well."""
    vmc.build([TWO], place / "two.so", targets=["cuda:sm_80"], header=place / "two.h")
    (place / "two.c").write_text(CALL_TWO)
    links = [f"-L{place}", "-l:two.so", f"-Wl,-rpath,{place}", "-o", str(place / "two")]
    run([*compiler(), "-Wall", "-Werror", f"-I{place}", str(place / "two.c"), *links])
    return place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A folder with a library of code for GPUs alone, a program that calls it, and the recorder in `driver`."""
    folder = tmp_path_factory.mktemp("gpu")
    vmc.build([SOURCE], folder / "gpu.so", targets=["cuda:sm_90a", "cuda:sm_80"], header=folder / "gpu.h")
    (folder / "driver").mkdir()
    recorder = str(Path(__file__).with_name("recorder.c"))
    run([*compiler(), *STRICT, "-shared", "-fPIC", recorder, "-o", str(folder / "driver" / "libcuda.so.1")])
    (folder / "main.c").write_text(CALLS)
    links = [f"-L{folder}", "-l:gpu.so", f"-Wl,-rpath,{folder}", "-o", str(folder / "main")]
    run([*compiler(), "-Wall", "-Werror", f"-I{folder}", str(folder / "main.c"), *links])
    return folder


def said(place: Path, command: list[str], capabilities: str, **more: str) -> list[str]:
    """What a program and the recorder print."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(place / "driver"), "RECORDER_PARAMETERS": "7", **more}
    environment |= {"RECORDER_CAPABILITIES": capabilities, "TVM_FFI_DISABLE_TORCH_C_DLPACK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_without_a_driver_an_error_says_so(place: Path) -> None:
    lines = run([str(place / "main"), "0", "64"]).splitlines()
    assert lines[0].startswith("5 there is no CUDA driver: libcuda.so.1: cannot open shared object file")


def test_a_launch_passes_what_the_kernel_was_compiled_for(place: Path) -> None:
    kernel = elaborate(SOURCE, "<text>", None, "cpu", {})
    made = compiled(kernel._tile, "cuda:sm_90a")
    (grid,) = made.grids
    kinds = [(one.name, one.kind) for one in made.parameters]
    assert kinds == [
        ("a", "float32"),
        ("w", "pointer"),
        ("by", "uint32"),
        ("h", "uint32"),
        ("y", "pointer"),
        ("M", "int64"),
        ("N", "int64"),
    ]
    lines = said(place, [str(place / "main"), "1", "100", "0", "64"], "8.0 9.0")
    launches = [line for line in lines if line.startswith("launch")]
    expected = []
    for columns in (100, 64):
        blocks = grid.blocks({"M": 5, "N": columns}, [1.5, -2, 0.5])
        head = f"launch affine on 1: {blocks} 1 1 blocks, {grid.threads} 1 1 threads, {grid.dynamic_shared} bytes"
        words = f"3fc00000 1000 {2**64 - 2:x} 3800 20000000000 5 {columns:x}"
        expected.append(f"{head}, stream 0x77: {words}")
    assert launches == expected, "a launch of no blocks is none"
    assert lines[:4] == ["init", "retain 1", "load cubin on 1", "function affine"]
    assert lines[-3:] == ["188 188", "unload", "release 1"]


@pytest.mark.parametrize(
    ("capability", "loaded"),
    [
        ("9.0", "load cubin on 0"),
        ("8.0", "load cubin on 0"),
        ("8.6", "load cubin on 0"),
        ("8.7", "load ptx on 0"),
        ("10.0", "load ptx on 0"),
        ("12.0", "load ptx on 0"),
        ("7.5", "4 affine: the library has code for sm_80, sm_90a, and device 0 has compute capability 7.5"),
    ],
)
def test_every_device_gets_code_that_it_can_execute(place: Path, capability: str, loaded: str) -> None:
    assert said(place, [str(place / "main"), "0", "64"], capability)[2] == loaded


def test_what_the_driver_refuses_is_an_error(place: Path) -> None:
    lines = said(place, [str(place / "main"), "3", "64"], "9.0")
    assert lines[1] == "5 the CUDA driver: cuDeviceGet: CUDA_ERROR_INVALID_DEVICE: invalid device ordinal"
    lines = said(place, [str(place / "main"), "0", "64"], "9.0", RECORDER_REFUSES="1")
    assert lines[2].startswith("5 the CUDA driver: cuModuleLoadData: CUDA_ERROR_INVALID_IMAGE")
    assert lines[2].endswith("the driver is one of CUDA 12.4: code that a newer CUDA made may need a newer driver")
    lines = said(place, [str(place / "main"), "0", "64"], "9.0", RECORDER_LAUNCH_FAILS="710")
    assert lines[4] == "2 an assert of a kernel that was launched before failed; its message is on stderr"
    lines = said(place, [str(place / "main"), "99", str(1 << 60)], "9.0")
    assert lines[0] == "4 there is no device 99"
    lines = said(place, [str(place / "main"), "0", str(1 << 36), "7"], "9.0")
    assert lines[2] == f"1 affine: a launch of {5 << 30} blocks; the most is 2147483647"
    assert lines[3] == "1 affine: argument `w`: must be aligned to 16 bytes, got the address 0x1004"


def test_tensors_of_a_gpu_run_on_the_stream_that_tvm_ffi_has(place: Path) -> None:
    library = pytest.importorskip("tvm_ffi.libinfo").find_libtvm_ffi()
    lines = said(place, [sys.executable, "-c", TENSORS, str(place / "gpu.so"), str(library)], "8.0 9.0")
    launch = next(line for line in lines if line.startswith("launch"))
    assert "on 1: 5 1 1 blocks" in launch and "stream 0x55: 3fc00000 1000 7 c000 2000 5 a" in launch
    assert [line for line in lines if line in ("0", "-1")] == ["0", "-1"], "tensors of two devices are refused"


def test_tensors_of_the_cpu_are_refused_without_code_for_it(place: Path) -> None:
    np = pytest.importorskip("numpy")
    tvm_ffi = pytest.importorskip("tvm_ffi")
    module = tvm_ffi.load_module(str(place / "gpu.so"))
    with pytest.raises(RuntimeError, match="affine: the library has no code for the CPU"):
        module.affine(1, np.zeros(19, np.uint8), 0, 0, np.zeros((5, 10), np.float32))


def test_a_library_packs_for_a_gpu_without_one(place: Path) -> None:
    kernel = vmc.load(place / "gpu.so").affine
    assert kernel.targets == ("cuda:sm_80", "cuda:sm_90a") and kernel.target == "cuda:sm_80"
    assert kernel.on("cuda:sm_90a").pack("w", [[1, 2, 3, 4]]).nbytes == 2
    with pytest.raises(vmc.TargetError, match="no code of `affine` for cpu; it has for cuda:sm_80, cuda:sm_90a"):
        kernel.on("cpu")


def test_the_cubins_lie_in_the_library_as_they_were_compiled(place: Path) -> None:
    kernel = elaborate(SOURCE, "<text>", None, "cpu", {})
    data = (place / "gpu.so").read_bytes()
    made = images(kernel._tile, "affine", ["sm_80", "sm_90a"], LEVELS["x86-64"])
    assert [(one.arch, one.is_ptx) for one in made.images] == [
        ("sm_80", False),
        ("sm_80", True),
        ("sm_90a", False),
    ]
    assert all(data.count(one.data) == 1 for one in made.images)


def test_a_grid_that_depends_on_a_tensor_is_refused(tmp_path: Path) -> None:
    source = "kernel k(n: i64[1], y: out i32[N]):\n    for i in grid(n[0]):\n        y[i] = 1\n"
    with pytest.raises(vmc.TargetError, match="<text>:2:19: how many blocks `k` has depends on a tensor"):
        vmc.build([source], tmp_path / "lib.so", targets=["cuda:sm_80"])


def test_targets_without_an_architecture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(vmc.TargetError, match="named architectures of GPUs: cuda:sm_80"):
        vmc.build([SOURCE], tmp_path / "lib.so", targets=["cuda"])
    with pytest.raises(vmc.TargetError, match="unknown target `cuda:sm_70`"):
        vmc.build([SOURCE], tmp_path / "lib.so", targets=["cuda:sm_70"])


def test_a_kernel_of_two_launches_has_a_workspace_of_its_own_in_the_stream_s_order(two: Path) -> None:
    made = compiled(elaborate(TWO, "<text>", None, "cpu", {})._tile, "cuda:sm_80")
    lines = said(two, [str(two / "two"), "5", "17", "0"], "8.0", RECORDER_PARAMETERS="8")
    pool = "pool of memory 1 on device 0, for handles of type 0"
    assert lines[:6] == ["init", "retain 0", "load cubin on 0", "function rows_once", "function rows", pool]
    assert lines[6] == "attribute 4 of pool 0x9000 is ffffffffffffffff"
    expected = []
    for rows, stream in ((5, 0x71), (17, 0x72)):
        symbols = {"M": rows, "K": 300, "N": 100}
        sizes = [evaluate(size, symbols) for size in made.workspace_sizes]
        room = [-(-size // 256) * 256 for size in sizes]
        places = [0x7000000 + sum(room[:place]) for place in range(len(sizes))]
        words = " ".join(f"{word:x}" for word in (0x1000, 0x20000, 0x20000000000, rows, 300, 100, *places))
        expected.append(f"allocate {sum(room)} bytes of pool 0x9000, stream {stream:#x}")
        for grid in made.grids:
            head = f"launch {grid.entry} on 0: {grid.blocks(symbols, [])} 1 1 blocks, {grid.threads} 1 1 threads"
            expected.append(f"{head}, {grid.dynamic_shared} bytes, stream {stream:#x}: {words}")
        expected.append(f"free 7000000, stream {stream:#x}")
    assert lines[7:-3] == expected, "a launch of no blocks is none"
    assert lines[-3:] == ["unload", "destroy pool 0x9000", "release 0"]


def test_without_memory_for_the_workspace_nothing_is_launched(two: Path) -> None:
    lines = said(two, [str(two / "two"), "5", "17"], "8.0", RECORDER_NO_MEMORY="1")
    wrong = "5 the CUDA driver: cuMemAllocFromPoolAsync: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
    assert [line for line in lines if line.startswith("5 ")] == [wrong] * 2
    assert not any(line.startswith(("launch", "free")) for line in lines)


def test_a_launch_that_fails_gives_the_workspace_back(two: Path) -> None:
    lines = said(two, [str(two / "two"), "5"], "8.0", RECORDER_LAUNCH_FAILS="710")
    assert lines[7].startswith("allocate") and lines[8].startswith("free 7000000")
    assert lines[9] == "2 an assert of a kernel that was launched before failed; its message is on stderr"


def test_the_manifest_and_the_header_tell_launches_and_bytes(two: Path) -> None:
    (entry,) = vmc.load(two / "two.so").manifest.kernels
    told = entry.launches["cuda:sm_80"]
    assert told.functions == ("rows_once", "rows")
    assert told.workspace[-1] == "((2 * (cdiv(M, 16) * 16)) * (cdiv(K, 128) * 128))"
    assert "/* cuda:sm_80: launches rows_once, rows, in a workspace of " in (two / "two.h").read_text()


def test_two_builds_of_several_launches_are_the_same_bytes(two: Path, tmp_path: Path) -> None:
    vmc.build([TWO], tmp_path / "two.so", targets=["cuda:sm_80"])
    assert (tmp_path / "two.so").read_bytes() == (two / "two.so").read_bytes()


SHARED = """
fast kernel rows(x: f16[M, K], w: f16[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, 16), cdiv(N, 64)):
        acc = zeros(f32[16, 64])
        for k in range(0, K, 64):
            acc += x[mi*16 : +16, k : +64] @ w[k : +64, ni*64 : +64]
        y[mi*16 : +16, ni*64 : +64] = acc
"""


def test_how_many_blocks_share_a_loop_depends_on_the_device_s_multiprocessors(place: Path, tmp_path: Path) -> None:
    vmc.build([SHARED], tmp_path / "shared.so", targets=["cuda:sm_80"], header=tmp_path / "two.h")
    (tmp_path / "two.c").write_text(CALL_TWO.replace("depth = 300", "depth = 1024"))
    links = [f"-L{tmp_path}", "-l:shared.so", f"-Wl,-rpath,{tmp_path}", "-o", str(tmp_path / "shared")]
    run([*compiler(), "-Wall", "-Werror", f"-I{tmp_path}", str(tmp_path / "two.c"), *links])
    lines = said(place, [str(tmp_path / "shared"), "5", "1700"], "8.0", RECORDER_PARAMETERS="8")
    (entry,) = vmc.load(tmp_path / "shared.so").manifest.kernels
    assert entry.symbols == ("M", "K", "N") and entry.launches["cuda:sm_80"].functions == ("rows", "rows_sum")
    few, many = 2 * 4, 107 * 2  # 100 multiprocessors: all parts that K allows; one
    launches = [line for line in lines if line.startswith("launch")]
    assert [line.partition(" 1 1 blocks")[0] for line in launches] == [
        f"launch rows on 0: {few}",
        "launch rows_sum on 0: 2",
        f"launch rows on 0: {many}",
    ]
    words = "1000 20000 20000000000 5 400 64 64 7000000"
    assert all(line.endswith(f": {words}") for line in launches[:2])
    assert [line for line in lines if line.startswith("allocate")] == [
        f"allocate {4 * 2 * 16 * 64 * 4} bytes of pool 0x9000, stream 0x71"
    ]
