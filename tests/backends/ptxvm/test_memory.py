"""Memories: spaces, vectors, atomics, unset bits, asynchronous copies, named barriers, the numbers of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm

Each = Callable[..., Any]

REGISTERS = """.reg .b32 %t, %r<16>; .reg .b64 %p, %q, %o; .reg .pred %b; .reg .b16 %h<4>; .reg .f32 %f<4>;
.shared .align 16 .b8 sm[4096];"""
OUT = "ld.param.u64 %q, [p0]; mul.wide.u32 %o, %t, 4; add.s64 %q, %q, %o;"


def launch(body: str, *args: Any, threads: int = 32, blocks: int = 1, module: str = "", **more: Any) -> Any:
    """Runs a body with pointers p0, p1, ...; `%t` is the thread."""
    text = entry("mov.u32 %t, %tid.x;" + body, ["u64"] * len(args), REGISTERS, module)
    return ptxvm.parse(text).launch("k", (blocks,), (threads,), list(args), **more)


def result(body: str, threads: int = 32, dtype: Any = np.uint32, module: str = "", **more: Any) -> np.ndarray:
    """What a body leaves in %r0 of each thread."""
    out = np.zeros(threads, dtype)
    launch(body + OUT + "st.global.u32 [%q], %r0;", ptxvm.Unset(out), threads=threads, module=module, **more)
    return out


def test_narrow_loads_extend_and_narrow_stores_truncate(each: Each) -> None:
    a = np.array([0x80FF, 0x7F01, 0xFF80], np.uint16)
    code = """shl.b32 %t1, %i, 2; mov.u32 %t2, sm; add.u32 %t1, %t1, %t2;
    st.shared.u16 [%t1], %a; ld.shared.s8 %x, [%t1]; ld.shared.u8 %y, [%t1+1]; ld.shared.s16 %z, [%t1];"""
    code = ".shared .align 4 .b8 sm[512];" + code
    low, high, whole = each(code, a, out=(np.int32, np.uint32, np.int64))
    assert low.tolist() == [-1, 1, -128]
    assert high.tolist() == [0x80, 0x7F, 0xFF]
    assert whole.tolist() == [-0x7F01, 0x7F01, -0x80]


def test_constant_and_global_arrays_have_their_initial_values() -> None:
    module = """.const .align 4 .u32 table[4] = {10, 0x14, 30, 40};
    .global .align 4 .f32 scale[2] = {0f3F800000, 2.5};
    .global .align 8 .u64 where[1] = {generic(table)+8};"""
    body = """and.b32 %r1, %t, 3; mul.wide.u32 %o, %r1, 4; mov.u64 %p, table; add.s64 %p, %p, %o;
    ld.const.u32 %r2, [%p];
    ld.global.f32 %f0, [scale+4]; cvt.rn.f32.u32 %f1, %r2; mul.f32 %f1, %f1, %f0; cvt.rzi.u32.f32 %r0, %f1;
    ld.global.u64 %p, [where]; ld.u32 %r3, [%p]; add.u32 %r0, %r0, %r3;"""
    assert result(body, module=module).tolist() == [int(v * 2.5) + 30 for v in (10, 20, 30, 40)] * 8


def test_generic_addresses_reach_every_space() -> None:
    body = """
    .local .align 4 .b8 mine[4];
    mov.u32 %r1, 100; shl.b32 %r2, %t, 2; cvt.u64.u32 %o, %r2;
    st.shared.u32 [sm], %r1;
    mov.u64 %p, mine; cvta.local.u64 %p, %p; st.u32 [%p], %t;
    mov.u64 %q, sm; add.s64 %q, %q, %o; cvta.shared.u64 %q, %q;
    and.b32 %r3, %t, 1; setp.eq.u32 %b, %r3, 0; selp.b64 %p, %q, %p, %b;
    add.u32 %r4, %t, 1000; st.u32 [%p], %r4; ld.u32 %r0, [%p];
    isspacep.shared %b, %p; @%b add.u32 %r0, %r0, 10000;
    """.replace("st.shared.u32 [sm], %r1;", "")
    t = np.arange(32)
    assert (result(body) == t + 1000 + np.where(t % 2 == 0, 10000, 0)).all()


@pytest.mark.parametrize(("op", "reference"), [
    ("add.u32", lambda old, v: old + v), ("max.s32", max), ("min.u32", min), ("or.b32", lambda old, v: old | v),
    ("inc.u32", lambda old, v: 0 if old >= v else old + 1),
    ("dec.u32", lambda old, v: v if old == 0 or old > v else old - 1),
    ("exch.b32", lambda old, v: v),
])  # fmt: skip
def test_atomics_happen_one_thread_after_the_other(op: str, reference: Callable[[int, int], int]) -> None:
    body = f"""setp.eq.u32 %b, %t, 0; mov.u32 %r1, 5; @%b st.shared.u32 [sm], %r1; bar.sync 0;
    add.u32 %r2, %t, 3; atom.shared.{op} %r0, [sm], %r2;"""
    got = result(body, threads=64)
    value = 5
    for thread in range(64):
        assert got[thread] == value
        value = reference(value, thread + 3)


def test_compare_and_swap_and_sums_of_floats() -> None:
    total = np.zeros(2, np.float32)
    body = """cvt.rn.f32.u32 %f0, %t; ld.param.u64 %q, [p0]; red.global.add.f32 [%q], %f0;
    mov.u32 %r1, 0; add.u32 %r2, %t, 7; atom.global.cas.b32 %r3, [%q+4], %r1, %r2;"""
    launch(body, total, threads=64, blocks=2)
    assert total[0] == 2 * sum(range(64)) and total.view(np.uint32)[1] == 7


def test_atomics_of_several_blocks_are_no_race_but_a_plain_write_among_them_is() -> None:
    counter = np.zeros(1, np.uint32)
    add = "ld.param.u64 %q, [p0]; red.global.add.u32 [%q], 1;"
    launch(add, counter, threads=96, blocks=5)
    assert counter[0] == 480
    with pytest.raises(ptxvm.RaceError, match="race in global memory"):
        launch(add + "st.global.u32 [%q], %t;", counter, blocks=2)


def test_unset_bits_that_are_masked_out_do_no_harm() -> None:
    body = """shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; st.shared.u8 [%r1], %t;
    ld.shared.u32 %r3, [%r1]; and.b32 %r0, %r3, 255;"""
    assert (result(body) == np.arange(32)).all()
    shifted = body.replace("and.b32 %r0, %r3, 255;", "shl.b32 %r0, %r3, 24; shr.u32 %r0, %r0, 24;")
    assert (result(shifted) == np.arange(32)).all()


@pytest.mark.parametrize("use", [
    "bfe.u32 %r0, %r3, 0, 8;", "prmt.b32 %r0, %r3, 0, 0x4440;", "lop3.b32 %r0, %r3, 255, 0, 0xC0;",
    "cvt.u16.u32 %h0, %r3; cvt.u32.u8 %r0, %h0;", "bfi.b32 %r0, %r3, 0, 0, 8;",
    "mov.b32 {%h0, %h1}, %r3; and.b16 %h0, %h0, 255; cvt.u32.u16 %r0, %h0;",
    "shf.l.wrap.b32 %r4, %r3, 0, 8; shf.r.clamp.b32 %r0, %r4, 0, 32; bfe.u32 %r0, %r3, 0, 8;",
])  # fmt: skip
def test_fields_of_partly_set_words_keep_track_of_each_bit(use: str) -> None:
    body = """shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; st.shared.u8 [%r1], %t;
    ld.shared.u32 %r3, [%r1];"""
    assert (result(body + use) == np.arange(32)).all()


@pytest.mark.parametrize(("use", "what"), [
    ("mov.u32 %r0, %r3;", "what is stored to global memory"),
    ("add.u32 %r0, %r3, 1;", "what is stored to global memory"),
    ("setp.gt.u32 %b, %r3, 300; @%b bra END; mov.u32 %r0, 1; END:", "a branch"),
    ("add.u32 %r4, %r3, %r1; ld.shared.u32 %r0, [%r4];", "an address"),
    ("setp.gt.u32 %b, %r3, 300; selp.u32 %r0, 1, 0, %b;", "what is stored to global memory"),
    ("shfl.sync.bfly.b32 %r0, %r3, 1, 31, -1;", "what is stored to global memory"),
    ("cvt.rn.f32.u32 %f0, %r3; cvt.rzi.u32.f32 %r0, %f0;", "what is stored to global memory"),
])  # fmt: skip
def test_unset_bits_that_decide_something_are_found(use: str, what: str) -> None:
    body = """shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; st.shared.u8 [%r1], %t; mov.u32 %r0, 0;
    ld.shared.u32 %r3, [%r1];"""
    with pytest.raises(ptxvm.UninitialisedError, match=f"{what} depends on bits loaded from memory never written") as e:
        result(body + use)
    assert e.value.other is not None


def test_a_comparison_is_decided_where_set_bits_differ() -> None:
    body = """shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; st.shared.u8 [%r1], %t;
    ld.shared.u32 %r3, [%r1]; setp.eq.u32 %b, %r3, 200; selp.u32 %r0, 1, 0, %b;"""
    assert (result(body) == 0).all()


def test_unset_bytes_travel_through_shared_and_local_memory() -> None:
    body = """.local .align 4 .b8 mine[4]; shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2;
    ld.shared.u32 %r3, [%r1]; st.local.u32 [mine], %r3; ld.local.u32 %r0, [mine];"""
    with pytest.raises(ptxvm.UninitialisedError, match="stored to global memory"):
        result(body)


def test_a_register_written_on_one_path_only_is_unset_on_the_other() -> None:
    body = "setp.lt.u32 %b, %t, 20; @!%b bra END; mov.u32 %r0, 3; END: "
    with pytest.raises(ptxvm.UninitialisedError, match=r"of a register never written \(thread 20 of block 0\)"):
        result(body)


def test_an_output_that_is_read_before_it_is_written_is_found() -> None:
    out = np.zeros(32, np.uint32)
    body = OUT + "ld.global.u32 %r0, [%q]; add.u32 %r0, %r0, 1; st.global.u32 [%q], %r0;"
    launch(body, out)
    assert (out == 1).all()
    with pytest.raises(ptxvm.UninitialisedError):
        launch(body, ptxvm.Unset(out))


def test_of_a_workspace_only_what_an_earlier_launch_wrote_may_be_read() -> None:
    workspace, out = ptxvm.Workspace.of(128), np.zeros(32, np.uint32)
    read = OUT.replace("p0", "p1") + "ld.global.u32 %r0, [%q];" + OUT + "st.global.u32 [%q], %r0;"
    with pytest.raises(ptxvm.UninitialisedError):
        launch(read, ptxvm.Unset(out), workspace)
    launch(OUT + "st.global.u32 [%q], %t;", workspace, threads=31)
    with pytest.raises(ptxvm.UninitialisedError, match="thread 31 of block 0"):
        launch(read, ptxvm.Unset(out), workspace)
    launch(OUT + "st.global.u32 [%q], %t;", workspace)
    launch(read, ptxvm.Unset(out), replace(workspace, constant=True))
    assert (out == np.arange(32)).all()
    with pytest.raises(ptxvm.BoundsError, match="which is constant"):
        launch(OUT + "st.global.u32 [%q], %t;", replace(workspace, constant=True))


def test_constant_arguments_must_not_be_written() -> None:
    with pytest.raises(ptxvm.BoundsError, match="write to `p0`, which is constant"):
        launch(OUT + "st.global.u32 [%q], %t;", ptxvm.Constant(np.zeros(32, np.uint32)))


def test_a_pointer_before_the_start_and_a_null_pointer_are_named() -> None:
    with pytest.raises(ptxvm.BoundsError, match="read of 4 bytes at offset -4 of `p0`, before its start"):
        launch(OUT + "ld.global.u32 %r0, [%q+-4];", np.zeros(32, np.uint32))
    with pytest.raises(ptxvm.BoundsError, match="address 0x8, which belongs to no buffer"):
        launch("mov.u64 %q, 8; ld.global.u32 %r0, [%q];", np.zeros(32, np.uint32))


COPY = """ld.param.u64 %p, [p1]; mul.wide.u32 %o, %t, 16; add.s64 %p, %p, %o; shl.b32 %r1, %t, 4; mov.u32 %r2, sm;
add.u32 %r1, %r1, %r2; """


def copied(body: str, source: np.ndarray) -> np.ndarray:
    """What is in shared memory, one word of each thread's 16 bytes, after a body that copies."""
    out = np.zeros(32, np.uint32)
    launch(COPY + body + OUT + "ld.shared.u32 %r0, [%r1+4]; st.global.u32 [%q], %r0;", ptxvm.Unset(out), source)
    return out


