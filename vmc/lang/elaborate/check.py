"""Checking a whole file: every kernel with its defaults, or with representatives of what its parameters admit.

A compile-time parameter without a default is checked with several types, or one number, that stand for all; a mistake
that shows only with some of them says with which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

from vmc.diagnostics import Diagnostic, Note
from vmc.ir.builder import argument
from vmc.ir.core import Access, TensorType, TileType
from vmc.ir.span import Span
from vmc.ir.types import dtype
from vmc.lang import syntax
from vmc.lang.elaborate.calls import pinned
from vmc.lang.elaborate.decoding import study
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.formats import Format
from vmc.lang.elaborate.kernels import Binding, elaborate_kernel
from vmc.lang.elaborate.lints import lint
from vmc.lang.elaborate.modules import Module, qualified
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.statements import elaborate_body
from vmc.lang.elaborate.types import numeric_type
from vmc.lang.elaborate.values import Const, FormatRef, FunctionRef, ModuleRef, Tensor, Thing, Tile, TypeRef

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
    for thing in module.scope.names.values():
        if isinstance(thing, FormatRef) and thing.format.scope is module.scope:
            found += check_format(thing.format)
    declarations = {(d.code, d.span) for d in found}
    for node in module.kernels.values():
        found += [d for d in check_kernel(module, node) if (d.code, d.span) not in declarations]
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


def explains(a: Diagnostic, b: Diagnostic) -> bool:
    """Whether `b`, of another trial, is the mistake `a`, or a whole tensor's where a value was wanted."""
    return same_place(a, b) or (b.code == "E0503" and a.span.line == b.span.line)


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
        return list(formats_of(module))
    return [NUMBER]


def formats_of(module: Module) -> tuple[Format, ...]:
    """Up to two formats: the file's own, those that it imports, or the library's."""
    imported = [thing.scope for thing in module.scope.names.values() if isinstance(thing, ModuleRef)]
    for scope in (module.scope, *imported):
        found = [thing.format for thing in scope.names.values() if isinstance(thing, FormatRef)]
        if found:
            return tuple(found[:2])
    library = (qualified(module, name) for name in ("gguf.q4_0", "gguf.q8_0"))
    return tuple(thing.format for thing in library if isinstance(thing, FormatRef))


def check_format(format: Format) -> list[Diagnostic]:
    """The diagnostics of a format's value, elaborated on one block."""
    el = Elaborator()
    with el.reporting(format.declaration.name_span):
        study(el, format, format.declaration.span)
    return [without_own_call(d, format.declaration.span) for d in el.diagnostics]


def check_function(function: FunctionRef, found: list[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics of a function that may never be called.

    Parameters with types are taken at their word. A parameter without one may be anything, so the function is tried
    with several things; told are mistakes that arise with all of them, if they do not concern types or shapes.
    """
    node = function.declaration
    untyped = any(param.type is None for param in node.params) or any(p.default is None for p in node.static_params)
    runs = [try_function(function, stand_ins) for stand_ins in trials(node)]
    told = [d for run in runs for d in run] if untyped else runs[0]
    known = {(d.code, d.span) for d in found}
    codes = UNTYPED_CODES if len(node.params) <= MAX_COMBINED else NAME_CODES
    return [
        diagnostic
        for diagnostic in one_for_each_place(told)
        if (diagnostic.code, diagnostic.span) not in known
        and (not untyped or diagnostic.code in codes)
        and all(any(explains(diagnostic, other) for other in run) for run in runs)
    ]


def trials(node: syntax.Function) -> Iterator[dict[str, StandIn]]:
    """What parameters without a type are tried with: all combinations, or for many parameters one thing for all."""
    names = [param.name for param in node.params if param.type is None]
    if len(names) > MAX_COMBINED:
        yield from (dict.fromkeys(names, stand_in) for stand_in in STAND_INS)
    else:
        yield from (dict(zip(names, chosen, strict=True)) for chosen in product(STAND_INS, repeat=len(names)))


def try_function(function: FunctionRef, stand_ins: dict[str, StandIn]) -> list[Diagnostic]:
    """The diagnostics of one elaboration, stand-ins taking the places of parameters without a type."""
    node = function.declaration
    el = Elaborator()
    scope = Scope(function.scope)
    with el.reporting(node.name_span):
        for static in node.static_params:
            scope.names[static.name] = static_stand_in(el, static, scope)
        for param in node.params:
            if param.type is None:
                scope.names[param.name] = stand_ins[param.name](param.name)
            else:
                bind_representative(el, param.name, param.type, scope)
        el.calls.append((node.name, node.name_span))
        elaborate_body(el, node.body, scope)
    return [without_own_call(d, node.name_span) for d in el.diagnostics]


def without_own_call(diagnostic: Diagnostic, span: Span) -> Diagnostic:
    """The diagnostic without the note that it happened in a call of the function being tried."""
    return replace(diagnostic, notes=tuple(note for note in diagnostic.notes if note.span != span))


def static_stand_in(el: Elaborator, param: syntax.StaticParam, scope: Scope) -> Thing:
    if param.default is not None:
        return evaluate(el, param.default, scope)
    if param.kind in REPRESENTATIVES:
        return TypeRef(dtype(REPRESENTATIVES[param.kind][0]))
    return Const(True) if param.kind == "bool" else Const(EXTENT)


StandIn = Callable[[str], Thing]
MAX_COMBINED = 3


def tile_of(type: str, *shape: int) -> StandIn:
    return lambda name: Tile(argument(TileType(dtype(type), shape), name))


def tensor_of(type: str, *shape: int) -> StandIn:
    memory = TensorType(dtype(type), shape, Access.INOUT)
    return lambda name: Tensor(argument(memory, name), name, shape)


STAND_INS: tuple[StandIn, ...] = (
    tile_of("f32", EXTENT, EXTENT),
    tile_of("i32"),
    tensor_of("f32", EXTENT, EXTENT),
    lambda name: Const(EXTENT),
)
NAME_CODES = frozenset(
    {"E0101", "E0102", "E0104", "E0105", "E0110", "E0111", "E0112", "E0113", "E0211", "E0213", "E0602"}
)
UNTYPED_CODES = NAME_CODES | {
    *("E0107", "E0109", "E0114", "E0115", "E0116", "E0117", "E0214", "E0219", "E0225"),
    *("E0603", "E0604", "E0605", "E0606", "E0608", "E0609", "E0610", "E0611", "E0614", "E0615", "E0616"),
    *("E0705", "E0706", "E0708"),
}


def bind_representative(el: Elaborator, name: str, type: syntax.TypeExpr, scope: Scope) -> None:
    """A tile of the declared type, unknown extents taken as `EXTENT`. Raises Reject."""
    declared = numeric_type(el, type.base, scope)
    shape = []
    for extent in type.extents or ():
        if isinstance(extent, syntax.Name) and scope.find(extent.id) is None:
            scope.names[extent.id] = Const(EXTENT)
        shape.append(el.integer(evaluate(el, extent, scope), extent.span))
    stand_in = Tile(argument(TileType(declared, tuple(shape)), name))
    scope.names[name] = pinned(el, stand_in, type, scope)
