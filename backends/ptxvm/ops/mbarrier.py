"""Instructions on mbarriers, and the copies that they count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.addresses import SHARED_WINDOW, WINDOW_SIZE
from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.errors import AlignmentError
from vmc.backends.ptxvm.mbarriers import BulkCopy, Mbarrier
from vmc.backends.ptxvm.memory import Access
from vmc.backends.ptxvm.ops.access import Place, place
from vmc.backends.ptxvm.state import Cohort


def mbarrier(e: Emitter) -> Step:
    match e.modifiers[0]:
        case "init":
            return _init(e)
        case "inval":
            return _each(e, 0, lambda m, block, thread, address: m.mbarriers.objects.pop((block, address), None))
        case "arrive":
            return _arrive(e)
        case "expect_tx":
            return _expect(e)
        case "test_wait" | "try_wait":
            return _wait(e)
    e.unsupported()


def _offsets(m: Cohort, where: Place) -> Array:
    """Addresses in shared memory, from shared or generic ones."""
    addresses = where.addresses(m)
    generic = (addresses >= np.uint64(SHARED_WINDOW)) & (addresses < np.uint64(SHARED_WINDOW + WINDOW_SIZE))
    return np.where(generic, addresses - np.uint64(SHARED_WINDOW), addresses)


def _touch(m: Cohort, e: Emitter, where: Place) -> Array:
    """The addresses, checked as reads of the 8 bytes: they must lie in shared memory and be ordered after the init."""
    offsets = _offsets(m, where)
    index = m.shared.locate(offsets, 8, m.active)
    m.shared.memory.load(index, 8, 1, Access(m.active, m.order, e.number))
    return offsets.astype(np.int64)


def _each(e: Emitter, operand: int, do: Callable[[Cohort, int, int, int], object]) -> Step:
    """`do` for each active thread: (cohort, block, thread in the block, address)."""
    where = place(e, operand)

    def run(m: Cohort) -> None:
        for thread, address in zip(m.active.tolist(), _touch(m, e, where).tolist(), strict=True):
            block, own = divmod(thread, m.per_block)
            do(m, block, own, address)

    return run


def _init(e: Emitter) -> Step:
    where, count = place(e, 0), e.source(1, 32, "u32")

    def run(m: Cohort) -> None:
        m.require(count, "the count of an mbarrier")
        offsets = _offsets(m, where)
        index = m.shared.locate(offsets, 8, m.active, write=True)
        counts = m.chosen(count)
        values = counts.astype(np.uint64)[:, None]
        m.shared.memory.store(index, values, None, Access(m.active, m.order, e.number))
        for thread, address, number in zip(m.active.tolist(), offsets.tolist(), counts.tolist(), strict=True):
            m.mbarriers.objects[thread // m.per_block, int(address)] = Mbarrier(number, number)

    return run


def _arrive(e: Emitter) -> Step:
    """Arrivals of one, or of `count`; with .expect_tx, bytes are announced first."""
    has_result = not isinstance(e.operands[0], syntax.Address)
    shift = 1 if has_result else 0
    if e.has("noComplete") or e.has("shared::cluster"):
        e.unsupported()
    where = place(e, shift)
    more = e.source(shift + 1, 32, "u32") if len(e.operands) > shift + 1 else None
    result = e.result() if has_result else None
    expects = e.has("expect_tx")

    def run(m: Cohort) -> None:
        offsets = _touch(m, e, where)
        numbers = np.ones(len(offsets), np.int64) if more is None else m.chosen(more).astype(np.int64)
        phases = np.zeros(len(offsets), np.uint64)
        rows = zip(m.active.tolist(), offsets.tolist(), numbers.tolist(), strict=True)
        for row, (thread, address, number) in enumerate(rows):
            block, own = divmod(thread, m.per_block)
            barrier = m.mbarriers.find(block, address)
            if expects:
                barrier.missing_bytes += number
            phases[row] = m.mbarriers.arrive(m, block, own, barrier, 1 if expects else number)
        m.order.together(m.active)
        if result is not None:
            m.put(result, m.scatter(phases))

    return run


def _expect(e: Emitter) -> Step:
    where, count = place(e, 0), e.source(1, 32, "u32")

    def run(m: Cohort) -> None:
        offsets = _touch(m, e, where)
        for thread, address, number in zip(m.active.tolist(), offsets.tolist(), m.chosen(count).tolist(), strict=True):
            m.mbarriers.find(thread // m.per_block, address).missing_bytes += number

    return run


def _wait(e: Emitter) -> Step:
    """Whether a phase is over; a thread that learns so knows what those who arrived knew."""
    where, parity, result = place(e, 1), e.has("parity"), e.result()
    phase = e.source(2, 32, "u32") if parity else e.source(2, 64, "b64")

    def run(m: Cohort) -> None:
        m.require(phase, "the phase of an mbarrier")
        offsets, phases = _touch(m, e, where), m.chosen(phase)
        done = np.zeros(len(offsets), np.bool_)
        rows = zip(m.active.tolist(), offsets.tolist(), phases.tolist(), strict=True)
        for row, (thread, address, wanted) in enumerate(rows):
            block, own = divmod(thread, m.per_block)
            barrier = m.mbarriers.find(block, address)
            current = barrier.phase - ((barrier.phase ^ wanted) & 1) if parity else wanted
            done[row] = m.mbarriers.complete(m, block, barrier, current)
            if done[row] and barrier.learnt is not None:
                m.order.learn(block, np.array([own]), barrier.learnt)
        m.put(result, m.scatter(done))
        if not done.all():
            m.yields = True

    return run


def deferred(e: Emitter) -> Step:
    """cp.async.mbarrier.arrive: arrives once the thread's copies so far are there."""
    counted = e.has("noinc")

    def do(m: Cohort, block: int, thread: int, address: int) -> None:
        barrier = m.mbarriers.find(block, address)
        if not counted:
            barrier.pending += 1
        barrier.deferred.append(thread)

    return _each(e, 0, do)


