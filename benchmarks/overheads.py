"""Times what vmc costs beside a kernel's work: compiling it, and calling it from Python.

    python benchmarks/overheads.py --quick

Compiling: processes of their own that import vmc, then compile one kernel from source with no cache, then another: the
first one also pays for what is loaded when it is first needed. The byte code of vmc's modules is there, as where vmc is
installed: a process that is not timed writes it. Calling: a kernel with almost nothing to do, with arrays
of NumPy and, where it is installed, tensors of torch; a call of a Python function that does nothing is subtracted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

import vmc
from benchmarks.matmul.contender import Missing, library
from benchmarks.matmul.machine import processor
from benchmarks.matmul.timing import undisturbed
from benchmarks.matmul.torch_ops import INSTALL

ROOT = Path(__file__).resolve().parents[1]
KERNELS = {"wa8": "matmul_wa8.vmc", "wa16": "matmul_wa16.vmc"}
TYPES = ("u4", "u3", "i8", "f6e3m2")
TINY = """
kernel tiny(x: f32[8], w: f32[8], scale: f32[8], y: out f32[8]):
    y[:] = x[:]
"""
CALLS = 2000
COMPILE = """
import json, sys, time
started = time.perf_counter()
import vmc
seconds = [time.perf_counter() - started]
for path, element in json.loads(sys.argv[1]):
    started = time.perf_counter()
    vmc.compile(path, T=element).prepare()
    seconds.append(time.perf_counter() - started)
print(json.dumps(seconds))
"""


@dataclass(frozen=True)
class Compiled:
    """Seconds: to import vmc, to compile a kernel as the first of a process, and as a later one."""

    imported: float
    first: float
    later: float


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = parser().parse_args(arguments)
    console = Console()
    console.print(processor(), highlight=False)
    repeats = options.repeats or (1 if options.quick else 7)
    types = options.types or (TYPES[:1] if options.quick else TYPES)
    with TemporaryDirectory() as byte_code:
        in_process([(str(ROOT / "examples" / KERNELS["wa8"]), "u7")], byte_code)
        found = {f"{k} {t}": compiling(KERNELS[k], t, repeats, byte_code) for k in KERNELS for t in types}
    print_compiling(found, console)
    print_calling(calling(console, repeats), console)
    return 0


def parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="overheads.py"
    )
    made.add_argument("--quick", action="store_true", help="one type, each once: shows that all works")
    made.add_argument("--types", nargs="+", help=" ".join(TYPES))
    made.add_argument("--repeats", type=int, help="processes for each kernel, and series of calls (7)")
    return made


def compiling(file: str, element: str, repeats: int, byte_code: str) -> Compiled:
    """The medians over processes. The later kernel is the one asked for, after another type of it."""
    wanted, other = ((str(ROOT / "examples" / file), name) for name in (element, "u5" if element != "u5" else "u6"))
    alone = [in_process([wanted], byte_code) for _ in range(repeats)]
    second = [in_process([other, wanted], byte_code) for _ in range(repeats)]
    return Compiled(
        imported=median(seconds[0] for seconds in alone),
        first=median(seconds[1] for seconds in alone),
        later=median(seconds[2] for seconds in second),
    )


def in_process(kernels: Sequence[tuple[str, str]], byte_code: str) -> list[float]:
    """Seconds to import vmc, and to compile each kernel (its file, and T), in a process of its own, whose byte code is
    kept in a directory.
    """
    path = os.pathsep.join([str(ROOT), *sys.path])
    environment = os.environ | {"VMC_CACHE": "0", "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": byte_code}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", COMPILE, json.dumps(kernels)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def calling(console: Console, repeats: int) -> dict[str, float]:
    """Seconds of a call with each kind of arguments."""
    kernel = vmc.compile(TINY)
    arrays = [np.zeros(8, np.float32) for _ in range(4)]
    nothing = seconds_of(lambda *arguments: None, arrays, repeats)
    found = {"NumPy arrays": seconds_of(kernel, arrays, repeats) - nothing}
    try:
        torch = library("torch", INSTALL)
    except Missing as missing:
        console.print(f"skipped: {missing}", highlight=False)
        return found
    tensors = [torch.from_numpy(array) for array in arrays]
    return found | {"torch tensors": seconds_of(kernel, tensors, repeats) - nothing}


def seconds_of(function: Callable[..., object], arguments: Sequence[Any], repeats: int) -> float:
    """The median over series of calls."""
    function(*arguments)
    with undisturbed():
        return median(series(function, arguments) for _ in range(repeats))


def series(function: Callable[..., object], arguments: Sequence[Any]) -> float:
    """The mean of many calls one after another."""
    started = time.perf_counter()
    for _ in range(CALLS):
        function(*arguments)
    return (time.perf_counter() - started) / CALLS


def print_compiling(found: Mapping[str, Compiled], console: Console) -> None:
    table = Table(title="Compiling, without cache")
    for column in ("kernel", "import s", "first s", "later s"):
        table.add_column(column, justify="left" if column == "kernel" else "right", no_wrap=True)
    for name, each in found.items():
        table.add_row(name, *(f"{seconds:.2f}" for seconds in (each.imported, each.first, each.later)))
    console.print(table)


def print_calling(found: Mapping[str, float], console: Console) -> None:
    table = Table(title="Calling, four arguments")
    table.add_column("arguments")
    table.add_column("µs", justify="right")
    for name, seconds in found.items():
        table.add_row(name, f"{seconds * 1e6:.2f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
