"""The table of numeric types: which exist, what they are called, and what a misspelt name may have meant.

A type of a regular family is one line of a loop; a standard one with its own conventions is one record in `_STANDARD`.
To add a type, add its record there: decoding, encoding, packing and the exhaustive tests follow.
"""

from __future__ import annotations

import difflib
import re

from vmc.ir.types.record import DType, Kind


class UnknownTypeError(ValueError):
    """No numeric type has this name; `suggestion` is the nearest one that exists, or None."""

    def __init__(self, name: str, suggestion: str | None) -> None:
        hint = f"; did you mean '{suggestion}'?" if suggestion else ""
        super().__init__(f"unknown type '{name}'{hint}")
        self.name = name
        self.suggestion = suggestion


def _integer(kind: Kind, width: int) -> DType:
    return DType(f"{'u' if kind is Kind.UINT else 'i'}{width}", kind, width, has_sign=kind is Kind.INT)


def _finite(exponent: int, mantissa: int) -> DType:
    """The plain rule of a small float: every code a number, bias 2**(X-1) - 1."""
    width = 1 + exponent + mantissa
    bias = (1 << (exponent - 1)) - 1
    return DType(f"f{width}e{exponent}m{mantissa}", Kind.FLOAT, width, exponent, mantissa, bias, has_sign=True)


def _ieee(name: str, width: int, exponent: int, mantissa: int) -> DType:
    """IEEE 754-2019, 3.4: the top exponent holds infinity and NaN."""
    bias = (1 << (exponent - 1)) - 1
    inf = ((1 << exponent) - 1) << mantissa
    return DType(name, Kind.FLOAT, width, exponent, mantissa, bias, True, inf_code=inf, nan_start=inf + 1)


# OCP 8-bit Floating Point 1.0 (f8e4m3, f8e5m2), OCP Microscaling 1.0 (f8e8m0). f4e2m1, f6e2m3 and f6e3m2 of the latter
# follow the plain rule.
_STANDARD = (
    DType("f8e4m3", Kind.FLOAT, 8, 4, 3, bias=7, has_sign=True, nan_start=0x7F),
    _ieee("f8e5m2", 8, 5, 2),
    DType("f8e8m0", Kind.FLOAT, 8, 8, 0, bias=127, nan_start=0xFF, has_zero=False),
    DType("f8e5m3u", Kind.FLOAT, 8, 5, 3, bias=15, nan_start=0xFF),
)
_SMALL_INTEGERS = (
    *(_integer(Kind.UINT, width) for width in range(1, 9)),
    *(_integer(Kind.INT, width) for width in range(2, 9)),
)
_SMALL_FLOATS = tuple(_finite(exponent, bits - exponent) for bits in range(2, 8) for exponent in range(1, bits + 1))
_WIDE = (
    *(_integer(Kind.UINT, width) for width in (16, 32, 64)),
    *(_integer(Kind.INT, width) for width in (16, 32, 64)),
    _ieee("f16", 16, 5, 10),
    _ieee("bf16", 16, 8, 7),
    _ieee("tf32", 32, 8, 10),
    _ieee("f32", 32, 8, 23),
    _ieee("f64", 64, 11, 52),
)
# A standard name takes the place of the plain rule's type of that name.
_BY_NAME = {entry.name: entry for entry in (*_SMALL_INTEGERS, *_SMALL_FLOATS, *_STANDARD, *_WIDE)}

ALL_DTYPES: tuple[DType, ...] = tuple(_BY_NAME.values())
ALL_SMALL: tuple[DType, ...] = tuple(entry for entry in ALL_DTYPES if entry.width <= 8)


def dtype(name: str | DType) -> DType:
    """The type called `name`; a `DType` is returned as it is.

    Raises UnknownTypeError for a name that is not in the table, TypeError for anything but a string.
    """
    if isinstance(name, DType):
        return name
    if not isinstance(name, str):
        raise TypeError(f"a type is named by a string, not {type(name).__name__}")
    found = _BY_NAME.get(name)
    if found is None:
        raise UnknownTypeError(name, _suggest(name))
    return found


_FOREIGN = (  # spellings of NumPy, ml_dtypes, C and the papers, brought to ours
    (r"[ _.\-]", ""),
    (r"_?t$", ""),
    (r"^(bfloat|brain)(?=\d)", "bf"),
    (r"^(float|fp)(?=\d)", "f"),
    (r"^uint(?=\d)", "u"),
    (r"^s?int(?=\d)", "i"),
    (r"(fnuz|fnu|fn)$", ""),
)
_WORDS = {"half": "f16", "float": "f32", "single": "f32", "double": "f64", "byte": "u8", "int": "i32"}
_WORDS |= {"bool": "u1", "i1": "u1"}  # one bit has no room for a sign


def _suggest(name: str) -> str | None:
    spelling = name.strip().lower()
    if spelling in _WORDS:
        return _WORDS[spelling]
    for pattern, ours in _FOREIGN:
        spelling = re.sub(pattern, ours, spelling)
    for candidate in (spelling, *_by_fields(spelling)):
        if candidate in _BY_NAME:
            return candidate
    return next(iter(difflib.get_close_matches(spelling, _BY_NAME, n=1, cutoff=0.5)), None)


def _by_fields(spelling: str) -> list[str]:
    """What `e4m3` and `f8e4m2` may have meant: the fields are kept, the width is made to fit."""
    fields = re.fullmatch(r"(?:f\d+)?e(\d+)m(\d+)", spelling)
    if fields is None:
        return []
    exponent, mantissa = int(fields[1]), int(fields[2])
    return [f"f{1 + exponent + mantissa}e{exponent}m{mantissa}", f"f{exponent + mantissa}e{exponent}m{mantissa}"]
