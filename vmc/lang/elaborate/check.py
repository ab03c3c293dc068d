"""Checking a whole file: every kernel with its defaults, or with representatives of what its parameters admit.

A compile-time parameter without a default is checked with several types, or one number, that stand for all; a mistake
that shows only with some of them says with which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from vmc.diagnostics import Diagnostic, Note
from vmc.ir.builder import argument
from vmc.ir.core import TileType
from vmc.ir.types import dtype
from vmc.lang import syntax
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.kernels import Binding, elaborate_kernel
from vmc.lang.elaborate.lints import lint
from vmc.lang.elaborate.modules import Module
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.statements import elaborate_body
from vmc.lang.elaborate.values import Const, FormatRef, FunctionRef, Tile, TypeRef

REPRESENTATIVES = {
    "type": ("u4", "i5", "f6e3m2"),
    "int": ("u4", "i5"),
    "uint": ("u4",),
    "sint": ("i5",),
    "float": ("f6e3m2", "f16"),
}
NUMBER = 64
EXTENT = 16
MAX_COMBINATIONS = 9


def check_module(module: Module) -> list[Diagnostic]:
    """All diagnostics of a file, in the order of the source."""
    found = list(module.diagnostics)
    for node in module.kernels.values():
        found += check_kernel(module, node)
    if not any(d.is_error for d in found):
        for function in module.functions:
            found += check_function(function, found)
    found += lint(module.tree)
    unique = list(dict.fromkeys(found))
    return sorted(unique, key=lambda d: (d.span.file != module.tree.span.file, d.span.line, d.span.column, d.code))


def check_kernel(module: Module, node: syntax.Kernel) -> list[Diagnostic]:
    """The diagnostics of a kernel over the representatives of its parameters."""
    runs: list[tuple[dict[str, Binding], list[Diagnostic]]] = []
    for bindings in representatives(module, node):
        el = Elaborator()
        elaborate_kernel(el, node, module.scope, bindings)
        runs.append((bindings, el.diagnostics))
    found: dict[tuple[str, object, str], Diagnostic] = {}
    for bindings, diagnostics in runs:
        for diagnostic in diagnostics:
            key = (diagnostic.code, diagnostic.span, diagnostic.message)
            everywhere = all(any(same_place(diagnostic, d) for d in other) for _, other in runs)
            found.setdefault(key, diagnostic if everywhere else with_bindings(diagnostic, bindings))
    return one_for_each_place(list(found.values()))


def same_place(a: Diagnostic, b: Diagnostic) -> bool:
    return (a.code, a.span) == (b.code, b.span)


def one_for_each_place(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """The first diagnostic of every code and place."""
    kept: dict[tuple[str, object], Diagnostic] = {}
    for diagnostic in diagnostics:
        kept.setdefault((diagnostic.code, diagnostic.span), diagnostic)
    return list(kept.values())


def with_bindings(diagnostic: Diagnostic, bindings: dict[str, Binding]) -> Diagnostic:
    """The diagnostic with a note that says with which parameters it arose."""
    named = ", ".join(f"{name} = {getattr(value, 'name', value)}" for name, value in bindings.items())
    return replace(diagnostic, notes=(*diagnostic.notes, Note(None, f"with {named}")))


def representatives(module: Module, node: syntax.Kernel) -> Iterator[dict[str, Binding]]:
    """Bindings that stand for all: each parameter without default over its representatives."""
    free = [(param, choices(module, param)) for param in node.static_params if param.default is None]
    combinations = product(*(values for _, values in free))
    for _, combination in zip(range(MAX_COMBINATIONS), combinations, strict=False):
        yield {param.name: value for (param, _), value in zip(free, combination, strict=True)}


def choices(module: Module, param: syntax.StaticParam) -> list[Binding]:
    if param.kind in REPRESENTATIVES:
        return [dtype(name) for name in REPRESENTATIVES[param.kind]]
    if param.kind == "bool":
        return [False, True]
    if param.kind == "format":
        formats: list[Binding] = [t.format for t in module.scope.names.values() if isinstance(t, FormatRef)]
        return formats[:2]
    return [NUMBER]


def check_function(function: FunctionRef, found: list[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics of a function whose parameters all have types, elaborated on tiles of those types."""
    node = function.declaration
    if any(param.type is None for param in node.params) or any(p.default is None for p in node.static_params):
        return []
    el = Elaborator()
    scope = Scope(function.scope, local=True)
    with el.reporting(node.name_span):
        for static in node.static_params:
            assert static.default is not None
            scope.names[static.name] = evaluate(el, static.default, scope)
        for param in node.params:
            assert param.type is not None
            bind_representative(el, param.name, param.type, scope)
        el.calls.append((node.name, node.name_span))
        elaborate_body(el, node.body, scope)
    known = {(d.code, d.span) for d in found}
    strip = [
        replace(d, notes=d.notes[:-1]) if d.notes and d.notes[-1].span == node.name_span else d for d in el.diagnostics
    ]
    return [d for d in strip if (d.code, d.span) not in known]


def bind_representative(el: Elaborator, name: str, type: syntax.TypeExpr, scope: Scope) -> None:
    """A tile of the declared type, unknown extents taken as `EXTENT`. Raises Reject."""
    base = evaluate(el, type.base, scope)
    if not isinstance(base, TypeRef):
        raise el.unexpected(base, "a numeric type", type.base.span, code="E0116")
    shape = []
    for extent in type.extents or ():
        if isinstance(extent, syntax.Name) and scope.find(extent.id) is None:
            scope.names[extent.id] = Const(EXTENT)
        shape.append(el.integer(evaluate(el, extent, scope), extent.span))
    scope.names[name] = Tile(argument(TileType(base.dtype, tuple(shape)), name))
