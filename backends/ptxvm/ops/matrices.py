"""Matrix instructions of a warp: ldmatrix, stmatrix, movmatrix and mma.sync.

mma computes each element of D as C plus the products for k = 0, 1, 2, ... in this order, the products exact, the sum in
float64, and rounds it once to the type of D, to nearest even. (PTX leaves order and intermediate precision open; sums
of integers are exact modulo 2**32, or clamped with .satfinite; of 8-bit floats see `sums`.) Where elements of the
factors lie in the registers of the lanes is PTX ISA section 9.7.15.5, "Matrix multiply-accumulate operation using mma
instruction".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from vmc.backends.ptxvm import numeric
from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.memory import Access
from vmc.backends.ptxvm.ops.access import place
from vmc.backends.ptxvm.ops.sums import sums_of
from vmc.backends.ptxvm.state import Cohort

BITS = {
    "f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "f64": 64, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "s32": 32,
    "e4m3": 8, "e5m2": 8, "e2m1": 8, "e2m3": 8, "e3m2": 8, "b1": 1,
}  # fmt: skip
COUNTS = {"x1": 1, "x2": 2, "x4": 4}


@dataclass(frozen=True)
class Fragment:
    """Where a lane's elements lie in a matrix: row and column, both [32, elements], elements in register order."""

    row: Array
    column: Array
    bits: int

    @property
    def registers(self) -> int:
        """Registers of a lane, of 32 bits, or 64 for f64."""
        unit = 64 if self.bits == 64 else 32
        return int(self.row.shape[1]) * self.bits // unit


@cache
def factor_a(rows: int, depth: int, bits: int) -> Fragment:
    """Matrix A, rows x depth. A register has neighbouring columns; registers go down by 8 rows, then to the right."""
    return _factor(rows, depth, bits, by_rows=True)


@cache
def factor_b(depth: int, columns: int, bits: int) -> Fragment:
    """Matrix B, depth x columns: as A, with the roles of rows and columns exchanged."""
    other = _factor(columns, depth, bits, by_rows=True)
    return Fragment(other.column, other.row, bits)


