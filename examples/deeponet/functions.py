"""Random functions and what operators make of them, by kernels in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from networks.kernels import Array, Kernels

PROGRAM = Path(__file__).with_name("deeponet.vmc")
PROBLEMS = ("antiderivative", "riccati", "pendulum", "diffusion-reaction")
LENGTH = 0.2
JITTER = 1e-11


@dataclass(frozen=True)
class Data:
    """Functions u [S, sensors], places [L, dimensions], and the operator's values there, s [S, L]."""

    u: Array
    places: Array
    s: Array


class Functions:
    """`places` of [0, 1] on which functions are drawn, one more than an even number, for one target."""

    def __init__(self, target: str = "cpu", places: int = 201) -> None:
        self._kernels = Kernels(PROGRAM, target)
        self._factor = np.empty((places, places))
        self.places = places
        self._kernels("covariance_factor", N=places)(LENGTH, JITTER, self._factor)

    def draw(self, count: int, seed: int) -> Array:
        """Functions [count, places]: Gaussian, covariance exp(-(x - y)^2 / (2 LENGTH^2))."""
        z, u = np.empty((count, self.places)), np.empty((count, self.places))
        self._kernels("noise")(seed, z)
        Kernels(Path(__file__).parents[1] / "networks" / "layers.vmc", self._kernels.target)("product_nt", T="f64")(
            z, self._factor, u
        )
        return u

    def solve(self, u: Array, problem: str) -> Array:
        """s [S, (places + 1) / 2] at every second place, from s(0) = 0. Raises ValueError for diffusion-reaction."""
        number = PROBLEMS[:3].index(problem)
        s = np.empty((len(u), (self.places + 1) // 2))
        self._kernels("solve", PROBLEM=number)(u, s)
        return s

    def diffuse(self, u: Array, times: int, fine: int) -> Array:
        """s [S, times, X] of the diffusion-reaction equation with source u [S, X], `fine` steps between two times."""
        s = np.empty((len(u), times, u.shape[1]))
        self._kernels("diffusion_reaction", X=u.shape[1], FINE=fine)(u, s)
        return s

    def data(self, problem: str, count: int, seed: int) -> Data:
        """`count` functions with 101 sensors, and the operator on all places (of 31 x 31, for diffusion-reaction)."""
        u = self.draw(count, seed)
        sensors = np.ascontiguousarray(u[:, ::2]).astype(np.float32)
        if problem == "diffusion-reaction":
            step = (self.places - 1) // 40
            s = self.diffuse(np.ascontiguousarray(u[:, ::step]), 31, 2)
            x, t = np.linspace(0, 1, s.shape[2]), np.linspace(0, 1, 31)
            places = np.stack(np.broadcast_arrays(x[None, :], t[:, None]), axis=2).reshape(-1, 2)
            return Data(sensors, places.astype(np.float32), s.reshape(count, -1).astype(np.float32))
        s = self.solve(u, problem)
        places = np.linspace(0, 1, s.shape[1])[:, None]
        return Data(sensors, places.astype(np.float32), s.astype(np.float32))
