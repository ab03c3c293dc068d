"""E04xx: layouts, views and pins."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0401",
        "view of another number of bits",
        "`view(x, T)` regroups the bits of the last axis: extent times width is the same before and after.",
        "def regroup(q: u4[3]):\n    return view(q, u8)\n",
        "def regroup(q: u4[4]):\n    return view(q, u8)\n",
    ),
    Entry(
        "E0402",
        "view that would move bits",
        "A view is free because no bit moves: both layouts put the same bits at the same place of the same lane. Where "
        "they do not, `relayout` moves them, at its cost.",
        "def regroup(q: u4[8] layout spatial(8)):\n    return view(q, u8)\n",
        "def regroup(q: u4[8] layout spatial(4).local(2)):\n    return view(q, u8)\n",
    ),
    Entry(
        "E0403",
        "malformed layout",
        "A layout is a chain of constructors, such as `local(2, 1).spatial(8, 4).local(1, 2)`, `row_major(8, 16)`, "
        "`packed(u4)` or `swizzle(3, 3, 3)`, whose arguments are compile-time integers. The parts of a chain have "
        "one rank.",
        "def pin(x: f32[8, 8]):\n    return relayout(x, local(2, 2).spatial(4))\n",
        "def pin(x: f32[8, 8]):\n    return relayout(x, local(2, 2).spatial(4, 4))\n",
    ),
    Entry(
        "E0404",
        "layout of another shape",
        "The product of a layout's parts, dimension by dimension, is the shape of what it lays out.",
        "def pin(x: f32[8, 8]):\n    return relayout(x, spatial(8, 4))\n",
        "def pin(x: f32[8, 8]):\n    return relayout(x, spatial(8, 4).local(1, 2))\n",
    ),
    Entry(
        "E0406",
        "unknown layout constructor",
        "`docs/language.md` lists the constructors: row_major, col_major, strided, packed, planes, local, spatial, "
        "their column-major and replicated forms, swizzle, and the fragments of the matrix instructions.",
        "def pin(x: f32[32]):\n    return relayout(x, spacial(32))\n",
        "def pin(x: f32[32]):\n    return relayout(x, spatial(32))\n",
    ),
    Entry(
        "E0408",
        "layout that maps two elements to one place",
        "Storage is written by its layout, so each bit has a place of its own. A layout that repeats or overlaps can "
        "only be read.",
        "def pin(x: f16[4, 4]):\n    return relayout(x, strided([4, 4], [2, 1]))\n",
        "def pin(x: f16[4, 4]):\n    return relayout(x, strided([4, 4], [4, 1]))\n",
    ),
)
