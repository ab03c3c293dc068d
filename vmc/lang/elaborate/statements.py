"""Statements other than loops and branches, and the order of a body. A mistake spoils its statement, not the rest."""

from __future__ import annotations

from collections.abc import Sequence

from vmc.diagnostics import Note
from vmc.ir.core import TileType, Value
from vmc.lang import syntax
from vmc.lang.elaborate import control, indexing, operators
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate, tile_extents
from vmc.lang.elaborate.layouts import evaluate_layout
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.types import numeric_type
from vmc.lang.elaborate.values import (
    Const,
    Nothing,
    Poison,
    Tensor,
    TextRef,
    Thing,
    Tile,
    TupleRef,
    TypeRef,
)


def elaborate_body(el: Elaborator, body: Sequence[syntax.Stmt], scope: Scope) -> TupleRef | None:
    """Elaborates statements in order; what a `return` at the end returns, or None."""
    for statement in body:
        returned: TupleRef | None = None
        failures = len(el.diagnostics)
        done = False
        with el.reporting(statement.span):
            returned = elaborate_statement(el, statement, scope)
            done = True
        if not done or (len(el.diagnostics) > failures and isinstance(statement, syntax.Assign)):
            spoil(el, statement, scope)
        if returned is not None:
            return returned
    return None


def spoil(el: Elaborator, statement: syntax.Stmt, scope: Scope) -> None:
    """Marks the names that a failed statement would have assigned, so that their uses are not reported again."""
    for name in control.assigned([statement]):
        if not isinstance(scope.names.get(name), Tile | Const) or isinstance(
            statement, syntax.Assign | syntax.AnnotatedAssign | syntax.AugAssign
        ):
            scope.names[name] = Poison()


def elaborate_statement(el: Elaborator, statement: syntax.Stmt, scope: Scope) -> TupleRef | None:
    """Elaborates one statement; what it returns, if it is a `return` or ends in one. Raises Reject."""
    match statement:
        case syntax.Assign():
            assign(el, statement, scope)
        case syntax.AnnotatedAssign():
            assign_annotated(el, statement, scope)
        case syntax.AugAssign():
            assign_augmented(el, statement, scope)
        case syntax.Store():
            store(el, statement, scope)
        case syntax.AugStore():
            store_augmented(el, statement, scope)
        case syntax.ExprStmt():
            call_statement(el, statement, scope)
        case syntax.ForGrid():
            raise Reject(
                "E0604",
                "`grid` must be the last statement of a kernel's body, at its top level",
                statement.span,
                help="use `range` for loops inside a block",
            )
        case syntax.ForRange():
            control.for_range(el, statement, scope)
        case syntax.ForStatic():
            control.for_static(el, statement, scope)
        case syntax.While():
            control.while_loop(el, statement, scope)
        case syntax.If():
            return control.if_statement(el, statement, scope)
        case syntax.Pass():
            pass
        case syntax.Return():
            return return_statement(el, statement, scope)
        case syntax.Assert():
            run_time_assert(el, statement, scope)
        case syntax.StaticAssert():
            static_assert(el, statement, scope)
    return None


def assign(el: Elaborator, node: syntax.Assign, scope: Scope) -> None:
    value = evaluate(el, node.value, scope)
    if len(node.targets) == 1:
        assign_name(el, node.targets[0], value, node, scope)
        return
    if isinstance(value, Poison):
        value = TupleRef((value,) * len(node.targets))
    if not isinstance(value, TupleRef) or len(value.items) != len(node.targets):
        count = len(value.items) if isinstance(value, TupleRef) else 1
        raise Reject("E0117", f"{len(node.targets)} names on the left, {count} values on the right", node.span)
    for target, item in zip(node.targets, value.items, strict=True):
        assign_name(el, target, item, node, scope)


def assign_name(el: Elaborator, target: syntax.Name, value: Thing, node: syntax.Stmt, scope: Scope) -> None:
    """Gives a local name its value. Raises Reject where the name or the value does not allow it."""
    if isinstance(value, TupleRef):
        raise Reject("E0117", f"one name on the left, {len(value.items)} values on the right", node.span)
    if isinstance(value, Nothing | TextRef):
        raise Reject("E0615", f"`{target.id}` cannot be assigned {value.describe()}", node.span)
    old = scope.names.get(target.id)
    if isinstance(old, Tensor) and not (isinstance(value, Tensor) and old.name != target.id):
        notes = (Note(old.declared, "it is declared here"),) if old.declared else ()
        raise Reject(
            "E0508",
            f"`{target.id}` is {old.describe()}, and cannot be assigned to",
            target.span,
            notes=notes,
            help=f"store to a slice of it: `{target.id}[...] = ...`",
        )
    outer = scope.find(target.id)
    if old is None and isinstance(outer, TypeRef):
        raise Reject("E0108", f"`{target.id}` is the name of a type", target.span)
    if target.id in el.symbols and isinstance(old, Tile) and old.value is el.symbols[target.id]:
        raise Reject("E0108", f"`{target.id}` is an extent of the tensors, and cannot be assigned to", target.span)
    scope.names[target.id] = value


