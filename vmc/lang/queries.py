"""What can be asked of a file without elaborating its kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from vmc.ir.types import DType
from vmc.lang import syntax


def declaration(source: str, file: str, kernel: str) -> syntax.Kernel:
    """The declaration of a kernel that the file has."""
    from vmc.lang.parser import parse

    tree, _ = parse(source, file)
    return next(node for node in tree.decls if isinstance(node, syntax.Kernel) and node.name == kernel)


def kernel_names(source: str, file: str) -> tuple[str, ...]:
    """The names of the kernels that a file declares, in order."""
    from vmc.lang.parser import parse

    tree, _ = parse(source, file)
    return tuple(node.name for node in tree.decls if isinstance(node, syntax.Kernel))


def extent_names(kernel: syntax.Kernel) -> tuple[str, ...]:
    """The names that the extents of a kernel's parameters mention, in order of first appearance."""
    found: dict[str, None] = {}
    for param in kernel.params:
        for extent in param.type.extents or ():
            found.update(dict.fromkeys(names(extent)))
    return tuple(found)


def names(expr: syntax.Expr) -> tuple[str, ...]:
    """The names in an extent's expression."""
    match expr:
        case syntax.Name(name):
            return (name,)
        case syntax.Binary(left=left, right=right):
            return names(left) + names(right)
        case syntax.Call(positional=positional):
            return tuple(name for argument in positional for name in names(argument))
    return ()


def static_values(
    source: str, file: str, kernel: str, bindings: Mapping[str, DType | int | float | bool | str]
) -> dict[str, str]:
    """The compile-time parameters of a kernel that the file has, bound or by default, as `Kernel.bindings` shows them.

    The body is not looked at. Raises CompileError.
    """
    from vmc.lang import CompileError, resolve
    from vmc.lang.elaborate.elaborator import Elaborator
    from vmc.lang.elaborate.kernels import bind_static_params
    from vmc.lang.elaborate.modules import load_module
    from vmc.lang.elaborate.scope import Scope

    module = load_module(source, file)
    problems = [d for d in module.diagnostics if d.is_error]
    if problems:
        raise CompileError(problems, source)
    node, el = module.kernels[kernel], Elaborator()
    with el.reporting(node.name_span):
        return dict(bind_static_params(el, node, Scope(module.scope), resolve(module, node, bindings, source)))
    raise CompileError(el.diagnostics, source)


def nodes(node: syntax.Node) -> Iterator[syntax.Node]:
    """A node of the syntax tree, and all in it."""
    yield node
    for field in fields(node):
        value = getattr(node, field.name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, syntax.Node):
                yield from nodes(inner)


def steps(kernel: syntax.Kernel) -> dict[str, set[str]]:
    """The names that a kernel divides an extent by: of `cdiv(M, BM)` and `range(0, K, BK)`, `{"BM": {"M"}, ...}`."""
    found: dict[str, set[str]] = {}
    for node in nodes(kernel):
        match node:
            case syntax.Call(func=syntax.Name("cdiv"), positional=(syntax.Name(extent), syntax.Name(step))):
                found.setdefault(step, set()).add(extent)
            case syntax.ForRange(stop=syntax.Name(extent), step=syntax.Name(step)):
                found.setdefault(step, set()).add(extent)
    return found
