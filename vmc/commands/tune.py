"""`vmc tune FILE[:KERNEL]`: searches for the fastest parameters of a kernel, and keeps them in a table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vmc
from vmc.commands import arrays
from vmc.commands.failure import Failure, fail
from vmc.commands.program import add_program_arguments, cases, choices, compile_for_sizes, read_source, unique
from vmc.commands.rotation import Arguments
from vmc.commands.run import prepare, written
from vmc.runtime.programs import split_program as split
from vmc.tuning.race import Plan, Runner, race, winner
from vmc.tuning.space import Parameters, Space, space, tunable
from vmc.tuning.table import Entry, TableError

if TYPE_CHECKING:
    from vmc.lang import syntax
    from vmc.runtime.kernel import Kernel

EPILOG = """every combination of the values in --set is a case of its own. docs/tuning.md tells how the table is used

  vmc tune examples/matmul_wa8.vmc --set T=u4 --set K=4096 --set N=4096 --set M=1,16 --param BM=1,4,16 --budget 20
"""
SECONDS = 30.0
PREPARING = 0.5
"""The part of the budget that may go into compiling and checking."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_program_arguments(parser, several=True, targets="cpu (default), or cpu:LEVEL")
    parser.add_argument(
        "--param",
        dest="given",
        action="append",
        type=choices,
        default=[],
        metavar="NAME=VALUE,...",
        help="values to try of a parameter (default: powers of two around its default)",
    )
    parser.add_argument("--budget", type=float, default=SECONDS, metavar="SECONDS", help="for each case (default 30)")
    parser.add_argument("--hot", action="store_true", help="time with arguments in the caches (default: from memory)")
    parser.add_argument("--seed", type=int, default=0, help="for random arguments (default 0)")
    parser.add_argument("-o", dest="output", type=Path, metavar="TABLE.json", help="instead of your own table")
    parser.add_argument("--json", action="store_true", help="print JSON")


