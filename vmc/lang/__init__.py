"""The language: source text to diagnostics, and to kernels in tile IR."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmc.diagnostics import Diagnostic
    from vmc.ir.types import DType
    from vmc.lang.elaborate.kernels import Binding, Elaborated
    from vmc.lang.elaborate.modules import Module
    from vmc.lang.syntax import Kernel

__all__ = ["CompileError", "check_source", "compile_kernel"]


class CompileError(Exception):
    """A program with mistakes; `diagnostics` tells which, `source` is the text they point into.

    As text it is what the command line prints: every mistake with its line, and what helps.
    """

    def __init__(self, diagnostics: list[Diagnostic], source: str) -> None:
        super().__init__(diagnostics, source)
        self.diagnostics = diagnostics
        self.source = source

    def __str__(self) -> str:
        from vmc.diagnostics.render import render_all
        from vmc.diagnostics.sources import with_imports

        return render_all(self.diagnostics, with_imports(self.diagnostics, {}, unreadable=self.source)).rstrip()


def check_source(source: str, file: str) -> list[Diagnostic]:
    """Every diagnostic of a file: syntax, names, types, shapes, and warnings. Never raises on bad source.

    Errors come before warnings. Where there are errors, warnings about names (W01xx) are left out: a name may be unused
    only because the line that uses it is wrong.
    """
    from vmc.lang.elaborate.check import check_module
    from vmc.lang.elaborate.modules import load_module

    found = check_module(load_module(source, file))
    errors = [diagnostic for diagnostic in found if diagnostic.is_error]
    warnings = [diagnostic for diagnostic in found if not diagnostic.is_error]
    return errors + [warning for warning in warnings if not (errors and warning.code.startswith("W01"))]


def compile_kernel(
    source: str, file: str, kernel: str | None, bindings: Mapping[str, DType | int | float | bool | str]
) -> Elaborated:
    """One kernel in tile IR, with its compile-time parameters bound, and symbols where `bindings` names some.

    Strings name numeric types, or formats of the file or of a module (`gguf.q4_k`). `kernel` may be None where the file
    has only one. Raises CompileError.
    """
    from vmc.diagnostics import error
    from vmc.lang.elaborate.elaborator import Elaborator
    from vmc.lang.elaborate.kernels import elaborate_kernel
    from vmc.lang.elaborate.modules import load_module, unknown_kernel

    module = load_module(source, file)
    problems = [d for d in module.diagnostics if d.is_error]
    if kernel is None and len(module.kernels) == 1:
        (kernel,) = module.kernels
    if not problems and kernel is None:
        listed = ", ".join(f"`{name}`" for name in module.kernels) or "none"
        problems = [error("E0903", f"which kernel? The file has {listed}", module.start)]
    if not problems and kernel not in module.kernels:
        problems = [unknown_kernel(module, str(kernel))]
    if problems:
        raise CompileError(problems, source)
    assert kernel is not None
    el = Elaborator()
    node = module.kernels[kernel]
    result = elaborate_kernel(el, node, module.scope, resolve(module, node, bindings, source))
    if result is None:
        raise CompileError(el.diagnostics, source)
    return result


def resolve(
    module: Module, node: Kernel, bindings: Mapping[str, DType | int | float | bool | str], source: str
) -> dict[str, Binding]:
    """Bindings with types and formats for their names. Raises CompileError for an unknown one."""
    from vmc.lang.elaborate.modules import qualified
    from vmc.lang.elaborate.values import FormatRef, TypeRef

    resolved: dict[str, Binding] = {}
    for name, value in bindings.items():
        if not isinstance(value, str):
            resolved[name] = value
            continue
        match module.scope.find(value) or qualified(module, value):
            case TypeRef(type):
                resolved[name] = type
            case FormatRef(format):
                resolved[name] = format
            case _:
                mistake = unknown_binding(module, node, name, value)
                if mistake is not None:
                    raise CompileError([mistake], source)
    return resolved


def unknown_binding(module: Module, node: Kernel, name: str, value: str) -> Diagnostic | None:
    """The error for a word that names no type, given for a compile-time parameter or a symbol; None for other names."""
    from vmc.diagnostics import error, suggest
    from vmc.ir.types import ALL_DTYPES
    from vmc.lang.elaborate.statics import expected_of
    from vmc.lang.queries import extent_names

    param = next((param for param in node.static_params if param.name == name), None)
    if param is None:
        message = f"the symbol `{name}` takes an integer, and got the word `{value}`"
        return error("E0907", message, module.start) if name in extent_names(node) else None
    if "type" not in expected_of(param):
        return error("E0705", f"`{name}` takes {expected_of(param)}, and got the word `{value}`", param.span)
    names = [t.name for t in ALL_DTYPES]
    short = re.sub("^(u?)int(?=[0-9])", lambda match: match[1] or "i", value)
    close = short if short in names else suggest(value, names)
    help = f"did you mean `{close}`?" if close else None
    return error("E0211", f"unknown type `{value}` for `{name}`", param.span, help=help)
