"""Fixtures: `each` executes a piece of PTX in every thread by itself; `nvrtc` compiles CUDA C to PTX."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm


def per_thread(code: str, inputs: Sequence[np.ndarray], out: Sequence[np.dtype[Any]]) -> str:
    """PTX in which thread i loads element i of each input to %a, %b, ..., runs `code`, and stores %x, %y, ...

    Predicates %p and %q and scratch registers %t0..%t7 (32 bits), %u0..%u7 (64 bits), %h0..%h7 (16 bits) are there.
    """
    registers = [
        ".reg .pred %p, %q;", ".reg .b32 %t<8>;", ".reg .b64 %u<8>;", ".reg .b16 %h<8>;", ".reg .b64 %ad<16>;",
        ".reg .b32 %i, %n;",
    ]  # fmt: skip
    loads, stores, params = [], [], []
    load = ["mov.u32 %n, %ctaid.x;", "mov.u32 %t0, %ntid.x;", "mov.u32 %i, %tid.x;", "mad.lo.s32 %i, %n, %t0, %i;"]
    for index, array in enumerate([*inputs, *[np.empty(0, d) for d in out]]):
        is_input = index < len(inputs)
        name = "abcdefg"[index] if is_input else "xyzw"[index - len(inputs)]
        size = array.dtype.itemsize
        width = max(16, size * 8)
        registers.append(f".reg .b{width} %{name};")
        params.append("u64")
        address = [
            f"ld.param.u64 %ad{index}, [p{index}];", f"mul.wide.u32 %u7, %i, {size};",
            f"add.s64 %ad{index}, %ad{index}, %u7;",
        ]  # fmt: skip
        kind = f"u{size * 8}"
        if is_input:
            loads += [*address, f"ld.global.{kind} %{name}, [%ad{index}];"]
        else:
            loads += address
            stores.append(f"st.global.{kind} [%ad{index}], %{name};")
    return entry("\n".join([*load, *loads, code, *stores]), params, "\n".join(registers))


def run_each(code: str, inputs: Sequence[np.ndarray], out: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """The results of `code` for each element, as arrays of the dtypes `out`."""
    arrays = [np.ascontiguousarray(a) for a in inputs]
    count = len(arrays[0])
    threads = min(256, -(-count // 32) * 32)
    blocks = -(-count // threads)
    padded = [np.concatenate([a, np.repeat(a[-1:], blocks * threads - count)]) for a in arrays]
    dtypes = [np.dtype(d) for d in out]
    results = [np.zeros(blocks * threads, d) for d in dtypes]
    module = ptxvm.parse(per_thread(code, padded, dtypes))
    unset = [ptxvm.Unset(r) for r in results]
    module.launch("k", (blocks,), (threads,), [*padded, *unset], check=False, count=False)
    return tuple(r[:count] for r in results)


Each = Callable[..., Any]


@pytest.fixture
def each() -> Each:
    """`each("add.s32 %x, %a, %b;", a, b, out=np.int32)`: x for all elements (a tuple for several dtypes)."""

    def run(code: str, *inputs: np.ndarray, out: Any) -> Any:
        several = isinstance(out, tuple)
        results = run_each(code, inputs, out if several else (out,))
        return results if several else results[0]

    return run


@cache
def _library() -> ctypes.CDLL | None:
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(folder).glob("cu13/lib/libnvrtc.so.*"):
            return ctypes.CDLL(str(path))
    return None


@cache
def compile_cuda(source: str, arch: str, name: str) -> str:
    """PTX of CUDA C, with line information. Raises ValueError with the compiler's log."""
    library = _library()
    assert library is not None
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
    options = [f"--gpu-architecture=compute_{arch}".encode(), b"-lineinfo", b"-default-device"]
    failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    what = "ProgramLog" if failed else "PTX"
    getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{what}")(program, buffer)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    if failed:
        raise ValueError(buffer.value.decode())
    return buffer.value.decode()


@pytest.fixture
def nvrtc() -> Callable[..., str]:
    """Compiles CUDA C to PTX; the test is skipped where NVRTC is not installed."""
    if _library() is None:
        pytest.skip("needs nvidia-cuda-nvrtc")

    def run(source: str, arch: str = "80", name: str = "k.cu") -> str:
        return compile_cuda(source, arch, name)

    return run
