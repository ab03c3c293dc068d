"""The ways to make numbers of codes: see `vmc.ir.decode.decoder`. Each proposes; whether it is right is found later.

A strategy is a function from what is wanted to proposals, the cheapest first; it yields none where it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vmc.ir.decode.arrangement import Arrangement, Field, Placement, arrange
from vmc.ir.decode.raw import AND_XOR, Raw
from vmc.ir.decode.words import FLOATS, HALVES, Builder, Doubles, Imm, truth_table
from vmc.ir.types import DType

AND_OR = truth_table(lambda a, b, c: a & b | c)
XOR = truth_table(lambda a, b, c: a ^ b)
MANTISSA = {"f16x2": 10, "bf16x2": 7}
FIELDS = {"f16x2": (16, 10), "bf16x2": (16, 7), "e4m3x4": (8, 3), "e5m2x4": (8, 2)}
"""The bits of a number, and those of its mantissa, by what holds it with a sign, an exponent and a mantissa."""
UNIT = {"f16x2": 0x6400, "bf16x2": 0x4300}
"""1024 and 128: the powers of two whose last mantissa bit counts 1."""
ROUNDER, LARGEST_FACTOR = 1536.0, 2.0**15
"""1536, in f16, plus a small whole number has that number as its low byte. So have these divided by a power of two."""
NEGATIVE_ZERO = 0x80008000


@dataclass(frozen=True)
class Proposal:
    """An arrangement, the fields that make a number, and the operations after their bits are in place.

    `finish` makes a register, or several, of a group of fields.
    """

    strategy: str
    arrangement: Arrangement
    parts: tuple[tuple[int, ...], ...]
    flips: int
    finish: Callable[[Raw, Sequence[Field]], int | tuple[int, ...]]
    group: int = 1
    exponent: int = 0


@dataclass(frozen=True)
class Wanted:
    """`values[code]` for all codes of a type of `width` bits, as registers of `kind`."""

    dtype: DType
    kind: str
    values: tuple[float, ...]
    signed_zeros: bool
    any_scale: bool
    conversions: bool = False

    @property
    def width(self) -> int:
        return self.dtype.width

    @property
    def table(self) -> Doubles:
        return np.array(self.values, np.float64)

    @property
    def line(self) -> tuple[float, float, int] | None:
        """(a, b, flip) with values[code] == a * (code ^ flip) + b, if there are such and a is not 0."""
        for flip in (0, 1 << (self.width - 1)):
            codes = np.arange(1 << self.width) ^ flip
            start, step = (float(self.table[np.argmin(np.abs(codes - n))]) for n in (0, 1))
            if (
                start != step
                and np.isfinite(self.table).all()
                and np.array_equal(self.table, (step - start) * codes + start)
            ):
                return step - start, start, flip
        return None


def packed(kind: str, value: float) -> Imm:
    """A number, twice. The nearest of the kind: whether that is right, the check of all codes tells."""
    code = int(HALVES[kind].encode(np.array([value]))[0])
    return Imm(code << 16 | code)


def is_number(kind: str, value: float) -> bool:
    """Whether the kind has the number."""
    half = HALVES[kind]
    return float(half.decode(half.encode(np.array([value])))[0]) == value


def scaled(build: Builder, kind: str, x: int, factor: float) -> int:
    """x * factor. Products of bf16 are sums with -0: mul.bf16x2 needs sm_90."""
    if factor == 1.0:
        return x
    if kind == "bf16x2":
        return build("fma.bf16x2", x, packed(kind, factor), Imm(NEGATIVE_ZERO))
    return build("mul.f16x2", x, packed(kind, factor))


def summed(build: Builder, kind: str, x: int, factor: float, term: int | Imm) -> int:
    """x * factor + term."""
    if factor == 1.0 and kind == "f16x2":
        return build("add.f16x2", x, term)
    return build(f"fma.{kind}", x, packed(kind, factor), term)


def linear(wanted: Wanted) -> Iterator[Proposal]:
    if wanted.kind not in MANTISSA or wanted.line is None:
        return
    kind, width = wanted.kind, wanted.width
    a, b, flip = wanted.line
    unit = float(HALVES[kind].decode(np.array([UNIT[kind]]))[0])

    def finish(raw: Raw, fields: Sequence[Field]) -> int:
        low = fields[0].placement[0]
        x = raw.field(fields[0], UNIT[kind] | flip << low)
        step = a * 2.0**-low
        return summed(raw.build, kind, x, step, packed(kind, b - unit * step))

    def finish_twice(raw: Raw, fields: Sequence[Field]) -> int:
        low = fields[0].placement[0]
        x = raw.field(fields[0], UNIT[kind] | flip << low)
        step = a * 2.0**-low
        return summed(
            raw.build, kind, summed(raw.build, kind, x, step, packed(kind, -unit * step)), 1.0, packed(kind, b)
        )

    places = tuple(tuple(range(low, low + width)) for low in range(MANTISSA[kind] - width + 1))
    exact = tuple(place for place in places if is_number(kind, b - unit * a * 2.0 ** -place[0]))
    for chosen, last in ((exact, finish), (places, finish_twice)):
        if chosen:
            yield Proposal("linear", arrange(width, 16, chosen), (tuple(range(width)),), flip, last)


def carried(wanted: Wanted) -> Iterator[Proposal]:
    """One bit more than the mantissa has: it turns one bit of the constant that is added, and so one into the other."""
    if wanted.kind not in MANTISSA or wanted.line is None or wanted.width != MANTISSA[wanted.kind] + 1:
        return
    kind, low = wanted.kind, wanted.width - 1
    a, b, flip = wanted.line
    unit = float(HALVES[kind].decode(np.array([UNIT[kind]]))[0])
    without, with_it = (packed(kind, b - a * unit + a * bit).value & 0xFFFF for bit in (0, 1 << low))
    turned_bit = without ^ with_it
    if turned_bit & (turned_bit - 1) or turned_bit < 1 << low:
        return
    constant = with_it if flip else without

    def finish(raw: Raw, fields: Sequence[Field]) -> int:
        x = raw.field(fields[0], UNIT[kind], without=turned_bit)
        term = raw.field(fields[0], constant, without=(1 << low) - 1)
        return summed(raw.build, kind, x, a, term)

    placement = (*range(low), turned_bit.bit_length() - 1)
    yield Proposal("carried", arrange(wanted.width, 16, (placement,)), (tuple(range(low + 1)),), flip, finish)


def split(wanted: Wanted) -> Iterator[Proposal]:
    if wanted.kind not in MANTISSA or wanted.line is None or wanted.width % 2:
        return
    kind, half = wanted.kind, wanted.width // 2
    a, b, flip = wanted.line
    unit = float(HALVES[kind].decode(np.array([UNIT[kind]]))[0])

    def finish(raw: Raw, fields: Sequence[Field]) -> int:
        low, high = fields
        small = raw.field(low, UNIT[kind])
        large = raw.field(high, UNIT[kind] | (flip >> half) << high.placement[0])
        step, leap = a * 2.0 ** -low.placement[0], a * 2.0 ** (half - high.placement[0])
        upper = summed(raw.build, kind, large, leap, packed(kind, b - unit * step - unit * leap))
        return summed(raw.build, kind, small, step, upper)

    places = tuple(tuple(range(low, low + half)) for low in range(MANTISSA[kind] - half + 1))
    parts = (tuple(range(half)), tuple(range(half, 2 * half)))
    yield Proposal("split", arrange(half, 16, places), parts, flip, finish)


def float_placement(dtype: DType, kind: str) -> Placement | None:
    """Where a wider float has the bits of a small float's code; None if it has no room for them."""
    bits, base = FIELDS[kind]
    top = bits - 1
    if not dtype.is_float or dtype.exponent_bits > top - base or dtype.mantissa_bits > base or dtype.unused_bits:
        return None
    magnitude = tuple(range(base - dtype.mantissa_bits, base + dtype.exponent_bits))
    return (*magnitude, top) if dtype.has_sign else magnitude


