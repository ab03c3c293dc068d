"""`approx=`: a function within an error that the program states."""

from __future__ import annotations

import numpy as np
import pytest

import vmc
from vmc.lang import check_source, compile_kernel

SOURCE = """
kernel k[T: float = f32, BOUND = 0.0005](x: T[N], y: out T[N]):
    for i in grid(cdiv(N, 64)):
        y[i*64 : +64] = exp(x[i*64 : +64], approx=BOUND)
"""


def entries(**bindings: object) -> list[str]:
    from vmc.ir.core import walk

    kernel = compile_kernel(SOURCE, "k.vmc", None, bindings).kernel  # type: ignore[arg-type]
    return [str(op.attrs.get("entry", op.name)) for op in walk(kernel.body) if op.name in ("approximate", "exp")]


def test_the_error_is_within_what_was_asked_on_both_machines() -> None:
    x = np.linspace(-80, 80, 1001).astype(np.float32)
    results = []
    for target in ("cpu", "interp"):
        y = np.empty_like(x)
        vmc.compile(SOURCE, target=target)(x, y)
        results.append(y)
    assert results[0].tobytes() == results[1].tobytes()
    assert abs(results[0] / np.exp(x.astype(np.float64)) - 1).max() < 0.0005


def test_a_tighter_bound_takes_a_longer_approximation_and_in_the_end_the_strict_function() -> None:
    assert entries(BOUND=0.01) == ["exp_2"]
    assert entries(BOUND=0.0005) == ["exp_3"]
    assert entries(BOUND=1e-5) == ["exp_4"]
    assert entries(BOUND=1e-8) == ["exp"]


def test_f64_gets_the_strict_function() -> None:
    from vmc.ir.types import dtype

    assert entries(T=dtype("f64"), BOUND=0.1) == ["exp"]


@pytest.mark.parametrize("bound", ["0.0", "1.0", "2", "true", "-0.1"])
def test_a_bound_that_is_no_error_is_refused(bound: str) -> None:
    source = f"kernel k(x: f32[8], y: out f32[8]):\n    y[:] = exp(x[:], approx={bound})\n"
    assert [d.code for d in check_source(source, "k.vmc")] == ["E0225"]


def test_a_bound_of_the_run_time_is_refused() -> None:
    source = "kernel k(b: f32, x: f32[8], y: out f32[8]):\n    y[:] = exp(x[:], approx=b)\n"
    assert [d.code for d in check_source(source, "k.vmc")] == ["E0225"]


def test_functions_without_approximations_take_no_bound() -> None:
    source = "kernel k(x: f32[8], y: out f32[8]):\n    y[:] = lgamma(x[:], approx=0.1)\n"
    assert [d.code for d in check_source(source, "k.vmc")] == ["E0110"]
