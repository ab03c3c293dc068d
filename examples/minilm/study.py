"""The study itself: embed the sentences in f32, then once for each type, and compare every result with the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from time import perf_counter
from types import MappingProxyType

import numpy as np

from minilm.agreement import Agreement, compare
from minilm.between import NUMPY, Between, VmcBetween
from minilm.linear import Linear, NumpyLinear, VmcLinear, dense
from minilm.model import Batch, embed, make_batches
from minilm.peers import Embed
from minilm.quantize import Quantized, quantize
from minilm.tokenizer import Tokenizer
from minilm.weights import F32, Config, Model

PASSES = 3
"""How often all sentences are embedded, one after another; the median is reported."""


@dataclass(frozen=True)
class Engine:
    """What computes with quantized weights: the products, and all between them."""

    linear: type[NumpyLinear] | type[VmcLinear]
    between: Callable[[Config], Between]


ENGINES: Mapping[str, Engine] = {
    "vmc": Engine(VmcLinear, cache(VmcBetween)),
    "numpy": Engine(NumpyLinear, lambda config: NUMPY),
}

Step = Callable[[str], None]
"""Told after each step what is being done; `steps` says how many there are."""

NO_PEERS: Mapping[str, Embed] = MappingProxyType({})


@dataclass(frozen=True)
class Result:
    """One row of the study: a type of the weights, or the f32 model by NumPy or another library.

    `weight_bytes` are those of the matrices of the linear layers with their scales, `bits` the same per weight. The
    times are seconds: `quantize` once for the model, `prepare` to compile the kernels and pack the weights, `embed`
    for all sentences (the median of PASSES).
    """

    type: str
    weight_bytes: int
    bits: float
    agreement: Agreement
    quantize: float
    prepare: float
    embed: float


class Study:
    """A model and sentences, in batches, with the f32 embeddings that results are compared with once `run` began."""

    def __init__(self, model: Model, sentences: Sequence[str]) -> None:
        tokenizer = Tokenizer(model.vocabulary, model.config.max_tokens)
        self._model = model
        self._batches = make_batches([tokenizer.encode(sentence) for sentence in sentences])

    def steps(self, types: Sequence[str], peers: Sequence[str] = ()) -> int:
        """How often `run` will call `step`: for every layer when it is quantized, and for every batch."""
        rows = 1 + len(peers) + len(types)
        return PASSES * len(self._batches) * rows + len(self._model.linear) * len(types)

    def run(
        self, types: Sequence[str], group: int, engine: str, step: Step, peers: Mapping[str, Embed] = NO_PEERS
    ) -> Iterator[Result]:
        """The result of f32 by NumPy and by the peers, then of each of `types` with a scale for `group` weights.

        `engine` is from ENGINES.
        """
        linear = dense(self._model.linear)
        reference, seconds = self._embed(lambda batch: embed(self._model, linear, batch), lambda: step("f32"))
        yield self._of_f32("f32", reference, reference, seconds)
        for name, by_peer in peers.items():
            embeddings, seconds = self._embed(by_peer, lambda name=name: step(name))  # type: ignore[misc]
            yield self._of_f32(name, reference, embeddings, seconds)
        for name in types:
            yield self._measure(name, group, ENGINES[engine], reference, step)

    def _of_f32(self, name: str, reference: F32, embeddings: F32, seconds: float) -> Result:
        size = sum(weight.nbytes for weight in self._model.linear.values())
        return Result(name, size, 32.0, compare(reference, embeddings), 0.0, 0.0, seconds)

    def _measure(self, name: str, group: int, engine: Engine, reference: F32, step: Step) -> Result:
        started = perf_counter()
        layers = self._quantize(name, group, lambda: step(f"{name}: quantizing"))
        quantized = perf_counter()
        linear, between = engine.linear(layers), engine.between(self._model.config)
        prepared = perf_counter()
        embeddings, seconds = self._embed(
            lambda batch: embed(self._model, linear, batch, between), lambda: step(f"{name}: embedding")
        )
        size = linear.weight_bytes + sum(layer.scales.nbytes for layer in layers.values())
        return Result(
            type=name,
            weight_bytes=size,
            bits=8 * size / sum(layer.codes.size for layer in layers.values()),
            agreement=compare(reference, embeddings),
            quantize=quantized - started,
            prepare=prepared - quantized,
            embed=seconds,
        )

    def _quantize(self, name: str, group: int, step: Callable[[], None]) -> dict[str, Quantized]:
        layers = {}
        for layer, weight in self._model.linear.items():
            layers[layer] = quantize(weight, name, group)
            step()
        return layers

    def _embed(self, by: Embed, step: Callable[[], None]) -> tuple[F32, float]:
        """The embeddings of all sentences, and the seconds that takes."""

        def stepping(batch: Batch) -> F32:
            found = by(batch)
            step()
            return found

        times = []
        for _ in range(PASSES):
            started = perf_counter()
            embeddings = embed_batches(self._model, stepping, self._batches)
            times.append(perf_counter() - started)
        return embeddings, median(times)


def embed_all(model: Model, linear: Linear, batches: Sequence[Batch]) -> F32:
    """The embeddings of the sentences of `batches`, in the order of the sentences."""
    return embed_batches(model, lambda batch: embed(model, linear, batch), batches)


def embed_batches(model: Model, by: Embed, batches: Sequence[Batch]) -> F32:
    """As `embed_all`, by any function that embeds a batch."""
    count = sum(len(batch.sentences) for batch in batches)
    embeddings = np.empty((count, model.config.hidden), np.float32)
    for batch in batches:
        embeddings[list(batch.sentences)] = by(batch)
    return embeddings
