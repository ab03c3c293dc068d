"""Warnings that follow from the syntax alone: names that nothing reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields

from vmc.diagnostics import Diagnostic, warning
from vmc.lang import syntax


def lint(tree: syntax.File) -> list[Diagnostic]:
    """The warnings of a file."""
    found: list[Diagnostic] = []
    for node in tree.decls:
        match node:
            case syntax.Kernel():
                found += unused(node, [(p.name, p.name_span) for p in node.params], node.body)
                found += unused_static(node)
                if not any(param.access != "in" for param in node.params) and not tree.damaged:
                    found.append(
                        warning(
                            "W0701",
                            f"the kernel `{node.name}` writes nothing",
                            node.name_span,
                            help="declare an output: `y: out f32[M, N]`",
                        )
                    )
            case syntax.Function():
                found += unused(node, [(p.name, p.name_span) for p in node.params], node.body)
    found += unused_imports(tree)
    found += uncalled(tree)
    for node in tree.decls:
        found += hidden_builtins(node)
        if isinstance(node, syntax.Kernel | syntax.Function):
            found += unreachable(node.body)
    return found


def uncalled(tree: syntax.File) -> Iterator[Diagnostic]:
    """Functions that a file with kernels never calls."""
    if not any(isinstance(node, syntax.Kernel) for node in tree.decls) or tree.damaged:
        return
    read = Counter(names_in(tree.decls))
    for node in tree.decls:
        if isinstance(node, syntax.Function) and not read[node.name]:
            yield warning("W0106", f"the function `{node.name}` is never called", node.name_span)


def hidden_builtins(node: syntax.Decl) -> Iterator[Diagnostic]:
    """Declarations and variables that take the name of a function of the language."""
    from vmc.lang.elaborate.builtins import BUILTINS

    places = [(node.name, node.name_span)]
    if isinstance(node, syntax.Kernel | syntax.Function):
        places += [(param.name, param.name_span) for param in node.params]
        places += [(target.id, target.span) for target, _ in targets_in(node.body)]
    for name, span in dict(reversed(places)).items():
        if name in BUILTINS:
            yield warning("W0105", f"`{name}` hides the function of that name", span)


def unreachable(body: tuple[syntax.Stmt, ...]) -> Iterator[Diagnostic]:
    """Statements after a return, and loops over nothing."""
    for position, statement in enumerate(body):
        if isinstance(statement, syntax.Return) and position + 1 < len(body):
            yield warning("W0601", "nothing after `return` is executed", body[position + 1].span)
        match statement:
            case (
                syntax.ForRange(start=start, stop=syntax.Int(stop))
                | syntax.ForStatic(start=start, stop=syntax.Int(stop))
            ):
                first = 0 if start is None else start.value if isinstance(start, syntax.Int) else None
                if first is not None and first >= stop and statement.step is None:
                    yield warning("W0602", "this loop never runs", statement.span)
        for inner in (getattr(statement, "body", ()), getattr(statement, "orelse", ())):
            yield from unreachable(inner)


def names_in(node: object) -> Iterator[str]:
    """Every name that a piece of syntax reads."""
    if isinstance(node, tuple):
        for item in node:
            yield from names_in(item)
    elif isinstance(node, syntax.Name):
        yield node.id
    elif isinstance(node, syntax.Assign):
        yield from names_in(node.value)
    elif isinstance(node, syntax.AnnotatedAssign):
        yield from names_in((node.value, node.type))
    elif isinstance(node, syntax.AugAssign):
        yield from names_in(node.value)
    elif isinstance(node, syntax.ForRange | syntax.ForStatic):
        parts = (
            node.start,
            node.stop,
            node.step,
            node.body,
            getattr(node, "pipelined", None),
            getattr(node, "unrolled", None),
        )
        yield from names_in(parts)
    elif isinstance(node, syntax.ForGrid):
        yield from names_in((node.extents, node.body))
    elif isinstance(node, syntax.Node):
        for field in fields(node):
            if field.name != "span":
                yield from names_in(getattr(node, field.name))


def targets_in(body: tuple[syntax.Stmt, ...]) -> Iterator[tuple[syntax.Name, bool]]:
    """Every assigned variable, and whether the assignment updates it in place."""
    for statement in body:
        match statement:
            case syntax.Assign(targets=targets):
                yield from ((target, False) for target in targets)
            case syntax.AnnotatedAssign(target=target):
                yield target, False
            case syntax.AugAssign(target=target):
                yield target, True
            case syntax.If(body=inner, orelse=orelse):
                yield from targets_in(inner)
                yield from targets_in(orelse)
            case syntax.ForRange() | syntax.ForStatic() | syntax.ForGrid() | syntax.While():
                yield from targets_in(statement.body)


def unused(
    node: syntax.Kernel | syntax.Function, params: list[tuple[str, object]], body: tuple[syntax.Stmt, ...]
) -> Iterator[Diagnostic]:
    """Parameters and variables that nothing reads; a leading underscore says that this is meant."""
    read = Counter(names_in(body))
    if isinstance(node, syntax.Kernel):
        read.update(names_in(tuple(param.type for param in node.params)))
    for param in node.params:
        if not read[param.name] and not param.name.startswith("_"):
            yield warning("W0102", f"the parameter `{param.name}` is never used", param.name_span)
    reported: set[str] = set()
    updated = {target.id for target, in_place in targets_in(body) if in_place}
    for target, _ in targets_in(body):
        name = target.id
        if read[name] or name in reported or name.startswith("_"):
            continue
        reported.add(name)
        if name in updated:
            yield warning("W0103", f"`{name}` is carried and updated, but its value is never used", target.span)
        else:
            yield warning("W0101", f"the variable `{name}` is never used", target.span)


def unused_static(node: syntax.Kernel) -> Iterator[Diagnostic]:
    read = Counter(
        names_in((tuple(p.type for p in node.params), tuple(p.default for p in node.static_params), node.body))
    )
    for param in node.static_params:
        if not read[param.name] and not param.name.startswith("_"):
            yield warning("W0702", f"the compile-time parameter `{param.name}` is never used", param.name_span)


def takes_formats(node: syntax.Decl) -> bool:
    """Whether a kernel or function has a parameter that any imported format may be passed for."""
    return isinstance(node, syntax.Kernel | syntax.Function) and any(p.kind == "format" for p in node.static_params)


def unused_imports(tree: syntax.File) -> Iterator[Diagnostic]:
    read = Counter(names_in(tree.decls))
    if any(takes_formats(node) for node in tree.decls):
        return
    for node in tree.imports:
        if isinstance(node, syntax.Import):
            if not read[node.module]:
                yield warning("W0104", f"the import `{node.module}` is never used", node.module_span)
            continue
        for name in node.names:
            if not read[name.id]:
                yield warning("W0104", f"the import `{name.id}` is never used", name.span)
