"""Writes docs/ir.md, the reference of the tile IR's operations, from their definitions.

python docs/make_ir_reference.py
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from vmc.ir.opdef import OpDef
from vmc.ir.ops import FAMILIES
from vmc.ir.types import ALL_DTYPES, DType

TARGET = Path(__file__).with_name("ir.md")

HEAD = """\
# The tile IR: operations

Written by `docs/make_ir_reference.py` from the definitions in `ir/ops/`; do not edit.

A module holds kernels. A kernel is a pure preamble and one `grid`, whose region is what one block does; values are in
SSA form, and every region ends in `yield`. A *tile* is a value of static shape that a block holds, a scalar a tile of
rank 0; a *tensor* lies in memory and is reached by the memory operations only. Booleans are `u1`, indices are `i64`.
Nothing is implicit: the operands of an elementwise operation have one shape and one dtype.

A definition gives the result types (and refuses what is ill-typed), and the meaning in NumPy, which the reference VM
executes. A *composite* operation is defined by its expansion into others instead, and every target executes that. All
targets give the same bits (any NaN equals any NaN), except for the order of sums in `dot` and `reduce`.

Flags: *effects* has effects beside its results, stays where it is and is never dropped; *reads* and *writes* access
memory; *elementwise* works on each element alone; *composite* is defined by its expansion.
"""


def groups() -> dict[str, frozenset[DType]]:
    """Sets of dtypes that have a name in the tables."""
    integers = frozenset(type for type in ALL_DTYPES if type.is_int)
    wide = frozenset(type for type in ALL_DTYPES if type.name in ("f16", "bf16", "f32", "f64"))
    return {
        "all": frozenset(ALL_DTYPES),
        "integers": integers,
        "f16 bf16 f32 f64": wide,
        "integers, f16 bf16 f32 f64": integers | wide,
    }


def types_text(definition: OpDef) -> str:
    """The legal dtypes, by the name of their set or one by one."""
    legal = definition.legal_types()
    for name, members in groups().items():
        if frozenset(legal) == members:
            return name
    return " ".join(type.name for type in legal)


def attrs_text(definition: OpDef) -> str:
    """The schema of the attributes."""
    parts = []
    for name, kinds in definition.attrs.items():
        each = kinds if isinstance(kinds, tuple) else (kinds,)
        parts.append(f"{name}: {' or '.join('None' if kind is type(None) else kind.__name__ for kind in each)}")
    return ", ".join(parts)


def flags_text(definition: OpDef) -> str:
    flags = {
        "effects": not definition.pure,
        "reads": definition.reads_memory,
        "writes": definition.writes_memory,
        "elementwise": definition.elementwise,
        "composite": definition.composite,
    }
    return ", ".join(name for name, holds in flags.items() if holds)


def row(definition: OpDef) -> str:
    """One operation as a line of its family's table."""
    attrs = attrs_text(definition)
    call = f"`{definition.name}{definition.signature}{' {' + attrs + '}' if attrs else ''}`"
    cells = (call, " ".join(definition.summary.split()), types_text(definition), flags_text(definition))
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def prose(text: str) -> str:
    """A docstring as Markdown: its indented paragraphs, which are signatures, become code."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        indented = all(line.startswith("    ") for line in paragraph.splitlines())
        paragraphs.append(f"```\n{textwrap.dedent(paragraph)}\n```" if indented else paragraph)
    return "\n\n".join(paragraphs)


def reference() -> str:
    """The whole document."""
    parts = [HEAD]
    for name, definitions in FAMILIES.items():
        module = sys.modules[type(definitions[-1]).__module__]
        parts.append(f"## {name.capitalize()}\n\n{prose(module.__doc__ or '')}\n")
        parts.append("| operation | meaning | types | flags |\n|---|---|---|---|")
        parts.append("\n".join(map(row, definitions)) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
