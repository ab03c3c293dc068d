"""`vmc bench FILE[:KERNEL]`: times a kernel on random arguments."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmc.commands.failure import fail
from vmc.commands.program import (
    RUN_BY_COMMANDS,
    add_program_arguments,
    cases,
    compile_for_sizes,
    read_source,
    refuse_gpu,
    symbol_settings,
)
from vmc.commands.rotation import Arguments
from vmc.commands.run import prepare
from vmc.runtime.programs import split_program
from vmc.tuning.timing import Timing, interleaved

if TYPE_CHECKING:
    from vmc.runtime.kernel import Kernel

EPILOG = """times are medians of launches; GB/s counts every tensor once, Gop/s every product of a matrix product twice.
what a kernel prints is not shown
benchmarks/cpu_matmul.py compares the matrix products of examples/ with other libraries

  vmc bench examples/matmul_wa8.vmc --set T=u4,u8 --set M=1,16 --set K=4096 --set N=4096 --tuned
"""
SECONDS = 0.5
COLUMNS = ("kernel", "case", "median us", "spread", "least us", "GB/s", "Gop/s", "ratio")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_program_arguments(parser, several=True, targets=RUN_BY_COMMANDS)
    parser.add_argument("--against", metavar="[FILE:]KERNEL", help="another kernel, timed in turn with the first")
    parser.add_argument("--tuned", action="store_true", help="also with the parameters that `vmc tune` found")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="timed of each kernel in a case (default 0.5)")
    parser.add_argument("--hot", action="store_true", help="with arguments in the caches (default: from memory)")
    parser.add_argument("--seed", type=int, default=0, help="for random arguments (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Times every case. Returns 0; raises Failure."""
    rows: list[dict[str, Any]] = []
    warnings: dict[str, None] = {}
    for case in cases(args):
        found, said = bench(case)
        rows += found
        warnings.update(dict.fromkeys(said))
    if args.json:
        print(json.dumps({"cold": not args.hot, "rows": rows, "warnings": list(warnings)}, indent=2))
    else:
        print("\n".join([*(f"warning: {warning}" for warning in warnings), *table(rows)]))
    return 0


