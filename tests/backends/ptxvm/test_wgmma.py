"""Matrix instructions of warpgroups: fragments and descriptors against tables worked out from the PTX ISA by hand,
products against NumPy, and planted faults.

A kernel here copies its matrices to shared memory word by word, as the test has laid them out, and multiplies once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm
from vmc.backends.ptxvm.descriptors import Descriptor

THREADS = 128
A_AT, B_AT = 0, 8192

# PTX ISA, figure of D of wgmma .m64nNk16: (thread, register) and the element that it holds.
D_PLACES = {
    (0, 0): (0, 0), (0, 1): (0, 1), (0, 2): (8, 0), (0, 3): (8, 1), (0, 4): (0, 8), (0, 7): (8, 9),
    (1, 0): (0, 2), (4, 0): (1, 0), (31, 3): (15, 7), (32, 0): (16, 0), (37, 5): (17, 11), (127, 0): (55 + 0, 6),
    (127, 7): (63, 15),
}  # fmt: skip
# PTX ISA, figure of A of wgmma .m64nNk16 in registers: (thread, element) and its place; two elements a register.
A_PLACES = {
    (0, 0): (0, 0), (0, 1): (0, 1), (0, 2): (8, 0), (0, 4): (0, 8), (0, 7): (8, 9), (1, 0): (0, 2), (4, 0): (1, 0),
    (31, 7): (15, 15), (32, 0): (16, 0), (96, 2): (56, 0), (127, 5): (55, 15), (127, 7): (63, 15),
}  # fmt: skip


def d_place(thread: int, register: int) -> tuple[int, int]:
    """The ISA's formulas: 16 rows a warp, 4 lanes a row, registers by pairs of columns, rows 8 apart, then columns."""
    row = thread // 32 * 16 + thread % 32 // 4 + 8 * (register % 4 // 2)
    return row, register // 4 * 8 + thread % 4 * 2 + register % 2


def a_place(thread: int, element: int) -> tuple[int, int]:
    row = thread // 32 * 16 + thread % 32 // 4 + 8 * (element % 4 // 2)
    return row, element // 4 * 8 + thread % 4 * 2 + element % 2


def test_the_formulas_agree_with_the_figures() -> None:
    assert {key: d_place(*key) for key in D_PLACES} == D_PLACES
    assert {key: a_place(*key) for key in A_PLACES} == A_PLACES


# ---- descriptors -----------------------------------------------------------------------------------------------------


def encode(start: int, leading: int, stride: int, mode: int) -> int:
    return (start >> 4) | (leading >> 4) << 16 | (stride >> 4) << 32 | mode << 62


# Byte addresses of elements of 2 bytes by hand. K-major without a swizzle: core matrices of 8 rows x 16 bytes are 128
# bytes in a row; `leading` (256) leads along K, `stride` (512) along the lines.
PLAIN = {(0, 0): 0, (0, 7): 14, (1, 0): 16, (7, 7): 126, (0, 8): 256, (3, 9): 306, (8, 0): 512, (9, 15): 798}
# K-major, 128 bytes: line r is 128 r bytes in, its chunks of 16 bytes exchanged by r mod 8; eight lines on is `stride`.
WIDE = {
    (0, 0): 0, (0, 8): 16, (1, 0): 128 + 16, (1, 8): 128, (2, 0): 256 + 32, (2, 8): 256 + 48, (5, 3): 640 + 80 + 6,
    (7, 0): 896 + 112, (7, 8): 896 + 96, (8, 0): 1024, (9, 15): 1024 + 128 + 0 + 14,
}  # fmt: skip
# K-major, 64 bytes: lines of 64 bytes, two of them share address bits 7 and up; chunks by (r / 2) mod 4.
HALF = {(0, 8): 16, (1, 0): 64, (2, 0): 128 + 16, (3, 8): 192 + 0, (4, 0): 256 + 32, (7, 15): 448 + (16 ^ 48) + 14}
# K-major, 32 bytes: lines of 32 bytes, four of them share bit 7; chunks by (r / 4) mod 2.
QUARTER = {(0, 8): 16, (3, 0): 96, (4, 0): 128 + 16, (4, 8): 128, (7, 9): 224 + 2}
# MN-major, 128 bytes: 64 neighbours along M or N in a line of 128 bytes, a line for each k; beyond 64 is `leading`
# (2048), beyond k = 8 `stride` (1024).
TURNED = {
    (0, 0): 0,
    (9, 0): 18,
    (0, 1): 128 + 16,
    (8, 1): 128,
    (63, 7): 896 + 14,
    (64, 0): 2048,
    (1, 9): 1024 + 144 + 2,
}
# MN-major without a swizzle: core matrices of 8 lines of k, 16 bytes each; `stride` (512) along M or N, `leading` (256)
# along K.
TURNED_PLAIN = {(0, 0): 0, (7, 0): 14, (0, 1): 16, (8, 0): 512, (17, 3): 2 * 512 + 48 + 2, (1, 10): 256 + 32 + 2}

