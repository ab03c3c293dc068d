"""`vmc run FILE[:KERNEL]`: compiles a kernel, runs it on arrays, and writes what it computed."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vmc.commands import arrays
from vmc.commands.failure import fail
from vmc.commands.program import (
    RUN_BY_COMMANDS,
    add_program_arguments,
    assignment,
    compile_for_sizes,
    refuse_gpu,
    unique,
)
from vmc.ir.core import Access
from vmc.ir.dims import Sym, evaluate
from vmc.runtime.packed import Packed

if TYPE_CHECKING:
    from vmc.runtime.kernel import Kernel
    from vmc.runtime.parameters import Parameter

EPILOG = """arguments: zeros, ones, random, a number, FILE.npy, or FILE.safetensors:NAME. Outputs not given are zeros.
A file holds the tensor in its shape: numbers, or bit patterns (unsigned integers) of types that NumPy lacks.

  vmc run examples/matmul_wa16.vmc --set T=u4 --set M=17 --set K=256 --set N=100 \\
      --arg x=random --arg w=random --arg scale=random --out y=y.npy --check
"""
SECONDS = 0.5
MOST_RUNS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_program_arguments(parser, targets=RUN_BY_COMMANDS)
    pairs: dict[str, Any] = {"action": "append", "type": assignment, "default": []}
    parser.add_argument("--arg", dest="given", metavar="NAME=VALUE", help="an argument (see below)", **pairs)
    parser.add_argument("--out", dest="outputs", metavar="NAME=FILE.npy", help="write an output", **pairs)
    parser.add_argument("--seed", type=int, default=0, help="for random arguments (default 0)")
    parser.add_argument("--check", action="store_true", help="compare with the reference machine; fail if they differ")
    parser.add_argument("--time", action="store_true", help="repeat the launch and print the median time")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Runs the kernel. Returns 0; raises Failure, and then no file is written."""
    kernel, warnings = compile_for_sizes(args)
    prepare(kernel)
    given = unique(args.given, "--arg")
    refuse_gpu(kernel.target, "run")
    outputs = output_paths(kernel, unique(args.outputs, "--out"))
    sizes = {name: value for name, value in args.settings if name in kernel.symbols}
    values, symbols = arguments(kernel, given, sizes, abs(args.seed))
    fresh = copies(values) if args.check or args.time else {}
    with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
        launch(kernel, values, symbols)
        fixed = {name: value for name, value in args.settings if name not in kernel.bindings}
        report: dict[str, Any] = {"kernel": kernel.name, "target": kernel.target, "bindings": kernel.bindings}
        report["symbols"] = fixed | symbols
        if args.check:
            report["check"], left = check(args, kernel, fresh, values, symbols)
            warnings += left
        if args.time:
            report["seconds"] = median_time(kernel, fresh, symbols)
    report["warnings"] = warnings
    report["outputs"] = [described(kernel.parameter(name), values[name], symbols) for name in written(kernel)]
    for name, path in outputs.items():
        arrays.write_npy(path, arrays.logical(kernel.parameter(name), values[name], symbols))
    print(json.dumps(report, indent=2) if args.json else summary(report, outputs))
    return 0


def written(kernel: Kernel) -> list[str]:
    return [parameter.name for parameter in kernel.parameters if parameter.access is not Access.IN]


def output_paths(kernel: Kernel, outputs: Mapping[str, str]) -> dict[str, Path]:
    """The files to write. Raises Failure."""
    paths = {}
    for name, text in outputs.items():
        if name not in written(kernel):
            known = ", ".join(f"`{other}`" for other in written(kernel))
            raise fail("E0908", f"`{name}` is no output of `{kernel.name}`", f"its outputs: {known}")
        if not text.endswith(".npy"):
            raise fail("E0916", f"outputs are written as .npy files, and `{text}` has another name")
        if not Path(text).parent.is_dir():
            raise fail("E0901", f"there is no folder {Path(text).parent}")
        paths[name] = Path(text)
    return paths


# Arguments


