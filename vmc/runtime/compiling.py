"""`vmc.compile`: from source text or a file to a kernel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vmc.ir.types import DType
from vmc.lang import CompileError, compile_kernel
from vmc.runtime.elements import type_name
from vmc.runtime.kernel import Kernel
from vmc.runtime.targets import check_target

Bindings = Mapping[str, DType | int | float | bool | str]
TEXT = "<text>"
STARTS_KERNEL = re.compile(r"\s*(fast\s+)?kernel\s+\w+\s*[\[(]")


def compile(
    source_or_path: str | Path,
    kernel: str | None = None,
    target: str = "cpu",
    *,
    tuned: Mapping[str, int] | None = None,
    **bindings: Any,
) -> Kernel:
    """Compiles one kernel for a target.

    `source_or_path` is a path, or the text of a program: a string with a line end. `kernel` may be left out where the
    file has only one. `target` is "cpu", "interp", the reference machine, "cuda" or one of docs/targets.md. `bindings`
    are the compile-time parameters: numbers, booleans, and types or formats (`vmc.dtype(...)`, `np.float16`,
    `torch.float16`, or their names); they may also fix symbols, `M=1`. `tuned` gives symbols' values, all or some:
    parameters that `bindings` leave open are then those that the tables of `vmc tune` have for the nearest shape, else
    the defaults. The kernel takes other shapes, too.

    Raises CompileError for a program with mistakes, TargetError for a target, OSError and UnicodeDecodeError for a file
    that cannot be read.
    """
    source, file = source_of(source_or_path)
    if tuned is not None:
        from vmc.tuning.lookup import tuned_parameters

        bindings |= tuned_parameters(source, file, kernel, target, bindings, tuned)
    return elaborate(source, file, kernel, target, bindings).prepare()


def elaborate(source: str, file: str, kernel: str | None, target: str, bindings: Mapping[str, Any]) -> Kernel:
    """The kernel of a text whose spans name `file`, before code is generated. Raises CompileError, TargetError."""
    check_target(target)
    plain = plain_bindings(bindings)
    elaborated = compile_kernel(source, file, kernel, plain)
    check_names(elaborated.kernel.name, source, file, plain, dict(elaborated.kernel.bindings))
    return Kernel.of(elaborated, target, source, file)


def source_of(source_or_path: str | Path) -> tuple[str, str]:
    """The program's text and the name of its file. A text has several lines, or begins as a kernel does."""
    if isinstance(source_or_path, str) and ("\n" in source_or_path or STARTS_KERNEL.match(source_or_path)):
        return source_or_path, TEXT
    path = Path(source_or_path)
    return path.read_text(encoding="utf-8"), str(source_or_path)


def plain_bindings(bindings: Mapping[str, Any]) -> dict[str, DType | int | float | bool | str]:
    """Bindings with NumPy's numbers as Python's, and the array libraries' types by vmc's names.

    Raises TypeError for what cannot be a binding.
    """
    plain: dict[str, DType | int | float | bool | str] = {}
    for name, value in bindings.items():
        if isinstance(value, np.generic):
            value = value.item()
        value = type_name(value) or value
        if not isinstance(value, DType | int | float | bool | str):
            raise TypeError(f"`{name}` is a number, a boolean or a type, not {described(value)}")
        if isinstance(value, str) and is_number(value):
            raise TypeError(f"`{name}` is given the text {value!r}; for a number write {name}={value}")
        plain[name] = value
    return plain


def is_number(text: str) -> bool:
    """Whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return text[-1].isdigit()


def described(value: Any) -> str:
    """`list`, or for a type `the type float`."""
    if isinstance(value, type | np.dtype):
        return f"the type {value.__name__ if isinstance(value, type) else value.name}"
    return type(value).__name__


def check_names(kernel: str, source: str, file: str, bindings: Mapping[str, Any], taken: Mapping[str, str]) -> None:
    """Whether every binding is a compile-time parameter, or an integer for a symbol. Raises CompileError."""
    others = [name for name in bindings if name not in taken]
    if not others:
        return
    from vmc.diagnostics import error, suggest
    from vmc.lang.queries import declaration, extent_names

    node = declaration(source, file, kernel)
    known = list(dict.fromkeys([*taken, *extent_names(node)]))
    found = []
    for name in others:
        value = bindings[name]
        if name in known:
            if not isinstance(value, int) or isinstance(value, bool):
                message = f"the symbol `{name}` takes an integer, and got {value}"
                found.append(error("E0907", message, node.name_span))
            continue
        close = suggest(name, known)
        listed = f"it has {', '.join(f'`{k}`' for k in known) or 'none'}"
        help = f"did you mean `{close}`? {listed}" if close else listed
        message = f"`{kernel}` has no compile-time parameter or symbol `{name}`"
        found.append(error("E0906", message, node.name_span, help=help))
    if found:
        raise CompileError(found, source)