@dataclass(frozen=True, eq=False)
class Program:
    """The kernel that is tuned: where it stands, and what of it may be tuned with some settings."""

    source: str
    file: str
    name: str
    node: syntax.Kernel

    def statics(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """The compile-time parameters with their values. Raises Failure."""
        from vmc.lang import CompileError
        from vmc.lang.queries import static_values

        try:
            return static_values(self.source, self.file, self.name, settings)
        except CompileError as error:
            raise Failure(error.diagnostics, {self.file: self.source}) from None


@dataclass(frozen=True, eq=False)
class Result:
    """A case: the candidates that took part with what became of them, and how many did not, by the reason."""

    entry: Entry
    parameters: Sequence[Parameters]
    runners: Sequence[Runner]
    left_out: Counter[str]

    def to_json(self) -> dict[str, Any]:
        timed = [
            {
                "parameters": parameters,
                "median": runner.timing.median if runner.timing else None,
                "runs": len(runner.samples),
                "left_after_round": runner.left,
            }
            for parameters, runner in zip(self.parameters, self.runners, strict=True)
        ]
        return {"entry": asdict(self.entry), "candidates": timed, "left_out": dict(self.left_out)}


def run(args: argparse.Namespace) -> int:
    """Tunes every case, and writes each when it is done. Returns 0; raises Failure."""
    given = unique(args.given, "--param")
    program = program_of(args.program)
    machine = machine_of(args.target)
    path = table_path(args.output)
    kernels: dict[str, Kernel] = {}
    found = []
    for case in cases(args):
        result = tune(case, program, machine, given, kernels)
        keep(path, result.entry)
        found.append(result)
        if not args.json:
            print(summary(result), flush=True)
    if args.json:
        print(json.dumps({"table": str(path) if path else None, "cases": [r.to_json() for r in found]}, indent=2))
    elif path is not None:
        print(f"-> {path}")
    return 0


def machine_of(target: str) -> str:
    """What a table calls the target's processor. Raises Failure."""
    from vmc.runtime.errors import TargetError
    from vmc.tuning.keys import machine_key

    try:
        return machine_key(target)
    except TargetError as error:
        raise fail(error.code, error.message) from None


def program_of(text: str) -> Program:
    """The kernel of `FILE[:KERNEL]`. Raises Failure."""
    from vmc.lang import CompileError, compile_kernel
    from vmc.lang.queries import declaration, kernel_names

    file, asked = split(text)
    source = read_source(file)
    names = kernel_names(source, file)
    name = asked or (names[0] if len(names) == 1 else None)
    if name is None or name not in names:
        try:
            compile_kernel(source, file, asked, {})
        except CompileError as error:
            raise Failure(error.diagnostics, {file: source}) from None
    assert name is not None
    return Program(source, file, name, declaration(source, file, name))


# One case


def tune(
    case: argparse.Namespace,
    program: Program,
    machine: str,
    given: Mapping[str, Sequence[Any]],
    kernels: dict[str, Kernel],
) -> Result:
    """Searches for the parameters of one case. `kernels` keeps what is compiled for the next cases. Raises Failure."""
    start = time.monotonic()
    settings = dict(case.settings)
    statics = program.statics(settings)
    tried = space_of(program, statics, settings, given)
    base, left_out = baseline(case, tried, kernels)
    sizes = {name: value for name, value in settings.items() if name in base.kernel.symbols}
    arguments = Arguments(base.kernel, sizes, abs(case.seed))
    late = clock(start + case.budget * PREPARING)
    variants = [base, *agreeing(case, tried, base, arguments, kernels, left_out, late)]
    lanes = [arguments.lane(variant.kernel, not case.hot) for variant in variants]
    runners = race(lanes, Plan(), clock(start + case.budget))
    entry = entry_of(case, program, machine, statics, arguments.symbols, tried, variants, runners)
    return Result(entry, [variant.parameters for variant in variants], runners, left_out)


def clock(end: float) -> Callable[[], bool]:
    return lambda: time.monotonic() > end


def space_of(
    program: Program, statics: Mapping[str, str], settings: Mapping[str, Any], given: Mapping[str, Sequence[Any]]
) -> Space:
    """What to try. Raises Failure."""
    defaults = tunable(program.node, statics, settings)
    for name, values in given.items():
        if name not in defaults:
            listed = ", ".join(f"`{other}`" for other in defaults) or "none"
            raise fail("E0919", f"`{name}` of `{program.name}` cannot be tuned", f"what can be: {listed}")
        if not all(type(value) is int and value > 0 for value in values):
            raise fail("E0907", f"`--param {name}=...` takes positive integers")
    if not defaults:
        raise fail("E0919", f"`{program.name}` has no parameter that can be tuned")
    return space(program.node, defaults, given, {k: v for k, v in settings.items() if type(v) is int})


@dataclass(frozen=True, eq=False)
class Variant:
    """A candidate that compiles."""

    parameters: Parameters
    kernel: Kernel


def baseline(case: argparse.Namespace, tried: Space, kernels: dict[str, Kernel]) -> tuple[Variant, Counter[str]]:
    """The kernel with its defaults, or where they do not compile with the candidate nearest to them; and why not.

    Raises Failure, that of the defaults, where no candidate compiles.
    """
    left_out: Counter[str] = Counter()
    failures: list[Failure] = []
    for candidate in tried.candidates():
        try:
            return compiled(case, candidate, kernels), left_out
        except Failure as failure:
            failures.append(failure)
            left_out[failure.diagnostics[0].message] += 1
    raise failures[0]


def compiled(case: argparse.Namespace, candidate: Parameters, kernels: dict[str, Kernel]) -> Variant:
    """The kernel with a candidate's parameters, for every size if it compiles so. Raises Failure."""
    settings = [*case.settings, *candidate.items()]
    kernel, _ = compile_for_sizes(argparse.Namespace(**{**vars(case), "settings": settings}))
    kernel = kernels.setdefault(f"{kernel!r} {kernel.symbols}", kernel)
    prepare(kernel)
    return Variant(candidate, kernel)


def agreeing(
    case: argparse.Namespace,
    tried: Space,
    base: Variant,
    arguments: Arguments,
    kernels: dict[str, Kernel],
    left_out: Counter[str],
    late: Callable[[], bool],
) -> Iterator[Variant]:
    """The other candidates that compile and write what the first one writes, as many as there is time for."""
    expected = arguments.results(base.kernel)
    candidates = tried.candidates()
    for candidate in candidates[candidates.index(base.parameters) + 1 :]:
        if late():
            left_out["no time to compile"] += 1
            continue
        try:
            variant = compiled(case, candidate, kernels)
            if agrees(base.kernel, expected, variant.kernel, arguments):
                yield variant
            else:
                left_out["other results than with the defaults"] += 1
        except Failure as failure:
            left_out[failure.diagnostics[0].message] += 1


def agrees(base: Kernel, expected: Mapping[str, Any], kernel: Kernel, arguments: Arguments) -> bool:
    """Whether a variant's results are those expected, but for the order of float sums. Raises Failure."""
    from vmc.runtime.compare import compare, tolerance

    got, bound = arguments.results(kernel), tolerance(base)
    for name in written(base):
        parameter = base.parameter(name)
        sides = [arrays.logical(parameter, side[name], arguments.symbols) for side in (got, expected)]
        if compare(parameter.dtype, sides[0], sides[1], bound).message is not None:
            return False
    return True


def entry_of(
    case: argparse.Namespace,
    program: Program,
    machine: str,
    statics: Mapping[str, str],
    symbols: Mapping[str, int],
    tried: Space,
    variants: Sequence[Variant],
    runners: Sequence[Runner],
) -> Entry:
    """The result as a table keeps it."""
    import llvmlite.binding as llvm

    from vmc.backends.cpu import num_threads
    from vmc.tuning.keys import kernel_key

    best = winner(runners)
    return Entry(
        machine=machine,
        threads=num_threads(),
        kernel=program.name,
        hash=kernel_key(program.source, program.file, program.name),
        bindings={name: value for name, value in statics.items() if name not in tried.defaults},
        symbols={**{k: v for k, v in case.settings if k not in statics}, **symbols},
        parameters=variants[best].parameters,
        seconds=runners[best].median,
        default_seconds=runners[0].median if variants[0].parameters == tried.defaults else None,
        cold=not case.hot,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"vmc": vmc.__version__, "llvm": ".".join(map(str, llvm.llvm_version_info))},
    )


