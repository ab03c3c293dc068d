"""Libraries in programs of C and C++ that are compiled here: no Python, and in C no TVM-FFI either."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vmc
from tests.artifact.programs import SMALL
from vmc.artifact.linking import compiler

C = """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "small.h"

int main(void) {
    enum { N = 1 << 18 };
    vmc_error error;
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    for (int i = 0; i < N; i++) x[i] = i % 100, y[i] = 1;
    vmc_axpy_arguments axpy = {.a = 0.5, .x = {x, {N}}, .y = {y, {N}}};
    if (vmc_axpy(&axpy, NULL, &error) != VMC_OK || error.code != VMC_OK) return 1;
    for (int i = 0; i < N; i++)
        if (y[i] != 1 + 0.5f * (i % 100)) return 2;

    uint8_t packed[19];
    int32_t codes[50], back[50] = {0};
    for (int i = 0; i < 50; i++) codes[i] = i % 8;
    if (vmc_narrow_y_bytes(50) != sizeof packed || vmc_narrow_y_bytes(-1) != -1) return 3;
    vmc_narrow_arguments narrow = {.x = {codes, {50}}, .y = {packed, {50}}};
    if (vmc_narrow(&narrow, &(vmc_where){.device_type = VMC_CPU, .threads = 1}, &error)) return 4;
    vmc_widen_arguments widen = {.w = {packed, {50}}, .y = {back, {50}}};
    if (vmc_widen(&widen, NULL, NULL)) return 5;
    if (memcmp(codes, back, sizeof codes)) return 6;

    axpy.y.extents[0] = N - 1;
    if (vmc_axpy(&axpy, NULL, &error) != VMC_ARGUMENT || vmc_axpy(&axpy, NULL, NULL) != VMC_ARGUMENT) return 7;
    puts(error.message);
    codes[49] = -1;
    vmc_positive_arguments positive = {.x = {codes, {50}}, .y = {back, {50}}};
    if (vmc_positive(&positive, NULL, &error) != VMC_EXECUTION) return 8;
    puts(error.message);
    if (vmc_positive(&positive, &(vmc_where){.device_type = VMC_CUDA}, &error) != VMC_TARGET) return 9;
    puts(error.message);
    positive.x.data = NULL;
    if (vmc_positive(&positive, NULL, &error) != VMC_ARGUMENT) return 10;
    puts(error.message);
    free(x), free(y);
    return 0;
}
"""

UNLOADING = """
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "small.h"

static int threads(void) {
    DIR *folder = opendir("/proc/self/task");
    int count = -2;
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static int is_mapped(const char *name) {
    char line[4096];
    int found = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, file)) found |= strstr(line, name) != NULL;
    fclose(file);
    return found;
}

int main(int count, char **names) {
    enum { N = 1 << 18 };
    int32_t *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y);
    vmc_shift_arguments arguments = {.by = 3, .x = {x, {N}}, .y = {y, {N}}};
    (void)count;
    for (int turn = 0; turn < 20; turn++) {
        void *library = dlopen(names[1], RTLD_NOW | RTLD_LOCAL);
        if (!library) return 1;
        int (*shift)(const vmc_shift_arguments *, const vmc_where *, vmc_error *) = dlsym(library, "vmc_shift");
        if (shift(&arguments, NULL, NULL) || y[N - 1] != 3 || threads() != 3) return 2;
        pid_t child = fork();
        if (!child) {
            if (threads() != 1 || shift(&arguments, NULL, NULL) || threads() != 3) exit(1);
            dlclose(library);
            exit(threads() != 1);
        }
        int status;
        waitpid(child, &status, 0);
        if (status) return 3;
        if (dlclose(library) || threads() != 1 || is_mapped(names[1])) return 4;
    }
    return 0;
}
"""

CPP = """
#include <cstdio>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include "small.h"

namespace ffi = tvm::ffi;

static DLTensor tensor(void *data, int64_t *extent) {
    return DLTensor{data, DLDevice{kDLCPU, 0}, 1, DLDataType{kDLFloat, 32, 1}, extent, nullptr, 0};
}

