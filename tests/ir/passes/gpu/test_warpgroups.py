"""Products by warpgroups: layouts of registers, panels in shared memory, and the choice by cost."""

from typing import Any

import numpy as np
import pytest

from vmc.backends.interp import run as execute
from vmc.backends.ptxvm.descriptors import Descriptor
from vmc.ir.blocks import pack_blocks
from vmc.ir.core import Kernel, Module, Note, walk
from vmc.ir.layout import divide, mma_fragment, permute, wgmma_accumulator
from vmc.ir.passes import pipeline, run
from vmc.ir.passes.gpu.matrix import MOST_SUMS, warpgroup_product
from vmc.ir.passes.gpu.spread import holdings, threads_of
from vmc.ir.passes.gpu.warpgroups import panel, panels
from vmc.ir.storage import block_positions
from vmc.ir.types import dtype
from vmc.lang import compile_kernel

SOURCE = """
fast kernel product[T: type, BM = 64, BN = 64, BK = 64, STAGES = 3](
    x: f16[M, K], w: T[K, N], s: f16[cdiv(K, 64), N], y: out f32[M, N],
):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(f32[BM, BN])
        for k in range(0, K, BK) pipelined(STAGES):
            b = f16(w[k : +BK, ni*BN : +BN] - zero_point(T))
            acc += (x[mi*BM : +BM, k : +BK] @ b) * s[k // 64, ni*BN : +BN]
        y[mi*BM : +BM, ni*BN : +BN] = acc
"""
SHAPES = [(64, 64, 64), (8, 64, 16), (128, 128, 128), (64, 256, 64), (64, 128, 32), (256, 64, 64)]


def lowered(target: str, stop: str = "", **bindings: Any) -> Kernel:
    """The kernel, as one launch, after the passes for a target, up to one of them."""
    kernel = compile_kernel(SOURCE, "product.vmc", None, bindings).kernel
    steps = list(pipeline(target))
    last = next((n for n, step in enumerate(steps) if step.name == stop), len(steps))
    return run(Module((kernel,)), steps[:last], verify=True, skip=frozenset({"split"})).kernels[0]


def products(kernel: Kernel) -> list[str]:
    return [op.name for op in walk(kernel.body) if op.name.startswith("dot")]