# The table and the report


def table_path(output: Path | None) -> Path | None:
    """Where the results go; None, with a warning, where the user has no table. Raises Failure for a file that is no
    table, before anything is timed.
    """
    from vmc.tuning.files import read, user_path

    path = output or user_path()
    if path is None:
        print("warning: VMC_CACHE=0 leaves no place for your table; give `-o TABLE.json`", file=sys.stderr)
        return None
    try:
        read(path)
    except FileNotFoundError:
        pass
    except (OSError, TableError) as error:
        raise unusable(path, error) from None
    return path


def keep(path: Path | None, entry: Entry) -> None:
    """Adds an entry to the table. Raises Failure."""
    from vmc.tuning.files import update

    if path is None:
        return
    try:
        update(path, [entry])
    except (OSError, TableError) as error:
        raise unusable(path, error) from None


def unusable(path: Path, error: OSError | TableError) -> Failure:
    reason = str(error) if isinstance(error, TableError) else f"cannot be used: {error.strerror or error}"
    return fail("E0920", f"{path} {reason}", "remove it, or give another with `-o`")


def summary(result: Result) -> str:
    """A case for a person."""
    entry = result.entry
    about = " ".join(f"{name}={value}" for name, value in {**entry.bindings, **entry.symbols}.items())
    best = " ".join(f"{name}={value}" for name, value in entry.parameters.items())
    lines = [f"{entry.kernel} {about}: {best}, {1e6 * entry.seconds:.1f} us"]
    if entry.default_seconds is not None:
        lines[0] += f", defaults {1e6 * entry.default_seconds:.1f} us, x{entry.default_seconds / entry.seconds:.2f}"
    dropped = sum(runner.left is not None or not runner.samples for runner in result.runners)
    lines.append(f"  {len(result.runners)} candidates timed, {dropped} of them dropped early")
    lines += [f"  {count} left out: {reason}" for reason, count in result.left_out.most_common()]
    return "\n".join(lines)