int main(int, char **names) {
    ffi::Module module = ffi::Module::LoadFromFile(names[1]);
    ffi::Function axpy = module->GetFunction("axpy").value();
    float x[] = {1, 2, 3}, y[] = {10, 20, 30};
    int64_t three = 3, two = 2;
    DLTensor a = tensor(x, &three), b = tensor(y, &three), wrong = tensor(y, &two);
    axpy(2.0, ffi::TensorView(&a), ffi::TensorView(&b));
    if (y[0] != 12 || y[1] != 24 || y[2] != 36) return 1;
    try {
        axpy(2.0, ffi::TensorView(&a), ffi::TensorView(&wrong));
        return 2;
    } catch (const ffi::Error &error) {
        std::puts(error.message().c_str());
    }
    vmc_axpy_arguments arguments = {2.0, {x, {3}}, {y, {3}}};
    if (vmc_axpy(nullptr, nullptr, nullptr) == VMC_OK) return 3;
    return vmc_axpy(&arguments, nullptr, nullptr) != VMC_OK || y[2] != 42;
}
"""

CROSS, QEMU = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(command: list[str], threads: int = 2) -> str:
    """What a program prints. A compiler's own complaint fails the test."""
    environment = {**os.environ, "VMC_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_a_c_program_needs_the_library_and_libc_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(C)
    program = str(tmp_path / "main")
    flags = [*STRICT, "-std=c99", f"-I{folder}", str(tmp_path / "main.c")]
    run([*compiler(), *flags, f"-L{folder}", "-l:small.so", f"-Wl,-rpath,{folder}", "-o", program])
    assert run([program]).splitlines() == [
        "axpy: argument `y`: symbol `N` is 262144 by `x`, but 262143 by `y`, [262143]",
        "<text>:27:9: a number is negative",
        "positive: the library has no code for GPUs",
        "positive: argument `x`: is a null pointer",
    ]
    needed = {line.split()[0] for line in run(["ldd", str(folder / "small.so")]).splitlines()}
    assert {name.rpartition("/")[2].partition(".")[0] for name in needed} <= {
        "linux-vdso",
        "libc",
        "libm",
        "ld-linux-x86-64",
    }


def test_a_library_that_is_closed_leaves_no_thread_and_no_code(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(UNLOADING)
    program = str(tmp_path / "main")
    run([*compiler(), "-Wall", "-Werror", f"-I{folder}", str(tmp_path / "main.c"), "-ldl", "-o", program])
    run([program, str(folder / "small.so")], threads=3)


def test_a_cpp_program_calls_it_through_tvm_ffi_and_through_the_header(folder: Path, tmp_path: Path) -> None:
    libinfo = pytest.importorskip("tvm_ffi.libinfo")
    (tmp_path / "main.cc").write_text(CPP)
    program, library = str(tmp_path / "main"), Path(libinfo.find_libtvm_ffi())
    flags = ["-std=c++17", "-Wall", "-Werror", f"-I{folder}"]
    flags += [f"-I{path}" for path in (libinfo.find_include_path(), libinfo.find_dlpack_include_path())]
    links = [f"-L{folder}", "-l:small.so", f"-Wl,-rpath,{folder}", str(library), f"-Wl,-rpath,{library.parent}"]
    run(["g++", *flags, str(tmp_path / "main.cc"), *links, "-o", program])
    said = run([program, str(folder / "small.so")])
    assert said.strip() == "axpy: argument `y`: symbol `N` is 3 by `x`, but 2 by `y`, float32[2]"


@pytest.mark.skipif(not (CROSS and QEMU), reason="needs aarch64-linux-gnu-gcc and qemu-aarch64")
def test_a_library_for_aarch64_works_in_an_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", str(CROSS))
    monkeypatch.setenv("QEMU_LD_PREFIX", "/usr/aarch64-linux-gnu")
    made = vmc.build([SMALL], tmp_path / "small.so", targets=["cpu:aarch64"], header=tmp_path / "small.h")
    assert made.levels == ("aarch64",)
    (tmp_path / "main.c").write_text(C)
    links = [f"-L{tmp_path}", "-l:small.so", f"-Wl,-rpath,{tmp_path}", "-o", str(tmp_path / "main")]
    run([str(CROSS), f"-I{tmp_path}", str(tmp_path / "main.c"), *links])
    assert "a number is negative" in run([str(QEMU), "-cpu", "max", str(tmp_path / "main")])
    lacking = subprocess.run([str(QEMU), "-cpu", "cortex-a53", str(tmp_path / "main")], check=False)
    assert lacking.returncode == 1, "a processor without dot products gets an error, not a crash"
    if platform.machine() != "aarch64":
        with pytest.raises(vmc.LibraryError, match="cannot be loaded"):
            vmc.load(tmp_path / "small.so")
        monkeypatch.delenv("CC")
        with pytest.raises(vmc.BuildError, match="not for aarch64"):
            vmc.build([SMALL], tmp_path / "other.so", targets=["cpu:aarch64"])


def test_code_for_processors_that_this_one_is_not_is_an_error(tmp_path: Path) -> None:
    """Of all levels, the ones that this machine lacks, without the code being executed."""
    from vmc.backends.cpu.levels import LEVELS
    from vmc.backends.cpu.target import missing

    if not missing(LEVELS["amx"]):
        pytest.skip("this machine can execute all levels")
    source = "kernel one(y: out i32[1]):\n    for i in grid(1):\n        y[i] = 1\n"
    vmc.build([source], tmp_path / "lib.so", targets=["cpu:amx"])
    with pytest.raises(vmc.TargetError, match="can execute none of the levels that the library has code for: amx"):
        vmc.load(tmp_path / "lib.so").one(np.zeros(1, np.int32))


def test_the_best_level_is_chosen_and_another_can_be_forced(tmp_path: Path) -> None:
    from vmc.backends.cpu.target import best

    head = "kernel halve(x: f16[N], y: out f32[N]):\n    for i in grid(N):\n"
    source = head + "        y[i] = fma(f32(x[i]), 0.5, round(f32(x[i]) - f32(x[i])))\n"  # of libm on the first level
    level = best()
    assert level is not None
    made = vmc.build([source], tmp_path / "lib.so", targets=["cpu:x86-64", f"cpu:{level.name}", "cpu:amx"])
    assert made.levels[0] == "x86-64" and made.levels[-1] == "amx"
    code = (
        "import sys, numpy as np, vmc; x = np.arange(9, dtype=np.float16); y = np.zeros(9, np.float32);"
        "vmc.load(sys.argv[1]).halve(x, y); assert (y == np.arange(9) / 2).all()"
    )
    for name in ("", "x86-64", level.name):
        environment = {**os.environ, "VMC_CPU_LEVEL": name}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "lib.so")], check=True, env=environment)
    environment = {**os.environ, "VMC_CPU_LEVEL": "pentium"}
    command = [sys.executable, "-c", code, str(tmp_path / "lib.so")]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert "and VMC_CPU_LEVEL names: pentium" in done.stderr
