"""log I, log K, their ratio and the von Mises-Fisher distribution against mpmath and SciPy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from log_bessel import make_tables, reproduce
from log_bessel.functions import (
    Array,
    bessel_ratio,
    fit,
    log_iv,
    log_kv,
    mean_resultant_length,
    negative_log_likelihood,
)

BOUND = 1e-13
DIGITS = 40


def exact_i(v: float, x: float) -> mp.mpf:
    """The power series, all of whose terms are positive."""
    with mp.workdps(DIGITS):
        order, y = mp.mpf(v), mp.mpf(x) ** 2 / 4
        term = total = mp.mpf(1)
        k = 0
        while term > total * mp.mpf(10) ** -DIGITS:
            k += 1
            term *= y / (k * (k + order))
            total += term
        return order * mp.log(mp.mpf(x) / 2) - mp.loggamma(order + 1) + mp.log(total)


def exact_k(v: float, x: float) -> mp.mpf:
    """The trapezoidal rule for the integral of exp(v u - x cosh(u)) / 2 over all u, which converges geometrically."""
    with mp.workdps(DIGITS):
        order, argument = mp.mpf(v), mp.mpf(x)
        middle = mp.asinh(order / argument)
        width = (order**2 + argument**2) ** mp.mpf("-0.25")
        step = min(mp.mpf("0.4") * width, mp.mpf("0.08"))
        top = order * middle - argument * mp.cosh(middle)
        total = mp.mpf(1)
        for direction in (1, -1):
            k, term = 0, mp.mpf(1)
            while term > mp.mpf(10) ** -DIGITS:
                k += 1
                u = middle + direction * k * step
                term = mp.exp(order * u - argument * mp.cosh(u) - top)
                total += term
        return top + mp.log(total * step / 2)


def spread(count: int, seed: int) -> tuple[Array, Array]:
    """Points of all sizes, those of the branches among them, and some near the zeros of the logarithms."""
    rng = np.random.default_rng(seed)
    high = np.repeat([3.0, 30.0, 150.0, 3000.0], count // 4)
    v, x = rng.uniform(0, high), rng.uniform(0, high)
    x[::10] = 0.66 * v[::10] + rng.uniform(0, 1, len(x[::10]))
    v[1::10] = np.round(v[1::10])
    x[2::10] = 10.0 ** rng.uniform(-12, 0, len(x[2::10]))
    v[3::10] = 10.0 ** rng.uniform(-12, 0, len(v[3::10]))
    return v, x


@pytest.mark.parametrize(("ours", "exact"), [(log_iv, exact_i), (log_kv, exact_k)], ids=["I", "K"])
def test_logarithms_are_exact_to_13_digits(
    ours: Callable[[Array, Array], Array], exact: Callable[[float, float], mp.mpf]
) -> None:
    v, x = spread(80, 1)
    found = ours(v, x)
    for a, b, got in zip(v, x, found, strict=True):
        want = exact(a, b)
        assert abs(got - want) <= BOUND * max(1, abs(want)), (a, b, got, want)


@pytest.mark.parametrize(
    ("ours", "theirs", "sign"), [(log_iv, special.ive, 1), (log_kv, special.kve, -1)], ids=["I", "K"]
)
@pytest.mark.parametrize("high", [5.0, 30.0, 150.0])
def test_logarithms_are_those_of_scipy_where_it_has_them(
    ours: Callable[[Array, Array], Array], theirs: Callable[[Array, Array], Array], sign: int, high: float
) -> None:
    rng = np.random.default_rng(2)
    v, x = rng.uniform(0, high, 3001), rng.uniform(0, high, 3001)
    with np.errstate(all="ignore"):
        want = np.log(theirs(v, x)) + sign * x
    finite = np.isfinite(want)
    assert finite.mean() > 0.95
    error = abs(ours(v, x) - want)[finite] / np.maximum(1, abs(want[finite]))
    assert error.max() < 3e-13  # SciPy's own error, where the logarithm cancels x


@pytest.mark.parametrize("ours", [log_iv, log_kv], ids=["I", "K"])
def test_both_machines_give_the_same_bits_in_every_branch(ours: Callable[..., Array]) -> None:
    v, x = spread(200, 3)
    v[:4], x[:4] = (1e300, 0.0, np.nan, 5.0), (1e-300, 7.0, 1.0, np.inf)
    far = np.full(2100, 9000.0)
    for a, b in ((v, x), (far, far[::-1] - 1.0)):
        assert ours(a, b).tobytes() == ours(a, b, target="interp").tobytes()


def test_ends_of_the_range() -> None:
    inf, nan = np.inf, np.nan
    v = np.array([0.0, 1.0, 0.0, 3.0, -1.0, 1.0, nan, 1.0, inf, inf, 0.0])
    x = np.array([0.0, 0.0, inf, inf, 1.0, -1.0, 1.0, nan, 2.0, inf, 1.0])
    want_i = [0.0, -inf, inf, inf, nan, nan, nan, nan, -inf, nan, np.log(special.iv(0, 1.0))]
    want_k = [inf, inf, -inf, -inf, nan, nan, nan, nan, inf, nan, np.log(special.kv(0, 1.0))]
    np.testing.assert_allclose(log_iv(v, x), want_i, rtol=1e-14)
    np.testing.assert_allclose(log_kv(v, x), want_k, rtol=1e-14)


def test_numbers_near_the_ends_of_f64_lose_no_digits() -> None:
    v = np.array([1e300, 1e-300, 100.0, 1e200, 5e-324, 1e160, 13.5])
    x = np.array([1e299, 1e300, 5e-324, 1e-300, 1e-310, 1e-5, 1e-200])
    with mp.workdps(30):
        for a, b, got_i, got_k in zip(v, x, log_iv(v, x), log_kv(v, x), strict=True):
            m, y = mp.mpf(a), mp.mpf(b)
            if m + y > 1e6:  # R + v log(x/(v + R)), beside which nothing counts
                r = mp.sqrt(m * m + y * y)
                want_i = r + m * mp.log(y / (m + r))
                want_k = -want_i
            elif m > 1:  # leading terms at 0
                want_i = m * mp.log(y / 2) - mp.loggamma(m + 1)
                want_k = mp.log(mp.mpf(1) / 2) + mp.loggamma(m) - m * mp.log(y / 2)
            else:
                want_i = mp.mpf(0)
                want_k = mp.log(-mp.log(y / 2) - mp.euler)
            assert abs(got_i - want_i) <= BOUND * max(1, abs(want_i)), (a, b)
            assert abs(got_k - want_k) <= BOUND * max(1, abs(want_k)), (a, b)


def test_the_ratio_keeps_its_digits_where_logarithms_would_lose_them() -> None:
    v, x = spread(40, 4)
    found = bessel_ratio(v, x)
    for a, b, got in zip(v, x, found, strict=True):
        with mp.workdps(DIGITS):
            want = mp.exp(exact_i(a + 1, b) - exact_i(a, b))
        assert abs(got - want) <= 4e-15 * want, (a, b, got, want)
    assert found.tobytes() == bessel_ratio(v, x, target="interp").tobytes()


def test_a_fit_solves_the_equation_of_greatest_likelihood_in_high_dimensions() -> None:
    p = np.repeat([2.0, 3.0, 64.0, 2048.0, 8192.0, 32768.0], 3)
    r = np.tile([0.05, 0.5, 0.95], 6)
    kappa = fit(p, r)
    for dimension, length, k in zip(p[:12], r[:12], kappa[:12], strict=True):
        with mp.workdps(DIGITS):
            ratio = mp.exp(exact_i(dimension / 2, k) - exact_i(dimension / 2 - 1, k))
        assert abs(ratio - length) < 1e-14, (dimension, length)
    np.testing.assert_allclose(bessel_ratio(p / 2 - 1, kappa), r, rtol=1e-14)


def test_the_likelihood_is_that_of_scipy_in_a_low_dimension() -> None:
    p, kappa = 5, 3.5
    distribution = stats.vonmises_fisher(np.eye(p)[0], kappa)
    x = distribution.rvs(200, random_state=np.random.default_rng(5))
    total = x.sum(axis=0)
    r = mean_resultant_length(x)
    assert abs(r - np.linalg.norm(total) / 200) < 1e-15
    along = stats.vonmises_fisher(total / np.linalg.norm(total), kappa)
    nll = negative_log_likelihood(np.array([float(p)]), np.array([kappa]), np.array([r]))
    assert abs(nll[0] + along.logpdf(x).mean()) < 1e-13


def test_the_tables_are_those_that_the_script_writes() -> None:
    assert make_tables.TARGET.read_text("utf-8") == make_tables.text()


def test_the_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick"]) == 0
    assert "fitted" in capsys.readouterr().out
