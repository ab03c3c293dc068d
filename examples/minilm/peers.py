"""The same encoder in f32 by other libraries, where they are installed: torch and ONNX Runtime.

Both get the tensors of the model and the runs of sentences of equal length, without padding. torch multiplies the rows
of a whole batch at once, as vmc does; ONNX Runtime, whose graph has one shape of sentences, takes a run at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from minilm.model import Batch
from minilm.weights import F32, Model

Embed = Callable[[Batch], F32]
"""The embeddings f32 [sentences, hidden] of a batch."""


class MissingLibraryError(Exception):
    """A peer that is not installed; the text says how to install it."""


def library(name: str, install: str) -> Any:
    """The module of that name. Raises MissingLibraryError."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingLibraryError(
            f"{name} is not installed, so that it is not compared (pip install {install})"
        ) from None


def torch_encoder(model: Model) -> Embed:
    """By torch's operations. Raises MissingLibraryError."""
    torch = library("torch", "torch")
    functional = torch.nn.functional
    tensors = {name: torch.from_numpy(tensor) for name, tensor in model.tensors.items()}
    weights = {name: torch.from_numpy(np.ascontiguousarray(weight.T)) for name, weight in model.linear.items()}

    def linear(x: Any, name: str) -> Any:
        return functional.linear(x, weights[name], tensors[f"{name}.bias"])

    def normalized(x: Any, block: str) -> Any:
        weight, shift = (tensors[f"{block}.LayerNorm.{kind}"] for kind in ("weight", "bias"))
        return functional.layer_norm(x, x.shape[-1:], weight, shift, model.config.epsilon)

    def attention(hidden: Any, layer: str, batch: Batch) -> Any:
        projected = (linear(hidden, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        pieces = zip(*(x.split([count * length for count, length in batch.runs]) for x in projected), strict=True)
        return torch.cat([attended(piece, run) for piece, run in zip(pieces, batch.runs, strict=True)])

    def attended(piece: Sequence[Any], run: tuple[int, int]) -> Any:
        q, k, v = (x.view(*run, model.config.heads, -1).transpose(1, 2) for x in piece)
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(run[0] * run[1], -1)

    def encoded(hidden: Any, layer: str, batch: Batch) -> Any:
        mixed = linear(attention(hidden, layer, batch), f"{layer}.attention.output.dense")
        hidden = normalized(hidden + mixed, f"{layer}.attention.output")
        widened = functional.gelu(linear(hidden, f"{layer}.intermediate.dense"))
        return normalized(hidden + linear(widened, f"{layer}.output.dense"), f"{layer}.output")

    def embed(batch: Batch) -> F32:
        with torch.inference_mode():
            summed = (
                tensors["embeddings.word_embeddings.weight"][torch.from_numpy(batch.ids)]
                + tensors["embeddings.position_embeddings.weight"][torch.from_numpy(batch.positions)]
                + tensors["embeddings.token_type_embeddings.weight"][0]
            )
            hidden = normalized(summed, "embeddings")
            for layer in range(model.config.layers):
                hidden = encoded(hidden, f"encoder.layer.{layer}", batch)
            runs = zip(hidden.split([count * length for count, length in batch.runs]), batch.runs, strict=True)
            pooled = torch.cat([rows.view(*run, -1).mean(dim=1) for rows, run in runs])
            return np.asarray(functional.normalize(pooled).numpy())

    return embed


def onnx_encoder(model: Model) -> Embed:
    """By ONNX Runtime, with its fused attention, gelu and layer normalization. Raises MissingLibraryError."""
    runtime = library("onnxruntime", "onnxruntime onnx")
    graph = OnnxGraph(model, library("onnx", "onnxruntime onnx")).build()
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def embed(batch: Batch) -> F32:
        found, start = [], 0
        for run in batch.runs:
            rows = slice(start, start := start + run[0] * run[1])
            inputs = {"ids": batch.ids[rows].reshape(run), "positions": batch.positions[rows].reshape(run)}
            found += session.run(None, inputs)
        return np.concatenate(found)

    return embed


class OnnxGraph:
    """The encoder as an ONNX model of `ids` and `positions`, i64 [sentences, tokens]."""

    def __init__(self, model: Model, onnx: Any) -> None:
        self._model, self._onnx = model, onnx
        self._nodes: list[Any] = []
        self._tensors: dict[str, F32] = {}

    def build(self) -> bytes:
        """The model, serialized."""
        hidden = self._embedded()
        for layer in range(self._model.config.layers):
            hidden = self._encoded(hidden, f"encoder.layer.{layer}")
        self._tensors["tokens"] = np.array([1], np.int64)
        mean = self._node("ReduceMean", hidden, "tokens", keepdims=0)
        self._node("LpNormalization", mean, name="embeddings", axis=-1, p=2)
        return self._serialized()

    def _embedded(self) -> str:
        words, positions, kind = (
            self._tensor(f"embeddings.{name}_embeddings.weight") for name in ("word", "position", "token_type")
        )
        self._tensors[kind] = self._model.tensors[kind][0]
        both = self._node("Add", self._node("Gather", words, "ids"), self._node("Gather", positions, "positions"))
        return self._normalized(self._node("Add", both, kind), "embeddings")

    def _encoded(self, hidden: str, layer: str) -> str:
        projected = [self._linear(hidden, f"{layer}.attention.self.{name}") for name in ("query", "key", "value")]
        heads = self._model.config.heads
        context = self._node("MultiHeadAttention", *projected, domain="com.microsoft", num_heads=heads)
        mixed = self._linear(context, f"{layer}.attention.output.dense")
        hidden = self._normalized(self._node("Add", hidden, mixed), f"{layer}.attention.output")
        widened = self._node("Gelu", self._linear(hidden, f"{layer}.intermediate.dense"), domain="com.microsoft")
        return self._normalized(
            self._node("Add", hidden, self._linear(widened, f"{layer}.output.dense")), f"{layer}.output"
        )

    def _linear(self, x: str, name: str) -> str:
        self._tensors[f"{name}.weight"] = self._model.linear[name]
        return self._node("Add", self._node("MatMul", x, f"{name}.weight"), self._tensor(f"{name}.bias"))

    def _normalized(self, x: str, block: str) -> str:
        weight, shift = (self._tensor(f"{block}.LayerNorm.{kind}") for kind in ("weight", "bias"))
        return self._node("LayerNormalization", x, weight, shift, axis=-1, epsilon=self._model.config.epsilon)

    def _tensor(self, name: str) -> str:
        self._tensors[name] = self._model.tensors[name]
        return name

    def _node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        result = name or f"{operator}.{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), [result], **attributes))
        return result

    def _serialized(self) -> bytes:
        make, types = self._onnx.helper, self._onnx.TensorProto
        inputs = [make.make_tensor_value_info(name, types.INT64, ["S", "L"]) for name in ("ids", "positions")]
        output = make.make_tensor_value_info("embeddings", types.FLOAT, ["S", self._model.config.hidden])
        tensors = [self._onnx.numpy_helper.from_array(array, name) for name, array in self._tensors.items()]
        graph = make.make_graph(self._nodes, "encoder", inputs, [output], tensors)
        versions = [make.make_opsetid("", 18), make.make_opsetid("com.microsoft", 1)]
        serialized: bytes = make.make_model(graph, opset_imports=versions, ir_version=10).SerializeToString()
        return serialized


PEERS: Mapping[str, Callable[[Model], Embed]] = {"torch": torch_encoder, "ORT": onnx_encoder}
"""Rows of the study's table."""
