"""What a contender is: a way to store weights, and calls that multiply with them.

A library's module offers `contenders(threads)`, which raises `Missing` where the library is not installed. Weights are
stored once, and loaded once for a number of rows; a loaded copy is called many times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from benchmarks.matmul.problem import Array, Shape, Weights

ERROR_BOUNDS = {"int8": 2e-2, "bf16": 1e-2, "f16": 2e-3, "f32": 1e-5}
"""The relative error (of norms) allowed against float64 with the contender's own weights, by what it computes with."""


class Missing(Exception):
    """A library that is not installed; the text says how to install it."""


@dataclass(frozen=True)
class Product:
    """One loaded copy of the weights: `run` multiplies, `result` is the last product, f32[M, N].

    `before` is called, untimed, when other libraries have run in between.
    """

    run: Callable[[], object]
    result: Callable[[], Array]
    before: Callable[[], object] = lambda: None


class Stored(Protocol):
    """Weights in a contender's format. `nbytes` are those that a product has to read."""

    @property
    def nbytes(self) -> int: ...

    def values(self) -> Array:
        """f32[K, N]: what the stored weights stand for."""
        ...

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        """Products of x, f32[M, K], with that many copies of the weights, each in memory of its own."""
        ...


@dataclass(frozen=True)
class Contender:
    """One row of the table: `bits` of a stored weight without its scale, `compute` a key of `ERROR_BOUNDS`."""

    name: str
    library: str
    type: str
    bits: int
    compute: str
    store: Callable[[Weights], Stored]
    takes: Callable[[Shape], bool] = lambda shape: True

    @property
    def is_peer(self) -> bool:
        return self.library != "vmc"


def library(name: str, install: str) -> Any:
    """The module of that name. Raises Missing with the command that installs it."""
    try:
        return import_module(name)
    except ImportError:
        raise Missing(f"{name} is not installed: {install}") from None
