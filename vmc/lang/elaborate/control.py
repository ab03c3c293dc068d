"""Loops and branches. Which names a loop carries, and which a branch merges, is inferred from assignments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vmc.diagnostics import Note
from vmc.ir.builder import Builder, argument, make_op
from vmc.ir.core import TileType, Value
from vmc.ir.span import Span
from vmc.ir.types import dtype
from vmc.lang import syntax
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import Const, Poison, Thing, Tile, TupleRef

MAX_STATIC_TRIPS = 16_384
I64 = TileType(dtype("i64"))


def assigned(body: Sequence[syntax.Stmt]) -> list[str]:
    """The names that statements assign, inner ones included, in order of first assignment."""
    return list(dict.fromkeys(name for statement in body for name in assigned_by(statement)))


def assigned_by(statement: syntax.Stmt) -> Iterator[str]:
    match statement:
        case syntax.Assign(targets=targets):
            yield from (target.id for target in targets)
        case syntax.AnnotatedAssign(target=target) | syntax.AugAssign(target=target):
            yield target.id
        case (
            syntax.ForRange(body=body)
            | syntax.ForStatic(body=body)
            | syntax.ForGrid(body=body)
            | syntax.While(body=body)
        ):
            for inner in body:
                yield from assigned_by(inner)
        case syntax.If(body=body, orelse=orelse):
            for inner in (*body, *orelse):
                yield from assigned_by(inner)


def elaborate_inner(el: Elaborator, body: Sequence[syntax.Stmt], scope: Scope, what: str) -> None:
    """Elaborates the body of a run-time construct, which may not return. Raises Reject."""
    from vmc.lang.elaborate.statements import elaborate_body

    if elaborate_body(el, body, scope) is not None:
        raise Reject(
            "E0606",
            f"`return` inside {what} whose course is known only at run time",
            body[-1].span,
            help="assign the result to a variable and return it at the end",
        )


def for_static(el: Elaborator, node: syntax.ForStatic, scope: Scope) -> None:
    """Elaborates the body once for each value."""
    bounds = []
    for expr, default in ((node.start, 0), (node.stop, 0), (node.step, 1)):
        bounds.append(default if expr is None else static_bound(el, expr, scope))
    if bounds[2] == 0:
        raise Reject("E0608", "the step of a loop must not be 0", node.span)
    trips = range(*bounds)
    if len(trips) > MAX_STATIC_TRIPS:
        raise Reject("E0610", f"this loop unrolls {len(trips)} times", node.span, help="use `range`")
    errors = len(el.diagnostics)
    for value in trips:
        scope.names[node.target.id] = Const(value)
        elaborate_inner(el, node.body, scope, "a loop")
        if len(el.diagnostics) > errors:
            break


def static_bound(el: Elaborator, expr: syntax.Expr, scope: Scope) -> int:
    return el.integer(evaluate(el, expr, scope), expr.span, "a compile-time bound of a `static` loop", "E0609")


@dataclass(frozen=True, slots=True)
class Carried:
    """The variables that a loop carries: their names, initial values and region arguments."""

    names: tuple[str, ...]
    initial: tuple[Value, ...]

    def arguments(self) -> tuple[Value, ...]:
        return tuple(argument(v.type, name) for name, v in zip(self.names, self.initial, strict=True))


def carried_by(el: Elaborator, body: Sequence[syntax.Stmt], scope: Scope, span: Span) -> Carried:
    """What a loop with this body carries: every variable that exists before it and is assigned in it."""
    names, initial = [], []
    for name in assigned(body):
        before = scope.names.get(name)
        if isinstance(before, Tile | Const):
            names.append(name)
            initial.append(el.tile(before, span).value)
    return Carried(tuple(names), tuple(initial))


def enter(el: Elaborator, carried: Carried, args: Sequence[Value], scope: Scope) -> dict[str, Thing]:
    """Binds carried names to region arguments; the names as they were, for `leave`."""
    before = dict(scope.names)
    for name, arg in zip(carried.names, args, strict=True):
        old = before[name]
        if isinstance(old, Const) and isinstance(old.value, int) and not isinstance(old.value, bool):
            el.whole_numbers[arg] = name
        scope.names[name] = Tile(arg)
    return before


def next_values(el: Elaborator, carried: Carried, scope: Scope, body: Sequence[syntax.Stmt], loop: Span) -> list[Value]:
    """The carried variables at the end of the body. Raises Reject where a type has changed."""
    values = []
    for name, initial in zip(carried.names, carried.initial, strict=True):
        after = scope.names[name]
        if isinstance(after, Poison):
            raise el.unexpected(after, "a value", loop)
        if isinstance(after, Const):
            scalar = el.constant(after.value, initial.tile.dtype, loop)
            after = Tile(el.at(loop).broadcast(scalar, initial.tile.shape))
        tile = el.tile(after, loop)
        if (tile.dtype, tile.shape) != (initial.tile.dtype, initial.tile.shape):
            raise changed_type(name, Tile(initial), tile, last_assignment(name, body) or loop, loop)
        values.append(tile.value)
    return values


def changed_type(name: str, before: Tile, after: Tile, where: Span, loop: Span) -> Reject:
    start = str(TileType(after.dtype, after.shape))
    example = f"zeros({start})" if after.shape else f"{after.dtype.name}(...)"
    return Reject(
        "E0601",
        f"`{name}` changes its type in the loop: it starts as {before.describe()} and becomes {after.describe()}",
        where,
        notes=(Note(loop, f"the loop carries `{name}` from one iteration to the next"),),
        help=f"start it as `{example}` before the loop, or convert it back",
    )


def last_assignment(name: str, body: Sequence[syntax.Stmt]) -> Span | None:
    """Where a body last assigns a name."""
    for statement in reversed(body):
        if name in assigned_by(statement):
            inner = getattr(statement, "body", None)
            return (last_assignment(name, inner) if inner else None) or statement.span
    return None


def leave(carried: Carried, results: Sequence[Value], before: dict[str, Thing], scope: Scope, node: Span) -> None:
    """Binds carried names to the loop's results; names first assigned in the loop are unusable after it."""
    inside = set(scope.names) - set(before)
    spoiled = {name for name in carried.names if isinstance(scope.names.get(name), Poison)}
    scope.names.clear()
    scope.names.update(before)
    for name in inside:
        scope.names[name] = Poison(f"`{name}` is assigned only inside a loop that may not be executed at all", node)
    for name, value in zip(carried.names, results, strict=True):
        scope.names[name] = Poison() if name in spoiled else Tile(value)


