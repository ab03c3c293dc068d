"""One kernel all the way: from source to PTX, cubin and SASS of every architecture, and what a launch must know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmc.backends import cuda
from vmc.backends.cuda.disassembly import sass, tool
from vmc.ir.core import Module
from vmc.ir.passes import pipeline, run
from vmc.lang import compile_kernel

SOURCE = Path(__file__).parents[3] / "examples" / "scale.vmc"


def scale(arch: str) -> Module:
    kernel = compile_kernel(SOURCE.read_text("utf-8"), str(SOURCE), None, {}).kernel
    return run(Module((kernel,)), pipeline(f"cuda:{arch}"), verify=True)


@pytest.mark.parametrize("arch", cuda.ARCHES)
def test_a_kernel_becomes_ptx_and_a_cubin_for_every_architecture(arch: str) -> None:
    made = cuda.compile(scale(arch), arch)
    assert f".target {arch}" in made.ptx and ".visible .entry scale(" in made.ptx
    assert made.cubin.startswith(b"\x7fELF")


def test_a_launch_knows_parameters_threads_and_blocks() -> None:
    made = cuda.compile(scale("sm_80"), "sm_80")
    assert [(p.name, p.kind) for p in made.parameters] == [
        ("w", "pointer"),
        ("s", "pointer"),
        ("y", "pointer"),
        ("N", "int64"),
    ]
    (grid,) = made.grids
    assert (grid.entry, grid.threads, made.workspace) == ("scale", 32, ())
    assert [grid.blocks({"N": n}, []) for n in (0, 1, 64, 65)] == [0, 1, 1, 2]
    with pytest.raises(ValueError, match="the most is 2147483647"):
        grid.blocks({"N": 1 << 40}, [])


def test_strict_code_flushes_nothing_and_fuses_nothing() -> None:
    made = cuda.compile(scale("sm_80"), "sm_80")
    assert "mul.rn.f16" in made.ptx
    assert not re.search(r"\.ftz|\.approx|\bfma\.|\bmad\.rn", made.ptx)


def test_neighbours_move_together_where_they_may() -> None:
    text = cuda.source(scale("sm_80"), "sm_80")
    assert "((uint*)p_y)" in text, "two halves are one word"


@pytest.mark.skipif(tool("nvdisasm") is None, reason="nvdisasm is not installed")
def test_the_machine_code_is_readable() -> None:
    assert "HMUL2" in sass(cuda.compile(scale("sm_90a"), "sm_90a").cubin)


def test_refused_code_is_reported_with_the_compiler_s_words() -> None:
    from vmc.backends.cuda.compilers import compile_cuda

    with pytest.raises(cuda.ToolchainError, match='identifier "nonsense" is undefined'):
        compile_cuda('extern "C" __global__ void k() { nonsense(); }', "sm_80")
