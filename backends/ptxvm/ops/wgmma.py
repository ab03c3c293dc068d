"""Matrix instructions of warpgroups: wgmma.mma_async, its fence, groups and waits.

Numbers come about as in `mma` (`matrices.py`). Fragments: PTX ISA, wgmma, "Register Fragments and Shared Memory Matrix
Layouts": each warp has 16 of the 64 rows, as in A and C of mma.m16n8.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.descriptors import Descriptor
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.errors import ExecutionError
from vmc.backends.ptxvm.ops.matrices import (
    BITS,
    Fragment,
    codes_of,
    encoder,
    factor_a,
    gather,
    multiplier,
    registers_of,
    values_of,
)
from vmc.backends.ptxvm.state import Cohort
from vmc.backends.ptxvm.warpgroups import THREADS, Warpgroups

ROWS, WARP_ROWS = 64, 16


def wgmma(e: Emitter) -> Step:
    match e.modifiers[0]:
        case "mma_async" if not e.has("sp"):
            return _product(e)
        case "fence":
            return lambda m: warpgroups(m).fence(m)
        case "commit_group":
            return lambda m: warpgroups(m).commit(m)
        case "wait_group":
            operand = e.operands[0]
            if not isinstance(operand, syntax.Integer):
                e.mistake("wgmma.wait_group takes a number")
            allowed = operand.value
            return lambda m: warpgroups(m).wait(m, allowed)
    e.unsupported()


def warpgroups(m: Cohort) -> Warpgroups:
    assert m.warpgroups is not None
    return m.warpgroups


@cache
def accumulator(columns: int, bits: int) -> Fragment:
    """A warp's 16 rows of D: a lane has two neighbouring columns of two rows in every eight columns."""
    lane = np.arange(32)
    row, column = [], []
    for right in range(columns // 8):
        for down in range(2):
            for element in range(2):
                row.append((lane >> 2) + 8 * down)
                column.append((lane & 3) * 2 + element + 8 * right)
    return Fragment(np.stack(row, 1), np.stack(column, 1), bits)


@dataclass(frozen=True)
class Factor:
    """A factor in shared memory: the slot of its descriptor, lines [lines, depth], and whether it is MN-major."""

    slot: int
    lines: int
    depth: int
    kind: str
    transposed: bool

    @property
    def size(self) -> int:
        return BITS[self.kind] // 8

    def load(self, m: Cohort) -> tuple[Array, Array, Array | None]:
        """For each warpgroup: the elements' codes and unset bits [n, lines, depth], and the places of their bytes."""
        m.require(self.slot, "a matrix descriptor")
        codes = m.chosen(self.slot).reshape(-1, THREADS)
        if (codes != codes[:, :1]).any():
            raise ExecutionError("the warps of a warpgroup give different matrix descriptors")
        places = np.stack([self._places(m, int(code), n) for n, code in enumerate(codes[:, 0].tolist())])
        memory, width = m.shared.memory, 8 * self.size
        index = places // self.size
        unset = None if memory.unset is None else memory.unset_views[width][index]
        return memory.views[width][index], places, unset if unset is not None and unset.any() else None

    def _places(self, m: Cohort, code: int, number: int) -> Array:
        addresses = Descriptor.decode(code).addresses(self.lines, self.depth, self.size, self.transposed)
        thread = np.full(addresses.size, m.active[number * THREADS])
        located = m.shared.locate(addresses.reshape(-1).astype(np.uint64), self.size, thread)
        return located.reshape(addresses.shape)


def _product(e: Emitter) -> Step:
    shape = re.fullmatch(r"m64n(\d+)k(\d+)", next((m for m in e.modifiers if m.startswith("m64n")), ""))
    kinds = [m for m in e.modifiers if m in BITS]
    if shape is None or len(kinds) != 3 or "b1" in kinds:
        e.unsupported()
    columns, depth = int(shape[1]), int(shape[2])
    to, kind_a, kind_b = kinds
    if depth * BITS[kind_a] != 256 or columns % 8 or not 8 <= columns <= 256:
        e.mistake(f"there is no m64n{columns}k{depth} of {kind_a}")
    d = accumulator(columns, BITS[to])
    slots_d = [e.source(element, 32, "b32") for element in e.vector(0)]
    if len(slots_d) != d.registers:
        e.mistake(f"D of {columns} columns has {d.registers} registers")
    scale_a, scale_b, transposed_a, transposed_b = _immediates(e, isinstance(e.operands[1], syntax.Vector))
    slots_a: list[int] = []
    left: Factor | None = None
    if isinstance(e.operands[1], syntax.Vector):
        slots_a = [e.source(element, 32, "b32") for element in e.vector(1)]
        if len(slots_a) != 4:
            e.mistake("A in registers has 4 of them")
    else:
        left = Factor(e.source(1, 64, "b64"), ROWS, depth, kind_a, transposed_a)
    right = Factor(e.source(2, 64, "b64"), columns, depth, kind_b, transposed_b)
    if (transposed_a or transposed_b) and BITS[kind_a] != 16:
        e.mistake("matrices of other elements than 16 bits are K-major")
    adds = _predicate(e)
    fragment = factor_a(WARP_ROWS, depth, BITS[kind_a])
    rows = e.program.watched
    rows_a, rows_d = [rows[slot] for slot in slots_a], [rows[slot] for slot in slots_d]
    encode, number, product_of = encoder(e, to), e.number, multiplier(e, (kind_a, kind_b), to)

    def run(m: Cohort) -> None:
        accumulates = adds(m)
        warpgroups(m).use(m, number, rows_a, rows_d, columns)
        warps = len(m.active) // 32
        if left is None:
            a = gather(m, slots_a, fragment, (WARP_ROWS, depth), kind_a)[_active_warps(m)].reshape(-1, ROWS, depth)
            dirty_a = _unset_registers(m, slots_a, fragment, (WARP_ROWS, depth))
        else:
            a, dirty_a = _from_memory(m, left, number)
        b, dirty_b = _from_memory(m, right, number)
        c = gather(m, slots_d, d, (WARP_ROWS, columns), to)[_active_warps(m)].reshape(-1, ROWS, columns)
        c = np.where(accumulates[:, None, None], c, 0)
        product = product_of(scale_a * a, (scale_b * b).transpose(0, 2, 1), c)
        registers = registers_of(product.reshape(warps, WARP_ROWS, columns), d, encode)
        dirty_c = _unset_registers(m, slots_d, d, (WARP_ROWS, columns))
        unset = _unset(dirty_a, dirty_b, dirty_c, accumulates, (ROWS, columns))
        bits = None if unset is None else registers_of(unset.reshape(warps, WARP_ROWS, columns), d, _mask(d.bits))
        for column, slot in enumerate(slots_d):
            own = None if bits is None or not bits[:, column].any() else m.scatter(bits[:, column])
            m.put(slot, m.scatter(registers[:, column]), own, number)

    return run


def _immediates(e: Emitter, in_registers: bool) -> tuple[int, int, bool, bool]:
    """imm-scale-a, imm-scale-b, imm-trans-a, imm-trans-b; those that are not there are 1 and 0."""
    given: list[int] = []
    for operand in e.operands[4:]:
        if not isinstance(operand, syntax.Integer):
            e.mistake("scales and transpositions of wgmma are numbers")
        given.append(operand.value)
    scales, turns = [*given[:2], 1, 1], given[2:]
    if any(s not in (1, -1) for s in scales) or any(t not in (0, 1) for t in turns):
        e.mistake("scales of wgmma are 1 or -1, transpositions 0 or 1")
    turned = [*([0] if in_registers else []), *turns, 0, 0]
    return scales[0], scales[1], bool(turned[0]), bool(turned[1])


def _predicate(e: Emitter) -> Callable[[Cohort], Array]:
    """For each warpgroup, whether D is added to: the operand scale-d, a predicate or a number."""
    operand = e.operands[3]
    if isinstance(operand, syntax.Integer):
        fixed = bool(operand.value)
        return lambda m: np.full(len(m.active) // THREADS, fixed)
    slot, negated = e.predicate(operand)

    def read(m: Cohort) -> Array:
        m.require(slot, "scale-d of a wgmma")
        values = m.chosen(slot).reshape(-1, THREADS)
        if (values != values[:, :1]).any():
            raise ExecutionError("the threads of a warpgroup disagree about scale-d")
        result: Array = values[:, 0] != negated
        return result

    return read


def _active_warps(m: Cohort) -> Array:
    return m.active[::32] // 32


def _from_memory(m: Cohort, factor: Factor, number: int) -> tuple[Array, Array | None]:
    """A factor's numbers [n, lines, depth] and where they have unset bits; the read is noted."""
    codes, places, unset = factor.load(m)
    memory = m.shared.memory
    granules = [np.unique(own // memory.granule) for own in places]
    warpgroups(m).read(m, number, granules)
    values = values_of(np.ascontiguousarray(codes), factor.kind)
    return values, None if unset is None else unset != 0


def _unset_registers(m: Cohort, slots: list[int], fragment: Fragment, shape: tuple[int, int]) -> Array | None:
    """Which elements [n, 64, ...] in registers have unset bits; None if none has."""
    if not any(m.unset_of(slot) for slot in slots):
        return None
    masks = []
    for slot in slots:
        found = m.taint.get(slot)
        zero = np.zeros(m.size, np.uint32)
        masks.append(zero if found is None else np.broadcast_to(found[0], (m.size,)))
    codes = codes_of(np.stack(masks, axis=1), fragment.bits).reshape(m.size // 32, 32, -1)
    matrix: Array = np.zeros((m.size // 32, *shape), np.bool_)
    matrix[:, fragment.row, fragment.column] = codes != 0
    return matrix[_active_warps(m)].reshape(-1, ROWS, shape[1])


def _unset(
    a: Array | None, b: Array | None, c: Array | None, accumulates: Array, extents: tuple[int, int]
) -> Array | None:
    """Elements of D in a row of A, or a line of B, with unset bits, or added to such a one."""
    if a is None and b is None and (c is None or not accumulates.any()):
        return None
    bad = np.zeros((len(accumulates), *extents), np.bool_)
    if a is not None:
        bad |= np.asarray(a.any(axis=2))[:, :, None]
    if b is not None:
        bad |= np.asarray(b.any(axis=2))[:, None, :]
    if c is not None:
        bad |= c & accumulates[:, None, None]
    return bad if bad.any() else None


def _mask(bits: int) -> Callable[[Array], Array]:
    kind = UINT[bits]
    return lambda values: np.where(values, ~kind(0), kind(0))
