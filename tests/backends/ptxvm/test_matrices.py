"""Matrix instructions against fragment tables written out from the PTX ISA (section 9.7.15.5) and plain products.

The tables below say, for lane 0, 1, 5 and 31, which element of the matrix each register holds, as the figures of the
manual do; the formulas of the manual then give the rest.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm

# PTX ISA, figures for m16n8k16 with .f16: registers of lanes, (row, column) of the low and of the high half.
A_M16K16_F16 = {
    0: [[(0, 0), (0, 1)], [(8, 0), (8, 1)], [(0, 8), (0, 9)], [(8, 8), (8, 9)]],
    1: [[(0, 2), (0, 3)], [(8, 2), (8, 3)], [(0, 10), (0, 11)], [(8, 10), (8, 11)]],
    5: [[(1, 2), (1, 3)], [(9, 2), (9, 3)], [(1, 10), (1, 11)], [(9, 10), (9, 11)]],
    31: [[(7, 6), (7, 7)], [(15, 6), (15, 7)], [(7, 14), (7, 15)], [(15, 14), (15, 15)]],
}
B_K16N8_F16 = {
    0: [[(0, 0), (1, 0)], [(8, 0), (9, 0)]],
    1: [[(2, 0), (3, 0)], [(10, 0), (11, 0)]],
    5: [[(2, 1), (3, 1)], [(10, 1), (11, 1)]],
    31: [[(6, 7), (7, 7)], [(14, 7), (15, 7)]],
}
C_M16N8 = {
    0: [(0, 0), (0, 1), (8, 0), (8, 1)],
    1: [(0, 2), (0, 3), (8, 2), (8, 3)],
    5: [(1, 2), (1, 3), (9, 2), (9, 3)],
    31: [(7, 6), (7, 7), (15, 6), (15, 7)],
}
A_M16K8_TF32 = {
    0: [(0, 0), (8, 0), (0, 4), (8, 4)],
    5: [(1, 1), (9, 1), (1, 5), (9, 5)],
    31: [(7, 3), (15, 3), (7, 7), (15, 7)],
}
A_M16K32_8BIT = {
    0: [[(0, 0), (0, 1), (0, 2), (0, 3)], [(8, 0), (8, 1), (8, 2), (8, 3)],
        [(0, 16), (0, 17), (0, 18), (0, 19)], [(8, 16), (8, 17), (8, 18), (8, 19)]],
    5: [[(1, 4), (1, 5), (1, 6), (1, 7)], [(9, 4), (9, 5), (9, 6), (9, 7)],
        [(1, 20), (1, 21), (1, 22), (1, 23)], [(9, 20), (9, 21), (9, 22), (9, 23)]],
    31: [[(7, 12), (7, 13), (7, 14), (7, 15)], [(15, 12), (15, 13), (15, 14), (15, 15)],
         [(7, 28), (7, 29), (7, 30), (7, 31)], [(15, 28), (15, 29), (15, 30), (15, 31)]],
}  # fmt: skip
B_K32N8_8BIT = {
    0: [[(0, 0), (1, 0), (2, 0), (3, 0)], [(16, 0), (17, 0), (18, 0), (19, 0)]],
    5: [[(4, 1), (5, 1), (6, 1), (7, 1)], [(20, 1), (21, 1), (22, 1), (23, 1)]],
    31: [[(12, 7), (13, 7), (14, 7), (15, 7)], [(28, 7), (29, 7), (30, 7), (31, 7)]],
}


def a_place(lane: int, i: int, per: int) -> tuple[int, int]:
    """Element i of a lane in A for `per` elements of a register: the manual's formulas, rows by parity of i / per."""
    group, within = lane // 4, lane % 4
    register, inner = divmod(i, per)
    return group + (8 if register % 2 else 0), within * per + inner + 4 * per * (register // 2)


def b_place(lane: int, i: int, per: int) -> tuple[int, int]:
    group, within = lane // 4, lane % 4
    register, inner = divmod(i, per)
    return within * per + inner + 4 * per * register, group


def c_place(lane: int, i: int) -> tuple[int, int]:
    group, within = lane // 4, lane % 4
    return group + (8 if i >= 2 else 0), within * 2 + i % 2


def flat(table: dict[int, Any]) -> dict[int, list[tuple[int, int]]]:
    return {
        lane: [e for register in rows for e in (register if isinstance(register, list) else [register])]
        for lane, rows in table.items()
    }


@pytest.mark.parametrize(
    ("table", "place", "per"),
    [
        (A_M16K16_F16, a_place, 2), (B_K16N8_F16, b_place, 2), (A_M16K8_TF32, a_place, 1),
        (A_M16K32_8BIT, a_place, 4), (B_K32N8_8BIT, b_place, 4),
    ],
)  # fmt: skip
def test_the_formulas_agree_with_the_figures(table: dict[int, Any], place: Any, per: int) -> None:
    for lane, elements in flat(table).items():
        assert [place(lane, i, per) for i in range(len(elements))] == elements


def test_the_formula_of_the_accumulator_agrees_with_the_figure() -> None:
    for lane, elements in C_M16N8.items():
        assert [c_place(lane, i) for i in range(4)] == elements


def run_mma(op: str, a: np.ndarray, b: np.ndarray, c: np.ndarray, d_regs: int, wide: bool = False) -> np.ndarray:
    """Registers of D, [32, d_regs], for register arrays [32, n] of A, B and C."""
    size = 8 if wide else 4
    counts = [a.shape[1], b.shape[1], c.shape[1]]
    registers = "".join(
        f".reg .b{size * 8} %{n}<{k}>;" for n, k in zip(("ra", "rb", "rc", "rd"), [*counts, d_regs], strict=True)
    )
    lines = ["mov.u32 %t, %tid.x;"]
    for index, (name, count) in enumerate(zip(("ra", "rb", "rc"), counts, strict=True)):
        lines += [f"ld.param.u64 %p, [p{index}];", f"mul.wide.u32 %o, %t, {count * size};", "add.s64 %p, %p, %o;"]
        lines += [f"ld.global.b{size * 8} %{name}{i}, [%p+{i * size}];" for i in range(count)]
    groups = [",".join(f"%{n}{i}" for i in range(k)) for n, k in zip("abcd", [*counts, d_regs], strict=True)]
    groups = [g.replace("%", "%r") for g in groups]
    lines.append(f"mma.sync.aligned.{op} {{{groups[3]}}}, {{{groups[0]}}}, {{{groups[1]}}}, {{{groups[2]}}};")
    lines += ["ld.param.u64 %p, [p3];", f"mul.wide.u32 %o, %t, {d_regs * size};", "add.s64 %p, %p, %o;"]
    lines += [f"st.global.b{size * 8} [%p+{i * size}], %rd{i};" for i in range(d_regs)]
    text = entry("\n".join(lines), ["u64"] * 4, registers + ".reg .b32 %t; .reg .b64 %p, %o;")
    out = np.zeros((32, d_regs), f"u{size}")
    args = [np.ascontiguousarray(v) for v in (a, b, c)]
    ptxvm.parse(text).launch("k", (1,), (32,), [*args, ptxvm.Unset(out)])
    return out


def pack(matrix: np.ndarray, places: list[list[tuple[int, int]]], unit: int) -> np.ndarray:
    """Registers [32, n] that hold a matrix of codes by a table of places for each lane."""
    codes = np.array([[matrix[p] for p in lane] for lane in places])
    return np.ascontiguousarray(codes).view(f"u{unit}")


CASES = {
    "m16n8k16.row.col.f32.f16.f16.f32": (16, np.float16, np.float32, 2),
    "m16n8k8.row.col.f32.f16.f16.f32": (8, np.float16, np.float32, 2),
    "m16n8k16.row.col.f16.f16.f16.f16": (16, np.float16, np.float16, 2),
    "m16n8k16.row.col.f32.bf16.bf16.f32": (16, ml_dtypes.bfloat16, np.float32, 2),
    "m16n8k8.row.col.f32.bf16.bf16.f32": (8, ml_dtypes.bfloat16, np.float32, 2),
    "m16n8k8.row.col.f32.tf32.tf32.f32": (8, np.float32, np.float32, 1),
    "m16n8k4.row.col.f32.tf32.tf32.f32": (4, np.float32, np.float32, 1),
    "m16n8k32.row.col.s32.s8.s8.s32": (32, np.int8, np.int32, 4),
    "m16n8k16.row.col.s32.s8.s8.s32": (16, np.int8, np.int32, 4),
    "m16n8k32.row.col.s32.u8.u8.s32": (32, np.uint8, np.int32, 4),
    "m16n8k32.row.col.f32.e4m3.e4m3.f32": (32, ml_dtypes.float8_e4m3fn, np.float32, 4),
    "m16n8k32.row.col.f32.e5m2.e5m2.f32": (32, ml_dtypes.float8_e5m2, np.float32, 4),
}


@pytest.mark.parametrize("op", list(CASES))
def test_mma_is_the_product_of_the_matrices_that_the_lanes_hold(op: str) -> None:
    depth, kind, out, per = CASES[op]
    rng = np.random.default_rng(3)
    # Small integers: every order of summation gives the exact sum.
    low = 0 if kind is np.uint8 else -4
    a = rng.integers(low, 5, (16, depth)).astype(kind)
    b = rng.integers(low, 5, (depth, 8)).astype(kind)
    c = rng.integers(-100, 100, (16, 8)).astype(out)
    want = a.astype(np.float64) @ b.astype(np.float64) + c.astype(np.float64)
    lanes = range(32)
    code = f"u{np.dtype(kind).itemsize}"
    registers_a = pack(a.view(code), [[a_place(x, i, per) for i in range(16 * depth // 32)] for x in lanes], 4)
    registers_b = pack(b.view(code), [[b_place(x, i, per) for i in range(8 * depth // 32)] for x in lanes], 4)
    places_c = [[c_place(x, i) for i in range(4)] for x in lanes]
    registers_c = pack(c.view(f"u{c.itemsize}"), places_c, 4)
    d = run_mma(op, registers_a, registers_b, registers_c, registers_c.shape[1]).view(out)
    for lane in lanes:
        for i, place in enumerate(places_c[lane]):
            assert d[lane, i] == want[place], (lane, i)


def test_mma_of_f64_has_one_element_a_lane() -> None:
    rng = np.random.default_rng(4)
    a, b, c = rng.standard_normal((8, 4)), rng.standard_normal((4, 8)), rng.standard_normal((8, 8))
    lanes = range(32)
    ra = np.array([[a[x // 4, x % 4]] for x in lanes]).view(np.uint64)
    rb = np.array([[b[x % 4, x // 4]] for x in lanes]).view(np.uint64)
    rc = np.array([[c[x // 4, x % 4 * 2 + i] for i in range(2)] for x in lanes]).view(np.uint64)
    d = run_mma("m8n8k4.row.col.f64.f64.f64.f64", ra, rb, rc, 2, wide=True).view(np.float64)
    want = a @ b + c
    for x in lanes:
        assert np.allclose(d[x], want[x // 4, x % 4 * 2 : x % 4 * 2 + 2], rtol=1e-14)


def test_mma_of_nibbles_takes_eight_to_a_register() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.integers(-8, 8, (16, 64)), rng.integers(-8, 8, (64, 8))
    c = np.zeros((16, 8), np.int64)

    def word(nibbles: list[int]) -> int:
        return sum((n & 15) << 4 * i for i, n in enumerate(nibbles))

    ra = np.zeros((32, 4), np.uint32)
    rb = np.zeros((32, 2), np.uint32)
    for x in range(32):
        g, t = divmod(x, 4)
        for register, (row, start) in enumerate(((g, 0), (g + 8, 0), (g, 32), (g + 8, 32))):
            ra[x, register] = word([a[row, start + 8 * t + i] for i in range(8)])
        for register, start in enumerate((0, 32)):
            rb[x, register] = word([b[start + 8 * t + i, g] for i in range(8)])
    d = run_mma("m16n8k64.row.col.s32.s4.s4.s32", ra, rb, np.zeros((32, 4), np.uint32), 4).view(np.int32)
    want = a @ b + c
    for x in range(32):
        assert d[x].tolist() == [want[c_place(x, i)] for i in range(4)]


def test_the_sum_of_an_mma_runs_over_k_in_order_and_is_rounded_once() -> None:
    """1 + 2**-24 + 2**-24 is 1 if every step rounds to f32, and 1 + 2**-23 with one rounding at the end."""
    a, b, c = np.zeros((16, 16), np.float16), np.zeros((16, 8), np.float16), np.zeros((16, 8), np.float32)
    a[0, :2], b[:2, 0], c[0, 0] = 2.0**-12, 2.0**-12, 1
    lanes = range(32)
    ra = pack(a.view(np.uint16), [[a_place(x, i, 2) for i in range(8)] for x in lanes], 4)
    rb = pack(b.view(np.uint16), [[b_place(x, i, 2) for i in range(4)] for x in lanes], 4)
    rc = pack(c.view(np.uint32), [[c_place(x, i) for i in range(4)] for x in lanes], 4)
    d = run_mma("m16n8k16.row.col.f32.f16.f16.f32", ra, rb, rc, 4).view(np.float32)
    assert d[0, 0] == np.float32(1 + 2.0**-23)


@pytest.mark.parametrize("limit", ["", ".satfinite"])
def test_integer_sums_wrap_or_clamp(limit: str) -> None:
    ra, rb = np.full((32, 4), 0x7F7F7F7F, np.uint32), np.full((32, 2), 0x7F7F7F7F, np.uint32)
    rc = np.full((32, 4), 2**31 - 1, np.uint32)
    op = f"m16n8k32.row.col{limit}.s32.s8.s8.s32"
    d = run_mma(op, ra, rb, rc, 4).view(np.int32)
    total = 2**31 - 1 + 32 * 127 * 127
    assert (d == (2**31 - 1 if limit else total - 2**32)).all()


def load_matrices(count: int, trans: str) -> np.ndarray:
    """Registers [32, count] that ldmatrix gives of matrices that lie one after the other; b16 element = its number."""
    registers = [f"%r{i}" for i in range(count)]
    body = f"""
    mov.u32 %t, %tid.x;
    ld.param.u64 %p, [p0]; mul.wide.u32 %o, %t, 16; add.s64 %p, %p, %o;
    ld.global.v4.u32 {{%r0, %r1, %r2, %r3}}, [%p];
    shl.b32 %a, %t, 4; mov.u32 %s, sm; add.u32 %a, %a, %s;
    st.shared.v4.u32 [%a], {{%r0, %r1, %r2, %r3}};
    bar.sync 0;
    ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {{{", ".join(registers)}}}, [%a];
    ld.param.u64 %p, [p1]; mul.wide.u32 %o, %t, {4 * count}; add.s64 %p, %p, %o;
    """ + "".join(f"st.global.u32 [%p+{4 * i}], %r{i};" for i in range(count))
    registers_text = ".reg .b32 %r<4>, %t, %a, %s; .reg .b64 %p, %o; .shared .align 16 .b8 sm[512];"
    out = np.zeros((32, count), np.uint32)
    numbers = np.arange(256, dtype=np.uint16)
    ptxvm.parse(entry(body, ["u64", "u64"], registers_text)).launch("k", (1,), (32,), [numbers, ptxvm.Unset(out)])
    return out.view(np.uint16).reshape(32, count, 2)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix_gives_lane_l_row_l_over_4_and_two_columns(count: int) -> None:
    plain, trans = load_matrices(count, ""), load_matrices(count, ".trans")
    for matrix in range(count):
        element = np.arange(64).reshape(8, 8) + 64 * matrix
        for lane in range(32):
            row, column = lane // 4, lane % 4 * 2
            assert plain[lane, matrix].tolist() == [element[row, column], element[row, column + 1]]
            assert trans[lane, matrix].tolist() == [element[column, row], element[column + 1, row]]


@pytest.mark.parametrize("trans", ["", ".trans"])
def test_stmatrix_is_the_inverse_of_ldmatrix(trans: str) -> None:
    body = f"""
    mov.u32 %t, %tid.x; shl.b32 %a, %t, 4; mov.u32 %s, sm; add.u32 %a, %a, %s;
    mad.lo.u32 %r0, %t, 4, 1000; add.u32 %r1, %r0, 1; add.u32 %r2, %r0, 2; add.u32 %r3, %r0, 3;
    stmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 [%a], {{%r0, %r1, %r2, %r3}};
    bar.warp.sync -1;
    ldmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 {{%q0, %q1, %q2, %q3}}, [%a];
    ld.param.u64 %p, [p0]; mul.wide.u32 %o, %t, 16; add.s64 %p, %p, %o;
    st.global.v4.u32 [%p], {{%q0, %q1, %q2, %q3}};
    """
    registers = ".reg .b32 %r<4>, %q<4>, %t, %a, %s; .reg .b64 %p, %o; .shared .align 16 .b8 sm[512];"
    out = np.zeros((32, 4), np.uint32)
    ptxvm.parse(entry(body, ["u64"], registers)).launch("k", (1,), (32,), [ptxvm.Unset(out)])
    assert out.tolist() == [[1000 + 4 * t + i for i in range(4)] for t in range(32)]


def test_movmatrix_transposes() -> None:
    body = """
    mov.u32 %t, %tid.x; mad.lo.u32 %r0, %t, 131074, 65536;
    movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r0;
    ld.param.u64 %p, [p0]; mul.wide.u32 %o, %t, 4; add.s64 %p, %p, %o; st.global.u32 [%p], %r1;
    """
    out = np.zeros(32, np.uint32)
    text = entry(body, ["u64"], ".reg .b32 %r<2>, %t; .reg .b64 %p, %o;")
    ptxvm.parse(text).launch("k", (1,), (32,), [ptxvm.Unset(out)])
    assert (out.view(np.uint16).reshape(8, 8) == np.arange(64).reshape(8, 8).T).all()


MMA = """mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1}, {%r2},
{%f0, %f1, %f2, %f3};"""
START = "mov.u32 %t, %tid.x; " + "".join(f"mov.u32 %r{i}, 0; mov.b32 %f{i}, 0f00000000;" for i in range(4))


def test_matrix_instructions_want_whole_warps() -> None:
    registers = ".reg .b32 %t, %r<4>; .reg .f32 %f<4>; .reg .pred %p;"
    ptxvm.parse(entry(START + MMA, registers=registers)).launch("k", (1,), (64,), [])
    with pytest.raises(ptxvm.BarrierError, match="whole warps, but thread 40 of block 0 does not exist"):
        ptxvm.parse(entry(START + MMA, registers=registers)).launch("k", (1,), (40,), [])
    early = START + "setp.eq.u32 %p, %t, 5; @%p exit;" + MMA
    with pytest.raises(ptxvm.BarrierError, match="whole warps, but thread 5 of block 0 has ended"):
        ptxvm.parse(entry(early, registers=registers)).launch("k", (1,), (64,), [])