def moved(dtype: DType, kind: str) -> Doubles:
    """What a wider float reads in the codes of a small one, moved there: float64, for every code."""
    placement = float_placement(dtype, kind)
    assert placement is not None
    codes = np.arange(1 << dtype.width)
    bits = sum((codes >> bit & 1) << place for bit, place in enumerate(placement))
    type = FLOATS[kind]
    return np.asarray(type.decode(np.asarray(bits, type.code_dtype)), np.float64)


def floating(wanted: Wanted) -> Iterator[Proposal]:
    dtype, kind = wanted.dtype, wanted.kind
    placement = float_placement(dtype, kind) if kind in MANTISSA else None
    if placement is None:
        return
    read, values = moved(dtype, kind), wanted.table
    usable = np.isfinite(read) & np.isfinite(values) & (read != 0) & (values != 0)
    if not usable.any():
        return
    place = int(np.argmax(np.where(usable, np.abs(read), 0)))
    factor = float(values[place] / read[place])
    numbers = ~np.isnan(values)
    largest = float(np.abs(read[numbers & np.isfinite(read)]).max())
    arrangement = arrange(dtype.width, 16, (placement,))

    def multiplied(raw: Raw, fields: Sequence[Field]) -> int:
        return scaled(raw.build, kind, raw.field(fields[0]), factor)

    def guarded(raw: Raw, fields: Sequence[Field]) -> int:
        """NaN is added where the magnitude is beyond all numbers."""
        x = raw.field(fields[0])
        return summed(raw.build, kind, x, factor, raw.build(f"above.{kind}", x, packed(kind, largest)))

    def marked(raw: Raw, fields: Sequence[Field]) -> int:
        """The same with the sign of zeros kept."""
        x = raw.field(fields[0])
        beyond = raw.build(f"above.{kind}", x, packed(kind, largest))
        return raw.build("lop3", scaled(raw.build, kind, x, factor), Imm(0xFFFFFFFF), beyond, AND_OR)

    def unbounded(raw: Raw, fields: Sequence[Field]) -> int:
        """Infinity, times 0, is NaN."""
        x = scaled(raw.build, kind, raw.field(fields[0]), factor)
        return raw.build(f"fma.{kind}", x, packed(kind, 0.0), x)

    def least(raw: Raw, fields: Sequence[Field]) -> int:
        """The same without a zero: what reads as one is the least value."""
        smallest = float(np.abs(values[numbers]).min())
        x = scaled(raw.build, kind, raw.field(fields[0]), factor)
        x = raw.build(f"max.{kind}", x, packed(kind, smallest))
        return raw.build(f"fma.{kind}", x, packed(kind, 0.0), x)

    def limited(raw: Raw, fields: Sequence[Field]) -> int:
        """Patterns beyond infinity become infinity: the lesser of a number and a NaN is the number."""
        (field,) = fields
        sign = 1 << 15 if dtype.has_sign else 0
        x = raw.build(f"min.{kind}", raw.field(field, without=sign), packed(kind, np.inf))
        if not sign:
            return x
        piece = next(piece for piece in field.pieces if piece.targets & sign)
        return raw.build("lop3", raw.version(piece.word, piece.rotation), Imm(NEGATIVE_ZERO), x, AND_OR)

    exponent = float(np.log2(abs(factor)))
    if wanted.any_scale and factor > 0 and exponent == int(exponent) and factor != 1.0:
        yield Proposal(
            "floating, scaled",
            arrangement,
            (tuple(range(dtype.width)),),
            0,
            lambda raw, f: raw.field(f[0]),
            1,
            int(exponent),
        )
    for name, finish in (
        ("floating", multiplied),
        ("floating, NaN added", guarded),
        ("floating, NaN marked", marked),
        ("floating, infinity to NaN", unbounded),
        ("floating, infinity to NaN, no zero", least),
        ("floating, limited", limited),
    ):
        yield Proposal(name, arrangement, (tuple(range(dtype.width)),), 0, finish)


