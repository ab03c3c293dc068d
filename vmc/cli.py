"""The command line: `vmc COMMAND ...`. Exit codes: 0, 1 with a diagnostic, 2 for wrong usage, 3 for a bug in vmc.

A command is a module of `vmc.commands` with `add_arguments(parser)` and `run(args)`. Only the one that is asked for is
imported, so that each starts as fast as what it needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import vmc

COMMANDS = {
    "check": "report every mistake in files",
    "run": "compile a kernel and run it",
    "build": "compile kernels to one shared library",
    "show": "print a kernel at any stage of compilation",
    "explain": "tell what a kernel costs, and why",
    "bench": "time a kernel on random arguments",
    "tune": "search for the fastest parameters of a kernel",
    "explain-error": "explain the code of a diagnostic",
    "layout": "print or draw a layout",
    "formats": "list number types and block formats",
    "doctor": "tell what is installed, and what each missing piece would enable",
}
INTERRUPTED = 130
BUG = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code. Never raises, and never prints a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = dispatch(words)
        sys.stdout.flush()
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        silence_stdout()
        return 1
    except MemoryError as error:
        print(f"error: out of memory: {error}" if str(error) else "error: out of memory", file=sys.stderr)
        return 1
    except Exception as error:
        return report_bug(error, words)


def dispatch(words: Sequence[str]) -> int:
    """Parses the words and runs the command."""
    asked = next((word for word in words if not word.startswith("-")), None)
    parser, module = build_parser(asked)
    args = parser.parse_args(words)
    if module is None:
        parser.print_help()
        return 2
    from vmc.commands.failure import Failure

    try:
        return int(module.run(args))
    except Failure as failure:
        return failure.report(as_json=getattr(args, "json", False))


def build_parser(asked: str | None) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    """The parser, with the arguments of the command that is asked for, and that command's module."""
    parser = argparse.ArgumentParser(prog="vmc", description="Compiler and virtual machine for low-precision kernels.")
    parser.add_argument("--version", action="version", version=f"vmc {vmc.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    module = None
    for name, about in COMMANDS.items():
        sub = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if name == asked:
            module = import_module(f"vmc.commands.{name.replace('-', '_')}")
            sub.formatter_class = argparse.RawDescriptionHelpFormatter
            sub.epilog = getattr(module, "EPILOG", None)
            module.add_arguments(sub)
    return parser, module


def silence_stdout() -> None:
    """Points stdout at nothing, so that the interpreter does not fail again when it flushes at exit."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def report_bug(error: Exception, words: Sequence[str]) -> int:
    """Says that vmc failed, and writes what a report needs to a file."""
    import platform
    import tempfile
    import traceback

    lines = [
        f"vmc {vmc.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"vmc {' '.join(words)}",
    ]
    lines += ["", *traceback.format_exception(error)]
    for word in words:
        path = Path(word.partition(":")[0])
        if path.suffix == ".vmc" and path.is_file():
            lines += [f"# {path}", path.read_text(encoding="utf-8", errors="backslashreplace")]
    print(f"error: vmc failed: {type(error).__name__}: {error}", file=sys.stderr)
    print("This is a bug in vmc, not in your program.", file=sys.stderr)
    try:
        handle, name = tempfile.mkstemp(prefix="vmc-report-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(lines))
        print(
            f"Please report it, with this file, which holds the command, the program and the trace: {name}",
            file=sys.stderr,
        )
    except OSError:
        print("\n".join(lines), file=sys.stderr)
    return BUG


if __name__ == "__main__":
    sys.exit(main())
