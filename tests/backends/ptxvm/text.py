"""PTX text for tests."""

from __future__ import annotations

from collections.abc import Sequence

HEADER = ".version 8.7\n.target sm_90\n.address_size 64\n"


def entry(body: str, params: Sequence[str] = (), registers: str = "", module: str = "", name: str = "k") -> str:
    """PTX text of one entry. Parameters are types; they are named p0, p1, ..."""
    declared = ", ".join(f".param .{kind} p{i}" for i, kind in enumerate(params))
    return f"{HEADER}{module}\n.visible .entry {name}({declared})\n{{\n{registers}\n{body}\nret;\n}}\n"
