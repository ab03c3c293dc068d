"""atom and red: read, modify, write, one thread after the other in the order of their numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmc.backends.ptxvm import numeric
from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.emitter import Emitter, Step, fit
from vmc.backends.ptxvm.memory import Access, elements
from vmc.backends.ptxvm.ops.access import gather_unset, parts, place, space_of
from vmc.backends.ptxvm.ops.floats import KINDS, PACKED, packed
from vmc.backends.ptxvm.ops.integer import is_signed, signed, unsigned
from vmc.backends.ptxvm.spaces import Space
from vmc.backends.ptxvm.state import Cohort

OPERATIONS = ("add", "and", "or", "xor", "exch", "min", "max", "inc", "dec", "cas")

Update = Callable[[Array, Array, Array], Array]
"""From the old values, the operand and (for cas) the second operand to the new values."""


def flushing(update: Update) -> Update:
    """As sums of f32 in global memory are: subnormal inputs and results become zero (PTX ISA, atom)."""

    def flushed(old: Array, b: Array, c: Array) -> Array:
        return numeric.flush(update(numeric.flush(old, "f32"), numeric.flush(b, "f32"), c), "f32")

    return flushed


def update_of(e: Emitter) -> Update:
    """What the operation makes of a value in memory."""
    name = next((m for m in e.modifiers if m in OPERATIONS), None)
    kind = e.type
    match name:
        case "add" if kind in KINDS:
            element = PACKED.get(kind, kind)

            def add(old: Array, b: Array) -> Array:
                return numeric.add(old, b, element, "rn")

            both = packed(add, numeric.FORMATS[element].width) if kind in PACKED else add
            return lambda old, b, c: both(old, b)
        case "min" | "max" if kind in KINDS:
            e.unsupported()
        case "add":
            return lambda old, b, c: old + b
        case "and":
            return lambda old, b, c: old & b
        case "or":
            return lambda old, b, c: old | b
        case "xor":
            return lambda old, b, c: old ^ b
        case "exch":
            return lambda old, b, c: b
        case "cas":
            return lambda old, b, c: np.where(old == b, c, old)
        case "inc":
            return lambda old, b, c: np.where(old >= b, old.dtype.type(0), old + old.dtype.type(1))
        case "dec":
            return lambda old, b, c: np.where((old == 0) | (old > b), b, old - old.dtype.type(1))
        case "min" | "max":
            pick = np.minimum if name == "min" else np.maximum
            if is_signed(kind):
                return lambda old, b, c: unsigned(pick(signed(old), signed(b)))
            return lambda old, b, c: pick(old, b)
    e.unsupported()


def atom(e: Emitter) -> Step:
    return _atomic(e, returns=True)


def red(e: Emitter) -> Step:
    return _atomic(e, returns=False)


def _atomic(e: Emitter, returns: bool) -> Step:
    update = update_of(e)
    in_global = flushing(update) if e.type == "f32" and e.has("add") else update
    width = e.width
    shift = 1 if returns else 0
    where, space = place(e, shift), space_of(e)
    operands = e.vector(shift + 1)
    first = [e.source(operand, width) for operand in operands]
    cas = e.has("cas")
    second = [e.source(shift + 2, width)] if cas else first
    results: list[int | None] = [None] * len(operands)
    if returns:
        results = [e.result(element) for element in e.vector(0)]
    number = e.number
    acquire = e.has("acquire") or e.has("acq_rel") or e.has("sc")
    release = e.has("release") or e.has("acq_rel") or e.has("sc")

    def run(m: Cohort) -> None:
        addresses = where.addresses(m)
        b = np.stack([fit(m.chosen(s), width) for s in first], axis=1)
        c = np.stack([fit(m.chosen(s), width) for s in second], axis=1)
        if m.taint:
            unset, origin = gather_unset(m, [*first, *second], width)
            if unset is not None:
                thread = int(m.active[np.argwhere(unset)[0][0]])
                raise m.unset_error("the operand of an atomic operation", thread, origin)
        old = np.zeros_like(b)
        for part in parts(m, space, addresses):
            rows = slice(None) if part.rows is None else part.rows
            threads = m.active[rows]
            index = _locate(m, part.space, part.addresses, threads, b[rows], number)
            if m.releases is not None and part.space is m.global_space:
                granules = index // m.global_space.memory.granule
                m.releases.read(m, threads, granules, acquire)
                m.releases.write(m, threads, granules, release)
            step = in_global if part.space is m.global_space else update
            old[rows] = _apply(part.space, index, b[rows], c[rows], step)
        for column, slot in enumerate(results):
            if slot is not None:
                value = old[:, column]
                m.put(slot, m.scatter(value.astype(UINT[e.program.widths[slot]])))

    return run


def _locate(m: Cohort, space: Space, addresses: Array, threads: Array, b: Array, number: int) -> Array:
    """Where the operation takes place, once it is checked."""
    size, count = b.dtype.itemsize, b.shape[1]
    index = space.locate(addresses, size * count, threads, write=True)
    memory = space.memory
    places = elements(index, size, count)
    if memory.unset is not None and memory.unset_views[size * 8][places].any():
        row = int(np.argwhere(memory.unset_views[size * 8][places])[0][0])
        raise m.unset_error("an atomic operation", int(threads[row]), number)
    if memory.tracker is not None:
        granules = memory.granules(index, size * count)
        access = Access(threads, m.order, number, True)
        if memory.outstanding:
            memory.check_pending(granules, access)
        memory.note_write(granules, access)
    if m.counters is not None:
        m.counters.access(space, number, index, size * count, threads)
    return index


def _apply(space: Space, index: Array, b: Array, c: Array, update: Update) -> Array:
    """The old values; the new ones are in memory."""
    size, count = b.dtype.itemsize, b.shape[1]
    places = elements(index, size, count)
    view = space.memory.views[size * 8]
    old = np.empty_like(b)
    for rows in turns(places[:, 0]):
        old[rows] = view[places[rows]]
        view[places[rows]] = update(old[rows].reshape(-1), b[rows].reshape(-1), c[rows].reshape(-1)).reshape(
            old[rows].shape
        )
    return old


def turns(places: Array) -> list[Array]:
    """Rows in turns, so that no turn has a place twice and equal places come in order."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]]
    first = np.flatnonzero(starts)
    rank = np.arange(len(places)) - np.repeat(first, np.diff(np.r_[first, len(places)]))
    return [order[rank == turn] for turn in range(int(rank.max()) + 1)]
