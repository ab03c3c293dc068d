"""The errors of all approximations, on every input, and the file that records them.

    python tests/slow/approximations.py --type f16 bf16            # seconds
    python tests/slow/approximations.py --type f32 exp tanh        # all 2**32 inputs, a minute or two each
    python tests/slow/approximations.py --type f32 --every 4096    # a sample
    python tests/slow/approximations.py --record ...               # writes ir/math/approximation_bounds.py, too

f32 is compared with the strict f32 functions, whose errors of less than 2**-23 are added; 16-bit floats with SciPy in
double precision. What counts as the error, and what is left out, tells `vmc.ir.math.approximate`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import vmc
from vmc.ir.math import approximate

TARGET = Path(approximate.__file__).with_name("approximation_bounds.py")
HEAD = '''"""Errors of approximations on every input, by entry and type. Written by `tests/slow/approximations.py`."""

BOUNDS: dict[str, dict[str, float]] = {
'''
ABSOLUTE = ("sin", "cos")
POSITIVE = ("log", "log2", "rsqrt")
"""Functions that take subnormal f32 for 0."""
SPAN = 1 << 20
STRICT = 2.0**-23

SWEEP = """
const GREATEST = max_value(f32)

def error(y, exact):
    distance = abs(clamp(y, -GREATEST, GREATEST) - clamp(exact, -GREATEST, GREATEST))
    {measured}
    return where(isnan(exact) or isnan(y), where(isnan(exact) and isnan(y), 0.0, inf), e)

kernel sweep[B = 2048, SPAN = {span}](first: i64, step: i64, worst: out f32[G, {count}]):
    for g in grid(G):
{starts}
        for j in range(0, SPAN, B):
            place = (first + g * SPAN + j + i64(arange(B))) * step
            x = bitcast(u32(place), f32)
            exact = {function}(x)
            counted = {domain}
{steps}
{ends}
"""


@contextmanager
def forced(function: str) -> Iterator[list[tuple[str, float]]]:
    """The function's entries, each with the `approx=` that chooses it inside of the context."""
    names = [name for name in approximate.ENTRIES if approximate.function_of(name) == function]
    wanted = [(name, 0.5 / (place + 1)) for place, name in enumerate(names)]
    saved = dict(approximate.BOUNDS)
    approximate.BOUNDS.clear()
    approximate.BOUNDS.update({name: dict.fromkeys(("f32", "f16", "bf16"), bound) for name, bound in wanted})
    approximate.choose.cache_clear()
    try:
        yield wanted
    finally:
        approximate.BOUNDS.clear()
        approximate.BOUNDS.update(saved)
        approximate.choose.cache_clear()


def sweep_kernel(function: str, entries: Sequence[tuple[str, float]]) -> vmc.Kernel:
    measured = (
        "e = distance" if function in ABSOLUTE else "e = max(distance - 2.0**-125, 0.0) / max(abs(exact), 2.0**-126)"
    )
    domain = "abs(x) <= 8192.0" if function in ABSOLUTE else "abs(x) >= 2.0**-126" if function in POSITIVE else "x == x"
    count = len(entries)
    source = SWEEP.format(
        measured=measured,
        span=SPAN,
        count=count,
        function=function,
        domain=f"{domain} or isnan(x)",
        starts="\n".join(f"        w{e} = zeros(f32[B])" for e in range(count)),
        steps="\n".join(
            f"            w{e} = max(w{e}, where(counted, error({function}(x, approx={bound!r}), exact), 0.0))"
            for e, (_, bound) in enumerate(entries)
        ),
        ends="\n".join(f"        worst[g, {e}] = max(w{e})" for e in range(count)),
    )
    return vmc.compile(source, "sweep")


