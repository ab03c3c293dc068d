"""`vmc explain FILE[:KERNEL]`: what a kernel costs, what its passes decided, and what its code does."""

from __future__ import annotations

import argparse
import json

from vmc.commands.failure import fail
from vmc.commands.program import add_program_arguments, compile_for_sizes

EPILOG = """symbols that are set give totals; without them there are formulas. docs/explain.md tells how to read it

  vmc explain examples/matmul_wa16.vmc --set T=u4 --set M=1 --set K=4096 --set N=4096
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_program_arguments(parser, targets="cpu (default), cpu:LEVEL, cuda:sm_XX, or ptx-vm:sm_XX")
    parser.add_argument("--measure", action="store_true", help="measure this machine's limits instead of assuming them")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the explanation. Returns 0; raises Failure."""
    from vmc.runtime.errors import ArgumentError, TargetError

    kernel, warnings = compile_for_sizes(args)
    symbols = {name: value for name, value in args.settings if name in kernel.symbols}
    try:
        explanation = kernel.explain(measure=args.measure, **symbols)
    except (ArgumentError, TargetError) as error:
        raise fail(error.code, error.message) from None
    if args.json:
        print(json.dumps({**explanation.to_json(), "warnings": warnings}, indent=2))
    else:
        print("\n".join([*(f"warning: {warning}" for warning in warnings), str(explanation)]), end="")
    return 0
