"""Interval bounds: linear layers and convolutions of boxes against torch, which reads weights and activations twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from ibp.boxes import Box, Ibp, convolution, linear
from networks.kernels import Array, Layers

from benchmarks.paper.contest import Contest


def contests(quick: bool) -> Iterator[Contest]:
    """256 boxes through 512 x 512, and 32 images of 16 channels of 28 x 28; a few of each where `quick`."""
    rows, width, images = (16, 64, 1) if quick else (256, 512, 32)
    ibp = Ibp(Layers())
    rng = np.random.default_rng(0)
    c, r, w = (rng.standard_normal(shape, np.float32) for shape in ((rows, width), (rows, width), (width, width)))
    b = np.zeros(width, np.float32)
    box = Box(c, np.abs(r))
    yield contest(f"linear {rows} x {width} x {width}", lambda: linear(ibp, box, w, b), lambda: boxes(box, w))
    c, r, k = (rng.standard_normal(s, np.float32) for s in ((images, 16, 28, 28), (images, 16, 28, 28), (16, 16, 3, 3)))
    image, bias = Box(c, np.abs(r)), np.zeros(16, np.float32)
    name = f"convolution {images} x 16 x 28 x 28"
    yield contest(name, lambda: convolution(ibp, image, k, bias), lambda: images_of(image, k))


def contest(name: str, ours: object, theirs: object) -> Contest:
    def apart() -> float:
        found, (c, r) = ours(), theirs()  # type: ignore[operator]
        return float(max(np.abs(found.c - c.numpy()).max(), np.abs(found.r - r.numpy()).max()))

    return Contest(name, "torch", ours, theirs, apart, 1e-2)  # type: ignore[arg-type]


def boxes(box: Box, w: Array) -> tuple[torch.Tensor, torch.Tensor]:
    tc, tr, tw = map(torch.from_numpy, (box.c, box.r, w))
    return tc @ tw.T, tr @ tw.abs().T


def images_of(box: Box, w: Array) -> tuple[torch.Tensor, torch.Tensor]:
    tc, tr, tw = map(torch.from_numpy, (box.c, box.r, w))
    convolve = torch.nn.functional.conv2d
    return convolve(tc, tw, padding=1), convolve(tr, tw.abs(), padding=1)
