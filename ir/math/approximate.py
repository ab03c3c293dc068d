"""Approximations of few digits: which there are, what their errors are, and their expansions.

An entry is a function with a core from `approximations`; its error on every input of f32, f16 and bf16 was measured
and stands in `approximation_bounds`. The operation `approximate` names an entry, `choose` finds the cheapest within a
bound. All are computed in f32; 16-bit floats are rounded once more, and their errors count that.

Errors are relative to max(|exact|, smallest normal number), for sin and cos absolute. What the cores leave out: results
below 2**-125 may be 0; logarithms and rsqrt take subnormal f32 for 0; sin and cos of |x| > 8192 are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from vmc.ir.math import coefficients
from vmc.ir.math.approximation_bounds import BOUNDS
from vmc.ir.math.approximations import ERF, EXP, EXP2, LOG, LOG2, SIN, TANH, Core
from vmc.ir.math.expression import Expression, fma, polynomial, where
from vmc.ir.math.format import F32, sign_bits, with_sign
from vmc.ir.types import DType

INFINITY = float("inf")
FARTHEST_ANGLE = 8192.0
TINY = 2.0**-126
GUESS = 0x5F1FFFF9
STEP = (0.703952253, 2.38924456)
"""The first guess at rsqrt by halved bits, and a and b of its step y a (b - x y**2) (Kadlec, 2010). A second step would
take more operations than the strict function, whose square root and division machines have.
"""

LOWEST = {"exp": -87.5, "exp2": -126.25}
HIGHEST = {"exp": 89.0, "exp2": 128.0}
ANCHOR = F32.anchor + 126.0
"""Adding it to n leaves n + 126, the exponent field of 2**(n-1), in the lowest bits."""


def quotient(t: Expression, core: Core) -> Expression:
    above, below, _ = core
    numerator = polynomial(t, above)
    return numerator / polynomial(t, (1.0, *below)) if below else numerator


def exponential(x: Expression, core: Core, name: str) -> Expression:
    """2**(n - 1) times 2 + r p(r), twice the core: both factors stay normal up to the largest results."""
    inside = x.at_least(LOWEST[name]).at_most(HIGHEST[name])
    above, _, _ = core
    if name == "exp":
        anchored = fma(inside, coefficients.LOG2E["f32"][0], ANCHOR)
        r = fma(anchored - ANCHOR, -coefficients.LN2["f32"][0], inside)
    else:
        anchored = inside + ANCHOR
        r = inside - (anchored - ANCHOR)
    power = (anchored.bits("u32") << 23).bits(F32.dtype)
    return polynomial(r, (2.0, *(2.0 * c for c in above))) * power


def sigmoid(x: Expression, core: Core) -> Expression:
    return 1.0 / (exponential(-x, core, "exp") + 1.0)


def logarithm(x: Expression, core: Core, step: float) -> Expression:
    bits = x.bits("i32")
    k = (bits - 0x3F3504F3) >> 23
    f = (bits - (k << 23)).bits(F32.dtype) - 1.0
    result = fma(k.cast("f32"), step, f * quotient(f, core))
    other = where(x < 0.0, float("nan"), where(x < TINY, -INFINITY, x))
    return where((x >= TINY) & (x < INFINITY), result, other)


def sine(x: Expression, core: Core) -> Expression:
    """With x = n pi + r: sin(r), its sign turned for odd n."""
    anchored = fma(x, 1 / math.pi, F32.anchor)
    return half_turns(x, anchored - F32.anchor, anchored.bits("u32") << 31, core)


def cosine(x: Expression, core: Core) -> Expression:
    """With x = (n + 1/2) pi + r: sin(r), its sign turned for even n."""
    anchored = fma(x, 1 / math.pi, -0.5) + F32.anchor
    return half_turns(x, (anchored - F32.anchor) + 0.5, (anchored.bits("u32") + 1) << 31, core)


def half_turns(x: Expression, turns: Expression, sign: Expression, core: Core) -> Expression:
    """sin(x - turns pi) with a changed sign; NaN beyond the farthest angle."""
    high, low = coefficients.PI["f32"]
    r = fma(turns, -low, fma(turns, -high, x))
    value = r * quotient(r * r, core)
    result = (value.bits("u32") ^ sign).bits(F32.dtype)
    return where(abs(x) <= FARTHEST_ANGLE, result, float("nan"))


def bounded(x: Expression, core: Core) -> Expression:
    """Odd functions: x P(x**2)/Q(x**2) up to the cut."""
    inside = abs(x).at_most(core[2])
    return with_sign(inside * quotient(inside * inside, core), sign_bits(x))


def rsqrt(x: Expression) -> Expression:
    y = (GUESS - (x.bits("u32") >> 1)).bits(F32.dtype)
    a, b = STEP
    other = where(x < 0.0, float("nan"), where(x < TINY, INFINITY, where(x.same(INFINITY), 0.0, x)))
    return where((x >= TINY) & (x < INFINITY), y * a * (b - x * y * y), other)


Expansion = Callable[[Expression], Expression]


def entry(core: Core, make: Callable[..., Expression], *others: float | str) -> Expansion:
    return lambda x: make(x, core, *others)


ENTRIES: dict[str, Expansion] = {
    **{name: entry(core, exponential, "exp") for name, core in EXP.items()},
    **{name: entry(core, exponential, "exp2") for name, core in EXP2.items()},
    **{name.replace("exp", "sigmoid"): entry(core, sigmoid) for name, core in EXP.items()},
    **{name: entry(core, logarithm, math.log(2)) for name, core in LOG.items()},
    **{name: entry(core, logarithm, 1.0) for name, core in LOG2.items()},
    **{name: entry(core, sine) for name, core in SIN.items()},
    **{name.replace("sin", "cos"): entry(core, cosine) for name, core in SIN.items()},
    **{name: entry(core, bounded) for name, core in TANH.items()},
    **{name: entry(core, bounded) for name, core in ERF.items()},
    "rsqrt_1": rsqrt,
}
"""By name, `function_terms`; the entries of a function from the cheapest on."""


def function_of(name: str) -> str:
    return name.partition("_")[0]


FUNCTIONS = tuple(dict.fromkeys(map(function_of, ENTRIES)))
"""The functions that have approximations."""


def apply(name: str, x: Expression) -> Expression:
    """An entry on f16, bf16 or f32."""
    return ENTRIES[name](x.cast("f32")).cast(x.dtype)


@lru_cache(maxsize=256)
def choose(function: str, type: DType, bound: float) -> str | None:
    """The cheapest entry whose error, on every input of the type, is at most the bound; None if there is none."""
    for name in ENTRIES:
        if function_of(name) == function and BOUNDS.get(name, {}).get(type.name, INFINITY) <= bound:
            return name
    return None