def test_copies_arrive_when_they_are_waited_for() -> None:
    source = np.arange(128, dtype=np.uint32)
    start = "cp.async.cg.shared.global [%r1], [%p], 16;"
    assert (copied(start + "cp.async.wait_all;", source) == np.arange(32) * 4 + 1).all()
    with pytest.raises(ptxvm.AsyncCopyError):
        copied(start + "cp.async.commit_group; cp.async.wait_group 1;", source)
    with pytest.raises(ptxvm.AsyncCopyError):
        copied(start + "cp.async.wait_group 0;", source)


def test_copies_fill_with_zeros_past_their_size() -> None:
    source = np.arange(1, 129, dtype=np.uint32)
    start = (
        "and.b32 %r3, %t, 1; shl.b32 %r3, %r3, 3; cp.async.ca.shared.global [%r1], [%p], 16, %r3; cp.async.wait_all;"
    )
    t = np.arange(32)
    assert (copied(start, source) == np.where(t % 2, t * 4 + 2, 0)).all()
    ignore = "setp.lt.u32 %b, %t, 3; cp.async.cg.shared.global [%r1], [%p], 16, %b; cp.async.wait_all;"
    assert (copied(ignore, source) == np.where(t < 3, 0, t * 4 + 2)).all()


def test_a_copy_of_size_zero_reads_nothing_even_out_of_bounds() -> None:
    start = "mov.u32 %r3, 0; cp.async.cg.shared.global [%r1], [%p], 16, %r3; cp.async.wait_all;"
    assert (copied(start, np.zeros(4, np.uint32)) == 0).all()
    with pytest.raises(ptxvm.BoundsError, match="read of 16 bytes at offset 16 of `p1`"):
        copied(start.replace("%r3, 0;", "%r3, 16;"), np.zeros(4, np.uint32))


