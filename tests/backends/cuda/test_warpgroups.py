"""examples/matmul_wa16.vmc by wgmma: executed by the PTX machine, and read as machine code."""

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from tests.backends.cuda.test_matmul import (
    ARRAYS,
    BYTES,
    FLOATS,
    INTEGERS,
    QUICK,
    ROUNDING,
    SOURCE,
    difference,
    problem,
)
from vmc.backends import ptxvm
from vmc.backends.cuda.disassembly import sass, tool
from vmc.backends.cuda.sass import Kind, parse, report, resources
from vmc.runtime.stages import stage_text

TARGET = "ptx-vm:sm_90a"
MMA = "wgmma.mma_async.sync.aligned."


def multiplied(name: str, activations: str, m: int, k: int, n: int, **bindings: Any) -> tuple[float, Any]:
    """The largest error over what rounding allows, and what the PTX machine counted."""
    x, codes, scale, exact, magnitude = problem(name, activations, m, k, n)
    kernel = vmc.compile(SOURCE, target=TARGET, T=name, X=activations, **bindings)
    y = np.full((m, n), np.nan).astype(ARRAYS[activations])
    kernel(x, kernel.pack("w", codes), scale, y)
    allowed = (k + 4) * 2.0**-24 * magnitude + 1.01 * ROUNDING[activations] * np.abs(exact) + 2.0**-25
    return float((np.abs(y.astype(np.float64) - exact) / allowed).max()), kernel._launcher.report


@pytest.mark.parametrize("name", QUICK)
def test_a_product_is_within_rounding_without_bank_conflicts(name: str) -> None:
    error, found = multiplied(name, "f16", 64, 128, 64)
    assert error <= 1
    assert found.instructions[f"{MMA}m64n64k16.f32.f16.f16"] == 2 * 4 * 4
    assert not any(opcode.startswith("mma.") for opcode in found.instructions)
    assert found.bank_conflicts == 0


def test_whole_blocks_are_copied_in_bulk_and_edges_are_not() -> None:
    """64 x 64 codes are one run of 2 KiB, or 4; what passes an edge goes by chunks."""
    bulk = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
    assert multiplied("u4", "f16", 64, 128, 64)[1].instructions[bulk] == 2
    assert multiplied("u8", "f16", 64, 128, 64)[1].instructions[bulk] == 2
    error, found = multiplied("u4", "f16", 64, 200, 64)
    assert error <= 1 and found.instructions[bulk] == 4  # 200 rows are 4 blocks of 64
    error, found = multiplied("u4", "f16", 64, 128, 80)
    assert error <= 1 and found.instructions[bulk] == 2  # the second 64 columns are not all there


def test_sizes_that_no_tile_divides_are_guarded() -> None:
    assert multiplied("u5", "f16", 70, 203, 71)[0] <= 1


@pytest.mark.parametrize(
    "bindings",
    [{"BM": 128, "BN": 128, "BK": 128}, {"BM": 64, "BN": 256}, {"BM": 128, "BK": 32}],
    ids=str,
)
def test_other_tiles(bindings: dict[str, int]) -> None:
    error, found = multiplied("u4", "bf16", 130, 256, 136, **bindings)
    assert error <= 1 and any(opcode.startswith(MMA) for opcode in found.instructions)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS])
def test_a_product_is_within_rounding_at_every_width(name: str) -> None:
    assert multiplied(name, "f16", 70, 256, 136)[0] <= 1
    assert multiplied(name, "f16", 65, 150, 70, BM=128, BN=128, BK=128)[0] <= 1


