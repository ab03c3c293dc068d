"""`vmc formats`: the number types and the block formats of the library, each with its certificate where asked for.

A certificate is a hash of the values of every code: of a type's decode table, or of a block format's values over blocks
in which every byte takes every value. `--verify` computes it, after the reference machine and native code have decoded
all of them to the same bits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from vmc.commands.failure import fail
from vmc.ir.types import ALL_DTYPES, DType

if TYPE_CHECKING:
    from vmc.runtime.certificates import Declared


@dataclass(frozen=True, slots=True)
class Row:
    """One number type or block format.

    `bits` are those of one element, all fields of its block counted. `use` is the import that a program needs for it.
    `verified` says what `--verify` compared, `certificate` is its hash.
    """

    name: str
    kind: str
    bits: float
    about: str
    use: str | None = None
    verified: str | None = None
    certificate: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these types and formats")
    parser.add_argument("--verify", action="store_true", help="decode every code on every executor; print certificates")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the table. Returns 0; raises Failure for an unknown name, or where executors disagree."""
    from vmc.runtime.certificates import library_formats

    declared = {format.name: format for format in library_formats()}
    types = {type.name: type for type in ALL_DTYPES}
    check_names(args.names, [*types, *declared])
    wanted = args.names or [*types, *declared]
    rows = [type_row(types[name]) if name in types else format_row(declared[name]) for name in wanted]
    if args.verify:
        rows = list(verified(rows, types, declared))
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print_table(rows)
    return 0


def check_names(names: Sequence[str], known: Sequence[str]) -> None:
    """Raises Failure for a name that is not known."""
    from vmc.diagnostics import suggest
    from vmc.runtime.elements import type_name

    for name in names:
        if name not in known:
            qualified = [other for other in known if other.partition(".")[2] == name]
            close = type_name(name) or " or ".join(qualified).replace(" or ", "` or `") or suggest(name, known)
            raise fail("E0211", f"there is no type or format `{name}`", f"did you mean `{close}`?" if close else None)


def type_row(type: DType) -> Row:
    if type.is_int:
        return Row(type.name, type.kind.value, type.width, f"{type.min} to {type.max}")
    fields = (
        f"1-{type.exponent_bits}-{type.mantissa_bits}"
        if type.has_sign
        else f"{type.exponent_bits}-{type.mantissa_bits}"
    )
    special = [word for word, has in (("inf", type.has_infinity), ("NaN", type.has_nan)) if has]
    about = f"{fields} bias {type.bias}, least {type.smallest_subnormal:.4g}, largest {type.max:.6g}"
    return Row(type.name, type.kind.value, type.width, ", ".join([about, *special]))


def format_row(format: Declared) -> Row:
    bits = 8 * format.bytes / format.elements
    about = f"{format.elements} elements in {format.bytes} bytes: {format.fields}"
    module, _, name = format.name.partition(".")
    return Row(format.name, "block format", bits, about, f"from {module} import {name}")


def verified(rows: Sequence[Row], types: dict[str, DType], declared: dict[str, Declared]) -> Iterator[Row]:
    """The rows with certificates; types of more than 16 bits have too many codes for one. Raises Failure."""
    from vmc.runtime.certificates import BLOCKS, DisagreementError, certify_format, certify_type

    for number, row in enumerate(rows):
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(rows)} {row.name:<12}", end="", file=sys.stderr, flush=True)
        try:
            if row.name in declared:
                format = declared[row.name]
                count = BLOCKS * format.elements
                yield confirmed(row, certify_format(format), f"{count} of {count} values of {BLOCKS} blocks")
            elif types[row.name].width <= 16:
                type = types[row.name]
                count = 1 << type.width
                yield confirmed(row, certify_type(type), f"{count} of {count} codes")
            else:
                yield replace(row, verified=f"{row.bits:g} bits are too wide to enumerate")
        except DisagreementError as error:
            raise fail("E0913", f"`{row.name}`: {error}") from None
    if sys.stderr.isatty():
        print("\r" + " " * 30 + "\r", end="", file=sys.stderr)


def confirmed(row: Row, certificate: str, what: str) -> Row:
    """The row of a type whose values every executor agrees on."""
    from vmc.runtime.certificates import TARGETS

    return replace(row, verified=f"{what} equal on {' and '.join(TARGETS)}", certificate=certificate)


def print_table(rows: Sequence[Row]) -> None:
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        use = f"; {row.use}" if row.use else ""
        print(f"{row.name:<{width}}  {row.bits:>7.4g} bits  {row.kind:<16}  {row.about}{use}")
        if row.verified:
            certificate = f"  [{row.certificate}]" if row.certificate else ""
            print(f"{'':<{width}}  {row.verified}{certificate}")
