"""mbarriers: arrivals, phases, bytes of bulk copies, and copies that arrive at them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm

REGISTERS = """.reg .b32 %t, %r<16>; .reg .b64 %p, %q, %o, %s; .reg .pred %b, %w;
.shared .align 16 .b8 sm[1024]; .shared .align 8 .b8 bar[16];"""


def launch(body: str, *args: Any, threads: int = 64) -> Any:
    text = entry("mov.u32 %t, %tid.x; setp.eq.u32 %b, %t, 0;" + body, ["u64"] * len(args), REGISTERS)
    return ptxvm.parse(text).launch("k", (1,), (threads,), list(args), max_steps=100_000)


OUT = "ld.param.u64 %q, [p0]; mul.wide.u32 %o, %t, 4; add.s64 %q, %q, %o; st.global.u32 [%q], %r0;"
INIT = "@%b mbarrier.init.shared::cta.b64 [bar], COUNT; bar.sync 0; "
WAIT = "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %w, [bar], PARITY; @!%w bra WAIT; "
SHARED = "shl.b32 %r1, %t, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; "

EXCHANGE = (
    INIT.replace("COUNT", "64") + SHARED + "st.shared.u32 [%r1], %t; mbarrier.arrive.shared::cta.b64 %s, [bar]; "
    "WAIT: mbarrier.test_wait.shared::cta.b64 %w, [bar], %s; @!%w bra WAIT; xor.b32 %r3, %r1, 132; "
    "ld.shared.u32 %r0, [%r3];" + OUT
)


def without_wait(text: str) -> str:
    """The text without its loop that waits."""
    changed = re.sub(r"WAIT: [^;]*; @!%w bra WAIT;", "", text)
    assert changed != text
    return changed


def test_all_that_arrived_before_a_phase_ended_is_known_to_those_who_waited() -> None:
    out = np.zeros(64, np.uint32)
    launch(EXCHANGE, ptxvm.Unset(out))
    assert (out == np.arange(64) ^ 33).all()


def test_without_the_wait_it_is_a_race() -> None:
    with pytest.raises(ptxvm.RaceError, match="read after write"):
        launch(without_wait(EXCHANGE), ptxvm.Unset(np.zeros(64, np.uint32)))


def test_without_a_barrier_after_the_initialisation_it_is_a_race() -> None:
    with pytest.raises(ptxvm.RaceError, match="read after write: thread 1 of block 0 and thread 0"):
        launch(EXCHANGE.replace("bar.sync 0;", ""), ptxvm.Unset(np.zeros(64, np.uint32)))


def test_a_phase_that_nobody_completes_is_an_error() -> None:
    with pytest.raises(ptxvm.BarrierError, match="an mbarrier that lacks 1 arrivals and 0 bytes"):
        launch(EXCHANGE.replace("[bar], 64;", "[bar], 65;"), ptxvm.Unset(np.zeros(64, np.uint32)))
    with pytest.raises(ptxvm.BarrierError, match="no mbarrier was initialised at 1032"):
        launch(EXCHANGE.replace("%s, [bar];", "%s, [bar+8];"), ptxvm.Unset(np.zeros(64, np.uint32)))


BULK = (
    INIT.replace("COUNT", "1") + "ld.param.u64 %p, [p1]; mov.u32 %r2, sm; mov.u32 %r4, bar; @!%b bra GO;"
    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 256;"
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%p], 128, [%r4];"
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2+128], [%p+128], 128, [%r4];"
    "GO: " + WAIT.replace("PARITY", "0") + SHARED + "ld.shared.u32 %r0, [%r1];" + OUT
)


def test_bulk_copies_are_there_when_all_their_bytes_are_waited_for() -> None:
    out, source = np.zeros(64, np.uint32), np.arange(64, dtype=np.uint32) * 3
    launch(BULK, ptxvm.Unset(out), source)
    assert (out == source).all()


def test_bulk_copies_that_are_not_waited_for_and_wrong_byte_counts_are_found() -> None:
    out, source = ptxvm.Unset(np.zeros(64, np.uint32)), np.arange(64, dtype=np.uint32)
    with pytest.raises(ptxvm.AsyncCopyError):
        launch(without_wait(BULK), out, source)
    with pytest.raises(ptxvm.BarrierError, match="lacks 0 arrivals and 16 bytes"):
        launch(BULK.replace("[bar], 256;", "[bar], 272;"), out, source)
    with pytest.raises(ptxvm.BarrierError, match="16 bytes more than an mbarrier expects"):
        launch(BULK.replace("[bar], 256;", "[bar], 240;"), out, source)
    with pytest.raises(ptxvm.AlignmentError):
        launch(BULK.replace("[%p+128], 128", "[%p+136], 128"), out, source)
    with pytest.raises(ptxvm.BoundsError, match="read of 128 bytes at offset 192"):
        launch(BULK.replace("[%p+128], 128", "[%p+192], 128"), out, source)


def test_a_bulk_copy_that_nobody_waits_for_is_told() -> None:
    out, source = np.zeros(64, np.uint32), np.arange(64, dtype=np.uint32)
    text = without_wait(BULK).replace("ld.shared.u32 %r0, [%r1];", "mov.u32 %r0, 0;")
    (warning,) = launch(text, ptxvm.Unset(out), source).warnings
    assert "nobody waits for cp.async.bulk" in warning


def test_copies_of_threads_arrive_when_they_are_waited_for() -> None:
    body = (
        INIT.replace("COUNT", "64") + "ld.param.u64 %p, [p1]; mul.wide.u32 %o, %t, 4; add.s64 %p, %p, %o;" + SHARED
        + "cp.async.ca.shared.global [%r1], [%p], 4; cp.async.mbarrier.arrive.noinc.shared::cta.b64 [bar];"
        + WAIT.replace("PARITY", "0") + "xor.b32 %r3, %r1, 128; ld.shared.u32 %r0, [%r3];" + OUT
    )  # fmt: skip
    out, source = np.zeros(64, np.uint32), np.arange(64, dtype=np.uint32) + 7
    launch(body, ptxvm.Unset(out), source)
    assert (out == source[np.arange(64) ^ 32]).all()
    with pytest.raises(ptxvm.AsyncCopyError):
        launch(without_wait(body), ptxvm.Unset(out), source)


def test_a_producer_and_a_consumer_take_turns_over_phases() -> None:
    """Warp 0 writes a word for each of 4 rounds, warp 1 adds them up; two mbarriers, full and empty."""
    body = """
    @!%b bra READY; mbarrier.init.shared.b64 [bar], 32; mbarrier.init.shared.b64 [bar+8], 32;
    READY: bar.sync 0; mov.u32 %r5, 0; mov.u32 %r0, 0; setp.ge.u32 %b, %t, 32;
    and.b32 %r6, %t, 31; shl.b32 %r1, %r6, 2; mov.u32 %r2, sm; add.u32 %r1, %r1, %r2; xor.b32 %r7, %r1, 4;
    @%b bra CONSUME;
    PRODUCE: and.b32 %r3, %r5, 1; xor.b32 %r3, %r3, 1;
    EMPTY: mbarrier.try_wait.parity.shared.b64 %w, [bar+8], %r3; @!%w bra EMPTY;
    mad.lo.u32 %r4, %r5, 100, %r6; st.shared.u32 [%r1], %r4; mbarrier.arrive.shared.b64 _, [bar];
    add.u32 %r5, %r5, 1; setp.lt.u32 %w, %r5, 4; @%w bra PRODUCE; bra.uni END;
    CONSUME: and.b32 %r3, %r5, 1;
    FULL: mbarrier.try_wait.parity.shared.b64 %w, [bar], %r3; @!%w bra FULL;
    ld.shared.u32 %r4, [%r7]; add.u32 %r0, %r0, %r4; mbarrier.arrive.shared.b64 _, [bar+8];
    add.u32 %r5, %r5, 1; setp.lt.u32 %w, %r5, 4; @%w bra CONSUME;
    END: """
    out = np.zeros(64, np.uint32)
    launch(body + OUT, ptxvm.Unset(out))
    lane = np.arange(32) ^ 1
    assert (out[:32] == 0).all() and (out[32:] == 600 + 4 * lane).all()
    with pytest.raises(ptxvm.RaceError):
        launch(re.sub(r"FULL: [^;]*; @!%w bra FULL;", "", body) + OUT, ptxvm.Unset(out))
    with pytest.raises(ptxvm.BarrierError, match="waiting for an mbarrier that lacks 32 arrivals"):
        launch(re.sub(r"EMPTY: [^;]*; @!%w bra EMPTY;", "", body) + OUT, ptxvm.Unset(out))


def hand_over(rounds: int, waits: bool = True) -> str:
    """Thread 64 writes a word that threads 0 to 63 read, `rounds` times; they tell that they have read by arriving."""
    full, empty = "[bar]", "[bar+8]"

    def wait(name: str, barrier: str, phase: int) -> str:
        return f"{name}: mbarrier.try_wait.parity.shared::cta.b64 %w, {barrier}, {phase & 1}; @!%w bra {name}; "

    init = f"@%b mbarrier.init.shared::cta.b64 {full}, 1; @%b mbarrier.init.shared::cta.b64 {empty}, 64; bar.sync 0; "
    reads, writes = "mov.u32 %r0, 0; ", "setp.ne.u32 %w, %t, 64; @%w bra END; "
    for n in range(rounds):
        reads += wait(f"FULL{n}", full, n) + "ld.shared.u32 %r3, [sm]; add.u32 %r0, %r0, %r3; "
        reads += f"mbarrier.arrive.shared::cta.b64 _, {empty}; "
        writes += wait(f"EMPTY{n}", empty, n - 1) if n and waits else ""
        writes += f"st.shared.u32 [sm], {n + 1}; mbarrier.arrive.shared::cta.b64 _, {full}; "
    return f"{init} setp.ge.u32 %w, %t, 64; @%w bra WRITER; {reads} {OUT} bra END; WRITER: {writes} END: "


def test_readers_that_each_arrive_hand_memory_back_again_and_again() -> None:
    out = np.zeros(64, np.uint32)
    launch(hand_over(4), ptxvm.Unset(out), threads=96)
    assert (out == 1 + 2 + 3 + 4).all()


def test_writing_again_before_the_readers_have_arrived_is_a_race() -> None:
    with pytest.raises(ptxvm.PtxError):
        launch(hand_over(4, waits=False), ptxvm.Unset(np.zeros(64, np.uint32)), threads=96)
