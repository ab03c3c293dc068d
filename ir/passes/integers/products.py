"""Bit-width selection of matrix products: floats that provably are small integers are multiplied as bytes.

    f32(q) @ (f32(w) - 8)    becomes    f32(q @ w - 8 * rowsum(q)),  i8 @ u8 -> i32        q: i8, w: u4

The proof is an interval of exact numbers for each factor. The sum of the products of the integers is exact, so the
float is rounded at most once, which `dot` always allows; where every partial sum fits the float's significand, the
float product was exact, too, and no bit changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vmc.ir.core import Module, Note, Op, Value
from vmc.ir.passes.integers import digits
from vmc.ir.passes.integers.emission import F32, I8, I32, U8
from vmc.ir.passes.integers.exact import Exact
from vmc.ir.passes.integers.factors import Unsigned, unsigned
from vmc.ir.passes.integers.selection import ProductSelector
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel
from vmc.ir.types import DType

LARGEST_SUM = (1 << 31) - 1
FEW_ROWS = 8
SIXFOLD_ROWS = 2
"""Up to so many rows, six products of bytes take less than to make floats of weights."""
LARGEST_SCALE = 96
"""2**-96 and 2**96 times any sum are normal numbers of f32."""


def select_integers(module: Module) -> Module:
    """Needs: a well-formed module; merged casts help. Guarantees: a `dot` whose left factor provably is, up to a power
    of two, an integer of i8, and whose right factor is one of an interval of at most 16 bits, takes an i8 and a u8 (two
    such dots for more than 8 bits) and sums in i32, unless the sums of a float product might overflow there; the least
    number of the right factor, and a number of each column, are folded into what the sums start from. In `fast` kernels
    a float `dot` with any left factor, and at most 8 bits on the right, or 16 and one or two rows on the left, is three
    (six) such dots, with |error| <= 2^-21 max|a| sum|b| for each row of a and column of b (see `digits`). Each product
    has a note with the proof. Idempotent. Keeps: everything else; in other kernels the bits of every result where the
    sums fit the significand, but for the sign of a zero, and else the bound of `dot`; the casts, for `dce` to remove.
    """
    return each_kernel(module, lambda kernel: _Selector(kernel.fast, sixfold_rows=SIXFOLD_ROWS).in_kernel(kernel))


def select_few_digits(module: Module) -> Module:
    """As `integers`, for processors without an instruction that sums products of bytes in 32 bits: left factors of more
    than `FEW_ROWS` rows become no digits, and float products of theirs with right ones of two bytes stay. With so many
    rows, each weight is converted once for many multiply-adds.
    """
    return each_kernel(module, lambda kernel: _Selector(kernel.fast, has_few_rows).in_kernel(kernel))


def exact_integers_unless(keeps: Callable[[Op], bool]) -> Pass:
    """The pass `integers` without the licence of `fast`, for targets that multiply floats faster than digits of them.
    It leaves float products that take two bytes on the right as they are where `keeps` says so.
    """

    def select_bytes(module: Module) -> Module:
        """As `integers`, without the licence of `fast`; some products of two bytes on the right stay floats."""
        return each_kernel(module, lambda kernel: _Selector(False, lambda op: not keeps(op)).in_kernel(kernel))

    return Pass("integers", select_bytes)


@dataclass(frozen=True)
class Proof:
    """The factors of a product along an inner extent, and what follows for its sums."""

    extent: int
    left: Exact
    right: Unsigned

    @property
    def largest_sum(self) -> int:
        """No partial sum of the bytes' products, the correction included, is larger in magnitude."""
        return self.extent * self.left.most * (self.right.span + max(map(abs, self.right.lows)))

    @property
    def largest_product(self) -> int:
        """No partial sum of the float product is larger in magnitude, in units of 2**-shift."""
        return self.extent * self.left.most * self.right.exact.most

    @property
    def shift(self) -> int:
        """The sums are multiples of 2**-shift."""
        return self.left.shift + self.right.shift

    @property
    def holds(self) -> bool:
        """Whether i32 has all sums, and f32 what the factors and the sums are scaled by."""
        scales = (self.left.shift, self.right.shift, self.shift)
        return self.largest_sum <= LARGEST_SUM and all(abs(scale) <= LARGEST_SCALE for scale in scales)