def arguments(
    kernel: Kernel, given: Mapping[str, str], sizes: Mapping[str, int], seed: int
) -> tuple[dict[str, Any], dict[str, int]]:
    """An array or a number for every parameter, and the symbols' values. Raises Failure."""
    from vmc.runtime.errors import ArgumentError

    for name in given:
        try:
            kernel.parameter(name)
        except ArgumentError as error:
            raise fail(error.code, error.message, error.help) from None
    read = {}
    for parameter in kernel.stored:
        array = None if parameter.is_scalar else arrays.read_array(given.get(parameter.name, ""))
        if array is not None:
            read[parameter.name] = arrays.as_argument(parameter, array)
    symbols = symbols_of(kernel, read, sizes)
    read = {name: labelled(kernel, kernel.parameter(name), array, symbols) for name, array in read.items()}
    rng = np.random.default_rng(seed)
    values = {}
    for parameter in kernel.stored:
        if parameter.name in read:
            values[parameter.name] = read[parameter.name]
        else:
            values[parameter.name] = make(kernel, parameter, given.get(parameter.name), symbols, rng)
    return values, symbols


def labelled(kernel: Kernel, parameter: Parameter, array: Any, symbols: Mapping[str, int]) -> Any:
    """Bytes of a file that are packed already, labelled as in the declared order. Other arrays as they are."""
    is_labelled = isinstance(array, Packed) or kernel.storages[parameter.name] == parameter.storage
    known = all(name in symbols for dim in parameter.dims or () for name in names(dim))
    if is_labelled or not parameter.is_packed or not known:
        return array
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError):  # which the launch tells with more words
        shape = tuple(evaluate(dim, symbols) for dim in parameter.dims or ())
        return kernel.label(parameter.name, array, shape, dense=True)
    return array


def symbols_of(kernel: Kernel, read: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, int]:
    """The symbols that settings and arrays bind; whether they agree is checked at the launch. Raises Failure."""
    from vmc.runtime.errors import ArgumentError

    symbols = dict(sizes)
    for parameter in kernel.parameters:
        if parameter.name not in read:
            continue
        try:
            shape = kernel.shape_of(parameter, read[parameter.name])
        except ArgumentError as error:
            raise fail(error.code, error.message, error.help) from None
        for dim, extent in zip(parameter.dims or (), shape or (), strict=False):
            if isinstance(dim, Sym):
                symbols.setdefault(dim.name, extent)
    return symbols


def make(
    kernel: Kernel, parameter: Parameter, how: str | None, symbols: Mapping[str, int], rng: np.random.Generator
) -> Any:
    """An argument that is not read from a file. Raises Failure."""
    if how is None and parameter.access is not Access.OUT:
        raise fail("E0908", f"`{kernel.name}` misses {parameter}", f"give `--arg {parameter.name}=random`, or a file")
    how = how or "zeros"
    if parameter.is_scalar:
        return scalar(parameter, how, rng)
    missing = [name for dim in parameter.dims or () for name in names(dim) if name not in symbols]
    if missing:
        raise fail("E0912", f"symbol `{missing[0]}` of {parameter} is not known", f"give `--set {missing[0]}=...`")
    try:
        shape = tuple(evaluate(dim, symbols) for dim in parameter.dims or ())
    except ZeroDivisionError:
        raise fail("E0910", f"{parameter}: division by zero in an extent") from None
    if min(shape, default=0) < 0:
        raise fail("E0910", f"{parameter} has a negative extent: {shape}")
    return arrays.made(parameter, how, shape, rng)


def names(dim: Any) -> tuple[str, ...]:
    from vmc.ir.dims import symbols

    return symbols(dim)


def scalar(parameter: Parameter, how: str, rng: np.random.Generator) -> int | float:
    """A number for a scalar. Raises Failure."""
    match how:
        case "zeros" | "ones":
            return int(how == "ones")
        case "random":
            code = arrays.random_codes(parameter.dtype, (), rng)
            number: int | float = parameter.dtype.decode(code).item()
            return number
    return arrays.number_of(parameter, how)


# Running


def copies(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: copied(value) for name, value in values.items()}


def copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def prepare(kernel: Kernel) -> None:
    """Generates the kernel's code. Raises Failure."""
    from vmc.runtime.errors import TargetError

    try:
        kernel.prepare()
    except TargetError as error:
        raise fail(error.code, error.message) from None


def repacked(values: Mapping[str, Any], kernel: Kernel, other: Kernel) -> dict[str, Any]:
    """Copies of a kernel's arguments, packed as another one takes them."""
    own, wanted = kernel.storages, other.storages
    return {
        name: other.pack(name, kernel.unpack(name, value))
        if isinstance(value, Packed) and own[name] != wanted[name]
        else copied(value)
        for name, value in values.items()
    }


