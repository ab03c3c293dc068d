"""Tables of bytes looked up in vectors: of every length, with the instructions of every processor that has some."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, memory, run, zeros
from vmc.backends import cpu
from vmc.backends.cpu.levels import LEVELS, TABLE
from vmc.backends.cpu.target import missing
from vmc.ir.core import Table
from vmc.ir.types import dtype

M, K, N = 4, 32, 48
MASKED = ["", "-avx512vbmi", "-avx512vbmi,-avx512vnni,-gfni"]
OPTIONS = [cpu.Options(features=features) for features in MASKED] + [
    level.options() for level in TABLE if not missing(level)
]
NAMES = [features or "host" for features in MASKED] + [level.name for level in TABLE if not missing(level)]


def tables(length: int) -> list[np.ndarray]:
    """Random bytes; bytes whose halves are alike; with a sign, the upper half being the lower with the top bit; and
    mirrored at the first one.
    """
    rng = np.random.default_rng(length)
    half, middle = rng.integers(0, 128, length // 2), 127
    above = np.concatenate([[0], rng.integers(-127, 128, length // 2 - 1)])
    return [
        rng.integers(0, 256, length),
        np.concatenate([half, half]),
        np.concatenate([half, half | 128]),
        np.concatenate([middle + above, middle - above]),
    ]


def looked_up(width: int, entries: np.ndarray, type: str) -> Sketch:
    """The product of i8 and the entries of a table that codes of w choose."""
    sketch = Sketch()
    q, w = sketch.take("i8", (M, K)), sketch.take(f"u{width}", (K, N))
    table = sketch.b("table", table=Table.of(dtype(type), entries.astype(dtype(type).code_dtype)))
    sums = sketch.b.constant("i32", 0, (M, N))
    sketch.give(sketch.b("dot", q, sketch.b("take", table, w, axis=0), sums))
    return sketch


@pytest.mark.parametrize("kind", range(4), ids=["random", "alike halves", "signed", "mirrored"])
@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_entries_are_those_of_the_table(options: cpu.Options, width: int, kind: int) -> None:
    entries = tables(1 << width)[kind]
    rng = np.random.default_rng(kind)
    q, codes = rng.integers(-128, 128, (M, K)), rng.integers(0, 1 << width, (K, N))
    kernel = looked_up(width, entries, "u8").kernel()
    given = [memory("i8", q.astype(np.uint8)), memory(f"u{width}", codes.astype(np.uint8)), zeros(kernel.params[2])]
    found = run(kernel, given, cpu=options.cpu, features=options.features, opt_level=2)[2]
    np.testing.assert_array_equal(found.view(np.int32).reshape(M, N), q @ entries[codes])


@pytest.mark.parametrize("width", [3, 4, 6, 8])
@pytest.mark.parametrize("level", [level.name for level in TABLE if not missing(level)])
def test_entries_of_sixteen_bits_are_put_together(level: str, width: int) -> None:
    """Numbers of bf16, multiplied in f32; small integers, whose sums are exact."""
    type, options = dtype("bf16"), LEVELS[level].options()
    rng = np.random.default_rng(width)
    numbers = rng.integers(-200, 200, 1 << width).astype(np.float64)
    x, codes = rng.integers(-8, 8, (M, K)), rng.integers(0, 1 << width, (K, N))
    sketch = Sketch()
    left, w = sketch.take("bf16", (M, K)), sketch.take(f"u{width}", (K, N))
    table = sketch.b("table", table=Table.of(type, type.encode(numbers)))
    sketch.give(sketch.b("dot", left, sketch.b("take", table, w, axis=0), sketch.b.constant("f32", 0, (M, N))))
    kernel = sketch.kernel()
    given = [memory("bf16", type.encode(x)), memory(f"u{width}", codes.astype(np.uint8)), zeros(kernel.params[2])]
    found = run(kernel, given, cpu=options.cpu, features=options.features, opt_level=2)[2]
    np.testing.assert_array_equal(found.view(np.float32).reshape(M, N), x @ type.decode(type.encode(numbers))[codes])