def for_range(el: Elaborator, node: syntax.ForRange, scope: Scope) -> None:
    """A counted loop at run time."""
    low = el.index(Const(0) if node.start is None else evaluate(el, node.start, scope), (node.start or node).span)
    high = el.index(evaluate(el, node.stop, scope), node.stop.span)
    step = loop_step(el, node, scope)
    attrs = {"stages": option(el, node.pipelined, scope), "unroll": option(el, node.unrolled, scope)}
    carried = carried_by(el, node.body, scope, node.span)
    index = argument(I64, node.target.id)
    el.inductions[index] = (low, step)
    args = carried.arguments()
    before = enter(el, carried, args, scope)
    scope.names[node.target.id] = Tile(index)
    with el.region() as inner:
        elaborate_inner(el, node.body, scope, "a loop")
        region = inner.region((index, *args), safely(el, node, carried, scope))
    op = make_op("for", (low, high, step, *carried.initial), attrs, (region,), node.span, carried.names)
    el.build.append(op)
    scope.names.pop(node.target.id, None)
    if node.target.id in before:
        scope.names[node.target.id] = before[node.target.id]
    leave(carried, op.results, before, scope, node.span)


def safely(el: Elaborator, node: syntax.ForRange | syntax.While, carried: Carried, scope: Scope) -> Sequence[Value]:
    """The next carried values; after a mistake, the initial ones, so that the rest is still looked at."""
    with el.reporting(node.span):
        return next_values(el, carried, scope, node.body, node.span)
    return carried.initial


def loop_step(el: Elaborator, node: syntax.ForRange, scope: Scope) -> Value:
    if node.step is None:
        return el.index(Const(1), node.span)
    step = evaluate(el, node.step, scope)
    if isinstance(step, Const) and isinstance(step.value, int) and step.value < 1:
        raise Reject("E0608", f"the step of a loop must be at least 1, and this is {step.value}", node.step.span)
    return el.index(step, node.step.span)


def option(el: Elaborator, expr: syntax.Expr | None, scope: Scope) -> int:
    """The number in `pipelined(n)` or `unrolled(n)`, 1 where it is not written. Raises Reject."""
    if expr is None:
        return 1
    count = el.integer(evaluate(el, expr, scope), expr.span)
    if not 1 <= count <= 1024:
        raise Reject("E0614", f"expected a number from 1 to 1024, found {count}", expr.span)
    return count


