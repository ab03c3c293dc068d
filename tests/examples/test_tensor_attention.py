"""Tensor attention against numpy.einsum over all tuples of keys."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from tensor_attention import reproduce
from tensor_attention.attend import Polynomials, exact

Array = npt.NDArray[np.floating[Any]]


def einsum(q: Array, keys: Sequence[Array], values: Sequence[Array]) -> Array:
    letters = "abc"[: len(keys)]
    operands = ",".join(f"{letter}z" for letter in letters)
    wide = [[x.astype(np.float64) for x in tensors] for tensors in (keys, values)]
    scores = np.einsum(f"nz,{operands}->n{letters}", q.astype(np.float64), *wide[0]) / q.shape[1]
    scores = np.exp(scores - scores.max())
    found: Array = np.einsum(f"n{letters},{operands}->nz", scores, *wide[1])
    return found / scores.reshape(len(q), -1).sum(axis=1)[:, None]


def drawn(sizes: Sequence[int], d: int, bound: float, type: str) -> tuple[Array, list[Array], list[Array]]:
    rng = np.random.default_rng(d)
    q = rng.uniform(-bound, bound, (37, d)).astype(type)
    keys, values = ([rng.uniform(-size, size, (n, d)).astype(type) for n in sizes] for size in (bound, 1.0))
    return q, keys, values


@pytest.mark.parametrize(
    ("target", "type"), [("cpu", "float16"), ("cpu", "float32"), ("cpu", "float64"), ("interp", "float64")]
)
def test_exact_attention_is_the_softmax_over_all_pairs(target: str, type: str) -> None:
    q, keys, values = drawn((5, 70), 5, 2.0, type)
    error = abs(exact(q, *keys, *values, target) - einsum(q, keys, values)).max()
    assert error <= (1e-14 if type == "float64" else 1e-6)


def test_large_scores_do_not_overflow() -> None:
    q, keys, values = drawn((9, 11), 3, 8.0, "float32")
    found = exact(q, *keys, *values)
    assert np.isfinite(found).all() and abs(found - einsum(q, keys, values)).max() < 1e-3


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_features_are_all_monomials(target: str) -> None:
    x = np.random.default_rng(1).standard_normal((19, 3))
    found = Polynomials(3, 3, target=target).features(x)
    powers = [p for p in product(range(4), repeat=3) if sum(p) <= 3]
    expected = np.stack([np.prod(x ** np.array(p), axis=1) for p in powers], axis=1)
    assert np.allclose(np.sort(found, axis=1), np.sort(expected, axis=1), rtol=1e-13)


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_a_polynomial_of_the_scores_is_summed_exactly(target: str) -> None:
    q, keys, values = drawn((23, 41), 3, 1.0, "float64")
    scores = np.einsum("nz,az,bz->nab", q, *keys) / 3
    weights = 1 + scores + scores**2 / 2 + scores**3 / 6
    expected = np.einsum("nab,az,bz->nz", weights, *values) / weights.sum(axis=(1, 2))[:, None]
    assert abs(Polynomials(3, 3, target=target).attend(q, keys, values) - expected).max() < 1e-13


@pytest.mark.parametrize("type", ["float16", "float32", "float64"])
def test_three_tensors_of_keys_attend_by_the_same_kernels(type: str) -> None:
    q, keys, values = drawn((5, 6, 7), 3, 0.5, type)
    error = abs(Polynomials(3, 3).attend(q, keys, values) - einsum(q, keys, values)).max()
    assert error < (1e-7 if type == "float64" else 1e-6)


def test_the_error_falls_as_the_remainder_of_the_series() -> None:
    q, keys, values = drawn((20, 20), 3, 0.3, "float64")
    errors = [abs(Polynomials(3, g).attend(q, keys, values) - einsum(q, keys, values)).max() for g in (1, 2, 3)]
    # Scores are within 0.027: every degree gains about two digits.
    assert errors[0] < 1e-4 and errors[1] < errors[0] / 20 and errors[2] < errors[1] / 20


@pytest.mark.slow
def test_the_study_prints_errors_and_powers(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick"]) == 0
    assert "power of n" in capsys.readouterr().out