def placed(wanted: Wanted) -> Iterator[Proposal]:
    """Small floats as wider ones of 8 bits, times a power of two: fields that are moved, and nothing else."""
    dtype, kind = wanted.dtype, wanted.kind
    placement = float_placement(dtype, kind) if kind in FIELDS and kind not in MANTISSA else None
    if placement is None:
        return
    read, values = moved(dtype, kind), wanted.table
    usable = np.isfinite(read) & np.isfinite(values) & (read != 0) & (values != 0)
    factors = np.unique(values[usable] / read[usable])
    if len(factors) != 1 or factors[0] <= 0 or not np.log2(factors[0]).is_integer():
        return
    exponent = int(np.log2(factors[0]))
    if not exponent or wanted.any_scale:
        bits = tuple(range(dtype.width))
        arrangement = arrange(dtype.width, 8, (placement,))
        yield Proposal("placed", arrangement, (bits,), 0, lambda raw, f: raw.field(f[0]), 1, exponent)


def converted(wanted: Wanted) -> Iterator[Proposal]:
    """As 8-bit floats, and from there to f16 by instructions for conversions, which know NaN."""
    if wanted.kind != "f16x2" or not wanted.conversions:
        return
    for kind in ("e4m3x4", "e5m2x4"):
        for inner in placed(replace(wanted, kind=kind, any_scale=True)):

            def finish(raw: Raw, fields: Sequence[Field], inner: Proposal = inner, kind: str = kind) -> tuple[int, ...]:
                word, factor = raw.field(fields[0]), 1.0 if wanted.any_scale else 2.0**inner.exponent
                pairs = (raw.build(f"{half}.{kind.removesuffix('x4')}", word) for half in ("low", "high"))
                return tuple(scaled(raw.build, "f16x2", pair, factor) for pair in pairs)

            exponent = inner.exponent if wanted.any_scale else 0
            yield Proposal("converted", inner.arrangement, inner.parts, 0, finish, 1, exponent)