DESCRIPTORS = {
    "K, none": (256, 512, 0, False, PLAIN),
    "K, 128": (16, 1024, 1, False, WIDE),
    "K, 64": (16, 512, 2, False, HALF),
    "K, 32": (16, 256, 3, False, QUARTER),
    "MN, 128": (2048, 1024, 1, True, TURNED),
    "MN, none": (256, 512, 0, True, TURNED_PLAIN),
}


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_descriptors_place_elements_as_worked_out_by_hand(name: str) -> None:
    leading, stride, mode, transposed, table = DESCRIPTORS[name]
    for start in (0, 4096):
        found = Descriptor.decode(encode(start, leading, stride, mode)).addresses(128, 16, 2, transposed)
        assert {place: int(found[place]) - start for place in table} == table


def test_a_step_along_k_inside_a_swizzled_line_moves_the_start_only() -> None:
    """The second 16 of K of lines of 128 bytes begins at byte 32; the exchange of chunks goes by the whole address."""
    found = Descriptor.decode(encode(4096 + 32, 16, 1024, 1)).addresses(16, 16, 2, False)
    assert found[0, 0] == 4096 + 32 and found[1, 0] == 4096 + 128 + (32 ^ 16) and found[2, 8] == 4096 + 256 + (48 ^ 32)


def test_base_offsets_are_not_modelled() -> None:
    with pytest.raises(ptxvm.ExecutionError, match="base offset"):
        Descriptor.decode(encode(0, 16, 1024, 1) | 1 << 49)


# ---- products --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """An element type of factors: NumPy's type, bytes, K of an instruction, and the name of sums."""

    numpy: Any
    size: int
    depth: int
    sums: str = "f32"


KINDS = {
    "f16": Kind(np.float16, 2, 16), "bf16": Kind(ml_dtypes.bfloat16, 2, 16), "tf32": Kind(np.float32, 4, 8),
    "e4m3": Kind(ml_dtypes.float8_e4m3fn, 1, 32), "e5m2": Kind(ml_dtypes.float8_e5m2, 1, 32),
    "s8": Kind(np.int8, 1, 32, "s32"), "u8": Kind(np.uint8, 1, 32, "s32"),
}  # fmt: skip
MODES = {0: 16, 1: 128, 2: 64, 3: 32}