def test_other_threads_need_a_barrier_after_the_wait() -> None:
    body = (
        COPY
        + """cp.async.cg.shared.global [%r1], [%p], 16; cp.async.wait_all; BARRIER
    xor.b32 %r4, %r1, 16; """
        + OUT
        + "ld.shared.u32 %r0, [%r4]; st.global.u32 [%q], %r0;"
    )
    out, source = np.zeros(32, np.uint32), np.arange(128, dtype=np.uint32)
    with pytest.raises(ptxvm.RaceError, match="read after write"):
        launch(body.replace("BARRIER", ""), ptxvm.Unset(out), source)
    for barrier in ("bar.sync 0;", "bar.warp.sync -1;"):
        launch(body.replace("BARRIER", barrier), ptxvm.Unset(out), source)
        assert (out == (np.arange(32) ^ 1) * 4).all()


def test_copies_that_nobody_waits_for_are_a_warning() -> None:
    report = launch(COPY + "cp.async.cg.shared.global [%r1], [%p], 16;", np.zeros(1), np.zeros(128, np.uint32))
    assert len(report.warnings) == 1 and "nobody waits for cp.async" in report.warnings[0]


NEIGHBOUR = """shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; st.shared.u32 [%r1], %t; SYNC
xor.b32 %r3, %r1, 4; ld.shared.u32 %r0, [%r3];"""


