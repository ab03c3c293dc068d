"""`vmc show FILE[:KERNEL] --stage NAME`: the kernel at a stage; `vmc show LIBRARY`: what a library has."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from vmc.commands.failure import fail
from vmc.commands.program import add_program_arguments, compile_program

EPILOG = """stages: ast, ir (before any pass), each pass in order, and the target's code:
llvm and asm for the CPU; tirx, cuda, ptx and sass for NVIDIA GPUs

  vmc show examples/matmul_wa16.vmc --set T=u4 --stage asm
  vmc show examples/matmul_wa16.vmc --set T=u4 --target cuda:sm_90a --stage ptx
  vmc show examples/matmul_wa16.vmc --set T=u4 --list

of a library that `vmc build` made, what it tells of itself:

  vmc show libmatmul.so
"""
ELF = b"\x7fELF"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_program_arguments(parser)
    parser.add_argument("--stage", metavar="NAME", help="the stage; without it, the IR that the target gets")
    parser.add_argument("--list", action="store_true", help="list the target's stages")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints a stage, or what a library has. Returns 0; raises Failure."""
    if is_library(args.program):
        return show_library(Path(args.program), args.json)
    from vmc.runtime.errors import TargetError
    from vmc.runtime.stages import UnknownStageError, named_passes, stage_names
    from vmc.runtime.targets import check_target

    try:
        check_target(args.target)
    except TargetError as error:
        raise fail(error.code, error.message) from None
    if args.list:
        contracts = {name: step.contract for name, step in named_passes(args.target)}
        stages = {name: contracts.get(name, "") for name in stage_names(args.target)}
        print(json.dumps(stages, indent=2) if args.json else "\n".join(stages))
        return 0
    names = stage_names(args.target)
    if args.stage is not None and args.stage not in names:
        raise fail("E0917", str(UnknownStageError(args.stage, names)), elsewhere(args.stage))
    kernel = compile_program(args)
    try:
        text = kernel.ir(args.stage)
    except TargetError as error:
        raise fail(error.code, error.message) from None
    if args.json:
        print(json.dumps({"kernel": kernel.name, "target": args.target, "stage": args.stage, "text": text}, indent=2))
    else:
        print(text, end="" if text.endswith("\n") else "\n")
    return 0


def elsewhere(stage: str) -> str | None:
    """The targets of another kind that have a stage, as help."""
    from vmc.runtime.stages import stage_names

    for target in ("cpu", "cuda:sm_90a"):
        if stage in stage_names(target):
            return f"it is a stage of other targets: `--target {target} --stage {stage}`"
    return None


def is_library(program: str) -> bool:
    """Whether a file is a shared object, or is called one."""
    path = Path(program)
    try:
        with path.open("rb") as file:
            return file.read(len(ELF)) == ELF or path.suffix == ".so"
    except (OSError, ValueError):
        return False


def show_library(path: Path, as_json: bool) -> int:
    """Prints what a library tells of itself. Raises Failure."""
    from vmc.artifact.library import manifest_in
    from vmc.commands.build import lines
    from vmc.runtime.errors import LibraryError

    try:
        found = manifest_in(path)
    except LibraryError as error:
        raise fail(error.code, error.message) from None
    except OSError as error:
        raise fail("E0901", f"{path} cannot be read: {error.strerror or error}") from None
    print(found.text if as_json else "\n".join(lines(found, path)))
    return 0
