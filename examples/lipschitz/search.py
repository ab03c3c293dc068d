"""Branch and bound: the case of the greatest bound is divided by an unstable unit, on in one half, off in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipschitz.bounds import Cases, Lipschitz


@dataclass(frozen=True)
class Searched:
    """`most` bounds the norm over the whole box; `complete` where no case is left that could be divided."""

    most: float
    cases: int
    complete: bool


@dataclass
class _Open:
    """Cases that may be divided, with their bounds and which unit of which layer is next."""

    cases: Cases
    most: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    layer: np.ndarray[tuple[int, ...], np.dtype[np.int32]]
    unit: np.ndarray[tuple[int, ...], np.dtype[np.int32]]


def divide(lipschitz: Lipschitz, box: Cases, k: int, limit: int, batch: int = 32) -> Searched:
    """The bound for output k over one box (P = 1), after at most `limit` cases; `batch` of them are divided at once."""
    open = _bound(lipschitz, box, k, np.full(1, np.inf))
    closed, count = -np.inf, 1
    while len(open.most) and count < limit:
        done = open.unit < 0
        closed = max(closed, float(open.most[done].max(initial=-np.inf)))
        open = _pick(open, np.flatnonzero(~done))
        if not len(open.most) or open.most.max() <= closed:
            return Searched(max(closed, float(open.most.max(initial=-np.inf))), count, True)
        order = np.argsort(-open.most, kind="stable")
        worst, rest = _pick(open, order[:batch]), _pick(open, order[batch:])
        halves = _bound(lipschitz, _halves(worst), k, np.repeat(worst.most, 2))
        count += len(halves.most)
        open = _join(rest, halves)
    left = open.unit >= 0
    return Searched(max(closed, float(open.most.max(initial=-np.inf))), count, not left.any())


def _bound(
    lipschitz: Lipschitz, cases: Cases, k: int, parents: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> _Open:
    """A case is never bounded worse than what it is a half of."""
    found = lipschitz.norm(cases, k, "chords")
    scores, units = [], []
    for low, high, a in zip(cases.low, cases.high, found.coefficients, strict=True):
        score, unit = lipschitz.layers.empty(len(cases)), np.empty(len(cases), np.int32)
        lipschitz.kernel("bab_score", N=low.shape[1])(low, high, a, score, unit)
        scores.append(score)
        units.append(unit)
    layer = np.argmax(scores, axis=0).astype(np.int32)
    unit = np.stack(units)[layer, np.arange(len(cases))]
    return _Open(cases, np.minimum(found.most.astype(np.float64), parents), layer, unit)


def _halves(worst: _Open) -> Cases:
    """Every case twice: with its unit on (l = 0), and off (u = 0)."""
    count = len(worst.most)
    twice = worst.cases.take(np.repeat(np.arange(count), 2))
    for place in range(count):
        twice.low[worst.layer[place]][2 * place, worst.unit[place]] = 0
        twice.high[worst.layer[place]][2 * place + 1, worst.unit[place]] = 0
    return twice


def _pick(open: _Open, places: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> _Open:
    return _Open(open.cases.take(places), open.most[places], open.layer[places], open.unit[places])


def _join(a: _Open, b: _Open) -> _Open:
    def both(x: tuple[np.ndarray, ...], y: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
        return tuple(np.concatenate(pair) for pair in zip(x, y, strict=True))

    cases = Cases(both(a.cases.low, b.cases.low), both(a.cases.high, b.cases.high))
    rest = both((a.most, a.layer, a.unit), (b.most, b.layer, b.unit))
    return _Open(cases, *rest)