@pytest.mark.parametrize(("shape", "bits"), [*((shape, 16) for shape in SHAPES[:5]), (SHAPES[0], 8), (SHAPES[2], 8)])
def test_every_sum_is_one_thread_s_and_factors_are_where_they_are_multiplied(
    shape: tuple[int, int, int], bits: int
) -> None:
    m, n, k = shape
    product = warpgroup_product(m, n, k, bits=bits)
    assert product is not None
    first, b, c = product.layouts
    assert first is None and b.shape == (k, n) and c.shape == (m, n)
    assert threads_of(b) == threads_of(c) == product.threads
    held = holdings(c, product.threads)
    assert sorted(held.reshape(-1).tolist()) == list(range(m * n))
    assert m * n // product.threads <= MOST_SUMS[product.threads // 128]
    for thread in range(product.threads):
        warp = slice(thread // 32 * 32, thread // 32 * 32 + 32)
        assert set((holdings(b, product.threads)[thread] % n).tolist()) >= set((held[thread] % n).tolist())
        assert set((held[warp] // n).reshape(-1).tolist()) == set(range(m))


def test_a_warpgroup_s_sums_are_those_of_its_instruction_turned() -> None:
    """Of 64 columns, the layout is the accumulator's of wgmma with rows and columns exchanged."""
    product = warpgroup_product(24, 64, 16)
    assert product is not None and product.layouts[2] == permute(wgmma_accumulator(24), (1, 0))
    divide(product.layouts[1], mma_fragment("m16n8k16", "b"))
    eighths = warpgroup_product(24, 64, 32, bits=8)
    assert eighths is not None and eighths.layouts[2] == product.layouts[2]
    divide(eighths.layouts[1], mma_fragment("m16n8k32", "b"))


@pytest.mark.parametrize(
    "shape", [(64, 96, 64), (12, 64, 64), (64, 64, 24), (264, 64, 64), (256, 256, 64), (128, 64, 64, 96)]
)
def test_what_warpgroups_do_not_multiply(shape: tuple[int, ...]) -> None:
    assert warpgroup_product(*shape) is None


@pytest.mark.parametrize("shape", [(64, 16), (64, 32), (64, 64), (8, 128), (32, 256)])
@pytest.mark.parametrize("bits", [16, 8])
def test_panels_lie_as_descriptors_say(shape: tuple[int, int], bits: int) -> None:
    """The PTX machine's reading of descriptors against the layout: two derivations from the PTX ISA."""
    bytes, (rows, depth) = bits // 8, (shape[0], shape[1] * 16 // bits)
    columns = panel(depth, bits)
    assert columns is not None
    places = block_positions(panels((rows, depth), bits), bits)[:, 0].reshape(rows, depth) // 8
    line, step = columns * bytes, 32 // bytes
    mode = {32: 3, 64: 2, 128: 1}[line]
    for start in range(0, depth, step):
        at = start * bytes // line * rows * line + start * bytes % line
        found = Descriptor.decode(at >> 4 | 1 << 16 | (8 * line >> 4) << 32 | mode << 62)
        assert (found.addresses(rows, step, bytes, False) == places[:, start : start + step]).all()


def test_depths_that_no_panel_divides_have_none() -> None:
    assert [panel(depth) for depth in (8, 16, 32, 48, 64, 96, 128)] == [None, 16, 32, None, 64, None, 64]
    assert [panel(depth, 8) for depth in (16, 32, 64, 96, 128, 256)] == [None, 32, 64, None, 128, 128]


EIGHTHS = """
fast kernel product[A: type, T: type, BM = 64, BK = 128](q: A[M, K], w: T[K, N], y: out f32[M, N]):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, 64)):
        acc = zeros(f32[BM, 64])
        for k in range(0, K, BK) pipelined(3):
            acc += q[mi*BM : +BM, k : +BK] @ w[k : +BK, ni*64 : +64]
        y[mi*BM : +BM, ni*64 : +64] = acc
"""


def test_8_bit_floats_are_multiplied_by_warpgroups_in_fast_kernels_and_runs_that_one_product_has() -> None:
    """Sums keep 13 bits behind the point, so each product begins at zero and is added to the others."""

    def of(source: str, **bindings: Any) -> Kernel:
        types = {"A": dtype("f8e4m3"), "T": dtype("f8e5m2")}
        kernel = compile_kernel(source, "eighths.vmc", None, types | bindings).kernel
        return run(Module((kernel,)), pipeline("cuda:sm_90a"), verify=True, skip=frozenset({"split"})).kernels[0]

    made = of(EIGHTHS)
    assert set(products(made)) == {"dot_shared"}
    assert {op.attrs["run"] for op in walk(made.body) if op.name == "dot_shared"} == {128}
    starts = {op.operands[-1] for op in walk(made.body) if op.name == "dot_shared"}
    zeros = {op.result for op in walk(made.body) if op.name == "constant" and not op.attrs["code"]}
    assert starts <= zeros
    (said,) = [note.text for note in made.notes if note.step == "warpgroups"]
    assert "wgmma m64n64k32" in said and "136 * 2^-13 of |a| @ |b|" in said
    for source, bindings in ((EIGHTHS.replace("fast ", ""), {}), (EIGHTHS, {"BM": 16}), (EIGHTHS, {"BK": 256})):
        assert set(products(of(source, **bindings))) == {"dot_fp8"}


def test_warpgroups_are_chosen_for_many_rows_on_hopper_alone_and_explain_says_why() -> None:
    assert set(products(lowered("cuda:sm_90a", T="u4"))) == {"dot_shared"}
    assert set(products(lowered("cuda:sm_90a", T="u4", BM=16))) == {"dot"}
    for target in ("cuda:sm_80", "cuda:sm_100a"):
        assert set(products(lowered(target, T="u4"))) == {"dot"}
    said = {bm: [n for n in lowered("cuda:sm_90a", T="u4", BM=bm).notes if n.step == "warpgroups"] for bm in (16, 64)}
    (few,), (many,) = said[16], said[64]
    assert isinstance(few, Note) and "is computed by mma.sync, " in few.text
    assert "a step of 64 x 64 x 64 is computed by wgmma m64n64k16, 1 warpgroup" in many.text


def test_a_stage_is_read_in_place() -> None:
    for stages, stores in ((3, 1), (1, 2)):
        kernel = lowered("cuda:sm_90a", T="u4", STAGES=stages)
        assert sum(op.name == "store" for op in walk(kernel.body)) == stores


@pytest.mark.parametrize("bindings", [{}, {"BM": 128, "BN": 128, "BK": 128}, {"STAGES": 1}, {"BN": 128, "BK": 32}])
def test_products_by_warpgroups_give_the_bits_of_products_by_warps(bindings: dict[str, int]) -> None:
    m, k, n = 70, 136, 72
    rng, type = np.random.default_rng(4), dtype("u3")
    x = rng.integers(-4, 5, (m, k)).astype(np.float16)
    s = rng.random((-(-k // 64), n)).astype(np.float16)
    codes = rng.integers(0, 8, (k, n)).astype(np.uint8)
    found = []
    for target in ("cuda:sm_90a", "cuda:sm_80"):
        kernel = lowered(target, "layouts", T=type, **bindings)
        storage = next(p.tensor.storage for p in kernel.params if p.name == "w")
        assert storage is not None
        y = np.zeros((m, n), np.float32)
        arguments = [array.view(np.uint8).reshape(-1) for array in (x, pack_blocks(codes, storage, 3), s, y)]
        execute(kernel, arguments, {"M": m, "K": k, "N": n})
        found.append(arguments[-1].view(np.float32))
    np.testing.assert_array_equal(found[0], found[1])
