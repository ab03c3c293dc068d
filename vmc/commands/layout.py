"""`vmc layout TEXT`: what a layout is, as a table of its tile, as JSON, or as a picture."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vmc.commands.failure import Failure, fail, wants_color

if TYPE_CHECKING:
    from vmc.ir.layout import Layout, LayoutError

EPILOG = """layouts:
  local(n, ...)  spatial(n, ...)  warps(n, ...)      the elements of one lane, of several lanes, of several warps
  row_major(n, ..., bits=b)  packed(u3, n, ...)      memory; also col_major, strided, planes, split, swizzle
  mma_fragment("m16n8k16", "a")                      the operands of matrix instructions

  vmc layout "local(2,1).spatial(8,4).local(1,2)" --bits 16
  vmc layout "packed(u3, 4, 8)" --svg u3.svg
"""
NAME = "<layout>"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("text", metavar="TEXT", help="a layout, such as local(2,1).spatial(8,4)")
    parser.add_argument("--bits", type=int, metavar="N", help="give the elements N bits each")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the layout into FILE")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints or draws the layout. Returns 0; raises Failure for a text that is no layout."""
    layout = read(args.text, args.bits)
    if args.svg is not None:
        write_picture(layout, args.text if args.bits is None else f"{args.text}.with_bits({args.bits})", args.svg)
    if args.json:
        from vmc.commands.layout_facts import facts

        print(json.dumps(facts(layout), indent=2))
    elif args.svg is None:
        from vmc.commands.layout_table import table

        columns, _ = shutil.get_terminal_size()
        print(table(layout, columns, wants_color(sys.stdout)), end="")
    return 0


def read(text: str, bits: int | None) -> Layout:
    """The layout that the text denotes, its elements with so many bits. Raises Failure."""
    from vmc.ir.layout import LayoutError, parse

    try:
        layout = parse(text)
    except LayoutError as error:
        raise malformed(text, error) from None
    try:
        return layout if bits is None else layout.with_bits(bits)
    except LayoutError as error:
        raise fail("E0403", f"--bits {bits}: {error.message}") from None


def malformed(text: str, error: LayoutError) -> Failure:
    """The failure that shows where in the text the mistake is, and the name that was perhaps meant."""
    from vmc.diagnostics import Fix, suggest
    from vmc.diagnostics import error as diagnostic
    from vmc.ir.layout import UnknownLayoutError
    from vmc.ir.span import Span

    unknown = error if isinstance(error, UnknownLayoutError) else None
    before = text[: error.position or 0]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    span = Span(NAME, line, column, line, column + (len(unknown.name) if unknown else 1))
    if unknown is None:
        return Failure([diagnostic("E0403", error.message, span)], {NAME: text})
    close = suggest(unknown.name, unknown.known)
    help = f"did you mean `{close}`?" if close else f"there are {', '.join(unknown.known)}"
    fix = Fix(span, close) if close else None
    return Failure([diagnostic("E0406", error.message, span, help=help, fix=fix)], {NAME: text})


def write_picture(layout: Layout, title: str, path: Path) -> None:
    """Raises Failure where the file cannot be written."""
    from vmc.drawing.layout import draw

    try:
        path.write_text(draw(layout, title), encoding="utf-8")
    except OSError as error:
        raise fail("E0901", f"{path} cannot be written: {error.strerror or error}") from None