def _factor(rows: int, depth: int, bits: int, by_rows: bool) -> Fragment:
    lane = np.arange(32)
    group, within = lane >> 2, lane & 3
    per = max(1, 32 // bits)
    row, column = [], []
    for right in range(depth // (4 * per)):
        for down in range(rows // 8):
            for element in range(per):
                row.append(group + 8 * down)
                column.append(within * per + element + 4 * per * right)
    return Fragment(np.stack(row, 1), np.stack(column, 1), bits)


@cache
def accumulator(rows: int, columns: int, bits: int) -> Fragment:
    """Matrices C and D: a lane has two neighbouring columns of each eighth row."""
    lane = np.arange(32)
    group, within = lane >> 2, lane & 3
    row, column = [], []
    for down in range(rows // 8):
        for element in range(2):
            row.append(group + 8 * down)
            column.append(within * 2 + element)
    return Fragment(np.stack(row, 1), np.stack(column, 1), bits)


def gather(m: Cohort, slots: list[int], fragment: Fragment, shape: tuple[int, int], kind: str) -> Array:
    """The matrices [warps, rows, columns] that lanes hold in registers, as float64, or int64 of integer types."""
    codes = codes_of(np.stack([m.wide(s) for s in slots], axis=1), fragment.bits)
    warps = len(codes) // 32
    values = values_of(codes, kind).reshape(warps, 32, -1)
    matrix = np.zeros((warps, *shape), values.dtype)
    matrix[:, fragment.row, fragment.column] = values
    return matrix


def codes_of(registers: Array, bits: int) -> Array:
    """The elements [threads, elements] in registers [threads, registers], lowest bits first."""
    if bits >= 32:
        return registers
    if bits >= 8:
        return np.ascontiguousarray(registers).view(UINT[bits])
    octets = np.ascontiguousarray(registers).view(np.uint8)
    mask = np.uint8((1 << bits) - 1)
    return np.stack([(octets >> np.uint8(s)) & mask for s in range(0, 8, bits)], axis=2).reshape(len(registers), -1)


def values_of(codes: Array, kind: str) -> Array:
    """Codes to numbers."""
    match kind:
        case "s8":
            return codes.view(np.int8).astype(np.int64)
        case "u8" | "u4":
            return codes.astype(np.int64)
        case "s4":
            return (codes.astype(np.int64) ^ 8) - 8
        case "s32":
            return codes.view(np.int32).astype(np.int64)
        case _:
            return numeric.decode(codes, kind).astype(np.float64)


def multiplier(e: Emitter, kinds: tuple[str, str], to: str) -> Callable[[Array, Array, Array], Array]:
    """What computes C + A B for an instruction."""
    sums = sums_of(e.root, e.program.target, kinds, to)
    return multiply if sums is None else lambda a, b, c: sums(a, b, c, kinds)


def multiply(a: Array, b: Array, c: Array) -> Array:
    """C plus the products for k = 0, 1, ... in order."""
    total = c
    with np.errstate(all="ignore"):
        for k in range(a.shape[2]):
            total = total + a[:, :, k, None] * b[:, None, k, :]
    return total


def registers_of(values: Array, fragment: Fragment, encode: Callable[[Array], Array]) -> Array:
    """Registers [threads, registers] that hold matrices [warps, rows, columns]."""
    codes = encode(values[:, fragment.row, fragment.column].reshape(-1, fragment.row.shape[1]))
    unit = 64 if fragment.bits == 64 else 32
    return np.ascontiguousarray(codes).view(UINT[unit])


def mma(e: Emitter) -> Step:
    shape = next((m for m in e.modifiers if m.startswith("m") and m[1:2].isdigit()), "")
    rows, columns, depth = _extents(shape)
    kinds = [m for m in e.modifiers if m in BITS]
    if (
        len(kinds) != 4
        or e.has("sp")
        or e.has("block_scale")
        or "b1" in kinds
        or (rows, columns) not in ((16, 8), (8, 8))
    ):
        e.unsupported()
    if e.has("col") and e.modifiers.index("row") > e.modifiers.index("col"):
        e.unsupported("layouts other than row.col")
    to, kind_a, kind_b, kind_c = kinds
    if (rows == 8 and kind_a not in ("f64", "s8", "u8", "s4", "u4")) or (kind_a in ("f16",) and shape == "m8n8k4"):
        e.unsupported()
    a = factor_a(rows, depth, BITS[kind_a])
    b = factor_b(depth, columns, BITS[kind_b])
    c, d = accumulator(rows, columns, BITS[kind_c]), accumulator(rows, columns, BITS[to])
    slots_a, slots_b, slots_c = (_registers(e, index, fragment) for index, fragment in ((1, a), (2, b), (3, c)))
    results = [e.result(element) for element in e.vector(0)]
    if len(results) != d.registers:
        e.mistake(f"{shape} gives {d.registers} registers")
    encode, product_of = encoder(e, to), multiplier(e, (kind_a, kind_b), to)

    def run(m: Cohort) -> None:
        product = product_of(
            gather(m, slots_a, a, (rows, depth), kind_a),
            gather(m, slots_b, b, (depth, columns), kind_b),
            gather(m, slots_c, c, (rows, columns), kind_c),
        )
        registers = registers_of(product, d, encode)
        unset = None
        if m.taint:
            unset = _unset(m, (slots_a, slots_b, slots_c), (a, b, c), d, (rows, columns, depth))
        for column, slot in enumerate(results):
            if unset is None:
                m.put(slot, registers[:, column])
            else:
                bits, origin = unset
                own = np.where(m.mask, bits[:, column], bits.dtype.type(0))
                m.put(slot, registers[:, column], own if own.any() else None, origin)

    return run


def _extents(shape: str) -> tuple[int, int, int]:
    numbers = shape.replace("m", " ").replace("n", " ").replace("k", " ").split()
    return (int(numbers[0]), int(numbers[1]), int(numbers[2])) if len(numbers) == 3 else (0, 0, 0)


def _registers(e: Emitter, index: int, fragment: Fragment) -> list[int]:
    width = 64 if fragment.bits == 64 else 32
    slots = [e.source(operand, width, f"b{width}") for operand in e.vector(index)]
    if len(slots) != fragment.registers:
        e.mistake(f"operand {index + 1} needs {fragment.registers} registers")
    return slots


def encoder(e: Emitter, to: str) -> Callable[[Array], Array]:
    """What makes bits of a PTX type out of sums."""
    if to != "s32":
        return lambda values: numeric.encode(values, to)
    if e.has("satfinite"):
        return lambda values: np.clip(values, -(2**31), 2**31 - 1).astype(np.int32).view(np.uint32)
    return lambda values: values.astype(np.uint32)


def _unset(
    m: Cohort,
    slots: tuple[list[int], list[int], list[int]],
    fragments: tuple[Fragment, Fragment, Fragment],
    d: Fragment,
    extents: tuple[int, int, int],
) -> tuple[Array, int] | None:
    """Elements of D in a row of A, or a column of B, with unset bits, or with such an element of C, are unset."""
    rows, columns, depth = extents
    origin: int | None = None
    touched: list[Array] = []
    for group, fragment, shape in zip(
        slots, fragments, ((rows, depth), (depth, columns), (rows, columns)), strict=True
    ):
        masks = []
        for slot in group:
            found = m.taint.get(slot)
            if found is not None and origin is None:
                origin = found[1]
            zero = np.zeros(m.size, m.wide(slot).dtype)
            masks.append(zero if found is None else np.broadcast_to(found[0], (m.size,)))
        codes = codes_of(np.stack(masks, axis=1), fragment.bits)
        matrix: Array = np.zeros((m.size // 32, *shape), np.bool_)
        matrix[:, fragment.row, fragment.column] = codes.reshape(m.size // 32, 32, -1) != 0
        touched.append(matrix)
    if origin is None:
        return None
    by_row: Array = np.asarray(touched[0].any(axis=2))
    by_column: Array = np.asarray(touched[1].any(axis=1))
    bad = by_row[:, :, None] | by_column[:, None, :] | touched[2]
    kind = UINT[d.bits]
    return registers_of(bad, d, lambda values: np.where(values, ~kind(0), kind(0))), origin


def _check_shape(e: Emitter) -> int:
    if not e.has("m8n8") or e.type != "b16":
        e.unsupported("matrices other than m8n8 of b16")
    return next((COUNTS[m] for m in e.modifiers if m in COUNTS), 1)


def _row_threads(m: Cohort, count: int) -> Array:
    """Positions, among the active threads, of those that give the rows' addresses: the first 8 * count of each warp."""
    lanes = m.active % 32
    return np.flatnonzero(lanes < 8 * count)


def ldmatrix(e: Emitter) -> Step:
    count = _check_shape(e)
    where = place(e, 1)
    results = [e.result(element) for element in e.vector(0)]
    if len(results) != count:
        e.mistake(f"needs {count} registers")
    trans, number = e.has("trans"), e.number

    def run(m: Cohort) -> None:
        chosen = _row_threads(m, count)
        threads = m.active[chosen]
        if m.taint:
            m.require(where.slot, "an address")
        index = m.shared.locate(where.addresses(m)[chosen], 16, threads)
        values, unset = m.shared.memory.load(index, 2, 8, Access(threads, m.order, number))
        if m.counters is not None:
            m.counters.access(m.shared, number, index, 16, threads, rows=True)
        registers = _spread_rows(values, count, trans)
        bits = None if unset is None else _spread_rows(unset, count, trans)
        for matrix, slot in enumerate(results):
            value = m.scatter(registers[:, matrix])
            if bits is None:
                m.put(slot, value)
            else:
                m.put(slot, value, m.scatter(bits[:, matrix]), number)

    return run


def _spread_rows(values: Array, count: int, trans: bool) -> Array:
    """Rows [warps * count * 8, 8] of b16 to registers [threads, count]: lane l gets row l/4, columns 2(l%4), +1."""
    matrices = values.reshape(-1, count, 8, 8)
    if trans:
        matrices = matrices.transpose(0, 1, 3, 2)
    words = np.ascontiguousarray(matrices).view(np.uint32).reshape(-1, count, 32)
    return np.ascontiguousarray(words.transpose(0, 2, 1)).reshape(-1, count)


def stmatrix(e: Emitter) -> Step:
    count = _check_shape(e)
    where = place(e, 0)
    sources = [e.source(element, 32, "b32") for element in e.vector(1)]
    trans, number = e.has("trans"), e.number

    def run(m: Cohort) -> None:
        chosen = _row_threads(m, count)
        threads = m.active[chosen]
        addresses = where.addresses(m)[chosen]
        index = m.shared.locate(addresses, 16, threads, write=True)
        rows = _collect_rows(np.stack([m.chosen(s) for s in sources], axis=1), trans)
        bits = None
        if m.taint:
            masks = [m.unset_of(s) for s in sources]
            if any(masks):
                zero = np.zeros(len(m.active), np.uint32)
                stacked = np.stack([zero if k is None else k[0] for k in masks], axis=1)
                bits = _collect_rows(stacked, trans)
        m.shared.memory.store(index, rows, bits, Access(threads, m.order, number))
        if m.counters is not None:
            m.counters.access(m.shared, number, index, 16, threads, rows=True)

    return run


def _collect_rows(registers: Array, trans: bool) -> Array:
    """Registers [threads, count] to rows [warps * count * 8, 8] of b16: the inverse of `_spread_rows`."""
    count = registers.shape[1]
    words = np.ascontiguousarray(registers.reshape(-1, 32, count).transpose(0, 2, 1))
    matrices = words.view(np.uint16).reshape(-1, count, 8, 8)
    if trans:
        matrices = matrices.transpose(0, 1, 3, 2)
    return np.ascontiguousarray(matrices).reshape(-1, 8)


def movmatrix(e: Emitter) -> Step:
    """Transposes an 8x8 matrix of b16 held by a warp."""
    slot, destination = e.source(1, 32, "b32"), e.result()

    def apply(registers: Array) -> Array:
        return _spread_rows(_collect_rows(registers[:, None], False), 1, True)[:, 0]

    def run(m: Cohort) -> None:
        value = apply(m.wide(slot))
        found = m.taint.get(slot)
        if found is None:
            m.put(destination, value)
        else:
            bits = apply(np.broadcast_to(found[0], (m.size,)))
            m.put(destination, value, bits, found[1])

    return run