def launch(kernel: Kernel, values: Mapping[str, Any], symbols: Mapping[str, int]) -> None:
    """Calls the kernel. Raises Failure."""
    from vmc.runtime.errors import ArgumentError, ExecutionError

    try:
        kernel(**values, **{name: symbols[name] for name in kernel.symbols if name in symbols})
    except ArgumentError as error:
        raise fail(error.code, error.message, error.help) from None
    except ExecutionError as error:
        raise fail("E0918", error.message, span=error.span) from None


def check(
    args: argparse.Namespace,
    kernel: Kernel,
    fresh: Mapping[str, Any],
    values: Mapping[str, Any],
    symbols: Mapping[str, int],
) -> tuple[dict[str, Any], list[str]]:
    """Runs the reference machine on the same arguments, and compares; warnings, too, of what the kernel left unwritten.

    Raises Failure where a result differs.
    """
    from vmc.runtime.compare import compare, tolerance

    reference, _ = compile_for_sizes(args, target="interp")
    expected = repacked(fresh, kernel, reference)
    launch(reference, expected, symbols)
    bound = tolerance(kernel)
    worst = 0.0
    for name in written(kernel):
        parameter = kernel.parameter(name)
        got, want = (arrays.logical(parameter, side[name], symbols) for side in (values, expected))
        difference = compare(parameter.dtype, got, want, bound)
        if difference.message is not None:
            raise fail("E0913", f"`{name}` differs from the reference: {difference.message}")
        worst = max(worst, difference.worst)
    return {"equal": True, "tolerance": bound, "worst": worst}, unwritten(reference, expected, symbols)


def unwritten(reference: Kernel, values: Mapping[str, Any], symbols: Mapping[str, int]) -> list[str]:
    """What to say of `out` tensors of which the reference machine has not written every element."""
    counts = getattr(reference._launcher, "unwritten", {})
    sizes = {name: arrays.logical(reference.parameter(name), values[name], symbols).size for name in counts}
    return [f"{name}: {count} of {sizes[name]} elements never written" for name, count in counts.items()]


def median_time(kernel: Kernel, fresh: Mapping[str, Any], symbols: Mapping[str, int]) -> dict[str, Any]:
    """The median time of a launch, in seconds, over about half a second, after one launch to warm up."""
    values = copies(fresh)
    launch(kernel, values, symbols)
    times: list[float] = []
    while sum(times) < SECONDS and len(times) < MOST_RUNS:
        start = time.perf_counter()
        launch(kernel, values, symbols)
        times.append(time.perf_counter() - start)
    return {"median": statistics.median(times), "minimum": min(times), "runs": len(times)}


# The report


def described(parameter: Parameter, array: Any, symbols: Mapping[str, int]) -> dict[str, Any]:
    """An output's name, type, shape, and range of values."""
    type = parameter.dtype
    stored = arrays.logical(parameter, array, symbols)
    codes = type.to_codes(stored) if stored.dtype == type.array_dtype else stored
    numbers = type.decode(codes)
    finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers
    extremes = [finite.min().item(), finite.max().item()] if finite.size else [None, None]
    special = int(numbers.size - finite.size)
    shape = list(stored.shape)
    least, most = extremes
    about = {"name": parameter.name, "type": type.name, "shape": shape}
    return {**about, "min": least, "max": most, "nonfinite": special}


def summary(report: Mapping[str, Any], outputs: Mapping[str, Path]) -> str:
    """The report for a person."""
    lines = []
    for output in report["outputs"]:
        line = f"{output['name']}: {output['type']}{output['shape']}"
        if output["min"] is not None:
            line += f"  from {output['min']:.6g} to {output['max']:.6g}"
        if output["nonfinite"]:
            line += f", {output['nonfinite']} infinite or NaN"
        if output["name"] in outputs:
            line += f"  -> {outputs[output['name']]}"
        lines.append(line)
    lines += [f"warning: {warning}" for warning in report["warnings"]]
    if "check" in report:
        bound, worst = report["check"]["tolerance"], report["check"]["worst"]
        how = "bit for bit"
        if bound is not None:
            how = f"but for the order of float sums: {worst:.3g} of the largest value apart, {bound:.0f} units allowed"
        lines.append(f"check: equal to the reference machine, {how}")
    if "seconds" in report:
        timing = report["seconds"]
        median, least = (1e6 * timing[name] for name in ("median", "minimum"))
        lines.append(f"time: {median:.1f} us median, {least:.1f} us least, {timing['runs']} runs")
    return "\n".join(lines) or "done"