def test_a_barrier_of_the_warp_orders_the_warp_and_no_more() -> None:
    assert (result(NEIGHBOUR.replace("SYNC", "bar.warp.sync -1;"), threads=128) == np.arange(128) ^ 1).all()
    far = NEIGHBOUR.replace("xor.b32 %r3, %r1, 4;", "xor.b32 %r3, %r1, 128;")
    with pytest.raises(ptxvm.RaceError, match="thread 0 of block 0 and thread 32"):
        result(far.replace("SYNC", "bar.warp.sync -1;"), threads=128)
    with pytest.raises(ptxvm.RaceError, match="thread 0 of block 0 and thread 1 "):
        result(NEIGHBOUR.replace("SYNC", ""), threads=128)


def test_a_warp_that_writes_again_needs_a_barrier_after_the_reads() -> None:
    again = NEIGHBOUR + "SYNC2 st.shared.u32 [%r1], %r0; bar.warp.sync -1; ld.shared.u32 %r0, [%r3];"
    both = again.replace("SYNC2", "bar.warp.sync -1;").replace("SYNC", "bar.warp.sync -1;")
    assert (result(both, threads=64) == np.arange(64)).all()
    with pytest.raises(ptxvm.RaceError, match="write after read"):
        result(again.replace("SYNC2", "").replace("SYNC", "bar.warp.sync -1;"), threads=64)


