"""Executes operations on arrays through their definitions and expansions alone: the smallest possible machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Op, TileType, Value
from vmc.ir.types import DType, dtype

Array = np.ndarray[Any, Any]
Execute = Callable[..., Array]


class Machine:
    """An evaluator for elementwise operations: composite ones by their expansion, others by their meaning."""

    def run(self, ops: Sequence[Op], values: dict[Value, Any]) -> None:
        for op in ops:
            operands = [values[operand] for operand in op.operands]
            results = op.definition.evaluate(self, op, operands)  # type: ignore[arg-type]
            values.update(zip(op.results, results, strict=True))

    def expand(self, op: Op, operands: Sequence[Array]) -> tuple[Array, ...]:
        build = Builder()
        results = op.definition.expand(build, op)
        values = dict(zip(op.operands, operands, strict=True))
        self.run(build.ops, values)
        return tuple(values[result] for result in results)


def execute(name: str, kind: DType | str, *arrays: Array, **attrs: Any) -> Array:
    """One operation on tiles of one dtype (other dtypes: pairs of dtype and array)."""
    kinds = [dtype(array[0]) if isinstance(array, tuple) else dtype(kind) for array in arrays]
    tiles = [array[1] if isinstance(array, tuple) else array for array in arrays]
    operands = [argument(TileType(k, tile.shape)) for k, tile in zip(kinds, tiles, strict=True)]
    build = Builder()
    result = build(name, *operands, **attrs)
    values: dict[Value, Any] = dict(zip(operands, tiles, strict=True))
    Machine().run(build.ops, values)
    return np.asarray(values[result])


@pytest.fixture(scope="session")
def run_op() -> Execute:
    """`run_op(name, dtype, *tiles, **attrs)`: the result tile of one operation."""
    return execute
