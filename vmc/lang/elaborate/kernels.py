"""Kernels: binding compile-time parameters, parameters' types and symbols, the preamble and the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vmc.diagnostics import Note
from vmc.ir.builder import argument
from vmc.ir.core import Access, Kernel, Storage, TensorType, TileType, Value
from vmc.ir.dims import Dim, Sym, binary, symbols
from vmc.ir.types import DType, UnknownTypeError, dtype
from vmc.lang import syntax
from vmc.lang.elaborate.control import I64
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.formats import Format
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.statements import elaborate_body
from vmc.lang.elaborate.statics import check_kind
from vmc.lang.elaborate.types import type_thing
from vmc.lang.elaborate.values import Const, FormatRef, Tensor, Thing, Tile, TypeRef

Binding = DType | Format | int | float | bool
MAX_RANK = 8
DIM_OPERATORS = ("+", "-", "*", "//", "%")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A kernel's run-time parameter as its caller sees it: dtype or format name, logical extents (None: a scalar)."""

    name: str
    access: Access
    dtype: DType | None
    format: Format | None
    dims: tuple[Dim, ...] | None


@dataclass(frozen=True, slots=True)
class Elaborated:
    """A kernel in tile IR, with what its callers need to know."""

    kernel: Kernel
    parameters: tuple[Parameter, ...]


def elaborate_kernel(
    el: Elaborator, node: syntax.Kernel, module: Scope, bindings: Mapping[str, Binding]
) -> Elaborated | None:
    """The kernel with its compile-time parameters and some symbols bound; None after a mistake, which is reported."""
    scope = Scope(module)
    result: Elaborated | None = None
    with el.reporting(node.name_span):
        bound = bind_static_params(el, node, scope, bindings)
        for name, value in bindings.items():
            if name not in scope.names and isinstance(value, int):
                scope.names[name] = Const(value)
        parameters, values, names = declare_parameters(el, node, scope)
        bind_symbols(el, node, scope, parameters, names)
        body_of_kernel(el, node, scope)
        if not el.failed:
            region = el.build.region()
            kernel = Kernel(
                node.name, tuple(values), tuple(names), region, node.fast, bindings=bound, span=node.name_span
            )
            result = Elaborated(kernel, tuple(parameters))
    return result


def bind_static_params(
    el: Elaborator, node: syntax.Kernel, scope: Scope, bindings: Mapping[str, Binding]
) -> tuple[tuple[str, str], ...]:
    """Gives every compile-time parameter its argument or default. Raises Reject."""
    shown = []
    for param in node.static_params:
        if param.name in bindings:
            thing = as_thing(bindings[param.name])
            check_kind(param, thing, param.span)
        elif param.default is not None:
            thing = evaluate(el, param.default, scope)
            check_kind(param, thing, param.default.span, "E0704")
        else:
            raise Reject(
                "E0706",
                f"`{node.name}` needs a value for the compile-time parameter `{param.name}`",
                param.span,
                help=f"pass `{param.name}=...`, on the command line `--set {param.name}=...`",
            )
        scope.names[param.name] = thing
        shown.append((param.name, show(thing)))
    return tuple(shown)


def as_thing(value: Binding) -> Thing:
    """A compile-time argument as a thing of the language."""
    match value:
        case DType():
            return TypeRef(value)
        case Format():
            return FormatRef(value)
    return Const(value)


def show(thing: Thing) -> str:
    match thing:
        case TypeRef(type):
            return type.name
        case FormatRef(format):
            return format.name
        case Const(value):
            return str(value).lower() if isinstance(value, bool) else str(value)
    return "?"


def declare_parameters(
    el: Elaborator, node: syntax.Kernel, scope: Scope
) -> tuple[list[Parameter], list[Value], list[str]]:
    """The run-time parameters, their values, and the symbols that their extents mention. Raises Reject."""
    parameters: list[Parameter] = []
    values: list[Value] = []
    names: dict[str, None] = {}
    declared = {static.name for static in node.static_params}
    for param in node.params:
        if param.name in declared:
            raise Reject("E0702", f"`{param.name}` is declared twice", param.name_span)
        declared.add(param.name)
        parameter, value = declare(el, param, scope)
        parameters.append(parameter)
        values.append(value)
        for dim in parameter.dims or ():
            names.update(dict.fromkeys(symbols(dim)))
    for parameter, value, param in zip(parameters, values, node.params, strict=True):
        if parameter.name in names:
            raise Reject("E0702", f"`{parameter.name}` is both a parameter and an extent", param.name_span)
        scope.names[parameter.name] = (
            Tile(value)
            if parameter.dims is None
            else Tensor(value, parameter.name, parameter.dims, parameter.format, param.span)
        )
    return parameters, values, list(names)