def assign_annotated(el: Elaborator, node: syntax.AnnotatedAssign, scope: Scope) -> None:
    value = evaluate(el, node.value, scope)
    type = annotated_type(el, node.type, scope)
    if isinstance(value, Const):
        constant = el.constant(value.value, type.dtype, node.value.span)
        value = Tile(el.at(node.span).broadcast(constant, type.shape))
    tile = el.tile(value, node.value.span)
    if (tile.dtype, tile.shape) != (type.dtype, type.shape):
        raise Reject(
            "E0212" if tile.dtype != type.dtype else "E0319",
            f"`{node.target.id}` is declared {TileType(type.dtype, type.shape)}, and the value is {tile.describe()}",
            node.value.span,
            notes=(Note(node.type.span, "the declared type"),),
        )
    if type.layout is not None:
        tile = Tile(pin(el, tile.value, type, node))
    assign_name(el, node.target, tile, node, scope)


def annotated_type(el: Elaborator, node: syntax.TypeExpr, scope: Scope) -> TileType:
    """The tile type of an annotation, with its pinned layout. Raises Reject."""
    base = TypeRef(numeric_type(el, node.base, scope))
    if node.space not in (None, "register"):
        raise Reject(
            "E0042", f"a tile cannot live `in {node.space}`", node.span, help="allocate: `alloc(...) in shared`"
        )
    shape = tile_extents(el, node.extents, scope) if node.extents else ()
    layout = evaluate_layout(el, node.layout.expr, scope) if node.layout else None
    return TileType(base.dtype, shape, layout)


def pin(el: Elaborator, value: Value, type: TileType, node: syntax.AnnotatedAssign) -> Value:
    """The value in a pinned layout. Raises Reject where the layout does not fit the tile."""
    from vmc.lang.elaborate.layouts import check_layout

    assert type.layout is not None and node.type.layout is not None
    layout = check_layout(type.layout, type.shape, type.dtype, node.type.layout.span)
    return el.at(node.span)("relayout", value, layout=layout)


def assign_augmented(el: Elaborator, node: syntax.AugAssign, scope: Scope) -> None:
    """`name op= value`; a matrix product that is added goes into `dot`'s accumulator."""
    old = evaluate(el, node.target, scope)
    product = node.value
    if node.op == "+" and isinstance(product, syntax.Binary) and product.op == "@" and isinstance(old, Tile):
        a, b = evaluate(el, product.left, scope), evaluate(el, product.right, scope)
        value: Thing = operators.matmul(
            el, el.numeric(a, product.span), el.numeric(b, product.span), product.span, old.value
        )
    else:
        value = operators.binary(el, node.op, old, evaluate(el, node.value, scope), node.span)
    scope.names[node.target.id] = value


def store(el: Elaborator, node: syntax.Store, scope: Scope) -> None:
    """`y[...] = value`."""
    value = evaluate(el, node.value, scope)
    tensor = stored_tensor(el, node.target, scope)
    indexing.store(el, tensor, node.target, value, scope, node.span, node.value.span)


def stored_tensor(el: Elaborator, target: syntax.Index, scope: Scope) -> Tensor:
    """The tensor on the left of a store. Raises Reject."""
    base = evaluate(el, target.base, scope)
    if not isinstance(base, Tensor):
        help = "tiles are values: build a new one with `where`, `concat`, ..." if isinstance(base, Tile) else None
        raise Reject(
            "E0510", f"only tensors can be stored to, and this is {base.describe()}", target.base.span, help=help
        )
    return base


def store_augmented(el: Elaborator, node: syntax.AugStore, scope: Scope) -> None:
    """`y[...] op= value`: a load, the operation, a store."""
    tensor = stored_tensor(el, node.target, scope)
    indexing.check_writable(tensor, node.target.span)
    old = indexing.load(el, tensor, node.target, scope)
    value = operators.binary(el, node.op, old, evaluate(el, node.value, scope), node.span)
    indexing.store(el, tensor, node.target, value, scope, node.span, node.value.span)


def call_statement(el: Elaborator, node: syntax.ExprStmt, scope: Scope) -> None:
    value = evaluate(el, node.call, scope)
    discardable = isinstance(value, Nothing) or (
        isinstance(node.call.func, syntax.Name) and node.call.func.id.startswith("atomic_")
    )
    if not discardable:
        raise Reject(
            "E0616", f"this call's result ({value.describe()}) is not used", node.span, help="assign it to a name"
        )


def return_statement(el: Elaborator, node: syntax.Return, scope: Scope) -> TupleRef:
    if not el.calls:
        raise Reject("E0606", "`return` outside of a function; a kernel stores its results", node.span)
    items: list[Thing] = []
    for expr in node.values:
        value = evaluate(el, expr, scope)
        if isinstance(value, Nothing):
            raise Reject("E0615", "this call has no result to return", expr.span)
        items.extend(value.items if isinstance(value, TupleRef) else [value])
    return TupleRef(tuple(items))


def run_time_assert(el: Elaborator, node: syntax.Assert, scope: Scope) -> None:
    text = node.message.value if node.message else "assertion failed"
    condition = evaluate(el, node.condition, scope)
    if isinstance(condition, Const):
        check_static(condition.value, text, node)
        return
    value = operators.boolean(el, condition, node.condition.span)
    assert isinstance(value, Tile)
    reduced = value.value
    while reduced.tile.rank:
        reduced = el.at(node.span)("reduce", reduced, kind="and", axis=0)
    el.at(node.span).many("assert", reduced, message=text)


def static_assert(el: Elaborator, node: syntax.StaticAssert, scope: Scope) -> None:
    condition = evaluate(el, node.condition, scope)
    if not isinstance(condition, Const):
        raise el.unexpected(condition, "a compile-time condition", node.condition.span, code="E0217")
    check_static(condition.value, node.message.value if node.message else "static assertion failed", node)


def check_static(value: object, text: str, node: syntax.Stmt) -> None:
    if not value:
        raise Reject("E0611", text, node.span, label="this is false")