def test_named_barriers_order_the_threads_that_take_part() -> None:
    """Two halves of a block, each with a barrier of its own."""
    pair = "shr.u32 %r5, %t, 6; add.u32 %r5, %r5, 1; bar.sync %r5, 64;"
    within = NEIGHBOUR.replace("xor.b32 %r3, %r1, 4;", "xor.b32 %r3, %r1, 128;").replace("SYNC", pair)
    assert (result(within, threads=128) == np.arange(128) ^ 32).all()
    across = NEIGHBOUR.replace("xor.b32 %r3, %r1, 4;", "xor.b32 %r3, %r1, 256;").replace("SYNC", pair)
    with pytest.raises(ptxvm.RaceError, match="thread 64"):
        result(across, threads=128)


PRODUCER = """shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; mov.u32 %r0, 0;
setp.ge.u32 %b, %t, 32; @%b bra CONSUMER;
st.shared.u32 [%r1], %t; bar.arrive 1, 64; bra.uni END;
CONSUMER: WAIT xor.b32 %r3, %r1, 128; ld.shared.u32 %r0, [%r3];
END: """


def test_a_producer_arrives_without_waiting() -> None:
    got = result(PRODUCER.replace("WAIT", "bar.sync 1, 64;"), threads=64)
    assert (got == np.where(np.arange(64) < 32, 0, np.arange(64) ^ 32)).all()
    with pytest.raises(ptxvm.RaceError):
        result(PRODUCER.replace("WAIT", ""), threads=64)
    with pytest.raises(ptxvm.BarrierError, match="disagree: 64 or 96"):
        result(PRODUCER.replace("WAIT", "bar.sync 1, 96;"), threads=64)


def test_barriers_count_and_combine_predicates() -> None:
    body = """and.b32 %r1, %t, 3; setp.eq.u32 %b, %r1, 0; bar.red.popc.u32 %r2, 0, %b;
    bar.red.and.pred %b, 1, %b; selp.u32 %r3, 1000, 0, %b; add.u32 %r0, %r2, %r3;"""
    assert (result(body, threads=128) == 32).all()


def test_early_exits_before_a_barrier_are_divergent() -> None:
    body = "setp.ge.u32 %b, %t, 32; @%b exit; bar.sync 0;"
    with pytest.raises(ptxvm.BarrierError, match=r"32 more at barrier 0; 32 \(32-63\) have ended"):
        launch(body, np.zeros(1), threads=64)


