"""cp.async and what belongs to it."""

from __future__ import annotations

import numpy as np

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.copies import Batch
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.ops import mbarrier
from vmc.backends.ptxvm.ops.access import place
from vmc.backends.ptxvm.state import Cohort


def cp(e: Emitter) -> Step:
    if not e.has("async"):
        e.unsupported()
    if e.has("bulk"):
        return mbarrier.bulk(e)
    if e.has("mbarrier"):
        return mbarrier.deferred(e)
    if e.has("commit_group"):
        return lambda m: m.copies.commit(m.active)
    if e.has("wait_all"):
        return lambda m: m.copies.wait_all(m)
    if e.has("wait_group"):
        operand = e.operands[0]
        if not isinstance(operand, syntax.Integer):
            e.mistake("cp.async.wait_group takes a number")
        allowed = operand.value
        return lambda m: m.copies.wait(m, allowed)
    return _start(e)


def _start(e: Emitter) -> Step:
    target, source = place(e, 0), place(e, 1)
    size_operand = e.operands[2]
    if not isinstance(size_operand, syntax.Integer) or size_operand.value not in (4, 8, 16):
        e.mistake("cp.async copies 4, 8 or 16 bytes")
    size, number = size_operand.value, e.number
    length_slot, ignore = _length(e)

    def run(m: Cohort) -> None:
        length: Array = np.full(len(m.active), size, np.int64)
        if length_slot is not None:
            m.require(length_slot, "the size of a copy")
            given = m.chosen(length_slot)
            length = _asked(given, ignore, size)
        to = m.shared.locate(target.addresses(m), size, m.active, write=True)
        addresses = source.addresses(m)
        index = np.zeros(len(m.active), np.int64)
        for chosen in (length == size, (length > 0) & (length < size)):
            rows = np.flatnonzero(chosen)
            if len(rows):
                index[rows] = _read(m, addresses[rows], m.active[rows], length[rows], size, number)
        m.copies.start(m, Batch(number, size, m.active, to, index, length, m.active))
        if m.counters is not None:
            m.counters.access(m.shared, number, to, size, m.active)

    return run


def _asked(given: Array, ignore: np.bool_ | None, size: int) -> Array:
    """Bytes to read: as many as given, or none where the source is ignored."""
    return np.minimum(given.astype(np.int64), size) if ignore is None else np.where(given ^ ignore, 0, size)


def _length(e: Emitter) -> tuple[int | None, np.bool_ | None]:
    """The operand that says how much to read: a size, or a predicate (with its negation) to ignore the source."""
    if len(e.operands) < 4 or (any(m.startswith("L2::cache_hint") for m in e.modifiers) and len(e.operands) == 4):
        return None, None
    operand = e.operands[3]
    if isinstance(operand, syntax.Not):
        return e.source(operand.operand, 1), np.bool_(True)
    if isinstance(operand, syntax.Name):
        slot = e.program.register(operand.text)
        if slot is not None and e.program.widths[slot] == 1:
            return slot, np.bool_(False)
    return e.source(operand, 32, "u32"), None


def _read(m: Cohort, addresses: Array, threads: Array, length: Array, size: int, number: int) -> Array:
    """Check the source as a read by the threads that start the copy; the places of its first bytes."""
    space = m.global_space
    whole = bool((length == size).all())
    index = space.locate(addresses, size if whole else 1, threads)
    last = addresses + (length - 1).astype(np.uint64)
    if not whole:
        space.locate(last, 1, threads)
    memory = space.memory
    if memory.tracker is not None:
        count = size if whole else int(length.max())
        granules = memory.granules(index, max(count, memory.granule))
        conflict = memory.tracker.read(granules, threads, m.order, number, False)
        if conflict is not None:
            raise memory.race(conflict)
    if m.counters is not None:
        m.counters.access(space, number, index, size, threads)
    return index
