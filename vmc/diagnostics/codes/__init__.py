"""The registry of stable codes. A code, once released, keeps its number and its meaning.

`CODES["E0203"]` is the entry; the tables stand in one file per subject: E00 syntax, E01 names, E02 types, E03 shapes,
E04 layouts, E05 memory, E06 control, E07 kernels and their parameters, E08 formats, E09 arguments of build and run, and
W for warnings.
"""

from __future__ import annotations

from vmc.diagnostics.codes import (
    arguments,
    control,
    formats,
    kernels,
    layouts,
    memory,
    names,
    shapes,
    syntax,
    types,
    warnings,
)
from vmc.diagnostics.codes.entry import Entry

SUBJECTS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("Syntax", syntax.ENTRIES),
    ("Names", names.ENTRIES),
    ("Types", types.ENTRIES),
    ("Shapes", shapes.ENTRIES),
    ("Layouts", layouts.ENTRIES),
    ("Memory", memory.ENTRIES),
    ("Control", control.ENTRIES),
    ("Kernels and parameters", kernels.ENTRIES),
    ("Formats", formats.ENTRIES),
    ("Arguments of build and run", arguments.ENTRIES),
    ("Warnings", warnings.ENTRIES),
)

CODES: dict[str, Entry] = {entry.code: entry for _, entries in SUBJECTS for entry in entries}

__all__ = ["CODES", "SUBJECTS", "Entry"]