@pytest.mark.parametrize("writer", [0, 7, 127])
def test_many_readers_in_unordered_warps_and_one_writer_race(writer: int) -> None:
    body = """setp.eq.u32 %b, %t, 0; @%b st.shared.u32 [sm], %t; bar.sync 0; ld.shared.u32 %r0, [sm]; SYNC
    setp.eq.u32 %b, %t, WRITER; @%b st.shared.u32 [sm], %t;""".replace("WRITER", str(writer))
    with pytest.raises(ptxvm.RaceError, match=f"write after read: thread {writer} of block 0 and several threads"):
        result(body.replace("SYNC", "bar.warp.sync -1;"), threads=128)
    result(body.replace("SYNC", "bar.sync 0;"), threads=128)


def test_threads_that_write_the_same_value_do_not_race_but_different_ones_do() -> None:
    assert (result("mov.u32 %r0, 4; st.shared.u32 [sm], %r0;", threads=64) == 4).all()
    with pytest.raises(ptxvm.RaceError, match="write after write"):
        result("mov.u32 %r0, 4; st.shared.u32 [sm], %t;", threads=64)


def test_races_can_be_ignored() -> None:
    result("mov.u32 %r0, 4; st.shared.u32 [sm], %t;", threads=64, check=False)


def test_bytes_of_one_word_belong_to_their_own_writers() -> None:
    body = """mov.u32 %r2, sm; add.u32 %r1, %t, %r2; st.shared.u8 [%r1], %t; ld.shared.u8 %r0, [%r1];"""
    assert (result(body, threads=64) == np.arange(64)).all()


CONFLICTS = "mul.lo.u32 %r1, %t, STRIDE; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; "


@pytest.mark.parametrize(("stride", "store", "passes", "least"), [
    (4, "st.shared.u32 [%r1], %t;", 1, 1), (8, "st.shared.u32 [%r1], %t;", 2, 1),
    (128, "st.shared.u32 [%r1], %t;", 32, 1), (132, "st.shared.u32 [%r1], %t;", 1, 1),
    (1, "st.shared.u8 [%r1], %t;", 1, 1),
    (8, "st.shared.v2.u32 [%r1], {%t, %t};", 2, 2), (16, "st.shared.v4.u32 [%r1], {%t, %t, %t, %t};", 4, 4),
    (32, "st.shared.v4.u32 [%r1], {%t, %t, %t, %t};", 8, 4), (80, "st.shared.v4.u32 [%r1], {%t, %t, %t, %t};", 4, 4),
])  # fmt: skip
def test_bank_conflicts_are_passes_beyond_the_least(stride: int, store: str, passes: int, least: int) -> None:
    body = CONFLICTS.replace("STRIDE", str(stride)) + store
    (traffic,) = launch(body, np.zeros(1)).of("shared")
    assert (traffic.requests, traffic.units, traffic.least) == (1, passes, least)


def test_reads_of_one_word_by_all_lanes_are_no_conflict() -> None:
    body = "setp.eq.u32 %b, %t, 0; @%b st.shared.u32 [sm], %t; bar.warp.sync -1; ld.shared.u32 %r0, [sm];"
    assert launch(body, np.zeros(1)).bank_conflicts == 0


@pytest.mark.parametrize(("stride", "sectors", "least"), [(4, 4, 4), (8, 8, 4), (32, 32, 4), (36, 32, 4), (0, 1, 1)])
def test_sectors_of_a_request_are_32_bytes(stride: int, sectors: int, least: int) -> None:
    body = f"ld.param.u64 %q, [p0]; mul.wide.u32 %o, %t, {stride}; add.s64 %q, %q, %o; ld.global.u32 %r0, [%q];"
    report = launch(body, np.zeros(320, np.uint32))
    assert (report.global_requests, report.global_sectors) == (1, sectors)
    assert report.excess_sectors == sectors - least


def test_instructions_are_counted_once_for_each_warp() -> None:
    report = launch("add.u32 %r0, %t, 1; add.u32 %r0, %r0, 1; bar.sync 0;", np.zeros(1), threads=96, blocks=3)
    assert report.instructions["add.u32"] == 2 * 3 * 3
    assert report.barriers == 3 and "add.u32" in str(report)


