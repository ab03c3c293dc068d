"""`vmc check FILE...`: every diagnostic of every file."""

from __future__ import annotations

import argparse
import json
import sys

from vmc.commands.failure import Failure, print_diagnostics
from vmc.commands.program import read_source
from vmc.diagnostics import Diagnostic


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="source files")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Checks the files. Returns 0, or 1 where there is an error; warnings are no errors."""
    from vmc.lang import check_source

    found: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for file in args.files:
        try:
            sources[file] = read_source(file)
            found += check_source(sources[file], file)
        except Failure as failure:
            found += failure.diagnostics
    errors = sum(diagnostic.is_error for diagnostic in found)
    if args.json:
        report = {"files": args.files, "errors": errors, "warnings": len(found) - errors}
        print(json.dumps({**report, "diagnostics": [diagnostic.to_json() for diagnostic in found]}, indent=2))
    elif found:
        print_diagnostics(found, sources, sys.stdout)
    else:
        print(f"{len(args.files)} file{'s' * (len(args.files) > 1)}: no errors")
    return 1 if errors else 0
