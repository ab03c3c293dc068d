"""The encoder of all-MiniLM-L6-v2: BERT (Devlin et al. 2019), the mean over tokens, and normalization.

Sentences need no padding: their tokens lie one after another in the rows of one matrix, which is all that the linear
layers see, and attention works on runs of sentences of equal length. Everything but the linear layers is NumPy, f32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from minilm.linear import Linear
from minilm.weights import F32, Model

MAX_ROWS = 1024
"""Tokens in a batch, unless one sentence alone has more."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Sentences ordered by length. `ids` and `positions` int64 [rows]; `runs` are (sentences, tokens in each)."""

    sentences: tuple[int, ...]
    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    runs: tuple[tuple[int, int], ...]

    def split(self, rows: F32) -> Iterator[F32]:
        """`rows` [rows, width] cut into the runs: [sentences, tokens, width] each."""
        start = 0
        for count, length in self.runs:
            yield rows[start : start + count * length].reshape(count, length, -1)
            start += count * length


def make_batches(token_ids: Sequence[Sequence[int]], max_rows: int = MAX_ROWS) -> list[Batch]:
    """Batches of at most `max_rows` tokens that hold every sentence of `token_ids` once, the shortest first."""
    batches: list[list[int]] = []
    rows = max_rows
    for sentence in sorted(range(len(token_ids)), key=lambda index: len(token_ids[index])):
        rows += len(token_ids[sentence])
        if rows > max_rows:
            batches.append([])
            rows = len(token_ids[sentence])
        batches[-1].append(sentence)
    return [_make_batch(sentences, token_ids) for sentences in batches]


def _make_batch(sentences: Sequence[int], token_ids: Sequence[Sequence[int]]) -> Batch:
    lengths = [len(token_ids[sentence]) for sentence in sentences]
    return Batch(
        sentences=tuple(sentences),
        ids=np.concatenate([np.asarray(token_ids[sentence], np.int64) for sentence in sentences]),
        positions=np.concatenate([np.arange(length) for length in lengths]),
        runs=tuple((len(list(same)), length) for length, same in groupby(lengths)),
    )


def embed(model: Model, linear: Linear, batch: Batch) -> F32:
    """The embeddings f32 [sentences, hidden] of `batch`, of length 1, with `linear` for every linear layer."""
    hidden = _embed_tokens(model, batch)
    for layer in range(model.config.layers):
        hidden = _encode(model, linear, batch, hidden, f"encoder.layer.{layer}")
    pooled = np.concatenate([run.mean(axis=1) for run in batch.split(hidden)])
    embeddings: F32 = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    return embeddings


def _embed_tokens(model: Model, batch: Batch) -> F32:
    tensors = model.tensors
    summed = (
        tensors["embeddings.word_embeddings.weight"][batch.ids]
        + tensors["embeddings.position_embeddings.weight"][batch.positions]
        + tensors["embeddings.token_type_embeddings.weight"][0]
    )
    return _normalize(model, "embeddings", summed)


def _encode(model: Model, linear: Linear, batch: Batch, hidden: F32, layer: str) -> F32:
    def project(x: F32, name: str) -> F32:
        return linear(x, f"{layer}.{name}") + model.tensors[f"{layer}.{name}.bias"]

    query, key, value = (project(hidden, f"attention.self.{name}") for name in ("query", "key", "value"))
    runs = zip(batch.split(query), batch.split(key), batch.split(value), strict=True)
    context = np.concatenate([attention(q, k, v, model.config.heads).reshape(-1, hidden.shape[1]) for q, k, v in runs])
    hidden = _normalize(model, f"{layer}.attention.output", hidden + project(context, "attention.output.dense"))
    widened = gelu(project(hidden, "intermediate.dense"))
    return _normalize(model, f"{layer}.output", hidden + project(widened, "output.dense"))


def _normalize(model: Model, name: str, x: F32) -> F32:
    weight, bias = model.tensors[f"{name}.LayerNorm.weight"], model.tensors[f"{name}.LayerNorm.bias"]
    return layer_norm(x, weight, bias, model.config.epsilon)


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