def bulk(e: Emitter) -> Step:
    """cp.async.bulk from global to shared memory, counted in bytes by an mbarrier."""
    if (
        not e.has("global")
        or not e.has("mbarrier::complete_tx::bytes")
        or e.has("tensor")
        or e.modifiers[2] == "global"
    ):
        e.unsupported("bulk copies but those from global to shared memory")
    target, source, size, where = place(e, 0), place(e, 1), e.source(2, 32, "u32"), place(e, 3)
    number = e.number

    def run(m: Cohort) -> None:
        m.require(size, "the size of a copy")
        offsets = _touch(m, e, where)
        rows = zip(
            m.active.tolist(), _offsets(m, target), source.addresses(m), m.chosen(size).tolist(), offsets.tolist(),
            strict=True,
        )  # fmt: skip
        for thread, to, start, count, address in rows:
            if count % 16 or int(to) % 16 or int(start) % 16:
                raise AlignmentError(f"a bulk copy of {count} bytes to {int(to)}: all are multiples of 16")
            one = np.array([thread])
            target_index = m.shared.locate(np.array([to]), count, one, write=True)
            source_index = m.global_space.locate(np.array([start]), count, one)
            _check_copy(m, Access(one, m.order, number), target_index, source_index, count)
            block, own = divmod(thread, m.per_block)
            copy = BulkCopy(number, own, int(target_index[0]), int(source_index[0]), count)
            m.mbarriers.find(block, address).copies.append(copy)

    return run


def _check_copy(m: Cohort, access: Access, target: Array, source: Array, size: int) -> None:
    """A write to the target, which nobody may touch from now on, and a read of the source."""
    shared, memory = m.shared.memory, m.global_space.memory
    if memory.tracker is not None:
        conflict = memory.tracker.read(
            memory.granules(source, size), access.threads, access.order, access.instruction, False
        )
        if conflict is not None:
            raise memory.race(conflict)
    if shared.tracker is not None:
        assert shared.pending is not None
        granules = shared.granules(target, size)
        if shared.outstanding:
            shared.check_pending(granules, access)
        shared.check_fenced(granules, access)
        shared.note_write(granules, access)
        shared.pending[granules] = access.instruction + 1
        shared.outstanding += granules.size
