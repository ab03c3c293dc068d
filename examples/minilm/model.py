"""The encoder of all-MiniLM-L6-v2: BERT (Devlin et al. 2019), the mean over tokens, and normalization.

Sentences need no padding: their tokens lie one after another in the rows of one matrix, which is all that the linear
layers see, and attention works on runs of sentences of equal length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from minilm.between import NUMPY, Between, Runs, split
from minilm.linear import Linear
from minilm.weights import F32, Model

MAX_ROWS = 1024
"""Tokens in a batch, unless one sentence alone has more."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Sentences ordered by length. `ids` and `positions` int64 [rows]; `runs` as of `Runs`."""

    sentences: tuple[int, ...]
    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    runs: Runs


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


def embed(model: Model, linear: Linear, batch: Batch, between: Between = NUMPY) -> F32:
    """The embeddings f32 [sentences, hidden] of `batch`, of length 1, with `linear` for every linear layer."""
    encoder = Encoder(model, linear, between, batch.runs)
    hidden = encoder.embed_tokens(batch)
    for layer in range(model.config.layers):
        hidden = encoder.encode(hidden, f"encoder.layer.{layer}")
    pooled = np.concatenate([run.mean(axis=1) for run in split(hidden, batch.runs)])
    embeddings: F32 = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    return embeddings


@dataclass(frozen=True, eq=False)
class Encoder:
    """The layers of `model`; `linear` multiplies, `between` computes the rest. Rows are sentences as in `runs`."""

    model: Model
    linear: Linear
    between: Between
    runs: Runs

    def embed_tokens(self, batch: Batch) -> F32:
        """The input of the first layer, f32 [rows, hidden]."""
        words, positions, kinds = (
            self.model.tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        return self.normalized("embeddings", words[batch.ids], kinds[0], positions[batch.positions])

    def encode(self, hidden: F32, layer: str) -> F32:
        """One layer."""
        names = [f"{layer}.attention.self.{name}" for name in ("query", "key", "value")]
        projected = [self.linear(hidden, name) for name in names]
        biases = [self.bias(name) for name in names]
        context = self.between.attention(projected, biases, self.runs, self.model.config.heads)
        hidden = self.added(hidden, context, f"{layer}.attention.output")
        wide = f"{layer}.intermediate.dense"
        widened = self.between.gelu(self.linear(hidden, wide), self.bias(wide))
        return self.added(hidden, widened, f"{layer}.output")

    def added(self, hidden: F32, x: F32, block: str) -> F32:
        """`hidden` plus the block's linear layer of x, normalized."""
        name = f"{block}.dense"
        return self.normalized(block, self.linear(x, name), self.bias(name), hidden)

    def normalized(self, block: str, x: F32, bias: F32, residual: F32) -> F32:
        weight, shift = (self.model.tensors[f"{block}.LayerNorm.{kind}"] for kind in ("weight", "bias"))
        return self.between.normalize(x, bias, residual, weight, shift, self.model.config.epsilon)

    def bias(self, layer: str) -> F32:
        return self.model.tensors[f"{layer}.bias"]
