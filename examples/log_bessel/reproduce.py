"""Errors of log I and log K against Arb, times against SciPy, and fits of von Mises-Fisher distributions.

python examples/log_bessel/reproduce.py [--quick]

Arb is in the package python-flint; without it the errors are left out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from log_bessel.functions import (
    Array,
    fit,
    log_iv,
    log_kv,
    mean_resultant_length,
    negative_log_likelihood,
)

REGIONS = {"[0, 150]^2": 150.0, "[0, 10^4]^2": 1e4}
PAPER_SPEED = 35.0
BOUND = 1e-13


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints three tables; the exit code is 1 where an error is above the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few points, small samples")
    quick = parser.parse_args(arguments).quick
    good = accuracy(200 if quick else 6000)
    speed(1 << 12 if quick else 1 << 19, 3 if quick else 11)
    fits([64, 256] if quick else [2048, 8192, 32768], 50 if quick else 200)
    return 0 if good else 1


# Errors


def accuracy(count: int) -> bool:
    """The errors on `count` points for each function, a third in each region and a third of all sizes."""
    try:
        import flint
    except ImportError:
        print("errors: left out, python-flint is not installed (pip install python-flint)")
        return True
    from scipy import special  # type: ignore[import-untyped]

    print(f"error, relative where |log| > 1, else absolute; {count} points a function (bound {BOUND:.0e})")
    print("function  points             median      99 %     greatest   SciPy not finite")
    good = True
    for name, ours, method, theirs in (
        ("log I", log_iv, "bessel_i", special.ive),
        ("log K", log_kv, "bessel_k", special.kve),
    ):
        for region, (v, x) in points(count // 3):
            truth = np.array([arb(flint, method, a, b) for a, b in zip(v, x, strict=True)])
            error = abs(ours(v, x) - truth) / np.maximum(1.0, abs(truth))
            with np.errstate(all="ignore"):
                lost = 1 - np.isfinite(np.log(theirs(v, x))).mean()
            row = "".join(f"{each:11.1e}" for each in (np.median(error), np.quantile(error, 0.99), error.max()))
            print(f"{name:9} {region:14}{row}   {100 * lost:8.0f} %")
            good &= bool(error.max() <= BOUND)
    return good


def points(count: int) -> Iterator[tuple[str, tuple[Array, Array]]]:
    """Uniform points of the regions, and points of all sizes from 2**-40 to 2**14."""
    rng = np.random.default_rng(0)
    for region, high in REGIONS.items():
        yield region, (rng.uniform(0, high, count), rng.uniform(0, high, count))
    yield "2^-40 .. 2^14", (2.0 ** rng.uniform(-40, 14, count), 2.0 ** rng.uniform(-40, 14, count))


def arb(flint: object, method: str, v: float, x: float) -> float:
    """The logarithm of a function by ball arithmetic, with as many bits as it takes."""
    bits = 128
    while True:
        flint.ctx.prec = bits  # type: ignore[attr-defined]
        ball = getattr(flint.arb(x), method)(flint.arb(v)).log()  # type: ignore[attr-defined]
        if ball.is_finite() and float(ball.rad()) <= 2.0**-64 * max(1.0, abs(float(ball.mid()))):
            return float(ball)
        bits *= 2


# Times


def speed(count: int, rounds: int) -> None:
    """Medians of both, in turn, into arrays that are there; SciPy has one thread. Beside elapsed times stand those
    of the processors, which other programs on the machine disturb less: with two cores to itself, vmc takes half of its
    own.
    """
    print(f"\nnanoseconds an element, {count} elements, median of {rounds} (paper: {PAPER_SPEED:.0f} x SciPy)")
    print("                          elapsed                       processors' time")
    print("function  region              vmc     SciPy    ratio        vmc     SciPy    ratio")
    rng = np.random.default_rng(1)
    for region, high in REGIONS.items():
        v, x, y = rng.uniform(0, high, count), rng.uniform(0, high, count), np.zeros(count)
        for name, ours, theirs in (("log I", log_iv, scipy_log_iv), ("log K", log_kv, scipy_log_kv)):
            calls = (partial(ours, v, x, out=y), partial(theirs, v, x, y))
            taken = [(*seconds(calls[0]), *seconds(calls[1])) for _ in range(rounds + 1)][1:]
            a, c, b, d = 1e9 * np.median(taken, axis=0) / count
            print(f"{name:9} {region:14}{a:9.1f}{b:10.1f}{b / a:9.1f}{c:11.1f}{d:10.1f}{d / c:9.1f}")


def scipy_log_iv(v: Array, x: Array, out: Array) -> None:
    from scipy import special

    with np.errstate(all="ignore"):
        np.add(np.log(special.ive(v, x, out=out), out=out), x, out=out)


def scipy_log_kv(v: Array, x: Array, out: Array) -> None:
    from scipy import special

    with np.errstate(all="ignore"):
        np.subtract(np.log(special.kve(v, x, out=out), out=out), x, out=out)


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Elapsed, and of the processors."""
    start, work = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - work


# Fits


def fits(dimensions: Sequence[int], samples: int) -> None:
    """kappa estimated from samples, beside what they were drawn with."""
    print(
        f"\nvon Mises-Fisher, {samples} samples: kappa drawn with and fitted, log-likelihood of a sample, milliseconds"
    )
    print("     p     kappa    fitted   log-likelihood     sum    fit")
    for p in dimensions:
        kappa = p / 2.0
        x = draw(p, kappa, samples)
        start = time.perf_counter()
        r = mean_resultant_length(x)
        middle = time.perf_counter()
        found = fit(np.array([float(p)]), np.array([r]))
        end = time.perf_counter()
        nll = negative_log_likelihood(np.array([float(p)]), found, np.array([r]))
        times = f"{1e3 * (middle - start):8.2f}{1e3 * (end - middle):8.2f}"
        print(f"{p:6d}{kappa:10.0f}{found[0]:10.1f}{-nll[0]:17.3f}{times}")


def draw(p: int, kappa: float, samples: int) -> Array:
    """Samples around the first axis, by Wood's rejection (1994)."""
    rng = np.random.default_rng(p)
    b = (p - 1) / (2 * kappa + np.sqrt(4 * kappa * kappa + (p - 1) ** 2))
    at = (1 - b) / (1 + b)
    c = kappa * at + (p - 1) * np.log(1 - at * at)
    cosines: list[float] = []
    while len(cosines) < samples:
        z = rng.beta((p - 1) / 2, (p - 1) / 2)
        w = (1 - (1 + b) * z) / (1 - (1 - b) * z)
        if kappa * w + (p - 1) * np.log(1 - at * w) - c >= np.log(rng.uniform()):
            cosines.append(w)
    w = np.array(cosines)[:, None]
    u = rng.standard_normal((samples, p - 1))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return np.concatenate([w, np.sqrt(1 - w * w) * u], axis=1)


if __name__ == "__main__":
    sys.exit(main())
