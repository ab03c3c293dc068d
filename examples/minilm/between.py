"""What the encoder computes between its linear layers, whose biases are added here: by NumPy, or by vmc's kernels in
encoder.vmc.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

import vmc
from minilm.linear import KERNELS
from minilm.weights import F32, Config

Runs = tuple[tuple[int, int], ...]
"""How rows divide into sentences: (sentences, tokens in each), again and again."""


class Between(Protocol):
    """All f32. What a method returns may be the memory of its first argument."""

    def attention(self, projected: Sequence[F32], biases: Sequence[F32], runs: Runs, heads: int) -> F32:
        """Attention of every token to all of its sentence. `projected` are queries, keys and values [rows, width]."""
        ...

    def gelu(self, x: F32, bias: F32) -> F32:
        """gelu(x + bias)."""
        ...

    def normalize(self, x: F32, bias: F32, residual: F32, weight: F32, shift: F32, epsilon: float) -> F32:
        """Rows of x + bias + residual at mean 0 and variance 1, times `weight` plus `shift`."""
        ...


class NumpyBetween:
    """By NumPy."""

    def attention(self, projected: Sequence[F32], biases: Sequence[F32], runs: Runs, heads: int) -> F32:
        sums = [x + bias for x, bias in zip(projected, biases, strict=True)]
        found = [attention(q, k, v, heads) for q, k, v in zip(*(split(x, runs) for x in sums), strict=True)]
        return np.concatenate([run.reshape(-1, run.shape[-1]) for run in found])

    def gelu(self, x: F32, bias: F32) -> F32:
        return gelu(x + bias)

    def normalize(self, x: F32, bias: F32, residual: F32, weight: F32, shift: F32, epsilon: float) -> F32:
        return layer_norm(x + bias + residual, weight, shift, epsilon)


class VmcBetween:
    """By the kernels, compiled for the model when made."""

    def __init__(self, config: Config) -> None:
        self._attention = vmc.compile(KERNELS, "attention", D=config.hidden // config.heads).prepare()
        self._gelu = vmc.compile(KERNELS, "add_gelu", H=config.widened).prepare()
        self._normalize = vmc.compile(KERNELS, "add_normalize", H=config.hidden).prepare()

    def attention(self, projected: Sequence[F32], biases: Sequence[F32], runs: Runs, heads: int) -> F32:
        mixed = np.empty_like(projected[0])
        for q, k, v, y in zip(*(split(x, runs) for x in (*projected, mixed)), strict=True):
            self._attention(q, k, v, *biases, y)
        return mixed

    def gelu(self, x: F32, bias: F32) -> F32:
        self._gelu(x, bias)
        return x

    def normalize(self, x: F32, bias: F32, residual: F32, weight: F32, shift: F32, epsilon: float) -> F32:
        y = np.empty_like(x)
        self._normalize(x, bias, residual, weight, shift, epsilon, y)
        return y


def split(rows: F32, runs: Runs) -> Iterator[F32]:
    """`rows` [rows, width] cut into the runs: [sentences, tokens, width] each, of the same memory."""
    start = 0
    for count, length in runs:
        yield rows[start : start + count * length].reshape(count, length, -1)
        start += count * length


def attention(query: F32, key: F32, value: F32, heads: int) -> F32:
    """Attention of every token to all of its sentence; arguments and result f32 [sentences, tokens, heads * depth]."""
    sentences, tokens, width = query.shape
    depth = width // heads
    q, k, v = (x.reshape(sentences, tokens, heads, depth).transpose(0, 2, 1, 3) for x in (query, key, value))
    scores = q @ k.transpose(0, 1, 3, 2) / np.float32(depth**0.5)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed: F32 = (weights @ v).transpose(0, 2, 1, 3).reshape(sentences, tokens, width)
    return mixed


def layer_norm(x: F32, weight: F32, bias: F32, epsilon: float) -> F32:
    """Rows of `x` shifted and scaled to mean 0 and variance 1, then times `weight` plus `bias`."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normalized: F32 = centred / np.sqrt(variance + np.float32(epsilon)) * weight + bias
    return normalized


def gelu(x: F32) -> F32:
    """x * Phi(x), Phi being the normal distribution function (Hendrycks and Gimpel 2016), not its tanh stand-in."""
    result: F32 = np.float32(0.5) * x * (1 + erf(x * np.float32(0.5**0.5)))
    return result


def erf(x: F32) -> F32:
    """The error function to 3e-7, by formula 7.1.26 of Abramowitz and Stegun, Handbook of Mathematical Functions."""
    magnitude = np.abs(x)
    t = np.float32(1) / (1 + np.float32(0.3275911) * magnitude)
    series: F32 = np.zeros_like(x)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(coefficient)) * t
    result: F32 = np.copysign(1 - series * np.exp(-np.square(magnitude)), x)
    return result


NUMPY = NumpyBetween()