def test_blocks_and_threads_of_three_dimensions_are_numbered_x_first() -> None:
    body = (
        """mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z; mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ctaid.y;
    mov.u32 %r6, %ctaid.z; mov.u32 %r7, %ntid.x; mov.u32 %r8, %ntid.y; mad.lo.u32 %r2, %r3, %r8, %r2;
    mad.lo.u32 %t, %r2, %r7, %r1; mad.lo.u32 %r5, %r6, 3, %r5; mad.lo.u32 %r4, %r5, 2, %r4; mad.lo.u32 %t, %r4, 30, %t;
    """
        + OUT
        + "st.global.u32 [%q], %t;"
    )
    out = np.zeros(2 * 3 * 2 * 30, np.uint32)
    text = entry(body, ["u64"], REGISTERS)
    ptxvm.parse(text).launch("k", (2, 3, 2), (5, 3, 2), [ptxvm.Unset(out)])
    assert (out == np.arange(360)).all()


def test_philox_is_the_reference_s() -> None:
    """One thread, one counter, against the known answers of Random123 (kat_vectors, philox4x32 10)."""
    rounds = "".join(
        f"""mul.hi.u32 %r8, 0xD2511F53, %r0; mul.lo.u32 %r9, 0xD2511F53, %r0; mul.hi.u32 %r10, 0xCD9E8D57, %r2;
        mul.lo.u32 %r11, 0xCD9E8D57, %r2; xor.b32 %r0, %r10, %r1; xor.b32 %r0, %r0, %r4; mov.u32 %r1, %r11;
        xor.b32 %r2, %r8, %r3; xor.b32 %r2, %r2, %r5; mov.u32 %r3, %r9;
        {"" if i == 9 else "add.u32 %r4, %r4, 0x9E3779B9; add.u32 %r5, %r5, 0xBB67AE85;"}"""
        for i in range(10)
    )
    body = (
        """ld.param.u64 %q, [p0]; ld.param.u64 %p, [p1]; ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%p];
    ld.global.v2.u32 {%r4, %r5}, [%p+16];"""
        + rounds
        + "st.global.v4.u32 [%q], {%r0, %r1, %r2, %r3};"
    )
    known = [
        ([0] * 6, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 6, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ]
    for values, want in known:
        out = np.zeros(4, np.uint32)
        launch(body, ptxvm.Unset(out), np.array(values, np.uint32), threads=1)
        assert " ".join(f"{v:08x}" for v in out.tolist()) == want


# Block 1 takes what block 0 left in memory, once block 0 has counted up; p0 results, p1 data, p2 the counter.
HANDOVER = """ld.param.u64 %p, [p1]; ld.param.u64 %q, [p2]; mul.wide.u32 %o, %t, 4; add.s64 %p, %p, %o;
mov.u32 %r1, %ctaid.x; setp.ne.u32 %b, %r1, 0; @%b bra TAKE;
st.global.u32 [%p], %t; bar.sync 0; setp.ne.u32 %b, %t, 0; @%b bra END; FENCE1 atom.global.add.u32 %r2, [%q], 1;
bra.uni END;
TAKE: setp.ne.u32 %b, %t, 0; @%b bra GO;
SPIN: ld.relaxed.gpu.global.u32 %r2, [%q]; setp.eq.u32 %b, %r2, 0; @%b bra SPIN; FENCE2
GO: bar.sync 0; xor.b32 %r3, %t, 33; ld.param.u64 %p, [p1]; mul.wide.u32 %o, %r3, 4; add.s64 %p, %p, %o;
ld.global.u32 %r0, [%p]; ld.param.u64 %q, [p0]; mul.wide.u32 %o, %t, 4; add.s64 %q, %q, %o; st.global.u32 [%q], %r0;
END:"""


def handover(text: str, threads: int = 64) -> np.ndarray:
    out, counter = np.zeros(threads, np.uint32), np.zeros(1, np.uint32)
    launch(text, ptxvm.Unset(out), ptxvm.Unset(np.zeros(threads, np.uint32)), counter, threads=threads, blocks=2)
    return out


def test_fences_and_an_atomic_counter_order_blocks() -> None:
    fenced = HANDOVER.replace("FENCE1", "fence.acq_rel.gpu;").replace("FENCE2", "membar.gl;")
    assert (handover(fenced) == np.arange(64) ^ 33).all()
    released = HANDOVER.replace("FENCE1 atom.global", "atom.release.gpu.global").replace("FENCE2", "")
    acquired = released.replace("ld.relaxed.gpu", "ld.acquire.gpu")
    assert (handover(acquired) == np.arange(64) ^ 33).all()


@pytest.mark.parametrize(("first", "second"), [("fence.acq_rel.gpu;", ""), ("", "fence.acq_rel.gpu;")])
def test_a_missing_fence_on_either_side_is_a_race(first: str, second: str) -> None:
    with pytest.raises(ptxvm.RaceError, match=r"race in global memory, read after write.*of block 0"):
        handover(HANDOVER.replace("FENCE1", first).replace("FENCE2", second))


def test_a_missing_barrier_before_the_release_is_a_race() -> None:
    text = HANDOVER.replace("[%p], %t; bar.sync 0;", "[%p], %t;")
    with pytest.raises(ptxvm.RaceError, match="race in global memory"):
        handover(text.replace("FENCE1", "fence.acq_rel.gpu;").replace("FENCE2", "fence.acq_rel.gpu;"))


def test_a_block_may_wait_for_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmc.backends.ptxvm.launch.COHORT", 64)  # blocks do not execute side by side then
    fenced = HANDOVER.replace("FENCE1", "fence.acq_rel.gpu;").replace("FENCE2", "fence.acq_rel.gpu;")
    swapped = fenced.replace("setp.ne.u32 %b, %r1, 0;", "setp.eq.u32 %b, %r1, 0;")
    assert (handover(swapped) == np.arange(64) ^ 33).all()


def test_two_threads_that_copy_different_things_to_one_place_race() -> None:
    source = np.arange(128, dtype=np.uint32)
    same = "and.b32 %r3, %t, 30; shl.b32 %r3, %r3, 4; add.u32 %r3, %r3, %r2; cp.async.cg.shared.global [%r3], [%p], 16;"
    with pytest.raises(ptxvm.RaceError, match="write after write: thread 0 of block 0 and thread 1 "):
        copied(same + "cp.async.wait_all;", source)
    twice = "xor.b32 %r3, %t, %t; cvt.u64.u32 %o, %r3; ld.param.u64 %p, [p1]; cp.async.cg.shared.global [sm], [%p], 16;"
    launch(COPY + twice + "cp.async.wait_all;", np.zeros(1), source)


def test_bytes_of_an_output_that_nobody_wrote_are_a_warning() -> None:
    report = launch(OUT + "st.global.u32 [%q], %t;", ptxvm.Unset(np.zeros(40, np.uint32)))
    assert report.warnings == ["32 bytes of `p0` were never written"]


def test_sums_of_floats_flush_subnormal_numbers_in_global_memory_only() -> None:
    tiny = np.array([1e-40], np.float32)
    launch("mov.f32 %f0, 0f000116C2; ld.param.u64 %q, [p0]; red.global.add.f32 [%q], %f0;", tiny, threads=1)
    assert tiny[0] == 0
    body = """mov.u32 %r1, 0; st.shared.u32 [sm], %r1; mov.f32 %f0, 0f000116C2; red.shared.add.f32 [sm], %f0;
    ld.shared.u32 %r0, [sm];"""
    assert result(body, threads=1).tolist() == [0x116C2]


def test_shared_memory_begins_at_a_multiple_of_1024_and_of_no_more() -> None:
    out = np.zeros(2, np.uint32)
    body = "mov.u32 %a, first; mov.u32 %b, second; ld.param.u64 %p, [p0]; st.global.v2.u32 [%p], {%a, %b};"
    registers = ".reg .b32 %a, %b; .reg .b64 %p; .shared .align 16 .b8 first[64]; .shared .align 16 .b8 second[64];"
    ptxvm.parse(entry(body, ["u64"], registers)).launch("k", (1,), (1,), [ptxvm.Unset(out)])
    assert out.tolist() == [1024, 1024 + 64]
