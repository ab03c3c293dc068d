"""Products of 8-bit floats: by matrix instructions for these where their sums are good enough, else as products of f16.

    dot %a, %b, %c      -->     dot_fp8 %a, %d, %c            a: f8e4m3, d: codes of b as f8e4m3 or f8e5m2
                        -->     dot (cast %a : f16), %b, %c   without instructions for 8-bit floats

What is good enough: in every kernel sums that keep the bound of `dot`; in `fast` ones also sums of 13 bits behind the
point, of `RUN` products each, which are then added in f32. Else, or where only warpgroups have such instructions, pairs
of factors are converted to f16 in registers, by one instruction, right before they are multiplied. A factor that is a
function of codes is multiplied as it moves to the fields of an 8-bit float, where it does; what power of two that is
off by, the sums are multiplied by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmc.ir.core import Module, Note, Op, Table, Value
from vmc.ir.decode import NoDecoderError, decoder
from vmc.ir.passes.gpu.decoding import PACKED
from vmc.ir.passes.gpu.machines import Fp8
from vmc.ir.passes.integers.functions import Function
from vmc.ir.passes.integers.selection import ProductSelector
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel
from vmc.ir.types import DType, dtype

F16, F32 = map(dtype, ("f16", "f32"))
KINDS = ("f8e4m3", "f8e5m2")
"""The types that are multiplied."""
RUN = 128
"""Products that are added with few bits (as in CUTLASS, and as DeepSeek-V3 measured to be enough)."""
LARGEST_SHIFT = 64
"""2**-64 and 2**64 times products of such floats are normal numbers of f32."""


def products(fp8: Fp8 | None) -> Pass:
    """The pass for an architecture with such instructions, or without."""

    def select_fp8(module: Module) -> Module:
        """Needs: a well-formed module, products of integers selected. Guarantees: a `dot` into f32 whose left factor is
        a float of at most 8 bits is a `dot_fp8`, if the architecture has instructions for f8e4m3 and f8e5m2, the left
        factor is one of them, and the right one, up to a power of two, a function of codes that a decoder makes as one;
        else a `dot` of f16, if that has the values of both. Each has a note. Idempotent. Keeps: everything else, exact
        factors, and the bound of `dot`, or in `fast` kernels that of `dot_fp8`.
        """
        return each_kernel(module, lambda kernel: _Selector(kernel.fast, fp8).in_kernel(kernel))

    return Pass("fp8", select_fp8)


@dataclass(frozen=True)
class Factor:
    """The right factor times 2**`shift` as 8-bit floats: `table`, by the code of `function.source`."""

    function: Function
    type: DType
    table: Table
    shift: int
    operations: float


@dataclass(frozen=True)
class Way:
    """By instructions for 8-bit floats or by those for f16; how many products are added with few bits, 0 for none."""

    native: bool
    run: int


class _Selector(ProductSelector):
    """Rewrites products of narrow floats."""

    def __init__(self, fast: bool, fp8: Fp8 | None) -> None:
        super().__init__()
        self.fast, self.fp8 = fast, fp8

    def concerns(self, op: Op) -> bool:
        left = op.operands[0].tile.dtype if super().concerns(op) else None
        return left is not None and left.is_float and left.width <= 8

    def select(self, op: Op) -> Sequence[Value] | None:
        return self.of_bytes(op) or self.of_halves(op)

    def of_bytes(self, op: Op) -> Sequence[Value] | None:
        """By instructions for 8-bit floats."""
        a, b, start = op.operands
        function = self.facts.function(b)
        if self.fp8 is None or a.tile.dtype.name not in KINDS or function is None or function.moves:
            return None
        factor = right_factor(function, b.tile.dtype)
        if factor is None:
            return None
        way = self.way(a.tile.dtype, factor.type)
        right = self.emit("decode", function.source, values=factor.table, conversions=False)
        self.notes.append(Note("fp8", told(op, factor, way, self.fp8), op.span))
        if not factor.shift:
            return (self.emit("dot_fp8", a, right, start, native=way.native, run=way.run),)
        zero = self.emission.constant(F32, 0.0, start.tile.shape)
        total = self.emit("dot_fp8", a, right, zero, native=way.native, run=way.run)
        scale = self.emission.constant(F32, 2.0**factor.shift, start.tile.shape)
        return (self.emit("fma", total, scale, start),)

    def way(self, a: DType, b: DType) -> Way:
        """How a product is computed."""
        assert self.fp8 is not None
        if self.fp8.fraction is None:
            return Way(False, 0)
        if keeps_bound(a, b, self.fp8):
            return Way(True, 0)
        return Way(True, RUN) if self.fast else Way(False, 0)

    def of_halves(self, op: Op) -> Sequence[Value] | None:
        """As a product of f16, which has the values of both."""
        a, b, start = op.operands
        if not all(has_all(F16, value.tile.dtype) for value in (a, b)):
            return None
        self.notes.append(Note("fp8", f"{a.tile} @ {b.tile} as f16 @ f16 -> f32", op.span))
        return (self.emit("dot", self.emission.cast(a, F16), self.emission.cast(b, F16), start),)


def right_factor(function: Function, type: DType) -> Factor | None:
    """The factor in the type that takes the fewest operations; None where no decoder makes either."""
    values = np.asarray(type.to_values(function.table), np.float64)
    found = [factor for name in KINDS if (factor := factor_in(function, values, dtype(name))) is not None]
    return min(found, key=lambda factor: factor.operations, default=None)


def factor_in(function: Function, values: np.ndarray[Any, Any], type: DType) -> Factor | None:
    source = function.source.tile.dtype
    try:
        made = decoder(source, PACKED[type.name], values.tolist(), signed_zeros=False, any_scale=True)
    except NoDecoderError:
        return None
    scaled = values * 2.0**-made.exponent
    codes = type.encode(scaled)
    if abs(made.exponent) > LARGEST_SHIFT or not np.array_equal(type.decode(codes), scaled, equal_nan=True):
        return None
    return Factor(function, type, Table.of(type, codes), made.exponent, made.operations_per_code)


def keeps_bound(a: DType, b: DType, fp8: Fp8) -> bool:
    """Whether sums of `fp8.steps` products keep the bound of `dot`, (steps + 2) u S.

    Each product is off by less than the last bit, 2**-fraction times the largest power of two in a product, and the
    result by u S: with 25 bits that is (steps / 2 + 2) u S, as long as that power of two is at most S. It may be more
    where a factor is below the normal range, since instructions take its exponent for that of the least normal number;
    but then nothing is cut off, if all products are multiples of the last bit.
    """
    assert fp8.fraction is not None
    if fp8.fraction < F32.mantissa_bits + 2:
        return False
    least = sum(1 - type.bias - type.mantissa_bits for type in (a, b))
    largest = max(1 - x.bias + int(np.log2(float(y.max))) for x, y in ((a, b), (b, a)))
    return largest - fp8.fraction <= least


def has_all(wide: DType, type: DType) -> bool:
    """Whether a type has all numbers of another."""
    if type.width > 8:
        return type == wide
    values = type.decode(type.codes())
    with np.errstate(over="ignore"):
        return bool(np.array_equal(wide.decode(wide.encode(values)), values, equal_nan=True))


def told(op: Op, factor: Factor, way: Way, fp8: Fp8) -> str:
    a, b = (operand.tile for operand in op.operands[:2])
    shift = f", sums times 2^{factor.shift}" if factor.shift else ""
    head = f"{a} @ {b} as {a.dtype.name} @ {factor.type.name} -> f32{shift}"
    if way.run:
        return (
            f"{head}; sums of {way.run} products keep {fp8.fraction} bits behind the point (`fast`), and are added "
            f"in f32: off by at most {way.run + way.run // 16} * 2^-{fp8.fraction} of a run's |a| @ |b|, or of its "
            "largest product"
        )
    if way.native:
        return f"{head}; sums keep {fp8.fraction} bits behind the point, within the bound of dot"
    why = (
        "there is no such instruction for warps"
        if fp8.fraction is None
        else f"sums of {fp8.fraction} bits behind the point would exceed the bound of dot"
    )
    return f"{head}, converted to f16 in registers: {why}"