def test_a_factor_that_is_computed_goes_through_shared_memory() -> None:
    source = """
kernel squares(x: f16[M, 64], w: f16[64, 64], y: out f32[M, 64]):
    for i in grid(cdiv(M, 64)):
        a = x[i*64 : +64, 0 : +64]
        y[i*64 : +64, 0 : +64] = (a * a) @ w[0 : +64, 0 : +64]
"""
    rng = np.random.default_rng(1)
    x, w = (rng.integers(-3, 4, shape).astype(np.float16) for shape in ((100, 64), (64, 64)))
    kernel, y = vmc.compile(source, target=TARGET), np.zeros((100, 64), np.float32)
    kernel(x, w, y)
    assert np.array_equal(y, x.astype(np.float32) ** 2 @ w.astype(np.float32))
    assert any(opcode.startswith(MMA) for opcode in kernel._launcher.report.instructions)


FORMS = {
    "two products of one factor": """
fast kernel k(x: f16[M, 64], w: u4[64, 64], v: i8[64, 128], y: out f32[M, 64], z: out f32[M, 128]):
    for i in grid(cdiv(M, 64)):
        a = x[i*64 : +64, 0 : +64]
        p = a @ f16(w[0 : +64, 0 : +64])
        q = a @ f16(v[0 : +64, 0 : +128])
        y[i*64 : +64, 0 : +64] = p
        z[i*64 : +64, 0 : +128] = q
""",
    "a product of a product": """
fast kernel k(x: f16[M, 64], w: u4[64, 64], v: i8[64, 64], y: out f32[M, 64], z: out f32[M, 64]):
    for i in grid(cdiv(M, 64)):
        p = x[i*64 : +64, 0 : +64] @ f16(w[0 : +64, 0 : +64])
        q = f16(p * 0.125) @ f16(v[0 : +64, 0 : +64])
        y[i*64 : +64, 0 : +64] = p
        z[i*64 : +64, 0 : +64] = q + p
""",
    "products under a condition in a loop": """
fast kernel k(x: f16[M, 256], w: u4[256, 64], v: i8[64, 64], y: out f32[M, 64], z: out f32[M, 64]):
    for i in grid(cdiv(M, 64)):
        acc = zeros(f32[64, 64])
        other = zeros(f32[64, 64])
        for k in range(0, 256, 64) pipelined(2):
            p = x[i*64 : +64, k : +64] @ f16(w[k : +64, 0 : +64])
            if k >= 128:
                acc += p * 2.0
                other += x[i*64 : +64, k : +64] @ f16(v[0 : +64, 0 : +64])
            else:
                acc += p
        y[i*64 : +64, 0 : +64] = acc
        z[i*64 : +64, 0 : +64] = other
""",
    "a product that is under way while a condition is met": """
fast kernel k(x: f16[M, 64], w: u4[64, 64], v: i8[1, 1], y: out f32[M, 64], z: out f32[2, 1]):
    for i in grid(cdiv(M, 64)):
        p = x[i*64 : +64, 0 : +64] @ f16(w[0 : +64, 0 : +64])
        if i == 0:
            z[0, 0] = f32(v[0, 0])
        else:
            z[1, 0] = 1.0
        y[i*64 : +64, 0 : +64] = p
""",
    "sums that stay where they are": """
fast kernel k(x: f16[M, 192], w: u4[192, 64], v: i8[1, 1], y: out f32[M, 64], z: out f32[1, 1]):
    for i in grid(cdiv(M, 64)):
        acc = zeros(f32[64, 64])
        for k in range(0, 192, 64) pipelined(2):
            acc += x[i*64 : +64, k : +64] @ f16(w[k : +64, 0 : +64])
        y[i*64 : +64, 0 : +64] = acc
        if i == 0:
            z[0, 0] = f32(v[0, 0])
""",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_products_agree_with_the_reference_machine(form: str) -> None:
    """All numbers are small integers over 8 at most, so that sums are exact. What a product reads stays as it is until
    it has been waited for, also where the memory is another tensor's next."""
    found = []
    for target in (TARGET, "interp"):
        kernel, rng = vmc.compile(FORMS[form], target=target), np.random.default_rng(1)
        given: dict[str, Any] = {}
        for param in kernel._tile.params:
            shape = tuple(extent if isinstance(extent, int) else 70 for extent in param.tensor.shape)
            given[param.name] = np.zeros(shape, np.float32)
            if param.name == "x":
                given["x"] = rng.integers(-3, 4, shape).astype(np.float16)
            elif param.name in "wv":
                given[param.name] = kernel.pack(param.name, rng.integers(0, 16, shape, dtype=np.uint8))
        kernel(*given.values())
        found.append([given["y"], given["z"]])
        if target == TARGET:
            assert any(opcode.startswith(MMA) for opcode in kernel._launcher.report.instructions)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "bindings"), [("u4", {}), ("i8", {"BN": 128}), ("u3", {"BM": 128, "BN": 128})], ids=str
)
def test_bytes_are_multiplied_with_the_bits_of_the_reference(name: str, bindings: dict[str, int]) -> None:
    """Sums begin at what corrects the zero points."""
    found, shape = [], (70, 256, 136)
    x, codes, scale, _, _ = problem(name, "f16", *shape)
    for target in (TARGET, "interp"):
        kernel = vmc.compile(BYTES, target=target, T=name, **{"BM": 64, **bindings})
        y = np.zeros((shape[0], shape[2]), np.float16)
        kernel(x, kernel.pack("w", codes), scale, y)
        found.append(y.view(np.uint16))
        if target == TARGET:
            counted = kernel._launcher.report
            rows = bindings.get("BM", 64)
            assert counted.instructions[f"{MMA}m64n{rows}k32.s32.u8.s8"] and counted.bank_conflicts == 0
            assert not any(opcode.startswith("mma.") for opcode in counted.instructions)
    np.testing.assert_array_equal(*found)


