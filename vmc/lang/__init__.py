"""The language: source text to diagnostics, and to kernels in tile IR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmc.diagnostics import Diagnostic
    from vmc.ir.types import DType
    from vmc.lang.elaborate.kernels import Binding, Elaborated
    from vmc.lang.elaborate.modules import Module

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
    result = elaborate_kernel(el, module.kernels[kernel], module.scope, resolve(module, bindings, source))
    if result is None:
        raise CompileError(el.diagnostics, source)
    return result


def resolve(
    module: Module, bindings: Mapping[str, DType | int | float | bool | str], source: str
) -> dict[str, Binding]:
    """Bindings with types and formats for their names. Raises CompileError for an unknown one."""
    from vmc.diagnostics import error, suggest
    from vmc.ir.types import ALL_DTYPES
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
                close = suggest(value, [t.name for t in ALL_DTYPES])
                help = f"did you mean `{close}`?" if close else None
                raise CompileError(
                    [error("E0211", f"unknown type `{value}` for `{name}`", module.start, help=help)], source
                )
    return resolved
