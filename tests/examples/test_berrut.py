"""Berrut coded computing against scipy, and the location of every pattern of at most three wrong workers."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import scipy.fft  # type: ignore[import-untyped]
import scipy.interpolate  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from berrut import reproduce
from berrut.coding import F64, Code, berrut, chebyshev_points, gram, locate, syndrome

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("target", "type"), [("cpu", "float64"), ("cpu", "float32"), ("interp", "float64")])
def test_berrut_interpolates_with_alternating_weights(target: str, type: str) -> None:
    nodes, values, points = chebyshev_points(7), RNG.standard_normal((7, 70)), np.linspace(-0.9, 0.9, 11)
    points[3] = nodes[2]
    signs = (-1.0) ** np.arange(7)
    expected = scipy.interpolate.BarycentricInterpolator(nodes, values, wi=signs)(points)
    found = berrut(nodes.astype(type), values.astype(type), points.astype(type), target)
    assert abs(found - expected).max() < (1e-12 if type == "float64" else 1e-4)
    assert (found[3] == values.astype(type)[2]).all()


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_the_syndrome_is_the_end_of_the_cosine_transform(target: str) -> None:
    x = RNG.standard_normal((32, 16))
    assert abs(syndrome(x, 20, target) - scipy.fft.dct(x, axis=0, norm="ortho")[20:]).max() < 1e-14


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_workers_compute_gram_matrices(target: str) -> None:
    x = RNG.standard_normal((5, 12))
    expected = np.einsum("nrc,nsc->nrs", x.reshape(5, 3, 4), x.reshape(5, 3, 4)).reshape(5, 9)
    assert abs(gram(x, 3, target) - expected).max() < 1e-14


def answers() -> tuple[F64, F64]:
    right, wanted, _ = reproduce.job(Code(), 3)
    return right, wanted


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_pattern_of_wrong_workers_is_located(count: int) -> None:
    right, _ = answers()
    patterns = np.array(list(combinations(range(32), count)))
    sets = np.repeat(right[None], len(patterns), axis=0)
    wrong = 10.0 * np.random.default_rng(count).standard_normal((*patterns.shape, 16))
    sets[np.arange(len(patterns))[:, None], patterns] += wrong
    places, errors = locate(sets, 20)
    hits = patterns[:, :, None] == places[:, None, :]
    assert hits.any(axis=2).all(), patterns[~hits.any(axis=2).all(axis=1)]
    # The median, since errors of neighbours are told apart badly.
    assert np.median(abs(np.einsum("pij,pje->pie", hits, errors) - wrong)) < 0.05


def test_both_machines_locate_the_same() -> None:
    right, _ = answers()
    right[[4, 17, 30]] += 10.0 * RNG.standard_normal((3, 16))
    (places, errors), (checked, others) = locate(right[None], 20), locate(right[None], 20, "interp")
    assert sorted(places[0]) == [4, 17, 30] and (places == checked).all() and abs(errors - others).max() < 1e-9


def test_wrong_answers_do_not_reach_the_result() -> None:
    code = Code()
    right, wanted = answers()
    clean = reproduce.relative(code.decode(right, np.arange(32)), wanted)
    right[[0, 1, 31]] += 1000.0
    assert reproduce.relative(code.decode(right, np.arange(32)), wanted) > 3
    assert reproduce.relative(code.corrected(right), wanted) < 3 * clean


def test_decoding_needs_only_some_workers() -> None:
    code = Code()
    right, wanted = answers()
    assert reproduce.relative(code.decode(right, np.arange(0, 32, 2)), wanted) < 0.1


def test_the_study_locates_all_its_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick"]) == 0
    assert "248 of 248 patterns of 3 located" in capsys.readouterr().out
