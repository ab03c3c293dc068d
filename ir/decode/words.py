"""Programs of 32-bit operations, as a GPU's integer and packed half units have them, and their exact execution.

A program is a list of operations in SSA form: its values are numbered, the inputs first. The vocabulary is one table,
`OPERATIONS`: what an operation does to uint32 arrays. PTX ISA names and truth tables: `lop3`, `prmt`, `shf`, `fma`.
A fused multiply-add whose unrounded sum float64 does not hold is refused (ArithmeticError), so results are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vmc.ir.types import dtype

Words = npt.NDArray[np.uint32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Imm:
    """A constant operand."""

    value: int

    def __str__(self) -> str:
        return f"0x{self.value:08x}" if self.value > 31 else str(self.value)


Operand = int | Imm
"""The number of a value, or a constant."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` of `OPERATIONS` applied to operands."""

    name: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Program:
    """Operations on `inputs` words; `results` names the values that are the outcome, in order."""

    inputs: int
    operations: tuple[Operation, ...]
    results: tuple[int, ...]

    def __call__(self, words: Sequence[Words]) -> list[Words]:
        """The results for arrays of words, uint32, all of one shape. Raises ArithmeticError: see the module."""
        if len(words) != self.inputs:
            raise ValueError(f"expected {self.inputs} words, found {len(words)}")
        values = [np.asarray(word, np.uint32) for word in words]
        for operation in self.operations:
            values.append(OPERATIONS[operation.name](*(operand(values, x) for x in operation.operands)))
        return [values[number] for number in self.results]

    @property
    def constants(self) -> tuple[int, ...]:
        """The distinct constants other than the amounts of shifts and the truth tables."""
        found = {x.value for op in self.operations for x in data_operands(op) if isinstance(x, Imm)}
        return tuple(sorted(found - {0}))

    def __str__(self) -> str:
        lines = [
            f"%{number} = {op.name} {', '.join(str(x) if isinstance(x, Imm) else f'%{x}' for x in op.operands)}"
            for number, op in enumerate(self.operations, self.inputs)
        ]
        return "\n".join([*lines, f"return {', '.join(f'%{n}' for n in self.results)}"])


def data_operands(operation: Operation) -> tuple[Operand, ...]:
    """The operands that are words, as opposed to amounts of shifts, truth tables and selectors."""
    match operation.name:
        case "shl" | "shr" | "rotr":
            return operation.operands[:1]
        case "lop3":
            return operation.operands[:3]
        case "prmt":
            return operation.operands[:2]
    return operation.operands


def operand(values: Sequence[Words], x: Operand) -> Words:
    """The operand as an array of the shape of the words."""
    return np.broadcast_to(np.uint32(x.value), values[0].shape) if isinstance(x, Imm) else values[x]


@dataclass
class Builder:
    """Collects operations; an operation that is there already is not repeated."""

    inputs: int
    operations: list[Operation] = field(default_factory=list)
    known: dict[Operation, int] = field(default_factory=dict)

    def __call__(self, name: str, *operands: Operand) -> int:
        """The number of the operation's result."""
        operation = Operation(name, operands)
        if operation not in self.known:
            self.known[operation] = self.inputs + len(self.operations)
            self.operations.append(operation)
        return self.known[operation]

    def program(self, results: Sequence[int]) -> Program:
        return Program(self.inputs, tuple(self.operations), tuple(results))


# ---- bits ------------------------------------------------------------------------------------------------------------


def lop3(a: Words, b: Words, c: Words, table: Words) -> Words:
    """PTX ISA, lop3: bit (a, b, c) of the truth table, read as a number, for every bit."""
    result = np.zeros(np.broadcast_shapes(np.shape(a), np.shape(b), np.shape(c)), np.uint32)
    for row in range(8):
        if int(table.flat[0]) >> row & 1:
            parts = (x if row >> shift & 1 else ~x for x, shift in ((a, 2), (b, 1), (c, 0)))
            both = next(parts)
            for part in parts:
                both = both & part
            result |= both
    return result


def truth_table(function: Callable[[int, int, int], int]) -> Imm:
    """The immediate of `lop3` for a function of bits, given on bytes: truth_table(lambda a, b, c: a & b | c)."""
    return Imm(function(0xF0, 0xCC, 0xAA) & 0xFF)


def prmt(a: Words, b: Words, selector: Words) -> Words:
    """PTX ISA, prmt in its default mode: four bytes of the eight of {b, a}, or their sign."""
    whole = np.asarray(a).astype(np.uint64) | np.asarray(b).astype(np.uint64) << np.uint64(32)
    result = np.zeros(np.broadcast_shapes(np.shape(whole), np.shape(selector)), np.uint64)
    for place in range(4):
        chosen = np.asarray(selector).astype(np.uint64) >> np.uint64(4 * place)
        byte = whole >> np.uint64(8) * (chosen & np.uint64(7)) & np.uint64(0xFF)
        sign = np.where(byte >> np.uint64(7) != 0, np.uint64(0xFF), np.uint64(0))
        result |= np.where(chosen & np.uint64(8) != 0, sign, byte) << np.uint64(8 * place)
    return result.astype(np.uint32)


def rotr(a: Words, amount: Words) -> Words:
    """To the right, around: shf.r.wrap of a word with itself."""
    left = (np.uint32(32) - amount) & np.uint32(31)
    return np.asarray(a >> amount | a << left, np.uint32)


# ---- packed halves ---------------------------------------------------------------------------------------------------

