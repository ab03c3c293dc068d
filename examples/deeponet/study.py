"""DeepONet and a plain network trained on the same operators with the same number of samples a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from networks.kernels import Layers

from deeponet.functions import Data, Functions
from deeponet.network import DeepONet, Plain

FUNCTIONS, PLACES = 64, 16
"""Of one step: every function at every place. The plain network takes as many pairs."""


@dataclass(frozen=True)
class Result:
    """Mean square errors on functions trained on and on new ones; `variance` is that of the values themselves."""

    problem: str
    network: str
    train: float
    test: float
    variance: float
    seconds: float


def compare(layers: Layers, problems: Sequence[str], steps: int, train: int, test: int) -> Iterator[Result]:
    """Both networks on each problem (the plain one not on diffusion-reaction, whose places have two numbers)."""
    functions = Functions(layers.kernels.target)
    for problem in problems:
        data, held = functions.data(problem, train, seed=1), functions.data(problem, test, seed=2)
        yield _deeponet(layers, problem, data, held, steps)
        if data.places.shape[1] == 1:
            yield _plain(layers, problem, data, held, steps)


def rate(step: int, steps: int) -> float:
    """1e-3, and a tenth of it for the last fifth."""
    return 1e-3 if step < 0.8 * steps else 1e-4


def _deeponet(layers: Layers, problem: str, data: Data, held: Data, steps: int) -> Result:
    started = perf_counter()
    network = DeepONet(layers, data.u.shape[1], data.places.shape[1], seed=0)
    rng = np.random.default_rng(0)
    for step in range(steps):
        f = rng.choice(len(data.u), FUNCTIONS, replace=False)
        p = rng.choice(len(data.places), PLACES, replace=False)
        wanted = np.ascontiguousarray(data.s[np.ix_(f, p)])
        network.step(data.u[f], data.places[p], wanted, rate(step, steps))
    seconds = perf_counter() - started
    errors = [network.loss(network.forward(d.u, d.places)[0], d.s)[0] for d in (data, held)]
    return Result(problem, "DeepONet", errors[0], errors[1], float(held.s.var()), seconds)


def _plain(layers: Layers, problem: str, data: Data, held: Data, steps: int) -> Result:
    started = perf_counter()
    network = Plain(layers, data.u.shape[1], seed=0)
    rng = np.random.default_rng(0)

    def pairs(d: Data, count: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        f, p = (rng.integers(0, size, count).astype(np.int32) for size in d.s.shape)
        return network.rows(d.u, d.places[:, 0].copy(), d.s, f, p)

    for step in range(steps):
        network.step(*pairs(data, FUNCTIONS * PLACES), rate(step, steps))
    seconds = perf_counter() - started
    errors = [network.loss(*pairs(d, 20_000))[0] for d in (data, held)]
    return Result(problem, "plain", errors[0], errors[1], float(held.s.var()), seconds)
