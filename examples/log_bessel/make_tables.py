"""Writes `tables.vmc`: the coefficients that the log-Bessel kernels are built from, computed exactly or by mpmath.

    python examples/log_bessel/make_tables.py

The polynomials of Debye's uniform expansions are those of Abramowitz and Stegun 9.3.9 with p**k taken out:
U_k(p) = p**k Q_k(p**2), where U_{k+1} = p**2 (1 - p**2) U_k' / 2 + integral of (1 - 5 t**2) U_k / 8 from 0 to p.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import mpmath as mp

ORDER = 13
"""The last term of the uniform expansions, as in the paper."""
STEP = Fraction(3, 20)
"""The step of the trapezoidal rule for K."""
POINTS = 37
"""Its points: from x = 1 on, what follows is below 2**-53 of the sum for all orders up to 13."""
TARGET = Path(__file__).with_name("tables.vmc")

Polynomial = list[Fraction]


def debye(order: int) -> list[Polynomial]:
    """Q_0 to Q_order, lowest coefficients first."""
    u: dict[int, Fraction] = {0: Fraction(1)}
    result = [[Fraction(1)]]
    for k in range(1, order + 1):
        following: dict[int, Fraction] = {}
        for power, c in u.items():
            low = c * power / 2 + c / (8 * (power + 1))
            high = -c * power / 2 - 5 * c / (8 * (power + 3))
            following[power + 1] = following.get(power + 1, Fraction(0)) + low
            following[power + 3] = following.get(power + 3, Fraction(0)) + high
        u = following
        result.append([u.get(k + 2 * i, Fraction(0)) for i in range(k + 1)])
    return result


def derivative_terms(polynomials: list[Polynomial]) -> list[Polynomial]:
    """W_k with p U_{k-1}/2 + p**2 U_{k-1}' = p**k W_k(p**2), from k = 1 on: what I'/I has beyond the terms of I."""
    return [[c * (k - Fraction(1, 2)) + 2 * i * c for i, c in enumerate(q)] for k, q in enumerate(polynomials, start=1)]


def reciprocal_gamma(terms: int) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """1/gamma(1 + z) = even(z**2) - z odd(z**2) (the Gamma_2 and Gamma_1 of Temme, 1975)."""
    logarithm = [mp.mpf(0), mp.euler] + [-((-1) ** k) * mp.zeta(k) / k for k in range(2, 2 * terms)]
    taylor = [mp.mpf(1)]
    for n in range(1, 2 * terms):
        taylor.append(sum(k * logarithm[k] * taylor[n - k] for k in range(1, n + 1)) / n)
    return taylor[0::2], [-c for c in taylor[1::2]]


def stirling(terms: int) -> list[mp.mpf]:
    """log(gamma(a)) = (a - 1/2) log(a) - a + log(2 pi)/2 + sum over k of c_k / a**(2k + 1)."""
    return [mp.bernoulli(2 * k) / (2 * k * (2 * k - 1)) for k in range(1, terms + 1)]


def cosh_table() -> list[mp.mpf]:
    step = mp.mpf(STEP.numerator) / STEP.denominator
    return [2 * mp.sinh(n * step / 2) ** 2 for n in range(POINTS)]


def number(value: Fraction | mp.mpf) -> str:
    return repr(float(value))


def table(name: str, comment: str, values: list[Fraction] | list[mp.mpf]) -> str:
    lines = "".join(f"    {number(value)},\n" for value in values)
    return f"# {comment}\nconst {name}: f64[{len(values)}] = [\n{lines}]\n"


def text() -> str:
    with mp.workdps(60):
        q = debye(ORDER)
        even, odd = reciprocal_gamma(10)
        parts = [
            "# Coefficients of the log-Bessel kernels. Written by make_tables.py.\n",
            table("DEBYE", "U_k(p) = p**k Q_k(p**2): Q_0, Q_1, ...", [c for each in q for c in each]),
            table("SLOPE", "p U_{k-1}/2 + p**2 U_{k-1}': W_1, W_2, ...", [c for w in derivative_terms(q) for c in w]),
            table("GAMMA_EVEN", "1/gamma(1 + z), even powers", even),
            table("GAMMA_ODD", "-1/gamma(1 + z), odd powers", odd),
            table("STIRLING", "log(gamma(a)): 1/a, 1/a**3, ...", stirling(9)),
            table("COSH", f"cosh(n * {float(STEP)}) - 1", cosh_table()),
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