def declare(el: Elaborator, param: syntax.KernelParam, scope: Scope) -> tuple[Parameter, Value]:
    """One run-time parameter. Raises Reject."""
    access = Access(param.access)
    base = type_thing(el, param.type.base, scope)
    if param.type.space is not None:
        raise Reject("E0710", "a kernel's parameters live in global memory", param.type.span)
    extents = param.type.extents
    match base:
        case TypeRef(type) if extents is None:
            check_scalar(param, type)
            if access is not Access.IN:
                raise Reject(
                    "E0707",
                    f"the scalar `{param.name}` cannot be an output",
                    param.span,
                    help=f"declare a tensor of one element: `{param.name}: out {type.name}[1]`",
                )
            return Parameter(param.name, access, type, None, None), argument(TileType(type), param.name)
        case TypeRef(type):
            assert extents is not None
            if not 1 <= len(extents) <= MAX_RANK:
                raise Reject("E0712", f"a tensor has 1 to {MAX_RANK} dimensions, not {len(extents)}", param.type.span)
            dims = tuple(extent_of(el, e, scope) for e in extents)
            storage = pinned_storage(el, param, type, scope)
            tensor = TensorType(type, dims, access, storage=storage)
            return Parameter(param.name, access, type, None, dims), argument(tensor, param.name)
        case FormatRef(format):
            return declare_formatted(el, param, format, access, scope)
    raise el.unexpected(base, "a numeric type or a format", param.type.base.span, code="E0116")


def check_scalar(param: syntax.KernelParam, type: DType) -> None:
    """Scalars are passed as machine numbers: integers of 8 bits and more, f16, f32, f64. Raises Reject."""
    if (type.is_int and type.width < 8) or (type.is_float and type.name not in ("f16", "f32", "f64")):
        wide = "f32" if type.is_float else "i32"
        raise Reject(
            "E0711",
            f"the scalar `{param.name}` cannot be passed as {type.name}",
            param.type.span,
            help=f"pass `{wide}` and convert it, or a tensor `{type.name}[1]`",
        )


def pinned_storage(el: Elaborator, param: syntax.KernelParam, type: DType, scope: Scope) -> Storage | None:
    """The storage that a layout pinned on a parameter asks for: blocks of the layout's shape. Raises Reject."""
    from vmc.lang.elaborate.layouts import evaluate_layout

    pin = param.type.layout
    if pin is None:
        return None
    layout = evaluate_layout(el, pin.expr, scope)
    rank = len(param.type.extents or ())
    if len(layout.shape) != rank:
        raise Reject("E0404", f"the layout has rank {len(layout.shape)}, and `{param.name}` has rank {rank}", pin.span)
    layout = layout if layout.element_bits else layout.with_bits(type.width)
    return Storage(layout.shape, layout, layout.size_bits)


def declare_formatted(
    el: Elaborator, param: syntax.KernelParam, format: Format, access: Access, scope: Scope
) -> tuple[Parameter, Value]:
    """A tensor of blocks: in the IR its bytes, [..., blocks, bytes per block]."""
    if access is not Access.IN:
        raise Reject("E0808", f"`{param.name}` has the format {format.name}, which can only be read", param.span)
    if not param.type.extents:
        raise Reject("E0712", f"`{param.name}` needs extents: blocks lie along the last one", param.span)
    dims = tuple(extent_of(el, e, scope) for e in param.type.extents)
    last = dims[-1]
    if isinstance(last, int) and last % format.block:
        raise Reject("E0805", f"the last extent {last} is not made of whole blocks of {format.block}", param.span)
    physical = (*dims[:-1], binary("//", last, format.block), format.bytes)
    tensor = TensorType(dtype("u8"), physical, access)
    return Parameter(param.name, access, None, format, dims), argument(tensor, param.name)


def extent_of(el: Elaborator, expr: syntax.Expr, scope: Scope) -> Dim:
    """An extent: integers, symbols, and arithmetic on them. Raises Reject."""
    match expr:
        case syntax.Int(value):
            extent: Dim = value
        case syntax.Name(name) if scope.find(name) is None:
            return Sym(name)
        case syntax.Binary(op, left, right) if op in DIM_OPERATORS:
            extent = combined(op, extent_of(el, left, scope), extent_of(el, right, scope), expr)
        case syntax.Call(func=syntax.Name("cdiv" | "min" | "max" as name), positional=(left, right), keywords=()):
            extent = combined(name, extent_of(el, left, scope), extent_of(el, right, scope), expr)
        case _:
            extent = constant_extent(el, expr, scope)
    if isinstance(extent, int) and extent < 0:
        raise Reject("E0313", f"an extent must not be negative, and this is {extent}", expr.span)
    return extent


