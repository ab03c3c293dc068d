"""The study itself: embed the sentences in f32, then once for each type, and compare every result with the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from minilm.agreement import Agreement, compare
from minilm.linear import Linear, NumpyLinear, VmcLinear, dense
from minilm.model import Batch, embed, make_batches
from minilm.quantize import Quantized, quantize
from minilm.tokenizer import Tokenizer
from minilm.weights import F32, Model

ENGINES: Mapping[str, type[NumpyLinear] | type[VmcLinear]] = {"vmc": VmcLinear, "numpy": NumpyLinear}

Step = Callable[[str], None]
"""Told after each step what is being done; `steps` says how many there are."""


@dataclass(frozen=True)
class Result:
    """One row of the study.

    `weight_bytes` are those of the matrices of the linear layers with their scales, `bits` the same per weight. The
    times are seconds: `quantize` once for the model, `prepare` to compile the kernel and pack the weights, `embed`
    for all sentences.
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

    def steps(self, types: Sequence[str]) -> int:
        """How often `run` will call `step`: for every layer when it is quantized, and for every product."""
        layers = len(self._model.linear)
        return layers * (len(self._batches) * (len(types) + 1) + len(types))

    def run(self, types: Sequence[str], group: int, engine: str, step: Step) -> Iterator[Result]:
        """The result of f32, then of each of `types` with a scale for `group` weights; `engine` is from ENGINES."""
        started = perf_counter()
        reference = self._embed(dense(self._model.linear), lambda: step("f32"))
        size = sum(weight.nbytes for weight in self._model.linear.values())
        seconds = perf_counter() - started
        yield Result("f32", size, 32.0, compare(reference, reference), 0.0, 0.0, seconds)
        for name in types:
            yield self._measure(name, group, engine, reference, step)

    def _measure(self, name: str, group: int, engine: str, reference: F32, step: Step) -> Result:
        started = perf_counter()
        layers = self._quantize(name, group, lambda: step(f"{name}: quantizing"))
        quantized = perf_counter()
        linear = ENGINES[engine](layers)
        prepared = perf_counter()
        embeddings = self._embed(linear, lambda: step(f"{name}: embedding"))
        embedded = perf_counter()
        size = linear.weight_bytes + sum(layer.scales.nbytes for layer in layers.values())
        return Result(
            type=name,
            weight_bytes=size,
            bits=8 * size / sum(layer.codes.size for layer in layers.values()),
            agreement=compare(reference, embeddings),
            quantize=quantized - started,
            prepare=prepared - quantized,
            embed=embedded - prepared,
        )

    def _quantize(self, name: str, group: int, step: Callable[[], None]) -> dict[str, Quantized]:
        layers = {}
        for layer, weight in self._model.linear.items():
            layers[layer] = quantize(weight, name, group)
            step()
        return layers

    def _embed(self, linear: Linear, step: Callable[[], None]) -> F32:
        def stepping(x: F32, layer: str) -> F32:
            product = linear(x, layer)
            step()
            return product

        return embed_all(self._model, stepping, self._batches)


def embed_all(model: Model, linear: Linear, batches: Sequence[Batch]) -> F32:
    """The embeddings of the sentences of `batches`, in the order of the sentences."""
    count = sum(len(batch.sentences) for batch in batches)
    embeddings = np.empty((count, model.config.hidden), np.float32)
    for batch in batches:
        embeddings[list(batch.sentences)] = embed(model, linear, batch)
    return embeddings
