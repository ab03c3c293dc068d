"""`vmc explain-error CODE`: what a code means, a program that breaks the rule and one that keeps it."""

from __future__ import annotations

import argparse
import json
import sys

from vmc.diagnostics import suggest
from vmc.diagnostics.codes import CODES, SUBJECTS
from vmc.diagnostics.reference import entry_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("code", nargs="?", metavar="CODE", help="a code such as E0203")
    parser.add_argument("--list", action="store_true", help="list all codes with their titles")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the explanation. Returns 0, 1 for a code that does not exist, 2 where none is given."""
    if args.list:
        print(_listing(args.json), end="")
        return 0
    if args.code is None:
        print("error: give a code, such as `vmc explain-error E0203`, or --list", file=sys.stderr)
        return 2
    code = args.code.strip().strip("[]").upper()
    if code.isdigit():
        code = f"E{code:0>4}"
    if code not in CODES:
        close = suggest(code, CODES)
        hint = f"; did you mean `{close}`?" if close else "; `vmc explain-error --list` shows all"
        message = f"there is no code `{args.code}`{hint}"
        if args.json:
            print(json.dumps({"error": message}, indent=2))
        else:
            print(f"error: {message}", file=sys.stderr)
        return 1
    entry = CODES[code]
    if args.json:
        print(json.dumps({name: getattr(entry, name) for name in entry.__dataclass_fields__}, indent=2))
    else:
        print(entry_text(entry), end="")
    return 0


def _listing(as_json: bool) -> str:
    if as_json:
        return json.dumps({code: entry.title for code, entry in CODES.items()}, indent=2) + "\n"
    parts = []
    for subject, entries in SUBJECTS:
        rows = "".join(f"  {entry.code}  {entry.title}\n" for entry in entries)
        parts.append(f"{subject}\n{rows}")
    return "\n".join(parts)