def place(mode: int, line: int, element: int, size: int, transposed: bool) -> int:
    """An independent statement of where an element goes, dense: `line` along M or N, `element` along K."""
    width, chunk = MODES[mode], 16 // size
    leading, stride = offsets(mode, transposed)
    if transposed:
        run, other, across, on = line, element, leading, stride
    else:
        run, other, across, on = element, line, 0, stride
    if mode == 0:
        steps = (stride, leading) if transposed else (leading, stride)
        return run // chunk * steps[0] + other // 8 * steps[1] + other % 8 * 16 + run % chunk * size
    per = width // size
    byte = run // per * across + other // 8 * on + other % 8 * width + run % per * size
    return byte ^ (byte // 128 % (width // 16)) * 16


def offsets(mode: int, transposed: bool) -> tuple[int, int]:
    """Leading and stride offsets of the dense matrices here, of 16 elements along K where they are turned."""
    if mode == 0:
        return 128, 256
    width = MODES[mode]
    return (2 * 8 * width, 8 * width) if transposed else (16, 8 * width)


def stored(codes: np.ndarray, mode: int, transposed: bool) -> np.ndarray:
    """The bytes of a matrix [lines, depth] in shared memory."""
    raw = np.ascontiguousarray(codes).view(np.uint8).reshape(*codes.shape, -1)
    size = raw.shape[2]
    result = np.zeros(8192, np.uint8)
    for line in range(codes.shape[0]):
        for element in range(codes.shape[1]):
            at = place(mode, line, element, size, transposed)
            result[at : at + size] = raw[line, element]
    return result


COPY = """
    mov.u32 %t, %tid.x; ld.param.u64 %p, [p0]; mul.wide.u32 %o, %t, 128; add.s64 %p, %p, %o;
    mov.u32 %s, sm; mad.lo.u32 %s, %t, 128, %s;
"""
COPY += "".join(
    f"ld.global.v4.u32 {{%x0,%x1,%x2,%x3}}, [%p+{i}]; st.shared.v4.u32 [%s+{i}], {{%x0,%x1,%x2,%x3}};\n"
    for i in range(0, 128, 16)
)
PROXY, BARRIER, FENCE = "fence.proxy.async.shared::cta; ", "bar.sync 0; ", "wgmma.fence.sync.aligned; "
COMMIT, WAIT = "wgmma.commit_group.sync.aligned; ", "wgmma.wait_group.sync.aligned 0; "


def names(prefix: str, count: int) -> str:
    return "{" + ",".join(f"%{prefix}{n}" for n in range(count)) + "}"


def mma(columns: int, kind: str, a: str, tail: str, to: str = "") -> str:
    made = KINDS[kind]
    to = to or made.sums
    registers = columns // 2 // (2 if to == "f16" else 1)
    opcode = f"wgmma.mma_async.sync.aligned.m64n{columns}k{made.depth}.{to}.{kind}.{kind}"
    return f"{opcode} {names('d', registers)}, {a}, %db, {tail}; "


def program(
    columns: int,
    product: str,
    mode_a: int = 0,
    mode_b: int = 0,
    turned: tuple[bool, bool] = (False, False),
    before: str = "",
    start: int = 1,
    halves: bool = False,
) -> str:
    """A kernel that copies 16 KiB, loads A's registers from [p1], D starts as `start`, and stores D to [p2]."""
    registers = columns // 2 // (2 if halves else 1)
    a = encode(A_AT, *offsets(mode_a, turned[0]), mode_a)
    b = encode(B_AT, *offsets(mode_b, turned[1]), mode_b)
    body = COPY + f"mov.u32 %x0, sm; shr.u32 %x0, %x0, 4; cvt.u64.u32 %o, %x0; add.s64 %da, %o, {a}; "
    body += f"add.s64 %db, %o, {b}; ld.param.u64 %q, [p1]; mul.wide.u32 %o, %t, 16; "
    body += "add.s64 %q, %q, %o; ld.global.v4.u32 {%a0,%a1,%a2,%a3}, [%q]; "
    body += "".join(f"mov.b32 %d{n}, {start};" for n in range(registers)) + "\n"
    body += before + "\n" + product + "\nld.param.u64 %q, [p2]; "
    body += f"mul.wide.u32 %o, %t, {registers * 4}; add.s64 %q, %q, %o;\n"
    body += "".join(f"st.global.u32 [%q+{4 * n}], %d{n}; " for n in range(registers))
    declared = ".reg .b32 %t, %s, %x<4>, %a<8>, %d<128>; .reg .b64 %p, %q, %o, %da, %db; .reg .pred %w;"
    return entry(body, ["u64"] * 3, declared + ".shared .align 1024 .b8 sm[16384];")


def execute(text: str, a: np.ndarray, b: np.ndarray, fragment: np.ndarray, registers: int) -> np.ndarray:
    out = np.zeros((THREADS, registers), np.uint32)
    memory = np.concatenate([a, b])
    ptxvm.parse(text).launch("k", (1,), (THREADS,), [memory, np.ascontiguousarray(fragment), ptxvm.Unset(out)])
    return out


def matrix(registers: np.ndarray, dtype: Any) -> np.ndarray:
    """D of registers [128, n], by the table."""
    values = np.ascontiguousarray(registers).view(dtype)
    result = np.zeros((64, values.shape[1] * 2), np.float64)
    for thread in range(THREADS):
        for number in range(values.shape[1]):
            result[d_place(thread, number)] = values[thread, number]
    return result


def factors(kind: str, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A [64, k] and B [columns, k], small integers, so that all sums are exact."""
    rng = np.random.default_rng(seed)
    made = KINDS[kind]
    low = 0 if kind == "u8" else -4
    a, b = rng.integers(low, 5, (64, made.depth)), rng.integers(low, 5, (columns, made.depth))
    return a.astype(made.numpy), b.astype(made.numpy)


def in_registers(a: np.ndarray) -> np.ndarray:
    """A [64, 16] of 16 bits as registers, by the table."""
    codes = a.view(np.uint16)
    return np.array([[codes[a_place(t, e)] for e in range(8)] for t in range(THREADS)], np.uint16).view(np.uint32)


NOTHING = np.zeros((THREADS, 4), np.uint32)
READY = PROXY + BARRIER + FENCE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_products_of_matrices_in_shared_memory(kind: str, mode: int) -> None:
    a, b = factors(kind, 24)
    tail = "0" if KINDS[kind].sums == "s32" else "0, 1, 1" + (", 0, 0" if KINDS[kind].size == 2 else "")
    text = program(24, mma(24, kind, "%da", tail) + COMMIT + WAIT, mode, mode, before=READY)
    out = execute(text, stored(a, mode, False), stored(b, mode, False), NOTHING, 12)
    found = matrix(out, np.int32 if KINDS[kind].sums == "s32" else np.float32)
    assert np.array_equal(found, a.astype(np.float64) @ b.astype(np.float64).T)


@pytest.mark.parametrize("kind", ["f16", "bf16"])
@pytest.mark.parametrize("mode", MODES)
def test_matrices_along_m_or_n(kind: str, mode: int) -> None:
    a, b = factors(kind, 16)
    text = program(16, mma(16, kind, "%da", "0, 1, 1, 1, 1") + COMMIT + WAIT, mode, mode, (True, True), READY)
    out = execute(text, stored(a, mode, True), stored(b, mode, True), NOTHING, 8)
    assert np.array_equal(matrix(out, np.float32), a.astype(np.float64) @ b.astype(np.float64).T)


@pytest.mark.parametrize(("kind", "columns"), [("f16", 8), ("bf16", 64), ("f16", 128)])
def test_a_in_registers_and_sums_that_go_on(kind: str, columns: int) -> None:
    a, b = factors(kind, columns)
    one = mma(columns, kind, names("a", 4), "%w, 1, 1, 0")
    body = "setp.ne.u32 %w, 0, 0; " + one + "setp.eq.u32 %w, 0, 0; " + one + one.replace("1, 1, 0", "-1, 1, 0") + one
    text = program(columns, body + COMMIT + WAIT, 0, 3, before=READY)
    out = execute(text, np.zeros(8192, np.uint8), stored(b, 3, False), in_registers(a), columns // 2)
    assert np.array_equal(matrix(out, np.float32), 2 * (a.astype(np.float64) @ b.astype(np.float64).T))


def test_sums_of_f16_are_packed() -> None:
    a, b = factors("f16", 16)
    product = mma(16, "f16", names("a", 4), "0, 1, 1, 0", "f16")
    text = program(16, product + COMMIT + WAIT, 0, 1, before=READY, halves=True)
    out = execute(text, np.zeros(8192, np.uint8), stored(b, 1, False), in_registers(a), 4)
    assert np.array_equal(matrix(out, np.float16), a.astype(np.float64) @ b.astype(np.float64).T)


# ---- planted faults --------------------------------------------------------------------------------------------------

ONE = mma(16, "f16", names("a", 4), "1, 1, 1, 0")


def run(before: str, product: str, mode: int = 1, stored_mode: int = 1) -> np.ndarray:
    a, b = factors("f16", 16, seed=3)
    text = program(16, product, 0, mode, before=before, start=0)
    out = execute(text, np.zeros(8192, np.uint8), stored(b, stored_mode, False), in_registers(a), 8)
    return matrix(out, np.float32) - a.astype(np.float64) @ b.astype(np.float64).T


def test_without_a_fault_there_is_none() -> None:
    assert not run(READY, ONE + COMMIT + WAIT).any()
    assert not run(BARRIER + PROXY + FENCE, ONE + COMMIT + WAIT).any()  # whoever reads may fence, too


def test_results_before_the_wait_are_found() -> None:
    for wait in ("", "wgmma.wait_group.sync.aligned 1; "):
        with pytest.raises(ptxvm.AsyncProductError, match=r"register %d0 .*not been waited for") as caught:
            run(READY, ONE + COMMIT + wait)
        assert "st.global" in caught.value.text and caught.value.other is not None
    with pytest.raises(ptxvm.AsyncProductError):
        run(READY, ONE + WAIT)  # nothing was committed, so nothing is waited for


def test_a_product_or_a_bulk_copy_that_nobody_waits_for_is_told() -> None:
    text = program(16, ONE + COMMIT, 0, 1, before=READY, start=0)
    text = re.sub(r"st\.global\.u32[^;]*;", "", text)
    a, b = factors("f16", 16)
    memory = np.concatenate([np.zeros(8192, np.uint8), stored(b, 1, False)])
    arguments = [memory, in_registers(a), np.zeros((THREADS, 8), np.uint32)]
    report = ptxvm.parse(text).launch("k", (1,), (THREADS,), arguments)
    assert len(report.warnings) == 1 and "nobody waits for wgmma.mma_async" in report.warnings[0]


def test_a_register_of_a_that_is_written_too_early_is_found() -> None:
    with pytest.raises(ptxvm.AsyncProductError, match="register %a2 "):
        run(READY, ONE + COMMIT + "mov.b32 %a2, 0; " + WAIT)


def test_a_missing_fence_of_registers_is_found() -> None:
    with pytest.raises(ptxvm.AsyncProductError, match=r"accessed with no wgmma\.fence since"):
        run(PROXY + BARRIER, ONE + COMMIT + WAIT)
    again = ONE + COMMIT + WAIT + "mov.b32 %a0, 0; " + "FENCE" + ONE + COMMIT + WAIT
    run(READY, again.replace("FENCE", FENCE))
    with pytest.raises(ptxvm.AsyncProductError, match=r"register %a0 .*no wgmma\.fence since"):
        run(READY, again.replace("FENCE", ""))


def test_sums_of_another_shape_are_found() -> None:
    narrow = mma(8, "f16", names("a", 4), "1, 1, 1, 0")
    with pytest.raises(ptxvm.AsyncProductError, match="in another way"):
        run(READY, ONE + narrow + COMMIT + WAIT)


def test_a_missing_fence_of_proxies_is_found() -> None:
    with pytest.raises(ptxvm.RaceError, match=r"no fence\.proxy\.async between"):
        run(BARRIER + FENCE, ONE + COMMIT + WAIT)


def test_a_missing_barrier_is_found() -> None:
    with pytest.raises(ptxvm.RaceError, match="read after write"):
        run(PROXY + FENCE, ONE + COMMIT + WAIT)


def test_matrices_that_are_overwritten_before_the_wait_are_found() -> None:
    write = "st.shared.u32 [%s], 0; "
    assert not run(READY, ONE + COMMIT + WAIT + BARRIER + write).any()
    with pytest.raises(ptxvm.AsyncProductError, match="shared memory is written while a wgmma reads it"):
        run(READY, ONE + COMMIT + BARRIER + write + WAIT)
    with pytest.raises(ptxvm.RaceError, match="write after read"):
        run(READY, ONE + COMMIT + WAIT + write)


def test_wrong_swizzles_give_wrong_results() -> None:
    for mode in (0, 2, 3):
        assert run(READY, ONE + COMMIT + WAIT, mode).any()


def test_warps_that_do_not_take_part_and_other_descriptors_are_found() -> None:
    half = "setp.lt.u32 %w, %t, 64; @%w bra SKIP; " + ONE + "SKIP: " + COMMIT + WAIT
    with pytest.raises(ptxvm.BarrierError):
        run(READY, half)
    with pytest.raises(ptxvm.ExecutionError, match="different matrix descriptors"):
        run("setp.lt.u32 %w, %t, 64; @%w add.s64 %db, %db, 1; " + READY, ONE + COMMIT + WAIT)
    with pytest.raises(ptxvm.LaunchError, match="warpgroups"):
        text = program(16, ONE + COMMIT + WAIT, 0, 1, before=READY)
        ptxvm.parse(text).launch("k", (1,), (64,), [np.zeros(16384, np.uint8), NOTHING, np.zeros((128, 8), np.uint32)])


def test_unset_elements_make_unset_sums() -> None:
    with pytest.raises(ptxvm.UninitialisedError):
        run(READY.replace("wgmma.fence", "mov.b32 %a1, %a7; wgmma.fence"), ONE + COMMIT + WAIT)


BULK = """
    setp.eq.u32 %w, %t, 0; mov.u32 %s, bar; @!%w bra GO; mbarrier.init.shared::cta.b64 [bar], 1; GO: bar.sync 0;
    ld.param.u64 %p, [p0]; mov.u32 %x0, sm; @!%w bra MORE;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 16384;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%x0], [%p], 16384, [%s];
    MORE: WAIT: mbarrier.try_wait.parity.shared::cta.b64 %w, [bar], PARITY; @!%w bra WAIT;
"""


def bulk(text: str, parity: int = 0) -> None:
    a, b = factors("f16", 16, seed=3)
    whole = program(16, ONE + COMMIT + WAIT, 0, 1, before=text.replace("PARITY", str(parity)) + FENCE, start=0)
    whole = whole.replace(COPY, "mov.u32 %t, %tid.x; ").replace("sm[16384];", "sm[16384]; .shared .align 8 .b8 bar[8];")
    out = execute(whole, np.zeros(8192, np.uint8), stored(b, 1, False), in_registers(a), 8)
    assert np.array_equal(matrix(out, np.float32), a.astype(np.float64) @ b.astype(np.float64).T)


def test_bulk_copies_need_no_fence_and_their_faults_are_found() -> None:
    bulk(BULK)
    with pytest.raises(ptxvm.AsyncCopyError):
        bulk(BULK, parity=1)  # the phase before the first counts as over
    with pytest.raises(ptxvm.BarrierError):
        bulk(BULK.replace("[bar], 16384", "[bar], 16400"))
    with pytest.raises(ptxvm.AsyncCopyError):
        bulk(BULK.replace("@!%w bra WAIT;", ""))  # asked once, with no regard to the answer


def test_a_bulk_copy_over_what_threads_wrote_needs_a_fence() -> None:
    text = "mov.u32 %x1, sm; setp.eq.u32 %w, %t, 0; @%w st.shared.u32 [%x1], 0; FENCE" + BULK
    bulk(text.replace("FENCE", PROXY))
    with pytest.raises(ptxvm.RaceError, match=r"no fence\.proxy\.async"):
        bulk(text.replace("FENCE", ""))