def while_loop(el: Elaborator, node: syntax.While, scope: Scope) -> None:
    """A loop with a condition known at run time."""
    carried = carried_by(el, node.body, scope, node.span)
    condition_args, body_args = carried.arguments(), carried.arguments()
    before = enter(el, carried, condition_args, scope)
    with el.region() as inner:
        condition = el.condition(evaluate(el, node.condition, scope), node.condition.span)
        if isinstance(condition, bool):
            raise Reject(
                "E0610",
                f"this condition is always {str(condition).lower()}",
                node.condition.span,
                help="a `while` condition depends on variables that the loop changes at run time",
            )
        condition_region = inner.region(condition_args, (condition,))
    enter(el, carried, body_args, scope)
    with el.region() as inner:
        elaborate_inner(el, node.body, scope, "a loop")
        body_region = inner.region(body_args, safely(el, node, carried, scope))
    op = make_op("while", carried.initial, {}, (condition_region, body_region), node.span, carried.names)
    el.build.append(op)
    leave(carried, op.results, before, scope, node.span)


def if_statement(el: Elaborator, node: syntax.If, scope: Scope) -> TupleRef | None:
    """A compile-time condition elaborates the taken branch only; else both, merging what they assign."""
    from vmc.lang.elaborate.statements import elaborate_body

    condition = el.condition(evaluate(el, node.condition, scope), node.condition.span)
    if isinstance(condition, bool):
        return elaborate_body(el, node.body if condition else node.orelse, scope)
    before = dict(scope.names)
    branches = [branch(el, body, scope, before) for body in (node.body, node.orelse)]
    scope.names.clear()
    scope.names.update(before)
    merged = merge(el, node, before, branches, scope)
    regions = [builder.region((), [values[i] for values in merged.values()]) for i, (builder, _) in enumerate(branches)]
    results = tuple(values[0].type for values in merged.values())
    plain = tuple(TileType(t.dtype, t.shape) for t in results if isinstance(t, TileType))
    op = make_op("if", (condition,), {"results": plain}, regions, node.span, tuple(merged))
    el.build.append(op)
    for name, value in zip(merged, op.results, strict=True):
        scope.names[name] = Tile(value)
    return None


def branch(
    el: Elaborator, body: Sequence[syntax.Stmt], scope: Scope, before: dict[str, Thing]
) -> tuple[Builder, dict[str, Thing]]:
    """One branch, elaborated into a region that is still open, and the names after it."""
    scope.names.clear()
    scope.names.update(before)
    with el.region() as inner:
        elaborate_inner(el, body, scope, "a branch")
    return inner, dict(scope.names)


def merge(
    el: Elaborator,
    node: syntax.If,
    before: dict[str, Thing],
    branches: Sequence[tuple[Builder, dict[str, Thing]]],
    scope: Scope,
) -> dict[str, tuple[Value, Value]]:
    """For every name that the branches leave with different values: its value at the end of each."""
    (then_builder, then_names), (else_builder, else_names) = branches
    merged: dict[str, tuple[Value, Value]] = {}
    for name in assigned([node]):
        a, b = then_names.get(name), else_names.get(name)
        if a is b or (isinstance(a, Const) and a == b):
            if a is not None:
                scope.names[name] = a
            continue
        if not isinstance(a, Tile | Const) or not isinstance(b, Tile | Const):
            spoiled = isinstance(a, Poison) or isinstance(b, Poison)
            reason = "" if spoiled else f"`{name}` is assigned in one branch only"
            scope.names[name] = Poison(reason, node.span)
            continue
        merged[name] = merge_one(el, name, (a, then_builder), (b, else_builder), node)
    return merged


def merge_one(
    el: Elaborator, name: str, then: tuple[Tile | Const, Builder], other: tuple[Tile | Const, Builder], node: syntax.If
) -> tuple[Value, Value]:
    """Both values of a name in one type. Raises Reject where they differ."""
    tiles = [thing for thing, _ in (then, other) if isinstance(thing, Tile)]
    values = []
    for thing, builder in (then, other):
        with el.emitting_into(builder):
            if isinstance(thing, Const) and tiles:
                scalar = el.constant(thing.value, tiles[0].dtype, node.span)
                values.append(el.at(node.span).broadcast(scalar, tiles[0].shape))
            else:
                values.append(el.tile(thing, node.span).value)
    a, b = values
    if (a.tile.dtype, a.tile.shape) != (b.tile.dtype, b.tile.shape):
        raise Reject(
            "E0607",
            f"`{name}` is {Tile(a).describe()} after one branch and {Tile(b).describe()} after the other",
            node.span,
            help="convert one of them, so that both branches leave the same type",
        )
    return a, b