def test_sums_that_are_handed_over_without_a_fence_are_found() -> None:
    kernel = vmc.compile(BYTES, target=TARGET, T="u4", BM=64)
    x, codes, scale, _, _ = problem("u4", "f16", 64, 128, 64)
    launcher, ptx = kernel._launcher, kernel._launcher.compiled.ptx
    sound, (changed, count) = launcher.module, re.subn(r"wgmma\.fence\.sync\.aligned;", "", ptx)
    launcher.module = ptxvm.parse(changed)
    assert count
    with pytest.raises(vmc.ExecutionError, match=r"no wgmma\.fence since"):
        kernel(x, kernel.pack("w", codes), scale, np.zeros((64, 64), np.float16))
    launcher.module = sound


# ---- planted faults: the code that is right, with one thing taken out or changed -------------------------------------

EXPECTED = r"(mbarrier\.expect_tx[^;]*,) (%r\d+);"
FAULTS = {
    "no wait for the product": (r"wgmma\.wait_group\.sync\.aligned 0;", "", ptxvm.AsyncProductError),
    "a wait for one product too few": (r"(wgmma\.wait_group\.sync\.aligned) 0;", r"\1 1;", ptxvm.AsyncProductError),
    "no fence of registers": (r"wgmma\.fence\.sync\.aligned;", "", ptxvm.AsyncProductError),
    "no fence of proxies": (r"fence\.proxy\.async\.shared::cta;", "", ptxvm.RaceError),
    "no wait for copies": (r"cp\.async\.wait_group \d;", "", ptxvm.AsyncCopyError),
    "no barrier": (r"bar\.sync\s+0;", "", ptxvm.RaceError),
    "no wait for bulk copies": (r"(mbarrier\.try_wait[^;]*;) selp\.u32 (%r\d+), 1, 0, q;", r"\1 mov.u32 \2, 1;", None),
    "the other phase": (r"(mbarrier\.try_wait\.parity[^;]*,) (%r\d+);", r"xor.b32 \2, \2, 1; \1 \2;", None),
    "too many bytes": (EXPECTED, r"add.s32 \2, \2, 16; \1 \2; sub.s32 \2, \2, 16;", ptxvm.BarrierError),
    "too few bytes": (EXPECTED, r"sub.s32 \2, \2, 16; \1 \2; add.s32 \2, \2, 16;", ptxvm.BarrierError),
    "nothing announced": (r"mbarrier\.expect_tx[^;]*;", "", (ptxvm.BarrierError, ptxvm.AsyncCopyError)),
    "no arrival": (r"mbarrier\.arrive[^;]*;", "", ptxvm.BarrierError),
    "a bulk copy to the next block's place": (r"(cp\.async\.bulk[^\[]*\[%r\d+)\]", r"\1+16]", None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    pattern, instead, expected = FAULTS[fault]

    def changed(ptx: str) -> str:
        text, count = re.subn(pattern, instead, ptx)
        assert count
        return text

    with pytest.raises(expected or ptxvm.ExecutionError):
        with_fault(changed)


def test_a_wrong_swizzle_or_stride_of_the_descriptor_gives_another_result() -> None:
    exact = problem("u4", "f16", 64, 128, 64)[3]
    assert np.abs(with_fault(lambda ptx: ptx).astype(np.float64) - exact).max() < 0.1
    fields = 1 << 62 | 64 << 32 | 1 << 16
    for other in (2 << 62 | 64 << 32 | 1 << 16, 1 << 62 | 32 << 32 | 1 << 16):
        text = stage_text(vmc.compile(SOURCE, target=TARGET, T="u4"), "ptx")
        assert str(fields) in text
        found = with_fault(lambda ptx, other=other: ptx.replace(str(fields), str(other)))
        assert np.abs(found.astype(np.float64) - exact).max() > 1


def with_fault(change: Any) -> np.ndarray:
    """The product of the changed PTX."""
    x, codes, scale, _, _ = problem("u4", "f16", 64, 128, 64)
    kernel = vmc.compile(SOURCE, target=TARGET, T="u4")
    launcher, y = kernel._launcher, np.zeros((64, 64), np.float16)
    sound = launcher.module
    launcher.module = ptxvm.parse(change(launcher.compiled.ptx))
    try:
        kernel(x, kernel.pack("w", codes), scale, y)
    except vmc.ExecutionError as error:
        raise error.__context__ or error from None
    finally:
        launcher.module = sound
    return y


# ---- machine code ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(tool("cuobjdump") is None, reason="cuobjdump is not installed")
@pytest.mark.parametrize(("name", "bindings"), [("u3", {}), ("u4", {"BM": 128, "BN": 128, "BK": 128})])
def test_the_machine_code_multiplies_while_it_decodes(name: str, bindings: dict[str, int]) -> None:
    """One wait in a step, behind its last product: the assembler has not serialized them. No spills, no conversions.
    There are two loops, one of which minds edges.
    """
    from vmc.runtime.cuda import compiled

    kernel = vmc.compile(SOURCE, target=TARGET, T=name, **bindings)
    made = compiled(kernel._tile, "cuda:sm_90a")
    functions = {function.name: function for function in parse(sass(made.cubin))}
    found = report(functions[made.main.entry], resources(made.cubin)[made.main.entry])
    loop = found.main_loop
    m, n, k = (bindings.get(key, 64) for key in ("BM", "BN", "BK"))
    assert loop is not None and loop.products * made.main.threads // 32 == m * n * k
    assert (found.spills, found.stack, loop.kinds.get(Kind.CONVERT, 0)) == (0, 0, 0)
    lines = [line for line in sass(made.cubin).splitlines() if "HGMMA" in line or "WARPGROUP.DEPBAR" in line]
    steps = k // 16
    assert sum("HGMMA" in line for line in lines) == 2 * steps
    assert [number for number, line in enumerate(lines) if "DEPBAR" in line] == [steps, 2 * steps + 1]


def test_weights_that_no_decoder_makes_in_the_activations_type_are_multiplied_all_the_same() -> None:
    """f7e6m0 has a decoder to f16 and none to bf16, and all of what f16 makes of it is bf16."""
    assert difference("f7e6m0", "bf16", 7, 128, 24, BM=16) <= 1
