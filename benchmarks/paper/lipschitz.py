"""Local Lipschitz constants: one step of the bounds, forward and through the gradient, against torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from lipschitz.bounds import Lipschitz, Network
from networks.kernels import Layers

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """64 cases of 64 rows through 128 units; 4 of 16 through 32 where `quick`."""
    p, s, n = (4, 16, 32) if quick else (64, 64, 128)
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.standard_normal(shape, np.float32)

    lipschitz = Lipschitz(Layers(), Network((), ()))
    a, bias, w, b = normal(p, s, n), normal(p, s), normal(n, n), normal(n)
    low, high = -np.abs(normal(p, n)), np.abs(normal(p, n)) - np.float32(0.3)
    high = np.maximum(high, low)
    out, shifted = np.empty((p, s, n), np.float32), np.empty((p, s), np.float32)
    ta, tbias, tw, tb, tl, tu = map(torch.from_numpy, (a, bias, w, b, low, high))

    def crown() -> tuple[torch.Tensor, torch.Tensor]:
        open_, on = (tl < 0) & (tu > 0), tl >= 0
        chord = torch.where(open_, tu / (tu - tl).clamp(min=1e-30), on.float())[:, None]
        below = torch.where(open_, (tu > -tl).float(), on.float())[:, None]
        plus, minus = ta.clamp(min=0), ta.clamp(max=0)
        slope = plus * chord + minus * below
        shift = torch.where(open_, -tl * chord[:, 0], torch.zeros(()))
        return slope @ tw, tbias + slope @ tb + torch.einsum("psn,pn->ps", plus, shift)

    kernel = lipschitz.kernel("crown_backward_layer")

    def ours() -> None:
        kernel(a, bias, low, high, w, b, out, shifted)

    def apart() -> float:
        ours()
        slope, shift = crown()
        return float(max(np.abs(out - slope.numpy()).max(), np.abs(shifted - shift.numpy()).max()))

    yield Contest(f"crown layer {p} x {s} x {n}", "torch", ours, crown, apart, 1e-2)
    gl, gh = -np.abs(normal(p, n)), np.abs(normal(p, n))
    tgl, tgh = torch.from_numpy(gl), torch.from_numpy(gh)

    def relaxed() -> tuple[torch.Tensor, torch.Tensor]:
        open_, on = ((tl < 0) & (tu > 0))[:, None], (tl >= 0)[:, None]
        gap = (tgh - tgl)[:, None]
        either = torch.where(ta > 0, tgh[:, None] / gap, -tgl[:, None] / gap)
        slope = ta * torch.where(on, torch.ones(()), torch.where(open_, either, torch.zeros(())))
        shift = torch.where(open_, ta.abs() * (-tgh * tgl)[:, None] / gap, torch.zeros(()))
        return slope @ tw.T, tbias + shift.sum(dim=2)

    relax = lipschitz.kernel("grad_relax_layer", WAY=0)

    def ours_back() -> None:
        relax(a, bias, low, high, gl, gh, w, out, shifted)

    def apart_back() -> float:
        ours_back()
        slope, shift = relaxed()
        return float(max(np.abs(out - slope.numpy()).max(), np.abs(shifted - shift.numpy()).max()))

    yield Contest(f"gradient layer {p} x {s} x {n}", "torch", ours_back, relaxed, apart_back, 1e-2)
