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
    return found


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


def unused_imports(tree: syntax.File) -> Iterator[Diagnostic]:
    read = Counter(names_in(tree.decls))
    for node in tree.imports:
        if isinstance(node, syntax.Import):
            if not read[node.module]:
                yield warning("W0104", f"the import `{node.module}` is never used", node.module_span)
            continue
        for name in node.names:
            if not read[name.id]:
                yield warning("W0104", f"the import `{name.id}` is never used", name.span)
