"""Factorizations and triangular systems of the library against numpy and scipy, in f32 and f64, on both machines."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg  # type: ignore[import-untyped]

import vmc

SOURCE = """
import linalg

kernel lu[T: float = f32, N = 8](a: T[N, N], y: out T[N, N]):
    y[:, :] = linalg.lu(a[:, :])

kernel cholesky[T: float = f32, N = 8](a: T[N, N], y: out T[N, N]):
    y[:, :] = linalg.cholesky(a[:, :])

kernel unit_lower[T: float = f32, N = 8, R = 3](a: T[N, N], b: T[N, R], x: out T[N, R]):
    x[:, :] = linalg.solve_unit_lower(a[:, :], b[:, :])

kernel lower[T: float = f32, N = 8](a: T[N, N], b: T[N], x: out T[N]):
    x[:] = linalg.solve_lower(a[:, :], b[:])

kernel upper[T: float = f32, N = 8, R = 3](a: T[N, N], b: T[N, R], x: out T[N, R]):
    x[:, :] = linalg.solve_upper(a[:, :], b[:, :])
"""
CASES = [("cpu", 1), ("cpu", 13), ("interp", 7)]
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}

Array = npt.NDArray[np.floating[Any]]


def positive(n: int, type: str) -> Array:
    a = np.random.default_rng(n).standard_normal((n, n))
    return (a @ a.T + n * np.eye(n)).astype(type)


def run(name: str, target: str, *arrays: Array) -> None:
    columns = {"R": arrays[1].shape[1]} if arrays[1].ndim == 2 and name in ("unit_lower", "upper") else {}
    vmc.compile(SOURCE, name, target, T=arrays[0].dtype.name, N=len(arrays[0]), **columns)(*arrays)


@pytest.mark.parametrize("type", TOLERANCE)
@pytest.mark.parametrize(("target", "n"), CASES)
def test_factors_multiply_to_the_matrix(target: str, n: int, type: str) -> None:
    a = positive(n, type)
    y = np.empty_like(a)
    run("lu", target, a, y)
    assert abs((np.tril(y, -1) + np.eye(n)) @ np.triu(y) - a).max() <= TOLERANCE[type] * abs(a).max()
    run("cholesky", target, a, y)
    assert abs(y - np.linalg.cholesky(a)).max() <= TOLERANCE[type] * abs(a).max()


@pytest.mark.parametrize("type", TOLERANCE)
@pytest.mark.parametrize(("target", "n"), CASES)
def test_triangular_systems_are_solved_from_the_triangle_alone(target: str, n: int, type: str) -> None:
    a = positive(n, type)
    b = np.random.default_rng(n).standard_normal((n, 3)).astype(type)
    x, first = np.empty_like(b), np.empty(n, type)
    run("unit_lower", target, a / n, b, x)
    assert np.allclose(
        x, scipy.linalg.solve_triangular(a / n, b, lower=True, unit_diagonal=True), 0, TOLERANCE[type] * 10
    )
    run("upper", target, a, b, x)
    assert np.allclose(x, scipy.linalg.solve_triangular(a, b), 0, TOLERANCE[type])
    run("lower", target, a, b[:, 0].copy(), first)
    assert np.allclose(first, scipy.linalg.solve_triangular(a, b[:, 0], lower=True), 0, TOLERANCE[type])


SVD = """
import linalg

kernel svd[T: float = f32, M = 9, N = 4](a: T[M, N], w: out T[M, N], v: out T[N, N]):
    p, q = linalg.jacobi_svd(a[:, :], 10)
    w[:, :] = p
    v[:, :] = q
"""


@pytest.mark.parametrize("type", TOLERANCE)
@pytest.mark.parametrize(("target", "m", "n"), [("cpu", 9, 4), ("cpu", 30, 7), ("interp", 5, 3)])
def test_jacobi_s_rotations_find_the_singular_values(target: str, m: int, n: int, type: str) -> None:
    a = np.random.default_rng(m).standard_normal((m, n)).astype(type)
    a[:, -1] = a[:, 0] * 2  # a singular value of 0
    w, v = np.empty_like(a), np.empty((n, n), type)
    vmc.compile(SVD, "svd", target, T=type, M=m, N=n)(a, w, v)
    found = np.sort(np.linalg.norm(w, axis=0))[::-1]
    assert abs(found - np.linalg.svd(a, compute_uv=False)).max() < TOLERANCE[type] * 10
    assert abs(a @ v - w).max() < TOLERANCE[type] * 10
    assert abs(v.T @ v - np.eye(n)).max() < TOLERANCE[type] * 10