def constant_extent(el: Elaborator, expr: syntax.Expr, scope: Scope) -> int:
    thing = evaluate(el, expr, scope)
    if isinstance(thing, Const) and isinstance(thing.value, int) and not isinstance(thing.value, bool):
        return thing.value
    raise Reject("E0709", f"an extent is an integer expression, and this is {thing.describe()}", expr.span)


def combined(operator: str, left: Dim, right: Dim, expr: syntax.Expr) -> Dim:
    try:
        return binary(operator, left, right)
    except ZeroDivisionError:
        raise Reject("E0218", "division by zero in an extent", expr.span) from None


def bind_symbols(
    el: Elaborator, node: syntax.Kernel, scope: Scope, parameters: Sequence[Parameter], names: Sequence[str]
) -> None:
    """Emits every symbol's value. Raises Reject for one that no launch can bind."""
    bindable = {dim.name for p in parameters for dim in p.dims or () if isinstance(dim, Sym)}
    for name in names:
        if name not in bindable:
            raise unbindable(name, node, scope)
        el.symbols[name] = el.at(node.name_span)("symbol", name=name)
        scope.names[name] = Tile(el.symbols[name])


def unbindable(name: str, node: syntax.Kernel, scope: Scope) -> Reject:
    """The error for a symbol that is no tensor's whole extent, perhaps a misspelt parameter."""
    from vmc.diagnostics import suggest

    where = next(
        (param.type.span for param in node.params if any(mentions(e, name) for e in param.type.extents or ())),
        node.name_span,
    )
    close = suggest(name, [n for n, thing in scope.names.items() if isinstance(thing, Const)])
    help = (
        f"did you mean `{close}`?" if close else f"give a tensor the extent `{name}`, or make it a parameter in [...]"
    )
    return Reject("E0701", f"the symbol `{name}` cannot be bound from the arguments' shapes", where, help=help)


def mentions(expr: syntax.Expr, name: str) -> bool:
    match expr:
        case syntax.Name(other):
            return other == name
        case syntax.Binary(left=left, right=right):
            return mentions(left, name) or mentions(right, name)
        case syntax.Call(positional=positional):
            return any(mentions(e, name) for e in positional)
    return False


def body_of_kernel(el: Elaborator, node: syntax.Kernel, scope: Scope) -> None:
    """The preamble and the grid; a body without a grid is one block."""
    *before, last = node.body
    for statement in before:
        if isinstance(statement, syntax.ForGrid):
            with el.reporting(statement.span):
                raise Reject(
                    "E0603",
                    "`grid` must be the last statement of a kernel",
                    statement.span,
                    notes=(Note(last.span, "this comes after it"),),
                )
            return
    if not isinstance(last, syntax.ForGrid):
        one = el.index(Const(1), node.span)
        emit_grid(el, (), (one,), node.body, scope, node)
        return
    check_preamble(el, before)
    elaborate_body(el, before, scope)
    with el.reporting(last.span):
        if len(last.targets) != len(last.extents):
            raise Reject("E0605", f"{len(last.targets)} indices for {len(last.extents)} extents", last.span)
        extents = [el.index(evaluate(el, e, scope), e.span) for e in last.extents]
        emit_grid(el, last.targets, extents, last.body, scope, node)


def check_preamble(el: Elaborator, statements: Sequence[syntax.Stmt]) -> None:
    """Before the grid nothing may be written."""
    for statement in statements:
        if isinstance(statement, syntax.Store | syntax.AugStore | syntax.ExprStmt | syntax.Assert):
            with el.reporting(statement.span):
                raise Reject(
                    "E0613",
                    "work before the grid: it would be done by every block",
                    statement.span,
                    help="move it into the grid's body, or into a kernel of its own",
                )


def emit_grid(
    el: Elaborator,
    targets: Sequence[syntax.Name],
    extents: Sequence[Value],
    body: Sequence[syntax.Stmt],
    scope: Scope,
    node: syntax.Kernel,
) -> None:
    args = tuple(argument(I64, targets[i].id if targets else "block") for i in range(len(extents)))
    outer = dict(scope.names)
    for target, arg in zip(targets, args, strict=False):
        scope.names[target.id] = Tile(arg)
    with el.region() as inner:
        elaborate_body(el, body, scope)
        region = inner.region(args)
    scope.names.clear()
    scope.names.update(outer)
    el.at(node.name_span).many("grid", *extents, regions=(region,))


def type_named(name: str) -> DType | None:
    """The numeric type of that name, if there is one."""
    try:
        return dtype(name)
    except UnknownTypeError:
        return None
