"""`vmc build FILE[:KERNEL]... -o LIBRARY`: kernels as one shared library."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmc.commands.failure import Failure, fail
from vmc.commands.program import choices, read_source, unique
from vmc.runtime.programs import split_program

if TYPE_CHECKING:
    from vmc.artifact.manifest import Manifest

EPILOG = """targets: cpu, several levels of x86-64 processors, of which the best is chosen where the library runs;
or cpu:LEVEL, perhaps several; cuda:sm_90a and the like for GPUs. `vmc doctor` tells this machine's level. A kernel that
is built with several values of a parameter has them in its name: matmul_wa16_u4. docs/deploy.md tells how to call them
from Python, C++ and C

  vmc build examples/matmul_wa16.vmc --set T=u4,u8 --target cpu:x86-64-v3 -o libmatmul.so --header matmul.h
  vmc show libmatmul.so
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "programs",
        metavar="FILE[:KERNEL]",
        nargs="+",
        help="a file, of which all kernels are built, or one of them",
    )
    parser.add_argument("-o", dest="output", metavar="LIBRARY", required=True, help="the file to write, like lib.so")
    parser.add_argument("--header", metavar="FILE", help="write a C header, too")
    parser.add_argument(
        "--target",
        dest="targets",
        action="append",
        metavar="NAME",
        help="cpu (default), cpu:LEVEL, cuda:sm_NUMBER; may be repeated",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        type=choices,
        default=[],
        metavar="NAME=VALUE,...",
        help="bind a compile-time parameter or a symbol of the kernels that have it; every combination is a kernel",
    )
    parser.add_argument("--prefix", default="vmc", help="begins the names of the header's functions (default vmc)")
    parser.add_argument("--json", action="store_true", help="print what the library tells of itself as JSON")


def run(args: argparse.Namespace) -> int:
    """Writes the library. Returns 0; raises Failure."""
    from vmc.artifact.build import build
    from vmc.artifact.manifest import write
    from vmc.lang import CompileError
    from vmc.runtime.errors import BuildError, TargetError

    sources = {file: read_source(file) for file in (split_program(program)[0] for program in args.programs)}
    settings: dict[str, Any] = unique(args.settings, "--set")
    try:
        made = build(
            args.programs,
            args.output,
            targets=args.targets or ["cpu"],
            header=args.header,
            prefix=args.prefix,
            **settings,
        )
    except CompileError as error:
        raise Failure(error.diagnostics, sources) from None
    except BuildError as error:
        raise fail(error.code, error.message, error.help) from None
    except TargetError as error:
        raise fail(error.code, error.message) from None
    except OSError as error:
        raise fail("E0921", f"{args.output} cannot be written: {error.strerror or error}") from None
    print(write(made).decode() if args.json else "\n".join(lines(made, Path(args.output))))
    return 0


def lines(made: Manifest, path: Path) -> list[str]:
    """What a library has, for people."""
    targets = [*made.levels, *dict.fromkeys(name for one in made.kernels for name in one.storages if name != "cpu")]
    shown = [f"{path}: {path.stat().st_size} bytes, vmc {made.version}, for {', '.join(targets)}"]
    for one in made.kernels:
        symbols = "".join(f", {name}" for name in one.extras)
        shown.append(f"  {one.name}({', '.join(map(str, one.parameters))}{symbols})")
        bound = {**one.bindings, **one.fixed}
        if bound:
            shown.append(f"      {one.kernel} of {one.file} with {', '.join(f'{k} = {v}' for k, v in bound.items())}")
        for target, storages in one.storages.items():
            for name, storage in storages.items():
                if storage is not None:
                    blocks = f"in blocks of {list(storage.block)}, {storage.pitch} bits each"
                    shown.append(f"      on {target}, {name} {blocks}")
    return shown