def widened(wanted: Wanted) -> Iterator[Proposal]:
    """By the other half type and f32: `exact` holds every value, and only the last step rounds."""
    other = {"f16x2": "bf16x2", "bf16x2": "f16x2"}.get(wanted.kind)
    if other is None:
        return
    exact = Wanted(wanted.dtype, other, wanted.values, wanted.signed_zeros, False)
    for inner in floating(exact):

        def finish(raw: Raw, fields: Sequence[Field], inner: Proposal = inner) -> int:
            x = inner.finish(raw, fields)
            assert isinstance(x, int)
            if other == "bf16x2":
                low = raw.build("shl", x, Imm(16))
                high = raw.build("lop3", x, Imm(0xFFFF0000), Imm(0), AND_XOR)
            else:
                low, high = raw.build("low.f16x2", x), raw.build("high.f16x2", x)
            return raw.build(f"join.{wanted.kind}", low, high)

        yield Proposal("widened", inner.arrangement, inner.parts, 0, finish)


def as_bytes(wanted: Wanted) -> Iterator[Proposal]:
    """(code ^ flip) + offset, modulo 256; no byte carries into the next, since the sum stays below 256."""
    if wanted.kind != "i8x4" or wanted.line is None or wanted.line[0] != 1.0:
        return
    _, start, flip = wanted.line
    top = (1 << wanted.width) - 1
    offset, sign = int(start) % 256, 0
    if offset + top > 255:
        offset, sign = (offset + 128) % 256, 0x80808080
    if offset + top > 255:
        return

    def finish(raw: Raw, fields: Sequence[Field]) -> int:
        x = raw.field(fields[0], flip)
        if offset:
            x = raw.build("add", x, Imm(0x01010101 * offset))
        return raw.build("lop3", x, Imm(sign), Imm(0), XOR) if sign else x

    width = wanted.width
    yield Proposal("bytes", arrange(width, 8, (tuple(range(width)),)), (tuple(range(width)),), flip, finish)


def rounded(wanted: Wanted) -> Iterator[Proposal]:
    """Whole numbers among small floats: in f16, added to 1536, they are the low byte."""
    if wanted.kind != "i8x4" or not wanted.dtype.is_float:
        return
    values = wanted.table
    if (values != np.round(values)).any() or (np.abs(values) > 255).any():
        return
    placement = float_placement(wanted.dtype, "f16x2")
    if placement is None:
        return
    read = moved(wanted.dtype, "f16x2")
    start = float(values[np.argmin(np.abs(read))])
    place = int(np.argmax(np.abs(np.where(np.isfinite(read), read, 0))))
    factor = float((values[place] - start) / read[place])
    if not factor:
        return
    less = min(1.0, 2.0 ** np.floor(np.log2(LARGEST_FACTOR / abs(factor))))
    rounder = packed("f16x2", (ROUNDER + start) * less)

    def finish(raw: Raw, fields: Sequence[Field]) -> int:
        low, high = (summed(raw.build, "f16x2", raw.field(field), factor * less, rounder) for field in fields)
        return raw.build("prmt", low, high, Imm(0x6420))

    width = wanted.width
    yield Proposal("rounded", arrange(width, 16, (placement,)), (tuple(range(width)),), 0, finish, group=2)


STRATEGIES = (linear, carried, split, floating, placed, converted, widened, as_bytes, rounded)
