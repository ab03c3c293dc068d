"""Compiled kernels as objects: their code, their restoration in another process, other processors."""

from __future__ import annotations

import platform
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, assert_sketch, load, store, tensor
from tests.backends.cpu.samples import sample
from vmc.backends import cpu
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, TileType
from vmc.ir.dims import Sym
from vmc.ir.types import dtype

BLOCK = 1024
ROOT = Path(__file__).parents[3]


def scaled_sum() -> Kernel:
    """y = x * a + y, blocks of 1024 elements, for f32."""
    x, y = tensor("x", "f32", (Sym("N"),)), tensor("y", "f32", (Sym("N"),), Access.INOUT)
    a = argument(TileType(dtype("f32")), "a")
    block = argument(TileType(dtype("i64")), "block")
    outer, body = Builder(), Builder()
    count = outer("floordiv", outer("add", outer("symbol", name="N"), outer.index(BLOCK - 1)), outer.index(BLOCK))
    start = body("mul", block, body.index(BLOCK))
    product = body("mul", load(body, x, (BLOCK,), start), body.broadcast(a, (BLOCK,)))
    store(body, y, body("add", product, load(body, y, (BLOCK,), start)), start)
    outer.many("grid", count, regions=(body.region((block,)),))
    return Kernel("scaled sum", (x, y, a), ("N",), outer.region())


def launch(executable: cpu.Executable, x: np.ndarray, y: np.ndarray, a: float, **more: int) -> None:
    executable.launch([x.ctypes.data, y.ctypes.data], [a], {"N": x.size}, **more)


def test_a_launch_computes_with_scalars_and_symbols() -> None:
    executable = cpu.compile(scaled_sum())
    for count in (1, 1000, 1024, 100_003):
        x, y = np.random.default_rng(1).random((2, count), np.float32)
        expected = x * np.float32(2.5) + y
        launch(executable, x, y, 2.5)
        np.testing.assert_array_equal(y, expected)


CPUINFO = Path("/proc/cpuinfo")
AVX512 = CPUINFO.exists() and "avx512f" in CPUINFO.read_text()


@pytest.mark.skipif(not AVX512, reason="the host has no AVX-512")
def test_code_for_a_host_with_wide_vectors_uses_them() -> None:
    executable = cpu.compile(scaled_sum())
    assert "%zmm" in executable.assembly
    assert "vmulps" in executable.assembly
    assert "<16 x float>" in executable.llvm


def test_code_restored_in_another_process_computes_the_same(tmp_path: Path) -> None:
    executable = cpu.compile(scaled_sum())
    (tmp_path / "code.o").write_bytes(executable.object)
    (tmp_path / "signature.json").write_text(executable.signature.to_json())
    script = """
        import sys
        from pathlib import Path
        import numpy as np
        from vmc.backends import cpu
        folder = Path(sys.argv[1])
        signature = cpu.Signature.from_json((folder / "signature.json").read_text())
        executable = cpu.load((folder / "code.o").read_bytes(), signature)
        x, y = np.arange(5000, dtype=np.float32), np.ones(5000, np.float32)
        executable.launch([x.ctypes.data, y.ctypes.data], [3.0], {"N": 5000})
        assert (y == 3 * x + 1).all()
        try:
            executable.llvm
        except ValueError as error:
            print(error)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "no LLVM text" in ran.stdout


def test_a_signature_survives_its_text() -> None:
    signature = cpu.compile(scaled_sum(), cpu.Options(opt_level=0)).signature
    assert cpu.Signature.from_json(signature.to_json()) == signature


def test_wrong_counts_of_arguments_are_refused() -> None:
    executable = cpu.compile(scaled_sum(), cpu.Options(opt_level=0))
    with pytest.raises(ValueError, match="takes 2 tensors, 1 scalars and 1 symbols, not 1 tensors, 1 scalars"):
        executable.launch([0], [1.0], {"N": 1})
    with pytest.raises(KeyError, match="N"):
        executable.launch([0, 0], [1.0], {})


@pytest.mark.skipif(platform.machine() != "x86_64", reason="not an x86-64 host")
@pytest.mark.parametrize("name", ["x86-64", "nehalem", "x86-64-v3"])
def test_code_for_older_processors_gives_the_same_bits(name: str) -> None:
    """Without half-precision conversions, without multiply-add, without wide vectors."""
    for kind in ("f16", "f32", "i5", "f64"):
        sketch = Sketch()
        a, b = sketch.take(kind, (100,)), sketch.take(kind, (100,))
        for operation in ("add", "mul", "min", "le", "floordiv" if dtype(kind).is_int else "div"):
            sketch.give(sketch.b(operation, a, b))
        if kind in ("f32", "f64"):
            sketch.give(sketch.b("fma", a, b, a))
        for target in ("f16", "bf16", "i8", "f8e4m3", "f64", "u64"):
            sketch.give(sketch.b.cast(a, target))
        assert_sketch(sketch, [sample(kind, 100, "a"), sample(kind, 100, "b")], cpu=name, opt_level=3)


def test_a_small_kernel_compiles_in_a_moment() -> None:
    cpu.compile(scaled_sum())
    start = time.perf_counter()
    cpu.compile(scaled_sum())
    assert time.perf_counter() - start < 2


def test_denormals_are_not_flushed() -> None:
    """The control word of the thread that runs native code is the default one."""
    sketch = Sketch()
    a = sketch.take("f32", (3,))
    sketch.give(sketch.b("mul", a, sketch.b.like(a, 0.5)))
    assert_sketch(sketch, [np.array([1, 0x00800000, 0x807FFFFF], np.uint32)], opt_level=3)
