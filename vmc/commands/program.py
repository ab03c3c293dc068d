"""What commands are told of programs: `FILE`, `FILE:KERNEL`, `--set NAME=VALUE`, `--target NAME`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vmc.commands.failure import Failure, fail
from vmc.runtime.programs import split_program

if TYPE_CHECKING:
    from vmc.runtime.kernel import Kernel

LARGEST = 16 << 20
"""Bytes of a source file; what is larger is no program."""

V = TypeVar("V")
Setting = tuple[str, int | float | bool | str]


ANY_TARGET = "cpu (default), cpu:LEVEL, cpu:portable, interp, cuda:sm_XX, or ptx-vm:sm_XX"
RUN_BY_COMMANDS = "cpu (default), cpu:LEVEL, cpu:portable, interp, or ptx-vm:sm_XX"
"""Arguments that a command makes lie in the CPU's memory."""


def refuse_gpu(target: str, command: str) -> None:
    """Raises Failure for the target of a GPU, whose arguments no command can make."""
    if target.partition(":")[0] == "cuda":
        help = "call it from Python with tensors on the GPU; `ptx-vm` executes GPU code on the CPU, see docs/gpu.md"
        message = f"`vmc {command}` makes arguments in the CPU's memory, and the target is {target}"
        raise fail("E0904", message, help=help)


def add_program_arguments(parser: argparse.ArgumentParser, several: bool = False, targets: str = ANY_TARGET) -> None:
    """FILE[:KERNEL], --target and --set, the latter perhaps with several values."""
    parser.add_argument("program", metavar="FILE[:KERNEL]", help="the file, and the kernel where it has several")
    parser.add_argument(
        "--target",
        default="cpu",
        metavar="NAME",
        help=targets,
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        type=choices if several else setting,
        default=[],
        metavar="NAME=VALUE,..." if several else "NAME=VALUE",
        help="bind a compile-time parameter, or give a symbol's value: "
        + ("T=u4,i4 or M=1,16; every combination is a case" if several else "T=u4, BM=32, M=17"),
    )


def setting(text: str) -> Setting:
    """`T=u4`, `BM=32`, `fast=true`. Raises ArgumentTypeError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier() or not value.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), literal(value.strip())


def choices(text: str) -> tuple[str, list[int | float | bool | str]]:
    """`T=u4,i4`, `M=1,16`. Raises ArgumentTypeError."""
    name, equals, values = text.partition("=")
    return name.strip(), [setting(f"{name}{equals}{value}")[1] for value in values.split(",")]


def cases(args: argparse.Namespace) -> list[argparse.Namespace]:
    """The arguments of a command for every combination of the values that its settings list. Raises Failure."""
    listed = unique(args.settings, "--set")
    return [
        argparse.Namespace(**{**vars(args), "settings": list(zip(listed, values, strict=True))})
        for values in product(*listed.values())
    ]


def literal(text: str) -> int | float | bool | str:
    """A number or a boolean where the text is one; else the text, which names a type or a format."""
    if text in ("true", "false"):
        return text == "true"
    for read in (lambda t: int(t, 0), float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def assignment(text: str) -> tuple[str, str]:
    """`x=a.npy`. Raises ArgumentTypeError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier() or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value


def unique(pairs: Sequence[tuple[str, V]], option: str) -> dict[str, V]:
    """Pairs as a dictionary. Raises Failure where a name comes twice."""
    found: dict[str, V] = {}
    for name, value in pairs:
        if name in found:
            raise fail("E0908", f"`{option} {name}=...` is given twice")
        found[name] = value
    return found


def read_source(file: str) -> str:
    """The text of a source file. Raises Failure."""
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise fail("E0901", f"{file} is larger than {LARGEST >> 20} MiB")
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise fail("E0902", f"{file} is not UTF-8 text: byte {error.start} cannot be read") from None
    except FileNotFoundError:
        raise fail("E0901", f"there is no file {file}", near(file)) from None
    except IsADirectoryError:
        raise fail("E0901", f"{file} is a directory") from None
    except (OSError, ValueError) as error:
        raise fail("E0901", f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def near(file: str) -> str | None:
    """A file of a like name in the same folder, as a question."""
    from vmc.diagnostics import suggest

    folder = Path(file).parent
    try:
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    except OSError:
        return None
    close = suggest(Path(file).name, names)
    return f"did you mean `{folder / close}`?" if close else None


def compile_program(args: argparse.Namespace, target: str | None = None) -> Kernel:
    """The kernel that `add_program_arguments` describes, before code is generated. Raises Failure."""
    file, kernel = split_program(args.program)
    return compiled(read_source(file), file, kernel, target or args.target, dict(args.settings))


def compile_for_sizes(args: argparse.Namespace, target: str | None = None) -> tuple[Kernel, list[str]]:
    """As `compile_program`, but symbols that are set stay symbols, so that what runs is the kernel for every size.

    Where the kernel does not compile without their values they are bound after all, and a warning says so. Raises
    Failure.
    """
    file, name = split_program(args.program)
    source, target, settings = read_source(file), target or args.target, dict(args.settings)
    sizes = symbol_settings(source, file, name, settings)
    if not sizes:
        return compiled(source, file, name, target, settings), []
    try:
        kernel = compiled(source, file, name, target, {k: v for k, v in settings.items() if k not in sizes})
    except Failure:
        kernel = compiled(source, file, name, target, settings)
        shown = ", ".join(f"{symbol}={value}" for symbol, value in sizes.items())
        return kernel, [f"`{kernel.name}` does not compile for every size; compiled for {shown} only"]
    if all(symbol in kernel.symbols for symbol in sizes):
        return kernel, []
    return compiled(source, file, name, target, settings), []


def symbol_settings(
    source: str, file: str, kernel: str | None, settings: Mapping[str, int | float | bool | str]
) -> dict[str, int]:
    """The settings of a kernel's symbols; none where they or the kernel have mistakes, which compiling will tell."""
    from vmc.lang.queries import declaration, extent_names, kernel_names

    known = kernel_names(source, file)
    name = kernel or (known[0] if len(known) == 1 else None)
    if name not in known or name is None:
        return {}
    node = declaration(source, file, name)
    others = set(extent_names(node)) - {param.name for param in node.static_params}
    found = {name: value for name, value in settings.items() if name in others}
    if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in found.values()):
        return {}
    return {name: int(value) for name, value in found.items()}


def compiled(
    source: str, file: str, kernel: str | None, target: str, settings: Mapping[str, int | float | bool | str]
) -> Kernel:
    """The kernel of a text, before code is generated. Raises Failure."""
    from vmc.lang import CompileError
    from vmc.runtime.compiling import elaborate
    from vmc.runtime.errors import TargetError

    try:
        return elaborate(source, file, kernel, target, settings)
    except CompileError as error:
        raise Failure(error.diagnostics, {file: source}) from None
    except TargetError as error:
        raise fail(error.code, error.message) from None
