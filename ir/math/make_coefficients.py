"""Writes `coefficients.py`: every polynomial and constant of the mathematics, computed here with mpmath.

    python -m vmc.ir.math.make_coefficients        # about two minutes; prints the error of every polynomial

A family is a function of one variable on an interval, a weight that makes the error relative to the result it goes
into, and the number of coefficients for f32 and for f64. Needs mpmath, which vmc itself does not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mpmath import mp, mpf  # type: ignore[import-untyped]

from vmc.ir.math.remez import Function, Problem, Real, minimax, round_to

DIGITS = {"f32": 24, "f64": 53}
HEAD = '''"""Polynomials and constants of the mathematics. Written by `make_coefficients`; change that, not this.

Coefficients are lowest first, by dtype; the number before each is the largest weighted error. Constants are split into
parts of the dtype's precision, each the rounding of what the ones before leave.
"""

# ruff: noqa: E501
'''


@dataclass(frozen=True)
class Family:
    """One polynomial, for both formats."""

    name: str
    about: str
    function: Function
    weight: Function
    low: Callable[[], Real]
    high: Callable[[], Real]
    counts: dict[str, int]
    doubled: int = 0
    """How many of the lowest coefficients are written in two parts, rounded and rest."""


def taylor_safe(function: Function) -> Function:
    """The function, evaluated beside 0 where its formula divides by 0 or cancels; mp.dps leaves room for that."""

    def guarded(t: Real) -> Real:
        return function(t if abs(t) > mpf("1e-25") else mpf("1e-25"))

    return guarded


def exp_rest(r: Real) -> Real:
    return (mp.expm1(r) - r) / r**2


def exp_tail(r: Real) -> Real:
    return (mp.expm1(r) - r - r**2 / 2) / r**3


def exp2_rest(r: Real) -> Real:
    return (mp.expm1(r * mp.ln(2)) - r * mp.ln(2)) / r**2


def log1p_rest(f: Real) -> Real:
    return (mp.log1p(f) - f + f**2 / 2) / f**3


def atanh_rest(z: Real) -> Real:
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / (s * z)


def sin_rest(z: Real) -> Real:
    r = mp.sqrt(z)
    return (mp.sin(r) - r) / (r * z)


def cos_rest(z: Real) -> Real:
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2


def asin_rest(z: Real) -> Real:
    s = mp.sqrt(z)
    return (mp.asin(s) - s) / (s * z)


def atan_rest(z: Real) -> Real:
    s = mp.sqrt(z)
    return (mp.atan(s) - s) / (s * z)


def erf_rest(z: Real) -> Real:
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def relative_to_cube(function: Function) -> Function:
    """The weight of g(z) in s + s**3 g(s**2), relative to function(s)."""
    return taylor_safe(lambda z: mp.sqrt(z) ** 3 / function(mp.sqrt(z)))


def half_log2() -> Real:
    return mp.ln(2) / 2 * mpf("1.0001")


def eighth_turn() -> Real:
    return (mp.pi / 4 * mpf("1.0001")) ** 2


FAMILIES = (
    Family(
        "EXP",
        "e**r = 1 + r + r**2 p(r), |r| <= ln(2)/2",
        exp_rest,
        lambda r: r**2 / mp.exp(r),
        lambda: -half_log2(),
        half_log2,
        {"f32": 5, "f64": 10},
    ),
    Family(
        "EXPM1",
        "e**r = 1 + r + r**2/2 + r**3 p(r), relative to e**r - 1",
        exp_tail,
        taylor_safe(lambda r: r**3 / mp.expm1(r)),
        lambda: -half_log2(),
        half_log2,
        {"f32": 5, "f64": 10},
    ),
    Family(
        "TANH",
        "tanh(x) = x + x**3 p(x**2), |x| <= 15/16",
        lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
        relative_to_cube(mp.tanh),
        lambda: mpf(0),
        lambda: mpf("0.88"),
        {"f32": 7},
    ),
    Family(
        "EXP2",
        "2**r = 1 + r ln(2) + r**2 p(r), |r| <= 1/2",
        exp2_rest,
        lambda r: r**2 / mpf(2) ** r,
        lambda: mpf("-0.50001"),
        lambda: mpf("0.50001"),
        {"f32": 5, "f64": 10},
    ),
    Family(
        "LOG1P",
        "log(1 + f) = f - f**2/2 + f**3 p(f), sqrt(1/2) <= 1 + f <= sqrt(2)",
        log1p_rest,
        lambda f: f**3 / mp.log1p(f),
        lambda: mp.sqrt(0.5) - mpf("1.0001"),
        lambda: mp.sqrt(2) - mpf("0.9999"),
        {"f32": 9},
    ),
    Family(
        "ATANH",
        "log((1 + s)/(1 - s)) = 2s + s**3 p(s**2), |s| <= 3 - 2 sqrt(2)",
        atanh_rest,
        lambda z: z,
        lambda: mpf(0),
        lambda: (3 - 2 * mp.sqrt(2)) ** 2 * mpf("1.001"),
        {"f32": 4, "f64": 7},
    ),
    Family(
        "ATANH_TAIL",
        "log((1 + s)/(1 - s)) = 2s + s**3 p(s**2), relative to 2**-13 of it; the first in two parts",
        atanh_rest,
        lambda z: z,
        lambda: mpf(0),
        lambda: (3 - 2 * mp.sqrt(2)) ** 2 * mpf("1.001"),
        {"f32": 6, "f64": 10},
        1,
    ),
    Family(
        "SIN",
        "sin(r) = r + r**3 p(r**2), |r| <= pi/4",
        sin_rest,
        relative_to_cube(mp.sin),
        lambda: mpf(0),
        eighth_turn,
        {"f32": 4, "f64": 7},
    ),
    Family(
        "COS",
        "cos(r) = 1 - r**2/2 + r**4 p(r**2), |r| <= pi/4",
        cos_rest,
        lambda z: z**2 / mp.cos(mp.sqrt(z)),
        lambda: mpf(0),
        eighth_turn,
        {"f32": 3, "f64": 6},
    ),
    Family(
        "ASIN",
        "asin(s) = s + s**3 p(s**2), |s| <= 1/2",
        asin_rest,
        relative_to_cube(mp.asin),
        lambda: mpf(0),
        lambda: mpf("0.2501"),
        {"f32": 5, "f64": 13},
    ),
    Family(
        "ATAN",
        "atan(s) = s + s**3 p(s**2), |s| <= tan(pi/8)",
        atan_rest,
        relative_to_cube(mp.atan),
        lambda: mpf(0),
        lambda: (mp.sqrt(2) - 1) ** 2 * mpf("1.001"),
        {"f32": 5, "f64": 11},
    ),
)


def lgamma_shape(t: Real) -> Real:
    return mp.loggamma(2 + t) / t


def stirling_rest(v: Real) -> Real:
    a = 1 / mp.sqrt(v)
    return a * (mp.loggamma(a) - (a - mpf(1) / 2) * mp.ln(a) + a - mp.ln(2 * mp.pi) / 2)


def erfc_family(kind: str, centre: int, limit: int, count: int) -> Family:
    """erfc on the whole half line by one polynomial, K chosen so that its coefficients decay fastest."""

    def shape(t: Real) -> Real:
        x = centre * (1 + t) / (1 - t)
        return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)

    about = f"(1 + 2x) exp(x**2) erfc(x) = p((x - K)/(x + K)), K = {centre}, 0 <= x <= {limit}"
    high = mpf(limit - centre) / (limit + centre)
    return Family(
        f"ERFC_{kind.upper()}", about, shape, lambda t: 1 / shape(t), lambda: mpf(-1), lambda: high, {kind: count}, 1
    )


ERROR_FAMILIES = (
    Family(
        "ERF",
        "erf(x) = x + x p(x**2), |x| <= 7/8",
        erf_rest,
        taylor_safe(lambda z: 1 / (1 + erf_rest(z))),
        lambda: mpf(0),
        lambda: mpf("0.766"),
        {"f32": 7},
    ),
    Family(
        "ERF_CORE",
        "the same, |x| <= 1/2",
        erf_rest,
        taylor_safe(lambda z: 1 / (1 + erf_rest(z))),
        lambda: mpf(0),
        lambda: mpf("0.2501"),
        {"f64": 9},
    ),
    Family(
        "LOG_ERFC",
        "-log(erfc(x)) = p(x), 7/8 <= x <= 4",
        lambda x: -mp.log(mp.erfc(x)),
        lambda x: mp.erfc(x) / mp.erf(x),
        lambda: mpf("0.84"),
        lambda: mpf(4),
        {"f32": 9},
    ),
    Family(
        "LGAMMA",
        "log(gamma(2 + t)) = t p(t), |t| <= 1/2; the first three in two parts",
        lgamma_shape,
        taylor_safe(lambda t: 1 / lgamma_shape(t)),
        lambda: mpf("-0.5"),
        lambda: mpf("0.5"),
        {"f64": 21},
        3,
    ),
    Family(
        "STIRLING",
        "log(gamma(a)) = (a - 1/2) log(a) - a + log(2 pi)/2 + p(1/a**2)/a, a >= 7.5",
        stirling_rest,
        lambda v: mpf(1),
        lambda: mpf(0),
        lambda: 1 / mpf("7.49") ** 2,
        {"f64": 8},
    ),
    erfc_family("f32", 3, 11, 12),
    erfc_family("f64", 4, 28, 24),
)

WORDS = {"f32": (13, 6), "f64": (34, 37)}
"""Leading zeros and number of the words of 2/pi; see `reduction`."""

CONSTANTS: dict[str, tuple[Callable[[], Real], int]] = {
    "LN2": (lambda: mp.ln(2), 3),
    "LOG2E": (lambda: 1 / mp.ln(2), 2),
    "LOG10E": (lambda: 1 / mp.ln(10), 2),
    "LOG10_2": (lambda: mp.log10(2), 2),
    "HALF_PI": (lambda: mp.pi / 2, 3),
    "TWO_OVER_PI": (lambda: 2 / mp.pi, 1),
    "PI": (lambda: mp.pi, 2),
    "INVERSE_PI": (lambda: 1 / mp.pi, 2),
    "HALF_LOG_2PI": (lambda: mp.ln(2 * mp.pi) / 2, 2),
    "QUARTER_PI": (lambda: mp.pi / 4, 2),
    "THREE_QUARTERS_PI": (lambda: 3 * mp.pi / 4, 2),
}


def split(value: Real, digits: int, parts: int) -> list[float]:
    """Parts of so many bits whose sum is the value, nearly."""
    result = []
    for _ in range(parts):
        part = round_to(value, digits)
        result.append(float(part))
        value -= part
    return result


def two_over_pi_words(leading: int, count: int) -> list[int]:
    """The bits of 2/pi after so many zeros: 64 bits from every 32nd one on."""
    with mp.workprec(32 * count + 128):
        digits = int(mp.floor(mp.ldexp(2 / mp.pi, 32 * (count + 1) - leading)))
    return [(digits >> (32 * (count - 1 - i))) & ((1 << 64) - 1) for i in range(count)]


def show(numbers: list[float]) -> str:
    return "(" + ", ".join(map(repr, numbers)) + ("," if len(numbers) == 1 else "") + ")"


def fit(family: Family, kind: str) -> str:
    """One entry of a family's table."""
    digits = [DIGITS[kind]] * family.counts[kind]
    for place in range(family.doubled):
        digits[place] *= 2
    problem = Problem(taylor_safe(family.function), family.weight, family.low(), family.high(), len(digits))
    rounded, error = minimax(problem, digits)
    parts = [split(c, DIGITS[kind], 1 + (place < family.doubled)) for place, c in enumerate(rounded)]
    coefficients = [part for both in parts for part in both]
    size = float(mp.log(error, 2))
    print(f"{family.name:12} {kind}  {len(coefficients):2} coefficients  error 2**{size:.1f}", flush=True)
    return f'    # 2**{size:.1f}\n    "{kind}": {show(coefficients)},\n'


def text() -> str:
    """The whole of `coefficients.py`."""
    parts = [HEAD]
    for family in FAMILIES + ERROR_FAMILIES:
        entries = "".join(fit(family, kind) for kind in family.counts)
        parts.append(f"\n# {family.about}\n{family.name} = {{\n{entries}}}\n")
    for name, (value, count) in CONSTANTS.items():
        entries = "".join(f'    "{kind}": {show(split(value(), digits, count))},\n' for kind, digits in DIGITS.items())
        parts.append(f"\n{name} = {{\n{entries}}}\n")
    words = {kind: ", ".join(map(hex, two_over_pi_words(*spans))) for kind, spans in WORDS.items()}
    entries = "".join(f'    "{kind}": ({listed}),\n' for kind, listed in words.items())
    parts.append("\n# The bits of 2/pi for `reduction`, after leading zeros: 64 from every 32nd one on.\n")
    parts.append(f"TWO_OVER_PI_WORDS = {{\n{entries}}}\n")
    return "".join(parts)


def main() -> None:
    mp.dps = 120
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("coefficients.py")
    target.write_text(text())


if __name__ == "__main__":
    main()