HALVES = {"f16x2": dtype("f16"), "bf16x2": dtype("bf16")}
FLOATS = {**HALVES, "e4m3x4": dtype("f8e4m3"), "e5m2x4": dtype("f8e5m2")}
"""The types of the numbers in a register, by what it holds."""


def opened(kind: str, word: Words) -> Doubles:
    """The two numbers of a word: float64, with a new first dimension for low and high."""
    codes = np.stack(np.broadcast_arrays(word & np.uint32(0xFFFF), word >> np.uint32(16)))
    return np.asarray(HALVES[kind].decode(codes.astype(np.uint16)), np.float64)


def closed(kind: str, values: Doubles) -> Words:
    """The inverse of `opened`, rounding to nearest even."""
    with np.errstate(over="ignore", invalid="ignore"):
        codes = HALVES[kind].encode(values).astype(np.uint32)
    return np.asarray(codes[0] | codes[1] << np.uint32(16), np.uint32)


def exact_sum(a: Doubles, b: Doubles) -> Doubles:
    """a + b. Raises ArithmeticError where float64 rounds it (Knuth's two-sum)."""
    with np.errstate(invalid="ignore", over="ignore"):
        total = a + b
        rest = total - a
        error = (a - (total - rest)) + (b - rest)
    if (np.isfinite(total) & (error != 0)).any():
        raise ArithmeticError("a fused multiply-add is not exact in float64")
    return total


def fma(kind: str) -> Callable[..., Words]:
    def multiply_add(a: Words, b: Words, c: Words) -> Words:
        with np.errstate(invalid="ignore", over="ignore"):
            product = opened(kind, a) * opened(kind, b)
        return closed(kind, exact_sum(product, opened(kind, c)))

    return multiply_add


def mul(kind: str) -> Callable[..., Words]:
    def multiply(a: Words, b: Words) -> Words:
        with np.errstate(invalid="ignore", over="ignore"):
            return closed(kind, opened(kind, a) * opened(kind, b))

    return multiply


def add(kind: str) -> Callable[..., Words]:
    return lambda a, b: closed(kind, exact_sum(opened(kind, a), opened(kind, b)))


def least(kind: str) -> Callable[..., Words]:
    """PTX ISA, min: of a number and a NaN the number."""
    return lambda a, b: closed(kind, np.fmin(opened(kind, a), opened(kind, b)))


def most(kind: str) -> Callable[..., Words]:
    """PTX ISA, max: of a number and a NaN the number."""
    return lambda a, b: closed(kind, np.fmax(opened(kind, a), opened(kind, b)))


def above(kind: str) -> Callable[..., Words]:
    """All ones, a NaN, in the halves where |a| > b (or either is NaN); else zeros: set.gtu.u32 of abs."""

    def compare(a: Words, b: Words) -> Words:
        larger = ~(np.abs(opened(kind, a)) <= opened(kind, b))
        return np.where(larger[0], np.uint32(0xFFFF), 0).astype(np.uint32) | np.where(
            larger[1], np.uint32(0xFFFF0000), 0
        ).astype(np.uint32)

    return compare


# ---- single floats ---------------------------------------------------------------------------------------------------


def widened(half: int) -> Callable[..., Words]:
    """The f32 of one half of an f16x2."""

    def widen(a: Words) -> Words:
        with np.errstate(invalid="ignore"):
            return np.asarray(opened("f16x2", a)[half].astype(np.float32).view(np.uint32))

    return widen


def converted(kind: str, half: int) -> Callable[..., Words]:
    """Two of the four 8-bit floats in a word as f16: cvt.rn.f16x2.e4m3x2."""

    def convert(a: Words) -> Words:
        codes = np.stack([a >> np.uint32(16 * half + start) & np.uint32(0xFF) for start in (0, 8)])
        type = FLOATS[f"{kind}x4"]
        return closed("f16x2", np.asarray(type.decode(codes.astype(type.code_dtype)), np.float64))

    return convert


def joined(kind: str) -> Callable[..., Words]:
    """Two f32, the low one first, rounded into a packed pair: cvt.rn.f16x2.f32, cvt.rn.bf16x2.f32."""

    def pack(low: Words, high: Words) -> Words:
        low, high = np.broadcast_arrays(np.asarray(low, np.uint32), np.asarray(high, np.uint32))
        with np.errstate(invalid="ignore"):
            return closed(kind, np.stack([low.view(np.float32), high.view(np.float32)]).astype(np.float64))

    return pack


OPERATIONS: dict[str, Callable[..., Any]] = {
    "shl": lambda a, n: np.asarray(a << n, np.uint32),
    "shr": lambda a, n: np.asarray(a >> n, np.uint32),
    "rotr": rotr,
    "add": lambda a, b: np.asarray(a + b, np.uint32),
    "lop3": lop3,
    "prmt": prmt,
    **{f"fma.{kind}": fma(kind) for kind in HALVES},
    **{f"mul.{kind}": mul(kind) for kind in HALVES},
    **{f"add.{kind}": add(kind) for kind in HALVES},
    **{f"min.{kind}": least(kind) for kind in HALVES},
    **{f"max.{kind}": most(kind) for kind in HALVES},
    **{f"above.{kind}": above(kind) for kind in HALVES},
    "low.f16x2": widened(0),
    "high.f16x2": widened(1),
    **{f"join.{kind}": joined(kind) for kind in HALVES},
    **{
        f"{name}.{kind}": converted(kind, half)
        for kind in ("e4m3", "e5m2")
        for half, name in enumerate(("low", "high"))
    },
}
