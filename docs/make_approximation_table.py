"""Writes the table of approximations in docs/math.md: operations, and the errors that were recorded.

python docs/make_approximation_table.py
"""

from __future__ import annotations

import math
from pathlib import Path

from vmc.ir.builder import Builder, argument
from vmc.ir.core import TileType
from vmc.ir.math import approximate
from vmc.ir.math.approximation_bounds import BOUNDS
from vmc.ir.math.expression import Expression
from vmc.ir.types import dtype

DOCUMENT = Path(__file__).with_name("math.md")
START, END = "| entry | operations | f32 | f16 | bf16 |\n|---|---|---|---|---|\n", "\n\n"


def operations(name: str) -> int:
    build = Builder()
    approximate.apply(name, Expression(build, argument(TileType(dtype("f32")))))
    return sum(op.name != "constant" for op in build.ops)


def row(name: str) -> str:
    errors = " | ".join(f"2^{math.log2(BOUNDS[name][kind]):.1f}" for kind in ("f32", "f16", "bf16"))
    return f"| `{name}` | {operations(name)} | {errors} |"


def document(text: str) -> str:
    """The document with its table written anew."""
    head, _, rest = text.partition(START)
    tail = rest[rest.index(END) :] if END in rest else "\n"
    return head + START + "\n".join(map(row, approximate.ENTRIES)) + tail


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text("utf-8")), "utf-8")
