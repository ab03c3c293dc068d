"""How codes of 1 to 8 bits become registers of packed numbers: the order of their bits in words, and the operations.

A decoder is derived from what is wanted, a table of the value of every code. Strategies propose a meaning of the bits

- *linear*: value = a * code + b, the sign bit perhaps flipped: the code becomes low mantissa bits of a large number;
- *carried*, *split*: the same for codes wider than the mantissa, their top bit, or half, apart;
- *floating*: fields of a float, moved to where the wider type has them, times a power of two; NaN where codes want it;
- *placed*: the same without the power of two, which is left to the product, for floats of 8 bits;
- *converted*: the same, then to f16 by an instruction for two, where the machine has such;
- *widened*: decoded to the other half type, then through f32, for exponents that the wanted one does not have;
- *bytes*: codes as bytes, with an offset; *rounded*: small floats that are whole numbers, as bytes;

`arrange` finds where the bits lie, and what comes out is executed on every code: a proposal that errs on any of them is
dropped, and of the right ones the one with the fewest operations is taken. None converts from integers.

    decoder(dtype("u4"), "f16x2").program       # for every two codes a lop3 and an fma
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vmc.ir.decode.arrangement import Arrangement, Field
from vmc.ir.decode.raw import Raw
from vmc.ir.decode.strategies import STRATEGIES, Proposal, Wanted
from vmc.ir.decode.words import FLOATS, Builder, Program, Words
from vmc.ir.types import DType

KINDS = {"f16x2": 2, "bf16x2": 2, "i8x4": 4, "e4m3x4": 4, "e5m2x4": 4}
"""What registers hold, and how many numbers; "i8x4" are whole numbers modulo 256."""


class NoDecoderError(ValueError):
    """The values cannot be made from the codes by any strategy."""


@dataclass(frozen=True)
class Decoder:
    """Codes of `width` bits in `words` words become `registers` registers of `kind`; exact times 2**-`exponent`.

    `order[c][b]` is where bit b of code c lies, in bits from the start of the words. Code c is number c % n of register
    c // n, n being the numbers in a register (the low bits first).
    """

    kind: str
    width: int
    words: int
    order: tuple[tuple[int, ...], ...]
    program: Program
    exponent: int
    strategy: str

    @property
    def codes(self) -> int:
        """The number of codes that the words hold."""
        return len(self.order)

    @property
    def registers(self) -> int:
        return len(self.program.results)

    @property
    def operations_per_code(self) -> float:
        """Operations for each number that comes out."""
        return len(self.program.operations) / self.codes

    def pack(self, codes: Words) -> list[Words]:
        """The words that hold codes [..., self.codes]: one array of the shape [...] for each word."""
        words = [np.zeros(codes.shape[:-1], np.uint32) for _ in range(self.words)]
        for number, places in enumerate(self.order):
            for bit, place in enumerate(places):
                words[place // 32] |= (codes[..., number] >> np.uint32(bit) & np.uint32(1)) << np.uint32(place % 32)
        return words


def decoder(
    dtype: DType,
    kind: str,
    values: Sequence[float] | None = None,
    *,
    signed_zeros: bool = True,
    any_scale: bool = False,
    conversions: bool = False,
) -> Decoder:
    """The decoder with the fewest operations for codes of a type of up to 8 bits.

    `kind` is "f16x2", "bf16x2", "e4m3x4", "e5m2x4" (rounded to nearest even) or "i8x4" (modulo 256). `values` are those
    of all codes, by default what the type decodes to. Without `signed_zeros` a zero may have any sign. With `any_scale`
    all numbers may come out divided by one power of two, 2**exponent of the result. `conversions`: the machine converts
    pairs of f8e4m3 and f8e5m2 to f16. Raises NoDecoderError.
    """
    wanted = [float(v) for v in (dtype.decode(dtype.codes()) if values is None else values)]
    if dtype.width > 8 or len(wanted) != 1 << dtype.width or kind not in KINDS:
        raise NoDecoderError(f"no decoder of {len(wanted)} values for {dtype.name} to {kind}")
    return _decoder(Wanted(dtype, kind, tuple(wanted), signed_zeros, any_scale, conversions))


@lru_cache(maxsize=256)
def _decoder(wanted: Wanted) -> Decoder:
    best: Decoder | None = None
    for strategy in STRATEGIES:
        for proposal in strategy(wanted):
            made = emitted(proposal, wanted)
            if best is not None and made.operations_per_code >= best.operations_per_code:
                continue
            if agrees(made, wanted):
                best = made
                break
    if best is None:
        raise NoDecoderError(f"no strategy decodes these values of {wanted.dtype.name} to {wanted.kind}")
    return best


def emitted(proposal: Proposal, wanted: Wanted) -> Decoder:
    """The decoder of a proposal."""
    arrangement = proposal.arrangement
    build = Builder(arrangement.words)
    raw = Raw(build, arrangement)
    parts, slots = len(proposal.parts), 32 // arrangement.slot
    fields, results, order = arrangement.fields, list[int](), list[tuple[int, ...]]()
    together = parts * proposal.group
    for first in range(0, len(fields), together):
        chosen = fields[first : first + together]
        made = proposal.finish(raw, chosen)
        results += [made] if isinstance(made, int) else made
        for one in range(proposal.group):
            own = chosen[one * parts : (one + 1) * parts]
            order += [code_places(arrangement, own, slot, wanted.width) for slot in range(slots)]
    return Decoder(
        wanted.kind,
        wanted.width,
        arrangement.words,
        tuple(order),
        build.program(results),
        proposal.exponent,
        proposal.strategy,
    )


def code_places(arrangement: Arrangement, parts: Sequence[Field], slot: int, width: int) -> tuple[int, ...]:
    """Where the bits of the code lie whose parts, the low bits first, are these fields in a slot."""
    places = tuple(arrangement.source(part, slot, bit) for part in parts for bit in range(len(part.placement)))
    assert len(places) == width
    return places


def agrees(made: Decoder, wanted: Wanted) -> bool:
    """Whether every code, in every place, comes out as wanted. Executes the program."""
    count = 1 << wanted.width
    codes = np.asarray(np.add.outer(np.arange(count), np.arange(made.codes)) % count, np.uint32)
    try:
        registers = made.program(made.pack(codes))
    except ArithmeticError:
        return False
    per = KINDS[wanted.kind]
    size = 32 // per
    found = np.stack(
        [word >> np.uint32(size * n) & np.uint32((1 << size) - 1) for word in registers for n in range(per)]
    )
    with np.errstate(over="ignore", invalid="ignore"):
        target = np.asarray(wanted.table * 2.0**-made.exponent, np.float64)
    if wanted.kind == "i8x4":
        return np.array_equal(found.T, np.asarray(target, np.int64)[codes] % 256)
    type = FLOATS[wanted.kind]
    exact = np.asarray(type.decode(type.encode(target)), np.float64)[codes]
    came = np.asarray(type.decode(found.T.astype(type.code_dtype)), np.float64)
    same = np.array_equal(came, exact, equal_nan=True)
    alike = (np.signbit(came) == np.signbit(exact)) | np.isnan(exact)
    return same and (not wanted.signed_zeros or bool(alike.all()))
