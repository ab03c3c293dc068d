"""Draws the layouts of docs/layouts.md into docs/pictures/.

python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from vmc.drawing.layout import draw
from vmc.ir.layout import parse

FOLDER = Path(__file__).with_name("pictures")

PICTURES = {
    "row_major": "row_major(4, 6)",
    "col_major": "col_major(4, 6)",
    "packed_u3": "packed(u3, 2, 8)",
    "split": "split(16, bits=4)",
    "planes": "planes(16, widths=(2, 1))",
    "rows_of_128_bytes": "row_major(8, 32, bits=32)",
    "swizzled": "row_major(8, 32, bits=32).swizzle(7, 3, 3)",
    "local": "local(2, 3)",
    "spatial": "spatial(2, 3)",
    "local_of_spatial": "local(2, 2).spatial(2, 3)",
    "spatial_of_local": "spatial(2, 3).local(2, 2)",
    "accumulator": "local(2, 1).spatial(8, 4).local(1, 2)",
    "fragment_a": 'mma_fragment("m16n8k16", "a")',
    "fragment_b": 'mma_fragment("m16n8k16", "b")',
    "warps": "warps(2, 2).spatial(8, 4).local(1, 2)",
    "row_sums": "local(2, 1).spatial(8, 4).local(1, 2).reduce(1)",
}
"""The name of each picture's file, and the layout."""


def pictures() -> dict[str, str]:
    """The text of each file, by its name."""
    return {f"{name}.svg": draw(parse(text), text) for name, text in PICTURES.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pictures().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
