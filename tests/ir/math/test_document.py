"""docs/math.md: its example runs, and its table counts the operations of the expansions as they are."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Op, TileType
from vmc.ir.math.functions import FUNCTIONS
from vmc.ir.types import dtype

DOCUMENT = Path(__file__).parents[3] / "docs" / "math.md"
ROW = re.compile(r"^\| (\w+) \| [\d.]+ \| \w+ \| [^|]+ \| (\d+) \| (\d+) \|$", re.MULTILINE)


def operations(op: Op) -> int:
    if not op.definition.composite:
        return int(op.name != "constant")
    build = Builder()
    op.definition.expand(build, op)
    return sum(map(operations, build.ops))


def test_the_example_runs() -> None:
    failures, tried = doctest.testfile(str(DOCUMENT), module_relative=False)
    assert tried > 0 and failures == 0


def test_the_table_counts_the_operations_of_every_function() -> None:
    counts = {}
    for function in FUNCTIONS:
        row = []
        for kind in ("f32", "f64"):
            build = Builder()
            build(function.name, *(argument(TileType(dtype(kind))) for _ in range(function.arity)))
            row.append(operations(build.ops[0]))
        counts[function.name] = tuple(row)
    assert {name: (int(f32), int(f64)) for name, f32, f64 in ROW.findall(DOCUMENT.read_text("utf-8"))} == counts
