"""Shuffles, votes, matches and reductions of a warp against plain loops over lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm

Each = Callable[..., Any]
FULL = 0xFFFFFFFF


def lanes(seed: int, high: int = 1 << 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, 64).astype(np.uint32)


@pytest.mark.parametrize("mode", ["up", "down", "bfly", "idx"])
@pytest.mark.parametrize("width", [32, 16, 8, 4])
def test_shuffles_follow_cuda_s_definition_of_segments(each: Each, mode: str, width: int) -> None:
    a = lanes(1)
    for amount in (0, 1, 3, 7, 15, 31):
        control = (32 - width) << 8 | (0 if mode == "up" else 31)
        code = f"shfl.sync.{mode}.b32 %x|%p, %a, {amount}, {control}, -1; selp.u32 %y, 1, 0, %p;"
        got, inside = each(code, a, out=(np.uint32, np.uint32))
        for thread in range(64):
            warp, lane = divmod(thread, 32)
            start = lane - lane % width
            source = {
                "up": lane - amount, "down": lane + amount, "bfly": lane ^ amount, "idx": start + amount % width,
            }[mode]  # fmt: skip
            fine = source >= start if mode == "up" else source < start + width
            if mode == "bfly" and source < start:
                fine = True
            assert inside[thread] == fine
            assert got[thread] == a[32 * warp + (source if fine else lane)]


def test_votes_and_active_masks(each: Each) -> None:
    a = lanes(2, 2)
    a[32:] = 1
    code = """setp.ne.u32 %p, %a, 0;
    vote.sync.ballot.b32 %x, %p, -1;
    vote.sync.all.pred %q, %p, -1; selp.u32 %t1, 1, 0, %q;
    vote.sync.any.pred %q, !%p, -1; selp.u32 %t2, 2, 0, %q;
    vote.sync.uni.pred %q, %p, -1; selp.u32 %t3, 4, 0, %q;
    or.b32 %y, %t1, %t2; or.b32 %y, %y, %t3;
    activemask.b32 %z;"""
    ballot, flags, active = each(code, a, out=(np.uint32,) * 3)
    assert (ballot[:32] == sum(int(v) << i for i, v in enumerate(a[:32]))).all() and (ballot[32:] == FULL).all()
    assert (flags[:32] == 2).all() and (flags[32:] == 1 + 4).all()
    assert (active == FULL).all()


def test_match_finds_equal_lanes(each: Each) -> None:
    a = lanes(3, 4)
    any_mask, all_mask = each(
        "match.any.sync.b32 %x, %a, -1; match.all.sync.b32 %y|%p, %a, -1;", a, out=(np.uint32, np.uint32)
    )
    for thread in range(64):
        own = a[thread // 32 * 32 : thread // 32 * 32 + 32]
        assert any_mask[thread] == sum(int(v == a[thread]) << i for i, v in enumerate(own))
        assert all_mask[thread] == 0


@pytest.mark.parametrize(("name", "kind", "function"), [
    ("add", "u32", lambda v: v.sum(dtype=np.uint32)), ("min", "s32", lambda v: v.view(np.int32).min().view(np.uint32)),
    ("max", "u32", np.max), ("and", "b32", np.bitwise_and.reduce), ("xor", "b32", np.bitwise_xor.reduce),
])  # fmt: skip
def test_reductions_of_a_warp(each: Each, name: str, kind: str, function: Callable[[np.ndarray], Any]) -> None:
    a = lanes(4)
    got = each(f"redux.sync.{name}.{kind} %x, %a, -1;", a, out=np.uint32)
    assert (got == np.repeat([function(a[:32]), function(a[32:])], 32)).all()


@pytest.mark.parametrize(("name", "values", "expected"), [
    ("min", [1.5, -2.0, np.nan, 7.0], -2.0), ("max", [1.5, -2.0, np.nan, 7.0], 7.0), ("max.abs", [1.5, -9.0, 7.0], 9.0),
    ("min.abs", [-1.5, -9.0, np.inf], 1.5), ("max", [-0.0, 0.0], 0.0), ("min", [0.0, -0.0], -0.0),
    ("max.NaN", [1.0, np.nan], np.nan), ("min", [np.nan], np.nan), ("max", [-3.0, -np.inf], -3.0),
])  # fmt: skip
def test_reductions_of_a_warp_of_floats(each: Each, name: str, values: list[float], expected: float) -> None:
    """PTX ISA, redux.sync: NaNs are passed over, but for .NaN; +0 is above -0; a NaN is the canonical one."""
    got = each(f"redux.sync.{name}.f32 %x, %a, -1;", np.resize(np.array(values, np.float32), 32), out=np.uint32)
    assert (got == (0x7FFFFFFF if np.isnan(expected) else np.float32(expected).view(np.uint32))).all()


def test_a_shuffle_in_a_branch_exchanges_among_its_mask_only(each: Each) -> None:
    a = lanes(5)
    code = """mov.u32 %t1, %laneid; and.b32 %t2, %t1, 1; setp.eq.u32 %p, %t2, 0; mov.u32 %x, 7;
    @!%p bra ODD;
    shfl.sync.bfly.b32 %x, %a, 2, 31, 0x55555555;
    ODD:"""
    got = each(code, a, out=np.uint32)
    lane = np.arange(64)
    assert (got == np.where(lane % 2 == 0, a[lane ^ 2], 7)).all()


def test_reading_a_lane_that_does_not_take_part_gives_unset_bits(each: Each) -> None:
    code = """mov.u32 %t1, %laneid; and.b32 %t2, %t1, 1; setp.eq.u32 %p, %t2, 0; mov.u32 %x, 7;
    @!%p bra ODD;
    shfl.sync.bfly.b32 %x, %a, 1, 31, 0x55555555;
    ODD:"""
    with pytest.raises(ptxvm.UninitialisedError, match="stored to global memory"):
        each(code, lanes(6), out=np.uint32)


def test_a_shuffle_whose_mask_names_lanes_on_another_path_is_divergent(each: Each) -> None:
    code = """mov.u32 %t1, %laneid; setp.lt.u32 %p, %t1, 16; mov.u32 %x, 7;
    @!%p bra HIGH;
    shfl.sync.bfly.b32 %x, %a, 1, 31, -1;
    bra.uni END;
    HIGH: bar.warp.sync 0xffff0000; shfl.sync.bfly.b32 %x, %a, 2, 31, -1;
    END:"""
    with pytest.raises(ptxvm.BarrierError, match="divergent barrier: 32 threads"):
        each(code, lanes(7), out=np.uint32)


def test_a_thread_outside_of_its_own_member_mask_is_an_error(each: Each) -> None:
    with pytest.raises(ptxvm.BarrierError, match="thread 4 of block 0 is not in the member mask"):
        each("shfl.sync.bfly.b32 %x, %a, 1, 31, 0xffffffef;", lanes(8), out=np.uint32)


def test_divergent_loops_meet_again() -> None:
    """Thread t goes round t % 5 times, then the warp votes together."""
    body = """
    mov.u32 %t, %tid.x; rem.u32 %n, %t, 5; mov.u32 %i, 0; mov.u32 %s, 0;
    LOOP: setp.ge.u32 %p, %i, %n; @%p bra DONE;
    add.u32 %s, %s, %t; add.u32 %i, %i, 1; bra.uni LOOP;
    DONE: activemask.b32 %m;
    ld.param.u64 %q, [p0]; mul.wide.u32 %o, %t, 8; add.s64 %q, %q, %o; st.global.v2.u32 [%q], {%s, %m};
    """
    text = entry(body, ["u64"], ".reg .b32 %t, %n, %i, %s, %m; .reg .b64 %q, %o; .reg .pred %p;")
    out = np.zeros((64, 2), np.uint32)
    report = ptxvm.parse(text).launch("k", (1,), (64,), [ptxvm.Unset(out)])
    t = np.arange(64)
    assert (out[:, 0] == t * (t % 5)).all() and (out[:, 1] == FULL).all()
    assert report.divergent == 2 * 4


def test_a_thread_may_wait_in_a_loop_for_what_another_warp_writes() -> None:
    """Warp 0 spins until warp 1, which goes the longer way, has set a flag."""
    body = """
    mov.u32 %t, %tid.x; setp.ge.u32 %p, %t, 32; @%p bra WRITER;
    SPIN: ld.volatile.shared.u32 %v, [flag]; setp.eq.u32 %p, %v, 0; @%p bra SPIN;
    bra.uni END;
    WRITER: mov.u32 %v, 5; st.volatile.shared.u32 [flag], %v;
    END: ld.param.u64 %q, [p0]; mul.wide.u32 %o, %t, 4; add.s64 %q, %q, %o; st.global.u32 [%q], %v;
    """
    start = "mov.u32 %v, 0; mov.u32 %t, %tid.x; setp.ne.u32 %p, %t, 0; @%p bra GO; st.shared.u32 [flag], %v;"
    registers = ".reg .b32 %t, %v; .reg .b64 %q, %o; .reg .pred %p; .shared .align 4 .b8 flag[4];"
    text = entry(start + "GO: bar.sync 0;" + body, ["u64"], registers)
    out = np.zeros(64, np.uint32)
    ptxvm.parse(text).launch("k", (1,), (64,), [ptxvm.Unset(out)])
    assert (out == 5).all()


def test_an_endless_loop_ends_with_an_error() -> None:
    text = entry("LOOP: bra.uni LOOP;")
    with pytest.raises(ptxvm.TimeoutFault, match="more than 1000 steps"):
        ptxvm.parse(text).launch("k", (1,), (32,), [], max_steps=1000)


def test_a_switch_branches_through_its_table(each: Each) -> None:
    code = """brx.idx %a, TABLE;
    A: mov.u32 %x, 10; bra.uni END;
    B: mov.u32 %x, 20; bra.uni END;
    C: mov.u32 %x, 30;
    END:"""
    a = lanes(9, 4)
    got = each("TABLE: .branchtargets A, B, C, A;" + code, a, out=np.uint32)
    assert (got == np.array([10, 20, 30, 10])[a]).all()