def bench(case: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of one case: the kernel, with tuned parameters, and the other one; and warnings. Raises Failure."""
    kernels = dict([named("", case)])
    warnings = []
    if case.tuned:
        parameters = tuned(case)
        if not parameters:
            warnings.append("no table has parameters for some cases: they run with the defaults (see `vmc tune`)")
        kernels |= dict([named(" tuned", with_settings(case, [*case.settings, *parameters.items()]))])
    if case.against:
        kernels |= dict([named("", other_case(case))])
    if len(kernels) == 1 and case.against:
        raise fail("E0908", f"`{case.against}` is the kernel itself")
    warnings += [warning for _, said, _ in kernels.values() for warning in said]
    made = [(label, kernel, Arguments(kernel, sizes, abs(case.seed))) for label, (kernel, _, sizes) in kernels.items()]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        timings = interleaved([arguments.lane(kernel, not case.hot) for _, kernel, arguments in made], case.seconds)
    first = timings[0].median
    rows = [
        row(label, kernel, arguments.symbols, timing, first)
        for (label, kernel, arguments), timing in zip(made, timings, strict=True)
    ]
    return rows, warnings


def named(suffix: str, case: argparse.Namespace) -> tuple[str, tuple[Kernel, list[str], dict[str, int]]]:
    """A kernel's label, the kernel, what to warn of, and its symbols' sizes. Raises Failure."""
    kernel, warnings = compile_for_sizes(case)
    refuse_gpu(kernel.target, "bench")
    prepare(kernel)
    sizes = {name: value for name, value in case.settings if name in kernel.symbols}
    return kernel.name + suffix, (kernel, warnings, sizes)


def with_settings(case: argparse.Namespace, settings: Sequence[tuple[str, Any]]) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(case), "settings": list(settings)})


def tuned(case: argparse.Namespace) -> dict[str, int]:
    """The parameters that tables have for the case. Raises Failure."""
    from vmc.runtime.errors import TargetError
    from vmc.tuning.lookup import tuned_parameters

    file, name = split_program(case.program)
    source, settings = read_source(file), dict(case.settings)
    sizes = symbol_settings(source, file, name, settings)
    bindings = {name: value for name, value in settings.items() if name not in sizes}
    try:
        return tuned_parameters(source, file, name, case.target, bindings, sizes)
    except TargetError as error:
        raise fail(error.code, error.message) from None


def other_case(case: argparse.Namespace) -> argparse.Namespace:
    """The case for the kernel of `--against`, with the settings that it knows. Raises Failure."""
    from vmc.lang.queries import declaration, extent_names, kernel_names

    file, _ = split_program(case.program)
    program = f"{file}:{case.against}" if case.against.isidentifier() else case.against
    file, name = split_program(program)
    source = read_source(file)
    names = kernel_names(source, file)
    name = name or (names[0] if len(names) == 1 else None)
    settings = case.settings
    if name in names and name is not None:
        node = declaration(source, file, name)
        known = {*extent_names(node), *(param.name for param in node.static_params)}
        settings = [(setting, value) for setting, value in settings if setting in known]
    return argparse.Namespace(**{**vars(case), "program": program, "settings": settings})


# Rows


def row(label: str, kernel: Kernel, symbols: Mapping[str, int], timing: Timing, first: float) -> dict[str, Any]:
    """What is told of a kernel in a case. `ratio` is how many times as fast it is as the first one."""
    size, work = bytes_of(kernel, symbols), operations(kernel, symbols)
    median = timing.median
    return {
        "kernel": label,
        "bindings": dict(kernel.bindings),
        "symbols": dict(symbols),
        "median": median,
        "spread": timing.spread,
        "least": timing.least,
        "runs": len(timing.samples),
        "bytes": size,
        "gb_per_second": size / median / 1e9,
        "gop_per_second": work / median / 1e9 if work else None,
        "ratio": first / median,
    }


def bytes_of(kernel: Kernel, symbols: Mapping[str, int]) -> int:
    """The bytes of the kernel's tensors, as its arguments are, each once."""
    from vmc.ir.core import TensorType
    from vmc.ir.cost import tensor_bytes
    from vmc.ir.storage import extents, storage_bytes

    stored = {parameter.name: parameter for parameter in kernel.stored}
    total = 0
    for value in kernel._tile.params:
        if isinstance(value.type, TensorType):
            parameter = stored[value.name]
            type = value.type if parameter.format else parameter.memory
            total += tensor_bytes(type, symbols) or storage_bytes(type, extents(type, symbols))
    return total


def operations(kernel: Kernel, symbols: Mapping[str, int]) -> int:
    """Two for each multiply-add of `dot` in a launch, without the share of the results that lies past outputs' ends."""
    from vmc.ir.cost import count
    from vmc.ir.dims import evaluate

    work = count(kernel._tile, symbols)
    sizes = {p.name: prod(evaluate(dim, symbols) for dim in p.dims or ()) for p in kernel.parameters}
    shares = [min(1.0, sizes[name] / moved) for name, moved in work.written.items() if moved]
    return round(2 * work.multiply_adds * max(shares, default=1.0))


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows for a person."""
    lines = [COLUMNS, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join([*map(str.ljust, line[:2], widths), *map(str.rjust, line[2:], widths[2:])]) for line in lines]


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    case = " ".join(f"{name}={value}" for name, value in {**row["bindings"], **row["symbols"]}.items())
    rate = row["gop_per_second"]
    return (
        row["kernel"],
        case,
        f"{1e6 * row['median']:.1f}",
        f"{100 * row['spread']:.0f}%",
        f"{1e6 * row['least']:.1f}",
        f"{row['gb_per_second']:.2f}",
        "" if rate is None else f"{rate:.1f}",
        f"{row['ratio']:.2f}",
    )