class _Selector(ProductSelector):
    """`digits`: any float rows may become digits, of factors of at most `sixfold_rows` rows also where those on the
    right take two bytes. `several`: which products of floats may become several of bytes.
    """

    def __init__(self, digits: bool, several: Callable[[Op], bool] = lambda op: True, sixfold_rows: int = 0) -> None:
        super().__init__()
        self.digits = digits
        self.several = several
        self.sixfold_rows = sixfold_rows

    def select(self, op: Op) -> Sequence[Value] | None:
        a, b, _ = op.operands
        if (a.tile.dtype, b.tile.dtype) == (I8, U8):
            return None
        right = unsigned(b, self.facts, reduced=op.result.tile.dtype.is_float)
        if right is None:
            return None
        left = self.facts.exact(a)
        if left is not None and left.low >= -128 and left.high <= 127:
            return self.exact_product(op, Proof(a.tile.shape[1], left, right))
        return self.product_of_digits(op, right)

    # The integers themselves

    def exact_product(self, op: Op, proof: Proof) -> Sequence[Value] | None:
        type = op.result.tile.dtype
        if type != I32 and not (proof.holds and (proof.right.bytes == 1 or not type.is_float or self.several(op))):
            return None
        left = self.emission.signed_bytes(op.operands[0], proof.left.shift)
        right, low = self.emission.unsigned_bytes(proof.right), self.emission.low(proof.right)
        start = op.operands[2]
        self.notes.append(Note("integers", exact_text(op, proof), op.span))
        if type == I32:
            return (
                self.emission.product(left, right, low, None if self.is_zero(start) else start, proof.right.weight),
            )
        sums = self.emission.cast(self.emission.product(left, right, low, weight=proof.right.weight), type)
        return (self.sum(start, self.emission.scaled(sums, -proof.shift)),)

    def sum(self, start: Value, product: Value) -> Value:
        return product if self.is_zero(start) else self.emit("add", start, product)

    def is_zero(self, value: Value) -> bool:
        """Whether a value is the constant 0, of floats +0."""
        producer = self.producer(value)
        return producer is not None and producer.name == "constant" and producer.attrs["code"] == 0

    # The licence of `fast`

    def product_of_digits(self, op: Op, right: Unsigned) -> Sequence[Value] | None:
        a, _, start = op.operands
        proof = Proof(a.tile.shape[1], Exact(0, -digits.LARGEST_DIGIT, digits.LARGEST_DIGIT - 1), right)
        allowed = self.digits and self.several(op) and op.result.tile.dtype == F32
        few = a.tile.shape[0] <= self.sixfold_rows
        if not allowed or (right.bytes > 1 and not few) or not proof.holds:
            return None
        planes = self.emission.unsigned_bytes(right)
        self.notes.append(Note("integers", digits_text(op, proof), op.span))
        low = self.emission.low(right)
        return (self.sum(start, digits.product(self.emission, a, planes, low, right.weight, right.shift)),)


def has_few_rows(op: Op) -> bool:
    return op.operands[0].tile.shape[0] <= FEW_ROWS


def exact_text(op: Op, proof: Proof) -> str:
    """The note on a product whose factors are integers: their ranges and forms, and why the sums are right."""
    return f"{heading(op)}: left {proof.left}, {right_text(proof.right)}; {sums_text(op.result.tile.dtype, proof)}"


def digits_text(op: Op, proof: Proof) -> str:
    """The note on a product of digits, with what it may be off by."""
    times = "three" if proof.right.bytes == 1 else "six"
    return (
        f"{heading(op)}, {times} times: each row on the left as three digits (`fast`), {right_text(proof.right)}; "
        f"sums <= {proof.largest_sum} < 2^31; off by at most 2^-21 of the row's largest |a| times the column's sum |b|"
    )


def heading(op: Op) -> str:
    a, b = (operand.tile for operand in op.operands[:2])
    return f"{a} @ {b} as i8 @ u8 -> i32"


def right_text(right: Unsigned) -> str:
    count = "" if right.bytes == 1 else ", in two bytes"
    return f"right {right.exact} from {right}{count}"


def sums_text(type: DType, proof: Proof) -> str:
    """Why the exact sum in i32 may stand for the sum in the type of the result."""
    if type == I32:
        return "the same sums modulo 2^32"
    sums = f"sums <= {proof.largest_sum} < 2^31"
    if type.is_int:
        return sums
    bits = type.mantissa_bits + 1
    if proof.largest_product <= 1 << bits:
        return f"{sums}; float sums <= {proof.largest_product} <= 2^{bits}, exact in any order"
    return f"{sums}; rounded to {type.name} once, within the bound of dot"


integers = Pass("integers", select_integers)
few_digits = Pass("integers", select_few_digits)