def sweep(function: str, every: int) -> dict[str, float]:
    """The errors on every `every`-th f32."""
    with forced(function) as entries:
        kernel = sweep_kernel(function, entries)
    blocks, total = 64, (1 << 32) // every
    largest = np.zeros(len(entries), np.float32)
    for first in range(0, total, blocks * SPAN):
        worst = np.empty((min(blocks, -(-(total - first) // SPAN)), len(entries)), np.float32)
        kernel(first, every, worst)
        largest = np.maximum(largest, worst.max(axis=0))
    return {name: float(error) * (1 + 2.0**-20) + STRICT for (name, _), error in zip(entries, largest, strict=True)}


def references() -> dict[str, Callable[[Any], Any]]:
    from scipy import special  # type: ignore[import-untyped]

    own = {name: getattr(np, name) for name in ("exp", "exp2", "log", "log2", "sin", "cos", "tanh")}
    return {**own, "sigmoid": special.expit, "erf": special.erf, "rsqrt": lambda x: 1 / np.sqrt(x)}


def all_codes(function: str, type: str) -> dict[str, float]:
    """The errors on every input of a 16-bit float."""
    element = vmc.dtype(type)
    codes = np.arange(1 << 16, dtype=np.uint16)
    x = element.decode(codes)
    with np.errstate(all="ignore"):
        exact = references()[function](x)
    counted = abs(x) <= 8192 if function in ABSOLUTE else abs(x) >= 2.0**-126 if function in POSITIVE else x == x
    counted |= np.isnan(x)
    allowance = (
        0.0 if function in ABSOLUTE else max(2.0**-125, 2.0 ** (element.min_exponent - element.mantissa_bits - 1))
    )
    found = {}
    with forced(function) as entries:
        for name, bound in entries:
            source = f"""
kernel all(x: {type}[65536], y: out {type}[65536]):
    for i in grid(64):
        y[i*1024 : +1024] = {function}(x[i*1024 : +1024], approx={bound!r})
"""
            given = codes.view(np.float16) if type == "f16" else codes
            y = np.empty_like(given)
            vmc.compile(source)(given, y)
            got = element.decode(y.view(np.uint16))
            found[name] = float(distances(got, exact, allowance, element.max, function).max(where=counted, initial=0.0))
    return found


def distances(got: Any, exact: Any, allowance: float, top: float, function: str) -> Any:
    with np.errstate(all="ignore"):
        distance = np.maximum(abs(np.clip(got, -top, top) - np.clip(exact, -top, top)) - allowance, 0)
        error = distance if function in ABSOLUTE else distance / np.maximum(abs(exact), 2.0**-126)
        strange = np.isnan(got) != np.isnan(exact)
        return np.where(strange, np.inf, np.where(np.isnan(exact), 0, error))


def record(bounds: dict[str, dict[str, float]]) -> None:
    lines = [
        f'    "{name}": {{{", ".join(f""""{kind}": {value!r}""" for kind, value in sorted(bounds[name].items()))}}},\n'
        for name in approximate.ENTRIES
        if name in bounds
    ]
    TARGET.write_text(HEAD + "".join(lines) + "}\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", help="all where none is named", metavar="FUNCTION")
    parser.add_argument("--type", nargs="+", default=["f32", "f16", "bf16"], choices=["f32", "f16", "bf16"])
    parser.add_argument("--every", type=int, default=1, help="f32: every n-th input")
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args(arguments)
    bounds = {name: dict(each) for name, each in approximate.BOUNDS.items()}
    for type in chosen.type:
        for function in chosen.functions or approximate.FUNCTIONS:
            start = time.perf_counter()
            found = sweep(function, chosen.every) if type == "f32" else all_codes(function, type)
            for name, error in found.items():
                bounds.setdefault(name, {})[type] = float(f"{error * 1.0005:.4g}")
                print(f"{type} {name:12} {error:.3e}  2**{np.log2(error) if error else -np.inf:.1f}", flush=True)
            print(f"{time.perf_counter() - start:.1f} s", flush=True)
            if chosen.record:
                record(bounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
