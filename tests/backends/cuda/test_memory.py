"""Accesses that need care among threads: single holders, narrow elements, edges, storages, loops over shared memory."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.backends.cuda.execution import wrong
from tests.generators.ir_arguments import random_arguments
from vmc.ir.core import Module, TensorType
from vmc.ir.storage import extents, storage_bytes
from vmc.ir.text import parse_module
from vmc.lang import compile_kernel


def check(text: str, seed: int = 1) -> None:
    module = parse_module(text)
    arguments, symbols = random_arguments(module.kernels[0], seed)
    assert wrong(module, arguments, symbols) == []


def check_source(source: str, symbols: dict[str, int], **bindings: object) -> None:
    """A program of one kernel on random bits."""
    kernel = compile_kernel(source, "<test>", None, bindings).kernel
    rng = random.Random(str(symbols))
    memories = [
        np.frombuffer(bytearray(rng.randbytes(storage_bytes(p.type, extents(p.type, symbols)))), np.uint8)
        for p in kernel.params
        if isinstance(p.type, TensorType)
    ]
    assert wrong(Module((kernel,)), memories, symbols) == []


def test_an_atomic_is_done_once_where_every_thread_could_do_it() -> None:
    check("""
kernel once(%x: tensor<u32[3], in>, %y: tensor<u32[3], inout>) {
  %zero = constant {code = 0, type = i64[]} : i64
  %one = constant {code = 1, type = i64[]} : i64
  grid %one (%i: i64) {
    %l = load %x, %zero {fill = 0, inbounds = [true], sizes = [3], steps = [1]} : u32[3]
    %v = relayout %l {layout = layout "replicated(3, lanes=32)"} : u32[3] layout "replicated(3, lanes=32)"
    %p = iota {n = 3} : i32[3]
    %o = atomic %y, %v, %p {kind = "add"} : u32[3] layout "replicated(3, lanes=32)"
    yield
  }
  yield
}""")


TYPES = ("u1", "u3", "i4", "u5", "f6e3m2", "f16", "f64")


@pytest.mark.parametrize("n", [77, 320])
@pytest.mark.parametrize("T", TYPES)
def test_copies_of_any_type_and_length_are_exact(T: str, n: int) -> None:
    check_source(
        "kernel copy[T: type](x: T[N], y: out T[N]):\n"
        "    for i in grid(cdiv(N, 64)):\n        y[i*64 : +64] = x[i*64 : +64]\n",
        {"N": n},
        T=T,
    )


@pytest.mark.parametrize("T", ("u3", "u4", "i8", "f16"))
def test_rows_that_begin_anywhere_are_written_without_disturbing_their_neighbours(T: str) -> None:
    check_source(
        "kernel shift[T: type](x: T[M, N], y: inout T[M, N]):\n"
        "    for i in grid(M):\n        y[i, 1 : +16] = x[i, 3 : +16]\n",
        {"M": 3, "N": 21},
        T=T,
    )


def test_reductions_of_rows_and_columns() -> None:
    source = (
        "kernel both(x: i32[M, N], r: out i32[M], c: out i32[N]):\n"
        "    for i in grid(1):\n"
        "        t = x[0 : +12, 0 : +40]\n        r[0 : +12] = sum(t, 1)\n        c[0 : +40] = sum(t, 0)\n"
    )
    check_source(source, {"M": 12, "N": 40})


@pytest.mark.parametrize("name", ["double", "main", "float4", "size_t"])
def test_a_kernel_may_have_the_name_of_what_the_language_of_its_code_reserves(name: str) -> None:
    check_source(f"kernel {name}(x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        y[i] = x[i]\n", {"N": 3})
