"""Relayouts within warps in the PTX machine, and the stores that they make wide."""

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

from tests.backends.cuda.execution import lowered, wrong
from tests.generators.ir_arguments import random_arguments
from vmc.backends import cuda
from vmc.ir.core import Module, walk
from vmc.ir.text import parse_module
from vmc.lang import compile_kernel

C = "layout((16, 64): (2, 2, bit) (8, 4, lane) (2, 1, warp) (4, 4, bit) (4, 1, lane) (2, 1, bit))"
SLICE = "inbounds = [true, true], sizes = [16, 64], steps = [1, 1]"
WIDE = "layout((16, 64): (2, 8, bit) (8, 4, lane) (2, 1, warp) (4, 1, lane) (8, 1, bit))"


@pytest.mark.parametrize("name", ["f16", "i8", "u8", "f32", "f64", "i16", "f6e3m2", "u1"])
def test_lanes_exchange_elements_of_any_type(name: str) -> None:
    module = parse_module(f"""
kernel turn(%x: tensor<{name}[16, 64], in>, %y: tensor<{name}[16, 64], out>) {{
  %zero = constant {{code = 0, type = i64[]}} : i64
  %one = constant {{code = 1, type = i64[]}} : i64
  grid %one (%i: i64) {{
    %a = load %x, %zero, %zero {{fill = 0, {SLICE}}} : {name}[16, 64] layout "{C}"
    %b = relayout %a {{layout = layout "{WIDE}"}} : {name}[16, 64] layout "{WIDE}"
    %c = relayout %b {{layout = layout "{C}"}} : {name}[16, 64] layout "{C}"
    %d = relayout %c {{layout = layout "{WIDE}"}} : {name}[16, 64] layout "{WIDE}"
    store %y, %d, %zero, %zero {{{SLICE}}}
    yield
  }}
  yield
}}""")
    (kernel,) = lowered(module).kernels
    assert sum(op.name == "relayout" for op in walk(kernel.body)) >= 1
    assert not any(op.name == "alloc" for op in walk(kernel.body))
    arguments, symbols = random_arguments(module.kernels[0], 3)
    assert wrong(module, arguments, symbols) == []


PRODUCT = """
fast kernel product(x: f16[M, 64], w: f16[64, N], y: out {type}[M, N]):
    for mi, ni in grid(cdiv(M, 16), cdiv(N, 64)):
        y[mi*16 : +16, ni*64 : +64] = {type}(x[mi*16 : +16, :] @ w[:, ni*64 : +64])
"""


@pytest.mark.parametrize("type", ["f16", "f32"])
def test_results_of_products_are_stored_in_pieces_of_16_bytes(type: str) -> None:
    kernel = compile_kernel(PRODUCT.format(type=type), "<test>", None, {}).kernel
    made = cuda.compile(lowered(Module((kernel,))), "sm_80")
    assert "st.global.v4" in made.ptx and "shfl.sync.bfly" in made.ptx
    rng = np.random.default_rng(5)
    for m, n in ((16, 64), (19, 72), (5, 70)):
        small = [rng.integers(-2, 3, (m, 64)).astype(np.float16), rng.integers(-2, 3, (64, n)).astype(np.float16)]
        y = np.zeros((m, n), np.float16 if type == "f16" else np.float32)
        arguments = [array.view(np.uint8).reshape(-1) for array in (*small, y)]
        assert wrong(Module((kernel,)), arguments, {"M": m, "N": n}) == []
