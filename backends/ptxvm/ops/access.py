"""Loads and stores, and how an address operand becomes places in a memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.addresses import LOCAL_WINDOW, SHARED_WINDOW, WINDOW_SIZE
from vmc.backends.ptxvm.arrays import SINT, UINT, Array
from vmc.backends.ptxvm.emitter import Emitter, Step, fit
from vmc.backends.ptxvm.memory import Access
from vmc.backends.ptxvm.ops.integer import is_signed
from vmc.backends.ptxvm.parser import WIDTHS
from vmc.backends.ptxvm.releases import STRONG
from vmc.backends.ptxvm.spaces import Space
from vmc.backends.ptxvm.state import Cohort

SPACES = ("global", "shared", "local", "const", "param")
VECTORS = {"v2": 2, "v4": 4, "v8": 8}


@dataclass(frozen=True)
class Part:
    """The part of an access that goes to one space: which of the active threads (None: all), and their addresses."""

    space: Space
    rows: Array | None
    addresses: Array


@dataclass(frozen=True)
class Place:
    """A compiled address operand: base register or constant, plus an offset."""

    slot: int
    offset: int
    wide: bool

    def addresses(self, m: Cohort) -> Array:
        """The addresses [active], as uint64. Raises UninitialisedError if unset bits take part in one."""
        if m.taint:
            m.require(self.slot, "an address")
        base = m.chosen(self.slot)
        if self.wide:
            return base + np.uint64(self.offset & 0xFFFFFFFFFFFFFFFF)
        return (base + np.uint32(self.offset & 0xFFFFFFFF)).astype(np.uint64)


def place(e: Emitter, operand: syntax.Operand | int) -> Place:
    """The place that an address operand names."""
    if isinstance(operand, int):
        operand = e.operands[operand]
    if not isinstance(operand, syntax.Address):
        e.mistake(f"{syntax.show(operand)} is no address")
    if operand.more:
        e.unsupported("tensor addresses")
    if operand.base is None:
        return Place(e.program.constant(operand.offset, 64), 0, True)
    slot = e.program.register(operand.base)
    if slot is None:
        return Place(e.program.constant(e.address_of(operand.base) + operand.offset, 64), 0, True)
    width = e.program.widths[slot]
    if width not in (32, 64):
        e.mistake(f"{operand.base} of {width} bits is no address")
    return Place(slot, operand.offset, width == 64)


def space_of(e: Emitter) -> str:
    """The state space an instruction names, "generic" if none."""
    for modifier in e.modifiers:
        name = modifier.split("::")[0]
        if name in SPACES:
            return name
    return "generic"


def parts(m: Cohort, space: str, addresses: Array) -> Iterator[Part]:
    """The spaces that an access goes to; several only for generic addresses."""
    match space:
        case "global" | "const":
            yield Part(m.global_space, None, addresses)
        case "shared":
            yield Part(m.shared, None, addresses)
        case "local":
            yield Part(m.local, None, addresses)
        case _:
            in_shared = (addresses >= np.uint64(SHARED_WINDOW)) & (addresses < np.uint64(SHARED_WINDOW + WINDOW_SIZE))
            in_local = (addresses >= np.uint64(LOCAL_WINDOW)) & (addresses < np.uint64(LOCAL_WINDOW + WINDOW_SIZE))
            kinds: tuple[tuple[Space, Array, int], ...] = (
                (m.shared, in_shared, SHARED_WINDOW),
                (m.local, in_local, LOCAL_WINDOW),
                (m.global_space, ~(in_shared | in_local), 0),
            )
            for where, chosen, window in kinds:
                if chosen.all():
                    yield Part(where, None, addresses - np.uint64(window))
                elif chosen.any():
                    rows = np.flatnonzero(chosen)
                    yield Part(where, rows, addresses[rows] - np.uint64(window))


def load(
    m: Cohort, space: str, addresses: Array, size: int, count: int, number: int, strong: bool, acquire: bool = False
) -> tuple[Array, Array | None]:
    """Elements [active, count] from addresses, and their unset bits."""
    values: Array | None = None
    unset: Array | None = None
    for part in parts(m, space, addresses):
        threads = m.active if part.rows is None else m.active[part.rows]
        index = part.space.locate(part.addresses, size * count, threads)
        access = Access(threads, m.order, number, strong)
        found, bits = part.space.memory.load(index, size, count, access)
        if strong and m.releases is not None and part.space is m.global_space:
            m.releases.read(m, threads, index // m.global_space.memory.granule, acquire)
        if m.counters is not None:
            m.counters.access(part.space, number, index, size * count, threads)
        if part.rows is None:
            return found, bits
        if values is None:
            values = np.zeros((len(addresses), count), found.dtype)
        values[part.rows] = found
        if bits is not None:
            unset = np.zeros_like(values) if unset is None else unset
            unset[part.rows] = bits
    assert values is not None
    return values, unset


def store(
    m: Cohort,
    space: str,
    addresses: Array,
    values: Array,
    unset: Array | None,
    origin: int,
    number: int,
    strong: bool,
    release: bool = False,
) -> None:
    """Elements [active, count] to addresses."""
    nbytes = values.dtype.itemsize * values.shape[1]
    for part in parts(m, space, addresses):
        rows = slice(None) if part.rows is None else part.rows
        threads = m.active[rows]
        bits = None if unset is None else unset[rows]
        index = part.space.locate(part.addresses, nbytes, threads, write=True)
        if bits is not None and bits.any() and part.space is m.global_space:
            thread = int(threads[np.argwhere(bits)[0][0]])
            raise m.unset_error("what is stored to global memory", thread, origin)
        if strong and m.releases is not None and part.space is m.global_space:
            m.releases.write(m, threads, index // m.global_space.memory.granule, release)
        part.space.memory.store(index, values[rows], bits, Access(threads, m.order, number, strong))
        if m.counters is not None:
            m.counters.access(part.space, number, index, nbytes, threads)


def ld(e: Emitter) -> Step:
    space = space_of(e)
    if space == "param":
        return _ld_param(e)
    where = place(e, 1)
    elements = e.vector(0)
    size = e.width // 8
    strong = bool(STRONG & set(e.modifiers))
    results = [_result(e, element) for element in elements]
    count, number, acquire = len(elements), e.number, e.has("acquire")

    def run(m: Cohort) -> None:
        values, unset = load(m, space, where.addresses(m), size, count, number, strong, acquire)
        for column, (slot, extend) in enumerate(results):
            if slot is None:
                continue
            value = m.scatter(extend(values[:, column]))
            if unset is None:
                m.put(slot, value)
            else:
                bits = m.scatter(extend(unset[:, column]))
                m.put(slot, value, bits if bits.any() else None, number)

    return run


Extend = Callable[[Array], Array]


def _result(e: Emitter, element: syntax.Operand) -> tuple[int | None, Extend]:
    """The register of a loaded element, and how the element is extended to it."""
    if isinstance(element, syntax.Name) and element.text == "_":
        return None, lambda value: value
    slot = e.result(element)
    return slot, extension(e.type, e.program.widths[slot])


def extension(kind: str, register: int) -> Extend:
    """From a type to a register that may be wider."""
    width = WIDTHS[kind]
    if width == register:
        return lambda value: value
    target = UINT[register]
    if is_signed(kind):
        return lambda value: value.view(SINT[width]).astype(SINT[register]).view(target)
    return lambda value: value.astype(target)


def _ld_param(e: Emitter) -> Step:
    """Parameters are the same for all threads. A parameter of a call (never executed) reads as 0."""
    operand = e.operands[1]
    if not isinstance(operand, syntax.Address) or operand.base is None:
        e.unsupported("an indirect parameter")
    parameter = next((p for p in e.program.parameters if p.name == operand.base), None)
    if parameter is None:
        if e.program.register(operand.base) is not None:
            e.unsupported("an indirect parameter")
        slot = e.result(e.vector(0)[0])
        zero = np.zeros(1, UINT[e.program.widths[slot]])
        return lambda m: m.put(slot, zero)
    size = e.width // 8
    results = [_result(e, element) for element in e.vector(0)]
    start = parameter.offset + operand.offset
    if operand.offset + size * len(results) > parameter.size:
        e.mistake(f"`{parameter.name}` has {parameter.size} bytes")

    def run(m: Cohort) -> None:
        for column, (slot, extend) in enumerate(results):
            first = start + column * size
            value = m.parameters[first : first + size].view(UINT[size * 8])
            if slot is not None:
                m.put(slot, extend(value))

    return run


def st(e: Emitter) -> Step:
    space = space_of(e)
    if space == "param":
        return lambda m: None
    where = place(e, 0)
    width = e.width
    sources = [e.source(element, width) for element in e.vector(1)]
    strong = bool(STRONG & set(e.modifiers))
    number, release = e.number, e.has("release")

    def run(m: Cohort) -> None:
        addresses = where.addresses(m)
        values = np.stack([fit(m.chosen(s), width) for s in sources], axis=1)
        unset, origin = gather_unset(m, sources, width) if m.taint else (None, -1)
        store(m, space, addresses, values, unset, origin, number, strong, release)

    return run


def gather_unset(m: Cohort, slots: list[int], width: int) -> tuple[Array | None, int]:
    """The unset bits [active, slots] of registers, and where the first come from."""
    found = [m.unset_of(s) for s in slots]
    if not any(found):
        return None, -1
    zero = np.zeros(len(m.active), UINT[width])
    origin = next(f[1] for f in found if f is not None)
    return np.stack([zero if f is None else fit(f[0], width) for f in found], axis=1), origin


def fence(e: Emitter) -> Step:
    """Orders accesses of different blocks, or of proxies; threads of a block are ordered by barriers only."""
    if e.has("proxy"):
        to_async = e.has("async") and not e.has("global")
        return (lambda m: m.order.fence_proxy(m.active)) if to_async else lambda m: None
    if e.has("cta") or (e.root == "fence" and e.has("mbarrier_init")):
        return lambda m: None

    def run(m: Cohort) -> None:
        if m.releases is not None:
            m.releases.fence(m)

    return run


def nothing(e: Emitter) -> Step:
    """Hints to caches, fences among threads that the machine orders anyway, and the like."""
    return lambda m: None
