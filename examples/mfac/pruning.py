"""Pruning softmax regression: by magnitude, by the diagonal of F^-1, and with the correction of what stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mfac.inverse import Static, kernel

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

DAMP = 1e-5
"""The paper's lambda."""


@dataclass(frozen=True)
class Examples:
    """Features float32 [n, f], of which the last is 1, and labels int32 [n] below `classes`."""

    x: F32
    label: I32
    classes: int

    @property
    def shape(self) -> dict[str, int]:
        return {"C": self.classes, "F": self.x.shape[1]}


def gradients(data: Examples, w: F32) -> F32:
    """Of the loss of each example by w [classes, f], float32 [n, classes * f]."""
    g = np.empty((len(data.x), w.size), np.float32)
    kernel("gradients", "cpu", **data.shape)(data.x, data.label, w, g)
    return g


def train(data: Examples, steps: int, rate: float = 1.0, decay: float = 1e-3) -> F32:
    """Weights float32 [classes, f] by gradient descent."""
    w = np.zeros((data.classes, data.x.shape[1]), np.float32)
    for _ in range(steps):
        kernel("descend", "cpu")(rate, decay, gradients(data, w), w.reshape(-1))
    return w


def judge(data: Examples, w: F32) -> tuple[float, float]:
    """The mean loss and the share of labels that have the largest logit."""
    loss, right = np.empty(len(data.x), np.float32), np.empty(len(data.x), np.int32)
    kernel("judge", "cpu", **data.shape)(data.x, data.label, w, loss, right)
    return float(loss.mean()), float(right.mean())


def magnitude(w: F32, share: float) -> F32:
    """w without the least `share` of its weights."""
    flat = w.reshape(-1).copy()
    kernel("apply", "cpu", T="f32")(np.zeros_like(flat), chosen(flat, np.ones_like(flat), share), flat)
    return flat.reshape(w.shape)


def by_loss(w: F32, inverse: Static, share: float, correct: bool) -> F32:
    """w without the `share` whose loss counts least; what stays is moved to make up for it if `correct`."""
    flat = w.reshape(-1).copy()
    diagonal = inverse.diagonal().astype(np.float32)
    dropped = chosen(flat, diagonal, share)
    step = np.zeros_like(flat)
    if correct:
        delta = np.empty_like(inverse.diagonal())
        kernel("removal", "cpu", T=inverse.type.name)(flat.astype(inverse.type), inverse.diagonal(), dropped, delta)
        step = inverse.product(delta).astype(np.float32)
    kernel("apply", "cpu", T="f32")(step, dropped, flat)
    return flat.reshape(w.shape)


def chosen(w: F32, diagonal: F32, share: float) -> npt.NDArray[np.uint8]:
    """Which weights are dropped, uint8 [d]."""
    scores, dropped = np.empty_like(w), np.empty(w.size, np.uint8)
    kernel("scores", "cpu", T="f32")(w, diagonal, scores)
    kernel("smallest", "cpu")(int(share * w.size), scores, dropped)
    return dropped
